//! What Google sends, as far as it is asked for.

use serde::Deserialize;

use crate::http::RemoteText;

/// A page of a list. `kind` is always there: an answer without it isn't one of Google's lists, and
/// `{}` would pass for an empty one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(default)]
    pub kind: String,
    pub next_page_token: Option<String>,
    /// Left out where there are none.
    #[serde(
        default = "Vec::new",
        alias = "users",
        alias = "groups",
        alias = "members",
        deserialize_with = "crate::http::process_limits::bounded_list"
    )]
    pub items: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub id: String,
    #[serde(default)]
    pub primary_email: String,
    /// Not told to those who may see no more than colleagues do.
    pub suspended: Option<bool>,
    #[serde(default)]
    pub archived: bool,
    /// From outside, let in to some apps.
    #[serde(default)]
    pub is_guest_user: bool,
    #[serde(default)]
    pub org_unit_path: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub non_editable_aliases: Vec<String>,
}

/// Somebody who was deleted within the last 20 days.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeletedUser {
    pub id: String,
    #[serde(default)]
    pub primary_email: String,
    pub deletion_time: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub id: String,
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    /// Left out for people from outside without a Google account.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub email: String,
    #[serde(rename = "type", default)]
    pub kind: MemberKind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum MemberKind {
    User,
    Group,
    /// Everyone of the customer.
    Customer,
    /// From outside, or of a kind that is nobody to invite.
    #[default]
    #[serde(other)]
    Other,
}

/// The body of a refusal by one of the APIs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub error: ApiError,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub message: RemoteText,
    #[serde(default)]
    pub errors: Vec<Reason>,
    /// In the newer form of errors, among others.
    #[serde(default)]
    pub details: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    pub reason: RemoteText,
}

impl ErrorBody {
    /// All reasons it gives, in either form.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.reason_texts().map(RemoteText::raw)
    }

    /// The same, as they may be shown.
    pub fn reason_texts(&self) -> impl Iterator<Item = &RemoteText> {
        let all = self.error.errors.iter().chain(&self.error.details);
        all.map(|entry| &entry.reason)
            .filter(|reason| !reason.is_empty())
    }
}

/// The body of a refusal of a token (RFC 6749, 5.2).
#[derive(Debug, Default, Deserialize)]
pub(super) struct TokenError {
    #[serde(default)]
    pub error: RemoteText,
    #[serde(default)]
    pub error_description: RemoteText,
}
