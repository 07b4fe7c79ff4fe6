//! Whom to take, and what may happen to them.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub(super) const LIMIT_RULE: &str = "type(self) == int ? self >= 0 && self <= 1000000 : self.matches('^(100|[0-9]{1,2})([.][0-9]{1,3})?%$') && !self.matches('^100[.].*[1-9].*%$')";
pub(super) const LIMIT_MESSAGE: &str =
    "write a number, such as 25, or a share between 0% and 100%, such as 10%";

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
    /// The groups and their members count against `offboarding.limit`. Only groups that this resource
    /// manages. Default: `false`.
    pub prune: Option<bool>,

    /// Take over a group that was made by hand instead of making a second one of that name: it gets the
    /// directory's external ID and keeps its access to collections, which everybody gets whom the
    /// directory lists in the group, then and later. Only where the name is the same and only one group
    /// has it on either side. Members of it whom this resource manages and whom the directory doesn't
    /// list leave it, within the limits; others stay. With `prune` it is deleted once the directory's
    /// group is gone. Set it while you move from groups made by hand, and not where anybody can make
    /// groups in the directory. Not on Vaultwarden, where groups can't be read. Default: `false`, the
    /// twin is reported.
    pub adopt: Option<bool>,

    /// How many managed members one group may lose within 24 hours: a number, or a share in percent
    /// (`50%`), rounded down. Groups of fewer than ten have no limit of their own. People whose
    /// account is disabled don't count. More is held until it is approved. `100%` holds nothing back.
    /// Default: `50%`.
    #[x_kube(validation = Rule::new(LIMIT_RULE).message(LIMIT_MESSAGE))]
    #[schemars(length(max = 20))]
    pub limit: Option<IntOrString>,

    /// Groups by name, for example `admins-*`, that nobody leaves and that aren't deleted unless it
    /// is approved. `*` stands for any text, `?` for any character; case doesn't matter.
    /// Default: none.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 100)))]
    pub protected: Option<Vec<String>>,
}

/// How people come in.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingRules {
    /// Send new members their invitation. `false` stages them: they are in the organization, and
    /// an administrator invites them later. Default: `true`.
    pub invite: Option<bool>,

    /// Give revoked members their access back once they are active in the directory again. By default
    /// those whom this resource revoked; whoever was revoked by hand stays so, and is reported as
    /// `NotRestored`. `true`: all of them. Default: unset where `offboarding` revokes, else `false`.
    pub restore: Option<bool>,

    /// How many people may be invited within 24 hours: a number, or a share of the managed members
    /// in percent (`50%`), but at least five. Whom runs restore within that counts with them. More is held
    /// until it is approved. The first sync of an organization without managed members isn't limited.
    /// `100%` holds nothing back. Default: `50%`.
    #[x_kube(validation = Rule::new(LIMIT_RULE).message(LIMIT_MESSAGE))]
    #[schemars(length(max = 20))]
    pub limit: Option<IntOrString>,

    /// How long somebody who has accepted the invitation may wait for an administrator to confirm them, as
    /// days (`5d`), before they are reported as `AwaitingConfirmation`. It counts from when a run first saw
    /// that they had accepted. Not on Vaultwarden, where members can't be read. Default: `5d`.
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,2}d$') && int(self.substring(0, self.size() - 1)) <= 365").message("write a number of days between 1d and 365d: 5d"))]
    #[schemars(length(max = 4))]
    pub confirm_within: Option<String>,

    /// Send invitations again that aren't accepted: only those that a sync sent, as far as its record goes.
    /// Not to whoever is revoked, disabled or gone. Not on Vaultwarden. Default: none is sent again.
    pub reinvite: Option<ReinviteRules>,

    /// Withdraw invitations that weren't accepted this long after they were sent (or first seen, where somebody
    /// else sent them), as days (`30d`). `offboarding.limit` holds for it. Only members with the role User. Who
    /// is still active in the directory isn't invited again until their entry changes, or somebody invites
    /// them in Bitwarden. Not on Vaultwarden. Default: invitations stay open.
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,3}d$') && int(self.substring(0, self.size() - 1)) >= 6 && int(self.substring(0, self.size() - 1)) <= 3650").message("write a number of days between 6d and 3650d: 30d; a link in an invitation can be used for 5 days"))]
    #[schemars(length(max = 5))]
    pub withdraw_after: Option<String>,
}

/// When and how often invitations are sent again.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReinviteRules {
    /// How long after the last invitation, as hours or days (`72h`). A link in an invitation can be used for
    /// 120 hours; an invitation that is sent again has a new one.
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,2}[hd]$') && int(self.substring(0, self.size() - 1)) <= (self.endsWith('h') ? 720 : 30)").message("write hours between 1h and 720h, or days between 1d and 30d: 72h"))]
    #[schemars(length(max = 4))]
    pub after: String,

    /// How often, at most.
    #[schemars(range(min = 1, max = 10))]
    pub times: i64,
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

    /// How many members may lose access or a group within 24 hours because they are gone from the
    /// directory, filtered out or out of a group, and how many groups may be deleted: a number (and
    /// never more than half), or a share in percent (`10%`) of the managed members who have access
    /// and aren't owners, rounded down, but one where one is less than half. More is held until it
    /// is approved. `100%` holds nothing back. Default: `10%`.
    #[x_kube(validation = Rule::new(LIMIT_RULE).message(LIMIT_MESSAGE))]
    #[schemars(length(max = 20))]
    pub limit: Option<IntOrString>,

    /// The same for members whose account is disabled in the directory; at least one. Apart from
    /// `limit`, so that an accident among those who are gone doesn't delay the revocation of somebody
    /// who was dismissed. Default: `25%`, or `limit` where that is more.
    #[x_kube(validation = Rule::new(LIMIT_RULE).message(LIMIT_MESSAGE))]
    #[schemars(length(max = 20))]
    pub disabled_limit: Option<IntOrString>,

    /// Remove members from the organization this long after this resource revoked them, as days
    /// (`30d`), if the directory then still asks for `Revoke`. Whoever was revoked by hand, or
    /// longer ago than the record of removals goes back, stays. The time begins anew for somebody
    /// who was active in between and not restored. The limits hold for it. Somebody who has
    /// no master password (SSO, trusted devices) can lose their account for good by a removal. Not on
    /// Vaultwarden, where no member can be removed. Default: revoked members are kept.
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,3}d$') && int(self.substring(0, self.size() - 1)) <= 3650").message("write a number of days between 1d and 3650d: 30d"))]
    #[schemars(length(max = 5))]
    pub remove_after: Option<String>,

    /// How long held changes can be approved after they were first held, as days (`3d`). After that
    /// what is still held has another digest, which an earlier approval isn't for. Default: `7d`.
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]?d$') && int(self.substring(0, self.size() - 1)) <= 30").message("write a number of days between 1d and 30d: 7d"))]
    #[schemars(length(max = 3))]
    pub approvals_expire_after: Option<String>,
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
