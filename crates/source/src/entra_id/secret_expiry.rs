//! When the application's client secret expires, which Microsoft Graph alone knows.
//!
//! An application may read itself without any permission (Graph's reference, "Get servicePrincipal"). Its secrets are
//! listed without their text: ours is found by `hint`, the first three characters. No read depends on the answer, so the
//! question is asked once a day, beside the reads, and whatever goes wrong with it is left at that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use super::error::token_failure;
use super::graph::{Graph, List, OWN_APPLICATION};
use super::settings::Credentials;
use super::wire::{OwnApplication, PasswordCredential};
use crate::SourceErrorKind;
use crate::http::{ApiError, Credential, Expiry, FailureClass, Validity};

/// How often Graph is asked.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// How soon again where something failed that may pass.
const AGAIN: Duration = Duration::from_secs(3600);
/// An answer that takes longer isn't waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of a secret is in its `hint`.
const HINT_CHARS: usize = 3;

/// What is known of the end of a client secret.
#[derive(Debug)]
pub(super) struct SecretExpiry {
    /// The first characters of the secret.
    hint: SecretString,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// When to ask next; at once where nobody asked yet.
    next: Option<Instant>,
    validity: Option<Validity>,
}

impl SecretExpiry {
    /// `None` where the application has no client secret.
    pub fn of(credentials: &Credentials) -> Option<Self> {
        let Credentials::Secret(secret) = credentials else {
            return None;
        };
        let hint: String = secret
            .expose_secret()
            .trim()
            .chars()
            .take(HINT_CHARS)
            .collect();
        Some(Self {
            hint: hint.into(),
            asked: Mutex::default(),
        })
    }

    /// What Graph said last. An answer that fails takes nothing away: a secret ends on the day that it was made for.
    pub fn expiry(&self) -> Option<Expiry> {
        let validity = self.asked().validity?;
        Some(Expiry {
            credential: Credential::DirectorySecret,
            validity,
        })
    }

    /// Asks where that is due.
    pub async fn ask_when_due(&self, graph: &Graph, client_id: &str) {
        let now = Instant::now();
        {
            let mut asked = self.asked();
            if asked.next.is_some_and(|next| now < next) {
                return;
            }
            // Whatever comes of it, even nothing.
            asked.next = Some(now + INTERVAL);
        }
        if let Err(error) = self.ask(graph, client_id).await {
            tracing::debug!(%error, "couldn't find out when the client secret expires");
            if matches!(error.kind(), SourceErrorKind::Transient { .. }) {
                self.asked().next = Some(now + AGAIN);
            }
        }
    }

    /// Asks, and remembers the answer: `None` where Graph lists no secret that is ours for certain.
    ///
    /// # Errors
    /// When Graph doesn't tell.
    pub async fn ask(&self, graph: &Graph, client_id: &str) -> Result<Option<Validity>, ApiError> {
        // Not within the time of the question: a read that waits for the same token would have to begin again.
        if let Some(tokens) = &graph.remote.token {
            tokens.get().await.map_err(token_failure)?;
        }
        let path = format!("/applications(appId='{client_id}')");
        let list = List::new(&OWN_APPLICATION, path).select("passwordCredentials");
        let asking = graph.object_beside_reads(&list);
        let answer: Result<OwnApplication, ApiError> = match timeout(PATIENCE, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::new(
                FailureClass::Unavailable { retry_after: None },
                format!("no answer within {} s", PATIENCE.as_secs()),
            )),
        };
        let listed = answer?.password_credentials.unwrap_or_default();
        let validity = find(&listed, self.hint.expose_secret(), Timestamp::now());
        self.asked().validity = validity;
        Ok(validity)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret that begins with `hint`. Of several the one that ends first: a warning too many is better than none.
/// Secrets that were made by old interfaces have no hint: where none has ours, it is one of those.
fn find(listed: &[PasswordCredential], hint: &str, now: Timestamp) -> Option<Validity> {
    let good = |hint: Option<&str>| {
        let named = listed.iter().filter(|one| one.hint.as_deref() == hint);
        let ends = named.filter_map(PasswordCredential::validity);
        // It has just been used to log in.
        let good = ends.filter(|validity| validity.ends > now);
        good.min_by_key(|validity| validity.ends)
    };
    good(Some(hint)).or_else(|| good(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(hint: Option<&str>, ends: &str) -> PasswordCredential {
        PasswordCredential {
            hint: hint.map(str::to_owned),
            start_date_time: Some("2025-12-01T10:00:00Z".to_owned()),
            end_date_time: Some(ends.to_owned()),
        }
    }

    fn found(listed: &[PasswordCredential]) -> Option<String> {
        let found = find(listed, "abc", "2026-12-01T00:00:00Z".parse().unwrap());
        found.map(|validity| validity.ends.to_string())
    }

    #[test]
    fn ours_is_the_one_with_its_first_characters() {
        let listed = [
            secret(Some("xyz"), "2026-12-05T00:00:00Z"),
            secret(Some("abc"), "2027-12-05T00:00:00.3086381Z"),
            secret(None, "2026-12-06T00:00:00Z"),
        ];
        assert_eq!(
            found(&listed).as_deref(),
            Some("2027-12-05T00:00:00.3086381Z")
        );
        assert_eq!(found(&listed[..1]), None, "somebody else's");
    }

    #[test]
    fn of_several_the_first_end_counts_that_is_not_over() {
        let listed = [
            secret(Some("abc"), "2028-01-01T00:00:00Z"),
            secret(Some("abc"), "2027-01-01T00:00:00Z"),
            secret(Some("abc"), "2026-11-30T00:00:00Z"),
        ];
        assert_eq!(found(&listed).as_deref(), Some("2027-01-01T00:00:00Z"));
        assert_eq!(found(&listed[2..]), None);
    }

    #[test]
    fn without_a_hint_it_is_one_of_those_without() {
        let listed = [
            secret(Some("xyz"), "2026-12-05T00:00:00Z"),
            secret(None, "2027-01-01T00:00:00Z"),
        ];
        assert_eq!(found(&listed).as_deref(), Some("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn an_end_that_no_calendar_knows_is_none() {
        assert_eq!(found(&[secret(Some("abc"), "9999-12-31T23:59:59Z")]), None);
        assert_eq!(found(&[secret(Some("abc"), "soon")]), None);
    }
}
