//! The operator from its start to its end.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{PredicateConfig, WatchStreamExt, reflector};
use kube::{Client, Resource, ResourceExt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::claim_lease::ClaimLeases;
use super::claims::Claims;
use super::cloud_events::CloudEvents;
use super::context::{Context, InitialSyncBarrier};
use super::events::Events;
use super::leader_election::{self, LeaseSettings};
use super::memory_guard::{self, MemoryGuard};
use super::object_size::ObjectSizes;
use super::objects::Objects;
use super::reconcile::reconcile;
use super::requests;
use super::run_queue::RunQueue;
use super::signals::WatchSlots;
use super::timeout::with_timeout;
use super::timing::Timing;
use super::watch::{WatchResult, WatchedObject, apis, watch};
use super::{LeaderElection, OperatorSettings};
use crate::http::ClientError;
use crate::telemetry::{self, ServeError};

/// Between two tries to reach the API server at the start.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// A loop that doesn't turn for this long hangs.
const HUNG_AFTER: Duration = Duration::from_secs(60);

/// Why the operator ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Health and metrics can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The way to the receiver of records can't be set up.
    #[error("records can't be sent to --audit-url: {0}")]
    Audit(#[source] ClientError),
    /// Another process may be leading now. Runs have been stopped; started again, this process
    /// stands by.
    #[error("the lease was lost, so another process may be leading; start again to stand by")]
    LeaseLost,
}

/// Runs until `stop`, then stops runs at their next safe point, gives back the lease and returns.
/// `lease_client` should have connections of its own: the Lease is lost if it waits behind the
/// requests for all objects.
///
/// # Errors
/// [`OperatorError`]. An API server that can't be reached is none: it is waited for.
pub async fn run(
    client: Client,
    lease_client: Client,
    settings: OperatorSettings,
    timing: Timing,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let served = CancellationToken::new();
    let _served_until_the_end = served.clone().drop_guard();
    if let Some(address) = settings.listen {
        let (health, metrics) = (settings.health.clone(), settings.metrics.clone());
        telemetry::serve(address, health, metrics, served.cancelled_owned()).await?;
    }
    let sending = send_records(&settings)?;
    let events = sending.as_ref().map(|sending| sending.events.clone());
    let led = lead_when_chosen(client, lease_client, &settings, timing, events, stop).await;
    if let Some(Sending { task, end, .. }) = sending {
        end.cancel();
        // It ends by itself a few seconds later.
        task.await.ok();
    }
    led
}

/// Begins to send records of changes, where a receiver is named. What is left is sent when everything
/// else has ended.
fn send_records(settings: &OperatorSettings) -> Result<Option<Sending>, OperatorError> {
    let Some(audit) = &settings.audit else {
        return Ok(None);
    };
    let end = CancellationToken::new();
    let started = CloudEvents::start(audit.clone(), settings.metrics.clone(), end.clone());
    let (events, sending) = started.map_err(OperatorError::Audit)?;
    Ok(Some(Sending {
        events,
        task: tokio::spawn(sending),
        end,
    }))
}

/// Records on their way to a receiver.
struct Sending {
    events: CloudEvents,
    task: JoinHandle<()>,
    end: CancellationToken,
}

async fn lead_when_chosen(
    client: Client,
    lease_client: Client,
    settings: &OperatorSettings,
    timing: Timing,
    cloud_events: Option<CloudEvents>,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let reached = stop.run_until_cancelled(reach(&client, settings));
    if reached.await.is_none() {
        return Ok(());
    }
    settings.health.set_ready(true);

    let identity = identity();
    let Some(election) = &settings.leader_election else {
        settings.metrics.set_leader(true);
        lead(client, settings, timing, identity, cloud_events, stop).await;
        return Ok(());
    };
    let lease = lease_settings(&client, election, &identity, &timing);
    let Some(leadership) = leader_election::acquire(lease_client, lease, &stop).await else {
        return Ok(());
    };
    settings.metrics.set_leader(true);
    // Renewed as long as work goes on, also while it comes to its end.
    let work = stop.child_token();
    let leading = lead(
        client,
        settings,
        timing,
        identity,
        cloud_events,
        work.clone(),
    );
    let lost = leadership.lost().clone();
    let watching = async {
        lost.cancelled().await;
        work.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = leading => {}
        () = watching => {}
    }
    settings.metrics.set_leader(false);
    let was_lost = lost.is_cancelled();
    leadership.release().await;
    if was_lost {
        return Err(OperatorError::LeaseLost);
    }
    Ok(())
}

/// Waits until the API server lets us see the resources.
async fn reach(client: &Client, settings: &OperatorSettings) {
    let one = ListParams::default().limit(1);
    for api in apis(client, &settings.namespaces) {
        while let Err(error) = with_timeout(api.list(&one)).await {
            tracing::error!(
                %error,
                "can't see DirectorySync resources: is the CRD installed, and may this account list \
                 them? Trying again"
            );
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }
}

/// This process among its like, also after a restart under the same pod name.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "directory-sync".into());
    format!("{host}-{:08x}", fastrand::u32(..))
}

fn lease_settings(
    client: &Client,
    election: &LeaderElection,
    identity: &str,
    timing: &Timing,
) -> LeaseSettings {
    LeaseSettings {
        namespace: lease_namespace(client, election),
        name: election.lease_name.clone(),
        identity: identity.to_owned(),
        duration: timing.lease,
        renew_deadline: timing.lease.mul_f64(2.0 / 3.0),
        retry: timing.lease.mul_f64(2.0 / 15.0),
    }
}

fn lease_namespace(client: &Client, election: &LeaderElection) -> String {
    let namespace = election.lease_namespace.as_deref();
    namespace
        .unwrap_or_else(|| client.default_namespace())
        .to_owned()
}

/// Does the work until `work` is cancelled and everything under way came to its end.
async fn lead(
    client: Client,
    settings: &OperatorSettings,
    timing: Timing,
    identity: String,
    cloud_events: Option<CloudEvents>,
    work: CancellationToken,
) {
    let (wake, woken) = mpsc::unbounded();
    let shutdown = timing.shutdown;
    let context = Arc::new(Context {
        client: client.clone(),
        metrics: settings.metrics.clone(),
        resources: settings.resources.clone(),
        timing,
        backoff: Backoff {
            min: settings.min_backoff,
            max: settings.max_backoff,
        },
        run_queue: RunQueue::new(settings.concurrency.get()),
        memory: MemoryGuard::new(settings.memory_limit),
        claims: Claims::default(),
        claim_leases: settings.leader_election.as_ref().map(|election| {
            let namespace = lease_namespace(&client, election);
            ClaimLeases::new(client.clone(), namespace)
        }),
        objects: Objects::new(settings.metrics.clone()),
        events: Events::new(client.clone(), identity),
        initial_sync: InitialSyncBarrier::new(),
        watch_slots: WatchSlots::of_process(),
        cloud_events,
        work: work.clone(),
        wake,
    });
    let events = watch(
        &client,
        &settings.namespaces,
        settings.label_selector.as_deref(),
    );
    let watched = Arc::clone(&context);
    let controller = control(events, woken, context);
    let heartbeat = settings.health.look_after("controller", HUNG_AFTER);
    let too_late = async {
        work.cancelled().await;
        tokio::time::sleep(shutdown).await;
    };
    heartbeat
        .during(async {
            tokio::select! {
                () = controller => {}
                () = watched.memory.watch(memory_guard::used) => {}
                () = too_late => tracing::warn!("not every sync came to a safe end in time"),
            }
        })
        .await;
}

/// Reconciles objects as they change, until work is to end.
async fn control(
    events: BoxStream<'static, WatchResult>,
    woken: mpsc::UnboundedReceiver<ObjectRef<WatchedObject>>,
    context: Arc<Context>,
) {
    let (reader, writer) = reflector::store();
    let watched = Arc::clone(&context);
    let mut sizes = ObjectSizes::default();
    let changes = events
        .map_ok(move |event| sizes.bound(event))
        .reflect(writer)
        .inspect_ok(move |event| notice(&watched, event))
        .applied_objects()
        .predicate_filter(predicate, PredicateConfig::default());
    let stopped = context.work.clone().cancelled_owned();
    Controller::for_stream(changes, reader)
        .reconcile_on(woken)
        .graceful_shutdown_on(stopped)
        .run(reconcile, |_, never, _| match *never {}, context)
        .for_each(|result| {
            report(&result);
            ready(())
        })
        .await;
}

/// What the runs in progress have to know at once.
fn notice(context: &Context, event: &Event<WatchedObject>) {
    match event {
        Event::InitApply(object) => {
            context
                .initial_sync
                .expect(object.uid().unwrap_or_default());
            context.objects.seen(object);
        }
        Event::Apply(object) => context.objects.seen(object),
        Event::Delete(object) => context.forget(&object.uid().unwrap_or_default()),
        Event::InitDone => warn_of_unused_hosts(context),
        Event::Init => {}
    }
}

/// A misspelt namespace leaves the one that was meant without limits. The operator has no right to look
/// which there are.
fn warn_of_unused_hosts(context: &Context) {
    for namespace in context.resources.hosts.namespaces() {
        if !context.objects.are_in(namespace) {
            tracing::warn!(
                namespace,
                "--namespace-hosts limits a namespace in which there is no DirectorySync; check its name: \
                 a namespace that isn't named there may use every allowed host"
            );
        }
    }
}

fn report<T, E: std::error::Error>(result: &Result<T, controller::Error<E, watcher::Error>>) {
    match result {
        Ok(_) => {}
        // Deleted between the change and the look at it.
        Err(controller::Error::ObjectNotFound(_)) => {}
        Err(controller::Error::QueueError(error)) => {
            tracing::warn!(%error, "the watch was interrupted and goes on");
        }
        Err(error) => tracing::error!(%error, "the controller failed"),
    }
}

/// What is worth a look: the spec, and what people ask for by annotation. Not status, which is
/// ours, nor another's annotations.
fn predicate(object: &WatchedObject) -> Option<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    object.meta().uid.hash(&mut hasher);
    object.meta().generation.hash(&mut hasher);
    for (name, value) in object.annotations() {
        if requests::counts(name) {
            (name, value).hash(&mut hasher);
        }
    }
    Some(hasher.finish())
}
