//! Tells of each record of a change: as a line in the log, and to a receiver where there is one.

use std::fmt;
use std::sync::Arc;

use crate::sync::history::{Person, Record, Removed};
use crate::telemetry::AUDIT;
use crate::text::sanitize;

/// A record with more people than this becomes several lines, so that no collector of logs cuts one.
const PEOPLE_MAX: usize = 100;

/// Takes records, besides the log.
pub trait Receiver: Send + Sync {
    /// Takes one, or this part of one. Never waits.
    fn take(&self, record: &Record, part: usize);
}

/// Who is told of each record. Cheap to clone.
#[derive(Clone, Default)]
pub struct Audit {
    receiver: Option<Arc<dyn Receiver>>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.receiver.as_ref().map(|_| "a receiver");
        write!(
            f,
            "Audit(log{}{})",
            to.map_or("", |_| " and "),
            to.unwrap_or_default()
        )
    }
}

impl Audit {
    /// The log and this receiver.
    pub fn to(receiver: Arc<dyn Receiver>) -> Self {
        Self {
            receiver: Some(receiver),
        }
    }

    /// Logs a record, and hands it to the receiver.
    pub fn tell(&self, record: &Record) {
        for (at, part) in record.in_parts(PEOPLE_MAX).iter().enumerate() {
            log(part);
            if let Some(receiver) = &self.receiver {
                receiver.take(part, at);
            }
        }
    }
}

/// One line. Fields that don't apply are left out.
fn log(record: &Record) {
    let person = record.person.as_ref();
    let group = record.group.as_ref();
    let external_id = person.and_then(|person| person.external_id.as_deref());
    let external_id = external_id.or(group.map(|group| &*group.external_id));
    let member_id = person.and_then(|person| person.member_id);
    let id = member_id.or(group.and_then(|group| group.group_id));
    let approval = record.approval.as_ref();
    let left = record.removed.iter().map(removed);
    let evidence = record.evidence.as_ref();
    tracing::info!(
        target: AUDIT,
        run = record.run.as_str(),
        number = record.number,
        trigger = ?record.trigger,
        action = record.action.name(),
        reason = ?record.reason,
        email = person.and_then(|person| person.email.as_deref()),
        group = group.map(|group| &*group.name),
        external_id,
        id = id.map(tracing::field::display),
        from = record.from.as_deref(),
        added = joined(record.added.iter().map(added)),
        removed = joined(left),
        groups = joined(record.groups.iter().map(|group| group.name.to_string())),
        evidence = evidence.map(|evidence| &*evidence.detail),
        evidence_kind = evidence.map(|evidence| tracing::field::debug(evidence.kind)),
        approved = approval.map(|_| true),
        approval = approval.and_then(|one| one.hold.as_ref()).map(|hold| hold.0.as_str()),
        approved_by = approval.and_then(|approval| approval.by.as_deref()),
        result = record.result.name(),
        answer = record.answer.as_deref(),
        "{} {}",
        record.action.name(),
        sanitize(&record.label()),
    );
}

fn added(person: &Person) -> String {
    person.label().to_owned()
}

fn removed(one: &Removed) -> String {
    match &one.evidence {
        Some(evidence) => format!("{} ({})", one.person.label(), evidence.detail),
        None => one.person.label().to_owned(),
    }
}

fn joined(words: impl Iterator<Item = String>) -> Option<String> {
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}
