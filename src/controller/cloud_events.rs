//! Sends records of changes to a receiver, as CloudEvents 1.0 in batches over HTTP.
//!
//! No run waits for the receiver. What it doesn't take waits in a queue of bounded size, and is sent
//! again until it does; what finds no room there is dropped, and counted. Namespaces share the queue:
//! their records are sent in turn, and where there is no room, the namespace with the most waiting loses
//! its latest ones.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::http::{ClientError, ClientSettings};
use crate::sync::audit::{Audit, Receiver};
use crate::sync::history::Record;
use crate::telemetry::{Metrics, Object};
use crate::text::sanitize;

/// The type of every event.
const TYPE: &str = "dev.directorysync.record.v1";
/// The form of a batch (CloudEvents 1.0, HTTP binding, 3.3).
const BATCH: &str = "application/cloudevents-batch+json";
/// So much waits, in bytes.
const QUEUE_MAX: usize = 8 << 20;
/// Events of one request.
const BATCH_EVENTS: usize = 100;
/// What a request takes at most, in bytes, unless one event is larger.
const BATCH_BYTES: usize = 512 * 1024;
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end of the process waits for what is still to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// Where records are sent.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The receiver.
    pub url: Url,
    /// The value of the header `Authorization`, if the receiver wants one.
    pub authorization: Option<SecretString>,
    /// How long the first retry waits; each further one waits twice as long, up to a minute.
    pub retry: Duration,
}

/// The queue in front of the receiver. Cheap to clone.
#[derive(Clone)]
pub struct CloudEvents(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    added: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct Waiting {
    /// In the order in which their records are sent.
    namespaces: VecDeque<OfNamespace>,
    /// What is being sent.
    in_flight: Vec<String>,
    bytes: usize,
}

/// The events of one namespace; never none.
struct OfNamespace {
    name: Box<str>,
    events: VecDeque<String>,
    bytes: usize,
}

impl fmt::Debug for CloudEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudEvents({} waiting)", self.0.lock().len())
    }
}

impl Waiting {
    fn len(&self) -> usize {
        let waiting = self.namespaces.iter().map(|one| one.events.len());
        waiting.sum::<usize>() + self.in_flight.len()
    }

    /// Puts an event last in its namespace. How many found no room.
    fn push(&mut self, namespace: &str, event: String) -> usize {
        let mut dropped = 0;
        while self.bytes + event.len() > QUEUE_MAX {
            let own = self.namespaces.iter().find(|one| *one.name == *namespace);
            let own = own.map_or(0, |own| own.bytes) + event.len();
            let largest = (0..self.namespaces.len()).max_by_key(|at| self.namespaces[*at].bytes);
            match largest {
                Some(at) if self.namespaces[at].bytes > own => {
                    self.take_from(at, VecDeque::pop_back)
                }
                _ => return dropped + 1,
            };
            dropped += 1;
        }
        self.bytes += event.len();
        let known = self
            .namespaces
            .iter_mut()
            .find(|one| *one.name == *namespace);
        match known {
            Some(known) => {
                known.bytes += event.len();
                known.events.push_back(event);
            }
            None => self.namespaces.push_back(OfNamespace {
                name: namespace.into(),
                bytes: event.len(),
                events: [event].into(),
            }),
        }
        dropped
    }

    /// Takes an event out of the namespace at this place, which comes last then.
    fn take_from(
        &mut self,
        at: usize,
        take: fn(&mut VecDeque<String>) -> Option<String>,
    ) -> Option<String> {
        let mut namespace = self.namespaces.remove(at)?;
        let event = take(&mut namespace.events)?;
        namespace.bytes -= event.len();
        self.bytes -= event.len();
        if !namespace.events.is_empty() {
            self.namespaces.push_back(namespace);
        }
        Some(event)
    }

    /// What is sent next: of each namespace one in turn.
    fn next_batch(&mut self) {
        let mut bytes = 0;
        while self.in_flight.len() < BATCH_EVENTS {
            let next = self.namespaces.front().and_then(|one| one.events.front());
            let Some(length) = next.map(String::len) else {
                return;
            };
            bytes += length;
            if bytes > BATCH_BYTES && !self.in_flight.is_empty() {
                return;
            }
            let event = self.take_from(0, VecDeque::pop_front);
            // It takes room until it is sent.
            self.bytes += length;
            self.in_flight.extend(event);
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, namespace: &str, event: String) {
        let dropped = self.lock().push(namespace, event);
        if dropped > 0 {
            self.metrics.audit_dropped(dropped);
        }
        self.added.notify_one();
    }

    /// What is to be sent next, the same until [`Queue::sent`].
    fn batch(&self) -> Vec<String> {
        let mut waiting = self.lock();
        if waiting.in_flight.is_empty() {
            waiting.next_batch();
        }
        waiting.in_flight.clone()
    }

    fn sent(&self) {
        let mut waiting = self.lock();
        let sent = std::mem::take(&mut waiting.in_flight);
        waiting.bytes -= sent.iter().map(String::len).sum::<usize>();
    }
}

/// The records of one resource on their way to the queue.
struct OfObject {
    queue: Arc<Queue>,
    object: Object,
}

impl Receiver for OfObject {
    fn take(&self, record: &Record, part: usize) {
        let event = event(&self.object, record, part);
        self.queue.push(&self.object.namespace, event);
    }
}

/// One event. Its id is the same whenever the same is told again, so that a receiver can tell.
fn event(object: &Object, record: &Record, part: usize) -> String {
    let (namespace, name) = (&object.namespace, &object.name);
    let (run, number, result) = (&record.run, record.number, record.result.name());
    json!({
        "specversion": "1.0",
        "id": format!("{run}-{number}-{part}-{result}"),
        "source": format!("/namespaces/{namespace}/directorysyncs/{name}"),
        "type": TYPE,
        "subject": sanitize(&record.label()),
        "time": record.time,
        "datacontenttype": "application/json",
        "data": record,
    })
    .to_string()
}

impl CloudEvents {
    /// Sends what is told from now on, until `stop`; then what is left, for a few seconds.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn start(
        settings: AuditSettings,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()>), ClientError> {
        // The restrictions of servers are for those that resources name. This one is the operator's own.
        let client = crate::http::unrestricted_client(&ClientSettings::default())?;
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            added: Notify::new(),
            metrics,
        });
        let sender = Sender {
            queue: Arc::clone(&queue),
            client,
            settings,
        };
        Ok((Self(queue), sender.run(stop)))
    }

    /// The log, and the queue for the records of this resource.
    pub fn of(&self, object: &Object) -> Audit {
        Audit::to(Arc::new(OfObject {
            queue: Arc::clone(&self.0),
            object: object.clone(),
        }))
    }
}

struct Sender {
    queue: Arc<Queue>,
    client: Client,
    settings: AuditSettings,
}

impl Sender {
    async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_sending()).await;
        if timeout(FLUSH, self.send_all()).await.is_err() {
            let left = self.queue.lock().len();
            self.queue.metrics.audit_dropped(left);
            tracing::warn!(left, "the last records couldn't be sent to --audit-url");
        }
    }

    async fn keep_sending(&self) {
        loop {
            self.queue.added.notified().await;
            self.send_all().await;
        }
    }

    /// Until nothing is left.
    async fn send_all(&self) {
        let mut wait = self.settings.retry;
        loop {
            let batch = self.queue.batch();
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            match self.send(&batch).await {
                Ok(()) => {
                    self.queue.sent();
                    self.queue.metrics.audit_sent(count);
                    wait = self.settings.retry;
                }
                Err(NotTaken::Never(why)) => {
                    tracing::error!(
                        records = count,
                        "--audit-url refuses records, which are dropped: {why}"
                    );
                    self.queue.sent();
                    self.queue.metrics.audit_dropped(count);
                }
                Err(NotTaken::Now { why, after }) => {
                    let delay = after.unwrap_or(wait).clamp(wait, Duration::from_secs(300));
                    tracing::warn!(
                        seconds = delay.as_secs_f64(),
                        "--audit-url doesn't take records, they are sent again: {why}"
                    );
                    tokio::time::sleep(delay).await;
                    wait = (wait * 2).min(Duration::from_secs(60));
                }
            }
        }
    }

    async fn send(&self, batch: &[String]) -> Result<(), NotTaken> {
        let mut request = self
            .client
            .post(self.settings.url.clone())
            .header(CONTENT_TYPE, BATCH)
            .timeout(REQUEST_TIMEOUT)
            .body(format!("[{}]", batch.join(",")));
        if let Some(authorization) = &self.settings.authorization {
            request = request.header(AUTHORIZATION, authorization.expose_secret());
        }
        let answer = request.send().await.map_err(|error| NotTaken::Now {
            // Not the address: it may hold a token.
            why: crate::cli::explain(&error.without_url()),
            after: None,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("the answer is {status}");
        // These are about the content: it wouldn't be taken later either.
        let never = [
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ];
        if never.contains(&status) {
            return Err(NotTaken::Never(why));
        }
        let after = answer.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(NotTaken::Now {
            why,
            after: after.map(Duration::from_secs),
        })
    }
}

enum NotTaken {
    /// Sending it again won't help.
    Never(String),
    Now {
        why: String,
        /// The receiver's word on when to try again.
        after: Option<Duration>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(people: usize) -> Record {
        let person = |n| json!({"email": format!("p{n}@example.com")});
        serde_json::from_value(json!({
            "time": "2026-11-29T12:00:00Z", "run": "3f1c9a0b62", "number": 7,
            "trigger": "Scheduled", "action": "UpdateGroup", "reason": "MembersChanged",
            "group": {"name": "Engineering", "externalId": "eng"},
            "added": (0..people).map(person).collect::<Vec<_>>(), "result": "Done",
        }))
        .unwrap()
    }

    fn take(events: &CloudEvents, record: &Record) {
        take_of(events, "identity", record);
    }

    /// As [`Audit::tell`] hands it over.
    fn take_of(events: &CloudEvents, namespace: &str, record: &Record) {
        let of_object = OfObject {
            queue: Arc::clone(&events.0),
            object: Object::new(namespace, "staff"),
        };
        for (at, part) in record.in_parts(100).iter().enumerate() {
            of_object.take(part, at);
        }
    }

    fn queue() -> (CloudEvents, Metrics) {
        let metrics = Metrics::new();
        let queue = Queue {
            waiting: Mutex::default(),
            added: Notify::new(),
            metrics: metrics.clone(),
        };
        (CloudEvents(Arc::new(queue)), metrics)
    }

    #[test]
    fn an_event_has_what_the_specification_requires_and_parts_have_ids_of_their_own() {
        let (events, _) = queue();
        take(&events, &record(150));
        let batch = events.0.batch();
        let batch: Vec<serde_json::Value> = batch
            .iter()
            .map(|event| serde_json::from_str(event).unwrap())
            .collect();
        let ids: Vec<&str> = batch
            .iter()
            .map(|event| event["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["3f1c9a0b62-7-0-Done", "3f1c9a0b62-7-1-Done"]);
        for (attribute, value) in [
            ("specversion", "1.0"),
            ("type", "dev.directorysync.record.v1"),
            ("source", "/namespaces/identity/directorysyncs/staff"),
            ("subject", "Engineering"),
            ("time", "2026-11-29T12:00:00Z"),
        ] {
            assert_eq!(batch[0][attribute], value);
        }
        assert_eq!(batch[1]["data"]["added"].as_array().unwrap().len(), 50);
    }

    #[test]
    fn batches_and_queue_are_bounded_and_what_finds_no_room_is_counted() {
        let (events, metrics) = queue();
        for _ in 0..10_000 {
            take(&events, &record(100));
        }
        let kept = events.0.lock().len();
        assert!(events.0.lock().bytes <= QUEUE_MAX);
        let dropped = format!(
            "directory_sync_audit_records_dropped_total {}",
            10_000 - kept
        );
        assert!(metrics.text().contains(&dropped), "{}", metrics.text());
        let batch = events.0.batch();
        assert!(batch.len() <= BATCH_EVENTS);
        assert!(batch.iter().map(String::len).sum::<usize>() <= BATCH_BYTES);
        assert_eq!(events.0.batch(), batch, "it is sent again");
        events.0.sent();
        assert_eq!(events.0.lock().len(), kept - batch.len());
        while !events.0.batch().is_empty() {
            events.0.sent();
        }
        assert_eq!(events.0.lock().bytes, 0);
    }

    #[test]
    fn a_namespace_that_floods_the_queue_drops_its_own_records_and_delays_no_others() {
        let (events, _) = queue();
        for _ in 0..5_000 {
            take_of(&events, "flood", &record(100));
        }
        let batch = events.0.batch();
        for _ in 0..BATCH_EVENTS {
            take_of(&events, "identity", &record(1));
        }
        assert!(events.0.lock().bytes <= QUEUE_MAX);
        assert_eq!(events.0.batch(), batch, "what is being sent stays");
        events.0.sent();
        let mut theirs = 0;
        for _ in 0..5 {
            let batch = events.0.batch();
            theirs += batch.iter().filter(|one| one.contains("identity")).count();
            events.0.sent();
        }
        assert_eq!(theirs, BATCH_EVENTS, "all of them, and soon");
        for _ in 0..5_000 {
            take_of(&events, "identity", &record(100));
        }
        let waiting = events.0.lock();
        let bytes: Vec<usize> = waiting.namespaces.iter().map(|one| one.bytes).collect();
        let (least, most) = (bytes.iter().min().unwrap(), bytes.iter().max().unwrap());
        assert!(bytes.len() == 2 && most - least < 64 * 1024, "{bytes:?}");
    }
}
