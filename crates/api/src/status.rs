//! `status`: what the last run saw and did. Bounded in size, whatever the directory's.

// As in `spec`.
#![allow(dead_code)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// How many removals are named in [`HeldRemovals::sample`].
pub const HELD_SAMPLE_MAX: usize = 10;
/// How many reasons are listed in [`DirectorySyncStatus::problems`].
pub const PROBLEMS_MAX: usize = 20;
/// How many entries are named for one reason.
pub const PROBLEM_SAMPLE_MAX: usize = 5;
/// Longest entry of a sample, in characters.
pub const SAMPLE_CHARACTERS_MAX: usize = 300;
/// Longest [`HeldRemovals::why`], in characters.
pub const WHY_CHARACTERS_MAX: usize = 1_000;

/// What the last run saw and did.
#[skip_serializing_none]
// `remote`: the traits are implemented in `decode`, on what is derived here.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct DirectorySyncStatus {
    /// The generation of the spec that the conditions speak of.
    pub observed_generation: Option<i64>,

    /// `Ready` always; `Reconciling`, `Stalled`, `RemovalsHeld`, `SignalsLost` and `CredentialExpiring` only while
    /// they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 20))]
    pub conditions: Vec<Condition>,

    /// When the last run started, however it ended. Runs that find and change nothing write no
    /// status: this may be up to an hour old.
    pub last_attempt_time: Option<Time>,

    /// When the last run that did all it was to do ended. Runs that find and change nothing write
    /// no status: this may be up to an hour old.
    pub last_sync_time: Option<Time>,

    /// When the next run is due, or the next try after a failure. Absent where runs follow each
    /// other within ten minutes, for they don't all write status.
    pub next_sync_time: Option<Time>,

    /// The value of the annotation `directorysync.dev/sync-requested-at` (or
    /// `reconcile.fluxcd.io/requestedAt`) that was answered last.
    #[schemars(length(max = 256))]
    pub last_handled_sync_request: Option<String>,

    /// The ID in the annotation `directorysync.dev/undo` of the confirmed undo that was begun last. It isn't
    /// begun again, whatever came of it.
    #[schemars(length(max = 128))]
    pub last_handled_undo_request: Option<String>,

    /// Identifies the undo that was shown last, and wasn't confirmed yet. Nothing else can be confirmed.
    #[schemars(length(max = 128))]
    pub shown_undo: Option<String>,

    /// The directory, as last read completely.
    pub source: Option<SourceStatus>,

    /// The organization, as last read completely.
    pub organization: Option<OrganizationStatus>,

    /// The organization that this resource manages: set once the organization accepted the
    /// credentials and no other resource manages it, and kept while the resource exists and names
    /// this organization.
    pub claim: Option<ClaimStatus>,

    /// How many changes of each kind the last run made that made any (with `mode: Preview`: the
    /// last run would make).
    pub changes: Option<ChangeCounts>,

    /// Changes that are held until they are approved: removals, or invitations.
    pub held_removals: Option<HeldRemovals>,

    /// What needs manual action, by reason. `UnknownMembers` is for information.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["reason".into()]))]
    #[schemars(length(max = 20))]
    pub problems: Vec<ProblemStatus>,

    /// How far the run under way has come.
    pub progress: Option<Progress>,

    /// Stands for the group memberships that were last applied.
    #[schemars(length(max = 128))]
    pub memberships_digest: Option<String>,

    /// Identifies the record of what was taken away (in the ConfigMap or Secret `<name>-plan`). A
    /// record that isn't this one makes the operator more careful for a day.
    #[schemars(length(max = 128))]
    pub ledger_digest: Option<String>,

    /// Identifies the record that is about to be written in its place. If the operator ends in between, either
    /// of the two is believed.
    #[schemars(length(max = 128))]
    pub next_ledger_digest: Option<String>,

    /// How much of the limits was used within the last day (and, in case a clock was wrong, within a week): what
    /// was taken away and given without an approval, by the hour. If the record of it is lost, this counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 40))]
    pub limits_used: Vec<LimitsUsed>,

    /// Identifies the records in the ConfigMap or Secret `<name>-history` of which it isn't known yet what
    /// came of them. After a restart the operator looks for the end of these, and of no others that
    /// somebody put there.
    #[schemars(length(max = 128))]
    pub open_records_digest: Option<String>,

    /// How many changes are held by name because somebody took them back with an undo. If the record of them
    /// is lost, they are held by the history, or else everything is, until it is approved.
    #[schemars(range(min = 0))]
    pub undone_changes: Option<i64>,

    /// Identifies the runs in the ConfigMap or Secret `<name>-history` that the operator has written.
    /// Records that somebody else put there, or changed, are shown as not sealed, and aren't undone.
    #[schemars(length(max = 128))]
    pub history_digest: Option<String>,

    /// Identifies the same once what is about to be written there is there. If the operator ends in between,
    /// either of the two is believed.
    #[schemars(length(max = 128))]
    pub next_history_digest: Option<String>,

    /// When all group memberships were last compared with the organization.
    pub last_drift_check_time: Option<Time>,

    /// How changes in the directory are noticed between two runs. Absent where they aren't.
    pub signals: Option<SignalsStatus>,

    /// How many runs failed since the last that succeeded.
    #[schemars(range(min = 0))]
    pub consecutive_failures: Option<i64>,
}

/// How changes in the directory are noticed between two runs.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalsStatus {
    /// Since when the directory is watched without interruption.
    pub watching_since: Time,

    /// How it is watched.
    pub method: WatchMethod,
}

/// How a directory is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WatchMethod {
    /// It sends changes as they are made.
    Stream,
    /// It is asked for changes several times a minute.
    Poll,
}

/// The directory, as last read completely.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The kind of directory: `LDAP`, `ActiveDirectory`, `EntraID`, `GoogleWorkspace`, `Okta` or
    /// `OneLogin`.
    #[serde(rename = "type")]
    #[schemars(length(max = 32))]
    pub kind: String,

    /// People in scope, active and disabled.
    #[schemars(range(min = 0))]
    pub users: Option<i64>,

    /// Groups in scope, after filters.
    #[schemars(range(min = 0))]
    pub groups: Option<i64>,
}

/// The organization, as last read completely.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// All members of the organization, managed or not. Absent where the server can't be read.
    #[schemars(range(min = 0))]
    pub members: Option<i64>,

    /// Members that this resource manages.
    #[schemars(range(min = 0))]
    pub managed_members: Option<i64>,

    /// Those of them that aren't revoked.
    #[schemars(range(min = 0))]
    pub active_members: Option<i64>,

    /// All groups of the organization, managed or not. Absent where the server can't be read.
    #[schemars(range(min = 0))]
    pub groups: Option<i64>,

    /// Groups that this resource manages.
    #[schemars(range(min = 0))]
    pub managed_groups: Option<i64>,

    /// By what members are recognized as people of the directory, as of the end of the last run. Absent where the
    /// server can't be read.
    pub recognized: Option<RecognizedStatus>,

    /// Where managed members stand on their way in. Absent where the server can't be read.
    pub onboarding: Option<OnboardingStatus>,
}

/// Where managed members stand on their way in. Revoked members aren't among them.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingStatus {
    /// Added without an invitation (`onboarding.invite: false`).
    #[schemars(range(min = 0))]
    pub staged: Option<i64>,

    /// Invited and not accepted.
    #[schemars(range(min = 0))]
    pub invited: Option<i64>,

    /// Of those, whose link has expired, as far as is known: it can be used for five days (120 hours).
    #[schemars(range(min = 0))]
    pub invitations_expired: Option<i64>,

    /// Of those, of whom it isn't known when the invitation was sent: somebody else sent it, or the record
    /// of it was lost.
    #[schemars(range(min = 0))]
    pub invitations_of_unknown_age: Option<i64>,

    /// Accepted, and waiting for an administrator's confirmation.
    #[schemars(range(min = 0))]
    pub accepted: Option<i64>,

    /// Of those, who waits for longer than `onboarding.confirmWithin`.
    #[schemars(range(min = 0))]
    pub confirmation_overdue: Option<i64>,

    /// Confirmed: they have access.
    #[schemars(range(min = 0))]
    pub confirmed: Option<i64>,
}

/// By what members are recognized as people of the directory, as of the end of the last run: whoever was given
/// the directory's ID by it counts as recognized by ID.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecognizedStatus {
    /// By the external ID that they have.
    #[schemars(range(min = 0))]
    pub by_id: Option<i64>,

    /// By an external ID that is the name (DN) of an entry, as Bitwarden's Directory Connector gives it.
    #[schemars(range(min = 0))]
    pub by_former_id: Option<i64>,

    /// By their email: they have no external ID, or one that the directory doesn't have.
    #[schemars(range(min = 0))]
    pub by_email: Option<i64>,

    /// Managed members whom the directory doesn't have.
    #[schemars(range(min = 0))]
    pub not: Option<i64>,
}

/// An organization that a resource manages.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStatus {
    /// The id of the claimed organization.
    #[schemars(length(max = 64))]
    pub organization_id: String,

    /// Only members and groups whose external id begins with this.
    #[schemars(length(max = 256))]
    pub external_id_prefix: Option<String>,
}

impl ClaimStatus {
    /// The claim of an organization's members with this prefix; empty: of all.
    pub fn new(organization: uuid::Uuid, prefix: &str) -> Self {
        Self {
            organization_id: organization.to_string(),
            external_id_prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
        }
    }
}

/// How many changes of each kind.
#[derive(KubeSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCounts {
    /// Members who were invited or staged.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub invited: i64,
    /// Members found by email who got their external id.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub linked: i64,
    /// Members who got a new external id in place of one that is gone, or whose own an undo took out.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub relinked: i64,
    /// Revoked members who got their access back.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub restored: i64,
    /// Members whose invitation was sent again.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub reinvited: i64,
    /// Members whose access ended.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub revoked: i64,
    /// Members who were removed.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub removed: i64,
    /// Members who got another role.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub roles_changed: i64,
    /// Groups that were created.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub groups_created: i64,
    /// Groups that got a new external id in place of one that is gone, or whose own an undo took out.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub groups_relinked: i64,
    /// Groups that got the directory's name.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub groups_renamed: i64,
    /// Groups whose members changed.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub groups_updated: i64,
    /// Groups whose access to collections changed.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub access_changed: i64,
    /// Groups that were deleted.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub groups_deleted: i64,
}

/// Changes that are held until they are approved: removals, or invitations.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldRemovals {
    /// Identifies this hold of exactly these changes. Written into the annotation
    /// `directorysync.dev/approve-removals`, it lets them go ahead, once. What is held for more than
    /// `offboarding.approvalsExpireAfter` gets another one.
    #[schemars(length(max = 128))]
    pub digest: String,

    /// Identifies the held changes as the plan in `<name>-plan` lists them. `kubectl directorysync approve`
    /// lets nothing go ahead that is listed differently: status can be written by the operator alone, the
    /// plan by whoever may write ConfigMaps.
    #[schemars(length(max = 128))]
    pub plan_digest: Option<String>,

    /// How many changes wait.
    #[schemars(range(min = 0))]
    pub total: i64,

    /// How many members would lose access or a membership.
    #[schemars(range(min = 0))]
    pub members: i64,

    /// How many groups would be deleted.
    #[schemars(range(min = 0))]
    pub groups: i64,

    /// Why the removals are held.
    #[schemars(length(max = 1000))]
    pub why: String,

    /// Some of the members and groups concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 300)))]
    pub sample: Vec<String>,
}

/// What was reported for one reason.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemStatus {
    /// What is wrong, in one word: `DuplicateEmail`.
    #[schemars(length(max = 64))]
    pub reason: String,

    /// How many entries have this problem.
    #[schemars(range(min = 0))]
    pub count: i64,

    /// Some of them, and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(max = 300)))]
    pub sample: Vec<String>,
}

/// What was taken away and given within about an hour, without an approval where nothing else is said.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsUsed {
    /// When the last of it happened.
    pub time: Time,

    /// People who lost something because their account was disabled (`offboarding.disabledLimit`).
    #[schemars(range(min = 0))]
    pub disabled: Option<i64>,

    /// People who lost something on other evidence (`offboarding.limit`).
    #[schemars(range(min = 0))]
    pub absent: Option<i64>,

    /// People who were invited, or got their access back (`onboarding.limit`).
    #[schemars(range(min = 0))]
    pub invited: Option<i64>,

    /// The same with an approval: they count against no limit, and aren't part of what limits are a share of.
    #[schemars(range(min = 0))]
    pub approved: Option<i64>,

    /// People who gained rights of their role (`access.limit`).
    #[schemars(range(min = 0))]
    pub gained_rights: Option<i64>,

    /// People who gained access to collections (`access.collectionsLimit`).
    #[schemars(range(min = 0))]
    pub gained_access: Option<i64>,

    /// People who gained `Manage` on a collection (`access.limit`).
    #[schemars(range(min = 0))]
    pub gained_manage: Option<i64>,
}

/// How far the run under way has come.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,

    /// How much of it is done: entries read, or changes applied.
    #[schemars(range(min = 0))]
    pub done: i64,

    /// How much there is to do, where that is known.
    #[schemars(range(min = 0))]
    pub total: Option<i64>,

    /// Until when reading waits, because the directory's limit on requests (or our share of it) is
    /// spent.
    pub waits_until: Option<Time>,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Reading the directory and the organization.
    Reading,
    /// Working out what to change.
    Planning,
    /// Applying the changes to the organization.
    Applying,
}
