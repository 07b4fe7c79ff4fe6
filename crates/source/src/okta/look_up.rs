//! Looks for one person by what people call them, whatever the filters leave out.

use std::collections::BTreeMap;

use super::error::Purpose;
use super::limit::RateLimitBucket;
use super::pages::{List, Organization};
use super::settings::OktaSettings;
use super::wire::{self, User};
use crate::directory::{LookedUp, Lookup};
use crate::http::ApiError;

/// The people with this ID, address or login.
///
/// # Errors
/// When Okta can't be asked.
pub(super) async fn look_up(
    organization: &Organization,
    settings: &OktaSettings,
    name: &str,
) -> Result<Lookup, ApiError> {
    // They end or escape a text there.
    if name.contains(['"', '\\']) {
        return Ok(Lookup::Unsupported);
    }
    let named =
        format!(r#"profile.email eq "{name}" or profile.login eq "{name}" or id eq "{name}""#);
    // Deactivated people are left out unless they are asked for.
    let deactivated = format!(r#"({named}) and status eq "DEPROVISIONED""#);
    let mut found: BTreeMap<String, User> = BTreeMap::new();
    for search in [&named, &deactivated] {
        let list = List {
            url: organization.url(&["users"], &[("limit", "5"), ("search", search)]),
            endpoint: "GET /api/v1/users",
            bucket: RateLimitBucket::Users,
            purpose: Purpose::List {
                scope: "okta.users.read",
                expression: None,
            },
        };
        let pages = organization.read(&list, |page: Vec<User>| {
            found.extend(page.into_iter().map(|user| (user.id.clone(), user)));
            Ok(())
        });
        pages
            .await
            .map_err(|error| error.into_failure(list.purpose))?;
    }
    let found = found.into_values().map(|user| {
        let profile = &user.profile;
        let state = wire::meaning(&settings.statuses, &user.status);
        LookedUp::new(
            profile.login.as_deref().unwrap_or(&user.id),
            &user.id,
            profile.email.as_deref().unwrap_or_default(),
            state.ok().flatten(),
        )
    });
    Ok(Lookup::Found(found.collect()))
}
