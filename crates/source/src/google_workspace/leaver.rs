//! Reads one person alone, to tell whether they certainly left.

use super::api::Api;
use super::settings::{GoogleWorkspaceSettings, Tenant};
use super::users::{account, add, search_lists};
use super::wire::{DeletedUser, User};
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::http::ApiError;

/// Whether the person with this ID has left: the account with the ID is suspended or archived, and no other account has
/// its address.
///
/// In Google an address belongs to one account, as its own or as an alias, so that the account has to be the one that
/// is found by it. A search comes on top, and may know a new account only hours later. After a deletion the address is
/// free: a new account may have it, and Google may not show that one yet. So nobody who was deleted is certain.
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
    let Some(found) = api.user(id.as_str()).await? else {
        return uncertain("no account has this ID");
    };
    if found.id != id.as_str() {
        return uncertain("another account has this ID");
    }
    if let Err(why) = seen(&mut builder, settings, &found) {
        return uncertain(why);
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
    match api.user(&text).await? {
        None => return uncertain("the address can't be searched for"),
        Some(other) if other.id != id.as_str() => {
            return uncertain("another account has the same address");
        }
        Some(_) => {}
    }
    let mut is_found = false;
    for list in search_lists(api, &settings.tenant, &format!("email='{text}'")) {
        let page = api.page::<DeletedUser>(&list, None).await?;
        let has_more = page.next_page_token.is_some_and(|next| !next.is_empty());
        if has_more || page.items.iter().any(|one| one.id != id.as_str()) {
            return uncertain("another account has the same address");
        }
        is_found |= !page.items.is_empty();
    }
    if !is_found {
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

/// Google takes an ID or an address in a path, and nothing else; a search takes the same between quotes.
fn is_key(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "@._-+".contains(c);
    !text.is_empty() && text.chars().all(is_part)
}
