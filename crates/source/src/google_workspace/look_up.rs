//! Looks for one account by what people call it, whatever the filters leave out.

use super::api::Api;
use super::settings::UserSettings;
use super::users::{email, state};
use crate::directory::LookedUp;
use crate::http::ApiError;

/// The account with this ID, address or alias.
///
/// # Errors
/// When Google can't be asked.
pub(super) async fn look_up(
    api: &Api,
    settings: &UserSettings,
    name: &str,
) -> Result<Vec<LookedUp>, ApiError> {
    // Google takes an ID or an address, and nothing else.
    let is_key = |c: char| c.is_ascii_alphanumeric() || "@._-+'".contains(c);
    if name.is_empty() || !name.chars().all(is_key) {
        return Ok(vec![]);
    }
    let found = api.user(name).await?;
    let found = found.into_iter().map(|user| {
        let suspended = user.suspended;
        let state = suspended.and_then(|suspended| state(settings, suspended, user.archived));
        let email = email(&user, settings.email_domain.as_deref());
        LookedUp::new(&user.primary_email, &user.id, email, state)
    });
    Ok(found.collect())
}
