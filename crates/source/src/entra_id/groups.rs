//! Groups and who is in them, by whichever of two ways costs less.
//!
//! All groups at once come through `groups/delta`, memberships inline: a page is one request and one
//! resource unit, whatever is on it. A few groups come in batches of 20 lists at two units each,
//! with the groups nested in them.
//!
//! All groups as they were read can be kept, and those of them read again that have changed.

use std::collections::{BTreeSet, HashMap, HashSet};

use reqwest::Url;
use uuid::Uuid;

use super::batch::Part;
use super::error::Resource;
use super::graph::{GROUP, GROUPS, GROUPS_DELTA, Graph, List, MEMBERS, TOP};
use super::scope::Scope;
use super::settings::{GroupSettings, GroupTypes};
use super::wire::{Group, Member, MemberKind, hides_members};
use crate::ReadProgress;
use crate::directory::hash::FastMap;
use crate::directory::{DirectoryBuilder, EntryKey};
use crate::http::ApiError;
use crate::kept::{ALLOCATION, table_size};

const PROPERTIES: &str = "id,displayName,groupTypes,securityEnabled,visibility";

/// What is known of a group.
#[derive(Debug, Default)]
struct GroupState {
    name: String,
    security: bool,
    unified: bool,
    /// Says that its members are hidden. They are all the same where we may see them.
    hidden: bool,
    members: Vec<MemberNumber>,
    deleted: bool,
}

/// The number under which groups name a member.
type MemberNumber = u32;

/// The people and groups that are members of groups, each once.
#[derive(Debug, Default)]
struct MemberIds {
    numbers: FastMap<Uuid, MemberNumber>,
    ids: Vec<Uuid>,
}

impl MemberIds {
    fn number(&mut self, id: Uuid) -> MemberNumber {
        let next = self.ids.len();
        *self.numbers.entry(id).or_insert_with(|| {
            self.ids.push(id);
            MemberNumber::try_from(next).expect("four billion members have no room in memory")
        })
    }

    fn id(&self, number: MemberNumber) -> Uuid {
        self.ids[number as usize]
    }
}

/// The groups as they arrive.
#[derive(Debug, Default)]
pub(super) struct Groups {
    known: HashMap<Uuid, GroupState>,
    member_ids: MemberIds,
    /// Those that passed a filter of Graph's or were named; `None`: all. Those in units are told by a `Scope` alone.
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
    fn note(&mut self, group: Group) {
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
        known.add(group.members, &mut self.member_ids);
    }
}

impl GroupState {
    fn add(&mut self, members: Vec<Member>, ids: &mut MemberIds) {
        for member in members {
            if member.kind == MemberKind::Other {
                continue;
            }
            let number = ids.number(member.id);
            if member.removed.is_some() {
                self.members.retain(|other| *other != number);
            } else {
                self.members.push(number);
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
    progress: &ReadProgress,
) -> Result<(Groups, Option<Url>), ApiError> {
    let mut groups = Groups::default();
    let listed = named(graph, settings, a_few, scope, &mut groups).await?;
    match listed {
        Some(listed) if listed.len() <= a_few => {
            progress.add_groups(listed.len());
            groups.only = Some(listed);
            read_these(graph, &mut groups).await?;
            Ok((groups, None))
        }
        listed => {
            // What the filter's pages said comes again.
            groups.known.clear();
            // Who is in a unit may be another by the time a directory is made of them.
            groups.only = match settings.filter {
                Some(_) => listed,
                None => by_id(settings),
            };
            let link = read_all(graph, &mut groups, progress).await?;
            // A filter may look at what no delta covers.
            let link = settings.filter.is_none().then_some(link);
            Ok((groups, link))
        }
    }
}

/// The groups that the settings name by ID, if any.
fn by_id(settings: &GroupSettings) -> Option<HashSet<Uuid>> {
    let ids = settings.ids.iter();
    let ids = ids.filter_map(|id| Uuid::try_parse(id).ok());
    (!settings.ids.is_empty()).then(|| ids.collect())
}

/// The groups that are to be read where the settings don't say all.
async fn named(
    graph: &Graph,
    settings: &GroupSettings,
    a_few: usize,
    scope: &Scope,
    groups: &mut Groups,
) -> Result<Option<HashSet<Uuid>>, ApiError> {
    let mut listed = by_id(settings);
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
                for group in page {
                    if listed
                        .as_ref()
                        .is_none_or(|listed| listed.contains(&group.id))
                    {
                        fitting.insert(group.id);
                        groups.note(group);
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
        read_properties(graph, ids, named, groups).await?;
    }
    Ok(listed)
}

/// Every group with its members, from the delta's first run.
async fn read_all(
    graph: &Graph,
    groups: &mut Groups,
    progress: &ReadProgress,
) -> Result<Url, ApiError> {
    let list = List::new(&GROUPS_DELTA, "/groups/delta").select(&format!("{PROPERTIES},members"));
    let first = graph.url(&list.path, &list.query);
    graph
        .delta(&list, first, |page: Vec<Group>| {
            let before = groups.known.len();
            for group in page {
                groups.note(group);
            }
            progress.add_groups(groups.known.len() - before);
            Ok(())
        })
        .await
}

/// The members of the groups that are known, then of the groups among them, until there is no new
/// one.
async fn read_these(graph: &Graph, groups: &mut Groups) -> Result<(), ApiError> {
    let mut open: Vec<Uuid> = groups.known.keys().copied().collect();
    while !open.is_empty() {
        let parts = member_parts(&open);
        let mut nested = HashSet::new();
        graph
            .each_of(&parts, |index, members: Vec<Member>| {
                let inner = members.iter().filter(|m| m.kind == MemberKind::Group);
                nested.extend(inner.map(|member| member.id));
                let known = groups.known.entry(open[index]).or_default();
                known.add(members, &mut groups.member_ids);
                Ok(())
            })
            .await?;
        nested.retain(|id| !groups.known.contains_key(id));
        let next: Vec<Uuid> = nested.into_iter().collect();
        // Of groups within others it matters whether they hide their members.
        read_properties(graph, next.clone(), false, groups).await?;
        open = next;
    }
    Ok(())
}

async fn read_properties(
    graph: &Graph,
    ids: Vec<Uuid>,
    named: bool,
    groups: &mut Groups,
) -> Result<(), ApiError> {
    let parts = property_parts(&ids, named);
    graph
        .each_object(&parts, |group: Group| groups.note(group))
        .await
}

/// The groups with these IDs as they are now, with all their members, in their order; `None` of those that aren't there.
///
/// # Errors
/// Where that can't be told of each.
pub(super) async fn read_again(
    graph: &Graph,
    ids: &[Uuid],
) -> Result<Vec<Option<Group>>, ApiError> {
    let mut groups = graph
        .objects_if_there::<Group>(&property_parts(ids, false))
        .await?;
    let mut there: Vec<&mut Group> = groups.iter_mut().flatten().collect();
    let ids: Vec<Uuid> = there.iter().map(|group| group.id).collect();
    graph
        .each_of(&member_parts(&ids), |index, members: Vec<Member>| {
            there[index].members.extend(members);
            Ok(())
        })
        .await?;
    Ok(groups)
}

fn property_parts(ids: &[Uuid], named: bool) -> Vec<Part> {
    parts(ids, &format!("?$select={PROPERTIES}"), &GROUP, named)
}

fn member_parts(ids: &[Uuid]) -> Vec<Part> {
    parts(
        ids,
        &format!("/members?$select=id&$top={TOP}"),
        &MEMBERS,
        false,
    )
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
    pub fn build(&self, settings: &GroupSettings, scope: &Scope, builder: &mut DirectoryBuilder) {
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
        let mut keys: Vec<Option<EntryKey>> = vec![None; self.member_ids.ids.len()];
        for id in ids {
            let text = id.to_string();
            let key = builder.key(&text);
            let members = self.members(id, &chosen).into_iter();
            let members = members.map(|number| {
                *keys[number as usize]
                    .get_or_insert_with(|| builder.key(&self.member_ids.id(number).to_string()))
            });
            let members = members.collect();
            let name = &self.known[&id].name;
            if hidden.contains(&id) {
                builder.group_in_part(&[key], &text, name, members);
            } else {
                builder.group(&[key], &text, name, members);
            }
        }
    }

    /// The members of a group, with those of groups out of scope in their place.
    fn members(&self, id: Uuid, chosen: &HashSet<Uuid>) -> Vec<MemberNumber> {
        let mut members = vec![];
        let mut open = vec![id];
        let mut seen = HashSet::from([id]);
        while let Some(group) = open.pop() {
            let Some(known) = self.known.get(&group).filter(|known| !known.deleted) else {
                continue;
            };
            for &number in &known.members {
                let inner = self.member_ids.id(number);
                if inner == id {
                    // Around a circle it comes back to itself, which says nothing.
                } else if !chosen.contains(&inner) && self.known.contains_key(&inner) {
                    if seen.insert(inner) {
                        open.push(inner);
                    }
                } else {
                    members.push(number);
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
            let members = known
                .members
                .iter()
                .map(|&number| self.member_ids.id(number));
            for inner in members.filter(|id| self.known.contains_key(id)) {
                within.entry(inner).or_default().push(*outer);
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

/// What became of a group that was read again.
pub(super) struct Replaced {
    /// Whether it is other than it was.
    pub is_other: bool,
    /// The people who weren't its members.
    pub joined: Vec<Uuid>,
    /// Whether other groups are in it, so that they say who is in it, too.
    pub has_groups: bool,
}

impl Groups {
    /// Puts a group, with all its members, in place of what was known of it.
    pub fn replace(&mut self, group: Group) -> Replaced {
        let id = group.id;
        // Told by the members themselves: a group that is as new as this one may not be known yet.
        let is_group = |member: &&Member| member.kind == MemberKind::Group;
        let inner: HashSet<Uuid> = group
            .members
            .iter()
            .filter(is_group)
            .map(|m| m.id)
            .collect();
        let before = self.known.remove(&id);
        self.note(group);
        let now = self.known.entry(id).or_default();
        now.members.sort_unstable();
        now.members.dedup();
        let mut had = before
            .as_ref()
            .map_or(vec![], |group| group.members.clone());
        had.sort_unstable();
        had.dedup();
        let member_ids = &self.member_ids;
        let new = now
            .members
            .iter()
            .filter(|number| had.binary_search(number).is_err());
        let new = new.map(|&number| member_ids.id(number));
        let joined = new.filter(|id| !inner.contains(id)).collect();
        let is_same = |before: &GroupState| {
            let kinds = |group: &GroupState| (group.security, group.unified, group.hidden);
            before.name == now.name && kinds(before) == kinds(now) && had == now.members
        };
        Replaced {
            is_other: !before.is_some_and(|before| !before.deleted && is_same(&before)),
            joined,
            has_groups: !inner.is_empty(),
        }
    }

    /// Takes a group out; whether it was there.
    pub fn remove(&mut self, id: Uuid) -> bool {
        self.known.remove(&id).is_some_and(|group| !group.deleted)
    }

    /// Takes people and groups that are `gone` out of all groups but those that were `read` since; whether one was in
    /// such a group.
    pub fn remove_members(&mut self, gone: &BTreeSet<Uuid>, read: &BTreeSet<Uuid>) -> bool {
        let numbers = gone.iter().filter_map(|id| self.member_ids.numbers.get(id));
        let numbers: HashSet<MemberNumber> = numbers.copied().collect();
        if numbers.is_empty() {
            return false;
        }
        let mut was_in = false;
        for (_, group) in self.known.iter_mut().filter(|(id, _)| !read.contains(id)) {
            let before = group.members.len();
            group.members.retain(|number| !numbers.contains(number));
            was_in |= group.members.len() < before;
        }
        was_in
    }

    /// How many members a group had when it was read; none where it isn't known.
    pub fn member_count(&self, id: Uuid) -> usize {
        self.known.get(&id).map_or(0, |group| group.members.len())
    }

    /// How many groups are known, and how many members they have together.
    pub fn counts(&self) -> (usize, usize) {
        let members = self.known.values().map(|group| group.members.len());
        (self.known.len(), members.sum())
    }

    /// Gives back the memory that they don't need while they stay as they are.
    pub fn shrink(&mut self) {
        for group in self.known.values_mut() {
            group.name.shrink_to_fit();
            group.members.shrink_to_fit();
        }
        self.member_ids.ids.shrink_to_fit();
    }

    /// The memory that they take, in bytes.
    pub fn size(&self) -> usize {
        let groups = self.known.values();
        let groups: usize = groups
            .map(|group| group.name.capacity() + group.members.capacity() * 4 + 2 * ALLOCATION)
            .sum();
        let only = self
            .only
            .as_ref()
            .map_or(0, |only| table_size::<Uuid>(only.capacity()));
        groups
            + only
            + table_size::<(Uuid, GroupState)>(self.known.capacity())
            + table_size::<(Uuid, MemberNumber)>(self.member_ids.numbers.capacity())
            + self.member_ids.ids.capacity() * size_of::<Uuid>()
    }
}
