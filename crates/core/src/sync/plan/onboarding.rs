//! Where members stand who aren't confirmed yet: how many there are, who waits for too long, and what is due.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::directory::{Email, Evidence, ExternalId};
use crate::organization::model::{Content, Member, MemberRole, MemberStatus};
use crate::problem::{Problem, ProblemReason};
use crate::sync::ledger::{Invitations, Link, SeenInvitations, Waiting, WaitingFor, invitation};
use crate::sync::plan::{Change, Kind, MemberAction, Nth};
use crate::sync::policy::Onboarding;
use crate::sync::roster::{Eligibility, Roster};
use crate::text::sanitize;

/// How many managed members stand where on their way in. Whoever is revoked isn't among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnboardingCounts {
    /// Added without an invitation.
    pub staged: usize,
    /// Invited and not accepted, whatever the age of the invitation.
    pub invited: usize,
    /// Of those, whose link has expired, as far as is known: five days after it was sent, or after the
    /// member was first seen as invited.
    pub expired: usize,
    /// Of those, of whom it isn't known: somebody else sent the invitation, or the record of it was lost.
    pub age_unknown: usize,
    /// Accepted, and not confirmed by an administrator.
    pub accepted: usize,
    /// Of those, who waits for longer than `onboarding.confirmWithin`, and is active in the directory.
    pub overdue: usize,
    /// Confirmed.
    pub confirmed: usize,
}

impl OnboardingCounts {
    /// Counts the managed members of an organization, as of `now`. `overdue` stays zero.
    pub fn of(content: &Content, prefix: &str, known: &Invitations, now: Timestamp) -> Self {
        let mut counts = Self::default();
        for (id, member) in managed(content, prefix) {
            let waiting = waiting(known, id, member, now.as_second());
            counts.add(member, waiting.map(|found| found.1), now.as_second());
        }
        counts
    }

    fn add(&mut self, member: &Member, waiting: Option<Waiting>, now: i64) {
        match member.status {
            MemberStatus::Staged => self.staged += 1,
            MemberStatus::Invited => {
                self.invited += 1;
                match waiting.map(|waiting| waiting.link(now)) {
                    Some(Link::Expired) => self.expired += 1,
                    Some(Link::Valid) => {}
                    Some(Link::Unknown) | None => self.age_unknown += 1,
                }
            }
            MemberStatus::Accepted => self.accepted += 1,
            MemberStatus::Confirmed => self.confirmed += 1,
            MemberStatus::Revoked | MemberStatus::Other(_) | MemberStatus::Withheld => {}
        }
    }

    /// Whether somebody isn't in yet.
    pub fn is_anybody_waiting(&self) -> bool {
        self.staged + self.invited + self.accepted > 0
    }
}

fn managed<'a>(
    content: &'a Content,
    prefix: &str,
) -> impl Iterator<Item = (&'a ExternalId, &'a Member)> {
    content.members.iter().filter_map(move |member| {
        let id = member.external_id.as_ref()?;
        id.as_str().starts_with(prefix).then_some((id, member))
    })
}

/// What is known of a member now that they are read again, and the key of their invitation; `None` of those
/// who wait for nothing.
fn waiting(
    known: &Invitations,
    id: &ExternalId,
    member: &Member,
    now: i64,
) -> Option<(u64, Waiting)> {
    let for_what = match member.status {
        MemberStatus::Invited => WaitingFor::Acceptance,
        MemberStatus::Accepted => WaitingFor::Confirmation,
        MemberStatus::Revoked => WaitingFor::Access,
        _ => return None,
    };
    let key = invitation(id, &member.email);
    let before = known.get(key);
    if for_what == WaitingFor::Access && before.is_none() {
        return None;
    }
    let since = before.filter(|before| before.for_what == for_what);
    let waiting = Waiting {
        for_what,
        since: since.map_or(now, |before| before.since),
        // Also of whoever is revoked: they may be restored, and are invited again then.
        sent: before.and_then(|before| before.sent),
    };
    Some((key, waiting))
}

/// What is known of an organization's invitations when it is read.
pub(super) struct Survey<'a> {
    known: &'a Invitations,
    waiting: HashMap<Uuid, Waiting>,
    policy: &'a Onboarding,
    now: i64,
    pub counts: OnboardingCounts,
    problems: Vec<Problem>,
    seen: SeenInvitations,
    /// When the passing of time alone will make another plan of the same, or other counts.
    until: Option<Timestamp>,
}

/// What is due about an open invitation.
pub(super) enum Due {
    /// It is sent again.
    Again {
        nth: Nth,
        /// When it was sent last.
        last: Timestamp,
    },
    /// It is withdrawn.
    Withdraw(Evidence),
    /// It would be sent again if it was known how often it was.
    Unknown(Problem),
}

/// So many invitations are sent again by one run. Those that were sent longest ago come first.
const REINVITED_MAX: usize = 500;

/// Leaves the others to later runs: each takes a request and a mail.
pub(super) fn limit_reinvitations(changes: &mut Vec<Change>) {
    let mut again: Vec<(Timestamp, ExternalId)> = changes
        .iter()
        .filter_map(|change| match change.member() {
            Some(MemberAction::Reinvite { last, .. }) => {
                Some((*last, change.external_id().clone()))
            }
            _ => None,
        })
        .collect();
    if again.len() <= REINVITED_MAX {
        return;
    }
    again.sort_unstable();
    let later: HashSet<ExternalId> = again.drain(REINVITED_MAX..).map(|(_, id)| id).collect();
    changes
        .retain(|change| change.kind() != Kind::Reinvite || !later.contains(change.external_id()));
}

impl<'a> Survey<'a> {
    /// `now` is as late as the clocks of earlier runs let it be believed.
    pub fn of(
        content: &Content,
        roster: &Roster,
        (prefix, policy): (&str, &'a Onboarding),
        known: &'a Invitations,
        now: Timestamp,
    ) -> Self {
        let mut survey = Self {
            known,
            waiting: HashMap::new(),
            policy,
            now: now.as_second(),
            counts: OnboardingCounts::default(),
            problems: vec![],
            seen: SeenInvitations::default(),
            until: None,
        };
        let seconds = now.as_second();
        let mut until = i64::MAX;
        let mut later = |time: i64| {
            if time > seconds {
                until = until.min(time);
            }
        };
        for (id, member) in managed(content, prefix) {
            let found = waiting(known, id, member, seconds);
            let waiting = found.map(|(_, waiting)| waiting.at(seconds));
            survey.counts.add(member, waiting, seconds);
            let (Some(found), Some(waiting)) = (found, waiting) else {
                continue;
            };
            survey.seen.members.push(found);
            let is_active = roster
                .by_id
                .get(id)
                .is_some_and(|&at| roster.people[at as usize].eligibility == Eligibility::Active);
            match waiting.for_what {
                WaitingFor::Acceptance => {
                    later(waiting.expires());
                    if let (Some(reinvite), Some(sent)) = (policy.reinvite, waiting.sent)
                        && sent.again < reinvite.times
                    {
                        later(after(sent.last, reinvite.after));
                    }
                    if let Some(withdraw_after) = policy.withdraw_after {
                        later(after(waiting.since, withdraw_after));
                    }
                    survey.waiting.insert(member.id, waiting);
                }
                WaitingFor::Confirmation => {
                    let due = after(waiting.since, policy.confirm_within);
                    later(due);
                    if due <= seconds && is_active {
                        survey.counts.overdue += 1;
                        survey
                            .problems
                            .push(overdue(id, member, waiting.since, seconds));
                    }
                }
                _ => {}
            }
        }
        survey.until = (until < i64::MAX)
            .then(|| Timestamp::from_second(until).ok())
            .flatten();
        survey
    }

    /// What is due about this member's invitation.
    pub fn due(&self, id: &ExternalId, member: &Member) -> Option<Due> {
        let waiting = self.waiting.get(&member.id)?;
        // An administrator's invitation, and one with a role that somebody gave, is an administrator's
        // business.
        if member.role != MemberRole::USER {
            return None;
        }
        let since = |time| Timestamp::from_second(time).ok();
        if let Some(withdraw_after) = self.policy.withdraw_after
            && after(waiting.since, withdraw_after) <= self.now
        {
            let days = self.now.saturating_sub(waiting.since).div_euclid(DAY);
            return Some(Due::Withdraw(Evidence::NotAccepted {
                since: since(waiting.since)?,
                days: u32::try_from(days).unwrap_or(u32::MAX),
            }));
        }
        let reinvite = self.policy.reinvite.filter(|_| self.policy.invite)?;
        let Some(sent) = waiting.sent else {
            let message = format!(
                "{} was invited by somebody else, or the record of the invitation was lost: nobody knows how \
                 often it was sent, so it isn't sent again; send it again in Bitwarden, or remove the member \
                 there, and the next run invites anew",
                sanitize(member.email.as_str())
            );
            let problem = Problem::new(ProblemReason::NotReinvited, message, [id.clone()]);
            return Some(Due::Unknown(problem));
        };
        let is_due = after(sent.last, reinvite.after) <= self.now && sent.again < reinvite.times;
        let last = since(sent.last).filter(|_| is_due)?;
        Some(Due::Again {
            nth: Nth {
                number: sent.again + 1,
                of: reinvite.times,
            },
            last,
        })
    }

    /// Whether this person's invitation to this address was withdrawn, and they aren't invited again.
    pub fn is_withdrawn(&self, id: &ExternalId, email: &Email) -> bool {
        self.policy.withdraw_after.is_some() && self.known.withdrawn(id, email).is_some()
    }

    /// What a person is told of it.
    pub fn withdrawn(&self, id: &ExternalId, email: &Email) -> Problem {
        let at = self.known.withdrawn(id, email);
        let at = at.and_then(|at| Timestamp::from_second(at).ok());
        let message = format!(
            "the invitation of {} was withdrawn{}, because nobody accepted it (onboarding.withdrawAfter); to \
             invite them again, invite the address in Bitwarden, or undo the run that withdrew it",
            sanitize(email.as_str()),
            at.map_or(String::new(), |at| at.strftime(" on %Y-%m-%d").to_string()),
        );
        Problem::new(ProblemReason::InvitationWithdrawn, message, [id.clone()])
    }

    /// The problems, what the ledger notes, and until when time alone changes nothing.
    pub fn into_parts(self) -> (Vec<Problem>, SeenInvitations, Option<Timestamp>) {
        (self.problems, self.seen, self.until)
    }
}

const DAY: i64 = 24 * 3600;

fn after(time: i64, duration: SignedDuration) -> i64 {
    time.saturating_add(duration.as_secs())
}

/// Whole days, for a person.
fn days(seconds: i64) -> String {
    match seconds.div_euclid(DAY) {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn overdue(id: &ExternalId, member: &Member, since: i64, now: i64) -> Problem {
    let message = format!(
        "{} has accepted the invitation and waits for {}, or longer, for an administrator to confirm them \
         in Bitwarden (Members)",
        sanitize(member.email.as_str()),
        days(now.saturating_sub(since)),
    );
    Problem::new(ProblemReason::AwaitingConfirmation, message, [id.clone()])
}
