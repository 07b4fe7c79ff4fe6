//! What Okta sends, as far as it is used.

use serde::Deserialize;

use super::settings::StatusTable;
use crate::api::spec::OktaGroupType;
use crate::directory::AccountState;

/// A person as `/api/v1/users` lists them.
#[derive(Debug, Deserialize)]
pub struct User {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub profile: UserProfile,
}

/// What is said of a person.
#[derive(Debug, Default, Deserialize)]
pub struct UserProfile {
    pub email: Option<String>,
    pub login: Option<String>,
}

/// A group as `/api/v1/groups` lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// When somebody came into or left it last.
    #[serde(rename = "lastMembershipUpdated")]
    pub last_membership_updated: Option<String>,
    #[serde(default)]
    pub profile: GroupProfile,
}

/// What is said of a group.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct GroupProfile {
    pub name: Option<String>,
}

/// Of whatever else is listed, the id is enough.
#[derive(Debug, Deserialize)]
pub struct Id {
    pub id: String,
}

/// The body of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorBody {
    pub error_code: String,
    pub error_summary: String,
    /// Of the token call (RFC 6749, 5.2).
    pub error: String,
    #[serde(rename = "error_description")]
    pub error_description: String,
}

impl StatusTable {
    /// What `status` means; `Err` for one that Okta doesn't document.
    pub fn meaning(&self, status: &str) -> Result<Option<AccountState>, UnknownStatus> {
        Ok(match status {
            "STAGED" => self.staged,
            "PROVISIONED" => self.provisioned,
            "ACTIVE" => self.active,
            "RECOVERY" => self.recovery,
            "PASSWORD_EXPIRED" => self.password_expired,
            "LOCKED_OUT" => self.locked_out,
            "SUSPENDED" => self.suspended,
            "DEPROVISIONED" => self.deprovisioned,
            _ => return Err(UnknownStatus),
        })
    }
}

/// A status that isn't in the table.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownStatus;

impl Group {
    /// Whether it is of one of these types.
    pub(super) fn is_one_of(&self, types: &[OktaGroupType]) -> bool {
        types.iter().any(|kind| {
            self.kind
                == match kind {
                    OktaGroupType::OktaGroup => "OKTA_GROUP",
                    OktaGroupType::AppGroup => "APP_GROUP",
                    OktaGroupType::BuiltIn => "BUILT_IN",
                }
        })
    }
}
