//! Reads several people at once, to tell who of them certainly left.
//!
//! OneLogin accepts 5,000 requests an hour, and one person takes about four. Where many leave, one list of what has
//! changed since the last read shows all of them, and whoever came to have one of their addresses since.

use super::changes::{self, Changed};
use super::known::KnownPeople;
use super::leaver;
use super::pages::{Account, Extent};
use super::people::Person;
use super::read::add;
use super::settings::OneLoginSettings;
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId, User};
use crate::http::ApiError;

/// Fewer are asked for one by one, whatever is known.
const MANY: usize = 3;
/// With more pages, what has changed isn't looked through for them.
const MOST_PAGES: u32 = 5;

/// Whether each of these people has left, in their order.
///
/// # Errors
/// When OneLogin can't be asked.
pub(super) async fn check(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
    ids: &[ExternalId],
) -> Result<Vec<LeaverCheck>, ApiError> {
    let changed = match ids.len() >= MANY {
        true => changed(account, settings, known).await?,
        false => vec![],
    };
    let mut checked = vec![];
    for id in ids {
        checked.push(match certain(known, &changed, id) {
            Some(user) => LeaverCheck::Left(Box::new(user)),
            // Whoever isn't certain by the list is asked for alone.
            None => leaver::check(account, settings, id).await?,
        });
    }
    Ok(checked)
}

/// What has changed since all was known; nobody where that isn't all.
async fn changed(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
) -> Result<Vec<Changed>, ApiError> {
    // With attributes to ask for, a read doesn't see who else has an address.
    let until = known.until().filter(|_| settings.attributes.is_empty());
    let Some(until) = until else {
        return Ok(vec![]);
    };
    let from = changes::before(until);
    let changes = changes::list(account, settings, known, from, MOST_PAGES).await?;
    changes.note(known);
    Ok(match changes.extent {
        Extent::Whole => changes.accounts,
        Extent::Longer | Extent::Moved | Extent::PassedOver => vec![],
    })
}

/// The entry of this person, where it was listed just now, says that the account can't be used, and nobody else has its
/// address.
fn certain(known: &KnownPeople, changed: &[Changed], id: &ExternalId) -> Option<User> {
    let number: u64 = id.as_str().parse().ok()?;
    let mut of_id = changed.iter().filter(|one| one.listed.id == number);
    let person: &Person = of_id.next()?.person.as_ref()?;
    let mut builder = DirectoryBuilder::new();
    add(&mut builder, person);
    let mut users = builder.finish().into_inner().users;
    let user = users.pop().filter(|_| users.is_empty())?;
    let address = known.hash(user.email.as_ref().ok()?);
    let has_left = user.id == *id && user.state != AccountState::Active;
    // A read that ended meanwhile may have begun before what is listed here.
    let mut others = changed.iter().filter(|one| one.listed.id != number);
    let has_twin = others.any(|one| one.listed.address == Some(address));
    let is_certain =
        has_left && !has_twin && of_id.next().is_none() && known.is_alone(number, address)?;
    is_certain.then_some(user)
}
