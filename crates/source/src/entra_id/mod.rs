//! Microsoft Entra ID, read through Microsoft Graph v1.0.
//!
//! `spec` checks what a manifest says, `graph` and `batch` read lists to their proven end, `scope` finds out who is meant, `users` and
//! `groups` are what is read, `read` puts them together, `changes` tells whether a read is needed at
//! all, `watch` notices changes between reads, `leaver` reads one person alone, `secret_expiry` asks when the client
//! secret expires.

mod batch;
mod changes;
mod check;
mod error;
mod graph;
mod groups;
mod leaver;
mod limit;
mod look_up;
mod read;
mod scope;
mod secret_expiry;
mod settings;
mod spec;
mod token;
mod users;
mod watch;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::{ApiError, Credential, Expiry, Validity};
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd,
    WatchObserver, check_side_by_side,
};

use changes::DeltaState;
use graph::Graph;
use secret_expiry::SecretExpiry;
pub use settings::{
    Addresses, Credentials, EntraIdSettings, GroupSelection, GroupSettings, GroupTypes,
    InvalidSettings, UserSettings, UserTypes,
};

/// Reads one tenant through Microsoft Graph.
#[derive(Debug)]
pub struct EntraIdSource {
    settings: EntraIdSettings,
    graph: Graph,
    /// The application's certificate, where it has one.
    certificate: Option<Validity>,
    /// When its client secret expires, where it has one.
    secret: Option<SecretExpiry>,
    /// Of the last complete read, for as long as nothing was seen to move.
    delta_state: Mutex<Option<DeltaState>>,
}

impl EntraIdSource {
    /// A source that reads as `settings` say.
    ///
    /// # Errors
    /// When the settings can't work, whatever Microsoft says: an id that is none, a certificate
    /// without its key.
    pub fn new(settings: EntraIdSettings, credentials: &Credentials) -> Result<Self, SourceError> {
        settings.validate().map_err(ApiError::from)?;
        let graph = Graph::new(&settings, credentials).map_err(ApiError::from)?;
        let certificate = match credentials {
            Credentials::Certificate { certificate, .. } => Validity::of_pem(certificate),
            Credentials::Secret(_) | Credentials::FederatedToken(_) => None,
        };
        Ok(Self {
            settings,
            graph,
            certificate,
            secret: SecretExpiry::of(credentials),
            delta_state: Mutex::new(None),
        })
    }

    fn delta_state(&self) -> MutexGuard<'_, Option<DeltaState>> {
        self.delta_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_anew_or_not(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Reading, ApiError> {
        // Taken out, not copied: whatever ends this read early, the next one starts over.
        let delta_state = self.delta_state().take();
        if let (Some(delta_state), Some(known)) = (delta_state, known)
            && delta_state.version == *known
            && !delta_state.is_old()
            && let Some(unmoved) = delta_state.unmoved(&self.graph, &self.settings).await?
        {
            *self.delta_state() = Some(unmoved);
            return Ok(Reading::Unchanged);
        }
        let (directory, delta_state) = read::read(&self.graph, &self.settings, progress).await?;
        let version = delta_state.as_ref().map(|new| new.version.clone());
        *self.delta_state() = delta_state;
        Ok(Reading::Full { directory, version })
    }
}

impl Source for EntraIdSource {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        async move {
            let reading = self.read_anew_or_not(known, progress).await;
            reading.map_err(SourceError::from)
        }
        .boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        let check = leaver::check(&self.graph, &self.settings, id);
        check
            .map(|checked| checked.map_err(SourceError::from))
            .boxed()
    }

    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        check_side_by_side(self, ids)
    }

    fn watch<'a>(
        &'a self,
        _since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        async move {
            let last_read = self.delta_state().clone();
            watch::watch(&self.graph, &self.settings, last_read, observer).await
        }
        .boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        async move {
            let found = look_up::look_up(&self.graph, &self.settings, name).await?;
            Ok(Lookup::Found(found))
        }
        .boxed()
    }

    fn expiries(&self) -> Vec<Expiry> {
        let ours = self.certificate.map(|validity| Expiry {
            credential: Credential::DirectoryClient,
            validity,
        });
        let secret = self.secret.as_ref().and_then(SecretExpiry::expiry);
        ours.into_iter().chain(secret).collect()
    }

    fn ask_expiries(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(secret) = &self.secret {
                secret
                    .ask_when_due(&self.graph, &self.settings.client_id)
                    .await;
            }
        }
        .boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        check::check(&self.graph, &self.settings, self.secret.as_ref()).boxed()
    }

    fn describe(&self) -> String {
        format!("Entra ID tenant {}", self.settings.tenant)
    }
}
