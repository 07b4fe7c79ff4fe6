//! An organization in a form that two runs can be compared in, and people read.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::model::{CollectionAccess, Group, Member, Role, Status};
use super::store::Store;

/// The organization in a form that two runs can be compared in: sorted, without ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The members, by email.
    pub members: BTreeMap<String, MemberSnapshot>,
    /// By external id where there is one (the name otherwise), then name.
    pub groups: Vec<GroupSnapshot>,
}

/// One member of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberSnapshot {
    /// None: not managed by a directory.
    pub external_id: Option<String>,
    /// Whether the member is invited, confirmed, revoked.
    pub status: Status,
    /// What it may do.
    pub role: Role,
    /// What it may open, by collection id.
    pub collections: Vec<CollectionAccess>,
}

/// One group of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSnapshot {
    /// The name of the group.
    pub name: String,
    /// None: not managed by a directory.
    pub external_id: Option<String>,
    /// The members' emails, sorted.
    pub members: Vec<String>,
    /// What it may open, by collection id.
    pub collections: Vec<CollectionAccess>,
}

impl Snapshot {
    pub(super) fn of(store: &Store) -> Self {
        let member = |member: &Member| {
            let snapshot = MemberSnapshot {
                external_id: member.external_id.clone(),
                status: member.status,
                role: member.role,
                collections: sorted(&member.collections),
            };
            (member.email.clone(), snapshot)
        };
        let group = |group: &Group| {
            let emails = group.members.iter();
            let emails = emails.filter_map(|id| Some(store.members.get(id)?.email.clone()));
            GroupSnapshot {
                name: group.name.clone(),
                external_id: group.external_id.clone(),
                members: sorted(&emails.collect::<Vec<_>>()),
                collections: sorted(&group.collections),
            }
        };
        let mut groups: Vec<GroupSnapshot> = store.groups.values().map(group).collect();
        groups.sort_by(|one, other| key(one).cmp(&key(other)));
        Self {
            members: store.members.values().map(member).collect(),
            groups,
        }
    }

    /// The group with this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupSnapshot> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The member with this email.
    #[must_use]
    pub fn member(&self, email: &str) -> Option<&MemberSnapshot> {
        self.members.get(email)
    }
}

fn key(group: &GroupSnapshot) -> (&String, &String, &Vec<String>) {
    let first = group.external_id.as_ref().unwrap_or(&group.name);
    (first, &group.name, &group.members)
}

fn sorted<T: Clone + Ord>(things: &[T]) -> Vec<T> {
    let mut things = things.to_vec();
    things.sort();
    things
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.members.keys().map(|email| email.chars().count()).max();
        let wide = widest.unwrap_or_default().max("EMAIL".len());
        writeln!(
            formatter,
            "{:wide$}  {:9}  {:6}  EXTERNAL ID",
            "EMAIL", "STATUS", "ROLE"
        )?;
        for (email, member) in &self.members {
            let status = format!("{:?}", member.status);
            let role = format!("{:?}", member.role);
            let external_id = member.external_id.as_deref().unwrap_or("-");
            writeln!(
                formatter,
                "{email:wide$}  {status:9}  {role:6}  {external_id}"
            )?;
        }
        let widest = self.groups.iter().map(|group| group.name.chars().count());
        let wide = widest.max().unwrap_or_default().max("GROUP".len());
        writeln!(
            formatter,
            "\n{:wide$}  {:7}  EXTERNAL ID",
            "GROUP", "MEMBERS"
        )?;
        for group in &self.groups {
            let members = group.members.len();
            let external_id = group.external_id.as_deref().unwrap_or("-");
            writeln!(
                formatter,
                "{:wide$}  {members:7}  {external_id}",
                group.name
            )?;
        }
        Ok(())
    }
}
