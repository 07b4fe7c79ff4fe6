//! From the result of a run to status and messages. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use super::watchdog::{Expired, Limit};
use crate::api::DirectorySyncStatus;
use crate::api::annotations::APPROVE_REMOVALS;
use crate::api::conditions::{Blocker, Failure, HeldReason, Success, SyncOutcome};
use crate::api::spec::PlanStorage;
use crate::api::status::{
    ChangeCounts, HELD_SAMPLE_MAX, HeldRemovals, OnboardingStatus, OrganizationStatus,
    PROBLEM_SAMPLE_MAX, PROBLEMS_MAX, Phase as StatusPhase, ProblemStatus,
    Progress as StatusProgress, RecognizedStatus, SAMPLE_CHARACTERS_MAX, SourceStatus,
    WHY_CHARACTERS_MAX,
};
use crate::directory::{Evidence, ExternalId};
use crate::fault::FaultKind;
use crate::organization::collection::describe_access;
use crate::problem::ProblemReason;
use crate::sync::guard::Held;
use crate::sync::plan::{
    Action, Change, Counts, GroupAction, Kind, MemberAction, OnboardingCounts, Recognized,
    describe_role,
};
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{ActionCounts, Imported, Mode, Report};
use crate::sync::run::{RunError, made_before};
use crate::telemetry::{Object, RunResult};
use crate::text::truncate;

/// What a failed run means for status and schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// What becomes the conditions of the status.
    pub outcome: SyncOutcome,
    /// When the next try is due.
    pub requeue: Requeue,
}

impl RunFailure {
    /// The same of a run that had made these changes.
    #[must_use]
    pub fn after(mut self, applied: &ActionCounts) -> Self {
        if let SyncOutcome::Failed { message, .. } | SyncOutcome::Stalled { message, .. } =
            &mut self.outcome
        {
            message.push_str(&made_before(applied));
        }
        self
    }
}

/// Where the plan is to be seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishedAs {
    /// The kind of object.
    pub storage: PlanStorage,
    /// How many of its changes and problems had no room.
    pub omitted: usize,
}

/// When to retry, if nothing changes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// With back-off; not before the delay that the other side asked for.
    Backoff(Option<Duration>),
    /// Needs manual action, so retries are far apart. They go on because the fix may be on the other
    /// side, which doesn't notify anybody.
    Slow,
}

/// What a run that didn't come to its end means. One that was stopped has failed nowhere: see
/// before.
pub fn of_error(error: &RunError) -> RunFailure {
    let during_changes = match error {
        RunError::Source { .. } => None,
        RunError::Unrecorded { .. } | RunError::MadeWay { .. } => Some(true),
        RunError::Organization { during, .. } | RunError::Stopped { during, .. } => {
            let reading = matches!(during, Phase::Read | Phase::ReadMemberships);
            Some(!reading)
        }
    };
    let message = error.to_string();
    let stalled = |reason| RunFailure {
        outcome: SyncOutcome::Stalled {
            reason,
            message: message.clone(),
        },
        requeue: Requeue::Slow,
    };
    let failed = |reason, retry_after| RunFailure {
        outcome: SyncOutcome::Failed {
            reason,
            message: message.clone(),
        },
        requeue: Requeue::Backoff(retry_after),
    };
    let retry_after = match error.kind() {
        FaultKind::Transient { retry_after } => retry_after,
        FaultKind::Configuration | FaultKind::Incomplete => None,
    };
    match (error.kind(), during_changes) {
        (FaultKind::Configuration, None) => stalled(Blocker::SourceRefused),
        (FaultKind::Configuration, Some(_)) => stalled(Blocker::OrganizationRefused),
        (FaultKind::Incomplete, None) => failed(Failure::SourceIncomplete, None),
        (_, None) => failed(Failure::SourceUnavailable, retry_after),
        (_, Some(false)) => failed(Failure::OrganizationUnavailable, retry_after),
        (_, Some(true)) => failed(Failure::ApplyFailed, retry_after),
    }
}

/// What a finished run means. The same for each run that finds both sides the same.
pub fn of_report(report: &Report, source: &str, object: &Object, plan: PublishedAs) -> SyncOutcome {
    let counts = after(report);
    let mut message = match report.mode {
        Mode::Preview if report.planned().is_empty() => format!("{source}: nothing to change"),
        Mode::Preview => format!(
            "{source}: would make {}; see {} {}-plan",
            ActionCounts::of(report.planned()),
            plan.storage.kind(),
            object.name
        ),
        Mode::Apply if report.imported.is_some() => format!(
            "everything of {source} was sent, to a server that can't be read: {} members, {} groups",
            counts.active_members(),
            counts.managed_groups
        ),
        Mode::Apply => format!(
            "in sync with {source}: {} members, {} groups",
            counts.active_members(),
            counts.managed_groups
        ),
    };
    let problems: Vec<_> = report
        .problems
        .by_reason()
        .filter(|(reason, ..)| reason.needs_action())
        .map(|(reason, count, _)| format!("{reason} ({count})"))
        .collect();
    if !problems.is_empty() {
        message = format!("{message}; need manual action: {}", problems.join(", "));
    }
    let held = report
        .held()
        .map(|held| (hold(held), what_to_do(held, &report.digest.0, object, plan)));
    if let Some((_, what_to_do)) = &held {
        message = format!("{message}; {what_to_do}");
    }
    SyncOutcome::Succeeded {
        reason: match report.mode {
            Mode::Preview => Success::Previewed,
            Mode::Apply if problems.is_empty() => Success::Succeeded,
            Mode::Apply => Success::SucceededWithProblems,
        },
        message,
        held,
    }
}

/// How metrics count a finished run.
pub fn result_of(report: &Report) -> RunResult {
    match report.mode {
        Mode::Preview => RunResult::Previewed,
        Mode::Apply if report.held().is_some() => RunResult::Held,
        Mode::Apply => RunResult::Succeeded,
    }
}

/// What to do about an organization that another object owns.
pub fn already_managed(owner: &Object) -> String {
    format!(
        "DirectorySync {owner} manages this organization already: delete one of the two, or give \
         both a spec.organization.externalIdPrefix of which neither is a prefix of the other (a \
         Vaultwarden has one resource an organization, whatever their prefixes)"
    )
}

/// What it means that the watchdog ended a run.
pub fn of_expired(expired: Expired) -> RunFailure {
    let (reason, doing) = match expired.phase {
        Phase::Read => (
            Failure::SourceUnavailable,
            "reading the directory and the organization",
        ),
        Phase::ReadMemberships | Phase::Plan => (
            Failure::OrganizationUnavailable,
            "reading the organization's groups",
        ),
        Phase::ChangeMembers | Phase::Invite | Phase::ChangeGroups | Phase::Verify => {
            (Failure::ApplyFailed, "changing the organization")
        }
    };
    let limit = match expired.limit {
        Limit::NoProgress(limit) => format!("no progress for {} s", limit.as_secs()),
        Limit::Run(limit) => format!("the run took longer than {} s", limit.as_secs()),
        Limit::Entries(most) => {
            return RunFailure {
                outcome: SyncOutcome::Stalled {
                    reason: Blocker::SourceRefused,
                    message: format!(
                        "the directory has sent more than {most} people and groups, so the read was \
                         ended: narrow the source's filters, or let whoever runs the operator raise \
                         --max-list-items"
                    ),
                },
                requeue: Requeue::Slow,
            };
        }
    };
    RunFailure {
        outcome: SyncOutcome::Failed {
            reason,
            message: format!(
                "{limit} while {doing}, so the run was ended; it is retried automatically. Check \
                 whether the server answers, and how fast"
            ),
        },
        requeue: Requeue::Backoff(None),
    }
}

/// What it means that a run was ended because memory was nearly used up: `limit` and what the run was
/// sent, in MiB.
pub fn of_memory(limit: u64, received: u64) -> RunFailure {
    RunFailure {
        outcome: SyncOutcome::Failed {
            reason: Failure::SourceUnavailable,
            message: format!(
                "the run was ended because the operator's memory ({limit} MiB) was nearly used up and \
                 this run had been sent the most ({received} MiB); it is retried automatically. If \
                 directory and organization are that large, narrow the source's filters, or let whoever \
                 runs the operator raise resources.limits.memory"
            ),
        },
        requeue: Requeue::Backoff(None),
    }
}

/// Puts what a finished run saw and did into status.
pub fn put_report(status: &mut DirectorySyncStatus, report: &Report, source: &str) {
    let counts = after(report);
    status.source = Some(SourceStatus {
        kind: source.to_owned(),
        users: Some(number(counts.active + counts.disabled)),
        groups: Some(number(counts.groups)),
    });
    let is_readable = report.imported.is_none();
    status.organization = Some(OrganizationStatus {
        members: is_readable.then(|| number(counts.members)),
        managed_members: Some(number(counts.managed_members)),
        active_members: Some(number(counts.active_members())),
        groups: is_readable.then(|| number(counts.organization_groups)),
        managed_groups: Some(number(counts.managed_groups)),
        recognized: is_readable.then(|| {
            let recognized = counts.recognized;
            RecognizedStatus {
                by_id: Some(number(recognized.by_id)),
                by_former_id: Some(number(recognized.by_former_id)),
                by_email: Some(number(recognized.by_email)),
                not: Some(number(recognized.not)),
            }
        }),
        onboarding: is_readable.then(|| onboarding(&report.onboarding)),
    });
    let changes = match report.mode {
        Mode::Apply => report.applied.clone(),
        Mode::Preview => ActionCounts::of(report.planned()),
    };
    // A run without changes leaves those of the last one with some.
    if changes.total() > 0 || report.mode == Mode::Preview {
        status.changes = Some(change_counts(&changes));
    }
    status.held_removals = report
        .held()
        .map(|held| held_removals(held, &report.digest.0));
    status.problems = report
        .problems
        .by_reason()
        .take(PROBLEMS_MAX)
        .map(|(reason, count, kept)| ProblemStatus {
            reason: reason.to_string(),
            count: number(count),
            sample: kept
                .iter()
                .take(PROBLEM_SAMPLE_MAX)
                .map(|problem| truncate(&problem.message, SAMPLE_CHARACTERS_MAX))
                .collect(),
        })
        .collect();
}

fn onboarding(counts: &OnboardingCounts) -> OnboardingStatus {
    OnboardingStatus {
        staged: Some(number(counts.staged)),
        invited: Some(number(counts.invited)),
        invitations_expired: Some(number(counts.expired)),
        invitations_of_unknown_age: Some(number(counts.age_unknown)),
        accepted: Some(number(counts.accepted)),
        confirmation_overdue: Some(number(counts.overdue)),
        confirmed: Some(number(counts.confirmed)),
    }
}

/// How far a run has come.
pub fn progress(progress: &Progress) -> StatusProgress {
    use std::sync::atomic::Ordering::Relaxed;
    let (phase, done, total) = progress.now();
    let read = progress.read.users.load(Relaxed) + progress.read.groups.load(Relaxed);
    let done = if phase == Phase::Read { read } else { done };
    StatusProgress {
        phase: match phase {
            Phase::Read | Phase::ReadMemberships => StatusPhase::Reading,
            Phase::Plan => StatusPhase::Planning,
            Phase::ChangeMembers | Phase::Invite | Phase::ChangeGroups | Phase::Verify => {
                StatusPhase::Applying
            }
        },
        done: i64::try_from(done).unwrap_or(i64::MAX),
        total: (total > 0).then(|| i64::try_from(total).unwrap_or(i64::MAX)),
        waits_until: (phase == Phase::Read)
            .then(|| progress.read.waits_until().map(Time))
            .flatten(),
    }
}

/// Sizes of both sides with the changes made: the report has those from before.
pub fn after(report: &Report) -> Counts {
    let made = |kind| report.applied.get(kind);
    let mut counts = report.counts;
    if let Some(Imported { accounts, groups }) = report.imported {
        (counts.members, counts.managed_members) = (accounts, accounts);
        counts.revoked_members = 0;
        (counts.organization_groups, counts.managed_groups) = (groups, groups);
        return counts;
    }
    let replaced = report.planned().iter();
    let replaced = replaced.filter(|change| change.replaces_invitation());
    let came = made(Kind::Invite).saturating_sub(replaced.count());
    let went = made(Kind::Remove);
    let were_revoked = report.guarded.iter().flat_map(|guarded| {
        let plan = &guarded.approved;
        plan.changes.iter().filter(|change| {
            change.kind() == Kind::Remove && plan.was_revoked(change.external_id())
        })
    });
    let back = made(Kind::Restore) + were_revoked.count().min(went);
    counts.revoked_members = (counts.revoked_members + made(Kind::Revoke)).saturating_sub(back);
    counts.members = (counts.members + came).saturating_sub(went);
    counts.managed_members = (counts.managed_members + came + made(Kind::Link))
        .saturating_sub(went + made(Kind::Unlink));
    counts.recognized = recognized_after(report, came, went);
    let (created, deleted) = (made(Kind::CreateGroup), made(Kind::DeleteGroup));
    let unlinked = made(Kind::UnlinkGroup);
    counts.managed_groups = (counts.managed_groups + created).saturating_sub(deleted + unlinked);
    counts.organization_groups = (counts.organization_groups + created).saturating_sub(deleted);
    counts
}

/// By what members are recognized when so many `came` and `went`: whoever was linked has their ID now.
fn recognized_after(report: &Report, came: usize, went: usize) -> Recognized {
    let before = report.counts.recognized;
    let linked = report.applied.get(Kind::Link) + report.applied.get(Kind::Relink);
    let by_email = linked.min(before.by_email);
    let by_former_id = (linked - by_email).min(before.by_former_id);
    let approved = report.guarded.iter().flat_map(|of| &of.approved.changes);
    let in_directory = approved.filter(|change| {
        let evidence = match &change.action {
            Action::Member(MemberAction::Remove { evidence }) => evidence,
            _ => return false,
        };
        matches!(
            evidence,
            Evidence::Disabled(_) | Evidence::NotAccepted { .. }
        )
    });
    let in_directory = in_directory.count().min(went);
    Recognized {
        by_id: (before.by_id + came + by_email + by_former_id).saturating_sub(in_directory),
        by_former_id: before.by_former_id - by_former_id,
        by_email: before.by_email - by_email,
        not: before.not.saturating_sub(went - in_directory),
    }
}

fn change_counts(counts: &ActionCounts) -> ChangeCounts {
    let of = |kind| number(counts.get(kind));
    ChangeCounts {
        invited: of(Kind::Invite),
        linked: of(Kind::Link),
        relinked: of(Kind::Relink) + of(Kind::Unlink),
        restored: of(Kind::Restore),
        reinvited: of(Kind::Reinvite),
        revoked: of(Kind::Revoke),
        removed: of(Kind::Remove),
        roles_changed: of(Kind::SetRole),
        groups_created: of(Kind::CreateGroup),
        groups_relinked: of(Kind::RelinkGroup) + of(Kind::UnlinkGroup),
        groups_renamed: of(Kind::RenameGroup),
        groups_updated: of(Kind::UpdateGroup),
        access_changed: of(Kind::SetCollections),
        groups_deleted: of(Kind::DeleteGroup),
    }
}

fn held_removals(held: &Held, digest: &str) -> HeldRemovals {
    let sample = held.with_limits().take(HELD_SAMPLE_MAX);
    HeldRemovals {
        digest: digest.to_owned(),
        // Known once the plan is written.
        plan_digest: None,
        total: number(held.changes.len()),
        members: number(held.members()),
        groups: number(held.groups()),
        why: truncate(&why(held), WHY_CHARACTERS_MAX),
        sample: sample
            .map(|(change, limit)| {
                let text = format!("{}; held by {limit}", describe(change));
                truncate(&text, SAMPLE_CHARACTERS_MAX)
            })
            .collect(),
    }
}

fn describe(change: &Change) -> String {
    let (kind, label) = (change.kind().name(), change.subject.label());
    let reason = change.reason.describe();
    if let Some(role) = change.role() {
        let role = describe_role(&role.to, &role.through);
        return format!("{kind} {label}: {role} ({reason})");
    }
    match change.group() {
        Some(GroupAction::Update(update)) => {
            format!("{kind} {label}: {} leave ({reason})", update.remove.len())
        }
        Some(GroupAction::SetCollections(access)) => {
            let access = describe_access(&access.changes);
            format!("{kind} {label}: {access} ({reason})")
        }
        _ => format!("{kind} {label} ({reason})"),
    }
}

fn hold(held: &Held) -> HeldReason {
    if held.is_empty_directory() {
        HeldReason::DirectoryEmpty
    } else {
        HeldReason::LimitExceeded
    }
}

fn why(held: &Held) -> String {
    let mut why = held.describe();
    if held.is_empty_directory() {
        why.push_str("; check the source's filters and base first");
    }
    why
}

fn what_to_do(held: &Held, digest: &str, object: &Object, plan: PublishedAs) -> String {
    let missing = match plan.omitted {
        0 => String::new(),
        omitted => format!(
            "; {omitted} entries had no room in it: look at all of them with directory-sync plan first"
        ),
    };
    let count = match held.changes.len() {
        1 => "1 change is".to_owned(),
        count => format!("{count} changes are"),
    };
    format!(
        "{count} held: {}. If all of them are right (see {} {}-plan{missing}): kubectl -n {} \
         annotate --overwrite directorysync {} {APPROVE_REMOVALS}={digest}",
        truncate(&why(held), WHY_CHARACTERS_MAX),
        plan.storage.kind(),
        object.name,
        object.namespace,
        object.name
    )
}

/// That people aren't restored of whom that wasn't told before, for an event: by number, as with gained rights.
pub fn describe_not_restored(before: &[ProblemStatus], after: &[ProblemStatus]) -> Option<String> {
    let find = |all: &[ProblemStatus]| {
        let reason = ProblemReason::NotRestored.to_string();
        let mut all = all.iter();
        all.find(|one| one.reason == reason).cloned()
    };
    let after = find(after)?;
    let before = find(before).unwrap_or_default();
    let is_known = |message: &String| before.sample.contains(message);
    if after.count <= before.count && after.sample.iter().all(is_known) {
        return None;
    }
    let people = match after.count {
        1 => "1 person is active in the directory and revoked in Bitwarden, and wasn't".to_owned(),
        many => {
            format!(
                "{many} people are active in the directory and revoked in Bitwarden, and weren't"
            )
        }
    };
    Some(format!(
        "{people} restored: status names them, and says what to do if they should have access"
    ))
}

/// Who gained rights over others by a run, for an event: by role, and not by name, as everybody with the
/// cluster role `view` can read events. `None` where nobody did.
pub fn describe_gained_rights(report: &Report) -> Option<String> {
    if report.applied.get(Kind::SetRole) + report.applied.get(Kind::SetCollections) == 0 {
        return None;
    }
    let changes = report.planned().iter();
    let changes = changes.filter(|change| !report.failed.has(change));
    let gained = changes.clone().filter_map(Change::role);
    let gained = gained.filter(|role| role.gives());
    let mut roles: BTreeMap<&str, usize> = BTreeMap::new();
    for role in gained {
        *roles.entry(role.to.name()).or_default() += 1;
    }
    let total: usize = roles.values().sum();
    let roles = roles.iter().map(|(role, count)| format!("{count} {role}"));
    let roles: Vec<String> = roles.collect();
    let members = |count: usize| match count {
        1 => "1 member".to_owned(),
        more => format!("{more} members"),
    };
    let roles = (total > 0).then(|| {
        let (members, roles) = (members(total), roles.join(", "));
        format!("{members} gained rights by access.roles: {roles}")
    });
    let managing = changes.filter_map(|change| match change.group() {
        Some(GroupAction::SetCollections(access)) if access.gives_manage() => Some(access),
        _ => None,
    });
    let groups = managing.clone().count();
    let others = managing.clone().flat_map(|access| &access.others);
    let others: HashSet<&Uuid> = others.collect();
    let people: HashSet<&ExternalId> = managing.flat_map(|access| &access.gaining).collect();
    let managing = (groups > 0).then(|| {
        let groups = match groups {
            1 => "1 group".to_owned(),
            more => format!("{more} groups"),
        };
        let members = members(people.len() + others.len());
        format!("{groups} with {members} gained Manage by access.collections")
    });
    let told: Vec<String> = roles.into_iter().chain(managing).collect();
    (!told.is_empty()).then(|| {
        format!(
            "{}; the history says who, and through which group",
            told.join("; ")
        )
    })
}

/// What a run changed, for an event: `Revoked 40 members and updated 12 groups, approved as 3f1c…`; `None`
/// where it changed nothing.
pub fn describe_changes(report: &Report) -> Option<String> {
    let mut text = describe_applied(&report.applied)?;
    let guarded = report.guarded.as_ref();
    if let Some(hold) = guarded.and_then(|guarded| guarded.used.as_ref()) {
        text.push_str(&format!(
            "; the held changes among them were approved by the digest {}",
            hold.id
        ));
    }
    Some(text)
}

/// The same of a run that didn't come to its end.
pub fn describe_applied(applied: &ActionCounts) -> Option<String> {
    let order = [
        (Kind::Revoke, "revoked", "member"),
        (Kind::Remove, "removed", "member"),
        (Kind::DeleteGroup, "deleted", "group"),
        (Kind::SetRole, "changed the role of", "member"),
        (Kind::SetCollections, "changed the access of", "group"),
        (Kind::UpdateGroup, "updated", "group"),
        (Kind::RenameGroup, "renamed", "group"),
        (Kind::Restore, "restored", "member"),
        (Kind::Relink, "re-linked", "member"),
        (Kind::Link, "linked", "member"),
        (Kind::Invite, "invited", "member"),
        (Kind::Reinvite, "invited again", "member"),
        (Kind::RelinkGroup, "re-linked", "group"),
        (Kind::CreateGroup, "created", "group"),
        (Kind::Unlink, "took out the external ID of", "member"),
        (Kind::UnlinkGroup, "took out the external ID of", "group"),
    ];
    let parts: Vec<String> = order
        .into_iter()
        .filter_map(|(kind, done, what)| match applied.get(kind) {
            0 => None,
            1 => Some(format!("{done} 1 {what}")),
            count => Some(format!("{done} {count} {what}s")),
        })
        .collect();
    if parts.is_empty() {
        return None;
    }
    let mut text = parts.join(", ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Some(text)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::OrganizationError;
    use crate::source::SourceError;

    fn source(kind: FaultKind) -> RunError {
        RunError::from(SourceError {
            kind,
            message: "ldaps://ldap.example.com says no".into(),
            cause: None,
        })
    }

    fn organization(during: Phase, error: OrganizationError) -> RunError {
        RunError::Organization {
            during,
            error,
            applied: ActionCounts::default(),
        }
    }

    fn unsupported() -> OrganizationError {
        OrganizationError::Unsupported { what: "be read" }
    }

    #[test]
    fn a_read_that_waits_for_the_directorys_limit_says_until_when() {
        let run = Progress::default();
        assert_eq!(progress(&run).waits_until, None);
        let soon = jiff::Timestamp::now() + Duration::from_secs(30);
        run.read.wait_until(soon);
        let waits_until = progress(&run).waits_until.unwrap().0;
        assert_eq!(waits_until.as_second(), soon.as_second());
        run.start(Phase::Plan, 0);
        assert_eq!(progress(&run).waits_until, None, "it doesn't read any more");
    }

    #[test]
    fn what_was_changed_before_a_run_failed_is_told_by_every_failure() {
        let mut made = ActionCounts::default();
        made.add(Kind::Invite);
        made.add(Kind::Revoke);
        made.add(Kind::Revoke);
        let errors: [fn() -> RunError; 5] = [
            || source(FaultKind::Incomplete),
            || organization(Phase::Read, unsupported()),
            || RunError::unrecorded("status can't be written"),
            || RunError::Stopped {
                during: Phase::Read,
                applied: ActionCounts::default(),
            },
            || RunError::MadeWay {
                applied: ActionCounts::default(),
            },
        ];
        let told = "; changes made before that: 1 Invite, 2 Revoke";
        for error in errors {
            assert!(!error().to_string().contains("before that"));
            let error = error().after_changes(&made);
            assert_eq!(*error.applied(), made);
            let failed = of_error(&error);
            assert!(failed.outcome.message().ends_with(told), "{error}");
        }
        let unrecorded = RunError::unrecorded("why").after_changes(&made);
        assert!(
            unrecorded
                .to_string()
                .starts_with("nothing more was changed")
        );
        let memory = of_memory(64, 100).after(&made);
        assert!(memory.outcome.message().ends_with(told));
        assert_eq!(
            describe_applied(&made).as_deref(),
            Some("Revoked 2 members, invited 1 member")
        );
    }

    fn failure_of(error: &RunError) -> (String, Requeue) {
        let failed = of_error(error);
        (failed.outcome.reason(), failed.requeue)
    }

    #[test]
    fn what_needs_manual_action_is_retried_slowly() {
        assert_eq!(
            failure_of(&source(FaultKind::Configuration)),
            ("SourceRefused".into(), Requeue::Slow)
        );
        assert_eq!(
            failure_of(&organization(Phase::Read, unsupported())),
            ("OrganizationRefused".into(), Requeue::Slow)
        );
    }

    #[test]
    fn what_passes_is_tried_again_when_the_other_side_says() {
        let wait = Some(Duration::from_secs(90));
        assert_eq!(
            failure_of(&source(FaultKind::Transient { retry_after: wait })),
            ("SourceUnavailable".into(), Requeue::Backoff(wait))
        );
        assert_eq!(
            failure_of(&source(FaultKind::Incomplete)),
            ("SourceIncomplete".into(), Requeue::Backoff(None))
        );
    }

    #[test]
    fn an_organization_that_fails_is_told_apart_by_when() {
        let gone = || OrganizationError::Gone {
            what: "the group".into(),
        };
        for (during, reason) in [
            (Phase::Read, "OrganizationUnavailable"),
            (Phase::ReadMemberships, "OrganizationUnavailable"),
            (Phase::Invite, "ApplyFailed"),
            (Phase::Verify, "ApplyFailed"),
        ] {
            let (reason_given, requeue) = failure_of(&organization(during, gone()));
            assert_eq!(
                (reason_given.as_str(), requeue),
                (reason, Requeue::Backoff(None)),
                "{during:?}"
            );
        }
    }

    fn report(counts: Counts, applied: &[Kind]) -> Report {
        let mut made = ActionCounts::default();
        for kind in applied {
            made.add(*kind);
        }
        Report {
            mode: Mode::Apply,
            guarded: None,
            digest: crate::sync::guard::Digest(String::new()),
            counts,
            onboarding: OnboardingCounts::default(),
            imported: None,
            applied: made,
            failed: Default::default(),
            problems: Default::default(),
            memberships_verified: false,
            changed_meanwhile: false,
            durations: Vec::new(),
        }
    }

    #[test]
    fn people_and_groups_that_were_relinked_are_counted_apart() {
        let made = [Kind::Relink, Kind::RelinkGroup, Kind::RelinkGroup];
        let mut status = DirectorySyncStatus::default();
        put_report(&mut status, &report(Counts::default(), &made), "LDAP");
        let changes = status.changes.unwrap();
        assert_eq!((changes.relinked, changes.groups_relinked), (1, 2));
    }

    #[test]
    fn of_a_server_that_cannot_be_read_status_has_what_imports_made_and_no_more() {
        let before = Counts {
            members: 60,
            managed_members: 60,
            ..Counts::default()
        };
        // Sent once more, after a run that was stopped.
        let mut again = report(before, &[Kind::Invite; 60]);
        let (accounts, groups) = (60, 8);
        again.imported = Some(Imported { accounts, groups });
        let mut status = DirectorySyncStatus::default();
        put_report(&mut status, &again, "LDAP");
        let organization = status.organization.unwrap();
        assert_eq!(organization.managed_members, Some(60));
        assert_eq!(organization.managed_groups, Some(8));
        assert_eq!((organization.members, organization.groups), (None, None));
        let object = Object::new("identity", "staff");
        let outcome = of_report(&again, "LDAP", &object, PublishedAs::default());
        assert!(
            outcome
                .message()
                .contains("a server that can't be read: 60 members")
        );
    }

    #[test]
    fn a_run_and_the_next_one_that_finds_its_changes_say_the_same() {
        let before = Counts {
            members: 3,
            managed_members: 1,
            recognized: Recognized {
                by_former_id: 1,
                by_email: 1,
                ..Recognized::default()
            },
            ..Counts::default()
        };
        let after = Counts {
            members: 4,
            managed_members: 3,
            managed_groups: 1,
            organization_groups: 1,
            recognized: Recognized {
                by_id: 3,
                ..Recognized::default()
            },
            ..before
        };
        let staff = Object::new("identity", "staff");
        let made = [Kind::Invite, Kind::Link, Kind::Relink, Kind::CreateGroup];
        let first = report(before, &made);
        let second = report(after, &[]);
        assert_eq!(
            of_report(&first, "ldaps://ldap", &staff, PublishedAs::default()),
            of_report(&second, "ldaps://ldap", &staff, PublishedAs::default())
        );
        let mut status = DirectorySyncStatus::default();
        put_report(&mut status, &first, "LDAP");
        let recorded = status.clone();
        put_report(&mut status, &second, "LDAP");
        assert_eq!(status, recorded);
        assert_eq!(status.changes.unwrap().invited, 1);
    }
}
