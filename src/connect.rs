//! From a valid spec and what its Secrets hold to clients of both sides.
//!
//! The controller and the command line connect here, and only here.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::api::conditions::Blocker;
use crate::directory::{ExternalId, LookedUp, Lookup};
use crate::fault::{FaultKind, Step};
use crate::http::{Expiry, Observer, Redactor, Unobserved};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::references::{ReferencedData, Unresolved, UnresolvedReason, both};
use crate::source::{
    self, LeaverCheck, ReadProgress, Reading, Source, SourceEnvironment, SourceError, Update,
    Version, WatchEnd, WatchObserver,
};
use crate::validation::ValidatedSpec;

/// Clients of both sides, ready to be used.
pub struct Connections {
    /// The source that reads the directory.
    pub source: Box<dyn Source>,
    /// Reads and changes the organization.
    pub organization: OrganizationClient,
}

/// The observers of requests, one for each side.
#[derive(Debug, Clone)]
pub struct Observers {
    /// About requests to the directory.
    pub directory: Arc<dyn Observer>,
    /// About requests to the organization.
    pub organization: Arc<dyn Observer>,
}

impl Default for Observers {
    /// The default observers ignore every request.
    fn default() -> Self {
        Self {
            directory: Arc::new(Unobserved),
            organization: Arc::new(Unobserved),
        }
    }
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A Secret or ConfigMap is missing, or holds something that can't be used.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// The directory's settings can't work.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The organization's settings can't work.
    #[error(transparent)]
    Organization(#[from] OrganizationError),
}

impl ConnectError {
    /// The reason that conditions and events give.
    pub fn blocker(&self) -> Blocker {
        match self {
            Self::Unresolved(unresolved) => unresolved.blocker(),
            Self::Organization(_) => Blocker::InvalidReference,
            Self::Source(error) => match error.kind {
                FaultKind::Configuration => Blocker::InvalidSpec,
                FaultKind::Transient { .. } | FaultKind::Incomplete => Blocker::SourceRefused,
            },
        }
    }
}

/// A directory of which nothing shows that came out of a Secret, whatever it or we say: the last of
/// several barriers, and the one that holds for every kind of directory.
struct RedactedSource {
    source: Box<dyn Source>,
    redactor: Arc<Redactor>,
}

impl RedactedSource {
    fn redacted_check(&self, checked: LeaverCheck) -> LeaverCheck {
        match (checked, self.redactor.values()) {
            (LeaverCheck::Left(user), Some(values))
                if !user.can_be_shown(|text| values.are_in(text)) =>
            {
                LeaverCheck::Uncertain("the entry holds a value of a Secret".to_owned())
            }
            (LeaverCheck::Uncertain(why), _) => {
                LeaverCheck::Uncertain(self.redactor.redact_message(&why))
            }
            (left, _) => left,
        }
    }
}

impl Source for RedactedSource {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        Box::pin(async move {
            let read = self.source.read(known, progress).await;
            let reading = read.map_err(|error| redacted(error, &self.redactor))?;
            Ok(match (reading, self.redactor.values()) {
                (Reading::Full { directory, version }, Some(values)) => Reading::Full {
                    directory: directory.without_secrets(|text| values.are_in(text)),
                    version,
                },
                (reading, _) => reading,
            })
        })
    }

    fn read_changes<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Option<Update>> {
        Box::pin(async move {
            let update = self.source.read_changes(known, progress).await?;
            Some(match (update, self.redactor.values()) {
                (Update::Changed { directory, version }, Some(values)) => Update::Changed {
                    directory: directory.without_secrets(|text| values.are_in(text)),
                    version,
                },
                (update, _) => update,
            })
        })
    }

    fn forget(&self) {
        self.source.forget();
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        Box::pin(async move {
            let found = self.source.look_up(name).await;
            let clean = |text: &str| self.redactor.redact_message(text).into_boxed_str();
            match found.map_err(|error| redacted(error, &self.redactor))? {
                Lookup::Unsupported => Ok(Lookup::Unsupported),
                Lookup::Found(entries) => Ok(Lookup::Found(
                    entries
                        .into_iter()
                        .map(|entry| LookedUp {
                            entry: clean(&entry.entry),
                            email: clean(&entry.email),
                            ..entry
                        })
                        .collect(),
                )),
            }
        })
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        Box::pin(async move {
            let checked = self.source.check_leaver(id).await;
            let checked = checked.map_err(|error| redacted(error, &self.redactor))?;
            Ok(self.redacted_check(checked))
        })
    }

    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        Box::pin(async move {
            let checked = self.source.check_leavers(ids).await;
            let checked = checked.map_err(|error| redacted(error, &self.redactor))?;
            let checked = checked.into_iter().map(|one| self.redacted_check(one));
            Ok(checked.collect())
        })
    }

    fn early_read_from(&self) -> Option<Timestamp> {
        self.source.early_read_from()
    }

    fn watch<'a>(
        &'a self,
        since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        Box::pin(async move {
            match self.source.watch(since, observer).await {
                WatchEnd::Lost(error) => WatchEnd::Lost(redacted(error, &self.redactor)),
                WatchEnd::Unsupported(why) => {
                    WatchEnd::Unsupported(self.redactor.redact_message(&why))
                }
            }
        })
    }

    fn expiries(&self) -> Vec<Expiry> {
        self.source.expiries()
    }

    fn ask_expiries(&self) -> BoxFuture<'_, ()> {
        self.source.ask_expiries()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        Box::pin(async move {
            let clean = |text: String| self.redactor.redact_message(&text);
            let steps = self.source.check().await.into_iter().map(|step| Step {
                name: clean(step.name),
                result: step.result.map(clean).map_err(clean),
            });
            steps.collect()
        })
    }

    fn describe(&self) -> String {
        self.redactor.redact_message(&self.source.describe())
    }
}

/// Without its cause, whose text nobody looked at.
fn redacted(error: SourceError, redactor: &Redactor) -> SourceError {
    SourceError {
        kind: error.kind,
        message: redactor.redact_message(&error.message),
        cause: None,
    }
}

impl ConnectError {
    fn redacted(self, redactor: &Redactor) -> Self {
        match self {
            Self::Source(error) => Self::Source(redacted(error, redactor)),
            Self::Unresolved(mut unresolved) => {
                for reason in &mut unresolved.0 {
                    if let UnresolvedReason::Unusable { why, .. } = reason {
                        *why = redactor.redact_message(why);
                    }
                }
                Self::Unresolved(unresolved)
            }
            Self::Organization(error) => Self::Organization(error),
        }
    }
}

/// Makes the clients of both sides. Sends nothing yet.
///
/// # Errors
/// [`ConnectError`], with what to do about it.
pub fn connect(
    spec: &ValidatedSpec,
    data: &ReferencedData,
    observers: Observers,
    environment: &SourceEnvironment,
) -> Result<Connections, ConnectError> {
    let redactor = Arc::new(data.redactor(&spec.names()));
    connect_both(spec, data, observers, environment, &redactor)
        .map_err(|error| error.redacted(&redactor))
}

/// Makes the client of the organization alone. What the directory needs may be missing.
///
/// # Errors
/// [`ConnectError`], with what to do about it.
pub fn connect_organization(
    spec: &ValidatedSpec,
    data: &ReferencedData,
    observer: Arc<dyn Observer>,
) -> Result<OrganizationClient, ConnectError> {
    let redactor = Arc::new(data.redactor(&spec.names()));
    let settings = spec.organization.settings(data);
    let settings = settings.map_err(|error| ConnectError::from(error).redacted(&redactor));
    let mut settings = settings?;
    settings.observer = observer;
    settings.secrets = redactor;
    Ok(OrganizationClient::new(settings)?)
}

fn connect_both(
    spec: &ValidatedSpec,
    data: &ReferencedData,
    observers: Observers,
    environment: &SourceEnvironment,
    redactor: &Arc<Redactor>,
) -> Result<Connections, ConnectError> {
    let organization = spec.organization.settings(data);
    // What is missing of both sides is reported together.
    let source = match spec.source.connect(data, observers.directory, environment) {
        Err(source::ConnectError::References(unresolved)) => Err(unresolved),
        Err(source::ConnectError::Source(error)) => Ok(Err(error)),
        Ok(source) => Ok(Ok(source)),
    };
    let (mut organization, source) = both(organization, source)?;
    organization.observer = observers.organization;
    organization.secrets = redactor.clone();
    Ok(Connections {
        source: Box::new(RedactedSource {
            source: source?,
            redactor: redactor.clone(),
        }),
        organization: OrganizationClient::new(organization)?,
    })
}
