//! Leadership by Lease: of several processes one works, and the others stand by.
//!
//! Every write names the version it was based on, so that of two processes that reach for the
//! Lease at once the API server refuses one. (The crates for this write without that, and two
//! leaders would be possible.) As in Kubernetes' own components, another's Lease counts as expired
//! once it didn't change for its whole duration *as seen here*: clocks needn't agree.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Which Lease to hold, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The namespace of the Lease object.
    pub namespace: String,
    /// The name of the Lease object.
    pub name: String,
    /// This process among all others: the name of its pod.
    pub identity: String,
    /// How long a Lease that isn't renewed keeps others waiting. At least a second.
    pub duration: Duration,
    /// A leader that couldn't renew for this long stops; shorter than `duration`.
    pub renew_deadline: Duration,
    /// How long to wait between two tries to take or renew the Lease.
    pub retry: Duration,
}

/// The Lease, held by this process. Renewed in the background until [`Leadership::release`].
#[derive(Debug)]
pub struct Leadership {
    lost: CancellationToken,
    /// Nobody renews for a leader that isn't there any more, however it ended.
    renewing: DropGuard,
    renewal: tokio::task::JoinHandle<Candidate>,
}

/// Waits until this process holds the Lease, or `stop`: then `None`.
pub async fn acquire(
    client: Client,
    settings: LeaseSettings,
    stop: &CancellationToken,
) -> Option<Leadership> {
    let mut candidate = Candidate::new(client, settings);
    tracing::info!(
        lease = %candidate.settings.name,
        identity = %candidate.settings.identity,
        "waiting to lead"
    );
    stop.run_until_cancelled(candidate.until_leading()).await?;
    tracing::info!(lease = %candidate.settings.name, "leading");
    let (lost, ending) = (CancellationToken::new(), CancellationToken::new());
    let renewal = tokio::spawn(candidate.renew(lost.clone(), ending.clone()));
    Some(Leadership {
        lost,
        renewing: ending.drop_guard(),
        renewal,
    })
}

impl Leadership {
    /// Cancelled when the Lease couldn't be renewed in time or is another's: from then on another
    /// process may be leading.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the Lease back, so that the next process needn't wait for its end. Call it when no
    /// work is under way any more.
    pub async fn release(self) {
        drop(self.renewing);
        match self.renewal.await {
            Ok(candidate) if !self.lost.is_cancelled() => candidate.release().await,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the renewal of the lease ended badly"),
        }
    }
}

#[derive(Debug)]
struct Candidate {
    api: Api<Lease>,
    settings: LeaseSettings,
    seen: Option<Seen>,
}

/// The Lease as last seen, and when it was first seen so.
#[derive(Debug, Clone)]
struct Seen {
    lease: Lease,
    since: Instant,
}

/// What one try came to.
#[derive(Debug, PartialEq, Eq)]
enum Try {
    Held,
    HeldBy(String),
}

impl Candidate {
    fn new(client: Client, settings: LeaseSettings) -> Self {
        Self {
            api: Api::namespaced(client, &settings.namespace),
            settings,
            seen: None,
        }
    }

    async fn until_leading(&mut self) {
        loop {
            match self.try_within(self.settings.renew_deadline).await {
                Ok(Try::Held) => return,
                Ok(Try::HeldBy(holder)) => tracing::debug!(holder, "another process leads"),
                Err(error) => tracing::warn!(%error, "couldn't acquire the lease; retrying"),
            }
            // Jitter, so that candidates do not retry at the same moment.
            sleep(self.settings.retry.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        }
    }

    async fn renew(mut self, lost: CancellationToken, ending: CancellationToken) -> Self {
        let deadline = self.settings.renew_deadline;
        let mut renewed = Instant::now();
        loop {
            if ending
                .run_until_cancelled(sleep(self.settings.retry))
                .await
                .is_none()
            {
                return self;
            }
            // What counts is when the renewal was sent: the others may have seen it then.
            let sent = Instant::now();
            let left = deadline.saturating_sub(renewed.elapsed());
            match self.try_within(left).await {
                Ok(Try::Held) => renewed = sent,
                Ok(Try::HeldBy(holder)) => {
                    tracing::error!(holder, "the lease was taken by another process");
                    lost.cancel();
                    return self;
                }
                Err(error) => tracing::warn!(%error, "couldn't renew the lease; trying again"),
            }
            if renewed.elapsed() >= deadline {
                tracing::error!(?deadline, "the lease couldn't be renewed in time");
                lost.cancel();
                return self;
            }
        }
    }

    /// One try that can't take longer than it is worth: the client itself waits for an API
    /// server in trouble is far longer than a Lease.
    async fn try_within(&mut self, limit: Duration) -> Result<Try, LeaseError> {
        let limit = limit.min(self.settings.renew_deadline / 2);
        timeout(limit, self.attempt())
            .await
            .unwrap_or(Err(LeaseError::TimedOut(limit)))
    }

    async fn attempt(&mut self) -> Result<Try, LeaseError> {
        let Some(found) = self.api.get_opt(&self.settings.name).await? else {
            let lease = self.lease(None);
            return self.outcome_of_write(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let ours = holder == self.settings.identity;
        let since = self.note(&found);
        let duration = Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .unwrap_or_default(),
        );
        if !ours && !holder.is_empty() && since.elapsed() < duration {
            return Ok(Try::HeldBy(holder));
        }
        let mut lease = self.lease(Some(&spec));
        lease.metadata.resource_version = found.metadata.resource_version;
        let written = self
            .api
            .replace(&self.settings.name, &PostParams::default(), &lease)
            .await;
        self.outcome_of_write(written)
    }

    /// Since when the Lease has been as it is.
    fn note(&mut self, found: &Lease) -> Instant {
        match &self.seen {
            Some(seen) if seen.lease.spec == found.spec => seen.since,
            _ => {
                let since = Instant::now();
                self.seen = Some(Seen {
                    lease: found.clone(),
                    since,
                });
                since
            }
        }
    }

    fn outcome_of_write(&self, written: kube::Result<Lease>) -> Result<Try, LeaseError> {
        match written {
            Ok(_) => Ok(Try::Held),
            // Another process was faster; its name is read at the next try.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Try::HeldBy("another process that was faster".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The Lease in our hands, following `before`.
    fn lease(&self, before: Option<&LeaseSpec>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let renewal = before.filter(|before| {
            before.holder_identity.as_deref() == Some(self.settings.identity.as_str())
        });
        let transitions = before.and_then(|before| before.lease_transitions);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.settings.identity.clone()),
                lease_duration_seconds: Some(self.settings.duration.as_secs().max(1) as i32),
                acquire_time: match renewal {
                    Some(renewal) => renewal.acquire_time.clone(),
                    None => Some(now.clone()),
                },
                renew_time: Some(now),
                lease_transitions: match (before, renewal) {
                    (None, _) => Some(0),
                    (Some(_), Some(_)) => transitions,
                    (Some(_), None) => Some(transitions.unwrap_or_default().saturating_add(1)),
                },
                ..LeaseSpec::default()
            }),
        }
    }

    async fn release(&self) {
        let give_back = async {
            let mut lease = self.api.get(&self.settings.name).await?;
            let Some(spec) = lease.spec.as_mut() else {
                return Ok(());
            };
            if spec.holder_identity.as_deref() == Some(self.settings.identity.as_str()) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                let params = PostParams::default();
                self.api
                    .replace(&self.settings.name, &params, &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(self.settings.renew_deadline / 2, give_back).await {
            Ok(Ok(())) => tracing::info!("gave the lease back"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "couldn't give the lease back; it runs out by itself");
            }
            Err(_) => tracing::warn!("couldn't give the lease back in time; it runs out by itself"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the API server refused: {0}")]
    Refused(#[from] kube::Error),
    #[error("the API server didn't answer within {0:?}")]
    TimedOut(Duration),
}
