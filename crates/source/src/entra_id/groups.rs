//! Groups and who is in them, by whichever of two ways costs less.
//!
//! All groups at once come through `groups/delta`, memberships inline: a page is one request and one
//! resource unit, whatever is on it. A few groups come in batches of 20 lists at two units each,
//! with the groups nested in them.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use reqwest::Url;
use uuid::Uuid;

use super::batch::Part;
use super::error::Resource;
use super::graph::{GROUP, GROUPS, GROUPS_DELTA, Graph, List, MEMBERS, TOP};
use super::scope::Scope;
use super::settings::{GroupSettings, GroupTypes};
use super::wire::{Group, Member, MemberKind, hides_members};
use crate::ReadProgress;
use crate::directory::{DirectoryBuilder, EntryKey};
use crate::http::ApiError;

const PROPERTIES: &str = "id,displayName,groupTypes,securityEnabled,visibility";

/// What is known of a group.
#[derive(Debug, Default)]
struct GroupState {
    name: String,
    security: bool,
    unified: bool,
    /// Says that its members are hidden. They are all the same where we may see them.
    hidden: bool,
    members: Vec<EntryKey>,
    deleted: bool,
}

/// The groups as they arrive.
#[derive(Debug, Default)]
pub(super) struct Groups {
    known: HashMap<Uuid, GroupState>,
    /// The keys under which groups are members of others.
    by_key: HashMap<EntryKey, Uuid>,
    /// Those that passed a filter of Graph's or were named; `None`: all.
    only: Option<HashSet<Uuid>>,
}

impl Group {
    /// Whether only some may see who is in it.
    pub fn hides_members(&self) -> bool {
        hides_members(self.visibility.as_deref())
    }
}

impl Groups {
    /// Takes over what a page says of a group. A later page may say less.
    fn note(&mut self, group: Group, builder: &mut DirectoryBuilder) {
        let key = builder.key(&group.id.to_string());
        self.by_key.insert(key, group.id);
        let hides = group.hides_members();
        let known = self.known.entry(group.id).or_default();
        known.deleted = group.removed.is_some();
        if known.deleted {
            known.members.clear();
        }
        if let Some(name) = group.display_name {
            known.name = name;
        }
        if let Some(types) = group.group_types {
            known.unified = types.iter().any(|kind| kind == "Unified");
        }
        known.security = group.security_enabled.unwrap_or(known.security);
        known.hidden |= hides;
        known.add(group.members, builder);
    }
}

impl GroupState {
    fn add(&mut self, members: Vec<Member>, builder: &mut DirectoryBuilder) {
        for member in members {
            if member.kind == MemberKind::Other {
                continue;
            }
            let key = builder.key(&member.id.to_string());
            if member.removed.is_some() {
                self.members.retain(|other| *other != key);
            } else {
                self.members.push(key);
            }
        }
    }

    fn fits(&self, types: Option<GroupTypes>) -> bool {
        types.is_none_or(|types| {
            (types.microsoft_365 && self.unified)
                || (types.security && self.security && !self.unified)
        })
    }
}

/// Reads the groups; with them the link for what changes from then on, where all of them
/// were read.
pub(super) async fn read(
    graph: &Graph,
    settings: &GroupSettings,
    a_few: usize,
    scope: &Scope,
    builder: &Mutex<DirectoryBuilder>,
    progress: &ReadProgress,
) -> Result<(Groups, Option<Url>), ApiError> {
    let mut groups = Groups::default();
    let listed = named(graph, settings, a_few, scope, &mut groups, builder).await?;
    match listed {
        Some(listed) if listed.len() <= a_few => {
            progress.add_groups(listed.len());
            groups.only = Some(listed);
            read_these(graph, &mut groups, builder).await?;
            Ok((groups, None))
        }
        listed => {
            // What the filter's pages said comes again.
            groups.known.clear();
            groups.only = listed;
            let link = read_all(graph, &mut groups, builder, progress).await?;
            // A filter may look at what no delta covers.
            let link = settings.filter.is_none().then_some(link);
            Ok((groups, link))
        }
    }
}

/// The groups that are to be read where the settings don't say all.
async fn named(
    graph: &Graph,
    settings: &GroupSettings,
    a_few: usize,
    scope: &Scope,
    groups: &mut Groups,
    builder: &Mutex<DirectoryBuilder>,
) -> Result<Option<HashSet<Uuid>>, ApiError> {
    let ids = || {
        settings
            .ids
            .iter()
            .filter_map(|id| Uuid::try_parse(id).ok())
    };
    let mut listed: Option<HashSet<Uuid>> = (!settings.ids.is_empty()).then(|| ids().collect());
    if let Some(in_units) = &scope.groups_in_units {
        listed = Some(match listed {
            Some(listed) => listed.intersection(in_units).copied().collect(),
            None => in_units.clone(),
        });
    }
    if let Some(filter) = &settings.filter {
        let list = List::new(&GROUPS, "/groups")
            .select(PROPERTIES)
            .with("$top", TOP)
            .with("$filter", filter);
        let mut fitting = HashSet::new();
        graph
            .each(&list, |page: Vec<Group>| {
                let mut builder = builder.lock().expect("no reader panics with the builder");
                for group in page {
                    if listed
                        .as_ref()
                        .is_none_or(|listed| listed.contains(&group.id))
                    {
                        fitting.insert(group.id);
                        groups.note(group, &mut builder);
                    }
                }
                Ok(())
            })
            .await?;
        return Ok(Some(fitting));
    }
    // Named by id, their properties are still to be read.
    if let Some(listed) = listed.as_ref().filter(|listed| listed.len() <= a_few) {
        let ids = listed.iter().copied().collect();
        // A unit's group that is gone changed while it was read; a named one was named wrongly.
        let named = !settings.ids.is_empty();
        read_properties(graph, ids, named, groups, builder).await?;
    }
    Ok(listed)
}

/// Every group with its members, from the delta's first run.
async fn read_all(
    graph: &Graph,
    groups: &mut Groups,
    builder: &Mutex<DirectoryBuilder>,
    progress: &ReadProgress,
) -> Result<Url, ApiError> {
    let list = List::new(&GROUPS_DELTA, "/groups/delta").select(&format!("{PROPERTIES},members"));
    let first = graph.url(&list.path, &list.query);
    graph
        .delta(&list, first, |page: Vec<Group>| {
            let mut builder = builder.lock().expect("no reader panics with the builder");
            let before = groups.known.len();
            for group in page {
                groups.note(group, &mut builder);
            }
            progress.add_groups(groups.known.len() - before);
            Ok(())
        })
        .await
}

/// The members of the groups that are known, then of the groups among them, until there is no new
/// one.
async fn read_these(
    graph: &Graph,
    groups: &mut Groups,
    builder: &Mutex<DirectoryBuilder>,
) -> Result<(), ApiError> {
    let mut open: Vec<Uuid> = groups.known.keys().copied().collect();
    while !open.is_empty() {
        let parts = parts(
            &open,
            &format!("/members?$select=id&$top={TOP}"),
            &MEMBERS,
            false,
        );
        let mut nested = HashSet::new();
        graph
            .each_of(&parts, |index, members: Vec<Member>| {
                let inner = members.iter().filter(|m| m.kind == MemberKind::Group);
                nested.extend(inner.map(|member| member.id));
                let mut builder = builder.lock().expect("no reader panics with the builder");
                let known = groups.known.entry(open[index]).or_default();
                known.add(members, &mut builder);
                Ok(())
            })
            .await?;
        nested.retain(|id| !groups.known.contains_key(id));
        let next: Vec<Uuid> = nested.into_iter().collect();
        // Of groups within others it matters whether they hide their members.
        read_properties(graph, next.clone(), false, groups, builder).await?;
        open = next;
    }
    Ok(())
}

async fn read_properties(
    graph: &Graph,
    ids: Vec<Uuid>,
    named: bool,
    groups: &mut Groups,
    builder: &Mutex<DirectoryBuilder>,
) -> Result<(), ApiError> {
    let parts = parts(&ids, &format!("?$select={PROPERTIES}"), &GROUP, named);
    graph
        .each_object(&parts, |group: Group| {
            let mut builder = builder.lock().expect("no reader panics with the builder");
            groups.note(group, &mut builder);
        })
        .await
}

fn parts(ids: &[Uuid], rest: &str, resource: &'static Resource, named: bool) -> Vec<Part> {
    ids.iter()
        .map(|id| Part {
            path: format!("/groups/{id}{rest}"),
            resource,
            names: named.then(|| format!("group {id}")),
        })
        .collect()
}

impl Groups {
    /// Puts the groups in scope into the builder. Who is in one through a group out of scope is put
    /// into it directly.
    pub fn build(self, settings: &GroupSettings, scope: &Scope, builder: &mut DirectoryBuilder) {
        let hidden = self.unreadable();
        let in_scope = |id: &Uuid, known: &GroupState| {
            !known.deleted
                && known.fits(settings.types)
                && self.only.as_ref().is_none_or(|only| only.contains(id))
                && scope
                    .groups_in_units
                    .as_ref()
                    .is_none_or(|listed| listed.contains(id))
                && !scope
                    .groups_not
                    .as_ref()
                    .is_some_and(|listed| listed.contains(id))
        };
        let chosen: HashSet<Uuid> = self
            .known
            .iter()
            .filter(|(id, known)| in_scope(id, known))
            .map(|(id, _)| *id)
            .collect();
        let mut ids: Vec<Uuid> = chosen.iter().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let text = id.to_string();
            let key = builder.key(&text);
            let members = self.members(id, &chosen);
            let name = &self.known[&id].name;
            if hidden.contains(&id) {
                builder.group_in_part(&[key], &text, name, members);
            } else {
                builder.group(&[key], &text, name, members);
            }
        }
    }

    /// The members of a group, with those of groups out of scope in their place.
    fn members(&self, id: Uuid, chosen: &HashSet<Uuid>) -> Vec<EntryKey> {
        let mut members = vec![];
        let mut open = vec![id];
        let mut seen = HashSet::from([id]);
        while let Some(group) = open.pop() {
            let Some(known) = self.known.get(&group).filter(|known| !known.deleted) else {
                continue;
            };
            for key in &known.members {
                match self.by_key.get(key) {
                    // Around a circle it comes back to itself, which says nothing.
                    Some(inner) if *inner == id => {}
                    Some(inner) if !chosen.contains(inner) && self.known.contains_key(inner) => {
                        if seen.insert(*inner) {
                            open.push(*inner);
                        }
                    }
                    _ => members.push(*key),
                }
            }
        }
        members
    }

    /// The groups of which we can't see everybody: they hide their members and look empty, or such
    /// a group is in them.
    fn unreadable(&self) -> HashSet<Uuid> {
        let unseen = |known: &GroupState| known.hidden && known.members.is_empty();
        let mut found: HashSet<Uuid> = self
            .known
            .iter()
            .filter(|(_, known)| unseen(known))
            .map(|(id, _)| *id)
            .collect();
        if found.is_empty() {
            return found;
        }
        let mut within: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (outer, known) in &self.known {
            for inner in known.members.iter().filter_map(|key| self.by_key.get(key)) {
                within.entry(*inner).or_default().push(*outer);
            }
        }
        let mut open: Vec<Uuid> = found.iter().copied().collect();
        while let Some(inner) = open.pop() {
            for &outer in within.get(&inner).into_iter().flatten() {
                if found.insert(outer) {
                    open.push(outer);
                }
            }
        }
        found
    }
}
