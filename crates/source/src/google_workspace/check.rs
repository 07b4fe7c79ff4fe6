//! What a person wants to know before the first sync.

use super::api::{Api, List};
use super::error::{accounts_hidden, exchange_failure, token_failure};
use super::groups::member_list;
use super::settings::GoogleWorkspaceSettings;
use super::wire::{Group, Member, Page, User};
use super::{groups, users};
use crate::Step;
use crate::text::sanitize;

/// Tries each kind of call that a read makes, once.
pub(super) async fn check(api: &Api, settings: &GoogleWorkspaceSettings) -> Vec<Step> {
    let mut steps = vec![];
    if let Some(federation) = &api.federation {
        let exchanged = federation.tokens.get().await;
        let failed = exchanged.is_err();
        let refused = |error| exchange_failure(error).to_string();
        steps.push(Step {
            name: "exchange the cluster's token".to_owned(),
            result: exchanged
                .map(|_| "the workload identity provider accepts it".to_owned())
                .map_err(refused),
        });
        if failed {
            return steps;
        }
    }
    let token = api.tokens.get().await;
    let failed = token.is_err();
    let account = sanitize(&api.account.service_account);
    steps.push(Step {
        name: "get an access token".to_owned(),
        result: token
            .map(|_| match &api.account.admin {
                Some(admin) => format!("{account} may act for {}", sanitize(admin)),
                None => format!("{account} acts for itself"),
            })
            .map_err(|error| token_failure(error).to_string()),
    });
    if failed {
        return steps;
    }
    for list in users::lists(api, &settings.tenant, &settings.users) {
        let page = first::<User>(api, &list).await;
        steps.push(Step {
            name: format!("read people{}", of(&list)),
            result: page.and_then(|page| match page.items.first() {
                None => Ok("there is nobody".to_owned()),
                Some(user) if user.suspended.is_none() => {
                    Err(accounts_hidden(&user.primary_email, &api.account).to_string())
                }
                Some(user) => {
                    let example = sanitize(&user.primary_email);
                    Ok(format!("{} people, such as {example}", count(&page)))
                }
            }),
        });
    }
    let Some(which) = &settings.groups else {
        return steps;
    };
    let mut sample = None;
    for list in groups::lists(api, &settings.tenant, which) {
        let page = first::<Group>(api, &list).await;
        if let Ok(page) = &page {
            sample = sample.or_else(|| page.items.first().map(|g| (g.id.clone(), g.email.clone())));
        }
        steps.push(Step {
            name: format!("read groups{}", of(&list)),
            result: page.map(|page| format!("{} groups", count(&page))),
        });
    }
    if let Some((id, email)) = sample {
        let page = first::<Member>(api, &member_list(api, &id)).await;
        steps.push(Step {
            name: format!("read the members of {}", sanitize(&email)),
            result: page.map(|page| format!("{} members", count(&page))),
        });
    }
    steps
}

async fn first<T>(api: &Api, list: &List) -> Result<Page<T>, String>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let page = api.page(list, None).await;
    page.map_err(|error| error.to_string())
}

/// How many there are, as far as one page tells.
fn count<T>(page: &Page<T>) -> String {
    let count = page.items.len();
    match page.next_page_token {
        Some(_) => format!("more than {count}"),
        None => count.to_string(),
    }
}

/// Whose list it is.
fn of(list: &List) -> String {
    let mut query = list.url.query_pairs();
    let whose = query.find(|(name, _)| name == "customer" || name == "domain");
    whose.map_or_else(String::new, |(_, whose)| {
        format!(" of {}", sanitize(&whose))
    })
}
