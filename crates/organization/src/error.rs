//! What can go wrong with an organization, and who can fix it.

use std::time::Duration;

use crate::InvalidSettings;
use crate::fault::FaultKind;
use crate::http::HttpError;

/// Where an administrator finds the key.
pub(super) const WHERE_THE_KEY_IS: &str = "an owner finds it in the admin console under Settings, \
     Organization info, \"View API key\"";

/// Why a member or group isn't changed whose collections would be lost by it.
pub(super) const COLLECTIONS_UNKNOWN: &str =
    "not sent, because the server doesn't tell the collections, which have to be sent back";

/// What a server is told to be where it hasn't got a call that this needs.
pub(super) const NO_SUCH_CALL: &str = "this server doesn't have the call: update it";

/// How long an import may go on after its client gave up. Vaultwarden takes 450 rows a second, and
/// longer where it sends mail; our requests to it are sized to take seconds.
const UNANSWERED_WAIT: Duration = Duration::from_secs(300);

/// Why an organization couldn't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationError {
    /// The settings can't be used.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The identity service doesn't know the key.
    #[error(
        "the organization's API key was refused ({answer}): check clientId and clientSecret, which \
         change when the key is rotated; {}",
        WHERE_THE_KEY_IS
    )]
    WrongCredentials {
        /// What the server said.
        answer: String,
    },
    /// A fresh token was refused: the key was revoked, or the organization disabled.
    #[error(
        "a token that was just issued is refused ({answer}): the organization may be disabled, or \
         its API key rotated; {}",
        WHERE_THE_KEY_IS
    )]
    KeyRevoked {
        /// What the server said.
        answer: String,
    },
    /// The organization's plan doesn't include this.
    #[error(
        "Bitwarden refuses this to the organization: {answer}; its plan or settings must allow it"
    )]
    NotPermitted {
        /// What the server said.
        answer: String,
    },
    /// Fewer seats than members to be.
    #[error(
        "Bitwarden has no seats left: {answer}; add seats, or raise the limit up to which they grow by themselves"
    )]
    NoSeats {
        /// What the server said.
        answer: String,
    },
    /// Something else than Bitwarden answers at the address.
    #[error(
        "{what}; this isn't Bitwarden's answer: check region or serverUrl, and proxies in between"
    )]
    WrongAddress {
        /// What was tried and what came back.
        what: String,
        /// Whether the same address gave good answers before: then it isn't the setting's fault.
        worked_before: bool,
    },
    /// The server isn't trusted, or doesn't trust us.
    #[error(
        "{cause}; if a private CA signed the server's certificate, or nobody did, name that certificate as CA bundle"
    )]
    Tls {
        /// The failed request.
        #[source]
        cause: HttpError,
        /// Whether the same server was trusted before: then its certificate ran out.
        worked_before: bool,
    },
    /// Not reached, or lost on the way.
    #[error("{0}")]
    Unreachable(#[source] HttpError),
    /// The operator's own settings don't allow it.
    #[error("{0}")]
    NotAllowed(#[source] HttpError),
    /// The server asked to come back later.
    #[error("{what}; the server limits requests, this one is sent again later")]
    Throttled {
        /// Its own word on when.
        retry_after: Option<Duration>,
        /// What was tried and what the server said.
        what: String,
    },
    /// An import whose answer never came. The server goes on with it nevertheless, so it isn't sent
    /// again before it must have ended.
    #[error(
        "{cause}; the server may still be working on this import, so it isn't sent again right \
         away; if this happens again, look whether the server can reach its mail server"
    )]
    Unanswered {
        /// The failed request.
        #[source]
        cause: HttpError,
    },
    /// The same refusal for every row that was tried: it is about the server or the organization.
    #[error(
        "every import of members is refused with the same words ({answer}), so it isn't about a \
         single member; look at the server's log, and at its mail settings"
    )]
    RefusesAll {
        /// What the server said.
        answer: String,
    },
    /// The server refused this one change.
    #[error("{what} was refused: {answer}")]
    Refused {
        /// What was asked for, such as a change of one member.
        what: String,
        /// What the server said.
        answer: String,
    },
    /// A member or group that was there is gone.
    #[error("{what} isn't in the organization any more")]
    Gone {
        /// The member or group that is gone.
        what: String,
    },
    /// The server failed, or answered what can't be understood.
    #[error("{0}")]
    Unexpected(#[source] HttpError),
    /// A change was accepted, yet isn't there.
    #[error("{what} was accepted, yet {seen}")]
    NotApplied {
        /// The change that was accepted.
        what: String,
        /// What is there instead.
        seen: String,
    },
    /// A list that may not be whole.
    #[error("the list of {what} may not be complete: {why}")]
    Incomplete {
        /// `members` or `groups`.
        what: &'static str,
        /// What is inconsistent in the list.
        why: String,
    },
    /// The server has no such call.
    #[error(
        "this server can't {what}: it has only the import of Bitwarden's public API (Vaultwarden)"
    )]
    Unsupported {
        /// What the server can't do, such as `delete a group`.
        what: &'static str,
    },
}

impl OrganizationError {
    /// The same of a change of something that was read right before. A server without the call says that it isn't
    /// there, too.
    pub(super) fn after_read(self, what: impl FnOnce() -> String) -> Self {
        match self {
            Self::Gone { .. } => Self::Refused {
                what: what(),
                answer: "404, right after it was read: this server doesn't have the call, or somebody has just \
                         deleted it, or a collection that it names"
                    .into(),
            },
            other => other,
        }
    }

    /// Whether it is about the one member or group that was sent: others can go ahead.
    pub fn is_about_one(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Gone { .. } | Self::NotApplied { .. }
        )
    }

    /// Who can fix it, and when to try again.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Settings(_)
            | Self::WrongCredentials { .. }
            | Self::KeyRevoked { .. }
            | Self::NotPermitted { .. }
            | Self::NotAllowed(_)
            | Self::Unsupported { .. }
            | Self::Tls {
                worked_before: false,
                ..
            }
            | Self::WrongAddress {
                worked_before: false,
                ..
            } => FaultKind::Configuration,
            Self::Throttled { retry_after, .. } => FaultKind::Transient {
                retry_after: *retry_after,
            },
            Self::Unanswered { .. } => FaultKind::Transient {
                retry_after: Some(UNANSWERED_WAIT),
            },
            Self::Incomplete { .. } => FaultKind::Incomplete,
            Self::NoSeats { .. }
            | Self::WrongAddress { .. }
            | Self::Tls { .. }
            | Self::Unreachable(_)
            | Self::RefusesAll { .. }
            | Self::Refused { .. }
            | Self::Gone { .. }
            | Self::Unexpected(_)
            | Self::NotApplied { .. } => FaultKind::Transient { retry_after: None },
        }
    }
}

/// Refusals that are about the organization and not about what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No seats are left.
    Seats,
    /// The plan has no groups.
    Groups,
    /// The plan has no import.
    DirectorySync,
    /// Subscription, payment or owners: no row can be at fault.
    Organization,
    /// A message that isn't recognised.
    Other,
}

/// Refusals that halving a batch can't fix, in lower case. Source: `OrganizationService` and
/// `InviteOrganizationUsersCommand` of the server, 2026.8.0.
const ABOUT_THE_ORGANIZATION: [&str; 5] = [
    "active subscription",
    "payment method",
    "at least one confirmed owner",
    "your card",
    "card was declined",
];

impl Refusal {
    /// Known by the server's words: it has no codes.
    pub(super) fn of(message: &str) -> Self {
        let message = message.to_lowercase();
        if message.contains("cannot use directory") {
            Self::DirectorySync
        } else if message.contains("cannot use groups") {
            Self::Groups
        } else if message.contains("seat") || message.contains("autoscale") {
            Self::Seats
        } else if ABOUT_THE_ORGANIZATION
            .iter()
            .any(|words| message.contains(words))
        {
            Self::Organization
        } else {
            Self::Other
        }
    }
}
