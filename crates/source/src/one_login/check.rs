//! What a person wants to know before the first sync.

use serde::de::DeserializeOwned;

use super::error::{Purpose, failure};
use super::pages::{Account, List, Page};
use super::settings::OneLoginSettings;
use super::wire::{Group, Member, User};
use super::{people, read};
use crate::Step;
use crate::api::spec::OneLoginGroupsFrom;
use crate::text::sanitize;

/// Tries each kind of call that a read makes, once.
pub(super) async fn check(account: &Account, settings: &OneLoginSettings) -> Vec<Step> {
    let token = account.tokens.get().await;
    let failed = token.is_err();
    let refused = |error| failure(error, Purpose::Token).to_string();
    let mut steps = vec![Step {
        name: "get an access token".to_owned(),
        result: token
            .map(|_| "the API credentials are accepted".to_owned())
            .map_err(refused),
    }];
    if failed {
        return steps;
    }
    let list = people::list(settings);
    steps.push(Step {
        name: format!("read people from {}", account.list_address(&list)),
        result: people_seen(account, settings, &list).await,
    });
    match settings.groups {
        None => {}
        Some(OneLoginGroupsFrom::Groups) => {
            let groups = first::<Group>(account, &read::group_list()).await;
            steps.push(Step {
                name: "read groups".to_owned(),
                result: groups.map(|groups| counted(&groups, "groups")),
            });
        }
        Some(OneLoginGroupsFrom::Roles) => {
            let roles = first::<Group>(account, &read::role_list()).await;
            let sample = roles.as_ref().ok().and_then(|roles| {
                let role = roles.entries.first()?;
                Some((role.id, sanitize(role.name.as_deref().unwrap_or_default())))
            });
            steps.push(Step {
                name: "read roles".to_owned(),
                result: roles.map(|roles| counted(&roles, "roles")),
            });
            if let Some((id, name)) = sample {
                let members = first::<Member>(account, &read::member_list(id)).await;
                steps.push(Step {
                    name: format!("read who is in the role {name}"),
                    result: members.map(|members| counted(&members, "people")),
                });
            }
        }
    }
    steps
}

async fn people_seen(
    account: &Account,
    settings: &OneLoginSettings,
    list: &List,
) -> Result<String, String> {
    let page = first::<User>(account, list).await?;
    let count = counted(&page, "people");
    let mut sample = None;
    for user in page.entries {
        match people::keep(settings, user) {
            Ok(person) => sample = sample.or(person),
            Err(failure) => return Err(failure.to_string()),
        }
    }
    Ok(match sample {
        None => format!("{count}, none of them in scope"),
        Some(person) => format!("{count}, such as {}", sanitize(&person.name)),
    })
}

fn counted<T>(page: &Page<T>, what: &str) -> String {
    let here = page.entries.len();
    match (page.total, &page.next) {
        (Some(total), _) => format!("{total} {what}"),
        (None, Some(_)) => format!("more than {here} {what}"),
        (None, None) => format!("{here} {what}"),
    }
}

async fn first<T>(account: &Account, list: &List) -> Result<Page<T>, String>
where
    T: DeserializeOwned + Send + 'static,
{
    let page = account.first(list).await;
    page.map(|(_, page)| page)
        .map_err(|error| error.into_failure(list.purpose).to_string())
}
