//! OAuth 2.0: how an application gets the access tokens that its calls carry.
//!
//! A [`TokenCache`] keeps one token for all calls. It asks a [`TokenSource`], which in turn sends a
//! [`TokenForm`] to a [`TokenEndpoint`]: client credentials (RFC 6749, 4.4) with a secret or with an
//! assertion that we sign ([`Assertion`], RFC 7523), an assertion as the grant itself, or the
//! exchange of the cluster's token ([`IdentityToken`], RFC 8693).

mod assertion;
mod cache;
mod endpoint;
mod identity;

pub use assertion::Assertion;
pub use cache::{Token, TokenCache, TokenSource};
pub use endpoint::{TokenEndpoint, TokenForm};
pub use identity::{IdentityError, IdentityToken, NoIdentity, ProjectedToken};

/// What a client authenticates with, or asks a token for, is a signed JWT (RFC 7523).
pub const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The grant is a signed JWT (RFC 7523).
pub const JWT_BEARER_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// A token is exchanged for another (RFC 8693).
pub const TOKEN_EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
