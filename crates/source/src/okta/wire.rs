//! What Okta sends, as far as it is used.

use serde::Deserialize;

use crate::api::spec::{OktaGroupType, OktaStatuses};
use crate::checks::state;
use crate::directory::AccountState;
use crate::http::RemoteText;

/// A person as `/api/v1/users` lists them.
#[derive(Debug, Deserialize)]
pub struct User {
    pub id: String,
    pub status: String,
    /// When the status last changed.
    #[serde(rename = "statusChanged")]
    pub status_changed: Option<String>,
    /// When anything of the account last changed.
    #[serde(rename = "lastUpdated")]
    pub last_updated: Option<String>,
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

/// A group of which it matters alone when somebody came into or left it last.
#[derive(Debug, Deserialize)]
pub struct Changed {
    #[serde(rename = "lastMembershipUpdated")]
    pub last_membership_updated: Option<String>,
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
    pub error_code: RemoteText,
    pub error_summary: RemoteText,
    /// Of the token call (RFC 6749, 5.2).
    pub error: RemoteText,
    #[serde(rename = "error_description")]
    pub error_description: RemoteText,
}

/// The statuses that Okta documents.
const STATUSES: [&str; 8] = [
    "STAGED",
    "PROVISIONED",
    "ACTIVE",
    "RECOVERY",
    "PASSWORD_EXPIRED",
    "LOCKED_OUT",
    "SUSPENDED",
    "DEPROVISIONED",
];

/// What each status means, in one text.
pub fn describe(spec: &OktaStatuses) -> String {
    let meanings = STATUSES.map(|status| match meaning(spec, status) {
        Ok(Some(state)) => format!("{status} is {state:?}"),
        Ok(None) | Err(UnknownStatus) => format!("{status} is Absent"),
    });
    meanings.join(", ")
}

/// What the `status` of an account means; `None`: as if there were no such account.
///
/// # Errors
/// A status that Okta doesn't document.
pub fn meaning(spec: &OktaStatuses, status: &str) -> Result<Option<AccountState>, UnknownStatus> {
    use AccountState::{Active, Deleted, Disabled};
    let (meaning, default) = match status {
        "STAGED" => (spec.staged, Active),
        "PROVISIONED" => (spec.provisioned, Active),
        "ACTIVE" => (spec.active, Active),
        "RECOVERY" => (spec.recovery, Active),
        "PASSWORD_EXPIRED" => (spec.password_expired, Active),
        "LOCKED_OUT" => (spec.locked_out, Active),
        "SUSPENDED" => (spec.suspended, Disabled),
        "DEPROVISIONED" => (spec.deprovisioned, Deleted),
        _ => return Err(UnknownStatus),
    };
    Ok(state(meaning, Some(default)))
}

/// A status that Okta doesn't document.
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
