//! Groups and who is in them.
//!
//! One list of members a group, some side by side. Groups within others that aren't listed
//! themselves (another domain's, or such as a query left out) are read, too: whoever is in a group
//! through one of them is put into it directly. `includeDerivedMembership` would list the same
//! people again for every group around them.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures::{StreamExt, TryStreamExt, stream};

use super::api::{Api, GROUPS, List, MEMBERS, tenant_queries};
use super::error::is_hidden_or_gone;
use super::settings::{GroupSettings, Tenant};
use super::users::{Seen, lock};
use super::wire::{Group, Member, MemberKind};
use crate::ReadProgress;
use crate::directory::{DirectoryBuilder, EntryKey, ExternalId};
use crate::http::{ApiError, FailureClass};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// Lists of members read at once: at Google's usual 200 to 300 ms what the quota of a minute allows.
const SIDE_BY_SIDE: usize = 12;
/// Entries on a page: as many as Google gives, of groups and of members.
const PAGE: &str = "200";
/// How many members from outside a problem names.
const NAMED: usize = 5;

/// Who is in a group.
#[derive(Debug, Default)]
struct Membership {
    people: Vec<EntryKey>,
    groups: Vec<EntryKey>,
    /// All of the customer.
    everyone: bool,
}

/// The groups in scope, and those within them.
#[derive(Default)]
pub(super) struct Groups {
    listed: Vec<(EntryKey, Group, Membership)>,
    /// The keys of those entries.
    keys: HashSet<EntryKey>,
    /// Groups within others that aren't listed, by id and email: to be read.
    nested: HashMap<EntryKey, (String, String)>,
    unlisted: HashMap<EntryKey, Membership>,
}

/// The lists that together hold the groups in scope.
pub(super) fn lists(api: &Api, tenant: &Tenant, settings: &GroupSettings) -> Vec<List> {
    let fields = "kind,nextPageToken,groups(id,email,name)";
    let lists = tenant_queries(tenant).into_iter().map(|whose| {
        let query = [whose, ("maxResults", PAGE), ("fields", fields)];
        api.list(&GROUPS, &["groups"], &query, settings.query.as_deref())
    });
    lists.collect()
}

/// The list of a group's members.
pub(super) fn member_list(api: &Api, group: &str) -> List {
    let fields = "kind,nextPageToken,members(id,email,type)";
    let query = [("maxResults", PAGE), ("fields", fields)];
    api.list(&MEMBERS, &["groups", group, "members"], &query, None)
}

/// Reads the groups in scope with their members.
///
/// # Errors
/// Whatever leaves a list incomplete.
pub(super) async fn read(
    api: &Api,
    tenant: &Tenant,
    settings: &GroupSettings,
    seen: &Mutex<Seen>,
    progress: &ReadProgress,
) -> Result<Groups, ApiError> {
    let mut listed: Vec<(EntryKey, Group)> = vec![];
    let mut keys = HashSet::new();
    for list in lists(api, tenant, settings) {
        api.read(&list, |page: Vec<Group>| {
            let mut seen = lock(seen);
            for group in page {
                seen.note_domain(&group.email);
                let key = seen.builder.key(&group.id);
                if keys.insert(key) {
                    listed.push((key, group));
                }
            }
            Ok(())
        })
        .await?;
    }
    let mut groups = Groups {
        keys,
        ..Groups::default()
    };
    let nested = Mutex::new(&mut groups.nested);
    let known = &groups.keys;
    let read = stream::iter(listed)
        .map(|(key, group)| {
            let nested = &nested;
            async move {
                let read = members(api, key, &group.id, seen, |key, id, email| {
                    if !known.contains(&key) {
                        let mut nested = nested.lock().expect("no reader panics with it");
                        nested.entry(key).or_insert((id, email));
                    }
                });
                let read = read.await;
                progress.add_groups(1);
                match read {
                    Ok(membership) => Ok(Some((key, group, membership))),
                    // It was deleted meanwhile.
                    Err(error) if error.class == FailureClass::Vanished => Ok(None),
                    Err(error) => Err(error),
                }
            }
        })
        .buffer_unordered(SIDE_BY_SIDE);
    groups.listed = read
        .try_filter_map(|group| std::future::ready(Ok(group)))
        .try_collect()
        .await?;
    Ok(groups)
}

impl Groups {
    /// Reads the groups within others that aren't listed themselves, and those within them.
    ///
    /// # Errors
    /// Whatever leaves a list incomplete, other than that a group from outside can't be read.
    pub async fn read_nested(&mut self, api: &Api, seen: &Mutex<Seen>) -> Result<(), ApiError> {
        while !self.nested.is_empty() {
            let open = std::mem::take(&mut self.nested);
            let found = Mutex::new(vec![]);
            let read = stream::iter(open)
                .map(|(key, (id, email))| {
                    let found = &found;
                    async move {
                        let note = |key, id, email| {
                            let mut found = found.lock().expect("no reader panics with it");
                            found.push((key, (id, email)));
                        };
                        match members(api, key, &id, seen, note).await {
                            Ok(membership) => Ok((key, membership)),
                            Err(error)
                                if error.class == FailureClass::Vanished
                                    && lock(seen).is_ours(&email) =>
                            {
                                Ok((key, Membership::default()))
                            }
                            Err(error)
                                if is_hidden_or_gone(&error) && !lock(seen).is_ours(&email) =>
                            {
                                let outside = Membership {
                                    people: vec![key],
                                    ..Membership::default()
                                };
                                lock(seen).external_members.insert(key, email.into());
                                Ok((key, outside))
                            }
                            Err(error) => Err(error),
                        }
                    }
                })
                .buffer_unordered(SIDE_BY_SIDE);
            let read: Vec<_> = read.try_collect().await?;
            self.unlisted.extend(read);
            let found = found.into_inner().expect("no reader panicked with it");
            let new = found
                .into_iter()
                .filter(|(key, _)| !self.keys.contains(key) && !self.unlisted.contains_key(key));
            self.nested = new.collect();
        }
        Ok(())
    }

    /// Puts the groups into the builder, each with the members of unlisted groups in it, and says
    /// who of them is from outside. `whose` names the tenant.
    pub fn build(self, seen: Seen, whose: &str) -> DirectoryBuilder {
        let Seen {
            mut builder,
            people,
            external_members,
            ..
        } = seen;
        for (key, group, membership) in &self.listed {
            let mut members = membership.people.clone();
            let mut everyone = membership.everyone;
            let mut open = membership.groups.clone();
            let mut walked = HashSet::from([*key]);
            while let Some(inner) = open.pop() {
                if !walked.insert(inner) {
                    continue;
                }
                match self.unlisted.get(&inner) {
                    Some(inner) => {
                        members.extend(&inner.people);
                        everyone |= inner.everyone;
                        open.extend(&inner.groups);
                    }
                    None => members.push(inner),
                }
            }
            let name = match group.name.trim() {
                "" => &group.email,
                name => name,
            };
            if let Some(problem) =
                members_from_outside(&members, &external_members, group, name, whose)
            {
                builder.problem(problem);
            }
            if everyone {
                members.extend(&people);
            }
            builder.group(&[*key], &group.id, name, members);
        }
        builder
    }
}

/// A group's members; `nested` is called for each group among them, by key, id and email.
async fn members(
    api: &Api,
    group: EntryKey,
    id: &str,
    seen: &Mutex<Seen>,
    mut nested: impl FnMut(EntryKey, String, String),
) -> Result<Membership, ApiError> {
    let mut membership = Membership::default();
    api.read(&member_list(api, id), |page: Vec<Member>| {
        let mut seen = lock(seen);
        for member in page {
            if member.kind == MemberKind::Customer {
                membership.everyone = true;
                continue;
            }
            // Who has no Google account has no id.
            let id = match member.id.as_str() {
                "" => &member.email,
                id => id,
            };
            let key = seen.builder.key(id);
            if member.kind == MemberKind::Group {
                if key != group {
                    membership.groups.push(key);
                    let id = id.to_owned();
                    nested(key, id, member.email);
                }
                continue;
            }
            membership.people.push(key);
            if !seen.people.contains(&key) && !is_machine(&member.email) {
                seen.external_members
                    .entry(key)
                    .or_insert_with(|| member.email.into());
            }
        }
        Ok(())
    })
    .await?;
    Ok(membership)
}

/// Whether an address is a service account's: nobody to invite.
fn is_machine(email: &str) -> bool {
    email.is_empty() || email.ends_with(".gserviceaccount.com")
}

fn members_from_outside(
    members: &[EntryKey],
    external_members: &HashMap<EntryKey, Box<str>>,
    group: &Group,
    name: &str,
    whose: &str,
) -> Option<Problem> {
    let mut emails: Vec<&str> = members
        .iter()
        .filter_map(|key| external_members.get(key))
        .map(|email| &**email)
        .collect();
    emails.sort_unstable();
    emails.dedup();
    let count = emails.len();
    let named: Vec<String> = emails.into_iter().take(NAMED).map(sanitize).collect();
    let named = named.join(", ");
    let more = match count {
        0 => return None,
        count if count > NAMED => format!(" and {} more", count - NAMED),
        _ => String::new(),
    };
    let id = ExternalId::parse(&group.id).ok();
    Some(Problem::new(
        ProblemReason::UnreadableMember,
        format!(
            "group {} has members who aren't {whose}: {named}{more}; nobody from outside is \
             synced: invite them by hand, or give them accounts",
            sanitize(name)
        ),
        id.into_iter().collect::<Vec<_>>(),
    ))
}
