//! Answers to what annotations ask, each in an object beside the resource, of the kind that the plan has, for
//! ten minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt};
use serde::Deserialize;

use super::companion::{self, Companion, Content, is_of_this};
use super::plan;
use super::publish::Publisher;
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;

/// Under this key the object has the answer as JSON, with the time it was given as `at`.
pub const ANSWER: &str = "answer.json";
/// Under this key it has the ID of the question.
pub const ID: &str = "id";

/// How long an answer can be read.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// When a question is looked at again whose turn has to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// Which object an answer stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `<name>-explain`
    Explain,
    /// `<name>-undo`
    Undo,
}

impl Slot {
    /// The name of the ConfigMap or Secret beside the object of this name.
    pub fn name(self, name: &str) -> String {
        let suffix = match self {
            Self::Explain => "explain",
            Self::Undo => "undo",
        };
        companion::name(name, suffix, 253)
    }
}

/// Where an answer is kept.
type Place<'a> = (&'a Client, &'a DirectorySync, Slot);

/// The question that was answered last, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its ID.
    id: String,
    /// Where the answer stands.
    storage: PlanStorage,
    /// When it is emptied; `None`: it is empty.
    until: Option<Timestamp>,
}

/// Why an answer couldn't be read or written.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(
        "{} {name:?} belongs to somebody else and was left alone; delete or rename it, and ask again",
        .storage.kind()
    )]
    Foreign { storage: PlanStorage, name: String },
    #[error("the answer's {}: {cause}{}", .storage.kind(), match .storage {
        PlanStorage::ConfigMap => "",
        PlanStorage::Secret => {
            "; whoever runs the operator can allow it (chart: rbac.planSecrets)"
        }
    })]
    ApiServer {
        storage: PlanStorage,
        cause: ApiServerError,
    },
}

/// Answers what is asked by the question with the ID `asked` and wasn't yet, and empties an answer that stood
/// for long enough. How long until there is something to do again. `known` is what was answered last;
/// `answer` gives the JSON, or `None` where it has to wait.
pub async fn attend(
    slot: Slot,
    (publisher, object): (&Publisher<'_>, &DirectorySync),
    asked: Option<&str>,
    known: &mut Option<Answered>,
    answer: impl AsyncFnOnce(Timestamp) -> Option<String>,
) -> Option<Duration> {
    let client = &publisher.context.client;
    let place = (client, object, slot);
    let now = Timestamp::now();
    let Some(asked) = asked else {
        if let Some(Answered {
            until: Some(_),
            storage,
            ..
        }) = known
        {
            empty(place, *storage, "").await;
        }
        *known = None;
        return None;
    };
    let storage = plan::storage(object);
    let before = match known.clone() {
        Some(before) => Some(before),
        None => earlier(place, storage, now).await,
    };
    if let Some(before) = before.filter(|before| before.id == asked) {
        let left = before.until.map(|until| until.duration_since(now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
        let over = left.is_some_and(|left| left.is_zero());
        if over {
            empty(place, before.storage, asked).await;
        }
        *known = Some(Answered {
            until: before.until.filter(|_| !over),
            ..before
        });
        return left.filter(|_| !over);
    }
    tracing::info!(id = asked, "a question is answered");
    let Some(answer) = answer(Timestamp::now()).await else {
        return Some(AGAIN);
    };
    let now = Timestamp::now();
    let text = [
        (ID.to_owned(), asked.to_owned()),
        (ANSWER.to_owned(), answer),
    ];
    let written = write(place, storage, text.into()).await;
    let is_written = written.is_ok();
    if let Err(error) = written {
        tracing::warn!(%error, "an answer couldn't be written");
        let about = &publisher.reference;
        publisher
            .context
            .events
            .warn(about, "AnswerNotWritten", &error.to_string())
            .await;
    }
    *known = Some(Answered {
        id: asked.to_owned(),
        storage,
        until: is_written.then(|| now.saturating_add(KEPT).unwrap_or(now)),
    });
    is_written.then_some(KEPT.unsigned_abs())
}

/// When an answer was given.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AnsweredAt {
    at: String,
}

/// What an earlier process answered.
async fn earlier(
    (client, object, slot): Place<'_>,
    storage: PlanStorage,
    now: Timestamp,
) -> Option<Answered> {
    let (id, answer) = match storage {
        PlanStorage::ConfigMap => answered::<ConfigMap>((client, object, slot)).await,
        PlanStorage::Secret => answered::<Secret>((client, object, slot)).await,
    }?;
    // Not the whole answer: somebody else may have written it.
    let answer =
        answer.map(|answer| serde_json::from_str::<AnsweredAt>(&answer).unwrap_or_default());
    Some(Answered {
        id,
        storage,
        until: answer.map(|answer| {
            let at: Timestamp = answer.at.parse().unwrap_or(now);
            at.min(now).saturating_add(KEPT).unwrap_or(now)
        }),
    })
}

/// The ID of the question and the answer of an object of this kind.
async fn answered<K: Companion>(
    (client, object, slot): Place<'_>,
) -> Option<(String, Option<String>)> {
    let found = companion::get::<K>(client, object, &slot.name(&object.name_any())).await;
    let mut found = found.ok()??;
    let uid = object.metadata.uid.as_deref();
    let is_ours = found.has_our_type() && is_of_this(found.meta(), &object.name_any(), uid);
    if !is_ours {
        return None;
    }
    Some((found.take_text(ID)?, found.take_text(ANSWER)))
}

/// Empties an answer. What can't be emptied now is emptied by the next one.
async fn empty(place: Place<'_>, storage: PlanStorage, id: &str) {
    let text = [(ID.to_owned(), id.to_owned())].into();
    if let Err(error) = write(place, storage, text).await {
        tracing::warn!(%error, "an answer couldn't be emptied");
    }
}

async fn write(
    place: Place<'_>,
    storage: PlanStorage,
    text: BTreeMap<String, String>,
) -> Result<(), AnswerError> {
    match storage {
        PlanStorage::ConfigMap => write_one::<ConfigMap>(place, text).await,
        PlanStorage::Secret => write_one::<Secret>(place, text).await,
    }
}

async fn write_one<K: Companion>(
    (client, object, slot): Place<'_>,
    text: BTreeMap<String, String>,
) -> Result<(), AnswerError> {
    let storage = K::STORAGE;
    let failed = |cause| AnswerError::ApiServer { storage, cause };
    let (owner, name) = (object.name_any(), slot.name(&object.name_any()));
    let found = companion::get::<K>(client, object, &name).await;
    let found = found.map_err(failed)?;
    if found.is_some_and(|found| !companion::is_ours(&found, &owner)) {
        return Err(AnswerError::Foreign { storage, name });
    }
    let content = Content {
        text,
        ..Content::default()
    };
    let written = companion::apply::<K>(client, object, (&name, content), None).await;
    written.map(|_| ()).map_err(failed)
}
