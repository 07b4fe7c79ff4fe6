//! The JSON of the public API.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::directory::{Email, ExternalId};
use crate::http::process_limits::BoundedValue;
use crate::http::{Answer, RemoteText};
use crate::model::{Group, Member, MemberRole, MemberStatus, Seats};
use crate::role::{AccessRole, Permissions};
use directory_sync_core::sync::history::CollectionAccess;

/// A list, whose items become ours one by one as they arrive.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct List<T> {
    #[serde(deserialize_with = "crate::http::process_limits::bounded_list")]
    pub(super) data: Vec<T>,
    /// Always null so far: the whole list comes in one answer. What it is isn't kept.
    #[serde(default)]
    pub(super) continuation_token: Option<IgnoredAny>,
}

/// A member or group in its own terms.
pub(super) struct Listed<T>(pub(super) T);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMember {
    id: Uuid,
    #[serde(default)]
    external_id: Text<Option<ExternalId>>,
    #[serde(default)]
    email: Text<Email>,
    status: i64,
    r#type: i64,
    #[serde(default)]
    permissions: WirePermissions,
}

/// What a member with the role Custom may do; null of all others, and not told by old servers.
#[derive(Default)]
struct WirePermissions(Permissions);

impl<'de> Deserialize<'de> for WirePermissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Option::<BTreeMap<Cow<'de, str>, Flag>>::deserialize(deserializer)?;
        let given = given.iter().flatten().filter(|(_, given)| given.0);
        Ok(Self(Permissions::of(given.map(|(name, _)| &**name))))
    }
}

/// Whether a permission is given; anything but `true` is no.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = BoundedValue::deserialize(deserializer)?;
        Ok(Self(value.0 == serde_json::Value::Bool(true)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    id: Uuid,
    #[serde(default)]
    external_id: Text<Option<ExternalId>>,
    #[serde(default)]
    name: Text<Box<str>>,
    #[serde(default)]
    collections: Option<WireAccess>,
}

/// To which collections a group gives access, without what this version doesn't know.
struct WireAccess(Box<[CollectionAccess]>);

impl<'de> Deserialize<'de> for WireAccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let access = crate::http::process_limits::bounded_list(deserializer)?;
        Ok(Self(Vec::into_boxed_slice(access)))
    }
}

impl<'de> Deserialize<'de> for Listed<Member> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let member = WireMember::deserialize(deserializer)?;
        Ok(Self(Member {
            id: member.id,
            external_id: member.external_id.0,
            email: member.email.0,
            status: status(member.status),
            role: role(member.r#type),
            permissions: match member.r#type {
                CUSTOM => member.permissions.0,
                _ => Permissions::NONE,
            },
        }))
    }
}

impl<'de> Deserialize<'de> for Listed<Group> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let group = WireGroup::deserialize(deserializer)?;
        Ok(Self(Group {
            id: group.id,
            external_id: group.external_id.0,
            name: group.name.0,
            collections: group.collections.map(|access| access.0),
        }))
    }
}

fn status(number: i64) -> MemberStatus {
    match number {
        -1 => MemberStatus::Revoked,
        0 => MemberStatus::Invited,
        1 => MemberStatus::Accepted,
        2 => MemberStatus::Confirmed,
        3 => MemberStatus::Staged,
        other => MemberStatus::Other(other),
    }
}

/// The role whose permissions count.
const CUSTOM: i64 = 4;

fn role(number: i64) -> MemberRole {
    match number {
        0 => MemberRole::Owner,
        other => MemberRole::Other(other),
    }
}

/// A text, or null, that becomes its final form without a copy in between: a list of 100,000
/// members has 200,000 of them.
struct Text<T>(T);

trait FromText {
    fn from_text(text: &str) -> Self;
}

impl FromText for Email {
    fn from_text(text: &str) -> Self {
        Self::of_member(text)
    }
}

impl FromText for Option<ExternalId> {
    fn from_text(text: &str) -> Self {
        ExternalId::of_member(text)
    }
}

impl FromText for Box<str> {
    fn from_text(text: &str) -> Self {
        text.into()
    }
}

impl<T: FromText> Default for Text<T> {
    fn default() -> Self {
        Self(T::from_text(""))
    }
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfText<T>(PhantomData<T>);
        impl<T: FromText> Visitor<'_> for OfText<T> {
            type Value = Text<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or null")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(T::from_text(text)))
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(OfText(PhantomData))
    }
}

/// The subscription, as far as seats go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    password_manager: Option<PasswordManager>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordManager {
    seats: Option<usize>,
    max_auto_scale_seats: Option<usize>,
}

impl Subscription {
    /// Null seats mean no limit.
    pub(super) fn seats(self) -> Option<Seats> {
        let paid = self.password_manager?;
        Some(Seats {
            total: paid.seats?,
            autoscale_to: paid.max_auto_scale_seats,
        })
    }
}

/// What `GET /config` says about the server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerConfig {
    pub(super) server: Option<ServerVendor>,
    /// Such as `2026.8.0`.
    version: Option<String>,
    /// Switches of features, as they are for the organization whose token asks.
    feature_states: Option<BoundedValue>,
}

/// The switch without which the server ignores `inviteUsersAfterProvisioning` silently, and sends
/// the invitations. Source: the server's `FeatureFlagKeys`, 2026.8.0.
const STAGED_STATUS: &str = "pm-34423-staged-status";

impl ServerConfig {
    pub(super) fn is_vaultwarden(&self) -> bool {
        let vendor = self
            .server
            .as_ref()
            .and_then(|vendor| vendor.name.as_deref());
        vendor.is_some_and(|name| name.eq_ignore_ascii_case("vaultwarden"))
    }

    /// Whether single members can be revoked and restored: since 2026.2.0. A version that can't be read
    /// is taken for a newer one.
    pub(super) fn can_revoke(&self) -> bool {
        let mut numbers = self.version.iter().flat_map(|version| version.split('.'));
        let mut number = || numbers.next()?.parse::<u16>().ok();
        number()
            .zip(number())
            .is_none_or(|version| version >= (2026, 2))
    }

    pub(super) fn stages_members(&self) -> bool {
        let states = self.feature_states.as_ref();
        states.and_then(|states| states.0.get(STAGED_STATUS))
            == Some(&serde_json::Value::Bool(true))
    }
}

/// Null on the official server; others name themselves.
#[derive(Deserialize)]
pub(super) struct ServerVendor {
    pub(super) name: Option<String>,
}

/// One member, with what has to be sent back when it is changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullMember {
    pub(super) status: i64,
    pub(super) r#type: i64,
    pub(super) external_id: Option<String>,
    pub(super) email: Option<String>,
    #[serde(
        default,
        deserialize_with = "crate::http::process_limits::bounded_values"
    )]
    pub(super) collections: Option<Vec<serde_json::Value>>,
    pub(super) permissions: Option<BoundedValue>,
}

impl FullMember {
    pub(super) fn status(&self) -> MemberStatus {
        status(self.status)
    }

    pub(super) fn role(&self) -> MemberRole {
        role(self.r#type)
    }

    /// The role as access rules know it; `None` of owners, and of roles that this version doesn't know.
    pub(super) fn access_role(&self) -> Option<AccessRole> {
        let given = |name: &str| {
            let permissions = self.permissions.as_ref();
            let given = permissions.and_then(|all| all.0.get(name));
            given == Some(&serde_json::Value::Bool(true))
        };
        match self.r#type {
            1 => Some(AccessRole::Admin),
            2 => Some(AccessRole::User),
            CUSTOM => {
                let names = Permissions::NAMES.into_iter().filter(|name| given(name));
                Some(AccessRole::Custom(Permissions::of(names)))
            }
            _ => None,
        }
    }

    /// What to send as permissions with a role: those that this version doesn't know stay as they are.
    pub(super) fn permissions_for(&self, role: AccessRole) -> Option<BoundedValue> {
        let AccessRole::Custom(permissions) = role else {
            return None;
        };
        let before = self.permissions.as_ref().and_then(|all| all.0.as_object());
        let mut all = match self.r#type {
            CUSTOM => before.cloned().unwrap_or_default(),
            _ => serde_json::Map::new(),
        };
        all.extend(
            permissions
                .each()
                .map(|(name, given)| (name.to_owned(), given.into())),
        );
        Some(BoundedValue(all.into()))
    }
}

/// A member's new state. Collections are replaced by those that are sent; null groups leave the
/// groups alone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberUpdate<'a> {
    pub(super) r#type: i64,
    pub(super) external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permissions: &'a Option<BoundedValue>,
    pub(super) collections: &'a [serde_json::Value],
    pub(super) groups: Option<()>,
}

/// A member who is invited.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMember<'a> {
    pub(super) email: &'a str,
    pub(super) r#type: i64,
    pub(super) external_id: &'a str,
    pub(super) collections: &'a [serde_json::Value],
    pub(super) groups: &'a [Uuid],
}

/// One group, with what has to be sent back when it is changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullGroup {
    pub(super) name: String,
    pub(super) external_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "crate::http::process_limits::bounded_values"
    )]
    pub(super) collections: Option<Vec<serde_json::Value>>,
}

impl FullGroup {
    /// Its access to collections; `None` where the server doesn't tell, or tells something else.
    pub(super) fn access(&self) -> Option<Vec<CollectionAccess>> {
        let collections = self.collections.as_ref()?.iter();
        let access = collections.map(|one| CollectionAccess::deserialize(one).ok());
        access.collect()
    }
}

/// A group's new state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupUpdate<'a> {
    pub(super) name: &'a str,
    pub(super) external_id: Option<&'a str>,
    pub(super) collections: &'a [serde_json::Value],
}

/// A group's new members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupMembers<'a> {
    pub(super) member_ids: &'a [Uuid],
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Messages {
    Many(Vec<String>),
    One(String),
}

impl Messages {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::Many(texts) => texts,
            Self::One(text) => std::slice::from_ref(text),
        }
    }
}

/// The body of a refusal: the public API's, or the identity service's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    message: Option<String>,
    /// What is wrong, by the place in the request: `Members[3].Email`.
    pub(super) errors: Option<BTreeMap<String, Messages>>,
    title: Option<String>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
}

impl ErrorBody {
    pub(super) fn of(answer: &Answer) -> Self {
        answer.fields()
    }

    /// What it says.
    pub(super) fn text(&self, answer: &Answer) -> RemoteText {
        let error = self.error.as_ref().and_then(|error| error.as_str());
        let mut parts: Vec<&str> = [
            self.message.as_deref(),
            self.title.as_deref(),
            error,
            self.error_description.as_deref(),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (place, messages) in self.errors.iter().flatten() {
            if !place.is_empty() {
                parts.push(place);
            }
            parts.extend(messages.all().iter().map(String::as_str));
        }
        // Vaultwarden fills what it has nothing to say in with empty texts.
        parts.retain(|part| !part.trim().is_empty());
        parts.dedup();
        match parts.is_empty() {
            true if answer.is_html() => {
                RemoteText::ours(format!("{}, an HTML page", answer.status))
            }
            true => RemoteText::ours(answer.status.to_string()),
            false => RemoteText::new(parts.join(": ")),
        }
    }
}
