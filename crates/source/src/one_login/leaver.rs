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
/// beyond what was asked for makes the answer uncertain. It doesn't say whether it tells capital letters apart: in each
/// field the account itself has to be found in another case, so that a twin would be, too.
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
    let Some(listed) = users(account, &by_id).await? else {
        return uncertain("more accounts are listed than this one");
    };
    let fields = listed
        .first()
        .map(|user| Field::ALL.map(|field| field.of(user)));
    let mut found: Vec<Person> = vec![];
    for user in listed {
        found.extend(people::keep(settings, user)?);
    }
    let ([person], Some(own)) = (&*found, fields) else {
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
    for (field, own) in Field::ALL.into_iter().zip(own) {
        let Some(proof) = other_case(&own) else {
            return uncertain("the account has nothing by which the search can be proven");
        };
        let texts = field.texts(settings, address, proof.clone());
        for text in texts {
            let Some(listed) = users(account, &list(field, &text)).await? else {
                return uncertain("too many accounts have the address");
            };
            let mut finds_account = false;
            for other in listed {
                if !field.of(&other).eq_ignore_ascii_case(&text) {
                    return uncertain("the address can't be searched for");
                }
                let has_address = Email::parse(&email(settings, &other)).as_ref() == Ok(address);
                finds_account |= other.id == number;
                if other.id != number && has_address {
                    return uncertain("another account has the same address");
                }
            }
            // OneLogin tells letters apart that addresses don't, or doesn't show the account.
            if text == proof && !finds_account {
                return uncertain("the address can't be searched for");
            }
        }
    }
    Ok(LeaverCheck::Left(Box::new(user.clone())))
}

/// A field that an address is read from.
#[derive(Clone, Copy)]
enum Field {
    Email,
    Username,
}

impl Field {
    const ALL: [Self; 2] = [Self::Email, Self::Username];

    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Username => "username",
        }
    }

    fn of(self, user: &User) -> String {
        let value = match self {
            Self::Email => user.email.as_deref(),
            Self::Username => user.username.as_deref(),
        };
        value.unwrap_or_default().trim().to_owned()
    }

    /// What is asked for in this field: what proves that the account itself is found by another case, and whatever
    /// makes this address.
    fn texts(self, settings: &OneLoginSettings, address: &Email, proof: String) -> Vec<String> {
        let address = address.as_str().to_uppercase();
        let suffix = settings.email_suffix.as_deref().unwrap_or_default();
        let before_suffix = address.strip_suffix(&suffix.trim().to_uppercase());
        let is_name = |name: &&str| !suffix.is_empty() && !name.is_empty();
        let name = match self {
            Self::Email => None,
            Self::Username => before_suffix.filter(is_name),
        };
        let name = name.map(str::to_owned);
        let mut texts = vec![proof];
        for text in [Some(address), name].into_iter().flatten() {
            if !texts.iter().any(|one| one.eq_ignore_ascii_case(&text)) {
                texts.push(text);
            }
        }
        texts
    }
}

/// The same text in another case; `None` where it has no other, or stands for more than itself in a search.
fn other_case(text: &str) -> Option<String> {
    let cases = [text.to_uppercase(), text.to_lowercase()];
    let other = cases.into_iter().find(|case| case != text);
    other.filter(|_| !text.contains(['*', ',']))
}

fn list(field: Field, text: &str) -> List {
    List {
        version: Version::Two,
        path: vec!["users".to_owned()],
        query: vec![
            ("fields".to_owned(), FIELDS.join(",")),
            (field.name().to_owned(), text.to_owned()),
        ],
        endpoint: "GET /api/2/users",
        purpose: Purpose::List,
    }
}

/// The accounts that fit, where they are on one page; `None` where there may be more.
async fn users(account: &Account, list: &List) -> Result<Option<Vec<User>>, ApiError> {
    let page = account.first::<User>(list).await;
    let (_, page) = page.map_err(|error| error.into_failure(list.purpose))?;
    let is_whole = page.next.is_none() && page.total.is_none_or(|all| all <= page.entries.len());
    Ok(is_whole.then_some(page.entries))
}
