//! A run of one resource with what a terminal can show and say meanwhile.

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

/// Which removals past the limit may go ahead.
#[derive(Debug, Clone, Copy)]
pub enum Approve<'a> {
    /// None.
    Nothing,
    /// Those that this digest stands for.
    Removals(&'a str),
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

    /// Runs once. Ctrl-C ends it at the next safe point.
    pub async fn go(&mut self, mode: Mode, approve: Approve<'_>) -> Result<Report, RunFailure> {
        let approval = match approve {
            Approve::Nothing => None,
            Approve::Removals(digest) => Some(Approval {
                digest: Digest(digest.to_owned()),
                earlier: None,
            }),
        };
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            mode,
            approval: approval.as_ref(),
            everything: false,
            progress: &progress,
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
        let run = progress::shown(self.quiet, &progress, run).instrument(object.span());
        Ok(stopped_by_ctrl_c(&stop, run).await?)
    }
}

async fn stopped_by_ctrl_c<F: Future>(stop: &CancellationToken, run: F) -> F::Output {
    let mut run = std::pin::pin!(run);
    tokio::select! {
        output = &mut run => output,
        Ok(()) = tokio::signal::ctrl_c() => {
            stop.cancel();
            run.await
        }
    }
}
