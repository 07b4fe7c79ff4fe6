//! Invites no more people than there are seats.

use std::collections::HashSet;

use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::model::{Content, Seats};
use crate::problem::{Problem, ProblemReason};
use crate::sync::guard::Guarded;
use crate::sync::plan::{Action, Change, MemberAction, Plan};
use crate::text::shorten;

/// How many of those who wait are named in the message.
const NAMED: usize = 5;

/// Whether anybody in the plan needs a seat, so that it matters how many there are.
pub fn needs_seats(plan: &Plan) -> bool {
    plan.changes.iter().any(takes_seat)
}

fn takes_seat(change: &Change) -> bool {
    matches!(
        change.action,
        Action::Member(MemberAction::Invite { .. } | MemberAction::Restore)
    )
}

/// Takes out of an approved plan whoever there is no seat for, after the plan's own departures have
/// freed theirs. Bitwarden refuses a whole import that needs one seat too many.
///
/// Members who get their access back come first, then new ones, each in the order of their external
/// ids: the same people wait from run to run until there are seats.
pub fn seats(mut guarded: Guarded, content: &Content, paid: Option<Seats>) -> Guarded {
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
        .map(|change| shorten(change.subject.label()))
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
    let limit = seats.autoscale_to?.max(seats.total);
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
    Some(limit.saturating_sub(used))
}
