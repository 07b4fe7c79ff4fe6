//! Reads people, groups and memberships of an account into one directory.

use std::sync::{Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::error::{Purpose, is_gone};
use super::known::{KnownPeople, Listed};
use super::pages::{Account, List, ListError, Version};
use super::people::{self, Person};
use super::settings::OneLoginSettings;
use super::wire::{Group, Member};
use crate::ReadProgress;
use crate::api::spec::OneLoginGroupsFrom;
use crate::complete::Complete;
use crate::directory::{self, Directory, DirectoryBuilder, EntryKey};
use crate::http::ApiError;

/// Roles whose members are read at once.
const SIDE_BY_SIDE: usize = 8;

/// A group with those of its members that it lists itself.
type WithMembers = (Group, Vec<EntryKey>);

/// Reads everything in the source's scope.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
    progress: &ReadProgress,
) -> Result<Complete<Directory>, ApiError> {
    let began = Timestamp::now();
    // Members get their keys as they come: each id is held once, however many roles name it.
    let keys = Mutex::new(DirectoryBuilder::new());
    let people = read_people(account, settings, known, progress);
    let groups = async {
        match settings.groups {
            Some(OneLoginGroupsFrom::Roles) => read_roles(account, &keys, progress).await,
            Some(OneLoginGroupsFrom::Groups) => read_groups(account, progress).await,
            None => Ok(vec![]),
        }
    };
    let (people, groups) = tokio::try_join!(people, groups)?;

    let (listed, people): (Vec<Listed>, Vec<Option<Person>>) = people.into_iter().unzip();
    let people = people.into_iter().flatten();
    let mut builder = keys.into_inner().unwrap_or_else(PoisonError::into_inner);
    builder.account_rule("status or state", &settings.describe_states());
    for person in people {
        let key = add(&mut builder, &person);
        if let Some(group) = person.group
            && settings.groups == Some(OneLoginGroupsFrom::Groups)
        {
            let group = group_key(&mut builder, group);
            builder.member_of(key, group);
        }
    }
    for (group, members) in groups {
        let key = group_key(&mut builder, group.id);
        let name = group.name.unwrap_or_default();
        builder.group(&[key], &group.id.to_string(), &name, members);
    }
    known.note(listed, account.by_its_clock(began));
    Ok(builder.finish())
}

/// Puts a person into a directory; without an answer to whether the account may be used, as one of whom that
/// isn't known.
pub(super) fn add(builder: &mut DirectoryBuilder, person: &Person) -> EntryKey {
    let key = user_key(builder, person.id);
    let id = person.id.to_string();
    match &person.account {
        Ok(state) => {
            let account = directory::Account::new(state.state, state.field, &state.value)
                .changed(person.updated);
            builder.user(&[key], &id, &person.email, account, &person.name);
        }
        Err(why) => builder.undecided_user(&[key], &id, &person.email, &person.name, why),
    }
    key
}

/// People and groups are numbered apart.
fn user_key(builder: &mut DirectoryBuilder, id: u64) -> EntryKey {
    builder.key(&format!("user {id}"))
}

fn group_key(builder: &mut DirectoryBuilder, id: u64) -> EntryKey {
    builder.key(&format!("group {id}"))
}

async fn read_people(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
    progress: &ReadProgress,
) -> Result<Vec<(Listed, Option<Person>)>, ApiError> {
    let list = people::list(settings);
    let keep = |user| {
        let (listed, person) = known.keep(settings, user);
        Ok(Some((listed, person?)))
    };
    account
        .read(&list, keep, |more| progress.add_users(more))
        .await
        .map_err(|error| error.into_failure(list.purpose))
}

/// The list of roles.
pub(super) fn role_list() -> List {
    List {
        version: Version::Two,
        path: vec!["roles".to_owned()],
        query: vec![],
        endpoint: "GET /api/2/roles",
        purpose: Purpose::List,
    }
}

/// The list of those in a role.
pub(super) fn member_list(role: u64) -> List {
    List {
        version: Version::Two,
        path: vec!["roles".to_owned(), role.to_string(), "users".to_owned()],
        query: vec![],
        endpoint: "GET /api/2/roles/{id}/users",
        purpose: Purpose::List,
    }
}

/// The list of groups, which version 2 lacks.
pub(super) fn group_list() -> List {
    List {
        version: Version::One,
        path: vec!["groups".to_owned()],
        query: vec![],
        endpoint: "GET /api/1/groups",
        purpose: Purpose::List,
    }
}

async fn read_groups(
    account: &Account,
    progress: &ReadProgress,
) -> Result<Vec<WithMembers>, ApiError> {
    let list = group_list();
    // Each person lists their own group.
    let keep = |group: Group| Ok(Some((group, vec![])));
    account
        .read(&list, keep, |more| progress.add_groups(more))
        .await
        .map_err(|error| error.into_failure(list.purpose))
}

async fn read_roles(
    account: &Account,
    keys: &Mutex<DirectoryBuilder>,
    progress: &ReadProgress,
) -> Result<Vec<WithMembers>, ApiError> {
    let list = role_list();
    let roles = account
        .read(&list, |role: Group| Ok(Some(role)), |_| {})
        .await
        .map_err(|error| error.into_failure(list.purpose))?;
    let read = stream::iter(roles)
        .map(|role| async move {
            let members = read_members(account, role.id, keys).await?;
            progress.add_groups(1);
            Ok::<_, ApiError>(members.map(|members| (role, members)))
        })
        .buffer_unordered(SIDE_BY_SIDE);
    read.try_filter_map(|role| std::future::ready(Ok(role)))
        .try_collect()
        .await
}

/// Who is in a role; `None` when OneLogin says that the role is gone by now.
async fn read_members(
    account: &Account,
    role: u64,
    keys: &Mutex<DirectoryBuilder>,
) -> Result<Option<Vec<EntryKey>>, ApiError> {
    let list = member_list(role);
    let keep = |member: Member| {
        Ok((member.assigned != Some(false)).then(|| {
            let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            user_key(&mut keys, member.id)
        }))
    };
    match account.read(&list, keep, |_| {}).await {
        Ok(members) => Ok(Some(members)),
        Err(ListError::Http(error)) if is_gone(&error) => Ok(None),
        Err(error) => Err(error.into_failure(list.purpose)),
    }
}
