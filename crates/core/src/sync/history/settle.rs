//! What came of changes whose end isn't known, by what the organization holds now.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{History, Outcome, Person, Record};
use crate::organization::model::{Content, Group, Member, MemberStatus, Organization};
use crate::organization::role::AccessRole;
use crate::sync::plan::Kind;

/// What is said of a record whose end nobody can find out.
const LOST: &str = "the run ended before the answer came, and what came of it can't be seen";

impl History {
    /// Looks for what earlier runs began, or had no answer to. `memberships` are the groups that were
    /// read, with their members; a group that wasn't is looked for by a later run.
    pub fn settle(
        &mut self,
        organization: &Organization,
        memberships: &HashMap<Uuid, Vec<Uuid>>,
        tell: &mut dyn FnMut(&Record),
    ) {
        if self.open.is_empty() {
            return;
        }
        let seen = match organization {
            Organization::Read(content) => Some(Seen::new(content, memberships)),
            Organization::WriteOnly => None,
        };
        for before in std::mem::take(&mut self.open) {
            let mut record = before.clone();
            let settled = match &seen {
                Some(seen) => seen.settle(&mut record),
                None => Settled::Never,
            };
            match settled {
                Settled::As(result) => record.result = result,
                Settled::Later => {
                    self.open.push(before);
                    continue;
                }
                Settled::Never if record.result == Outcome::Pending => {
                    record.result = Outcome::Unknown;
                    record.answer = Some(LOST.into());
                }
                Settled::Never => {}
            }
            if record == before {
                continue;
            }
            if record.result == Outcome::Done || record.result == Outcome::NotMade {
                record.answer = None;
            }
            // A record that was never told needn't be taken back.
            if record.result != Outcome::NotMade || before.result != Outcome::Pending {
                tell(&record);
            }
            self.unsaved.push(record);
        }
    }
}

enum Settled {
    As(Outcome),
    /// What would tell wasn't read.
    Later,
    /// Nothing will tell.
    Never,
}

impl Settled {
    fn made(is_made: bool) -> Self {
        Self::As(match is_made {
            true => Outcome::Done,
            false => Outcome::NotMade,
        })
    }
}

struct Seen<'a> {
    members: HashMap<&'a str, &'a Member>,
    member_ids: HashMap<Uuid, &'a Member>,
    groups: HashMap<&'a str, &'a Group>,
    group_ids: HashMap<Uuid, &'a Group>,
    memberships: &'a HashMap<Uuid, Vec<Uuid>>,
}

impl<'a> Seen<'a> {
    fn new(content: &'a Content, memberships: &'a HashMap<Uuid, Vec<Uuid>>) -> Self {
        let members = content.members.iter();
        let groups = content.groups.iter();
        Self {
            members: members
                .clone()
                .filter_map(|member| Some((member.external_id.as_ref()?.as_str(), member)))
                .collect(),
            member_ids: members.map(|member| (member.id, member)).collect(),
            groups: groups
                .clone()
                .filter_map(|group| Some((group.external_id.as_ref()?.as_str(), group)))
                .collect(),
            group_ids: groups.map(|group| (group.id, group)).collect(),
            memberships,
        }
    }

    fn settle(&self, record: &mut Record) -> Settled {
        if let Some(person) = &record.person {
            return self.of_member(record, person);
        }
        match record.action {
            Kind::Invite | Kind::Link => Settled::Never,
            _ => self.of_group(record),
        }
    }

    fn of_member(&self, record: &Record, person: &Person) -> Settled {
        let named = person.external_id.as_deref();
        let member = named.and_then(|id| self.members.get(id));
        let status = member.map(|member| member.status);
        match record.action {
            Kind::Invite if record.from.is_some() => {
                let old = person.member_id;
                let is_there = old.is_some_and(|id| self.member_ids.contains_key(&id));
                match (member, is_there) {
                    (_, true) if record.result == Outcome::Refused => Settled::Never,
                    (_, true) => Settled::As(Outcome::NotMade),
                    (Some(_), false) => Settled::As(Outcome::Done),
                    (None, false) => Settled::As(Outcome::Partly),
                }
            }
            Kind::Invite | Kind::Link | Kind::Relink => Settled::made(member.is_some()),
            Kind::Restore => Settled::made(status.is_some_and(|now| now != MemberStatus::Revoked)),
            Kind::Revoke => match status {
                Some(status) => Settled::made(status == MemberStatus::Revoked),
                None => Settled::Never,
            },
            Kind::Remove => Settled::made(member.is_none()),
            Kind::Unlink => match person.member_id.and_then(|id| self.member_ids.get(&id)) {
                Some(now) => Settled::made(now.external_id.as_ref().map(|id| id.as_str()) != named),
                None => Settled::Never,
            },
            Kind::SetRole => {
                let now = self
                    .member(person)
                    .and_then(|member| AccessRole::of(member));
                let to = record.role.as_ref().and_then(|role| role.to.known());
                match (now, to) {
                    (Some(now), Some(to)) => Settled::made(now == to),
                    _ => Settled::Never,
                }
            }
            _ => Settled::Never,
        }
    }

    fn of_group(&self, record: &mut Record) -> Settled {
        let Some(name) = &record.group else {
            return Settled::Never;
        };
        let by_external_id = self.groups.get(&*name.external_id);
        let by_id = name.group_id.and_then(|id| self.group_ids.get(&id));
        match record.action {
            Kind::CreateGroup => match by_external_id {
                Some(group) => {
                    if let (Some(given), Some(now)) = (&mut record.collections, &group.collections)
                    {
                        given.retain(|access| now.contains(access));
                    }
                    self.members_of(record, group.id)
                }
                None => Settled::As(Outcome::NotMade),
            },
            Kind::UpdateGroup => match by_id.or(by_external_id) {
                Some(group) => self.members_of(record, group.id),
                None => Settled::Never,
            },
            Kind::DeleteGroup => {
                // Whoever the same run removed before had left it by that.
                record
                    .removed
                    .retain(|one| self.member(&one.person).is_some());
                Settled::made(by_id.is_none())
            }
            Kind::RelinkGroup => match by_id {
                Some(group) => {
                    let id = group.external_id.as_ref().map(|id| id.as_str());
                    Settled::made(id == Some(&*name.external_id))
                }
                None => Settled::Never,
            },
            Kind::UnlinkGroup => match by_id {
                Some(group) => {
                    let id = group.external_id.as_ref().map(|id| id.as_str());
                    Settled::made(id != Some(&*name.external_id))
                }
                None => Settled::Never,
            },
            Kind::SetCollections => match by_id.and_then(|group| group.collections.as_ref()) {
                Some(now) => Settled::made(record.access.iter().all(|change| {
                    now.iter().find(|one| one.id == change.id) == change.to.as_ref()
                })),
                None => Settled::Never,
            },
            Kind::RenameGroup => match by_id {
                Some(group) => Settled::made(group.name == name.name),
                None => Settled::Never,
            },
            _ => Settled::Never,
        }
    }

    /// The member that somebody is. Whose new external id wasn't written has the old one still.
    fn member(&self, person: &Person) -> Option<&&'a Member> {
        let named = person.external_id.as_deref();
        let by_external_id = named.and_then(|id| self.members.get(id));
        by_external_id.or_else(|| self.member_ids.get(&person.member_id?))
    }

    /// Who of those that were to come and go did.
    fn members_of(&self, record: &mut Record, group: Uuid) -> Settled {
        let Some(inside) = self.memberships.get(&group) else {
            return Settled::Later;
        };
        let inside: HashSet<Uuid> = inside.iter().copied().collect();
        let is_inside = |person: &Person| {
            let member = self.member(person);
            member.map(|member| inside.contains(&member.id))
        };
        record.added.retain(|one| is_inside(one) == Some(true));
        // Who isn't a member any more left it by that.
        record
            .removed
            .retain(|one| is_inside(&one.person) == Some(false));
        let nobody = record.added.is_empty() && record.removed.is_empty();
        Settled::made(record.action == Kind::CreateGroup || !nobody)
    }
}
