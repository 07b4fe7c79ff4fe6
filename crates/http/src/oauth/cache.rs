//! An access token that is asked for once and used by all.

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::HttpError;

/// Gets access tokens from where they are issued.
pub trait TokenSource: std::fmt::Debug + Send + Sync {
    /// Asks for a new one.
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>>;
}

/// A token and how long it is good for.
#[derive(Debug, Clone)]
pub struct Token {
    /// What goes after the scheme (`Bearer`).
    pub secret: SecretString,
    /// How long the token can be used, from when it was issued.
    pub lifetime: Duration,
}

/// Keeps a token until shortly before its end. However many ask at once, one request is made.
#[derive(Debug)]
pub struct TokenCache {
    source: Box<dyn TokenSource>,
    scheme: &'static str,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    token: Option<(SecretString, Instant)>,
    /// Counts tokens, so that only the first who meets a refused one has it replaced.
    generation: u64,
}

/// Longest time before its end at which a token is renewed.
const EARLY: Duration = Duration::from_secs(60);
/// No token is kept longer, whatever its issuer says: some moments are too far for the clock.
const LONGEST: Duration = Duration::from_hours(24);

impl TokenCache {
    /// Asks `source` when there is need.
    pub fn new(source: impl TokenSource + 'static) -> Self {
        Self::with_scheme("Bearer", source)
    }

    /// The same for a vendor that has tokens sent with another word before them than `Bearer`.
    pub fn with_scheme(scheme: &'static str, source: impl TokenSource + 'static) -> Self {
        Self {
            source: Box::new(source),
            scheme,
            current: Mutex::default(),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// A token that is good for a while yet, and its number for [`TokenCache::refused`].
    ///
    /// # Errors
    /// When there is none and none is issued.
    pub async fn get(&self) -> Result<(SecretString, u64), HttpError> {
        let mut current = self.current.lock().await;
        if let Some((secret, until)) = &current.token
            && Instant::now() < *until
        {
            return Ok((secret.clone(), current.generation));
        }
        let token = self.source.issue().await?;
        let lifetime = token.lifetime.min(LONGEST);
        let early = EARLY.min(lifetime / 5);
        current.token = Some((token.secret.clone(), Instant::now() + (lifetime - early)));
        current.generation += 1;
        Ok((token.secret, current.generation))
    }

    /// The other side no longer takes the token with this number: the next caller gets a new one.
    pub async fn refused(&self, generation: u64) {
        let mut current = self.current.lock().await;
        if current.generation == generation {
            current.token = None;
        }
    }
}
