//! Invites no more people than there are seats.

use std::collections::HashSet;

use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::model::{Content, Seats};
use crate::problem::{Problem, ProblemReason};
use crate::sync::guard::GuardedPlan;
use crate::sync::plan::{Action, Change, MemberAction, Plan};
use crate::text::sanitize;

/// How many of those who wait are named in the message.
const NAMED: usize = 5;

/// Whether anybody in the plan needs a seat, so that it matters how many there are.
pub fn needs_seats(plan: &Plan) -> bool {
    plan.changes.iter().any(takes_seat)
}

/// Who is invited at another address takes over the seat of the invitation before.
fn takes_seat(change: &Change) -> bool {
    matches!(
        change.action,
        Action::Member(MemberAction::Invite { from: None, .. } | MemberAction::Restore)
    )
}

/// Whether anybody in the plan is to be added without an invitation.
pub fn needs_staging(plan: &Plan) -> bool {
    plan.changes.iter().any(is_staged)
}

fn is_staged(change: &Change) -> bool {
    matches!(
        change.action,
        Action::Member(MemberAction::Invite { staged: true, .. })
    )
}

/// Takes out of an approved plan whoever is to be added without an invitation, for a server that
/// would send one nevertheless.
pub fn without_staging(mut guarded: GuardedPlan) -> GuardedPlan {
    let staged = guarded.approved.changes.iter().filter(|c| is_staged(c));
    let ids: Vec<ExternalId> = staged.map(|change| change.external_id().clone()).collect();
    let message = format!(
        "{} people aren't added: onboarding.invite is false, and this server sends the invitation \
         nevertheless (its switch pm-34423-staged-status is off for the organization); set \
         onboarding.invite to true to invite them",
        ids.len()
    );
    let set: HashSet<ExternalId> = ids.iter().cloned().collect();
    guarded
        .approved
        .postpone(&set, Problem::new(ProblemReason::Unsupported, message, ids));
    guarded
}

/// Takes out of an approved plan whoever there is no seat for, after the plan's own departures have
/// freed theirs. Bitwarden refuses a whole import that needs one seat too many.
///
/// Members who get their access back come first, then new ones, each in the order of their external
/// ids: the same people wait from run to run until there are seats.
pub fn seats(mut guarded: GuardedPlan, content: &Content, paid: Option<Seats>) -> GuardedPlan {
    let Some(free) = free(content, paid, &guarded.approved) else {
        return guarded;
    };
    // Restorations precede invitations in a plan.
    let newcomers = guarded
        .approved
        .changes
        .iter()
        .filter(|change| takes_seat(change));
    let waiting: Vec<_> = newcomers.skip(free).collect();
    if waiting.is_empty() {
        return guarded;
    }
    let names: Vec<String> = waiting
        .iter()
        .take(NAMED)
        .map(|change| sanitize(change.subject.label()))
        .collect();
    let more = match waiting.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "{} more seats are needed; {}{more} wait; buy seats, raise the autoscale limit or free some",
        waiting.len(),
        names.join(", ")
    );
    let ids: Vec<ExternalId> = waiting
        .into_iter()
        .map(|change| change.external_id().clone())
        .collect();
    let set: HashSet<ExternalId> = ids.iter().cloned().collect();
    guarded
        .approved
        .postpone(&set, Problem::new(ProblemReason::NoSeats, message, ids));
    guarded
}

/// Seats that are free once the plan's departures are done; `None`: as many as one likes.
fn free(content: &Content, paid: Option<Seats>, plan: &Plan) -> Option<usize> {
    let seats = paid?;
    let departing: HashSet<Uuid> = plan
        .changes
        .iter()
        .filter_map(|change| match change.member()? {
            MemberAction::Revoke { .. } | MemberAction::Remove { .. } => change.subject.id,
            _ => None,
        })
        .collect();
    let used = content
        .members
        .iter()
        .filter(|member| member.status.takes_seat() && !departing.contains(&member.id))
        .count();
    seats.left(used)
}
