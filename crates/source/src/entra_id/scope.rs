//! The lists beside users and groups that say who is read: groups to be (or not to be) a member
//! of, administrative units, assignments of an application.

use std::collections::{BTreeSet, HashMap, HashSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::{Resource, ambiguous, not_found, selection_hidden};
use super::graph::{
    APPLICATION, ASSIGNED, GROUP, GROUPS, Graph, List, MEMBER_OF, MEMBERS, NOT_MEMBER_OF, TOP, UNIT,
};
use super::settings::{EntraIdSettings, GroupSelection};
use super::wire::{Assignment, Group, Member, MemberKind, Reference, Unit, hides_members};
use crate::http::ApiError;
use crate::kept::table_size;
use crate::text::sanitize;

/// Who is in what the settings name; `None` where they name nothing.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub member_of: Option<HashSet<Uuid>>,
    pub not_member_of: Option<HashSet<Uuid>>,
    /// Users in the units of `users.administrativeUnits`.
    pub users_in_units: Option<HashSet<Uuid>>,
    pub assigned: Option<HashSet<Uuid>>,
    /// Groups in the units of `groups.administrativeUnits`.
    pub groups_in_units: Option<HashSet<Uuid>>,
    /// Groups in the units of `groups.notAdministrativeUnits`.
    pub groups_not: Option<HashSet<Uuid>>,
}

impl Scope {
    /// Reads the lists, side by side.
    pub async fn read(graph: &Graph, settings: &EntraIdSettings) -> Result<Self, ApiError> {
        let users = &settings.users;
        let member_of = selected(graph, users.member_of.as_ref(), &MEMBER_OF);
        let not_member_of = selected(graph, users.not_member_of.as_ref(), &NOT_MEMBER_OF);
        let assigned = async {
            match &users.assigned_to_application {
                Some(id) => assigned(graph, id).await.map(Some),
                None => Ok(None),
            }
        };
        let units = units(graph, settings);
        let (member_of, not_member_of, assigned, units) =
            tokio::try_join!(member_of, not_member_of, assigned, units)?;
        let in_units = |ids: &[String], kind: MemberKind| {
            let members = ids.iter().filter_map(|id| units.get(id)).flatten();
            let of_kind = members.filter(|(_, of)| *of == kind);
            (!ids.is_empty()).then(|| of_kind.map(|(id, _)| *id).collect())
        };
        let groups = settings.groups.clone().unwrap_or_default();
        Ok(Self {
            member_of,
            not_member_of,
            users_in_units: in_units(&users.administrative_units, MemberKind::User),
            assigned,
            groups_in_units: in_units(&groups.administrative_units, MemberKind::Group),
            groups_not: in_units(&groups.not_administrative_units, MemberKind::Group),
        })
    }

    /// The people who are in other lists than in `before`.
    pub fn people_moved_since(&self, before: &Self) -> BTreeSet<Uuid> {
        let none = HashSet::new();
        let mut moved = BTreeSet::new();
        for (now, before) in self.people_lists().into_iter().zip(before.people_lists()) {
            let now = now.as_ref().unwrap_or(&none);
            moved.extend(now.symmetric_difference(before.as_ref().unwrap_or(&none)));
        }
        moved
    }

    fn people_lists(&self) -> [&Option<HashSet<Uuid>>; 4] {
        [
            &self.member_of,
            &self.not_member_of,
            &self.users_in_units,
            &self.assigned,
        ]
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        let lists = self.lists().flatten();
        lists.map(|list| table_size::<Uuid>(list.capacity())).sum()
    }

    fn lists(&self) -> impl Iterator<Item = &Option<HashSet<Uuid>>> {
        let groups = [&self.groups_in_units, &self.groups_not];
        self.people_lists().into_iter().chain(groups)
    }

    /// Another value wherever any list is another.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for list in self.lists() {
            let Some(list) = list else {
                hash.update(u64::MAX.to_le_bytes());
                continue;
            };
            let mut ids: Vec<&Uuid> = list.iter().collect();
            ids.sort_unstable();
            hash.update((ids.len() as u64).to_le_bytes());
            ids.iter().for_each(|id| hash.update(id.as_bytes()));
        }
        hash.finalize().into()
    }
}

async fn selected(
    graph: &Graph,
    selection: Option<&GroupSelection>,
    resource: &'static Resource,
) -> Result<Option<HashSet<Uuid>>, ApiError> {
    let Some(selection) = selection else {
        return Ok(None);
    };
    let mut groups: Vec<String> = selection.ids.clone();
    for name in &selection.names {
        groups.push(by_name(graph, name, resource).await?.to_string());
    }
    let mut people = HashSet::new();
    for group in &groups {
        let named = format!("group {group}");
        let path = format!("/groups/{group}/transitiveMembers");
        let list = List::new(resource, path).select("id").with("$top", TOP);
        let before = people.len();
        let mut count = 0;
        graph
            .each(&list.names(&named), |members: Vec<Member>| {
                count += members.len();
                let users = members.into_iter().filter(|m| m.kind == MemberKind::User);
                people.extend(users.map(|member| member.id));
                Ok(())
            })
            .await?;
        if count == 0 && before == people.len() {
            refuse_hidden(graph, group, resource).await?;
        }
    }
    Ok(Some(people))
}

/// A group that hides its members looks empty to those who may not see them.
async fn refuse_hidden(
    graph: &Graph,
    group: &str,
    resource: &'static Resource,
) -> Result<(), ApiError> {
    let list = List::new(&GROUP, format!("/groups/{group}")).select("id,displayName,visibility");
    let found: Group = graph.object(&list).await?;
    if found.hides_members() {
        return Err(selection_hidden(resource.field, &format!("group {group}")));
    }
    Ok(())
}

/// Likewise an administrative unit that hides its members ("Administrative units: visibility").
async fn refuse_hidden_unit(graph: &Graph, unit: &str, named: &str) -> Result<(), ApiError> {
    let path = format!("/directory/administrativeUnits/{unit}");
    let list = List::new(&UNIT, path).select("visibility").names(named);
    let found: Unit = graph.object(&list).await?;
    if hides_members(found.visibility.as_deref()) {
        return Err(selection_hidden(UNIT.field, named));
    }
    Ok(())
}

async fn by_name(graph: &Graph, name: &str, resource: &'static Resource) -> Result<Uuid, ApiError> {
    let filter = format!("displayName eq '{}'", name.replace('\'', "''"));
    let list = List::new(&GROUPS, "/groups")
        .with("$filter", filter)
        .select("id");
    let found: Vec<Reference> = graph.all(&list).await?;
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(not_found(
            &format!("no group is named {:?}", sanitize(name)),
            "an empty list",
            resource.field,
        )),
        several => Err(ambiguous(resource.field, &sanitize(name), several.len())),
    }
}

async fn assigned(graph: &Graph, application: &str) -> Result<HashSet<Uuid>, ApiError> {
    let named = format!("enterprise application {application}");
    let path = format!("/servicePrincipals(appId='{application}')");
    let list = List::new(&APPLICATION, path).select("id").names(&named);
    let principal: Reference = graph.object(&list).await?;
    let path = format!("/servicePrincipals/{}/appRoleAssignedTo", principal.id);
    let list = List::new(&ASSIGNED, path)
        .select("principalId,principalType")
        .with("$top", TOP);
    let mut people = HashSet::new();
    let mut groups = vec![];
    graph
        .each(&list, |assignments: Vec<Assignment>| {
            for assignment in assignments {
                match assignment.principal_type.as_str() {
                    "User" => drop(people.insert(assignment.principal_id)),
                    "Group" => groups.push(assignment.principal_id),
                    _ => {}
                }
            }
            Ok(())
        })
        .await?;
    for group in groups {
        let path = format!("/groups/{group}/members");
        let list = List::new(&MEMBERS, path).select("id").with("$top", TOP);
        let mut empty = true;
        graph
            .each(&list, |members: Vec<Member>| {
                empty &= members.is_empty();
                let users = members.into_iter().filter(|m| m.kind == MemberKind::User);
                people.extend(users.map(|member| member.id));
                Ok(())
            })
            .await?;
        if empty {
            refuse_hidden(graph, &group.to_string(), &ASSIGNED).await?;
        }
    }
    Ok(people)
}

/// The members of every unit that the settings name, each read once.
async fn units(
    graph: &Graph,
    settings: &EntraIdSettings,
) -> Result<HashMap<String, Vec<(Uuid, MemberKind)>>, ApiError> {
    let mut named: Vec<&String> = settings.users.administrative_units.iter().collect();
    if let Some(groups) = &settings.groups {
        named.extend(&groups.administrative_units);
        named.extend(&groups.not_administrative_units);
    }
    let mut units = HashMap::new();
    for unit in named {
        if units.contains_key(unit) {
            continue;
        }
        let named = format!("administrative unit {unit}");
        let path = format!("/directory/administrativeUnits/{unit}/members");
        // Without `$select`, which the page of this list doesn't name.
        let list = List::new(&UNIT, path).with("$top", TOP);
        let members: Vec<Member> = graph.all(&list.names(&named)).await?;
        if members.is_empty() {
            refuse_hidden_unit(graph, unit, &named).await?;
        }
        let members = members.into_iter().map(|member| (member.id, member.kind));
        units.insert(unit.clone(), members.collect());
    }
    Ok(units)
}
