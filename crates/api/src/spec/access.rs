//! Which roles members have because of the groups that they are in.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::policy::{LIMIT_MESSAGE, LIMIT_RULE};
use super::rules;

/// Which roles members have because of the groups that they are in.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRules {
    /// The roles of groups' members. Of several rules that are about somebody the highest role counts (User,
    /// Custom, Admin); permissions of Custom add up. Whoever leaves the group becomes a User again if a run
    /// gave the role; a role that was given by hand to somebody no rule is about stays. Owners never change.
    /// Not on Vaultwarden. Default: roles are left alone.
    #[schemars(length(max = 100))]
    pub roles: Option<Vec<RoleRule>>,

    /// How many people may gain rights by `roles` within 24 hours, how many may lose some, and how many may gain
    /// `Manage` by `collections`. More is held until it is approved. Default: `3`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: Option<i64>,

    /// How many people may gain access within 24 hours because rules give it to groups that they are in: a number,
    /// or a share in percent (`10%`) of the managed members who have access to the organization, but at least
    /// five. Who hasn't accepted an invitation doesn't count, and who comes into a group that has access already
    /// doesn't either. More is held until it is approved. `100%` holds nothing back. Default: `10%`.
    #[x_kube(validation = Rule::new(LIMIT_RULE).message(LIMIT_MESSAGE))]
    #[schemars(length(max = 20))]
    pub collections_limit: Option<IntOrString>,

    /// Which access groups have to collections. Of several rules that are about a group and a collection all
    /// count together. When a rule goes, what a run gave by it goes; access that was given by hand stays.
    /// Only groups that are synced. Not on Vaultwarden. Default: access is left alone.
    #[schemars(length(max = 500))]
    pub collections: Option<Vec<CollectionRule>>,
}

/// A group has access to collections.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionRule {
    /// The group by its name in the directory, or a pattern (`*` stands for any text, `?` for any character;
    /// case doesn't matter). Only groups that are synced count.
    #[schemars(length(min = 1, max = 100))]
    pub group: String,

    /// The collections.
    #[schemars(length(min = 1, max = 50))]
    pub collections: Vec<CollectionAccessRule>,

    /// Take away all other access that the groups have. The limits hold for it. Default: `false`.
    pub exclusive: Option<bool>,
}

/// Access to one collection.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["id", "externalId"],
    "name the collection by exactly one of id and externalId (directory-sync collections lists them)",
))]
pub struct CollectionAccessRule {
    /// The collection's ID: `directory-sync collections` lists them. Exactly one of `id` and `externalId`.
    #[schemars(length(max = 36))]
    #[x_kube(validation = rules::guid("write the collection's ID as directory-sync collections lists it: 9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10"))]
    pub id: Option<String>,

    /// The collection's external ID. Exactly one of `id` and `externalId`.
    #[schemars(length(min = 1, max = 300))]
    pub external_id: Option<String>,

    /// What the group's members may do.
    pub access: GivenAccess,
}

/// What members of a group may do with a collection, as Bitwarden calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GivenAccess {
    /// See what is in it, without passwords.
    ViewExceptPasswords,
    /// See what is in it.
    View,
    /// Change what is in it, without seeing passwords.
    EditExceptPasswords,
    /// Change what is in it.
    Edit,
    /// Also say who has access.
    Manage,
}

/// Members of a group have a role.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.role == 'Custom') == has(self.permissions)")
    .message("permissions belong to role: Custom, and Custom needs at least one: permissions: {manageUsers: true}"))]
pub struct RoleRule {
    /// The group by its name in the directory, or a pattern (`*` stands for any text, `?` for any character;
    /// case doesn't matter). Only groups that are synced count, with everybody who is in them through other
    /// groups.
    #[schemars(length(min = 1, max = 100))]
    pub group: String,

    /// The role of the group's members.
    pub role: GivenRole,

    /// What members with the role Custom may do (Enterprise plans).
    pub permissions: Option<CustomPermissions>,
}

/// A role that can be given. Owners are made by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GivenRole {
    /// No rights over others.
    User,
    /// Those of `permissions`.
    Custom,
    /// All rights but an owner's.
    Admin,
}

/// The permissions of the role Custom, by the names of Bitwarden's API. What is left out isn't given.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.accessEventLogs) && self.accessEventLogs, has(self.accessImportExport) && self.accessImportExport, has(self.accessReports) && self.accessReports, has(self.createNewCollections) && self.createNewCollections, has(self.editAnyCollection) && self.editAnyCollection, has(self.deleteAnyCollection) && self.deleteAnyCollection, has(self.manageGroups) && self.manageGroups, has(self.managePolicies) && self.managePolicies, has(self.manageSso) && self.manageSso, has(self.manageUsers) && self.manageUsers, has(self.manageResetPassword) && self.manageResetPassword, has(self.manageScim) && self.manageScim].exists(given, given)")
    .message("give at least one permission: {manageUsers: true}; whoever shall have none is a User"))]
pub struct CustomPermissions {
    /// Read the event log.
    pub access_event_logs: Option<bool>,
    /// Import and export the organization's vault.
    pub access_import_export: Option<bool>,
    /// Read reports.
    pub access_reports: Option<bool>,
    /// Create collections.
    pub create_new_collections: Option<bool>,
    /// Edit any collection, whatever access they were given.
    pub edit_any_collection: Option<bool>,
    /// Delete any collection.
    pub delete_any_collection: Option<bool>,
    /// Create, edit and delete groups.
    pub manage_groups: Option<bool>,
    /// Change policies.
    pub manage_policies: Option<bool>,
    /// Change single sign-on.
    pub manage_sso: Option<bool>,
    /// Invite, confirm, edit and remove members.
    pub manage_users: Option<bool>,
    /// Reset members' master passwords (account recovery).
    pub manage_reset_password: Option<bool>,
    /// Manage SCIM.
    pub manage_scim: Option<bool>,
}

impl CustomPermissions {
    /// The names of those that are given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            ("accessEventLogs", self.access_event_logs),
            ("accessImportExport", self.access_import_export),
            ("accessReports", self.access_reports),
            ("createNewCollections", self.create_new_collections),
            ("editAnyCollection", self.edit_any_collection),
            ("deleteAnyCollection", self.delete_any_collection),
            ("manageGroups", self.manage_groups),
            ("managePolicies", self.manage_policies),
            ("manageSso", self.manage_sso),
            ("manageUsers", self.manage_users),
            ("manageResetPassword", self.manage_reset_password),
            ("manageScim", self.manage_scim),
        ]
        .into_iter()
        .filter(|(_, given)| *given == Some(true))
        .map(|(name, _)| name)
    }
}
