//! Looks for one account by what people call it, whatever the filters leave out.

use std::collections::BTreeMap;

use super::error::Purpose;
use super::pages::{Account, List, Version};
use super::people::{FIELDS, email, state};
use super::settings::OneLoginSettings;
use super::wire::User;
use crate::directory::{LookedUp, Lookup};
use crate::http::ApiError;

/// The accounts with this ID, address or user name.
///
/// # Errors
/// When OneLogin can't be asked.
pub(super) async fn look_up(
    account: &Account,
    settings: &OneLoginSettings,
    name: &str,
) -> Result<Lookup, ApiError> {
    // It stands for any text there.
    if name.contains('*') {
        return Ok(Lookup::Unsupported);
    }
    let mut asked = vec![("email", name), ("username", name)];
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        asked.push(("user_ids", name));
    }
    let mut found: BTreeMap<u64, User> = BTreeMap::new();
    for (parameter, value) in asked {
        let list = List {
            version: Version::Two,
            path: vec!["users".to_owned()],
            query: vec![
                ("fields".to_owned(), FIELDS.join(",")),
                (parameter.to_owned(), value.to_owned()),
            ],
            endpoint: "GET /api/2/users",
            purpose: Purpose::List,
        };
        // A parameter that OneLogin passes over lets everybody through.
        let is_named = |user: &User| {
            let texts = [user.email.as_deref(), user.username.as_deref()];
            let mut texts = texts.into_iter().flatten();
            user.id.to_string() == name || texts.any(|text| text.eq_ignore_ascii_case(name))
        };
        let keep = |user: User| Ok(is_named(&user).then_some(user));
        let users: Vec<User> = account
            .read(&list, keep, |_| {})
            .await
            .map_err(|error| error.into_failure(list.purpose))?;
        found.extend(users.into_iter().map(|user| (user.id, user)));
    }
    let found = found.into_values().map(|user| {
        let id = user.id.to_string();
        let state = state(settings, &user).ok().flatten();
        LookedUp::new(
            user.username.as_deref().unwrap_or(&id),
            &id,
            &email(settings, &user),
            state.map(|state| state.state),
        )
    });
    Ok(Lookup::Found(found.collect()))
}
