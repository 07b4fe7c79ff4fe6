//! One resource on a page.

use std::fmt::Write as _;

use anstyle::Style;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::resource::Resource;
use super::table::{Cell, lines};
use super::time::{ago, exact};
use crate::api::status::{ChangeCounts, HeldRemovals, OrganizationStatus, ProblemStatus};
use crate::problem::ProblemReason;
use crate::sync::plan::OnboardingCounts;
use crate::sync::render::new_ids;
use crate::text::{one_line, sanitize};

const BOLD: Style = Style::new().bold();

/// All that is known of a resource, for a person.
pub fn page(resource: &Resource, now: Timestamp) -> String {
    let rows = facts(resource, now).into_iter().map(|(name, fact)| {
        let fact = match name {
            STATE => Cell::styled(fact, resource.state().style()),
            _ => fact.into(),
        };
        vec![format!("{name}:").into(), fact]
    });
    let mut text = lines(&rows.collect::<Vec<_>>(), 0);
    conditions(&mut text, resource, now);
    let status = &resource.status;
    if let Some(changes) = &status.changes {
        let title = if resource.is_preview() {
            "A sync would make"
        } else {
            "Last changes"
        };
        heading(&mut text, title);
        let _ = writeln!(text, "  {}", counted(changes));
    }
    if let Some(held) = &status.held_removals {
        removals(&mut text, held, resource);
    }
    let (problems, notes): (Vec<_>, Vec<_>) = status
        .problems
        .iter()
        .partition(|problem| ProblemReason::name_needs_action(&problem.reason));
    entries(&mut text, "Entries that need manual action", &problems);
    entries(&mut text, "For information", &notes);
    text
}

fn heading(text: &mut String, title: &str) {
    // Writing into a string can't fail.
    let _ = writeln!(text, "\n{BOLD}{title}{BOLD:#}");
}

/// What the state's fact is called.
const STATE: &str = "State";

/// What is said of every resource, with what it is called.
pub fn facts(resource: &Resource, now: Timestamp) -> Vec<(&'static str, String)> {
    let status = &resource.status;
    let when = |time: &Option<Time>| match time {
        None => "never".to_owned(),
        Some(time) => format!("{} ({})", ago(Some(time), now), exact(time)),
    };
    let mut facts = vec![
        ("Name", resource.full_name()),
        (STATE, resource.state_in_words()),
    ];
    if let Some(source) = &status.source {
        let sizes = match (source.users, source.groups) {
            (Some(users), Some(groups)) => format!(": {users} people, {groups} groups"),
            _ => String::new(),
        };
        facts.push(("Directory", format!("{}{sizes}", source.kind)));
    }
    if let Some(organization) = &status.organization {
        facts.push(("Organization", sizes(organization)));
        if let Some(recognized) = recognized(organization) {
            facts.push(("Recognized", recognized));
        }
        if let Some(ids) = planned_ids(resource) {
            facts.push(("New IDs", ids));
        }
        if let Some(waiting) = waiting(organization) {
            facts.push(("Waiting", waiting));
        }
    }
    let mode = if resource.is_preview() {
        "Preview: nothing is changed"
    } else {
        "Apply"
    };
    facts.push(("Mode", mode.to_owned()));
    facts.push(("Runs", resource.rhythm()));
    facts.push(("Last sync", when(&status.last_sync_time)));
    if status.last_attempt_time > status.last_sync_time {
        facts.push(("Last try", when(&status.last_attempt_time)));
    }
    facts.push(("Next", resource.next_sync(now)));
    if status.last_drift_check_time.is_some() {
        let compared = when(&status.last_drift_check_time);
        facts.push(("Groups compared", compared));
    }
    if let Some(failures) = status.consecutive_failures.filter(|failures| *failures > 0) {
        facts.push(("Failures", format!("{failures} in a row")));
    }
    facts
}

/// Who isn't in yet, where anybody isn't.
fn waiting(organization: &OrganizationStatus) -> Option<String> {
    let status = organization.onboarding.as_ref()?;
    let count = |count: Option<i64>| usize::try_from(count.unwrap_or_default()).unwrap_or_default();
    let counts = OnboardingCounts {
        staged: count(status.staged),
        invited: count(status.invited),
        expired: count(status.invitations_expired),
        age_unknown: count(status.invitations_of_unknown_age),
        accepted: count(status.accepted),
        overdue: count(status.confirmation_overdue),
        confirmed: count(status.confirmed),
    };
    counts.is_anybody_waiting().then(|| counts.describe())
}

/// By what members are recognized, where some aren't by their ID.
fn recognized(organization: &OrganizationStatus) -> Option<String> {
    let recognized = organization.recognized.as_ref()?;
    let count = |count: Option<i64>| count.unwrap_or_default();
    let (former, email) = (count(recognized.by_former_id), count(recognized.by_email));
    (former + email > 0).then(|| {
        format!(
            "{} by ID, {former} by former ID (DN), {email} by email, {} not at all",
            count(recognized.by_id),
            count(recognized.not),
        )
    })
}

/// How many members a sync would give a new ID, and whether that is all it would do.
fn planned_ids(resource: &Resource) -> Option<String> {
    let status = &resource.status;
    // Of a run that made changes, the history and the counts tell.
    let changes = status.changes.as_ref().filter(|_| resource.is_preview())?;
    let others = ChangeCounts {
        linked: 0,
        relinked: 0,
        groups_relinked: 0,
        groups_renamed: 0,
        ..*changes
    };
    let alone = status.held_removals.is_none() && others == ChangeCounts::default();
    let count = usize::try_from(changes.linked + changes.relinked).ok()?;
    new_ids(count, alone)
}

fn sizes(organization: &OrganizationStatus) -> String {
    let of = |all: Option<i64>, managed: Option<i64>, what: &str| match (all, managed) {
        (Some(all), Some(managed)) => format!("{all} {what} ({managed} managed)"),
        (None, Some(managed)) => format!("{managed} {what} managed"),
        _ => format!("? {what}"),
    };
    let mut members = of(
        organization.members,
        organization.managed_members,
        "members",
    );
    let revoked = match (organization.managed_members, organization.active_members) {
        (Some(managed), Some(active)) => managed - active,
        _ => 0,
    };
    if revoked > 0 {
        members.push_str(&format!(", {revoked} of them revoked"));
    }
    let groups = of(organization.groups, organization.managed_groups, "groups");
    format!("{members}, {groups}")
}

fn conditions(text: &mut String, resource: &Resource, now: Timestamp) {
    let conditions = &resource.status.conditions;
    if conditions.is_empty() {
        heading(text, "Not seen yet");
        text.push_str(
            "  The operator hasn't said anything about this resource: is it running, and does it watch \
             this namespace and these labels?\n",
        );
        return;
    }
    heading(text, "Conditions");
    for condition in conditions {
        let since = Some(&condition.last_transition_time);
        let (kind, status, reason) = (&condition.type_, &condition.status, &condition.reason);
        let _ = writeln!(
            text,
            "  {kind} is {status} ({reason}), since {}",
            ago(since, now)
        );
        let message = one_line(&condition.message);
        if !message.is_empty() {
            let _ = writeln!(text, "    {message}");
        }
    }
}

fn removals(text: &mut String, held: &HeldRemovals, resource: &Resource) {
    heading(text, &format!("Held, waiting for approval: {}", held.total));
    let _ = writeln!(text, "  {}", one_line(&held.why));
    for removal in &held.sample {
        let _ = writeln!(text, "  - {}", one_line(removal));
    }
    let (namespace, name) = (resource.namespace(), resource.name());
    let sample = i64::try_from(held.sample.len()).unwrap_or(i64::MAX);
    if held.total > sample {
        let more = held.total - sample;
        let _ = writeln!(
            text,
            "  … and {more} more:\n    kubectl directorysync plan {name} -n {namespace}"
        );
    }
    let _ = writeln!(
        text,
        "  If all of them are right:\n    kubectl directorysync approve {name} -n {namespace} --digest {}",
        sanitize(&held.digest)
    );
}

fn entries(text: &mut String, title: &str, problems: &[&ProblemStatus]) {
    if problems.is_empty() {
        return;
    }
    heading(text, title);
    for problem in problems {
        let _ = writeln!(text, "  {} ({})", one_line(&problem.reason), problem.count);
        for entry in &problem.sample {
            let _ = writeln!(text, "  - {}", one_line(entry));
        }
        let sample = i64::try_from(problem.sample.len()).unwrap_or(i64::MAX);
        if problem.count > sample {
            let _ = writeln!(text, "  … and {} more", problem.count - sample);
        }
    }
}

/// `3 invited, 1 group updated`
pub fn counted(changes: &ChangeCounts) -> String {
    let counts = [
        (changes.invited, "invited"),
        (changes.reinvited, "invited again"),
        (changes.linked, "linked"),
        (changes.relinked, "re-linked"),
        (changes.restored, "restored"),
        (changes.revoked, "revoked"),
        (changes.removed, "removed"),
        (changes.roles_changed, "given another role"),
        (changes.groups_created, "groups created"),
        (changes.groups_relinked, "groups re-linked"),
        (changes.groups_renamed, "groups renamed"),
        (changes.groups_updated, "groups updated"),
        (changes.access_changed, "groups given other access"),
        (changes.groups_deleted, "groups deleted"),
    ];
    let made = counts.into_iter().filter(|(count, _)| *count > 0);
    let made: Vec<String> = made
        .map(
            |(count, what)| match (count, what.strip_prefix("groups ")) {
                (1, Some(what)) => format!("1 group {what}"),
                _ => format!("{count} {what}"),
            },
        )
        .collect();
    if made.is_empty() {
        "none".into()
    } else {
        made.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_for_information_is_not_listed_as_if_it_needed_action() {
        let problem = |reason: &str| json!({"reason": reason, "count": 1, "sample": [format!("the entry of {reason}")]});
        let object = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": "staff", "generation": 1},
            "status": {"problems": [problem("NoEmail"), problem("UnknownMembers")]},
        });
        let resource = Resource::new(serde_json::from_value(object).unwrap());
        let page = page(&resource, Timestamp::UNIX_EPOCH);
        let (_, below) = page
            .split_once("Entries that need manual action")
            .expect("the heading");
        let (needs_action, information) = below.split_once("For information").expect("the other");
        assert!(needs_action.contains("the entry of NoEmail"), "{page}");
        assert!(!needs_action.contains("UnknownMembers"), "{page}");
        assert!(
            information.contains("the entry of UnknownMembers"),
            "{page}"
        );
        assert_eq!(resource.problems(), 1);
    }

    #[test]
    fn changes_are_counted_in_words_and_those_that_werent_made_left_out() {
        assert_eq!(counted(&ChangeCounts::default()), "none");
        let changes = ChangeCounts {
            invited: 3,
            groups_updated: 1,
            groups_deleted: 2,
            ..ChangeCounts::default()
        };
        assert_eq!(
            counted(&changes),
            "3 invited, 1 group updated, 2 groups deleted"
        );
    }
}
