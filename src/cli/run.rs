//! A run of one resource with what a terminal can show and say meanwhile.

use std::io;
use std::pin::pin;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::progress;
use super::session::{Session, SessionError};
use crate::sync::guard::{Approval, Digest};
use crate::sync::progress::Progress;
use crate::sync::report::{Mode, Report};
use crate::sync::run::{RunError, RunOptions, State, run};

/// Runs of one resource, each of which knows what the one before saw.
pub struct Run<'a> {
    session: &'a Session,
    state: State,
    quiet: bool,
}

/// Why a resource wasn't run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// It can't be run at all.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Signals.
    #[error("can't listen for signals")]
    Signals(#[from] io::Error),
}

impl<'a> Run<'a> {
    /// No run so far.
    pub fn new(session: &'a Session, quiet: bool) -> Self {
        Self {
            session,
            state: State::default(),
            quiet,
        }
    }

    /// Runs once. Ctrl-C and SIGTERM end it at the next safe point.
    /// `approve` lets the removals go ahead that it stands for, though they are past the limit.
    pub async fn execute(
        &mut self,
        mode: Mode,
        approve: Option<&Digest>,
    ) -> Result<Report, RunFailure> {
        let approval = approve.map(|digest| Approval {
            digest: digest.clone(),
            earlier: None,
        });
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            mode,
            approval: approval.as_ref(),
            everything: false,
            progress: &progress,
            before_changes: None,
            stop: &stop,
        };
        let Session {
            source,
            organization,
            policy,
            object,
            ..
        } = self.session;
        let run = run(&**source, organization, policy, &mut self.state, &options);
        let run = progress::with_progress(self.quiet, &progress, run).instrument(object.span());
        Ok(stopped_by_signal(&stop, run).await??)
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
