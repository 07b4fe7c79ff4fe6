//! Reads one person alone, to tell whether they certainly left.

use super::error::Purpose;
use super::pages::{Account, List, Version};
use super::people::{self, FIELDS, Person, email};
use super::read::add;
use super::settings::OneLoginSettings;
use super::wire::User;
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, Email, ExternalId};
use crate::http::ApiError;

/// Whether the person with this id has left: an account with the attributes that the settings ask for has the id,
/// and no other account has its address.
///
/// OneLogin passes over parameters of a query that it doesn't know, and lists everybody then: what it lists
/// beyond what was asked for makes the answer uncertain.
///
/// # Errors
/// When OneLogin can't be asked.
pub(super) async fn check(
    account: &Account,
    settings: &OneLoginSettings,
    id: &ExternalId,
) -> Result<LeaverCheck, ApiError> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    let Ok(number) = id.as_str().parse::<u64>() else {
        return uncertain("the id is none of OneLogin's");
    };
    let mut by_id = people::list(settings);
    by_id
        .query
        .push(("user_ids".to_owned(), number.to_string()));
    let mut found: Vec<Person> = vec![];
    for user in users(account, &by_id).await? {
        found.extend(people::keep(settings, user)?);
    }
    let [person] = &*found else {
        return uncertain("not one account with the attributes has this id");
    };
    let mut builder = DirectoryBuilder::new();
    add(&mut builder, person);
    let read = builder.finish().into_inner();
    let [user] = &*read.users else {
        return uncertain("it isn't known whether the account may be used");
    };
    let Some(address) = user.email.as_ref().ok() else {
        return uncertain("the account has no address");
    };
    if person.id != number || user.id != *id || user.state == AccountState::Active {
        return uncertain("the account may be used");
    }
    // It stands for any text, or parts two values.
    if address.as_str().contains(['*', ',']) {
        return uncertain("the address can't be searched for");
    }
    let mut finds_account = false;
    for (parameter, text) in spellings(settings, address) {
        let list = List {
            version: Version::Two,
            path: vec!["users".to_owned()],
            query: vec![
                ("fields".to_owned(), FIELDS.join(",")),
                (parameter.to_owned(), text.clone()),
            ],
            endpoint: "GET /api/2/users",
            purpose: Purpose::List,
        };
        for other in users(account, &list).await? {
            let value = match parameter {
                "email" => other.email.as_deref(),
                _ => other.username.as_deref(),
            };
            let is_asked_for = value.is_some_and(|value| value.trim().eq_ignore_ascii_case(&text));
            if !is_asked_for {
                return uncertain("the address can't be searched for");
            }
            let has_address = Email::parse(&email(settings, &other)).as_ref() == Ok(address);
            match (other.id == number, has_address) {
                (true, has_address) => finds_account |= has_address,
                (false, true) => return uncertain("another account has the same address"),
                (false, false) => {}
            }
        }
    }
    match finds_account {
        true => Ok(LeaverCheck::Left(Box::new(user.clone()))),
        // OneLogin tells letters apart that addresses don't.
        false => uncertain("the address can't be searched for"),
    }
}

/// The fields that this address may be read from, with their values: in another case, so that the account itself is
/// found only where OneLogin compares without.
fn spellings(settings: &OneLoginSettings, address: &Email) -> Vec<(&'static str, String)> {
    let text = address.as_str().to_uppercase();
    let suffix = settings.email_suffix.as_deref().unwrap_or_default();
    let before_suffix = text.strip_suffix(&suffix.trim().to_uppercase());
    let before_suffix = before_suffix.filter(|name| !suffix.is_empty() && !name.is_empty());
    let mut spellings = vec![("email", text.clone()), ("username", text.clone())];
    spellings.extend(before_suffix.map(|name| ("username", name.to_owned())));
    spellings
}

/// The first page of the accounts that fit.
async fn users(account: &Account, list: &List) -> Result<Vec<User>, ApiError> {
    let page = account.first::<User>(list).await;
    let (_, page) = page.map_err(|error| error.into_failure(list.purpose))?;
    Ok(page.entries)
}
