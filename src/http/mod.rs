//! One HTTP client for all: whoever speaks to a vendor's API does it through a [`Remote`].
//!
//! A [`Remote`] sends a [`Call`]: waits for the other side's [`Limit`], adds a token, tells an
//! [`Observer`], decodes the answer as it arrives, and tries again what may pass ([`Retry`]). Its
//! errors ([`HttpError`]) say what was tried and what came back, and never hold a secret.

mod answer;
mod body;
mod client;
mod error;
mod jwt;
mod limit;
mod observe;
mod remote;
mod retry;
mod secrets;
mod share;
mod token;

pub use answer::Answer;
pub use client::{ClientError, ClientSettings, client};
pub use error::{CallName, Failure, HttpError};
pub use jwt::{InvalidKey, JwtAlgorithm, JwtSigner};
pub use limit::{Headroom, Limit, Pace, Window};
pub use observe::{Observer, Outcome, Unobserved};
pub use remote::{Call, Remote, Repeat};
pub use retry::{Retry, retry_after};
pub use secrets::Secrets;
pub use share::{LimitRules, Shares, WindowTold, written_at};
pub use token::{Token, TokenCache, TokenSource};
