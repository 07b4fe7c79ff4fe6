//! What an assertion says (RFC 7523, 3).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The claims of a token of our own that says who we are.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// `iss`: whose key signs it.
    pub issuer: String,
    /// `sub`: for whom it speaks.
    pub subject: Option<String>,
    /// `aud`: who is to believe it.
    pub audience: String,
    /// `scope`: what is asked for, where the assertion is the grant.
    pub scope: Option<String>,
    /// From now until `exp`.
    pub lifetime: Duration,
    /// From `nbf` until now, where clocks differ; `None`: without `nbf`.
    pub valid_since: Option<Duration>,
}

impl Assertion {
    /// The claims of one that is made now. Each has an id of its own (`jti`).
    pub fn claims(&self) -> Map<String, Value> {
        let now = Timestamp::now().as_second();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let mut claims = Map::new();
        claims.insert("iss".into(), self.issuer.as_str().into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".into(), subject.as_str().into());
        }
        claims.insert("aud".into(), self.audience.as_str().into());
        if let Some(scope) = &self.scope {
            claims.insert("scope".into(), scope.as_str().into());
        }
        claims.insert("iat".into(), now.into());
        if let Some(early) = self.valid_since {
            claims.insert("nbf".into(), (now - seconds(early)).into());
        }
        claims.insert("exp".into(), (now + seconds(self.lifetime)).into());
        claims.insert("jti".into(), format!("{:032x}", fastrand::u128(..)).into());
        claims
    }
}
