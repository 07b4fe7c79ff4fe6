//! What must not show, whatever the other side says.

use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// The secrets that are sent to one side. A server or proxy that quotes a request in its answer
/// would carry them into an error: they are taken out of every text that comes back.
#[derive(Debug, Default)]
pub struct Redactor(RwLock<Vec<SecretString>>);

/// Shorter texts would be found everywhere.
const SHORTEST: usize = 6;
/// Tokens that were renewed since may still be quoted; very old ones no more.
const KEPT: usize = 8;
/// The first are keys, which stay.
const STAYING: usize = 2;

impl Redactor {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more that must not show. The first two stay; of later ones the newest few.
    pub fn add(&self, secret: SecretString) {
        if secret.expose_secret().len() < SHORTEST {
            return;
        }
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.len() == KEPT {
            secrets.remove(STAYING);
        }
        secrets.push(secret);
    }

    /// `text` without them.
    pub fn scrub(&self, text: &str) -> String {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), "***")
        })
    }
}
