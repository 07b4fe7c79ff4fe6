//! Whom to take, and what may happen to them.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Which people become members, by email.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRules {
    /// Only people whose email fits one of these patterns, for example `*@example.com`. `*` stands
    /// for any text, `?` for any character; case doesn't matter. Default: everyone.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 256)))]
    pub include: Option<Vec<String>>,

    /// Nobody whose email fits one of these patterns, whatever `include` says, for example
    /// `svc-*@example.com`. Default: nobody is left out.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 256)))]
    pub exclude: Option<Vec<String>>,
}

/// Which groups are kept in the organization, by name, and how.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRules {
    /// Only groups whose name fits one of these patterns, for example `eng-*`. `*` stands for any
    /// text, `?` for any character; case doesn't matter. Default: all groups.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 100)))]
    pub include: Option<Vec<String>>,

    /// No group whose name fits one of these patterns, whatever `include` says. `["*"]` keeps
    /// groups out of the organization altogether. Default: no group is left out.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 100)))]
    pub exclude: Option<Vec<String>>,

    /// Take only people who belong, directly or through nested groups, to a group that is in scope.
    /// Default: `false`.
    pub only_their_members: Option<bool>,

    /// Delete groups from the organization that are gone from the directory or no longer in scope.
    /// Counts against `offboarding.limit`. Only groups that this resource manages. Default: `false`.
    pub prune: Option<bool>,
}

/// How people come in.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingRules {
    /// Send new members their invitation. `false` stages them: they are in the organization, and
    /// an administrator invites them later. Default: `true`.
    pub invite: Option<bool>,

    /// Give revoked members their access back once they are active in the directory again.
    /// Default: `true` where `offboarding` revokes, else `false`.
    pub restore: Option<bool>,
}

/// How people go out, and how much of that happens without approval.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffboardingRules {
    /// What happens to members whose account is disabled in the directory. Default: `Revoke`.
    pub disabled: Option<DeparturePolicy>,

    /// What happens to members whose account the directory lists as deleted: Okta's deactivated
    /// people, and those deleted from Entra ID (30 days) or Google (20 days). Default: as `disabled`.
    pub deleted: Option<DeparturePolicy>,

    /// What happens to members who are gone from the directory, or filtered out. Default: `Retain`.
    pub absent: Option<DeparturePolicy>,

    /// How many members may lose access or memberships, and how many groups may be deleted, in one
    /// run: a number, or a share of those managed in percent (`10%`), rounded up. What goes beyond
    /// waits, all of it, until it is approved. `100%` holds nothing back. Default: `10%`.
    #[x_kube(validation = Rule::new("type(self) == int ? self >= 0 && self <= 1000000 : self.matches('^(100|[0-9]{1,2})([.][0-9]{1,3})?%$') && !self.matches('^100[.].*[1-9].*%$')").message("write a number (25), or a share between 0% and 100% in quotes (\"10%\")"))]
    #[schemars(length(max = 20))]
    pub limit: Option<IntOrString>,
}

/// What happens to members who go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeparturePolicy {
    /// Nothing: they keep their access.
    Retain,
    /// Their access ends and their seat is free; account, data and group memberships stay.
    Revoke,
    /// They are removed from the organization. Somebody who has no master password (who signs in
    /// with SSO and a trusted device) can lose their account for good by this. `Revoke` is the safe
    /// choice.
    Remove,
}
