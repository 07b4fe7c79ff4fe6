//! Tries each step of a read and reports what was seen.

use std::sync::Mutex;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::domain_controller::{Controllers, RootDse};
use super::error::ActiveDirectoryFailure;
use super::read::Reader;
use super::scope;
use super::settings::{ActiveDirectorySettings, DomainControllerLocation};
use crate::directory::DirectoryBuilder;
use crate::ldap::ServerUrl;
use crate::ldap::check::{Steps, reach};
use crate::ldap::connection::Connection;
use crate::text::sanitize;
use crate::{ReadProgress, Step};

/// How many people are looked at.
const SAMPLE: usize = 100;

/// Clocks further apart than this are worth a word; Kerberos wants no more either.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Every step of a read, on every controller until one goes all the way.
pub async fn check(controllers: &Controllers, settings: &ActiveDirectorySettings) -> Vec<Step> {
    let mut steps = Steps::default();
    let urls = controllers.urls().await;
    let urls = match &settings.location {
        DomainControllerLocation::Controllers(_) => urls.unwrap_or_default(),
        DomainControllerLocation::Domain(domain) => {
            let name = format!("find the controllers of {}", domain.name);
            let describe = |urls: &Vec<ServerUrl>| {
                let names: Vec<_> = urls.iter().map(ToString::to_string).collect();
                names.join(", ")
            };
            steps.note(name, urls, describe).unwrap_or_default()
        }
    };
    for server in &urls {
        if let Some((mut connection, root)) = bind(controllers, server, &mut steps).await {
            look_around(&mut connection, &root, settings, &mut steps).await;
            break;
        }
    }
    steps.0
}

/// Name, connection, TLS, bind, and that it is a controller with everything.
async fn bind(
    controllers: &Controllers,
    server: &ServerUrl,
    steps: &mut Steps,
) -> Option<(Connection, RootDse)> {
    let connector = &controllers.connector;
    let mut connection = reach(connector, &controllers.connection, server, steps).await?;
    let bound = connector.bind(&mut connection).await;
    let bound = bound.map_err(ActiveDirectoryFailure::of_bind);
    steps.note("bind", bound, |()| {
        "as the account in the bind Secret".to_owned()
    })?;
    let root = controllers.root(&mut connection).await;
    let root = steps.note("ask the controller what it is", root, |root| {
        format!(
            "{}, of the domain {}",
            sanitize(&root.host),
            sanitize(&root.domain)
        )
    })?;
    if let Some(clock) = clock(&root.time, Timestamp::now()) {
        steps.note("compare the clocks", clock, |seen| seen.clone());
    }
    Some((connection, root))
}

/// How far a controller's clock is from ours; `None` where it doesn't say.
fn clock(theirs: &str, ours: Timestamp) -> Option<Result<String, String>> {
    let theirs = DateTime::strptime("%Y%m%d%H%M%S", theirs.get(..14)?).ok()?;
    let theirs = theirs.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let ahead = theirs.duration_since(ours);
    let direction = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let clocks = format!(
        "the controller's clock is {} s {direction} ours",
        ahead.abs().as_secs()
    );
    Some(if ahead.abs() > SKEW {
        Err(format!(
            "{clocks}; set both by the network (NTP), else certificates look expired, or not valid \
             yet, to one side"
        ))
    } else {
        Ok(clocks)
    })
}

/// Counts people and groups as a read would find them.
async fn look_around(
    connection: &mut Connection,
    root: &RootDse,
    settings: &ActiveDirectorySettings,
    steps: &mut Steps,
) {
    let builder = Mutex::new(DirectoryBuilder::new());
    let progress = ReadProgress::default();
    let reader = Reader::new(settings, &root.domain, &builder, &progress);
    let size = settings.page_size.min(SAMPLE as u32);
    let people = reader.some_users(connection, size, Some(SAMPLE)).await;
    let taken = || std::mem::take(&mut *builder.lock().expect("no reader panics with it"));
    let seen = taken().finish();
    let with_email = seen.users.iter().filter(|user| user.email.is_ok()).count();
    steps.note("find users", people, |(count, first)| match count {
        0 => "none; check searchBases and filter, and what the bind account may see".to_owned(),
        _ => {
            let or_more = if *count == SAMPLE { " or more" } else { "" };
            format!("{count}{or_more}, such as {first}; {with_email} with an email")
        }
    });
    if !reader.reads_groups() {
        return;
    }
    let groups = reader.groups(connection).await.and_then(|scope| {
        let all = taken().finish();
        let count = all.groups.len();
        let kept = scope::keep(all.into_inner(), scope)?;
        let first = kept.groups.first().map(|group| sanitize(&group.name));
        Ok(match first {
            None => format!("none is wanted of {count}"),
            Some(first) => format!("{} wanted of {count}, such as {first}", kept.groups.len()),
        })
    });
    steps.note("find groups", groups, |seen| seen.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_more_than_five_minutes_are_reported() {
        let ours: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let compared = |theirs| clock(theirs, ours);
        assert_eq!(
            compared("20260301120003.0Z"),
            Some(Ok("the controller's clock is 3 s ahead of ours".into()))
        );
        let wrong = compared("20260301115000.0Z").unwrap().unwrap_err();
        assert!(wrong.starts_with("the controller's clock is 600 s behind ours; set"));
        assert_eq!(compared(""), None);
    }
}
