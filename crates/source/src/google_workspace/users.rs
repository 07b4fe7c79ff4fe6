//! People: which accounts are read, and what is taken from them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::{Api, List, USERS, tenant_queries};
use super::error::accounts_hidden;
use super::settings::{Tenant, UserSettings};
use super::wire::{DeletedUser, User};
use crate::ReadProgress;
use crate::directory::{Account, AccountState, DirectoryBuilder, EntryKey};
use crate::http::ApiError;

/// People on a page: as many as Google gives.
const PAGE: &str = "500";

/// What was read so far, of people and groups.
#[derive(Default)]
pub(super) struct Seen {
    pub builder: DirectoryBuilder,
    /// The keys of all users that the settings choose.
    pub people: HashSet<EntryKey>,
    /// The customer's domains, as far as its users and groups tell.
    pub domains: HashSet<String>,
    /// Members of groups, by email, who aren't among the people so far.
    pub external_members: HashMap<EntryKey, Box<str>>,
}

impl Seen {
    /// The domain of this address is the customer's.
    pub fn note_domain(&mut self, email: &str) {
        let domain = domain(email);
        if !domain.is_empty() && !self.domains.contains(domain) {
            self.domains.insert(domain.to_lowercase());
        }
    }

    /// Whether an address is of one of the customer's domains.
    pub fn is_ours(&self, email: &str) -> bool {
        let domain = domain(email);
        self.domains.contains(domain) || self.domains.contains(&domain.to_lowercase())
    }
}

fn domain(email: &str) -> &str {
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// A reader that panicked has ended the read already.
pub(super) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lists that together hold everybody in scope.
pub(super) fn lists(api: &Api, tenant: &Tenant, settings: &UserSettings) -> Vec<List> {
    let mut fields = "id,primaryEmail,suspended,archived,isGuestUser".to_owned();
    if !settings.organizational_units.is_empty() {
        fields.push_str(",orgUnitPath");
    }
    if settings.email_domain.is_some() {
        fields.push_str(",aliases,nonEditableAliases");
    }
    let fields = format!("kind,nextPageToken,users({fields})");
    let lists = tenant_queries(tenant).into_iter().map(|whose| {
        let query = [whose, ("maxResults", PAGE), ("fields", &fields)];
        api.list(&USERS, &["users"], &query, settings.query.as_deref())
    });
    lists.collect()
}

/// Reads everybody in scope.
///
/// # Errors
/// Whatever leaves the list incomplete, and an account of which nobody says whether it is
/// suspended.
pub(super) async fn read(
    api: &Api,
    tenant: &Tenant,
    settings: &UserSettings,
    seen: &Mutex<Seen>,
    progress: &ReadProgress,
) -> Result<(), ApiError> {
    let units = Units::of(&settings.organizational_units);
    for list in lists(api, tenant, settings) {
        api.read(&list, |page: Vec<User>| {
            progress.add_users(page.len());
            let mut seen = lock(seen);
            // Guests come from outside, from domains of their own: whom others manage isn't invited.
            for user in page.iter().filter(|user| !user.is_guest_user) {
                seen.note_domain(&user.primary_email);
                let hidden = || accounts_hidden(&user.primary_email, &api.account);
                let account = account(settings, user).ok_or_else(hidden)?;
                let Some(account) = account else {
                    continue;
                };
                if account.state == AccountState::Active && !units.hold(&user.org_unit_path) {
                    continue;
                }
                let key = add(&mut seen.builder, settings, user, account);
                seen.people.insert(key);
                seen.external_members.remove(&key);
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What an account is, and what says so; an inner `None` where it is as if there were none, an outer one where
/// nobody says whether it is suspended.
pub(super) fn account(settings: &UserSettings, user: &User) -> Option<Option<Account<'static>>> {
    let suspended = user.suspended?;
    Some(state(settings, suspended, user.archived).map(|state| {
        let says_so = match suspended && settings.suspended == Some(state) {
            true => "suspended",
            false => "archived",
        };
        Account::new(state, says_so, "true")
    }))
}

/// Puts a person into a directory, by the ID and the address that the settings choose.
pub(super) fn add(
    builder: &mut DirectoryBuilder,
    settings: &UserSettings,
    user: &User,
    account: Account<'_>,
) -> EntryKey {
    let email = email(user, settings.email_domain.as_deref());
    let key = builder.key(&user.id);
    builder.user(&[key], &user.id, email, account, &user.primary_email);
    key
}

/// Puts somebody who was deleted into a directory.
pub(super) fn add_deleted(builder: &mut DirectoryBuilder, user: &DeletedUser) {
    let when = user.deletion_time.as_deref().unwrap_or("(none)");
    let account = Account::new(AccountState::Deleted, "deletionTime", when).changed(
        user.deletion_time
            .as_deref()
            .and_then(|time| time.parse().ok()),
    );
    let (key, email) = (builder.key(&user.id), &user.primary_email);
    builder.user(&[key], &user.id, email, account, email);
}

/// The lists of those who were deleted within the last 20 days, whatever the settings choose people by.
pub(super) fn deleted_lists(api: &Api, tenant: &Tenant, fields: &str) -> Vec<List> {
    let fields = format!("kind,nextPageToken,users({fields})");
    let lists = tenant_queries(tenant).into_iter().map(|whose| {
        let query = [
            whose,
            ("showDeleted", "true"),
            ("maxResults", PAGE),
            ("fields", &fields),
        ];
        api.list(&USERS, &["users"], &query, None)
    });
    lists.collect()
}

/// The lists of those whom a search finds, whatever the settings choose people by.
pub(super) fn search_lists(api: &Api, tenant: &Tenant, search: &str) -> Vec<List> {
    let lists = tenant_queries(tenant).into_iter().map(|whose| {
        let query = [
            whose,
            ("maxResults", PAGE),
            ("fields", "kind,nextPageToken,users(id)"),
        ];
        api.list(&USERS, &["users"], &query, Some(search))
    });
    lists.collect()
}

/// Reads who was deleted within the last 20 days, whatever the settings choose people by: who was
/// never synced has nobody in Bitwarden.
///
/// # Errors
/// Whatever leaves the list incomplete.
pub(super) async fn read_deleted(
    api: &Api,
    tenant: &Tenant,
    seen: &Mutex<Seen>,
) -> Result<(), ApiError> {
    for list in deleted_lists(api, tenant, "id,primaryEmail,deletionTime") {
        api.read(&list, |page: Vec<DeletedUser>| {
            let builder = &mut lock(seen).builder;
            page.iter().for_each(|user| add_deleted(builder, user));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What an account is. Where it is both suspended and archived, the meaning that ends access
/// soonest holds: disabled before absent before active.
pub(super) fn state(
    settings: &UserSettings,
    suspended: bool,
    archived: bool,
) -> Option<AccountState> {
    let meanings = [
        suspended.then_some(settings.suspended),
        archived.then_some(settings.archived),
    ];
    let says = |meaning| meanings.contains(&Some(meaning));
    if says(Some(AccountState::Deleted)) {
        Some(AccountState::Deleted)
    } else if says(Some(AccountState::Disabled)) {
        Some(AccountState::Disabled)
    } else if says(None) {
        None
    } else {
        Some(AccountState::Active)
    }
}

/// Organizational units, each with all below it.
struct Units(Vec<String>);

impl Units {
    fn of(paths: &[String]) -> Self {
        let paths = paths.iter();
        Self(
            paths
                .map(|path| path.trim_end_matches('/').to_lowercase())
                .collect(),
        )
    }

    fn hold(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        let below = |unit: &String| {
            let rest = path.strip_prefix(unit.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(below)
    }
}

/// The address in `domain`, or else the primary one. Of several aliases there the one that is
/// called as the primary address, or else the first in the alphabet: always the same.
pub(super) fn email<'u>(user: &'u User, domain: Option<&str>) -> &'u str {
    let primary = user.primary_email.as_str();
    let Some(wanted) = domain else { return primary };
    let fits = |email: &str| self::domain(email).eq_ignore_ascii_case(wanted);
    if fits(primary) {
        return primary;
    }
    let name = |email: &str| email.split('@').next().map(str::to_lowercase);
    let aliases = user.aliases.iter().chain(&user.non_editable_aliases);
    aliases
        .map(String::as_str)
        .filter(|alias| fits(alias))
        .min_by_key(|alias| (name(alias) != name(primary), alias.to_lowercase()))
        .unwrap_or(primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_holds_itself_and_what_is_below_it_alone() {
        let units = Units::of(&["/Staff/".to_owned(), "/Labs/Berlin".to_owned()]);
        for inside in ["/Staff", "/staff/Law", "/Labs/Berlin/A", "/STAFF"] {
            assert!(units.hold(inside), "{inside}");
        }
        for outside in ["/", "", "/Staffing", "/Labs", "/Labs/Berlinale", "/x/Staff"] {
            assert!(!units.hold(outside), "{outside}");
        }
        assert!(Units::of(&["/".to_owned()]).hold("/Anything"));
        assert!(Units::of(&[]).hold(""));
    }

    #[test]
    fn the_email_is_the_one_in_the_wanted_domain_and_always_the_same() {
        let user = |aliases: &[&str]| User {
            id: "1".into(),
            primary_email: "ann@corp.example".into(),
            suspended: Some(false),
            archived: false,
            is_guest_user: false,
            org_unit_path: String::new(),
            aliases: aliases.iter().map(|&alias| alias.into()).collect(),
            non_editable_aliases: vec!["zoe@Example.COM".into()],
        };
        assert_eq!(email(&user(&[]), None), "ann@corp.example");
        assert_eq!(email(&user(&[]), Some("corp.EXAMPLE")), "ann@corp.example");
        assert_eq!(
            email(&user(&[]), Some("nowhere.example")),
            "ann@corp.example"
        );
        assert_eq!(email(&user(&[]), Some("example.com")), "zoe@Example.COM");
        let some = ["b@example.com", "a@example.com", "x@other.example"];
        assert_eq!(email(&user(&some), Some("example.com")), "a@example.com");
        let same_name = ["a@example.com", "Ann@example.com"];
        assert_eq!(
            email(&user(&same_name), Some("example.com")),
            "Ann@example.com"
        );
    }
}
