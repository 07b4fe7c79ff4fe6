//! Takes back what an earlier run did, as a resource's annotation asks.
//!
//! It is asked for twice: once to see what would be done, and once, with the digest of that, to have exactly
//! that done. Between the two anything may have changed; then nothing is done, and the answer says what would
//! be done now. Status says what was shown last, and that it was begun, before anything is changed: so a
//! confirmation is used once, also where a process ends in the middle, or everything beside the object is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::answers::{self, Slot};
use super::checkpoints::{self, RecordReceiver};
use super::claims::ClaimResult;
use super::history;
use super::outcome;
use super::plan;
use super::publish::Publisher;
use super::requests::UndoQuestion;
use super::run::{MAKES_WAY, Run, asking_to_make_way};
use super::run_queue::RunPermit;
use super::sealed_runs::{Checked, NotSealed};
use super::signals::DirectoryWatch;
use super::state::{Connected, ObjectState, UndoWord};
use super::watchdog::Watchdog;
use crate::api::DirectorySync;
use crate::api::spec::Mode;
use crate::history::parse;
use crate::http::counting;
use crate::sync::guard::{Approval, Digest};
use crate::sync::history::{Record, RunId, RunInfo, RunTrigger};
use crate::sync::progress::Progress;
use crate::sync::report::ActionCounts;
use crate::sync::run::{RunError, RunOptions, State};
use crate::sync::run_undo::{PlannedUndo, UndoError, UndoRequest, are_part_of, plan_undo};
use crate::sync::undo::{RunChoice, UndoDocument};
use crate::text::sanitize;

/// The longest answer, in bytes: an object takes 1 MiB.
const ANSWER_MAX: usize = 900 * 1024;

/// So many are named of whoever gets a former external ID back, where there isn't room for all: the longest
/// IDs and addresses of so many fit.
const ROWS_MAX: usize = 500;

/// An answer as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    /// When it was given, in UTC.
    pub at: String,
    /// What would be done, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoDocument>,
    /// What was done, by kind; `None`: nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<BTreeMap<String, usize>>,
    /// It was to be done, and is another one than was confirmed: nothing was done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// What didn't go as it should.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Why it wasn't done, or not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answer {
    fn has(&self, problem: &str) -> bool {
        self.problems.iter().any(|one| one == problem)
    }

    fn note(&mut self, problem: String) {
        if !self.has(&problem) {
            self.problems.push(problem);
        }
    }

    /// It made way for revocations after these changes, and doesn't go on.
    fn interrupted(&mut self, done: &ActionCounts, why: &str) {
        self.done = Some(by_kind(done));
        let done = done.total();
        self.error = Some(format!(
            "the undo made way for revocations after {done} changes, and {why}: undo the run again, which does the rest"
        ));
    }

    fn failed(why: String) -> Self {
        Self {
            error: Some(why),
            ..Self::default()
        }
    }

    /// As JSON, where there is room for all of it: nothing is confirmed that isn't seen.
    fn to_json(&self) -> String {
        let json = |answer: &Self| {
            serde_json::to_string(answer).expect("it has texts, numbers and lists alone")
        };
        let text = json(self);
        if text.len() <= ANSWER_MAX {
            return text;
        }
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.adoption) {
            // Who gets a former ID back loses and gains nothing: the number says it.
            return json(&Self {
                undo: Some(undo.clone().shortened(ROWS_MAX)),
                ..self.clone()
            });
        }
        let changes = self.undo.as_ref().map_or(0, |undo| undo.changes.len());
        json(&Self {
            at: self.at.clone(),
            done: self.done.clone(),
            error: Some(match self.done {
                Some(_) => "it was done; the list is too long to be shown here".to_owned(),
                None => format!(
                    "these {changes} changes are too many to be shown here, and nothing is done that wasn't \
                     seen: undo it in parts, with --group or --person"
                ),
            }),
            ..Self::default()
        })
    }
}

/// Answers an undo that is asked for and wasn't answered yet. How long until there is something to do again.
/// `run`: what it is done by; else why nothing runs.
pub async fn attend(
    about: (&Publisher<'_>, &DirectorySync),
    asked: Option<(&str, Result<UndoQuestion, String>)>,
    run: Result<&Run<'_>, String>,
    state: &mut ObjectState,
) -> Option<Duration> {
    let mut known = state.undone.take();
    let (id, question) = match asked {
        Some((id, question)) => (Some(id), Some(question)),
        None => (None, None),
    };
    let next = answers::attend(Slot::Undo, about, id, &mut known, async |now| {
        let answer = match (run, question?) {
            (_, Err(why)) | (Err(why), _) => Answer::failed(why),
            // On the heap: without optimization a future by value takes the stack of each poll around it.
            (Ok(run), Ok(question)) => {
                let id = id.unwrap_or_default();
                Box::pin(run.undo(state, (id, &question))).await?
            }
        };
        let at = now.to_string();
        Some(Answer { at, ..answer }.to_json())
    });
    let next = next.await;
    state.undone = known;
    next
}

/// Whether this is what was shown and confirmed; a long list of former ids is shown in part.
fn is_confirmed(undo: &UndoDocument, confirmed: &str) -> bool {
    let shortened = undo.clone().shortened(ROWS_MAX);
    [undo, &shortened]
        .iter()
        .any(|shown| shown.confirmation().0 == confirmed)
}

/// Why a confirmation isn't used.
const USED: &str = "this undo was begun before, and isn't begun again: the history has what was done. If that isn't \
                    all, undo the run again, which does the rest";
const NOT_SHOWN: &str = "this isn't the undo that was shown last, or that one was done since: nothing was changed. \
                         Look at it again, and confirm that";

/// Whether the run that is asked for is one that the operator has written; one that isn't there is somebody
/// else's matter.
fn ensure_sealed(
    records: &[Record],
    checked: &Checked,
    question: &UndoQuestion,
) -> Result<(), NotSealed> {
    if question.adoption {
        return Ok(());
    }
    let is_asked = |run: &RunId| match &question.run {
        Some(digits) => run.as_str().starts_with(&*digits.trim().to_lowercase()),
        None => records.first().is_some_and(|newest| newest.run == *run),
    };
    let mut asked = records.iter().map(|record| &record.run);
    let other = asked
        .clone()
        .find(|run| is_asked(run) && !checked.is_sealed(run));
    match other {
        Some(run) if !asked.any(|run| is_asked(run) && checked.is_sealed(run)) => {
            Err(NotSealed::Run(run.clone()))
        }
        _ => Ok(()),
    }
}

fn by_kind(done: &ActionCounts) -> BTreeMap<String, usize> {
    let done = done.iter();
    done.map(|(kind, count)| (kind.name().to_owned(), count))
        .collect()
}

fn given_back(who: &str) -> String {
    format!(
        "{}: got something back before the directory told that they left: look at what the next sync does, or holds",
        sanitize(who)
    )
}

fn left_out(who: &str) -> String {
    format!(
        "{}: got nothing back, because the directory told meanwhile that they left; the next sync decides",
        sanitize(who)
    )
}

impl Run<'_> {
    /// Shows an undo, or does it. `None`: it was stopped, or has to wait for others.
    async fn undo(
        &self,
        state: &mut ObjectState,
        (id, question): (&str, &UndoQuestion),
    ) -> Option<Answer> {
        let spec = &self.connected.spec;
        let handled = |word: &UndoWord| word.handled.as_deref() == Some(id);
        if question.digest.is_some() && state.undo_word.as_ref().is_some_and(handled) {
            return Some(Answer::failed(USED.into()));
        }
        if question.digest.is_some() && spec.suspended {
            let why = "spec.suspend is true: nothing was changed; resume, and undo then";
            return Some(Answer::failed(why.into()));
        }
        if question.digest.is_some() && spec.mode == Mode::Preview {
            let why = "spec.mode is Preview: nothing was changed; set it to Apply to undo";
            return Some(Answer::failed(why.into()));
        }
        let uid = self.object.metadata.uid.as_deref().unwrap_or_default();
        let running = match self.context.claims.begin(uid) {
            ClaimResult::Granted(running) => running,
            ClaimResult::OwnedBy(owner) => {
                return Some(Answer::failed(outcome::already_managed(&owner)));
            }
            ClaimResult::WaitFor(_) => return None,
        };
        let stop = self
            .entry
            .begin(self.prepared.generation, &self.context.work);
        state.sync.begin_undo();
        // The word is newer than what the directory has told by now.
        if let Some(watch) = &state.watch {
            watch.forget_told();
        }
        let answered = match Box::pin(self.turn(state, &stop)).await {
            Some(permit) => {
                let permit = Arc::new(permit);
                Box::pin(self.undo_in_turn(state, permit, &stop, (id, question))).await
            }
            None => None,
        };
        self.entry.end();
        drop(running);
        answered
    }

    async fn undo_in_turn(
        &self,
        state: &mut ObjectState,
        permit: Arc<RunPermit>,
        stop: &CancellationToken,
        (id, question): (&str, &UndoQuestion),
    ) -> Option<Answer> {
        if let Err(error) = self.restore(state).await {
            let why = format!("what earlier runs left can't be read: {error}");
            return Some(Answer::failed(why));
        }
        let mut history = std::mem::take(&mut state.sync.history);
        self.restore_history(state, &mut history).await;
        state.sync.history = history;
        self.recall_undone(state).await;
        if self.claim(state, stop).await.is_err() {
            let why = "the organization isn't this resource's yet: see its status, and undo once it is \
                       ready";
            return Some(Answer::failed(why.into()));
        }
        let (records, checked) = match self.records(state, question).await {
            Ok(found) => found,
            Err(why) => return Some(Answer::failed(why)),
        };
        let progress = Arc::new(Progress::default());
        let watchdog = Arc::new(Watchdog::default());
        let memory = self.context.memory.begin(stop.clone());
        let mut watching = self.watch(&watchdog, &permit, &progress, stop);
        drop(permit);
        let approval = question.approve.as_ref().map(|digest| Approval {
            digest: Digest(digest.clone()),
        });
        let options = RunOptions {
            approval: approval.as_ref(),
            schedule: Some(&self.connected.spec.schedule),
            ..RunOptions::new(&progress, stop)
        };
        let mut sync_state = std::mem::take(&mut state.sync);
        if let Some(events) = &self.context.cloud_events {
            sync_state.audit = events.of(&self.entry.object);
        }
        let history = (&*records, &checked);
        let asked = (id, question);
        let mut answer = Answer::default();
        let undoing = self.plan_and_undo(
            state,
            &mut sync_state,
            &options,
            history,
            asked,
            &mut answer,
        );
        let result = counting(memory.counter(), Box::pin(undoing)).await;
        self.keep_history(state, &mut sync_state.history).await;
        self.name_history(state).await;
        watching.shutdown().await;
        state.sync = sync_state;
        let applied = match &result {
            Err(UndoError::Run(error)) => error.applied().clone(),
            _ => ActionCounts::default(),
        };
        if applied.total() > 0 {
            answer.done = Some(by_kind(&applied));
        }
        if let Some(done) = answer.done.as_ref().filter(|done| !done.is_empty()) {
            self.tell_of_undo(&answer, done).await;
        }
        if answer.done.is_some() {
            // The next run shows what it holds now.
            if let Some(last) = state.history.get_or_insert_default().last.as_mut() {
                last.next = Timestamp::now();
            }
        }
        let why = match result {
            Ok(()) => return Some(answer),
            Err(UndoError::Run(RunError::Stopped { applied, .. })) => {
                if let Some(expired) = watchdog.expired() {
                    let failed = outcome::of_expired(expired).after(&applied);
                    failed.outcome.message().to_owned()
                } else if let Some(received) = memory.was_ended() {
                    let limit = self.context.memory.limit_mib();
                    let failed = outcome::of_memory(limit, received).after(&applied);
                    failed.outcome.message().to_owned()
                } else {
                    state.large |= watchdog.has_to_wait();
                    if applied.total() == 0 {
                        return None;
                    }
                    format!("the undo was stopped; changes made before that: {applied}")
                }
            }
            Err(UndoError::Run(error)) => outcome::of_error(&error).outcome.message().to_owned(),
            Err(error) => error.to_string(),
        };
        let rest = match applied.total() {
            0 => "",
            _ => "; undo the run again, which does the rest",
        };
        Some(Answer {
            undo: answer.undo.filter(|_| applied.total() > 0),
            error: Some(format!("{why}{rest}")),
            ..answer
        })
    }

    /// The history of the resource, as far as the operator has written it, and what of it that is.
    async fn records(
        &self,
        state: &ObjectState,
        question: &UndoQuestion,
    ) -> Result<(Vec<Record>, Checked), String> {
        let storage = plan::storage(self.object);
        let kept = history::read(&self.context.client, self.object, storage).await;
        let kept = kept.map_err(|error| format!("the history can't be read: {error}"))?;
        let (kept, checked) = kept.checked(&state.named_runs()).await;
        let parsed = tokio::task::spawn_blocking(move || parse(&kept.text).records).await;
        let mut records = parsed.map_err(|error| format!("the history can't be read: {error}"))?;
        ensure_sealed(&records, &checked, question).map_err(|error| error.to_string())?;
        records.retain(|record| checked.is_sealed(&record.run));
        Ok((records, checked))
    }

    async fn plan_and_undo(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
        (records, checked): (&[Record], &Checked),
        (id, question): (&str, &UndoQuestion),
        answer: &mut Answer,
    ) -> Result<(), UndoError> {
        let Connected {
            organization, spec, ..
        } = self.connected;
        let request = UndoRequest {
            run: question.choice(),
            scope: question.scope(),
        };
        let policy = &spec.policy;
        let planning = plan_undo(
            organization,
            policy,
            sync_state,
            options,
            (records, None),
            &request,
        );
        let planning = Box::pin(planning);
        let undo = self
            .observed(
                state,
                options,
                RecordReceiver::closed(),
                &mut None,
                planning,
            )
            .await?;
        if let Err(error) = checked.ensure(&undo.run) {
            *answer = Answer::failed(error.to_string());
            return Ok(());
        }
        let document = undo.guarded().map(|guarded| {
            UndoDocument::new(
                (&undo.run, undo.began, undo.adoption),
                guarded,
                &undo.left,
                &undo.digest,
            )
        });
        answer.undo = document;
        let shown = answer.undo.as_ref().map(|undo| undo.confirmation().0);
        let before = state.undo_word.clone().unwrap_or_default();
        let is_confirmed = |digest: &String| {
            let undo = answer.undo.as_ref();
            undo.is_some_and(|undo| is_confirmed(undo, digest))
        };
        match &question.digest {
            Some(digest) if is_confirmed(digest) => {}
            other => {
                answer.changed = other.is_some();
                self.keep_word(state, UndoWord { shown, ..before }).await;
                return Ok(());
            }
        }
        if shown != before.shown {
            *answer = Answer::failed(NOT_SHOWN.into());
            return Ok(());
        }
        let used = UndoWord {
            shown: None,
            handled: Some(id.to_owned()),
        };
        if !self.keep_word(state, used).await {
            let why = "status couldn't be written, so nothing was changed: undo the run again";
            *answer = Answer::failed(why.into());
            return Ok(());
        }
        if undo.changes().is_empty() {
            answer.done = Some(BTreeMap::new());
            return Ok(());
        }
        let applying = self.undo_to_end(state, sync_state, options, (undo, question), answer);
        Box::pin(applying).await
    }

    /// Does what was confirmed. Where somebody seems to have left meanwhile, the undo makes way between two of its
    /// changes, as a run does, and what is left of it is planned anew. Whoever left gets nothing back by it: that the
    /// directory told is newer than the word that confirmed it.
    async fn undo_to_end(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
        (mut undo, question): (PlannedUndo, &UndoQuestion),
        answer: &mut Answer,
    ) -> Result<(), UndoError> {
        let confirmed = undo.changes().to_vec();
        let request = UndoRequest {
            run: match question.choice() {
                // By now the last run is this undo.
                RunChoice::Last => RunChoice::Id(undo.run.to_string()),
                choice => choice,
            },
            scope: question.scope(),
        };
        let mut before = ActionCounts::default();
        for left in (0..=MAKES_WAY).rev() {
            let make_way = CancellationToken::new();
            let may_wait = left > 0 && options.approval.is_none();
            let options = RunOptions {
                make_way: may_wait.then_some(&make_way),
                ..*options
            };
            let watch = state.watch.as_ref().filter(|_| may_wait);
            if !watch.is_some_and(|watch| watch.has_suspects() || watch.has_told()) {
                let leavers = std::mem::take(&mut undo.leavers);
                let confirmed = (undo, question);
                let applying = self.apply_undo(state, sync_state, &options, confirmed, answer);
                let ended = Box::pin(applying).await;
                leavers.iter().for_each(|who| answer.note(left_out(who)));
                self.count_changes(match &ended {
                    Ok(applied) => applied,
                    Err(error) => error.applied(),
                });
                match ended {
                    Err(RunError::MadeWay { applied }) => before.merge(&applied),
                    Ok(mut done) => {
                        done.merge(&before);
                        answer.done = Some(by_kind(&done));
                        return Ok(());
                    }
                    Err(error) => return Err(error.after_changes(&before).into()),
                }
            }
            tracing::info!("the undo makes way for revocations, and goes on then");
            self.measure_outcomes(sync_state);
            Box::pin(self.keep_history(state, &mut sync_state.history)).await;
            let revoking = self.revoke_within_run(state, sync_state, options.stop);
            Box::pin(revoking).await;
            let policy = &self.connected.spec.policy;
            let told = state.watch.as_ref().map(DirectoryWatch::take_told);
            let told = told.unwrap_or_default();
            sync_state.leave_out(&told.people, policy);
            if told.and_more {
                answer.interrupted(
                    &before,
                    "the directory names more people than can be left out",
                );
                return Ok(());
            }
            let records = match self.records(state, question).await {
                Ok((records, _)) => records,
                Err(why) => {
                    answer.interrupted(&before, &why);
                    return Ok(());
                }
            };
            let organization = &self.connected.organization;
            let planning = plan_undo(
                organization,
                policy,
                sync_state,
                &options,
                (&records, None),
                &request,
            );
            undo = match Box::pin(planning).await {
                Ok(undo) => undo,
                Err(UndoError::Run(error)) => return Err(error.after_changes(&before).into()),
                Err(error) => {
                    answer.interrupted(&before, &error.to_string());
                    return Ok(());
                }
            };
            let given = confirmed.iter().filter(|change| {
                let gives = change.member().is_some() && !change.takes_away();
                gives && undo.left_meanwhile.is_subject_of(change)
            });
            for who in given.map(|change| change.subject.label()) {
                if undo.leavers.iter().all(|left| **left != *who) && !answer.has(&left_out(who)) {
                    answer.note(given_back(who));
                }
            }
            if !are_part_of(undo.changes(), &confirmed) {
                answer.interrupted(&before, "what is left is another undo than was shown");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Notes in status which undo may be done. Whether that was written; else the next status has it.
    async fn keep_word(&self, state: &mut ObjectState, word: UndoWord) -> bool {
        let before = state.status.clone();
        let mut status = before.clone();
        word.put(&mut status);
        state.undo_word = Some(word);
        let written = status == before || self.publisher.publish_best_effort(state, status).await;
        if !written {
            state.status = before;
        }
        written
    }

    /// As a run does: the record is kept and status names it before the first change. What was done.
    async fn apply_undo(
        &self,
        state: &mut ObjectState,
        sync_state: &mut State,
        options: &RunOptions<'_>,
        (undo, question): (PlannedUndo, &UndoQuestion),
        answer: &mut Answer,
    ) -> Result<ActionCounts, RunError> {
        // Whom the fast lane may revoke meanwhile: the directory isn't read, so that they are those of the last run.
        let baseline = sync_state.baseline.take();
        let baseline = baseline.and_then(|baseline| undo.beside(baseline));
        let mut planned = undo.planned;
        tracing::info!(run = %undo.run, changes = planned.changes().len(), "a run is undone");
        sync_state.history.start(RunInfo {
            id: RunId::at(Timestamp::now()),
            trigger: RunTrigger::Undo,
            approved_by: super::requests::asked_by(&self.object.metadata, question).map(Into::into),
            undoes: Some(undo.run),
            directory_sync: None,
        });
        planned.invalidate(sync_state);
        self.keep_history(state, &mut sync_state.history).await;
        let keeping = self.keep_before(state, sync_state, None, options.progress);
        let mut written_plan = keeping.await?;
        let (sender, receiver) = checkpoints::channel(self.context.timing.record);
        let apply = RunOptions {
            checkpoints: Some(&sender),
            ..*options
        };
        let signal = state.watch.as_ref().map(DirectoryWatch::suspect_signal);
        let applying = Box::pin(planned.apply(sync_state, &apply));
        let urgent = async {
            match &signal {
                Some(signal) => signal.wait_for_word().await,
                None => std::future::pending().await,
            }
        };
        let applying = asking_to_make_way(applying, urgent, options.make_way);
        let applied = self
            .observed(state, options, receiver, &mut written_plan, applying)
            .await;
        if matches!(applied, Err(RunError::MadeWay { .. })) {
            sync_state.baseline = baseline;
        }
        // Also where it ended early: what it took back is held from now on.
        self.keep(state, sync_state, None).await.ok();
        self.report_progress(state, options.progress).await;
        let report = applied?;
        let problems = report.problems.iter();
        answer
            .problems
            .extend(problems.map(|one| one.message.clone()));
        Ok(report.applied)
    }

    async fn tell_of_undo(&self, answer: &Answer, done: &BTreeMap<String, usize>) {
        let Some(undo) = answer.undo.as_ref().filter(|_| !done.is_empty()) else {
            return;
        };
        let done: Vec<String> = done
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let note = format!("run {} was undone: {}", undo.run, done.join(", "));
        let about = &self.publisher.reference;
        self.context.events.tell(about, "Undone", &note).await;
    }
}
