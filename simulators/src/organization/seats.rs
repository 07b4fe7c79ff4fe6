//! Seats: who takes one, and when the server adds more by itself.

use super::answers::Refusal;
use super::config::{Config, Profile};
use super::store::Store;

/// Makes sure of so many free seats, buying more where the organization allows it. Where more are in
/// use than there are, even none is too many.
pub(super) fn take(store: &mut Store, config: &Config, needed: usize) -> Result<(), Refusal> {
    let Some(seats) = store.seats.seats else {
        return Ok(());
    };
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    let total = store.seats_in_use().saturating_add(needed);
    if total <= seats {
        return Ok(());
    }
    if config.profile != (Profile::Official { cloud: true }) {
        return Err(Refusal::Bad("Cannot autoscale on self-hosted instance."));
    }
    if store.seats.max_autoscale.is_some_and(|max| total > max) {
        return Err(Refusal::Bad("Seat limit has been reached."));
    }
    store.seats.seats = Some(total);
    Ok(())
}
