//! Keeps of a whole domain what was asked for.
//!
//! Nesting is worked out here, over all groups that were read, rather than by the controller's
//! in-chain filters, which take it minutes. Groups whose members this controller doesn't know are in
//! part, and so is every group that contains one.

use std::collections::HashSet;

use super::error::ActiveDirectoryFailure;
use crate::directory::{Directory, ExternalId, Group, InPart, UnknownMembers};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// How many unknown members of one group are named.
const UNKNOWN_SAMPLE: usize = 3;

/// What was asked for, and what is known to be missing.
#[derive(Default)]
pub struct Scope {
    /// The groups to keep; `None`: all.
    pub wanted: Option<HashSet<ExternalId>>,
    /// Keep only people who are, directly or not, in one of these; `None`: everybody.
    pub only_members_of: Option<HashSet<ExternalId>>,
    /// Members that belong to another domain or forest.
    pub foreign: Vec<Foreign>,
}

/// A member of a group who is of a domain that can't be read here.
pub struct Foreign {
    /// The group that lists the member.
    pub group: ExternalId,
    /// The name of the group that has the member.
    pub name: String,
    /// The SID that identifies the member.
    pub sid: String,
}

/// The directory without what wasn't asked for. Groups that are kept have everybody who is in them
/// through groups that aren't; members who can't be read here are noted as problems.
///
/// # Errors
/// When people are to be in groups whose members aren't all known.
pub fn keep(mut directory: Directory, scope: Scope) -> Result<Directory, ActiveDirectoryFailure> {
    let all = &directory.groups;
    let is_wanted: Vec<bool> = all
        .iter()
        .map(|group| {
            let wanted = scope.wanted.as_ref();
            wanted.is_none_or(|wanted| wanted.contains(&group.id))
        })
        .collect();
    let some_in_part = all.iter().any(|group| group.in_part.is_some());
    let mut relevant = vec![false; all.len()];
    let mut walk = Walk::new(all.len());
    let people = match &scope.only_members_of {
        None => None,
        Some(roots) => Some(people_in(&directory, roots, &mut walk, &mut relevant)?),
    };
    let mut groups = vec![];
    let mut new_index = vec![0_u32; all.len()];
    for index in (0..all.len()).filter(|&index| is_wanted[index]) {
        new_index[index] = groups.len() as u32;
        let (mut users, mut nested) = (vec![], vec![]);
        let mut unidentified = false;
        let mut unknown: Option<Box<UnknownMembers>> = None;
        walk.from([index], |at| {
            relevant[at] = true;
            unidentified |= all[at].has_unidentified;
            if at != index && is_wanted[at] {
                nested.push(at as u32);
                return &[];
            }
            if let Some(more) = &all[at].unknown {
                let unknown = unknown.get_or_insert_default();
                unknown.count += more.count;
                let room = UNKNOWN_SAMPLE.saturating_sub(unknown.sample.len());
                unknown
                    .sample
                    .extend(more.sample.iter().take(room).cloned());
            }
            users.extend(&all[at].users);
            &all[at].groups
        });
        let mut in_part: Option<InPart> = None;
        if some_in_part {
            walk.from([index], |at| {
                in_part = in_part.or(all[at].in_part);
                &all[at].groups
            });
        }
        groups.push((index, users, nested, (in_part, unidentified, unknown)));
    }
    report(&mut directory, &scope, &relevant);
    let mut new_person = vec![None; directory.users.len()];
    let mut users = vec![];
    for (index, user) in std::mem::take(&mut directory.users).into_iter().enumerate() {
        if people.as_ref().is_none_or(|kept| kept[index]) {
            new_person[index] = Some(users.len() as u32);
            users.push(user);
        }
    }
    let mut old: Vec<_> = std::mem::take(&mut directory.groups)
        .into_iter()
        .map(Some)
        .collect();
    let groups = groups.into_iter().filter_map(
        |(index, users, nested, (in_part, has_unidentified, unknown))| {
            let Group { id, name, .. } = old[index].take()?;
            let mut users: Vec<u32> = users
                .iter()
                .filter_map(|&user: &u32| new_person[user as usize])
                .collect();
            let mut nested: Vec<u32> = nested
                .iter()
                .map(|&at: &u32| new_index[at as usize])
                .collect();
            for list in [&mut users, &mut nested] {
                list.sort_unstable();
                list.dedup();
            }
            Some(Group {
                id,
                name,
                users: users.into(),
                groups: nested.into(),
                in_part,
                has_unidentified,
                unknown,
            })
        },
    );
    directory.groups = groups.collect();
    directory.users = users;
    if let Some(former) = &mut directory.former_ids {
        let places = is_wanted.iter().zip(&new_index);
        let places: Vec<_> = places.map(|(wanted, at)| wanted.then_some(*at)).collect();
        former.renumber(&new_person, &places);
    }
    Ok(directory)
}

/// Who is in these groups, directly or not.
fn people_in(
    directory: &Directory,
    roots: &HashSet<ExternalId>,
    walk: &mut Walk,
    relevant: &mut [bool],
) -> Result<Vec<bool>, ActiveDirectoryFailure> {
    let all = &directory.groups;
    let mut kept = vec![false; directory.users.len()];
    let mut unknown = None;
    let indexes: Vec<_> = (0..all.len())
        .filter(|&index| roots.contains(&all[index].id))
        .collect();
    walk.from(indexes, |at| {
        relevant[at] = true;
        if all[at].in_part.is_some() {
            unknown = Some(&all[at].name);
        }
        for &user in &all[at].users {
            kept[user as usize] = true;
        }
        &all[at].groups
    });
    // Whoever isn't seen in them would be taken for somebody who left.
    match unknown {
        None => Ok(kept),
        Some(name) => Err(ActiveDirectoryFailure::NotUniversal {
            field: "users.memberOf",
            group: sanitize(name),
        }),
    }
}

/// Notes who can't be read although a group that matters contains them.
fn report(directory: &mut Directory, scope: &Scope, relevant: &[bool]) {
    let matters: HashSet<&ExternalId> = directory
        .groups
        .iter()
        .zip(relevant)
        .filter_map(|(group, relevant)| relevant.then_some(&group.id))
        .collect();
    let mut problems = vec![];
    // A list that was begun anew names its members again.
    let mut reported = HashSet::new();
    for foreign in &scope.foreign {
        let new = reported.insert((&foreign.group, &foreign.sid));
        if new && matters.contains(&foreign.group) {
            let message = format!(
                "group {} has {} as a member, who isn't of this domain or forest and can't be read \
                 here; read the domain this is of as well, or take the member out",
                foreign.name, foreign.sid
            );
            problems.push((message, foreign.group.clone()));
        }
    }
    for (index, group) in directory.groups.iter().enumerate() {
        for &nested in group.groups.iter().filter(|_| relevant[index]) {
            let nested = &directory.groups[nested as usize];
            if nested.in_part == Some(InPart::HiddenMembers) {
                let message = format!(
                    "group {} contains the group {} of another domain, whose members the global \
                     catalog doesn't know, because it isn't universal; make it universal, or read \
                     its own domain",
                    group.name, nested.name
                );
                problems.push((message, group.id.clone()));
            }
        }
    }
    for (message, group) in problems {
        directory.problems.add(Problem::new(
            ProblemReason::UnreadableMember,
            message,
            [group],
        ));
    }
}

/// A walk through nested groups that comes to each but once, whatever its cycles.
struct Walk {
    /// The number of the last walk that came here.
    seen: Vec<u32>,
    turn: u32,
    waiting: Vec<u32>,
}

impl Walk {
    fn new(groups: usize) -> Self {
        Self {
            seen: vec![0; groups],
            turn: 0,
            waiting: vec![],
        }
    }

    /// Begins at `roots`; `visit` looks at a group and says which to go on to.
    fn from<'g>(
        &mut self,
        roots: impl IntoIterator<Item = usize>,
        mut visit: impl FnMut(usize) -> &'g [u32],
    ) {
        self.turn += 1;
        self.waiting.clear();
        self.waiting
            .extend(roots.into_iter().map(|index| index as u32));
        while let Some(at) = self.waiting.pop() {
            let at = at as usize;
            if std::mem::replace(&mut self.seen[at], self.turn) == self.turn {
                continue;
            }
            self.waiting.extend(visit(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Account, DirectoryBuilder};

    /// Ann is in `staff`, which contains `far`, a group of another domain; Bob is in `other`.
    fn directory() -> Directory {
        let mut builder = DirectoryBuilder::new();
        let [ann, bob, staff, far, other] =
            ["ann", "bob", "staff", "far", "other"].map(|name| builder.key(name));
        for (key, name) in [(ann, "ann"), (bob, "bob")] {
            let email = format!("{name}@example.com");
            builder.user(&[key], name, &email, Account::ACTIVE, name);
        }
        builder.group(&[staff], "staff", "staff", vec![ann, far]);
        builder.group(&[other], "other", "other", vec![bob]);
        builder.group_in_part(&[far], "far", "far", vec![]);
        builder.finish().into_inner()
    }

    fn ids(names: &[&str]) -> HashSet<ExternalId> {
        let id = |name: &&str| ExternalId::parse(name).unwrap();
        names.iter().map(id).collect()
    }

    #[test]
    fn a_group_with_one_that_is_known_in_part_is_in_part_and_says_why() {
        let wanted = Some(ids(&["staff", "other"]));
        let kept = keep(
            directory(),
            Scope {
                wanted,
                ..Scope::default()
            },
        )
        .unwrap();
        let in_part: Vec<_> = kept
            .groups
            .iter()
            .map(|g| (&*g.name, g.in_part.is_some()))
            .collect();
        assert_eq!(in_part, [("staff", true), ("other", false)]);
        let problems: Vec<_> = kept.problems.iter().collect();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("contains the group far"));
    }

    #[test]
    fn nobody_is_left_out_for_a_membership_that_cannot_be_seen() {
        let only = |names: &[&str]| {
            let only_members_of = Some(ids(names));
            keep(
                directory(),
                Scope {
                    only_members_of,
                    ..Scope::default()
                },
            )
        };
        let kept = only(&["other"]).unwrap();
        let people: Vec<_> = kept.users.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(people, ["bob"]);
        let refused = only(&["staff"]).unwrap_err().to_string();
        assert!(
            refused.contains("users.memberOf") && refused.contains("far"),
            "{refused}"
        );
    }

    #[test]
    fn foreign_members_are_reported_once_and_only_of_groups_in_scope() {
        let foreign = |group: &str| Foreign {
            group: ExternalId::parse(group).unwrap(),
            name: group.to_owned(),
            sid: "S-1-5-21-1-2-3-1104".to_owned(),
        };
        let scope = Scope {
            wanted: Some(ids(&["other"])),
            foreign: vec![foreign("staff"), foreign("other"), foreign("other")],
            ..Scope::default()
        };
        let kept = keep(directory(), scope).unwrap();
        let problems: Vec<_> = kept.problems.iter().collect();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("S-1-5-21-1-2-3-1104"));
    }
}
