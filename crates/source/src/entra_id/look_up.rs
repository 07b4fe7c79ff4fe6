//! Looks for one account by what people call it, whatever the filters leave out.

use uuid::Uuid;

use super::graph::{Graph, List, USERS};
use super::settings::EntraIdSettings;
use super::users::{email, properties};
use super::wire::User;
use crate::directory::{AccountState, LookedUp};
use crate::http::ApiError;

/// More accounts aren't looked at.
const MOST: &str = "5";

/// The accounts with this object ID; or with this address or user principal name.
///
/// # Errors
/// When Graph can't be asked.
pub(super) async fn look_up(
    graph: &Graph,
    settings: &EntraIdSettings,
    name: &str,
) -> Result<Vec<LookedUp>, ApiError> {
    let filter = match Uuid::parse_str(name) {
        Ok(id) => format!("id eq '{id}'"),
        Err(_) => {
            let text = name.replace('\'', "''");
            format!("mail eq '{text}' or userPrincipalName eq '{text}'")
        }
    };
    let list = List::new(&USERS, "/users")
        .select(properties(&settings.users))
        .with("$top", MOST)
        .with("$filter", filter);
    let found: Vec<User> = graph.all(&list).await?;
    let found = found.into_iter().map(|user| {
        let (id, name) = (user.id.to_string(), user.user_principal_name.as_deref());
        let email = email(
            user.mail.as_deref(),
            name.unwrap_or_default(),
            settings.users.email,
        );
        let state = user.account_enabled.map(|enabled| match enabled {
            true => AccountState::Active,
            false => AccountState::Disabled,
        });
        LookedUp::new(name.unwrap_or(&id), &id, email, state)
    });
    Ok(found.collect())
}
