//! Holds back what looks dangerous until a person approves it.
//!
//! `weigh` finds which limits are exceeded, and by what; `split` takes out of the plan what those
//! limits are about, and nothing else.

mod record;
mod split;
mod weigh;

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

pub use super::fingerprint::{Digest, Fingerprint, FingerprintSet};
pub(in crate::sync) use split::{Kept, keep_ids};

use crate::directory::{Evidence, ExternalId};
use crate::problem::{Problem, ProblemReason};
use crate::sync::history::CollectionAccess;
use crate::sync::incremental::{NeedsCompleteRead, needs_complete_read};
use crate::sync::ledger::{Hold, LARGE_APPROVAL_MAX, Ledger, Limited};
use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Plan};
use crate::sync::policy::Policy;

/// A plan split in two: what goes ahead, and what is held.
#[derive(Debug, Clone)]
pub struct GuardedPlan {
    /// What may be applied.
    pub approved: Approved<Plan>,
    /// What is held; `None` where nothing is.
    pub held: Option<Held>,
    /// The hold whose approval lets everything go ahead; to be noted as used.
    pub used: Option<Hold>,
    /// The id of the hold where something is held; otherwise the digest of everything that the plan
    /// takes away.
    pub digest: Digest,
    /// Everything that the plan takes away, held or not.
    pub removals: FingerprintSet,
    /// What limits were a share of before the plan adds to it.
    pub(crate) raised: Vec<(Limited, usize)>,
    /// Why the plan can't be made of a directory that wasn't read whole. Nothing of it goes ahead then.
    pub needs_complete_read: Option<NeedsCompleteRead>,
    /// Who would be revoked by it on what their own entries say, if no limit holds anything: the fast lane, which reads
    /// these entries itself, needn't wait for that read.
    pub leavers: Vec<ExternalId>,
}

/// A value that passed the guard. Only the guard makes one.
#[derive(Debug, Clone)]
pub struct Approved<T>(T);

impl<T> std::ops::Deref for Approved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Approved<Plan> {
    /// Takes people who can't come in yet out of the plan: their invitations and restorations, and
    /// whoever isn't a member yet out of the groups too.
    pub(super) fn postpone(&mut self, people: &HashSet<ExternalId>, why: Problem) {
        let Self(plan) = self;
        postpone(plan, people);
        plan.problems.add(why);
    }

    /// Notes to which collections the groups give access that go, for the history.
    pub fn note_collections(&mut self, collections: HashMap<Uuid, Vec<CollectionAccess>>) {
        self.0.collections = collections;
    }
}

/// Takes people who don't come in yet out of a plan, and out of its groups.
pub(in crate::sync) fn postpone(plan: &mut Plan, people: &HashSet<ExternalId>) {
    let mut outside: HashSet<&ExternalId> = HashSet::new();
    plan.changes.retain(
        |change| match (change.member(), people.get(change.external_id())) {
            (Some(MemberAction::Invite { .. }), Some(id)) => {
                outside.insert(id);
                false
            }
            (Some(MemberAction::Restore), Some(_)) => false,
            _ => true,
        },
    );
    let mut missing: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    plan.changes.retain_mut(|change| {
        let (add, is_update) = match &mut change.action {
            Action::Group(GroupAction::Create { add }) => (add, false),
            Action::Group(GroupAction::Update(update)) => (&mut update.add, true),
            _ => return true,
        };
        let late: Vec<ExternalId> = add.extract_if(.., |id| outside.contains(id)).collect();
        let nothing_left = is_update && add.is_empty() && !late.is_empty();
        if !late.is_empty() {
            missing.insert(change.subject.external_id.clone(), late);
        }
        !nothing_left || change.takes_away()
    });
    for state in &mut plan.groups {
        state
            .missing
            .extend(missing.remove(&state.external_id).unwrap_or_default());
    }
}

/// Changes that are held until a person approves them.
#[derive(Debug, Clone)]
pub struct Held {
    /// What an approval names, and what it is for.
    pub hold: Hold,
    /// The changes, all of them.
    pub changes: Vec<Change>,
    /// Which limits hold them, the most general first.
    pub why: Vec<HeldBecause>,
    /// Which of `why` holds each of `changes`.
    pub by: Vec<usize>,
    /// Who comes into a group once it gets the name that is held, by the group's external id.
    pub kept_out: HashMap<ExternalId, Vec<ExternalId>>,
    /// What the limits that hold something are a share of.
    pub(crate) shares_of: Vec<(Limited, usize)>,
}

/// Why changes are held. Numbers are of the last 24 hours: `earlier` were lost (or invited) by
/// earlier runs without an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBecause {
    /// The directory named no one who is active and in scope, and the organization has managed
    /// members. Everything that takes something away is held, except from those who are listed as
    /// disabled.
    EmptyDirectory {
        /// How many managed members there are.
        members: usize,
    },
    /// The directory named active people in scope, and none of them is a member. Everything that takes
    /// something away is held as for an empty directory.
    NobodyRecognized {
        /// How many managed members there are.
        members: usize,
    },
    /// The server can't be read, and what was sent to it before isn't known any more. Everything that
    /// may take something away is held.
    MembersUnknown {
        /// How many changes are held for it.
        changes: usize,
    },
    /// The server can't be read, and people have new ids: re-linking them gives access back to whoever
    /// was revoked by hand. The re-links are held, and the groups that these people are in.
    RelinksUnseen {
        /// How many people would be re-linked.
        people: usize,
    },
    /// The server can't be read, and a run that ended early may have given these people access back: sending
    /// them again gives it back to whoever was revoked by hand since.
    RestoresUnseen {
        /// How many people they are.
        people: usize,
    },
    /// These people would be invited, and whether their accounts are disabled isn't known: what told that of
    /// somebody who lost access isn't read any more, and they may be among them.
    UnknownAccountState {
        /// How many people they are.
        people: usize,
    },
    /// What was taken away earlier isn't known, because its record was lost or is another one than
    /// was written last. Everything that rests on absence is held.
    UnknownHistory {
        /// How many members would lose something.
        members: usize,
        /// Until when it stays so.
        until: Option<Timestamp>,
    },
    /// There was no record of earlier syncs, and the organization has managed members. Loss of access
    /// and deletions of groups that rest on absence are held.
    NoHistory {
        /// How many members would lose access or membership.
        members: usize,
        /// How many groups would be deleted.
        groups: usize,
        /// Until when it stays so.
        until: Option<Timestamp>,
    },
    /// `offboarding.limit`, for people who are absent, out of scope or out of a group.
    Absent {
        /// How many members would lose something.
        members: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// The same where some of them lose a role, access or an invitation, and aren't absent.
    Losing {
        /// How many members would lose something.
        members: usize,
        /// How many of them would be gone, out of scope or out of a group.
        absent: usize,
        /// How many would lose rights of their role, or access to collections, by rules.
        by_rules: usize,
        /// How many haven't accepted their invitation, and would lose it.
        invitations: usize,
        /// How many lost something earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// `offboarding.disabledLimit`, for people whose account is disabled.
    Disabled {
        /// How many members would lose something.
        members: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// `offboarding.limit`, for groups that would be deleted.
    DeletedGroups {
        /// How many groups would be deleted.
        groups: usize,
        /// How many were earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// `groups.limit`, for the members of one group.
    Group {
        /// Its name.
        name: Box<str>,
        /// How many would leave it.
        members: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// `groups.limit` or `groups.protected`, for the members of a group that isn't synced any more.
    EndedGroup {
        /// Its name.
        name: Box<str>,
        /// How many would lose access that rules gave it.
        members: usize,
        /// How many may; `None`: it is protected.
        limit: Option<usize>,
    },
    /// `offboarding.limit`, for groups that aren't synced any more.
    EndedGroups {
        /// How many would lose access that rules gave them.
        groups: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
    /// `groups.protected`.
    ProtectedGroup {
        /// Its name.
        name: Box<str>,
        /// How many would leave it.
        members: usize,
    },
    /// A person took it back by an undo, and the directory still asks for it.
    Undone {
        /// How many changes, counting each person of a group.
        changes: usize,
    },
    /// `access.limit`, for people who would gain or lose rights of their role.
    Roles {
        /// How many people would.
        people: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
        /// Whether they would lose rights.
        lost: bool,
    },
    /// `access.collectionsLimit`, for people who would gain access to collections; `access.limit` for those who
    /// would gain `Manage` on one.
    Collections {
        /// How many people would.
        people: usize,
        /// How many did earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
        /// Whether it is about `Manage`.
        manage: bool,
    },
    /// `onboarding.limit`.
    Invited {
        /// How many people would be invited or get their access back.
        people: usize,
        /// How many were earlier.
        earlier: usize,
        /// How many may.
        limit: usize,
    },
}

impl HeldBecause {
    /// The limit by the name of its field, or the state that holds changes whatever the limits.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::EmptyDirectory { .. } => "an empty directory",
            Self::NobodyRecognized { .. } => "nobody recognized",
            Self::MembersUnknown { .. } => "unknown members",
            Self::RelinksUnseen { .. } => "unseen re-links",
            Self::RestoresUnseen { .. } => "unseen restores",
            Self::UnknownAccountState { .. } => "unknown account state",
            Self::UnknownHistory { .. } => "unknown history",
            Self::NoHistory { .. } => "no history",
            Self::Absent { .. }
            | Self::Losing { .. }
            | Self::DeletedGroups { .. }
            | Self::EndedGroups { .. } => "offboarding.limit",
            Self::Disabled { .. } => "offboarding.disabledLimit",
            Self::Group { .. } | Self::EndedGroup { limit: Some(_), .. } => "groups.limit",
            Self::ProtectedGroup { .. } | Self::EndedGroup { limit: None, .. } => {
                "groups.protected"
            }
            Self::Invited { .. } => "onboarding.limit",
            Self::Roles { .. } | Self::Collections { manage: true, .. } => "access.limit",
            Self::Collections { manage: false, .. } => "access.collectionsLimit",
            Self::Undone { .. } => "undone",
        }
    }
}

impl fmt::Display for HeldBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let past = |f: &mut fmt::Formatter<'_>, earlier: usize, limit: usize, field: &str| {
            if earlier > 0 {
                write!(f, " ({earlier} more did in the last 24 hours)")?;
            }
            write!(f, "; {field} allows {limit} in 24 hours")
        };
        match self {
            Self::EmptyDirectory { members } => write!(
                f,
                "the directory names no one who is active and in scope, and the organization has {} of ours",
                plural(*members, "member")
            ),
            Self::NobodyRecognized { members } => write!(
                f,
                "nobody whom the directory names as active and in scope is a member, and the \
                 organization has {} of ours",
                plural(*members, "member")
            ),
            Self::MembersUnknown { changes } => write!(
                f,
                "this server can't be read, and what was sent to it before isn't known any more: \
                 {changes} changes may take members out of groups, or give access back that was \
                 revoked by hand"
            ),
            Self::RelinksUnseen { people } => write!(
                f,
                "{} a new id, and this server doesn't tell whether somebody has revoked them: sending \
                 them gives them access; until then the groups that they are in aren't sent",
                match people {
                    1 => "1 person has".to_owned(),
                    people => format!("{people} people have"),
                }
            ),
            Self::RestoresUnseen { people } => write!(
                f,
                "a sync ended while it gave access back to {}, and this server doesn't tell whether it \
                 came that far, or whether somebody has revoked them since: sending them again gives \
                 them access",
                persons(*people)
            ),
            Self::UnknownAccountState { people } => write!(
                f,
                "{} would be invited, and whether their accounts are disabled isn't known: they may be \
                 somebody who lost access for that (the problem UnknownAccountState says why)",
                persons(*people)
            ),
            Self::UnknownHistory { members, until } => {
                write!(
                    f,
                    "the record of earlier removals is missing or isn't the one written last, and {} \
                     who aren't disabled would lose something",
                    plural(*members, "member")
                )?;
                match until {
                    Some(until) => write!(f, "; held until {until} or approved"),
                    None => Ok(()),
                }
            }
            Self::NoHistory {
                members,
                groups,
                until,
            } => {
                write!(
                    f,
                    "there is no record of earlier syncs (this is the first one, or the record was \
                     deleted), and the organization has managed members already: {} who aren't disabled \
                     would lose access",
                    plural(*members, "member")
                )?;
                if *groups > 0 {
                    write!(f, ", and {} would be deleted", plural(*groups, "group"))?;
                }
                match until {
                    Some(until) => write!(f, "; held until {until} or approved"),
                    None => Ok(()),
                }
            }
            Self::Absent {
                members,
                earlier,
                limit,
            } => {
                let members = plural(*members, "member");
                write!(
                    f,
                    "{members} would lose something, being absent, out of scope or out of a group"
                )?;
                past(f, *earlier, *limit, "offboarding.limit")
            }
            Self::Losing {
                members,
                absent,
                by_rules,
                invitations,
                earlier,
                limit,
            } => {
                let parts = [
                    (*by_rules, "by the rules of access"),
                    (*invitations, "not having accepted an invitation"),
                    (*absent, "being absent, out of scope or out of a group"),
                ];
                let parts = parts.into_iter().filter(|(count, _)| *count > 0);
                let parts: Vec<(usize, &str)> = parts.collect();
                write!(f, "{} would lose something, ", plural(*members, "member"))?;
                match parts.as_slice() {
                    [(_, how)] => f.write_str(how)?,
                    several => {
                        let several = several.iter().map(|(count, how)| format!("{count} {how}"));
                        f.write_str(&several.collect::<Vec<_>>().join(", "))?;
                    }
                }
                past(f, *earlier, *limit, "offboarding.limit")
            }
            Self::Disabled {
                members,
                earlier,
                limit,
            } => {
                let members = plural(*members, "member");
                write!(
                    f,
                    "{members} would lose something, their account being disabled"
                )?;
                past(f, *earlier, *limit, "offboarding.disabledLimit")
            }
            Self::DeletedGroups {
                groups,
                earlier,
                limit,
            } => {
                write!(f, "{} would be deleted", plural(*groups, "group"))?;
                past(f, *earlier, *limit, "offboarding.limit")
            }
            Self::Group {
                name,
                members: 0,
                earlier: 0,
                ..
            } => write!(
                f,
                "group {} would be deleted, and who is in it isn't known",
                crate::text::sanitize(name)
            ),
            Self::Group {
                name,
                members,
                earlier,
                limit,
            } => {
                let name = crate::text::sanitize(name);
                write!(f, "{} would leave group {name}", plural(*members, "member"))?;
                past(f, *earlier, *limit, "groups.limit")
            }
            Self::EndedGroup {
                name,
                members,
                limit,
            } => {
                write!(
                    f,
                    "group {} isn't synced any more{}, and {} would lose access that rules gave it",
                    crate::text::sanitize(name),
                    match limit {
                        Some(_) => "",
                        None => " and is protected",
                    },
                    plural(*members, "member")
                )?;
                match limit {
                    Some(limit) => past(f, 0, *limit, "groups.limit"),
                    None => Ok(()),
                }
            }
            Self::EndedGroups {
                groups,
                earlier,
                limit,
            } => {
                write!(
                    f,
                    "{} would lose access that rules gave, not being synced any more",
                    plural(*groups, "group")
                )?;
                past(f, *earlier, *limit, "offboarding.limit")
            }
            Self::ProtectedGroup { name, members: 0 } => write!(
                f,
                "group {} is protected, and would be deleted or get a name that isn't protected",
                crate::text::sanitize(name)
            ),
            Self::ProtectedGroup { name, members } => write!(
                f,
                "group {} is protected, and {} would leave it",
                crate::text::sanitize(name),
                plural(*members, "member")
            ),
            Self::Undone { changes } => write!(
                f,
                "{} taken back by an undo, and the directory still asks for {}; held until it doesn't, or \
                 approved",
                match changes {
                    1 => "1 change was".to_owned(),
                    changes => format!("{changes} changes were"),
                },
                match changes {
                    1 => "it",
                    _ => "them (each person of a group counts)",
                },
            ),
            Self::Roles {
                people,
                earlier,
                limit,
                lost,
            } => {
                let people = persons(*people);
                match lost {
                    false => write!(f, "{people} would gain rights by access.roles")?,
                    true => write!(f, "{people} would lose rights by access.roles")?,
                }
                past(f, *earlier, *limit, "access.limit")
            }
            Self::Collections {
                people,
                earlier,
                limit,
                manage,
            } => {
                let people = persons(*people);
                match manage {
                    false => write!(f, "{people} would gain access by access.collections")?,
                    true => write!(f, "{people} would gain Manage by access.collections")?,
                }
                past(f, *earlier, *limit, self.limit())
            }
            Self::Invited {
                people,
                earlier,
                limit,
            } => {
                write!(
                    f,
                    "{} would be invited or get their access back",
                    persons(*people)
                )?;
                past(f, *earlier, *limit, "onboarding.limit")
            }
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn persons(count: usize) -> String {
    match count {
        1 => "1 person".to_owned(),
        people => format!("{people} people"),
    }
}

/// So many reasons are told one by one; the others are counted.
const REASONS_TOLD: usize = 5;

impl Held {
    /// How many members would lose something, as far as one limit counts them.
    pub fn members(&self) -> usize {
        let mut people: HashSet<&ExternalId> = HashSet::new();
        for change in &self.changes {
            match &change.action {
                Action::Member(MemberAction::Revoke { .. } | MemberAction::Remove { .. }) => {
                    people.insert(change.external_id());
                }
                Action::Member(MemberAction::SetRole(role)) if role.takes_away() => {
                    people.insert(change.external_id());
                }
                Action::Group(GroupAction::Update(update)) => {
                    people.extend(update.remove.iter().map(|leaving| &leaving.external_id));
                }
                Action::Group(GroupAction::Delete(deletion)) => {
                    people.extend(deletion.members.iter().flatten());
                }
                Action::Group(GroupAction::SetCollections(access)) => {
                    people.extend(&access.losing);
                }
                _ => {}
            }
        }
        people.len()
    }

    /// Each change with the limit that holds it.
    pub fn with_limits(&self) -> impl Iterator<Item = (&Change, &'static str)> + Clone {
        let limits = self.by.iter().map(|&by| self.why[by].limit());
        self.changes.iter().zip(limits)
    }

    /// How many groups would be deleted.
    pub fn groups(&self) -> usize {
        let deleted = |change: &&Change| matches!(change.group(), Some(GroupAction::Delete(_)));
        self.changes.iter().filter(deleted).count()
    }

    /// Whether an empty directory is why.
    pub fn is_empty_directory(&self) -> bool {
        let empty = |why: &HeldBecause| {
            matches!(
                why,
                HeldBecause::EmptyDirectory { .. } | HeldBecause::NobodyRecognized { .. }
            )
        };
        self.why.iter().any(empty)
    }

    /// Each reason in words, with what its limit is a share of.
    pub fn reasons(&self) -> impl Iterator<Item = String> + '_ {
        self.why.iter().map(|why| {
            let (about, what, when) = match why {
                HeldBecause::Absent { .. } | HeldBecause::Losing { .. } => {
                    (Limited::Absent, "managed member", "")
                }
                HeldBecause::Disabled { .. } => (Limited::Disabled, "managed member", ""),
                // Who comes in isn't one of them.
                HeldBecause::Invited { .. } => (Limited::Invited, "managed member", " before"),
                HeldBecause::DeletedGroups { .. } | HeldBecause::EndedGroups { .. } => {
                    (Limited::Groups, "managed group", "")
                }
                _ => return why.to_string(),
            };
            match self.shares_of.iter().find(|(of, _)| *of == about) {
                Some((_, total)) => format!("{why} (of {}{when})", plural(*total, what)),
                None => why.to_string(),
            }
        })
    }

    /// All reasons in one text.
    pub fn describe(&self) -> String {
        let reasons = self.reasons().take(REASONS_TOLD);
        let mut text = reasons.collect::<Vec<_>>().join("; ");
        if let more @ 1.. = self.why.len().saturating_sub(REASONS_TOLD) {
            text.push_str(&format!("; and {more} more limits"));
        }
        text
    }
}

/// What a person is told where the rest of what they approved isn't made.
fn approval_undone() -> Problem {
    Problem::new(
        ProblemReason::ApprovalVoid,
        "a sync was stopped in the middle of approved changes, and some of those that it made are to be \
         made again: somebody has undone them, or the record of earlier removals is an older copy; what is \
         left of that approval needs a new one where a limit holds it",
        [],
    )
}

/// A person's word that what is held may go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The id of the hold they saw.
    pub digest: Digest,
}

/// Splits a plan into what goes ahead and what is held.
///
/// Each limit holds what it is about: see [`HeldBecause`]. What earlier runs took away within a day
/// (by `ledger`) counts. An [`Approval`] of exactly what is held lets all of it go ahead; and what of
/// approved changes a run that was stopped left undone goes ahead as well.
///
/// An approval that names another hold than the one that is open is a problem, unless it is one that
/// was used.
///
/// Of a plan that was made of a directory that wasn't read whole all goes ahead or nothing:
/// [`GuardedPlan::needs_complete_read`] tells.
pub fn guard(
    mut plan: Plan,
    policy: &Policy,
    ledger: &Ledger,
    now: Timestamp,
    approval: Option<&Approval>,
) -> GuardedPlan {
    let mut ledger = ledger.at(now);
    ledger.expire_hold(policy.offboarding.approvals_expire_after);
    ledger.notice(&plan);
    ledger.keep_revoked(&plan);
    ledger.keep_given(&plan);
    ledger.keep_given_access(&plan);
    ledger.part_from_ids(&plan);
    ledger.carry_groups(&plan);
    let takes_away = || plan.changes.iter().filter(|change| change.takes_away());
    let removals = FingerprintSet::of(takes_away().collect::<Vec<_>>());
    if !ledger.in_progress().is_empty() {
        let asked = FingerprintSet::with_all_withdrawals(&plan.changes);
        let ended = ledger.end_undone_approvals(&asked);
        if ended > 0 {
            plan.problems.add(approval_undone());
        }
    }
    let reasons = weigh::weigh(&plan, policy, &ledger);
    let objection = needs_complete_read(&plan);
    if let Some(why) = objection.or_else(|| held_incremental(&plan, reasons.is_empty())) {
        let leavers = match reasons.is_empty() {
            true => leavers(&plan),
            false => vec![],
        };
        plan.changes.clear();
        return GuardedPlan {
            raised: vec![],
            approved: Approved(plan),
            held: None,
            used: None,
            digest: removals.digest(),
            removals,
            needs_complete_read: Some(why),
            leavers,
        };
    }
    if reasons.is_empty() {
        return GuardedPlan {
            raised: weigh::raised(&plan, &reasons, policy, &ledger),
            approved: Approved(plan),
            held: None,
            used: None,
            digest: removals.digest(),
            removals,
            needs_complete_read: None,
            leavers: vec![],
        };
    }
    let hold = ledger.hold(reasons.held(&plan));
    let digest = hold.id.clone();
    if approval.is_some_and(|approval| approval.digest == hold.id) {
        return GuardedPlan {
            raised: weigh::raised(&plan, &reasons, policy, &ledger),
            approved: Approved(plan),
            held: None,
            used: Some(hold),
            digest,
            removals,
            needs_complete_read: None,
            leavers: vec![],
        };
    }
    if let Some(Approval { digest: named }) = approval
        && !ledger.has_used(named)
    {
        plan.problems.add(Problem::new(
            ProblemReason::ApprovalVoid,
            format!(
                "the approval {} isn't of what is held now: that is {}; it was for other changes, or \
                 has expired (offboarding.approvalsExpireAfter); look at what is held and approve that",
                crate::text::sanitize(&named.0),
                hold.id
            ),
            [],
        ));
    }
    if let Some(unknown) = ledger.unknown_in_progress() {
        let why = match unknown.is_kept {
            true => {
                "which ones were approved was kept beside the record, and is missing or altered"
                    .to_owned()
            }
            false => {
                format!("of more than {LARGE_APPROVAL_MAX} it isn't kept which ones were approved")
            }
        };
        plan.problems.add(Problem::new(
            ProblemReason::ApprovalVoid,
            format!(
                "a sync was stopped in the middle of {} approved changes; {why}, so what is left of them \
                 is held again as {}: look at it and approve that",
                unknown.changes, hold.id
            ),
            [],
        ));
    }
    let split::Split {
        plan,
        changes,
        by,
        kept_out,
    } = split::split(plan, &reasons);
    GuardedPlan {
        raised: weigh::raised(&plan, &reasons, policy, &ledger),
        approved: Approved(plan),
        held: Some(Held {
            hold,
            changes,
            kept_out,
            shares_of: reasons.shares_of(),
            why: reasons.into_list(),
            by,
        }),
        used: None,
        digest,
        removals,
        needs_complete_read: None,
        leavers: vec![],
    }
}

/// Who is revoked on what their own entries say.
fn leavers(plan: &Plan) -> Vec<ExternalId> {
    let is_leaver = |change: &&Change| {
        change.kind() == Kind::Revoke && matches!(change.evidence(), Some(Evidence::Disabled(_)))
    };
    let leaving = plan.changes.iter().filter(is_leaver);
    leaving.map(|change| change.external_id().clone()).collect()
}

/// Why a plan of a directory that wasn't read whole isn't made where a limit holds something.
fn held_incremental(plan: &Plan, holds_nothing: bool) -> Option<NeedsCompleteRead> {
    (plan.incremental.is_some() && !holds_nothing).then_some(NeedsCompleteRead::Held)
}
