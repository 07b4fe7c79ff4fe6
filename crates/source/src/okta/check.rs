//! What a person wants to know before the first sync.

use super::error::{Purpose, failure};
use super::pages::{List, Organization};
use super::read::{assigned_users, group_list, member_list, user_lists};
use super::settings::OktaSettings;
use super::wire::{Group, Id, User};
use crate::Step;
use crate::text::sanitize;

/// Tries each kind of call that a read makes, once.
pub(super) async fn check(organization: &Organization, settings: &OktaSettings) -> Vec<Step> {
    let mut steps = vec![];
    if organization.buys_tokens {
        let token = organization.tokens.get().await;
        let failed = token.is_err();
        let refused = |error| failure(error, Purpose::Token).to_string();
        steps.push(Step {
            name: "get an access token".to_owned(),
            result: token
                .map(|_| "the service app's key is accepted".to_owned())
                .map_err(refused),
        });
        if failed {
            return steps;
        }
    }
    for list in user_lists(organization, settings) {
        let users = first::<User>(organization, &list).await;
        steps.push(Step {
            name: format!("read people from {}", sanitize(list.url.as_str())),
            result: users.map(|(users, more)| match users.first() {
                None => "there is nobody".to_owned(),
                Some(user) => format!(
                    "{}{} people, such as {}",
                    if more { "more than " } else { "" },
                    users.len(),
                    sanitize(user.profile.login.as_deref().unwrap_or(&user.id))
                ),
            }),
        });
    }
    if let Some(id) = &settings.application_id {
        let assigned = first::<Id>(organization, &assigned_users(organization, id)).await;
        steps.push(Step {
            name: format!("read who is assigned to the application {}", sanitize(id)),
            result: assigned.map(|(users, more)| match users.len() {
                0 => "nobody is".to_owned(),
                count if more => format!("more than {count} people are"),
                count => format!("{count} people are"),
            }),
        });
    }
    if let Some(scope) = &settings.groups {
        let groups = first::<Group>(organization, &group_list(organization, scope)).await;
        let sample = groups.as_ref().ok().and_then(|(groups, _)| {
            let mut fitting = groups.iter();
            let found = fitting.find(|group| group.is_one_of(&scope.types))?;
            let name = found.profile.name.as_deref().unwrap_or_default();
            Some((found.id.clone(), sanitize(name)))
        });
        steps.push(Step {
            name: "read groups".to_owned(),
            result: groups.map(|(groups, more)| {
                let at_least = if more { "more than " } else { "" };
                format!("{at_least}{} groups of all kinds", groups.len())
            }),
        });
        if let Some((id, name)) = sample {
            let members = first::<Id>(organization, &member_list(organization, &id)).await;
            steps.push(Step {
                name: format!("read the members of {name}"),
                result: members.map(|(members, more)| {
                    let at_least = if more { "more than " } else { "" };
                    format!("{at_least}{} people", members.len())
                }),
            });
        }
    }
    steps
}

/// The first page of a list, and whether there are more.
async fn first<T>(organization: &Organization, list: &List<'_>) -> Result<(Vec<T>, bool), String>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let page = organization.page(list, &list.url).await;
    page.map(|(page, next)| (page, next.is_some()))
        .map_err(|error| error.into_failure(list.purpose).to_string())
}
