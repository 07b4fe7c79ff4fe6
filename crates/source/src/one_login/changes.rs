//! Lists the accounts that have changed since a time.

use jiff::Timestamp;

use super::error::Purpose;
use super::known::{KnownPeople, Listed, OVERLAP};
use super::pages::{Account, Extent};
use super::people::{self, Person};
use super::settings::OneLoginSettings;
use super::wire::User;
use crate::http::ApiError;

/// What has changed since a time.
pub(super) struct Changes {
    /// Since when.
    from: Timestamp,
    pub accounts: Vec<Changed>,
    pub extent: Extent,
    /// Not after the list was begun, by OneLogin's clock and by ours.
    pub began: Timestamp,
    /// Requests that it took.
    pub pages: u32,
}

/// An account that has changed.
pub(super) struct Changed {
    pub listed: Listed,
    pub updated: Timestamp,
    /// The person, where they are one in the source's scope.
    pub person: Option<Person>,
}

/// Up to `most` pages of what has changed since `from`, also of accounts without the attributes that the settings ask
/// for: whoever lost them is one who leaves.
///
/// # Errors
/// When OneLogin can't be asked.
pub(super) async fn list(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
    from: Timestamp,
    most: u32,
) -> Result<Changes, ApiError> {
    let mut list = people::list(settings);
    list.query.retain(|(name, _)| name == "fields");
    list.query
        .push(("updated_since".to_owned(), from.to_string()));
    list.purpose = Purpose::List;
    // OneLogin passes over parameters that it doesn't know, and would list everybody each time.
    let is_asked = |user: &User| updated(user).is_some_and(|updated| updated >= from);
    let read = account.read_first(&list, most, is_asked).await;
    let read = read.map_err(|error| error.into_failure(list.purpose))?;
    let changed = read.entries.into_iter().filter_map(|user| {
        let updated = updated(&user).filter(|updated| *updated >= from)?;
        let (listed, kept) = known.keep(settings, user);
        Some(Changed {
            listed,
            updated,
            person: kept.ok().flatten(),
        })
    });
    Ok(Changes {
        from,
        accounts: changed.collect(),
        extent: read.extent,
        began: read.began,
        pages: read.pages,
    })
}

impl Changes {
    /// Adds them to what is known, where they are all of them.
    pub fn note(&self, known: &KnownPeople) {
        if self.extent == Extent::Whole {
            let accounts = self.accounts.iter().map(|changed| changed.listed);
            known.add(self.from, accounts, self.began);
        }
    }
}

/// From when on a list of changes has to be, so that nothing is missed after `until`.
pub(super) fn before(until: Timestamp) -> Timestamp {
    until.saturating_sub(OVERLAP).unwrap_or(until)
}

fn updated(user: &User) -> Option<Timestamp> {
    user.updated_at.as_deref()?.parse().ok()
}
