//! Answers the question about one person or group that a resource's annotation asks.
//!
//! The answer stands in an object beside the resource, of the kind that the plan has, for ten minutes. It is
//! worked out as a run's plan is, with a permit of the same queue, on a copy of what runs remember, and
//! nothing is written to the organization.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::answers::{self, Slot};
use super::history;
use super::outcome;
use super::plan;
use super::publish::Publisher;
use super::requests::Asked;
use super::run::Run;
use super::run_queue::RunPermit;
use super::state::{Connected, ObjectState};
use super::watchdog::Watchdog;
use crate::api::DirectorySync;
use crate::api::spec::Mode;
use crate::http::counting;
use crate::sync::answer::{Asked as AskedQuestion, Disclosure, answer};
use crate::sync::explain::{Explanation, Question};
use crate::sync::progress::Progress;
use crate::sync::run::{RunError, RunOptions, State};

/// The longest answer, in bytes.
const ANSWER_MAX: usize = 256 * 1024;

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

/// Answers what is asked and wasn't yet. How long until there is something to do again. `run`: what it is
/// answered by; else why nothing runs.
pub async fn attend(
    about: (&Publisher<'_>, &DirectorySync),
    asked: Option<Asked<'_>>,
    run: Result<&Run<'_>, String>,
    state: &mut ObjectState,
) -> Option<Duration> {
    let mut known = state.answered.take();
    let id = asked.as_ref().map(|asked| asked.id);
    let question = asked.as_ref().map(|asked| &asked.question);
    let next = answers::attend(Slot::Explain, about, id, &mut known, async |now| {
        let answered = match (run, question) {
            (Ok(run), Some(question)) => Box::pin(run.explain(state, question)).await?,
            (Ok(_), None) => return None,
            (Err(why), _) => Err(why),
        };
        let (explanation, error) = match answered {
            Ok(explanation) => (Some(explanation.within(ANSWER_MAX)), None),
            Err(why) => (None, Some(why)),
        };
        let answer = Answer {
            at: now.to_string(),
            explanation,
            error,
        };
        let answer = serde_json::to_string(&answer);
        Some(answer.expect("it has texts, numbers and lists alone"))
    });
    let next = next.await;
    state.answered = known;
    next
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
        let answered = match Box::pin(self.turn(state, &stop)).await {
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
        let options = RunOptions {
            schedule: Some(&spec.schedule),
            ..RunOptions::new(&progress, stop)
        };
        let copy = State::restored(state.sync.memberships.clone(), state.sync.ledger.clone());
        let watchdog = Arc::new(Watchdog::default());
        let memory = self.context.memory.begin(stop.clone());
        let mut watching = self.watch(&watchdog, &permit, &progress, stop);
        drop(permit);
        let asked = AskedQuestion {
            question,
            disclosure: Disclosure::AsRead,
            // Runs go by what they remember, which is in the state.
            compared: None,
        };
        let answering = answer(&**source, organization, &spec.policy, copy, &options, asked);
        let answered = counting(memory.counter(), Box::pin(answering)).await;
        // And with it its hold on the permit.
        watching.shutdown().await;
        match answered {
            Ok(mut explanation) => {
                explanation.note_circumstances(spec.suspended, spec.mode == Mode::Preview);
                let client = &self.context.client;
                let runs = state.named_runs();
                let kept = (plan::storage(self.object), &runs);
                Some(Ok(history::explained(
                    client,
                    self.object,
                    kept,
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
