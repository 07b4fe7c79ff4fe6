//! Who and what a question means, in the directory as it was read and in the organization.

use std::collections::HashSet;

use uuid::Uuid;

use super::chains::{self, Ways};
use super::{Question, Sides};
use crate::directory::{
    AccountState, Directory, Email, ExternalId, Group, LookedUp, Lookup, UnidentifiedUser, User,
};
use crate::organization::model::{Content, Member, MemberRole, MemberStatus, Organization};
use crate::sync::sent::Access;

/// So many people, and so many groups, are explained at once.
const SUBJECTS_MAX: usize = 10;
/// So many near names are told.
const NEAREST_MAX: usize = 5;
/// A part of a name has so many bytes at least.
const PART_MIN: usize = 3;
/// Of a longer way through nested groups the middle is left out.
const WAY_MAX: usize = 12;

/// What was found for a question, with all that resolving a directory leaves no trace of.
#[derive(Debug)]
pub struct Found {
    pub(super) asked: String,
    pub(super) people: Vec<FoundPerson>,
    pub(super) groups: Vec<FoundGroup>,
    /// Matches that are left out.
    pub(super) more: usize,
    pub(super) nearest: Vec<String>,
    pub(super) lookup: Lookup,
}

/// Somebody in the directory, the organization, or both.
#[derive(Debug, Default)]
pub(super) struct FoundPerson {
    /// The index in the directory, and so in the roster.
    pub at: Option<u32>,
    pub entry: Option<FoundEntry>,
    pub unidentified: Option<UnidentifiedUser>,
    pub members: Vec<FoundMember>,
    pub groups: Vec<FoundWay>,
}

#[derive(Debug)]
pub(super) struct FoundEntry {
    /// Without the prefix.
    pub id: ExternalId,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub state: AccountState,
    pub evidence: Option<String>,
}

/// A group around a person.
#[derive(Debug)]
pub(super) struct FoundWay {
    /// Without the prefix.
    pub id: ExternalId,
    pub name: Box<str>,
    pub through: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct FoundMember {
    pub id: Option<Uuid>,
    pub external_id: Option<ExternalId>,
    pub email: Email,
    pub status: String,
    pub role: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct FoundGroup {
    /// Of the directory, without the prefix.
    pub id: Option<ExternalId>,
    pub name: Box<str>,
    /// Everybody in it by the directory: the index, and the groups between.
    pub people: Vec<(u32, Vec<String>)>,
    /// Names of groups in it.
    pub contains: Vec<String>,
    /// What it or a group in it doesn't show.
    pub unknown: Vec<String>,
    pub organization: Option<FoundOrganizationGroup>,
}

#[derive(Debug)]
pub(super) struct FoundOrganizationGroup {
    pub id: Option<Uuid>,
    pub external_id: Option<ExternalId>,
    pub name: Box<str>,
}

impl Found {
    /// Looks for `question` on both sides. `lookup` is what the source says when it is asked for one entry.
    pub fn new(question: &Question, sides: &Sides<'_>, lookup: Lookup) -> Self {
        let mut search = Search {
            wanted: Wanted::new(question, &lookup),
            sides,
            lookup: &lookup,
            users: vec![],
            strangers: vec![],
            unidentified: vec![],
            groups: vec![],
            own_groups: vec![],
        };
        search.look();
        let (people_total, people) = search.people();
        let (groups_total, groups) = search.groups();
        let total = people_total + groups_total;
        let more = total - people.len() - groups.len();
        let nearest = match total {
            0 => search.nearest(),
            _ => vec![],
        };
        Self {
            asked: question.as_str().to_owned(),
            people,
            groups,
            more,
            nearest,
            lookup,
        }
    }

    /// Members whose groups are worth reading.
    pub fn members(&self) -> Vec<Uuid> {
        let members = self.people.iter().flat_map(|person| &person.members);
        members.filter_map(|member| member.id).collect()
    }

    /// Groups of the organization that were asked for, and those that the people that were asked for are
    /// in on one side only: `inside` are the groups of each of [`Found::members`].
    pub fn groups_to_read(
        &self,
        inside: &super::MemberGroups,
        organization: &Organization,
        prefix: &str,
    ) -> Vec<Uuid> {
        let Organization::Read(content) = organization else {
            return vec![];
        };
        let mut groups: HashSet<Uuid> = HashSet::new();
        groups.extend(
            self.groups
                .iter()
                .filter_map(|group| group.organization.as_ref()?.id),
        );
        for person in &self.people {
            let wanted: HashSet<ExternalId> = person
                .groups
                .iter()
                .filter_map(|way| way.id.with_prefix(prefix).ok())
                .collect();
            let members = person.members.iter().filter_map(|member| member.id);
            let is: HashSet<Uuid> = members
                .filter_map(|id| inside.get(&id))
                .flatten()
                .copied()
                .collect();
            if person.members.is_empty() {
                continue;
            }
            groups.extend(content.groups.iter().filter_map(|group| {
                let wanted = group
                    .external_id
                    .as_ref()
                    .is_some_and(|id| wanted.contains(id));
                (wanted != is.contains(&group.id)).then_some(group.id)
            }));
        }
        groups.into_iter().collect()
    }

    /// Groups of the organization that people who were asked for come into once they are members.
    pub fn groups_to_join(&self, organization: &Organization, prefix: &str) -> Vec<Uuid> {
        let Organization::Read(content) = organization else {
            return vec![];
        };
        let newcomers = self.people.iter().filter(|one| one.members.is_empty());
        let wanted: HashSet<ExternalId> = newcomers
            .flat_map(|person| &person.groups)
            .filter_map(|way| way.id.with_prefix(prefix).ok())
            .collect();
        let groups = content.groups.iter();
        let groups = groups.filter(|group| {
            let id = group.external_id.as_ref();
            id.is_some_and(|id| wanted.contains(id))
        });
        groups.map(|group| group.id).collect()
    }
}

/// What is asked for, as entries are compared with it.
struct Wanted {
    text: String,
    lower: String,
    dn: String,
    /// IDs of entries that the source found under that name.
    ids: Vec<ExternalId>,
}

impl Wanted {
    fn new(question: &Question, lookup: &Lookup) -> Self {
        let text = question.as_str().to_owned();
        let looked_up = match lookup {
            Lookup::Found(entries) => entries.as_slice(),
            Lookup::Unsupported => &[],
        };
        let ids = looked_up
            .iter()
            .filter_map(|entry: &LookedUp| entry.id.clone());
        Self {
            lower: text.to_lowercase(),
            dn: dn(&text),
            ids: ids.collect(),
            text,
        }
    }

    fn is_id(&self, id: &ExternalId, prefix: &str) -> bool {
        let id_text = id.as_str();
        id_text.eq_ignore_ascii_case(&self.text)
            || !prefix.is_empty()
                && (self.text.strip_prefix(prefix))
                    .is_some_and(|rest| rest.eq_ignore_ascii_case(id_text))
            || self.ids.contains(id)
    }

    fn is_external_id(&self, id: &ExternalId) -> bool {
        id.as_str().eq_ignore_ascii_case(&self.text)
    }

    fn is_name(&self, name: &str) -> bool {
        !name.is_empty() && name.to_lowercase() == self.lower
    }

    fn is_uuid(&self, id: &Uuid) -> bool {
        // Not parsed: other forms of a UUID could be the directory's.
        self.lower.len() == 36 && id.to_string() == self.lower
    }

    fn is_entry(&self, entry: &str) -> bool {
        !entry.is_empty() && dn(entry) == self.dn
    }
}

/// A DN without what may be written in several ways.
fn dn(text: &str) -> String {
    let parts = text.split(',').map(|part| match part.split_once('=') {
        Some((key, value)) => format!("{}={}", key.trim(), value.trim()),
        None => part.trim().to_owned(),
    });
    parts.collect::<Vec<_>>().join(",").to_lowercase()
}

struct Search<'a> {
    wanted: Wanted,
    sides: &'a Sides<'a>,
    lookup: &'a Lookup,
    /// Indexes of people of the directory.
    users: Vec<u32>,
    /// Members without such a person.
    strangers: Vec<FoundMember>,
    unidentified: Vec<UnidentifiedUser>,
    groups: Vec<u32>,
    /// Groups of the organization that the directory doesn't have.
    own_groups: Vec<FoundOrganizationGroup>,
}

impl Search<'_> {
    fn look(&mut self) {
        let Sides {
            directory, policy, ..
        } = self.sides;
        let prefix = &*policy.external_id_prefix;
        let mut users: Vec<u32> = vec![];
        for (user, at) in directory.users.iter().zip(0u32..) {
            if self.is_user(user) {
                users.push(at);
            }
        }
        let unidentified = directory.unidentified_users.iter();
        self.unidentified = unidentified
            .filter(|user| {
                user.email
                    .as_ref()
                    .is_some_and(|email| email.as_str() == self.wanted.lower)
                    || user
                        .id
                        .as_ref()
                        .is_some_and(|id| self.wanted.is_id(id, prefix))
                    || self.wanted.is_entry(&user.entry)
            })
            .cloned()
            .collect();
        let mut strangers = vec![];
        for member in self.all_members() {
            let is_meant = member.email.as_str() == self.wanted.lower
                || member.id.is_some_and(|id| self.wanted.is_uuid(&id))
                || member
                    .external_id
                    .as_ref()
                    .is_some_and(|id| self.wanted.is_external_id(id));
            if !is_meant {
                continue;
            }
            match self.users_of(&member) {
                theirs if theirs.is_empty() => strangers.push(member),
                theirs => users.extend(theirs),
            }
        }
        users.sort_unstable();
        users.dedup();
        // Whoever is somebody's by address is told of with them.
        strangers.retain(|member| {
            !users.iter().any(|&at| {
                directory.users[at as usize]
                    .email
                    .as_ref()
                    .is_ok_and(|email| *email == member.email)
            })
        });
        self.users = users;
        self.strangers = strangers;
        let groups = directory.groups.iter().zip(0u32..);
        let groups = groups.filter(|(group, _)| {
            self.wanted.is_name(&group.name) || self.wanted.is_id(&group.id, prefix)
        });
        let mut groups: Vec<u32> = groups.map(|(_, at)| at).collect();
        let mut own = vec![];
        for group in self.all_groups() {
            let is_meant = self.wanted.is_name(&group.name)
                || group.id.is_some_and(|id| self.wanted.is_uuid(&id))
                || group
                    .external_id
                    .as_ref()
                    .is_some_and(|id| self.wanted.is_external_id(id));
            if !is_meant {
                continue;
            }
            let theirs = directory.groups.iter().position(|one| {
                let id = one.id.with_prefix(prefix).ok();
                id.is_some() && id == group.external_id
            });
            let theirs = theirs.and_then(|at| u32::try_from(at).ok());
            let former = || self.former_group(group.external_id.as_ref()?);
            match theirs.or_else(former) {
                Some(at) => groups.push(at),
                None => own.push(group),
            }
        }
        groups.sort_unstable();
        groups.dedup();
        self.groups = groups;
        self.own_groups = own;
    }

    fn is_user(&self, user: &User) -> bool {
        let prefix = &*self.sides.policy.external_id_prefix;
        let is_email = match &user.email {
            Ok(email) => email.as_str() == self.wanted.lower,
            Err(unusable) => self.wanted.is_entry(&unusable.entry),
        };
        let evidence = user.evidence.as_ref();
        is_email
            || self.wanted.is_id(&user.id, prefix)
            || evidence.is_some_and(|evidence| self.wanted.is_entry(&evidence.entry))
    }

    /// The ID as the directory has it; `None` for one that has another prefix.
    fn bare<'i>(&self, external_id: &'i ExternalId) -> Option<&'i str> {
        let prefix = &*self.sides.policy.external_id_prefix;
        external_id.as_str().strip_prefix(prefix)
    }

    /// Whose entry has this external ID for its name (DN): another program kept the member under it.
    fn former_person(&self, external_id: &ExternalId) -> Option<u32> {
        let names = self.sides.directory.former_ids.as_ref()?;
        names.find_person(self.bare(external_id)?)
    }

    /// The same of a group.
    fn former_group(&self, external_id: &ExternalId) -> Option<u32> {
        let names = self.sides.directory.former_ids.as_ref()?;
        names.find_group(self.bare(external_id)?)
    }

    /// The people of the directory whose member this is, by external ID, by the name of an entry, or else by
    /// address.
    fn users_of(&self, member: &FoundMember) -> Vec<u32> {
        let directory = self.sides.directory;
        let users = || directory.users.iter().zip(0u32..);
        if let Some(external_id) = &member.external_id {
            let bare = self.bare(external_id);
            let by_id = users().find(|(user, _)| Some(user.id.as_str()) == bare);
            let by_id = by_id.map(|(_, at)| at);
            if let Some(at) = by_id.or_else(|| self.former_person(external_id)) {
                return vec![at];
            }
        }
        let by_email = users().filter(|(user, _)| {
            user.email
                .as_ref()
                .is_ok_and(|email| *email == member.email)
        });
        by_email.map(|(_, at)| at).collect()
    }

    fn all_members(&self) -> Vec<FoundMember> {
        match self.sides.organization {
            Organization::Read(content) => content.members.iter().map(FoundMember::read).collect(),
            Organization::WriteOnly => {
                let accounts = self.sides.sent.accounts.iter();
                accounts
                    .map(|(email, account)| FoundMember {
                        id: None,
                        external_id: Some(account.external_id.clone()),
                        email: email.clone(),
                        status: match account.access {
                            Access::Given => "sent by an earlier run",
                            Access::Unsure => "may have been sent by an earlier run",
                            Access::Revoked => "revoked by an earlier run",
                            Access::MaybeRevoked => "may have been revoked by an earlier run",
                            Access::MaybeRestored => {
                                "revoked by an earlier run, and may have been given access back"
                            }
                        }
                        .to_owned(),
                        role: None,
                    })
                    .collect()
            }
        }
    }

    fn all_groups(&self) -> Vec<FoundOrganizationGroup> {
        match self.sides.organization {
            Organization::Read(content) => content
                .groups
                .iter()
                .map(|group| FoundOrganizationGroup {
                    id: Some(group.id),
                    external_id: group.external_id.clone(),
                    name: group.name.clone(),
                })
                .collect(),
            Organization::WriteOnly => {
                let groups = self.sides.sent.groups.iter();
                groups
                    .map(|(id, group)| FoundOrganizationGroup {
                        id: None,
                        external_id: Some(id.clone()),
                        name: group.name.clone(),
                    })
                    .collect()
            }
        }
    }

    /// How many there are, and the first of them.
    fn people(&self) -> (usize, Vec<FoundPerson>) {
        let total = self.users.len() + self.strangers.len() + self.unidentified.len();
        let members = self.all_members();
        let users = self.users.iter().map(|&at| self.person(at, &members));
        let unidentified = self.unidentified.iter().map(|user| {
            let theirs = members.iter().filter(|member| {
                user.email.as_ref() == Some(&member.email)
                    || user.id.is_some() && self.prefixed(user.id.as_ref()) == member.external_id
            });
            FoundPerson {
                members: theirs.cloned().collect(),
                unidentified: Some(user.clone()),
                ..FoundPerson::default()
            }
        });
        let strangers = self.strangers.iter().map(|member| FoundPerson {
            members: vec![member.clone()],
            ..FoundPerson::default()
        });
        let people = users.chain(unidentified).chain(strangers);
        (total, people.take(SUBJECTS_MAX).collect())
    }

    fn prefixed(&self, id: Option<&ExternalId>) -> Option<ExternalId> {
        id?.with_prefix(&self.sides.policy.external_id_prefix).ok()
    }

    fn person(&self, at: u32, members: &[FoundMember]) -> FoundPerson {
        let directory = self.sides.directory;
        let user = &directory.users[at as usize];
        let id = self.prefixed(Some(&user.id));
        let email = user.email.as_ref().ok();
        let is_former = |external_id: &ExternalId| {
            let bare = self.bare(external_id);
            let is_own = |user: &User| Some(user.id.as_str()) == bare;
            self.former_person(external_id) == Some(at) && !directory.users.iter().any(is_own)
        };
        let is_theirs = |member: &&FoundMember| {
            id.is_some() && member.external_id == id
                || email == Some(&member.email)
                || member.external_id.as_ref().is_some_and(is_former)
        };
        let mut theirs: Vec<FoundMember> = members.iter().filter(is_theirs).cloned().collect();
        // Who has the ID comes before who has the address alone.
        theirs.sort_by_key(|member| (member.external_id != id, member.email.clone()));
        theirs.truncate(SUBJECTS_MAX);
        let ways = chains::around(&directory.groups, at);
        let groups = ways.order.iter().map(|&group| FoundWay {
            id: directory.groups[group as usize].id.clone(),
            name: directory.groups[group as usize].name.clone(),
            through: names(&directory.groups, ways.back(group)),
        });
        FoundPerson {
            at: Some(at),
            entry: Some(FoundEntry {
                id: user.id.clone(),
                name: self.entry_name(user),
                email: email.cloned(),
                state: user.state,
                evidence: user
                    .evidence
                    .as_ref()
                    .map(|evidence| format!("{} is {}", evidence.attribute, evidence.value)),
            }),
            unidentified: None,
            members: theirs,
            groups: groups.collect(),
        }
    }

    /// The DN, where something tells it.
    fn entry_name(&self, user: &User) -> Option<String> {
        let of_evidence = user.evidence.as_ref().map(|evidence| &evidence.entry);
        let of_email = user.email.as_ref().err().map(|unusable| &unusable.entry);
        let looked_up = match self.lookup {
            Lookup::Found(entries) => entries
                .iter()
                .find(|entry| entry.id.as_ref() == Some(&user.id))
                .map(|entry| &entry.entry),
            Lookup::Unsupported => None,
        };
        let name = looked_up.or(of_evidence).or(of_email)?;
        (**name != *user.id.as_str()).then(|| name.to_string())
    }

    fn groups(&self) -> (usize, Vec<FoundGroup>) {
        let total = self.groups.len() + self.own_groups.len();
        let in_organization = self.all_groups();
        let groups = self.groups.iter().map(|&at| {
            let group = &self.sides.directory.groups[at as usize];
            let id = self.prefixed(Some(&group.id));
            let theirs = in_organization
                .iter()
                .find(|one| id.is_some() && one.external_id == id);
            let former = || {
                let mut all = in_organization.iter();
                all.find(|one| {
                    let id = one.external_id.as_ref();
                    id.is_some_and(|id| self.former_group(id) == Some(at))
                })
            };
            let theirs = theirs.or_else(former);
            FoundGroup {
                organization: theirs.map(FoundOrganizationGroup::copied),
                ..found_group(self.sides.directory, at)
            }
        });
        let own = self.own_groups.iter().map(|group| FoundGroup {
            name: group.name.clone(),
            organization: Some(group.copied()),
            ..FoundGroup::default()
        });
        (total, groups.chain(own).take(SUBJECTS_MAX).collect())
    }

    /// Names and addresses that are nearly what was asked for, the nearest first.
    fn nearest(&self) -> Vec<String> {
        let directory = self.sides.directory;
        let mut near: Vec<(usize, String)> = vec![];
        let mut seen: HashSet<String> = HashSet::new();
        let mut consider = |name: &str, wanted: &str| {
            let lower = name.to_lowercase();
            let is_part = wanted.len() >= PART_MIN && lower.contains(wanted);
            let distance = distance(&lower, wanted).or(is_part.then_some(usize::MAX));
            if let Some(distance) = distance
                && seen.insert(name.to_owned())
            {
                near.push((distance, name.to_owned()));
                if near.len() > 200 {
                    near.sort_unstable();
                    near.truncate(NEAREST_MAX);
                }
            }
        };
        let wanted = &*self.wanted.lower;
        for email in directory
            .users
            .iter()
            .filter_map(|user| user.email.as_ref().ok())
        {
            consider(email.as_str(), wanted);
        }
        for group in &directory.groups {
            consider(&group.name, wanted);
        }
        if let Organization::Read(content) = self.sides.organization {
            let Content {
                members, groups, ..
            } = &**content;
            members
                .iter()
                .for_each(|member| consider(member.email.as_str(), wanted));
            groups
                .iter()
                .for_each(|group| consider(&group.name, wanted));
        }
        near.sort_unstable();
        near.truncate(NEAREST_MAX);
        near.into_iter().map(|(_, name)| name).collect()
    }
}

/// How far a name is from what was asked for; `None`: too far to be meant.
fn distance(name: &str, wanted: &str) -> Option<usize> {
    let part = |text: &str, wanted: &str, most: usize| {
        let (long, short) = (wanted.chars().count(), text.chars().count());
        let most = (long / 4).clamp(1, most);
        // Before the distance is worked out, which takes longer.
        (long.abs_diff(short) <= most)
            .then(|| strsim::osa_distance(text, wanted))
            .filter(|edits| *edits <= most)
    };
    match (name.split_once('@'), wanted.split_once('@')) {
        (Some((local, domain)), Some((of_wanted, wanted_domain))) => {
            if local == of_wanted {
                // Another domain is no typing error.
                return Some(part(domain, wanted_domain, 2).unwrap_or(2));
            }
            (domain == wanted_domain).then(|| part(local, of_wanted, 2))?
        }
        (Some((local, _)), None) => part(local, wanted, 2).map(|edits| edits + 1),
        (None, Some(_)) => None,
        (None, None) => match name.contains(wanted) && wanted.chars().count() >= 3 {
            true => Some(part(name, wanted, 3).unwrap_or(3)),
            false => part(name, wanted, 3),
        },
    }
}

fn found_group(directory: &Directory, at: u32) -> FoundGroup {
    let groups = &directory.groups;
    let group = &groups[at as usize];
    let (ways, people) = chains::inside(groups, at);
    let people = people
        .into_iter()
        .map(|(person, inner)| (person, names_inside(groups, &ways, at, inner)));
    let mut unknown = vec![];
    for &inner in &ways.order {
        let one = &groups[inner as usize];
        let name = crate::text::sanitize(&one.name);
        if let Some(members) = &one.unknown {
            let mut text = format!(
                "{} of {name} {} neither among the people nor among the groups that were read",
                plural(members.count, "member"),
                if members.count == 1 { "is" } else { "are" },
            );
            if !members.sample.is_empty() {
                text.push_str(&format!(": {}", members.sample.join("; ")));
                if members.sample.len() < members.count {
                    text.push_str("; …");
                }
            }
            unknown.push(text);
        }
        if one.has_unidentified {
            unknown.push(format!("{name} has members that can't be identified"));
        }
    }
    let contains = ways.order.iter().skip(1);
    FoundGroup {
        id: Some(group.id.clone()),
        name: group.name.clone(),
        people: people.collect(),
        contains: contains
            .map(|&inner| groups[inner as usize].name.to_string())
            .collect(),
        unknown,
        organization: None,
    }
}

/// The groups between a group (excluded) and somebody whom `inner` has.
fn names_inside(groups: &[Group], ways: &Ways, start: u32, inner: u32) -> Vec<String> {
    if inner == start {
        return vec![];
    }
    let mut way = ways.back(inner);
    // It ends with the group that was asked for.
    way.pop();
    way.reverse();
    way.push(inner);
    names(groups, way)
}

/// The names of groups on a way, of a long one the first and last.
fn names(groups: &[Group], way: Vec<u32>) -> Vec<String> {
    let name = |at: &u32| {
        let group = &groups[*at as usize];
        match group.name.is_empty() {
            true => group.id.to_string(),
            false => group.name.to_string(),
        }
    };
    if way.len() <= WAY_MAX {
        return way.iter().map(name).collect();
    }
    let half = WAY_MAX / 2;
    let left_out = format!("… {} more …", way.len() - 2 * half);
    let first = way[..half].iter().map(name);
    let last = way[way.len() - half..].iter().map(name);
    first.chain([left_out]).chain(last).collect()
}

pub(super) fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

impl FoundOrganizationGroup {
    fn copied(&self) -> Self {
        Self {
            id: self.id,
            external_id: self.external_id.clone(),
            name: self.name.clone(),
        }
    }
}

impl FoundMember {
    fn read(member: &Member) -> Self {
        Self {
            id: Some(member.id),
            external_id: member.external_id.clone(),
            email: member.email.clone(),
            status: match member.status {
                MemberStatus::Revoked => "revoked".to_owned(),
                MemberStatus::Invited => "invited, has not accepted yet".to_owned(),
                MemberStatus::Accepted => "accepted, waits to be confirmed".to_owned(),
                MemberStatus::Confirmed => "confirmed".to_owned(),
                MemberStatus::Staged => "staged, not invited yet".to_owned(),
                MemberStatus::Other(number) => format!("status {number}, unknown here"),
                MemberStatus::Withheld => {
                    "not known: its external id holds a value of a Secret".to_owned()
                }
            },
            role: Some(match member.role {
                MemberRole::Owner => "owner".to_owned(),
                MemberRole::Other(1) => "admin".to_owned(),
                MemberRole::USER => "user".to_owned(),
                MemberRole::Other(4) => "custom role".to_owned(),
                MemberRole::Other(number) => format!("role {number}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_told_and_far_ones_are_not() {
        assert_eq!(distance("ann@example.com", "anne@example.com"), Some(1));
        assert_eq!(distance("ann@example.com", "ann@example.org"), Some(2));
        assert_eq!(distance("ann@example.com", "ann"), Some(1));
        assert_eq!(distance("engineering", "enginering"), Some(1));
        assert_eq!(distance("ann@example.com", "bob@example.com"), None);
        assert_eq!(distance("engineering", "engi"), Some(3));
        assert_eq!(
            distance("ann.smith@example.com", "robert.miller@example.com"),
            None
        );
        assert_eq!(distance("dan", "ann"), None);
    }

    #[test]
    fn a_dn_is_the_same_whatever_its_case_and_spaces() {
        assert_eq!(dn("CN=Ann, OU = People"), dn("cn=ann,ou=people"));
        assert_ne!(dn("cn=ann,ou=people"), dn("cn=ann b,ou=people"));
    }
}
