//! What Graph sends, as far as it is asked for.

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::http::{RemoteText, Validity};

/// A page of a list. Without `value` it isn't one.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(deserialize_with = "crate::http::process_limits::bounded_list")]
    pub value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    pub delta_link: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub id: Uuid,
    pub mail: Option<String>,
    pub user_principal_name: Option<String>,
    /// Without the permission to see it, null.
    pub account_enabled: Option<bool>,
    pub user_type: Option<String>,
    /// Sent where it isn't `#microsoft.graph.user`.
    #[serde(rename = "@odata.type")]
    pub odata_type: Option<String>,
    #[serde(default)]
    pub assigned_licenses: Vec<License>,
}

/// Somebody who was deleted and can still be brought back.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeletedUser {
    pub id: Uuid,
    pub mail: Option<String>,
    /// With the id, without its dashes, in front of the name that it was.
    pub user_principal_name: Option<String>,
    pub user_type: Option<String>,
    pub deleted_date_time: Option<String>,
}

impl DeletedUser {
    /// The bytes of its texts.
    pub fn size(&self) -> usize {
        let texts = [
            &self.mail,
            &self.user_principal_name,
            &self.user_type,
            &self.deleted_date_time,
        ];
        texts.into_iter().flatten().map(String::capacity).sum()
    }
}

/// An administrative unit, of which only this matters.
#[derive(Debug, Deserialize)]
pub(super) struct Unit {
    pub visibility: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct License {
    pub sku_id: Uuid,
}

/// A group, or what `delta` tells of one: maybe its id and some of its members alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub id: Uuid,
    pub display_name: Option<String>,
    pub group_types: Option<Vec<String>>,
    pub security_enabled: Option<bool>,
    pub visibility: Option<String>,
    #[serde(rename = "members@delta", default)]
    pub members: Vec<Member>,
    #[serde(rename = "@removed")]
    pub removed: Option<serde::de::IgnoredAny>,
}

/// Who is in something.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub id: Uuid,
    #[serde(rename = "@odata.type")]
    pub kind: MemberKind,
    #[serde(rename = "@removed")]
    pub removed: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum MemberKind {
    #[serde(rename = "#microsoft.graph.user", alias = "#microsoft.graph.agentUser")]
    User,
    #[serde(rename = "#microsoft.graph.group")]
    Group,
    /// A computer, an application, a contact: nobody to invite.
    #[serde(other)]
    Other,
}

/// The application that we are, of which only its secrets matter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnApplication {
    pub password_credentials: Option<Vec<PasswordCredential>>,
}

/// A client secret, without its text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PasswordCredential {
    pub hint: Option<String>,
    pub start_date_time: Option<String>,
    pub end_date_time: Option<String>,
}

impl PasswordCredential {
    /// `None` where it doesn't end, or on no day that a calendar knows. Without a beginning it counts as old.
    pub fn validity(&self) -> Option<Validity> {
        let time = |text: &Option<String>| text.as_ref()?.parse().ok();
        Some(Validity {
            begins: time(&self.start_date_time).unwrap_or(Timestamp::UNIX_EPOCH),
            ends: time(&self.end_date_time)?,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub id: Uuid,
}

/// A group or user of which only the name matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assignment {
    pub principal_id: Uuid,
    pub principal_type: String,
}

/// Graph's errors, in whole answers and in parts of a batch.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub error: GraphError,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GraphError {
    #[serde(default)]
    pub code: RemoteText,
    #[serde(default)]
    pub message: RemoteText,
    #[serde(default)]
    pub inner_error: InnerError,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct InnerError {
    #[serde(rename = "request-id", default)]
    pub request_id: RemoteText,
}

/// Whether a group or an administrative unit shows its members only to some.
pub(super) fn hides_members(visibility: Option<&str>) -> bool {
    visibility.is_some_and(|visibility| visibility.eq_ignore_ascii_case("HiddenMembership"))
}
