//! The plan for a server that takes imports and can't be read (Vaultwarden): everything that
//! shall be there, whenever any of it changed.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::directory::{Email, Evidence, ExternalId};
use crate::problem::{Problem, ProblemReason};
use crate::sync::memberships::Memory;
use crate::sync::plan::{
    Action, Change, GroupAction, MemberAction, Plan, Reason, Sent, Subject, Update, Withdrawal,
};
use crate::sync::policy::{Departure, Policy};
use crate::sync::roster::{Roster, Standing};

/// All rows of an import.
pub(super) struct Import {
    people_and_groups: Vec<Change>,
    revocations: Vec<Change>,
    digest: [u8; 16],
    problems: Vec<Problem>,
}

/// Everything the server shall have.
///
/// - `deleted` rows of such a server revoke by email, so nobody is revoked whose email anybody else
///   in the directory may still use.
/// - It invites whomever it doesn't know: where the policy is not to invite, people are left out.
/// - A directory that names no one would empty every group: nothing is sent.
pub(super) fn import(roster: &Roster, policy: &Policy) -> Import {
    let mut import = Import {
        people_and_groups: vec![],
        revocations: vec![],
        digest: [0; 16],
        problems: unsupported(policy),
    };
    if roster.directory_is_empty {
        import.problems.push(Problem::new(
            ProblemReason::EmptyDirectory,
            "the directory names no one, so nothing is sent; check what the source may read, and \
             its filters",
            [],
        ));
        return import;
    }
    if policy.onboarding.invite {
        import.people_and_groups.extend(active(roster));
    }
    import.people_and_groups.extend(groups(roster));
    import.problems.extend(left_alone(roster));
    import
        .people_and_groups
        .sort_by(|a, b| a.order().cmp(&b.order()));
    if policy.offboarding.disabled != Departure::Retain {
        import.revocations = revocations(roster);
    }
    import.digest = digest(&import.people_and_groups);
    import
}

impl Import {
    pub(super) fn complete(
        self,
        roster: &Roster,
        memory: &Memory,
        plan: &mut Plan,
    ) -> Vec<Problem> {
        let changed = !memory.has_sent(self.digest) && !roster.directory_is_empty;
        let mut sent = Sent {
            digest: self.digest,
            ..Sent::default()
        };
        for mut row in self.people_and_groups {
            let takes_away = match row.group() {
                Some(GroupAction::Create { add }) => {
                    let group = row.external_id();
                    sent.groups.insert(group.clone(), add.clone());
                    let before = memory.last_sent(group);
                    before.and_then(|before| shrunken(&row, add, before, roster))
                }
                _ => None,
            };
            // What was held before is still to be done, though nothing else is.
            if changed || takes_away.is_some() {
                row = takes_away.unwrap_or(row);
                plan.changes.push(row);
            }
        }
        for group in roster.groups.iter().filter(|group| group.has_unidentified) {
            // What was sent before is still what the server has.
            if let Some(before) = memory.last_sent(&group.id) {
                sent.groups.insert(group.id.clone(), before.to_vec());
            }
        }
        for revocation in self.revocations {
            let id = revocation.external_id().clone();
            sent.revoked.push(id.clone());
            if !memory.has_revoked(&id) {
                plan.changes.push(revocation);
            } else if changed {
                sent.repeated.insert(id);
                plan.changes.push(revocation);
            }
        }
        if !roster.directory_is_empty {
            plan.sent = Some(sent);
        }
        self.problems
    }
}

/// The row of a group as an update, where somebody it was sent with before isn't in it any more: an
/// import would take them out, which is the guard's to judge.
fn shrunken(
    row: &Change,
    wanted: &[ExternalId],
    before: &[ExternalId],
    roster: &Roster,
) -> Option<Change> {
    let wanted_set: HashSet<&ExternalId> = wanted.iter().collect();
    let before_set: HashSet<&ExternalId> = before.iter().collect();
    let of = |ids: &[ExternalId], fits: &dyn Fn(&ExternalId) -> bool| -> Vec<ExternalId> {
        ids.iter().filter(|id| fits(id)).cloned().collect()
    };
    let evidence = |id: &ExternalId| {
        let person = &roster.people[*roster.by_id.get(id)? as usize];
        person.evidence.clone()
    };
    let remove: Vec<Withdrawal> = before
        .iter()
        .filter(|id| !wanted_set.contains(id))
        .map(|id| Withdrawal {
            external_id: id.clone(),
            evidence: evidence(id).unwrap_or(Evidence::Absent),
        })
        .collect();
    (!remove.is_empty()).then(|| Change {
        subject: row.subject.clone(),
        reason: Reason::MembersChanged,
        action: Action::Group(GroupAction::Update(Update {
            add: of(wanted, &|id| !before_set.contains(id)),
            remove,
            keep: of(wanted, &|id| before_set.contains(id)),
            unmanaged: None,
        })),
    })
}

fn unsupported(policy: &Policy) -> Vec<Problem> {
    let mut problems = vec![];
    let mut report = |message: &str| {
        problems.push(Problem::new(ProblemReason::Unsupported, message, []));
    };
    if policy.offboarding.absent != Departure::Retain {
        report(
            "this server doesn't tell who its members are, so people who are gone from the \
             directory stay; set offboarding.absent to Retain and remove them in its console",
        );
    }
    if policy.offboarding.disabled == Departure::Remove {
        report(
            "this server can't remove members, so blocked people are revoked; set \
             offboarding.disabled to Revoke",
        );
    }
    if policy.groups.prune {
        report(
            "this server can't delete groups; set groups.prune to false and delete them in its \
             console",
        );
    }
    if !policy.onboarding.invite {
        report(
            "this server can't stage members without an invitation, so no one is added; set \
             onboarding.invite to true",
        );
    }
    if policy.onboarding.invite && !policy.onboarding.restore {
        report(
            "this server gives revoked members their access back whenever they are imported; set \
             onboarding.restore to true, or filter them out",
        );
    }
    problems
}

fn active(roster: &Roster) -> impl Iterator<Item = Change> {
    roster
        .people
        .iter()
        .filter(|person| person.standing == Standing::Active)
        .filter_map(|person| {
            Some(Change {
                subject: Subject::person(person.id.clone(), person.email.clone()?, None),
                reason: Reason::SentInFull,
                action: Action::Member(MemberAction::Invite { staged: false }),
            })
        })
}

/// An import replaces a group's members: where somebody in it can't be identified, it would take
/// them out, and nobody could see that.
fn left_alone(roster: &Roster) -> impl Iterator<Item = Problem> {
    let groups = roster.groups.iter().filter(|group| group.has_unidentified);
    groups.map(|group| {
        let message = format!(
            "group {} has a member who can't be identified, and this server doesn't tell who is in \
             it: the group isn't sent; let the operator's account read the id of its members, give \
             each an id of its own, or leave them out by a filter",
            crate::text::shorten(&group.name)
        );
        let ids = [group.id.clone()];
        Problem::new(ProblemReason::UnidentifiedEntries, message, ids)
    })
}

fn groups(roster: &Roster) -> impl Iterator<Item = Change> {
    let known = roster.groups.iter().filter(|group| !group.has_unidentified);
    known.map(|group| {
        let people = group
            .people
            .iter()
            .map(|person| &roster.people[person as usize].id);
        let mut add: Vec<ExternalId> = people
            .filter(|id| roster.by_id.contains_key(*id))
            .cloned()
            .collect();
        add.sort_unstable();
        Change {
            subject: Subject::group(group.id.clone(), group.name.clone(), None),
            reason: Reason::SentInFull,
            action: Action::Group(GroupAction::Create { add }),
        }
    })
}

fn revocations(roster: &Roster) -> Vec<Change> {
    let mut taken: HashSet<&Email> = roster
        .people
        .iter()
        .filter(|person| !matches!(person.standing, Standing::Disabled | Standing::Deleted))
        .filter_map(|person| person.email.as_ref())
        .chain(
            roster
                .unidentified
                .iter()
                .filter_map(|user| user.email.as_ref()),
        )
        .collect();
    let mut disabled: Vec<_> = roster
        .people
        .iter()
        .filter(|person| {
            person.standing == Standing::Disabled && roster.by_id.contains_key(&person.id)
        })
        .collect();
    disabled.sort_by(|a, b| a.id.cmp(&b.id));
    disabled
        .into_iter()
        .filter_map(|person| {
            let email = person.email.as_ref().filter(|email| taken.insert(email))?;
            let evidence = person.evidence.clone().unwrap_or(Evidence::Absent);
            Some(Change {
                subject: Subject::person(person.id.clone(), email.clone(), None),
                reason: Reason::DisabledInDirectory,
                action: Action::Member(MemberAction::Revoke { evidence }),
            })
        })
        .collect()
}

fn digest(rows: &[Change]) -> [u8; 16] {
    let mut sha = Sha256::new();
    let mut text = |text: &str| {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text);
    };
    for row in rows {
        text(row.kind().name());
        text(row.external_id().as_str());
        text(row.subject.label());
        if let Some(GroupAction::Create { add }) = row.group() {
            add.iter().for_each(|id| text(id.as_str()));
        }
    }
    let mut half = [0; 16];
    half.copy_from_slice(&sha.finalize()[..16]);
    half
}
