//! Watches directories between runs: a hint that something changed makes a run come early.
//!
//! - A hint is never evidence. The run that it wakes reads both sides completely, like any other.
//! - Runs that come early cost at most a tenth of the time, after a burst, however noisy a directory is
//!   ([`EarlyRuns`]). Then they take their place in the queue of all runs.
//! - After a failed run hints wait for the next that succeeds: a watch never shortens a wait after a
//!   failure, because servers lock accounts after too many wrong passwords.
//! - Each watch is one connection, made as those for reads are, by the leader alone. There are only so many
//!   in a namespace and in the process ([`WatchSlots`]).
//! - A lost watch is begun again, with growing waits. Meanwhile the schedule goes on as without it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::Instrument as _;

use super::context::Context;
use super::decision::Fingerprint;
use super::state::Prepared;
use super::watch::WatchedObject;
use crate::api::DirectorySyncStatus;
use crate::api::conditions::set_signals_lost;
use crate::api::status::{SignalsStatus, WatchMethod as Method};
use crate::directory::ExternalId;
use crate::fault::FaultKind;
use crate::source::{Hint, Source, WatchEnd, WatchMethod, WatchObserver};
use crate::telemetry::Object;
use crate::text::sanitize;

/// From the first hint to the run that it wakes: one change in a directory is often several entries.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// From the end of a run to the next that comes early.
const PAUSE: Duration = Duration::from_secs(2);
/// How long after a revocation by the fast lane a run looks at both sides. What a watch compares entries with is
/// as of the last run: an account that is enabled again by then looks unchanged to it.
const CONFIRM: Duration = Duration::from_secs(15);
/// So many people who seem to have left are looked at together. More than that since a whole run began are looked at in
/// lots, and make a run come early as well.
pub const MOST_SUSPECTS: usize = 20;
/// More than so many who wait are a matter for a run alone.
const MOST_WAITING: usize = 500;
/// So many are known by their ids while an undo is made, to give nothing back to them.
const MOST_TOLD: usize = 10_000;
/// After so long one more may seem to have left. In a directory in which much changes it can be minutes until the
/// next run.
const ONE_MORE: Duration = Duration::from_secs(2);
/// From the first who seems to have left until the fast lane looks at all of them.
const GATHERING: Duration = Duration::from_millis(500);
/// The waits between two tries to watch: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10 * 60));
/// A watch that held for so long was a good one: the waits begin anew.
const HELD: Duration = Duration::from_secs(2 * 60);
/// When a directory is asked again whether it tells of changes.
const UNSUPPORTED: Duration = Duration::from_secs(60 * 60);
/// A watch that was lost may have noticed nothing for so long before.
const BLIND: Duration = Duration::from_secs(3 * 60);

/// How much may be spent on runs that come early.
///
/// What they take is paid back at a tenth of the time that passes; while more than [`EarlyRuns::BURST`] is
/// owed, none begins. So a directory in which something changes all the time is read for at most a tenth of
/// the time, and a single change in a quiet one never waits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EarlyRuns {
    owed: Duration,
    /// When that was so.
    at: Option<Timestamp>,
}

impl EarlyRuns {
    const SHARE: f64 = 0.1;
    const BURST: Duration = Duration::from_secs(30);
    /// The same while many people wait for a run who seem to have left.
    const BURST_FOR_LEAVERS: Duration = Duration::from_secs(2 * 60);
    /// A run costs as much at least: it is two requests to the organization's server.
    const LEAST: Duration = Duration::from_secs(2);

    /// A run came early and took so long.
    pub fn spend(&mut self, took: Duration, now: Timestamp) {
        self.owed = self.owed_at(now) + took.max(Self::LEAST);
        self.at = Some(now);
    }

    /// When the next may begin, where so much may be owed.
    fn next(&self, burst: Duration, now: Timestamp) -> Timestamp {
        let over = self.owed_at(now).saturating_sub(burst);
        let wait = over.div_f64(Self::SHARE);
        Timestamp::saturating_add(now, wait).unwrap_or(Timestamp::MAX)
    }

    fn owed_at(&self, now: Timestamp) -> Duration {
        let Some(at) = self.at else {
            return Duration::ZERO;
        };
        // A clock that was set back pays nothing back.
        let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        self.owed.saturating_sub(passed.mul_f64(Self::SHARE))
    }
}

/// The connections of watches.
#[derive(Debug, Clone)]
pub struct WatchSlots {
    taken: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    most: usize,
}

/// One of them. Dropping it gives it back.
#[derive(Debug)]
struct WatchSlot {
    slots: WatchSlots,
    namespace: Arc<str>,
}

impl WatchSlots {
    /// The most in one namespace.
    const PER_NAMESPACE: usize = 100;
    /// The most in all of them, however many files the process may open.
    const MOST: usize = 500;
    /// What a watch takes: a connection, and two sockets between it and the LDAP library.
    const FILES: usize = 3;

    /// For a process that may have `files` files open: watches take up to half of them.
    pub fn new(files: usize) -> Self {
        Self {
            taken: Arc::default(),
            most: Self::MOST.min(files / 2 / Self::FILES),
        }
    }

    /// For this process.
    pub fn of_process() -> Self {
        Self::new(open_files_limit().unwrap_or(1_024))
    }

    fn take(&self, namespace: &Arc<str>) -> Option<WatchSlot> {
        let mut taken = self.lock();
        let all: usize = taken.values().sum();
        let here = taken.entry(Arc::clone(namespace)).or_default();
        if all >= self.most || *here >= Self::PER_NAMESPACE {
            return None;
        }
        *here += 1;
        Some(WatchSlot {
            slots: self.clone(),
            namespace: Arc::clone(namespace),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if let Some(here) = taken.get_mut(&self.namespace) {
            *here -= 1;
            if *here == 0 {
                taken.remove(&self.namespace);
            }
        }
    }
}

/// The soft limit of open files (proc_pid_limits(5)).
fn open_files_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

/// What a watch is for: another spec or other Secrets need another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchKey {
    /// The generation of the spec.
    pub generation: i64,
    /// What the Secrets and ConfigMaps hold.
    pub fingerprint: Fingerprint,
}

impl WatchKey {
    /// Of a spec with its Secrets.
    pub fn of(prepared: &Prepared) -> Self {
        Self {
            generation: prepared.generation,
            fingerprint: prepared.fingerprint,
        }
    }
}

/// The watch of one object's directory. It ends when this is dropped.
pub struct DirectoryWatch {
    key: WatchKey,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

/// That a run should come early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed {
    /// When the first of the hints came.
    pub at: Timestamp,
    /// When the first of the changes was made, by the directory's clock, where that is known.
    pub changed: Option<Timestamp>,
}

/// Who seems to have left.
#[derive(Debug, Clone)]
pub struct Suspects {
    /// What a whole run is told of it, if that has to look.
    pub noticed: Noticed,
    /// Their ids in the directory, without a prefix.
    pub people: Vec<ExternalId>,
    /// Who else seems to have left, and is looked at after them.
    pub waiting: Vec<ExternalId>,
}

/// Of whom the directory has told that they seem to have left, since that was taken last.
#[derive(Debug, Default)]
pub struct Told {
    /// Their ids in the directory, without a prefix.
    pub people: HashSet<ExternalId>,
    /// There were more of them.
    pub and_more: bool,
}

/// Tells whether somebody seems to have left, also while a run has the watch's object.
#[derive(Clone)]
pub struct SuspectSignal(Arc<Shared>);

struct Shared {
    object: Object,
    /// Somebody seems to have left.
    suspected: Notify,
    wake: UnboundedSender<ObjectRef<WatchedObject>>,
    state: Mutex<WatchState>,
}

#[derive(Debug, Default)]
struct WatchState {
    /// What a whole run has to look at.
    noticed: Option<Noticed>,
    /// Who seems to have left, and when that was noticed first.
    suspects: Option<Queue>,
    crowd: Crowd,
    /// All who seem to leave until the next run begins are a matter for it alone.
    left_to_run: bool,
    told: Told,
    /// From when on an early run is to begin that waits for a vendor's limit: not later than that was said once.
    promised: Option<Timestamp>,
    /// What the fast lane has settled, and a run has to confirm.
    settled: Option<Noticed>,
    stands: Stands,
}

/// How many have seemed to leave since a whole run began last, less one for each [`ONE_MORE`].
#[derive(Debug, Default)]
struct Crowd {
    people: f64,
    /// When that was so.
    at: Option<Timestamp>,
    /// There were many at a time: a run comes early as well.
    is_flood: bool,
}

/// Who seems to have left, in the order in which that was noticed.
#[derive(Debug)]
struct Queue {
    noticed: Noticed,
    people: Vec<ExternalId>,
    /// Some of them have been looked at: the others had the time to come who seem to leave at once.
    is_rest: bool,
    /// The fast lane may look at so many again.
    not_before: Option<Timestamp>,
}

impl Queue {
    /// Those who are looked at next; no queue is left where that is all of them.
    fn take_lot(queue: &mut Option<Self>) -> Option<Suspects> {
        let all = queue.as_mut()?;
        let waiting = all.people.split_off(MOST_SUSPECTS.min(all.people.len()));
        let suspects = Suspects {
            noticed: all.noticed,
            people: std::mem::replace(&mut all.people, waiting.clone()),
            waiting,
        };
        all.is_rest = true;
        queue.take_if(|all| all.people.is_empty());
        Some(suspects)
    }
}

impl Crowd {
    fn of(people: usize) -> Self {
        Self {
            people: people as f64,
            ..Self::default()
        }
    }

    fn add_one(&mut self, now: Timestamp) {
        let at = self.at.replace(now).unwrap_or(now);
        // A clock that was set back lets nobody pass.
        let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        let gone = passed.div_duration_f64(ONE_MORE);
        self.people = (self.people - gone).max(0.0) + 1.0;
        self.is_flood |= self.people > MOST_SUSPECTS as f64;
    }
}

/// Where a watch stands.
#[derive(Debug, Default)]
enum Stands {
    /// It is about to begin.
    #[default]
    Beginning,
    Watching(Timestamp, WatchMethod),
    Lost {
        since: Timestamp,
        why: String,
    },
    /// The directory has no signals.
    Unsupported,
}

impl DirectoryWatch {
    /// Begins to watch `source`, whose last read began at `since`. `None` while there are too many.
    pub fn begin(
        context: &Context,
        object: &Object,
        key: WatchKey,
        source: Arc<dyn Source>,
        since: Timestamp,
    ) -> Option<Self> {
        let Some(slot) = context.watch_slots.take(&object.namespace) else {
            tracing::debug!("the directory isn't watched: there are too many watches already");
            return None;
        };
        let shared = Arc::new(Shared {
            object: object.clone(),
            suspected: Notify::new(),
            wake: context.wake.clone(),
            state: Mutex::default(),
        });
        let watching = Supervisor {
            source,
            shared: Arc::clone(&shared),
            refused: context.timing.refused,
        };
        let work = context.work.clone();
        let mut task = JoinSet::new();
        task.spawn(
            async move {
                let _slot = slot;
                work.run_until_cancelled(watching.execute(since)).await;
            }
            .instrument(object.span()),
        );
        Some(Self {
            key,
            shared,
            _task: task,
        })
    }

    /// Whether it is for this spec and these Secrets.
    pub fn is_for(&self, key: WatchKey) -> bool {
        self.key == key
    }

    /// When a run should come early, if it should; `ended` is when the last one did, and `room` from when on a vendor's
    /// limit has room for one, where that isn't now. So many people who seem to have left that a run has to look at
    /// them don't wait for it.
    pub fn due(
        &self,
        ended: Timestamp,
        early: &EarlyRuns,
        room: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let after = |time, wait| Timestamp::saturating_add(time, wait).unwrap_or(Timestamp::MAX);
        let mut state = self.shared.state();
        let noticed = state.noticed.map(|noticed| after(noticed.at, DEBOUNCE));
        let settled = state.settled.map(|settled| after(settled.at, CONFIRM));
        let due = noticed.into_iter().chain(settled).min()?;
        let (burst, room) = match state.crowd.is_flood {
            true => (EarlyRuns::BURST_FOR_LEAVERS, None),
            false => (EarlyRuns::BURST, room),
        };
        let due = due.max(after(ended, PAUSE)).max(early.next(burst, now));
        // A run that costs more than there ever is room for would be put off from one window to the next.
        let room = room.map(|room| {
            let promised = state.promised.get_or_insert(room);
            *promised = room.min(*promised);
            *promised
        });
        Some(room.map_or(due, |room| due.max(room)))
    }

    /// Until when an early run waits for a vendor's limit, if it does.
    pub fn waits_for_room(&self) -> Option<Timestamp> {
        self.shared.state().promised
    }

    /// From when on the fast lane may look at those who seem to have left, if there are any.
    pub fn suspects_from(&self) -> Option<Timestamp> {
        self.shared.state().suspects_from()
    }

    /// Takes the hints so far: a run that begins now sees what they are about. Whoever seems to have left stays
    /// there for the fast lane, which works beside the run: the run would revoke them only after it has read
    /// and planned everything.
    pub fn take(&self) -> Option<Noticed> {
        let mut state = self.shared.state();
        let suspects = state.suspects.as_ref();
        let suspects = suspects.map(|suspects| (suspects.noticed, suspects.people.len()));
        state.crowd = Crowd::of(suspects.map_or(0, |(_, people)| people));
        state.left_to_run = false;
        state.promised = None;
        state.told = Told::default();
        let settled = state.settled.take();
        state
            .noticed
            .take()
            .into_iter()
            .chain(suspects.map(|(noticed, _)| noticed))
            .chain(settled)
            .min_by_key(|noticed| noticed.at)
    }

    /// Whether the fast lane may look at somebody now who seems to have left.
    pub fn has_suspects(&self) -> bool {
        let from = self.suspects_from();
        from.is_some_and(|from| from <= Timestamp::now())
    }

    /// Whether the directory has told of anybody.
    pub fn has_told(&self) -> bool {
        !self.shared.state().told.people.is_empty()
    }

    /// Forgets of whom the directory has told by now, but for those who wait to be looked at.
    pub fn forget_told(&self) {
        let mut state = self.shared.state();
        state.told = Told::default();
        let waiting = state.suspects.as_ref().map(|queue| queue.people.clone());
        let waiting = waiting.into_iter().flatten();
        waiting.for_each(|person| state.told.add(&person));
    }

    /// Takes of whom the directory has told.
    pub fn take_told(&self) -> Told {
        std::mem::take(&mut self.shared.state().told)
    }

    /// Puts back those whom the fast lane may not look at before that time. A run comes early for them, too.
    pub fn postpone(&self, suspects: Suspects, until: Timestamp) {
        let mut state = self.shared.state();
        let state = &mut *state;
        state.noticed.get_or_insert(suspects.noticed);
        let queue = state.suspects.get_or_insert(Queue {
            noticed: suspects.noticed,
            people: vec![],
            is_rest: true,
            not_before: None,
        });
        queue.is_rest = true;
        queue.not_before = Some(until);
        queue.people.splice(0..0, suspects.people);
    }

    /// Leaves all who seem to have left, and all who follow until the next run begins, to that.
    pub fn leave_to_run(&self, noticed: Noticed) {
        let mut state = self.shared.state();
        state.leave_to_run();
        state.noticed.get_or_insert(noticed);
    }

    /// To wait for those who seem to have left.
    pub fn suspect_signal(&self) -> SuspectSignal {
        SuspectSignal(Arc::clone(&self.shared))
    }

    /// Notes what the fast lane has settled: a run confirms it before long.
    pub fn confirm(&self, settled: Noticed) {
        self.shared.state().settled.get_or_insert(settled);
    }

    /// Puts back what was taken for a run that didn't come to its end.
    pub fn put_back(&self, noticed: Noticed) {
        self.shared.state().noticed.get_or_insert(noticed);
    }

    /// Writes into `status` where the watch stands. One that is about to begin, or was lost less than
    /// `grace` ago, leaves it as it is: a short interruption is nobody's concern.
    pub fn describe(&self, status: &mut DirectorySyncStatus, grace: Duration, now: Timestamp) {
        let (signals, lost) = match &self.shared.state().stands {
            Stands::Beginning => return,
            Stands::Unsupported => (None, None),
            Stands::Watching(since, how) => {
                let signals = SignalsStatus {
                    watching_since: Time(whole_seconds(*since)),
                    method: match how {
                        WatchMethod::Stream => Method::Stream,
                        WatchMethod::Poll(_) => Method::Poll,
                    },
                };
                (Some(signals), None)
            }
            Stands::Lost { since, why } => {
                let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX);
                if now.duration_since(*since) < grace {
                    return;
                }
                (None, Some(why.clone()))
            }
        };
        put(status, signals, lost.as_deref(), now);
    }
}

/// Writes into `status` that nothing is watched.
pub fn describe_unwatched(status: &mut DirectorySyncStatus, now: Timestamp) {
    put(status, None, None, now);
}

fn put(
    status: &mut DirectorySyncStatus,
    signals: Option<SignalsStatus>,
    lost: Option<&str>,
    now: Timestamp,
) {
    status.signals = signals;
    let message = lost.map(|why| {
        format!(
            "changes in the directory are noticed by the scheduled runs alone, because it can't be \
             watched: {why}; retried automatically"
        )
    });
    let generation = status.observed_generation.unwrap_or_default();
    set_signals_lost(&mut status.conditions, message.as_deref(), generation, now);
}

/// As Kubernetes writes times.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl SuspectSignal {
    /// Waits until the fast lane may look at somebody who seems to have left.
    pub async fn wait(&self) {
        loop {
            // Before the look: what comes in between counts.
            let suspected = self.0.suspected.notified();
            let from = self.0.state().suspects_from();
            let left = from.map(|from| from.duration_since(Timestamp::now()));
            match left.map(Duration::try_from) {
                None => suspected.await,
                Some(Ok(left)) if !left.is_zero() => {
                    tokio::select! { () = suspected => {}, () = sleep(left) => {} }
                }
                Some(_) => return,
            }
        }
    }

    /// Waits until the directory tells of somebody.
    pub async fn wait_for_word(&self) {
        loop {
            let suspected = self.0.suspected.notified();
            if !self.0.state().told.people.is_empty() {
                return;
            }
            suspected.await;
        }
    }

    /// Takes those who are to be looked at next, if anybody is, once all had the time to come who seem to leave at once.
    pub async fn gather_now(&self) -> Option<Suspects> {
        self.0.gather_suspects().await
    }

    /// Waits for those who seem to have left, and takes them.
    pub async fn gather(&self) -> Suspects {
        loop {
            self.wait().await;
            if let Some(suspects) = self.0.gather_suspects().await {
                return suspects;
            }
        }
    }
}

struct Supervisor {
    source: Arc<dyn Source>,
    shared: Arc<Shared>,
    /// Between two tries of what needs manual action.
    refused: Duration,
}

impl Supervisor {
    async fn execute(self, mut since: Timestamp) {
        let mut failures = 0;
        loop {
            let end = self.source.watch(since, &*self.shared).await;
            let now = Timestamp::now();
            if let Some(began) = self.shared.began() {
                let blind = now.saturating_sub(SignedDuration::try_from(BLIND).unwrap_or_default());
                since = since.max(blind.unwrap_or(since));
                if now.duration_since(began).unsigned_abs() >= HELD {
                    failures = 0;
                }
            }
            let wait = match end {
                WatchEnd::Unsupported(why) => {
                    tracing::info!(%why, "changes in the directory are noticed by the scheduled runs alone");
                    self.shared.state().stands = Stands::Unsupported;
                    UNSUPPORTED
                }
                WatchEnd::Lost(error) => {
                    failures += 1;
                    tracing::info!(%error, failures, "the directory isn't watched any more; trying again");
                    let needs_action = error.kind == FaultKind::Configuration;
                    self.shared.lost(error.message, now);
                    match needs_action {
                        true => self.refused,
                        false => retry_after(failures),
                    }
                }
            };
            // All watches of a server are lost at once when it restarts.
            sleep(wait.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        }
    }
}

fn retry_after(failures: u32) -> Duration {
    let (first, longest) = RETRY;
    let doublings = failures.saturating_sub(1).min(20);
    first.saturating_mul(1 << doublings).min(longest)
}

impl WatchState {
    /// From when on the fast lane may look at those who seem to have left.
    fn suspects_from(&self) -> Option<Timestamp> {
        let queue = self.suspects.as_ref()?;
        Some(queue.not_before.unwrap_or(Timestamp::MIN))
    }

    fn leave_to_run(&mut self) {
        self.left_to_run = true;
        let left = self.suspects.take();
        self.noticed = self.noticed.or(left.map(|left| left.noticed));
    }

    /// Somebody seems to have left. Whether that asks for anything new.
    fn suspect(&mut self, person: ExternalId, new: Noticed) -> bool {
        let queue = self.suspects.get_or_insert_with(|| Queue {
            noticed: new,
            people: vec![],
            is_rest: false,
            not_before: None,
        });
        if queue.people.contains(&person) {
            return false;
        }
        let is_first = queue.people.is_empty();
        queue.people.push(person);
        let (noticed, waiting) = (queue.noticed, queue.people.len());
        let was_flood = self.crowd.is_flood;
        self.crowd.add_one(new.at);
        if self.crowd.is_flood {
            self.noticed.get_or_insert(noticed);
        }
        if waiting > MOST_WAITING {
            self.leave_to_run();
        }
        is_first || was_flood != self.crowd.is_flood
    }
}

impl Told {
    fn add(&mut self, person: &ExternalId) {
        match self.people.len() < MOST_TOLD {
            true => drop(self.people.insert(person.clone())),
            false => self.and_more |= !self.people.contains(person),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn gather_suspects(&self) -> Option<Suspects> {
        let is_rest = {
            let state = self.state();
            if state.suspects_from()? > Timestamp::now() {
                return None;
            }
            state.suspects.as_ref()?.is_rest
        };
        if !is_rest {
            sleep(GATHERING).await;
        }
        Queue::take_lot(&mut self.state().suspects)
    }

    /// Since when it has been in place; `None` where it isn't.
    fn began(&self) -> Option<Timestamp> {
        match &self.state().stands {
            Stands::Watching(since, _) => Some(*since),
            _ => None,
        }
    }

    fn lost(&self, why: String, now: Timestamp) {
        let mut state = self.state();
        let since = match &state.stands {
            Stands::Lost { since, .. } => *since,
            _ => now,
        };
        state.stands = Stands::Lost { since, why };
    }
}

impl WatchObserver for Shared {
    fn watching(&self, how: WatchMethod) {
        tracing::debug!(?how, "the directory is watched");
        self.state().stands = Stands::Watching(Timestamp::now(), how);
    }

    fn changed(&self, hint: Hint) {
        let leaver = hint.leaver.as_ref();
        let leaver = leaver.map(|leaver| sanitize(leaver.as_str()));
        tracing::debug!(leaver, "the directory tells of a change");
        let mut state = self.state();
        let new = Noticed {
            at: Timestamp::now(),
            changed: hint.changed,
        };
        let is_leaver = hint.leaver.is_some();
        if let Some(person) = &hint.leaver {
            state.told.add(person);
        }
        let is_first = match hint.leaver.filter(|_| !state.left_to_run) {
            Some(person) => state.suspect(person, new),
            None => {
                let is_first = state.noticed.is_none();
                let noticed = state.noticed.get_or_insert(new);
                noticed.changed = noticed.changed.or(hint.changed);
                is_first
            }
        };
        drop(state);
        if is_leaver {
            self.suspected.notify_waiters();
        }
        if is_first {
            let Object {
                namespace, name, ..
            } = &self.object;
            // Nobody listens any more only when everything ends.
            self.wake
                .unbounded_send(ObjectRef::new(name).within(namespace))
                .ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-05-04T12:00:00Z".parse().unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_directory_in_which_something_changes_all_the_time_is_read_a_tenth_of_the_time() {
        for took in [SECOND / 10, SECOND * 2, SECOND * 8, SECOND * 300] {
            let mut early = EarlyRuns::default();
            let (mut now, mut busy) = (noon(), Duration::ZERO);
            let day = noon() + SECOND * 86_400;
            assert_eq!(
                early.next(EarlyRuns::BURST, now),
                now,
                "the first waits for nothing"
            );
            while now < day {
                now = early.next(EarlyRuns::BURST, now) + took;
                busy += took;
                early.spend(took, now);
            }
            let share = busy.as_secs_f64() / 86_400.0;
            assert!(share < 0.11, "{took:?}: {share}");
            assert!(took < SECOND || share > 0.08, "{took:?}: {share}");
        }
    }

    #[test]
    fn a_few_changes_after_a_quiet_time_do_not_wait() {
        let mut early = EarlyRuns::default();
        for run in 0..15 {
            assert_eq!(early.next(EarlyRuns::BURST, noon()), noon(), "run {run}");
            early.spend(SECOND, noon());
        }
        early.spend(SECOND, noon());
        assert_eq!(early.next(EarlyRuns::BURST, noon()), noon() + SECOND * 20);
        let for_leavers = early.next(EarlyRuns::BURST_FOR_LEAVERS, noon());
        assert_eq!(for_leavers, noon(), "many leavers don't wait for that");
        let earlier = noon() - SECOND * 60;
        assert_eq!(
            early.next(EarlyRuns::BURST, earlier),
            earlier + SECOND * 20,
            "a clock set back"
        );
    }

    /// A watch without a directory, and how often it has asked for a reconcile.
    fn watch() -> (DirectoryWatch, impl FnMut() -> usize) {
        let (wake, mut woken) = futures::channel::mpsc::unbounded();
        let shared = Arc::new(Shared {
            object: Object::new("identity", "staff"),
            wake,
            state: Mutex::default(),
            suspected: Notify::new(),
        });
        let key = WatchKey {
            generation: 1,
            fingerprint: [0; 32],
        };
        let watch = DirectoryWatch {
            key,
            shared,
            _task: JoinSet::new(),
        };
        let woken = move || std::iter::from_fn(|| woken.try_recv().ok()).count();
        (watch, woken)
    }

    fn leaver(number: usize) -> Hint {
        Hint {
            changed: None,
            leaver: ExternalId::parse(&format!("p{number}")).ok(),
        }
    }

    #[tokio::test]
    async fn whoever_seems_to_leave_is_told_apart_from_what_a_run_has_to_look_at() {
        let (watch, mut woken) = watch();
        // Doubled, and in any order.
        for hint in [leaver(1), leaver(2), leaver(1), Hint::default(), leaver(2)] {
            watch.shared.changed(hint);
        }
        assert_eq!(woken(), 2, "once for the leavers, once for the rest");
        let suspects = watch.shared.gather_suspects().await.unwrap();
        assert_eq!(suspects.people.len(), 2);
        assert!(watch.shared.gather_suspects().await.is_none());
        let rest = watch.take().unwrap();
        assert!(rest.at >= suspects.noticed.at);
        assert!(watch.take().is_none());
        // What wasn't settled is put back, and a run has to look at it.
        watch.put_back(suspects.noticed);
        assert_eq!(watch.take(), Some(suspects.noticed));
        // A run that begins now looks at the leavers as well, and keeps nobody waiting for it.
        watch.shared.changed(leaver(3));
        assert!(watch.take().is_some());
        assert_eq!(
            watch.shared.gather_suspects().await.unwrap().people.len(),
            1
        );
        assert!(watch.take().is_none());
    }

    fn numbers(suspects: &[ExternalId]) -> Vec<usize> {
        let number = |id: &ExternalId| id.as_str()[1..].parse().unwrap();
        suspects.iter().map(number).collect()
    }

    #[tokio::test]
    async fn many_who_seem_to_leave_are_looked_at_in_lots_and_a_run_comes_early_as_well() {
        let (watch, mut woken) = watch();
        // In small steps, too: a part of them is taken before the others come.
        (0..7).for_each(|number| watch.shared.changed(leaver(number)));
        let lot = watch.shared.gather_suspects().await.unwrap();
        assert_eq!(numbers(&lot.people), (0..7).collect::<Vec<_>>());
        assert!(lot.waiting.is_empty());
        assert!(watch.take().is_none(), "so few are no matter for a run");
        (0..MOST_SUSPECTS).for_each(|number| watch.shared.changed(leaver(number)));
        assert_eq!(woken(), 2);
        watch.shared.changed(leaver(98));
        watch.shared.changed(leaver(99));
        assert_eq!(woken(), 1, "once for all of them");
        let early = EarlyRuns::default();
        assert!(watch.due(noon(), &early, None, noon()).is_some());
        let mut people = vec![];
        let mut waiting = MOST_SUSPECTS + 2;
        let began = std::time::Instant::now();
        while let Some(lot) = watch.shared.gather_suspects().await {
            assert!((1..=MOST_SUSPECTS).contains(&lot.people.len()));
            waiting -= lot.people.len();
            assert_eq!(lot.waiting.len(), waiting);
            people.extend(numbers(&lot.people));
        }
        assert!(began.elapsed() < GATHERING * 2, "one after another");
        assert_eq!(
            people,
            (0..MOST_SUSPECTS).chain([98, 99]).collect::<Vec<_>>()
        );
        assert!(watch.take().is_some());
        // A run has seen them.
        watch.shared.changed(leaver(100));
        assert_eq!(
            watch.shared.gather_suspects().await.unwrap().people.len(),
            1
        );
        assert!(watch.take().is_none());
    }

    #[tokio::test]
    async fn who_is_left_to_a_run_takes_all_others_with_them_until_it_begins() {
        let (watch, _) = watch();
        (0..30).for_each(|number| watch.shared.changed(leaver(number)));
        let lot = watch.shared.gather_suspects().await.unwrap();
        watch.leave_to_run(lot.noticed);
        assert!(
            watch.shared.gather_suspects().await.is_none(),
            "none of them"
        );
        watch.shared.changed(leaver(99));
        assert!(
            watch.shared.gather_suspects().await.is_none(),
            "nor who follows"
        );
        assert!(watch.take().is_some());
        watch.shared.changed(leaver(100));
        assert_eq!(
            watch.shared.gather_suspects().await.unwrap().people.len(),
            1
        );
        // More than can wait.
        (0..=MOST_WAITING).for_each(|number| watch.shared.changed(leaver(number)));
        assert!(watch.shared.gather_suspects().await.is_none());
        assert!(watch.take().is_some());
    }

    #[tokio::test]
    async fn whoever_may_not_be_looked_at_yet_comes_first_once_that_is_possible() {
        let (watch, _) = watch();
        (0..3).for_each(|number| watch.shared.changed(leaver(number)));
        let lot = watch.shared.gather_suspects().await.unwrap();
        watch.shared.changed(leaver(3));
        let soon = Timestamp::now() + SECOND / 5;
        watch.postpone(lot, soon);
        assert!(!watch.has_suspects() && watch.suspects_from() == Some(soon));
        assert!(watch.shared.gather_suspects().await.is_none());
        watch.suspect_signal().wait().await;
        assert!(watch.has_suspects() && Timestamp::now() >= soon);
        let lot = watch.shared.gather_suspects().await.unwrap();
        assert_eq!(numbers(&lot.people), [0, 1, 2, 3]);
        assert!(watch.take().is_some(), "a run looks at them as well");
    }

    #[tokio::test]
    async fn an_undo_is_told_of_everybody_whoever_looks_at_them() {
        let (watch, _) = watch();
        let told = || {
            let told = watch.take_told();
            let mut people: Vec<ExternalId> = told.people.into_iter().collect();
            people.sort();
            (numbers(&people), told.and_more)
        };
        (0..3).for_each(|number| watch.shared.changed(leaver(number)));
        watch.shared.gather_suspects().await.unwrap();
        watch.shared.changed(leaver(7));
        watch.forget_told();
        assert_eq!(
            told(),
            (vec![7], false),
            "who waits is looked at after the word"
        );
        let signal = watch.suspect_signal();
        let (_, ()) = tokio::join!(signal.wait_for_word(), async {
            sleep(SECOND / 20).await;
            watch.shared.changed(leaver(8));
        });
        assert!(watch.has_told());
        watch.leave_to_run(Noticed {
            at: noon(),
            changed: None,
        });
        watch.shared.changed(leaver(9));
        assert_eq!(told(), (vec![8, 9], false));
        (0..=MOST_TOLD).for_each(|number| watch.shared.changed(leaver(number)));
        watch.shared.changed(leaver(1));
        let (people, and_more) = told();
        assert!(people.len() == MOST_TOLD && and_more);
        (0..3).for_each(|number| watch.shared.changed(leaver(number)));
        watch.take();
        assert!(!watch.has_told(), "a run has seen them");
    }

    #[test]
    fn a_run_that_has_no_room_in_any_window_comes_at_the_time_that_was_said_first() {
        let (watch, _) = watch();
        let early = EarlyRuns::default();
        let due = |room| watch.due(noon(), &early, room, noon());
        assert_eq!(due(Some(noon() + SECOND * 60)), None, "nothing has changed");
        assert_eq!(watch.waits_for_room(), None);
        watch.shared.state().noticed = Some(Noticed {
            at: noon(),
            changed: None,
        });
        let first = noon() + SECOND * 3_600;
        assert_eq!(due(Some(first)), Some(first));
        assert_eq!(watch.waits_for_room(), Some(first));
        for later in [3_601, 7_200] {
            assert_eq!(due(Some(noon() + SECOND * later)), Some(first), "{later}");
        }
        let sooner = first - SECOND * 60;
        assert_eq!(due(Some(sooner)), Some(sooner));
        assert_eq!(due(None), Some(noon() + PAUSE), "there is room");
        // That run has begun: for the next one it is said anew.
        assert!(watch.take().is_some());
        watch.shared.state().noticed = Some(Noticed {
            at: noon(),
            changed: None,
        });
        let next = first + SECOND * 3_600;
        assert_eq!(due(Some(next)), Some(next));
        // Many leavers don't wait for it.
        watch.shared.state().crowd.is_flood = true;
        assert_eq!(due(Some(next)), Some(noon() + PAUSE));
    }

    #[test]
    fn so_many_may_leave_at_once_and_a_few_more_with_time() {
        let mut crowd = Crowd::default();
        let now = (0..500).fold(noon(), |now, _| {
            crowd.add_one(now);
            now + ONE_MORE
        });
        assert!(!crowd.is_flood, "one after another");
        (0..20).for_each(|_| crowd.add_one(now));
        assert!(!crowd.is_flood);
        crowd.add_one(now - SECOND * 3600);
        assert!(crowd.is_flood, "a clock that was set back lets nobody pass");
        crowd.add_one(now + SECOND * 3600);
        assert!(crowd.is_flood, "until the next run begins");
        let mut crowd = Crowd::of(20);
        crowd.add_one(now);
        assert!(crowd.is_flood, "those that a run leaves there count");
    }

    #[test]
    fn watches_are_bounded_in_a_namespace_and_in_the_process() {
        let slots = WatchSlots::new(120 * 2 * WatchSlots::FILES);
        let [one, other] = ["one", "other"].map(Arc::from);
        let mut taken: Vec<_> = (0..WatchSlots::PER_NAMESPACE)
            .map(|_| slots.take(&one).expect("there is room"))
            .collect();
        assert!(slots.take(&one).is_none(), "one namespace has its share");
        let others: Vec<_> = (0..20).filter_map(|_| slots.take(&other)).collect();
        assert_eq!(others.len(), 20);
        assert!(slots.take(&other).is_none(), "the process has its share");
        taken.pop();
        assert!(
            slots.take(&other).is_some(),
            "what was given back is there again"
        );
        drop((taken, others));
        assert!(slots.lock().is_empty());
        assert!(open_files_limit().is_some());
    }
}
