//! The pure core as stories and laws: given this directory and this organization, when it syncs,
//! then this is what the organization holds.

#![allow(clippy::unwrap_used, reason = "tests")]

mod access_stories;
mod approvals;
mod collections;
mod elsewhere;
mod ended_access;
mod explain;
mod fast_lane;
mod filters;
mod former_ids;
mod groups;
mod guard;
mod history;
mod incremental;
mod killed;
mod laws;
mod memberships;
mod onboarding;
mod people;
mod promises;
mod refusals;
mod remove_after;
mod render;
mod roles;
mod seats;
mod sequences;
mod several_directories;
mod taken_back;
mod undo_leavers;
mod undoing;
mod unidentified;
mod world;
mod write_only;

use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::policy::{Limit, Policy};
use directory_sync_core_testing::policy;

/// A policy that holds nothing back.
fn unlimited() -> Policy {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Percent(100.0);
    policy.offboarding.disabled_limit = Limit::Percent(100.0);
    policy.groups.limit = Limit::Percent(100.0);
    policy.onboarding.limit = Limit::Percent(100.0);
    policy.access.collections_limit = Limit::Percent(100.0);
    policy
}

/// The approved changes in short: `Invite ann`.
fn changes(guarded: &GuardedPlan) -> Vec<String> {
    let changes = guarded.approved.changes.iter();
    changes
        .map(|c| format!("{} {}", c.kind().name(), c.external_id()))
        .collect()
}

/// The problems in short: the reason and the ids.
fn problems(guarded: &GuardedPlan) -> Vec<(ProblemReason, Vec<&str>)> {
    guarded
        .approved
        .problems
        .iter()
        .map(|p| {
            (
                p.reason,
                p.external_ids.iter().map(|id| id.as_str()).collect(),
            )
        })
        .collect()
}
