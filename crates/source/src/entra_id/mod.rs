//! Microsoft Entra ID, read through Microsoft Graph v1.0.
//!
//! `spec` checks what a manifest says, `graph` and `batch` read lists to their proven end, `scope` finds out who is meant, `users` and
//! `groups` are what is read, `read` puts them together, `changes` tells whether a read is needed at
//! all, `update` brings up to date what an earlier read saw (`kept`), `watch` notices changes between reads, `leaver` reads one person alone, `secret_expiry` asks when the client
//! secret expires.

mod batch;
mod changes;
mod check;
mod error;
mod graph;
mod groups;
mod kept;
mod leaver;
mod limit;
mod look_up;
mod read;
mod scope;
mod secret_expiry;
mod settings;
mod spec;
mod token;
mod update;
mod users;
mod watch;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::{ApiError, Credential, Expiry, Validity};
use crate::kept::Slot;
use crate::{
    KeptDirectories, LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Update,
    Version, WatchEnd, WatchObserver, check_side_by_side,
};

use changes::{DeltaState, is_about_the_link};
use graph::Graph;
use kept::{KEPT_FOR, KeptTenant, Recent};
use scope::Scope;
use secret_expiry::SecretExpiry;
pub use settings::{
    Addresses, Credentials, EntraIdSettings, GroupSelection, GroupSettings, GroupTypes,
    InvalidSettings, UserSettings, UserTypes,
};
use update::Doubt;

/// Reads one tenant through Microsoft Graph.
#[derive(Debug)]
pub struct EntraIdSource {
    settings: EntraIdSettings,
    graph: Graph,
    /// The application's certificate, where it has one.
    certificate: Option<Validity>,
    /// When its client secret expires, where it has one.
    secret: Option<SecretExpiry>,
    /// Where the deltas stand of what is known: of the last complete read, and of what they told since.
    delta_state: Mutex<Option<DeltaState>>,
    memory: Arc<KeptDirectories>,
    /// What the last read saw.
    kept: Arc<Slot<KeptTenant>>,
    recent: Mutex<Recent>,
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
        let memory = Arc::<KeptDirectories>::default();
        Ok(Self {
            settings,
            graph,
            certificate,
            secret: SecretExpiry::of(credentials),
            delta_state: Mutex::new(None),
            kept: memory.slot(),
            memory,
            recent: Mutex::default(),
        })
    }

    /// Keeps what a read saw in this memory, so that the next one can bring it up to date.
    #[must_use]
    pub fn keeping(self, memory: &Arc<KeptDirectories>) -> Self {
        Self {
            kept: memory.slot(),
            memory: Arc::clone(memory),
            ..self
        }
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
        if let Some(unmoved) = self.unmoved(known).await? {
            *self.delta_state() = Some(unmoved);
            return Ok(Reading::Unchanged);
        }
        // Two of them at once would take twice the memory.
        self.forget();
        let memory = self.memory.is_enabled().then(|| self.memory.reservation());
        let read = read::read(&self.graph, &self.settings, memory, progress).await?;
        let version = read.delta_state.as_ref().map(|new| new.version.clone());
        *self.delta_state() = read.delta_state;
        if let Some(kept) = read.kept {
            self.kept.put(kept);
        }
        Ok(Reading::Full {
            directory: read.directory,
            version,
        })
    }

    /// Where the deltas stand, if provably nothing moved since everything was read, which `known` is. Else who moved is
    /// noted: a replica that is behind may answer the whole read that follows, and no later delta tells of them again.
    async fn unmoved(&self, known: Option<&Version>) -> Result<Option<DeltaState>, ApiError> {
        let Some(state) = self.delta_state().take() else {
            return Ok(None);
        };
        let is_believed = state.is_all_of(known);
        if !is_believed && !self.memory.is_enabled() {
            return Ok(None);
        }
        let (graph, settings) = (&self.graph, &self.settings);
        let scope = async {
            match is_believed {
                true => Scope::read(graph, settings).await.map(Some),
                false => Ok(None),
            }
        };
        let (told, scope) = match tokio::try_join!(state.follow(graph), scope) {
            Ok(found) => found,
            Err(error) if is_about_the_link(&error) => {
                tracing::debug!(%error, "changes can't be followed, everything is read anew");
                return Ok(None);
            }
            Err(error) => {
                // The next read can ask again who moved.
                *self.delta_state() = Some(DeltaState {
                    is_updated: true,
                    ..state
                });
                return match is_believed {
                    true => Err(error),
                    false => Ok(None),
                };
            }
        };
        kept::note(&self.recent, &told, settings.replica_lag);
        let is_as_before = scope.is_some_and(|scope| scope.fingerprint() == state.scope);
        let is_unmoved = is_as_before && told.tells_nothing();
        let state = DeltaState {
            users: told.users_link,
            groups: told.groups_link,
            is_updated: !is_unmoved,
            ..state
        };
        if is_unmoved {
            return Ok(Some(state));
        }
        // Should the whole read fail, the next one goes on from here.
        *self.delta_state() = Some(state);
        Ok(None)
    }

    async fn update(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Option<Update>, Doubt> {
        // Whatever comes in between, nothing is left then that isn't known to be right.
        let Some(mut kept) = self.kept.take() else {
            return Ok(None);
        };
        let Some(state) = self.delta_state().clone() else {
            return Ok(None);
        };
        if state.version != kept.version || state.since.elapsed() >= KEPT_FOR {
            // Whether nothing moved since everything was read can still be found out.
            return Ok(None);
        }
        *self.delta_state() = Some(DeltaState {
            is_updated: true,
            ..state.clone()
        });
        let (graph, settings) = (&self.graph, &self.settings);
        let (state, read_now) =
            update::update(graph, settings, &state, &mut kept, &self.recent).await?;
        let version = kept.version.clone();
        let update = if known == Some(&version) {
            Update::Unchanged
        } else {
            let directory = update::directory(settings, &kept, read_now, progress).await;
            Update::Changed { directory, version }
        };
        *self.delta_state() = Some(state);
        self.kept.put(kept);
        Ok(Some(update))
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

    fn read_changes<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Option<Update>> {
        async move {
            self.update(known, progress).await.unwrap_or_else(|why| {
                let why = why.reason();
                tracing::info!(
                    why,
                    "everything is read, because it is in doubt what has changed"
                );
                None
            })
        }
        .boxed()
    }

    fn forget(&self) {
        self.kept.take();
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
