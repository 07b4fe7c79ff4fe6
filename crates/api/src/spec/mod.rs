//! `spec`: what shall be kept in sync with what, and how.
//!
//! No field has a default in the schema, so that nothing is written back into a manifest that a
//! GitOps tool compares. Defaults are stated in the descriptions and applied where a spec is
//! validated.

// Each printed column says its type.
#![allow(clippy::duplicated_attributes)]
// `KubeSchema` makes a second struct for the schema, of which no field is read where `serde(remote)` keeps
// it from the trait.
#![allow(dead_code)]

mod access;
mod active_directory;
mod entra_id;
mod google_workspace;
mod ldap;
mod okta;
mod one_login;
mod organization;
mod policy;
mod references;
mod source;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use access::*;
pub use active_directory::*;
pub use entra_id::*;
pub use google_workspace::*;
pub use ldap::*;
pub use okta::*;
pub use one_login::*;
pub use organization::*;
pub use policy::*;
pub use references::*;
pub use source::*;

use super::rules;
use super::status::DirectorySyncStatus;

/// What shall be kept in sync with what, and how.
#[skip_serializing_none]
// `remote`: the traits are implemented in `decode`, on what is derived here.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
#[kube(
    group = "directorysync.dev",
    version = "v1alpha1",
    kind = "DirectorySync",
    plural = "directorysyncs",
    shortname = "dsync",
    namespaced,
    status = "DirectorySyncStatus",
    derive = "PartialEq",
    doc = "Keeps the members and groups of one Bitwarden organization in sync with one directory.",
    printcolumn(
        name = "Members",
        type_ = "integer",
        json_path = ".status.organization.activeMembers",
        description = "Members that this resource manages and that aren't revoked."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the last run did what the spec asks for."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why Ready is as it is, in one word."
    ),
    printcolumn(
        name = "Last Sync",
        type_ = "date",
        json_path = ".status.lastSyncTime",
        description = "How long ago the last run ended well; written every ten minutes at most while nothing changes."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".status.source.type",
        description = "The kind of directory.",
        priority = 1
    ),
    printcolumn(
        name = "Groups",
        type_ = "integer",
        json_path = ".status.organization.managedGroups",
        description = "Groups of the organization that this resource manages.",
        priority = 1
    ),
    printcolumn(
        name = "Held",
        type_ = "integer",
        json_path = ".status.heldRemovals.total",
        description = "How many changes wait for approval.",
        priority = 1
    ),
    printcolumn(
        name = "Problems",
        type_ = "string",
        json_path = ".status.problems[*].reason",
        description = "What needs manual action or is for information, by reason.",
        priority = 1
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextSyncTime",
        description = "When the next run is due.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "Why Ready is as it is, and what to do.",
        priority = 1
    )
)]
#[x_kube(
    validation = rules::at_most_one(
        &["interval", "schedule"],
        "write either interval or schedule, not both",
    ),
    validation = rules::only_with(
        "timeZone",
        "schedule",
        "timeZone has no meaning without schedule: add schedule, or leave timeZone out",
    ),
)]
pub struct DirectorySyncSpec {
    /// Time from the end of one run to the start of the next, as `90s`, `15m` or `1h30m`. At least
    /// `1m`. A tenth is added or taken off at random, so that many resources don't run at once.
    /// Not together with `schedule`. Default: `15m`.
    #[x_kube(validation = rules::duration("1m", "write a time of at least 1m in hours, minutes and seconds: 90s, 15m, 1h30m"))]
    #[schemars(length(max = 20))]
    pub interval: Option<String>,

    /// When to run, as a cron expression of five fields (minute, hour, day of month, month, day of
    /// week), for example `*/30 8-18 * * 1-5`. Instead of `interval`.
    #[x_kube(validation = rules::cron())]
    #[schemars(length(max = 200))]
    pub schedule: Option<String>,

    /// The time zone of `schedule`, by its IANA name, for example `Europe/Berlin`. Default: `UTC`.
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')").message(rules::TIME_ZONE),
        validation = rules::time_zone(),
    )]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,

    /// Whether a change in the directory may make a run come early, seconds after it was made. `Auto`: where
    /// the directory tells of changes, and `interval` says how often to run; with `schedule` the times in it
    /// are the only ones. Default: `Auto`.
    pub signals: Option<Signals>,

    /// While `true`, nothing is read and nothing is changed; a run under way is stopped.
    /// Default: `false`.
    pub suspend: Option<bool>,

    /// Whether to change the organization. Default: `Apply`.
    pub mode: Option<Mode>,

    /// The Bitwarden organization.
    pub organization: OrganizationSpec,

    /// The directory. Exactly one kind.
    pub source: SourceSpec,

    /// Which people become members. Default: all that the source reads.
    pub users: Option<UserRules>,

    /// Which groups are kept, and how. Default: all that the source reads.
    pub groups: Option<GroupRules>,

    /// How people come in.
    pub onboarding: Option<OnboardingRules>,

    /// How people go out, and how much of that happens without approval.
    pub offboarding: Option<OffboardingRules>,

    /// Which roles members have because of the groups that they are in. Default: roles are left alone.
    pub access: Option<AccessRules>,

    /// How often all group memberships are compared with the organization even though the
    /// directory didn't change, so that manual changes there are undone. It takes one request for
    /// each group. As `12h`; at least `10m`. Default: `24h`.
    #[x_kube(validation = rules::duration("10m", "write a time of at least 10m in hours, minutes and seconds: 30m, 24h"))]
    #[schemars(length(max = 20))]
    pub drift_check_interval: Option<String>,

    /// Where the plan and the record of what was taken away are kept: in the ConfigMap or the Secret
    /// `<name>-plan`. They hold people's names and emails. After a change both move at the start of
    /// the next run, and no copy stays. Default: `ConfigMap`.
    pub plan_storage: Option<PlanStorage>,
}

/// Whether to change the organization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Changes are applied.
    #[default]
    Apply,
    /// The plan is reported in status, events and the object `<name>-plan`; nothing is changed.
    Preview,
}

/// Whether changes in the directory are noticed between two runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Signals {
    /// Where the directory tells of them.
    #[default]
    Auto,
    /// They aren't.
    Off,
}

/// The kind of object that keeps the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlanStorage {
    /// In a ConfigMap, which everybody with the cluster role `view` in the namespace can read.
    #[default]
    ConfigMap,
    /// In a Secret. The operator must be allowed to write it (chart: `rbac.planSecrets`).
    Secret,
}

impl PlanStorage {
    /// The kind, as Kubernetes writes it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// The resource, as RBAC names it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
        }
    }

    /// The kind that isn't used.
    pub fn other(self) -> Self {
        match self {
            Self::ConfigMap => Self::Secret,
            Self::Secret => Self::ConfigMap,
        }
    }
}
