//! A run of one resource with what a terminal can show and say meanwhile.

use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::args::StateArgs;
use super::progress::with_progress;
use super::records::RecordsFile;
use super::session::{Session, SessionError};
use super::state::{StateError, StateFile};
use crate::sync::answer::{Asked, Disclosure, answer};
use crate::sync::checkpoint::Checkpoints;
use crate::sync::explain::{Explanation, Question};
use crate::sync::guard::{Approval, Digest};
use crate::sync::history::{RunId, RunInfo, RunTrigger};
use crate::sync::ledger::Ledger;
use crate::sync::memberships::MembershipCache;
use crate::sync::planned::Planned;
use crate::sync::progress::Progress;
use crate::sync::report::Report;
use crate::sync::run::{RunError, RunOptions, State, plan};
use crate::sync::run_undo::{PlannedUndo, UndoError, UndoRequest, plan_undo};
use crate::text::sanitize;

/// Runs of one resource, each of which knows what the one before saw.
pub struct Run<'a> {
    session: &'a Session,
    state: State,
    kept: StateFile,
    records: RecordsFile,
    /// Whether a run of the history was begun.
    has_begun: bool,
    quiet: bool,
}

/// Why a resource wasn't run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// It can't be run at all.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The run failed at one of the two sides.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state folder couldn't be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is nothing to undo, or it can't be.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// The handlers of SIGINT and SIGTERM couldn't be installed.
    #[error("can't listen for signals")]
    Signals(#[from] io::Error),
}

impl RunFailure {
    /// The same of a run that had made the changes of `earlier` before it planned again.
    #[must_use]
    pub fn after(self, earlier: &Report) -> Self {
        match self {
            Self::Run(error) => Self::Run(error.after(earlier)),
            other => other,
        }
    }
}

impl<'a> Run<'a> {
    /// Goes on from what earlier commands took away from the organization, by the state folder.
    /// Other commands on the same organization wait until this one is done.
    pub fn new(
        session: &'a Session,
        state_args: &StateArgs,
        quiet: bool,
    ) -> Result<Self, RunFailure> {
        let mut kept = StateFile::open(
            state_args,
            session.organization.organization_id(),
            &session.policy.external_id_prefix,
            &session.object.to_string(),
        )?;
        let (mut ledger, sent) = kept.load(Timestamp::now())?;
        let object = session.object.to_string();
        let records = RecordsFile::of(state_args, session.organization.organization_id())?;
        if ledger.may_lack_undone() {
            ledger.recall_undone(&records.of_resource(&object), true, 0);
        }
        Ok(Self {
            session,
            state: State::restored(sent, ledger),
            kept,
            records,
            has_begun: false,
            quiet,
        })
    }

    /// Goes on from what earlier commands didn't learn the outcome of, and begins a run of the history.
    fn start_history(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let object = self.session.object.to_string();
        let history = &mut self.state.history;
        history.resume(self.records.open_records(&object));
        history.start(run_info(&object, RunTrigger::Command, None));
    }

    /// Reads both sides and plans. Ctrl-C and SIGTERM end it at the next safe point.
    /// `approve` names held changes that may go ahead although they exceed a limit.
    pub async fn plan(&mut self, approve: Option<&Digest>) -> Result<Planned, RunFailure> {
        self.start_history();
        let approval = approve.map(|digest| Approval {
            digest: digest.clone(),
        });
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            approval: approval.as_ref(),
            schedule: Some(&self.session.schedule),
            ..RunOptions::new(&progress, &stop)
        };
        let Session {
            source,
            organization,
            policy,
            object,
            ..
        } = self.session;
        let planning = plan(&**source, organization, policy, &mut self.state, &options);
        let planning = with_progress(self.quiet, &progress, planning).instrument(object.span());
        let planned = stopped_by_signal(&stop, planning).await??;
        self.keep_history();
        self.kept
            .begin(&self.state.ledger, &self.state.memberships)?;
        Ok(planned)
    }

    /// Plans what takes an earlier run back, by the records of the state folder. The directory isn't read.
    pub async fn plan_undo(
        &mut self,
        request: &UndoRequest,
        approve: Option<&Digest>,
    ) -> Result<PlannedUndo, RunFailure> {
        self.start_history();
        let approval = approve.map(|digest| Approval {
            digest: digest.clone(),
        });
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            approval: approval.as_ref(),
            schedule: Some(&self.session.schedule),
            ..RunOptions::new(&progress, &stop)
        };
        let Session {
            organization,
            policy,
            object,
            ..
        } = self.session;
        let records = self.records.read()?.records;
        let own = object.to_string();
        let records = (records.as_slice(), Some(own.as_str()));
        let state = &mut self.state;
        let planning = plan_undo(organization, policy, state, &options, records, request);
        let planning = with_progress(self.quiet, &progress, planning).instrument(object.span());
        let planned = stopped_by_signal(&stop, planning).await??;
        self.keep_history();
        let run = Some(planned.run.clone());
        self.state
            .history
            .start(run_info(&own, RunTrigger::Undo, run));
        Ok(planned)
    }

    /// Explains what the next run would make of one person or group. Notes nothing.
    pub async fn explain(&mut self, question: &Question) -> Result<Explanation, RunFailure> {
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            schedule: Some(&self.session.schedule),
            ..RunOptions::new(&progress, &stop)
        };
        let Session {
            source,
            organization,
            policy,
            object,
            ..
        } = self.session;
        let state = std::mem::take(&mut self.state);
        let asked = Asked {
            question,
            disclosure: Disclosure::Everything,
            compared: self.kept.groups(),
        };
        let answering = answer(&**source, organization, policy, state, &options, asked);
        let answering = with_progress(self.quiet, &progress, answering).instrument(object.span());
        let mut explanation = stopped_by_signal(&stop, answering).await??;
        match self.records.read() {
            Ok(parsed) => {
                let of = crate::sync::history::Selection {
                    directory_sync: Some(object.to_string()),
                    ..Default::default()
                };
                explanation.add_changes(of.of(parsed.records));
            }
            Err(error) => explanation
                .notes
                .push(format!("what earlier syncs changed: {error}")),
        }
        Ok(explanation)
    }

    /// Makes exactly the changes of a plan. Ctrl-C and SIGTERM end it at the next safe point.
    pub async fn apply(&mut self, mut planned: Planned) -> Result<Report, RunFailure> {
        planned.invalidate(&mut self.state);
        self.kept.forget_groups();
        self.keep_history();
        self.kept
            .save(&self.state.ledger, &self.state.memberships)?;
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let kept = KeptAhead(Mutex::new((
            &mut self.kept,
            self.state.memberships.clone().sent_only(),
        )));
        let options = RunOptions {
            checkpoints: Some(&kept),
            ..RunOptions::new(&progress, &stop)
        };
        let applying = planned.apply(&mut self.state, &options);
        let span = self.session.object.span();
        let applying = with_progress(self.quiet, &progress, applying).instrument(span);
        let report = stopped_by_signal(&stop, applying).await?;
        drop(kept);
        self.keep_history();
        self.kept
            .save(&self.state.ledger, &self.state.memberships)?;
        if report.is_ok() {
            self.keep_groups();
        }
        Ok(report?)
    }

    /// Notes what is new in the file of records. A run goes on where that fails.
    fn keep_history(&mut self) {
        let records = self.state.history.take_unsaved();
        if let Err(error) = self.records.append(&records) {
            tracing::warn!("the history isn't complete: {error}");
            self.state.history.put_back(records);
        }
    }

    /// What a plan reports without being applied. Since when it holds something is kept: an approval of
    /// it expires.
    pub fn preview(&mut self, planned: Planned) -> Result<Report, RunFailure> {
        if let Some(guarded) = planned.guarded()
            && self.state.ledger.note_hold(guarded)
        {
            let State {
                ledger,
                memberships,
                ..
            } = &self.state;
            self.kept.save(ledger, memberships)?;
        }
        let report = planned.preview(&mut self.state);
        self.keep_groups();
        Ok(report)
    }

    /// The report of a sync that has nothing to change. What it saw is kept: who has their access back
    /// by hand, and what is held.
    pub fn finish(&mut self, planned: Planned) -> Result<Report, RunFailure> {
        let report = planned.preview(&mut self.state);
        self.kept
            .save(&self.state.ledger, &self.state.memberships)?;
        self.keep_groups();
        Ok(report)
    }

    fn keep_groups(&self) {
        self.kept
            .keep_groups(&self.state.memberships, Timestamp::now());
    }
}

fn run_info(object: &str, trigger: RunTrigger, undoes: Option<RunId>) -> RunInfo {
    RunInfo {
        id: RunId::at(Timestamp::now()),
        trigger,
        approved_by: user().map(Into::into),
        undoes,
        directory_sync: Some(object.into()),
    }
}

/// The login name of whoever runs the command.
fn user() -> Option<String> {
    let mut names = ["LOGNAME", "USER"].into_iter();
    let name = names.find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    name.map(|name| sanitize(&name))
}

/// The state folder while changes are made, with what was sent as it was noted before them.
struct KeptAhead<'a>(Mutex<(&'a mut StateFile, MembershipCache)>);

impl Checkpoints for KeptAhead<'_> {
    fn interval(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn keep(&self, ledger: Ledger) -> BoxFuture<'_, ()> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, sent) = &mut *kept;
        if let Err(error) = file.save(&ledger, sent) {
            tracing::warn!(%error, "the record of removals stays as it was before the changes");
        }
        Box::pin(async {})
    }
}

async fn stopped_by_signal<F: Future>(stop: &CancellationToken, run: F) -> io::Result<F::Output> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut run = pin!(run);
    tokio::select! {
        output = &mut run => return Ok(output),
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    Ok(run.await)
}
