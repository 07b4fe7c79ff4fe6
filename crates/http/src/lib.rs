//! One HTTP client for all: whoever speaks to a vendor's API does it through an [`ApiClient`].
//!
//! An [`ApiClient`] sends a [`Call`]: waits for the other side's [`RateLimit`], adds a token, tells
//! an [`Observer`], decodes the answer as it arrives, and sends a request again where that may help
//! ([`Retry`]). Its errors ([`HttpError`]) say what was tried and what came back, and never hold a
//! secret.

#![deny(missing_docs)]

mod account_limits;
mod answer;
mod api_client;
mod body;
mod class;
mod client;
pub mod egress;
mod error;
mod expiry;
pub mod fault;
mod jwt;
pub mod oauth;
mod observe;
mod path_limits;
mod pem;
pub mod process_limits;
mod rate_limit;
mod received;
mod redactor;
mod remote_text;
mod retry;
mod secret_values;
mod trust;

pub use account_limits::{AccountLimits, LimitRules, WindowHeaders, written_at};
pub use answer::Answer;
pub use api_client::{ApiClient, Call};
pub use class::{ApiError, FailureClass, Refusal, Vendor};
pub use client::{ClientError, ClientSettings, client, client_with_trust, unrestricted_client};
pub use error::{CallName, Failure, HttpError};
pub use expiry::{Credential, Expiry, Validity};
pub use jwt::{InvalidKey, JwtAlgorithm, JwtSigner};
pub use oauth::{Token, TokenCache, TokenSource};
pub use observe::{CallOutcome, Observer, Unobserved};
pub use path_limits::{Pace, PathLimiter};
pub use pem::{read_certificates, read_private_key};
pub use rate_limit::{RateLimit, RateLimiter, ThrottleHint, Window};
pub use received::{add_received, counting};
pub use redactor::Redactor;
pub use remote_text::{RemoteText, known_words};
pub use retry::{Idempotency, Retry, is_retryable_status, retry_after};
pub use secret_values::SecretValues;
pub use trust::{ServerTrust, system_roots};
