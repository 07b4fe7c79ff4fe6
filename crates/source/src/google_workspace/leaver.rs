//! Reads one person alone, to tell whether they certainly left.

use super::api::Api;
use super::settings::{GoogleWorkspaceSettings, Tenant};
use super::users::{account, add, add_deleted, deleted_lists, search_lists};
use super::wire::{DeletedUser, User};
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::http::ApiError;

/// In more pages nobody is looked for among the deleted.
const PAGES: usize = 4;

/// Whether the person with this ID has left: the account with the ID is suspended or archived, or it is gone and
/// among the deleted ones; and no other account has its address.
///
/// The address is looked for by two ways. Google finds the one account that has it, as its own or as an alias,
/// without delay; a search finds any, and may know a new one only hours later.
///
/// # Errors
/// When Google can't be asked.
pub(super) async fn check(
    api: &Api,
    settings: &GoogleWorkspaceSettings,
    id: &ExternalId,
) -> Result<LeaverCheck, ApiError> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    if !is_key(id.as_str()) {
        return uncertain("the ID is none of Google's");
    }
    if settings.users.query.is_some() {
        return uncertain("who fits users.query has to be read");
    }
    let mut builder = DirectoryBuilder::new();
    let found = api.user(id.as_str()).await?;
    let is_there = found.is_some();
    match found {
        Some(found) if found.id != id.as_str() => return uncertain("another account has this ID"),
        Some(found) => match seen(&mut builder, settings, &found) {
            Ok(()) => {}
            Err(why) => return uncertain(why),
        },
        None => match find_deleted(api, &settings.tenant, id).await? {
            Some(found) => add_deleted(&mut builder, &found),
            None => {
                return uncertain(
                    "no account has this ID, and it isn't found among the deleted ones",
                );
            }
        },
    }
    let read = builder.finish().into_inner();
    let [user] = &*read.users else {
        return uncertain("the account can't be identified");
    };
    let Some(email) = user.email.as_ref().ok() else {
        return uncertain("the account has no address");
    };
    if user.id != *id || user.state == AccountState::Active {
        return uncertain("the account may be used");
    }
    if !is_key(email.as_str()) {
        return uncertain("the address can't be searched for");
    }
    // In another case: the account itself is found by it only where Google compares without.
    let text = email.as_str().to_uppercase();
    let with_address = api.user(&text).await?;
    let is_other = with_address
        .as_ref()
        .is_some_and(|one| one.id != id.as_str());
    let mut by_search = vec![];
    for list in search_lists(api, &settings.tenant, &format!("email='{text}'")) {
        by_search.extend(api.page::<DeletedUser>(&list, None).await?.items);
    }
    if is_other || by_search.iter().any(|one| one.id != id.as_str()) {
        return uncertain("another account has the same address");
    }
    // Whoever was deleted has no address any more, and the search may not know that yet.
    if is_there && (with_address.is_none() || by_search.is_empty()) {
        return uncertain("the address can't be searched for");
    }
    Ok(LeaverCheck::Left(Box::new(user.clone())))
}

/// Puts an account into a directory if a read would see it as one that can't be used; else why not.
fn seen(
    builder: &mut DirectoryBuilder,
    settings: &GoogleWorkspaceSettings,
    found: &User,
) -> Result<(), &'static str> {
    if found.is_guest_user {
        return Err("the account is a guest's");
    }
    let is_in = |domains: &[String]| {
        let domain = found
            .primary_email
            .rsplit_once('@')
            .map(|(_, domain)| domain);
        let mut domains = domains.iter();
        domain.is_some_and(|domain| domains.any(|one| one.eq_ignore_ascii_case(domain)))
    };
    match &settings.tenant {
        Tenant::Domains(domains) if !is_in(domains) => {
            return Err("the account isn't in one of the domains that are read");
        }
        Tenant::Domains(_) | Tenant::Customer(_) => {}
    }
    let account = account(&settings.users, found);
    let account = account.ok_or("Google doesn't say whether the account is suspended")?;
    let account = account.ok_or("accounts like this one count as absent")?;
    add(builder, &settings.users, found, account);
    Ok(())
}

async fn find_deleted(
    api: &Api,
    tenant: &Tenant,
    id: &ExternalId,
) -> Result<Option<DeletedUser>, ApiError> {
    for list in deleted_lists(api, tenant, "id,primaryEmail,deletionTime") {
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let page = api.page::<DeletedUser>(&list, token.as_deref()).await?;
            let found = page.items.into_iter().find(|one| one.id == id.as_str());
            if found.is_some() {
                return Ok(found);
            }
            token = page.next_page_token.filter(|next| !next.is_empty());
            if token.is_none() {
                break;
            }
        }
    }
    Ok(None)
}

/// Google takes an ID or an address in a path, and nothing else; a search takes the same between quotes.
fn is_key(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "@._-+".contains(c);
    !text.is_empty() && text.chars().all(is_part)
}
