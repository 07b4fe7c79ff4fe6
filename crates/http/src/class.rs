//! What a failed call means, and what to say of it: the same for every vendor.
//!
//! [`FailureClass`] is the one taxonomy of failures, and [`FailureClass::kind`] the one place where
//! it is decided who can fix them and when a run is retried. A vendor adds how its errors are
//! recognised ([`Vendor::said`]), and classes and advice of its own for those that it knows.

use std::borrow::Cow;
use std::time::Duration;

use directory_sync_directory::text::sanitize;
use reqwest::StatusCode;

use crate::fault::FaultKind;
use crate::{Answer, Failure, HttpError};

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Settings that can't work, or that the operator's own settings forbid.
    Settings,
    /// The credentials aren't accepted, or no token is issued against them.
    Credentials,
    /// The credentials are good, and not allowed to do this.
    Permission,
    /// What was asked for can't be understood: a filter, a query.
    Request,
    /// Something that the settings name isn't there, or isn't unique.
    NotFound,
    /// Something else than the vendor answers.
    WrongServer,
    /// The server isn't trusted, or doesn't trust us.
    Tls,
    /// The answer is larger than the operator's settings allow.
    TooLarge,
    /// A rate limit is used up.
    Throttled {
        /// The other side's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// Not reached, lost on the way, failed, or answered what can't be understood. A body that ends
    /// early is one of these: nothing of it is believed, and the read is retried.
    Unavailable {
        /// The other side's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// A list that came, and may not be whole.
    Incomplete,
    /// Something that was listed is gone a moment later.
    Vanished,
    /// The other side lost our place in a list, which has to be read from its beginning.
    Restart,
}

impl FailureClass {
    /// Who can fix it, and when to try again.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Settings
            | Self::Credentials
            | Self::Permission
            | Self::Request
            | Self::NotFound
            | Self::WrongServer
            | Self::Tls
            | Self::TooLarge => FaultKind::Configuration,
            Self::Throttled { retry_after } | Self::Unavailable { retry_after } => {
                FaultKind::Transient { retry_after }
            }
            Self::Incomplete | Self::Vanished | Self::Restart => FaultKind::Incomplete,
        }
    }

    /// The same where this server gave good answers before: then a page, or a certificate that ran
    /// out, isn't the setting's fault.
    pub fn after_success(self) -> Self {
        match self {
            Self::WrongServer | Self::Tls => Self::Unavailable { retry_after: None },
            class => class,
        }
    }
}

impl HttpError {
    /// What the failure means where the vendor knows nothing better.
    pub fn class(&self) -> FailureClass {
        match &self.failure {
            Failure::Denied(_) | Failure::Request(_) => FailureClass::Settings,
            Failure::Tls(_) => FailureClass::Tls,
            Failure::Html | Failure::Scheme(_) => FailureClass::WrongServer,
            Failure::TooLarge(_) => FailureClass::TooLarge,
            Failure::Unreachable(_)
            | Failure::Interrupted(_)
            | Failure::Undecodable(_)
            | Failure::Identity(_) => FailureClass::Unavailable { retry_after: None },
            Failure::Status(answer) => answer.class(),
            Failure::Token(inner) => match inner.class() {
                FailureClass::Permission | FailureClass::Request => FailureClass::Credentials,
                class => class,
            },
        }
    }

    /// The failure to get a token, where it was that, and whether it was.
    pub fn into_token_failure(self) -> (Self, bool) {
        match self.failure {
            Failure::Token(inner) => (*inner, true),
            _ => (self, false),
        }
    }
}

impl Answer {
    /// What an answer with this status means.
    pub fn class(&self) -> FailureClass {
        let retry_after = self.retry_after;
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled { retry_after },
            StatusCode::REQUEST_TIMEOUT => FailureClass::Unavailable { retry_after },
            status if status.is_server_error() => FailureClass::Unavailable { retry_after },
            _ if self.is_html() => FailureClass::WrongServer,
            StatusCode::UNAUTHORIZED => FailureClass::Credentials,
            StatusCode::FORBIDDEN => FailureClass::Permission,
            StatusCode::NOT_FOUND => FailureClass::NotFound,
            status if status.is_client_error() => FailureClass::Request,
            _ => FailureClass::WrongServer,
        }
    }
}

/// What is the vendor's own in messages.
#[derive(Debug)]
pub struct Vendor {
    /// The vendor's name in messages: `Okta`.
    pub name: &'static str,
    /// What to check where something else answers.
    pub address: &'static str,
    /// What to say where its rate limit is used up.
    pub throttled: &'static str,
    /// What an answer in the vendor's form of errors says, from fields that are known; `None` where
    /// it has another form.
    pub said: fn(&Answer) -> Option<String>,
}

/// An answer in which a vendor's error was recognised.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// What was tried: method and address.
    pub tried: String,
    /// The answer that was recognised.
    pub answer: &'a Answer,
    /// What it says, as it may be shown.
    pub said: String,
}

/// A call to a vendor that failed, in the words of whoever runs the sync.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What the failure means, and so when the run is retried.
    pub class: FailureClass,
    /// What was tried, what was answered, what to do.
    pub message: Cow<'static, str>,
    /// The HTTP call that failed; `None` where the failure was found before or after it.
    #[source]
    pub cause: Option<Box<HttpError>>,
}

impl ApiError {
    /// A failure of this class.
    pub fn new(class: FailureClass, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            message: message.into(),
            cause: None,
        }
    }

    /// A list that may not be whole.
    pub fn incomplete(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FailureClass::Incomplete, message)
    }

    /// What a failed call means: as `recognise` says of an answer with the vendor's error in it, and
    /// as for every vendor otherwise.
    pub fn of(
        error: HttpError,
        vendor: &Vendor,
        recognise: impl FnOnce(&Refusal<'_>) -> Option<Self>,
    ) -> Self {
        let mut class = error.class();
        let mut message = error.to_string();
        if let Failure::Status(answer) = &error.failure {
            match (vendor.said)(answer) {
                Some(said) => {
                    let refusal = Refusal {
                        tried: error.call.to_string(),
                        answer,
                        said: sanitize(&said),
                    };
                    if let Some(recognised) = recognise(&refusal) {
                        return Self {
                            cause: Some(Box::new(error)),
                            ..recognised
                        };
                    }
                    message = format!("{message}: {}", refusal.said);
                }
                // Whoever else answers, it isn't about what was asked for.
                None if answer.status.is_client_error() => {
                    class = match class {
                        FailureClass::Throttled { .. } | FailureClass::Unavailable { .. } => class,
                        _ => FailureClass::WrongServer,
                    }
                }
                None => {}
            }
        }
        match class {
            FailureClass::WrongServer => {
                message = format!(
                    "{message}; this isn't {}'s answer: check {}, and proxies in between",
                    vendor.name, vendor.address
                );
            }
            FailureClass::Tls => {
                message = format!(
                    "{message}; check {}, and proxies that break up TLS",
                    vendor.address
                );
            }
            FailureClass::Throttled { .. } => message = format!("{message}; {}", vendor.throttled),
            _ => {}
        }
        Self {
            class,
            message: message.into(),
            cause: Some(Box::new(error)),
        }
    }

    /// Who can fix it, and when to try again.
    pub fn kind(&self) -> FaultKind {
        self.class.kind()
    }
}
