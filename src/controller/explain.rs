//! Answers the question about one person or group that a resource's annotation asks.
//!
//! The answer stands in an object beside the resource, of the kind that the plan has, for ten minutes. It is
//! worked out as a run's plan is, with a permit of the same queue, on a copy of what runs remember, and
//! nothing is written to the organization.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::companion::{self, Companion, Content, is_of_this};
use super::history;
use super::outcome;
use super::plan;
use super::publish::Publisher;
use super::requests::Asked;
use super::run::Run;
use super::run_queue::RunPermit;
use super::state::{Connected, ObjectState};
use super::timeout::ApiServerError;
use super::watchdog::Watchdog;
use crate::api::DirectorySync;
use crate::api::spec::{Mode, PlanStorage};
use crate::http::counting;
use crate::sync::answer::{Disclosure, answer};
use crate::sync::explain::{Explanation, Question};
use crate::sync::progress::Progress;
use crate::sync::run::{RunError, RunOptions, State};

/// Under this key the object has the [`Answer`] as JSON.
pub const ANSWER: &str = "answer.json";
/// Under this key it has the ID of the question.
pub const ID: &str = "id";

/// How long an answer can be read.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 256 * 1024;
/// When a question is looked at again whose turn has to wait.
const AGAIN: Duration = Duration::from_secs(1);

/// An answer as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    /// When it was given, in UTC.
    pub at: String,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

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

/// The name of the ConfigMap or Secret beside the object of this name: `<name>-explain`.
pub fn name(name: &str) -> String {
    companion::name(name, "explain", 253)
}

/// Answers what is asked and wasn't yet, and empties an answer that stood for long enough. How long until
/// there is something to do again. `run`: what it is answered by; else why nothing runs.
pub async fn attend(
    (publisher, object): (&Publisher<'_>, &DirectorySync),
    asked: Option<Asked<'_>>,
    run: Result<&Run<'_>, String>,
    state: &mut ObjectState,
) -> Option<Duration> {
    let client = &publisher.context.client;
    let now = Timestamp::now();
    let known = state.answered.clone();
    let Some(asked) = asked else {
        if let Some(Answered {
            until: Some(_),
            storage,
            ..
        }) = &known
        {
            empty(client, object, *storage, "").await;
        }
        state.answered = None;
        return None;
    };
    let storage = plan::storage(object);
    let known = match known {
        Some(known) => Some(known),
        None => earlier(client, object, storage, now).await,
    };
    if let Some(known) = known.filter(|known| known.id == asked.id) {
        let left = known.until.map(|until| until.duration_since(now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
        let over = left.is_some_and(|left| left.is_zero());
        if over {
            empty(client, object, known.storage, asked.id).await;
        }
        state.answered = Some(Answered {
            until: known.until.filter(|_| !over),
            ..known
        });
        return left.filter(|_| !over);
    }
    tracing::info!(id = asked.id, "a question is answered");
    let answered = match run {
        Ok(run) => match run.explain(state, &asked.question).await {
            Some(answered) => answered,
            None => return Some(AGAIN),
        },
        Err(why) => Err(why),
    };
    let now = Timestamp::now();
    let (explanation, error) = match answered {
        Ok(explanation) => (Some(explanation.within(ANSWER_MAX)), None),
        Err(why) => (None, Some(why)),
    };
    let answer = Answer {
        at: now.to_string(),
        explanation,
        error,
    };
    let answer = serde_json::to_string(&answer).expect("it has texts, numbers and lists alone");
    let text = [
        (ID.to_owned(), asked.id.to_owned()),
        (ANSWER.to_owned(), answer),
    ];
    let written = write(client, object, storage, text.into()).await;
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
    state.answered = Some(Answered {
        id: asked.id.to_owned(),
        storage,
        until: is_written.then(|| now.saturating_add(KEPT).unwrap_or(now)),
    });
    is_written.then_some(KEPT.unsigned_abs())
}

impl Run<'_> {
    /// Explains what the next run would make of whom `question` names; or why that can't be said. `None`:
    /// it was stopped, or has to wait for others.
    async fn explain(
        &self,
        state: &mut ObjectState,
        question: &Question,
    ) -> Option<Result<Explanation, String>> {
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        let answered = match stop.run_until_cancelled(self.turn(state)).await {
            Some(permit) => {
                self.explain_in_turn(state, Arc::new(permit), &stop, question)
                    .await
            }
            None => None,
        };
        self.entry.end();
        answered
    }

    async fn explain_in_turn(
        &self,
        state: &mut ObjectState,
        permit: Arc<RunPermit>,
        stop: &CancellationToken,
        question: &Question,
    ) -> Option<Result<Explanation, String>> {
        if let Err(error) = self.restore(state).await {
            return Some(Err(format!(
                "what earlier runs left can't be read: {error}"
            )));
        }
        let Connected {
            source,
            organization,
            spec,
        } = self.connected;
        let progress = Arc::new(Progress::default());
        let options = RunOptions::new(&progress, stop);
        let copy = State::restored(state.sync.memberships.clone(), state.sync.ledger.clone());
        let watchdog = Arc::new(Watchdog::default());
        let memory = self.context.memory.begin(stop.clone());
        let mut watching = self.watch(&watchdog, &permit, &progress, stop);
        drop(permit);
        let asked = (question, Disclosure::AsRead);
        let answering = answer(&**source, organization, &spec.policy, copy, &options, asked);
        let answered = counting(memory.counter(), Box::pin(answering)).await;
        // And with it its hold on the permit.
        watching.shutdown().await;
        match answered {
            Ok(mut explanation) => {
                explanation.note_circumstances(spec.suspended, spec.mode == Mode::Preview);
                let client = &self.context.client;
                let storage = plan::storage(self.object);
                Some(Ok(history::explained(
                    client,
                    self.object,
                    storage,
                    explanation,
                )
                .await))
            }
            Err(RunError::Stopped { .. }) => {
                if let Some(expired) = watchdog.expired() {
                    return Some(Err(outcome::of_expired(expired)
                        .outcome
                        .message()
                        .to_owned()));
                }
                if let Some(received) = memory.was_ended() {
                    let limit = self.context.memory.limit_mib();
                    let failed = outcome::of_memory(limit, received);
                    return Some(Err(failed.outcome.message().to_owned()));
                }
                state.large |= watchdog.has_to_wait();
                None
            }
            Err(error) => Some(Err(outcome::of_error(&error).outcome.message().to_owned())),
        }
    }
}

/// When an answer was given.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AnsweredAt {
    at: String,
}

/// What an earlier process answered.
async fn earlier(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    now: Timestamp,
) -> Option<Answered> {
    let (id, answer) = match storage {
        PlanStorage::ConfigMap => answered::<ConfigMap>(client, object).await,
        PlanStorage::Secret => answered::<Secret>(client, object).await,
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
    client: &Client,
    object: &DirectorySync,
) -> Option<(String, Option<String>)> {
    let found = companion::get::<K>(client, object, &name(&object.name_any())).await;
    let mut found = found.ok()??;
    let uid = object.metadata.uid.as_deref();
    let is_ours = found.has_our_type() && is_of_this(found.meta(), &object.name_any(), uid);
    if !is_ours {
        return None;
    }
    Some((found.take_text(ID)?, found.take_text(ANSWER)))
}

/// Empties an answer. What can't be emptied now is emptied by the next one.
async fn empty(client: &Client, object: &DirectorySync, storage: PlanStorage, id: &str) {
    let text = [(ID.to_owned(), id.to_owned())].into();
    if let Err(error) = write(client, object, storage, text).await {
        tracing::warn!(%error, "an answer couldn't be emptied");
    }
}

async fn write(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    text: BTreeMap<String, String>,
) -> Result<(), AnswerError> {
    match storage {
        PlanStorage::ConfigMap => write_one::<ConfigMap>(client, object, text).await,
        PlanStorage::Secret => write_one::<Secret>(client, object, text).await,
    }
}

async fn write_one<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    text: BTreeMap<String, String>,
) -> Result<(), AnswerError> {
    let storage = K::STORAGE;
    let failed = |cause| AnswerError::ApiServer { storage, cause };
    let (owner, name) = (object.name_any(), name(&object.name_any()));
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
