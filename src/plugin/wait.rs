//! Waits until what was asked for is done, and shows how far it is.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::ProgressBar;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::{Resource, State};
use crate::cli::output::complain;
use crate::text::one_line;

/// How long to wait before the resource is read again.
const LOOK: Duration = Duration::from_millis(500);
/// After this long without a response of the operator, a hint says what to look at.
const NO_RESPONSE_HINT_AFTER: Duration = Duration::from_secs(20);
/// So long something that kept the last run from beginning may still stand in status.
const GRACE: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Awaited {
    /// The answer to a request to sync.
    Request(String),
    /// The run that makes approved changes.
    Approval {
        /// The digest of the hold that was approved.
        digest: String,
        /// When the run before was.
        before: Option<Time>,
    },
}

/// How it ended, with what status says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ended well; the message says how.
    Done(String),
    /// Done, except for changes that are held until they are approved.
    Held(String),
    /// It failed; the message says why.
    Failed(String),
}

/// Looks at a resource until what was asked for is done.
///
/// # Errors
/// When the resource can't be looked at any more, or the time is over.
pub async fn wait(
    cluster: &Cluster,
    resource: &Resource,
    awaited: &Awaited,
    timeout: SignedDuration,
) -> Result<Ended, PluginError> {
    let began = Instant::now();
    let timeout = Duration::try_from(timeout).unwrap_or_default();
    let mut display = Display::new(resource.full_name());
    loop {
        let seen = cluster.find(resource.namespace(), resource.name()).await;
        let waited = began.elapsed();
        let eligibility = match seen {
            Ok(Some(now)) => match verdict(&now, awaited, waited) {
                None => now.state_in_words(),
                Some(ended) => {
                    display.end();
                    return Ok(ended);
                }
            },
            Ok(None) => {
                display.end();
                return Ok(Ended::Failed("it was deleted".into()));
            }
            // One that is away for a moment ends no wait.
            Err(PluginError::Unreachable { .. }) => "out of sight: the API server is away".into(),
            Err(error) => {
                display.end();
                return Err(error);
            }
        };
        if waited >= timeout {
            display.end();
            return Ok(Ended::Failed(format!(
                "not done after {}; it is {eligibility}",
                super::time::length(SignedDuration::try_from(timeout).unwrap_or_default())
            )));
        }
        display.show(&eligibility, waited);
        sleep(LOOK.min(timeout - waited)).await;
    }
}

/// Whether what was asked for is done; `None`: not yet.
fn verdict(now: &Resource, awaited: &Awaited, waited: Duration) -> Option<Ended> {
    let state = now.state();
    let message = now.ready().map_or("", |(_, message)| message);
    let message = format!("{}: {}", state.words(), one_line(message));
    match state {
        State::Waiting | State::Syncing | State::NotSeen => return None,
        State::Suspended => return Some(Ended::Failed(message)),
        // What keeps a run from beginning isn't the answer to a request: it stands there before
        // and after.
        State::Stalled if waited >= GRACE => return Some(Ended::Failed(message)),
        _ if !is_answered(now, awaited) => return None,
        _ => {}
    }
    Some(match state {
        State::Failing | State::Stalled => Ended::Failed(message),
        State::Held => Ended::Held(message),
        _ => Ended::Done(message),
    })
}

fn is_answered(now: &Resource, awaited: &Awaited) -> bool {
    let status = &now.status;
    match awaited {
        Awaited::Request(token) => {
            status.last_handled_sync_request.as_deref() == Some(token.as_str())
        }
        Awaited::Approval { digest, before } => {
            let held = status.held_removals.as_ref();
            let is_held = held.is_some_and(|held| held.digest == *digest);
            // A failed run leaves what is held as it was.
            let failed = matches!(now.state(), State::Failing | State::Stalled);
            !is_held || (failed && status.last_attempt_time != *before)
        }
    }
}

/// How far it is: a moving line on a terminal, a line for each change elsewhere.
pub struct Display {
    name: String,
    bar: Option<ProgressBar>,
    last: String,
    hinted: bool,
}

impl Display {
    /// About the resource of this name.
    pub fn new(name: String) -> Self {
        let bar = stderr().is_terminal().then(ProgressBar::new_spinner);
        Self {
            name,
            bar,
            last: String::new(),
            hinted: false,
        }
    }

    /// Shows the state it is in.
    pub fn show(&mut self, eligibility: &str, waited: Duration) {
        let text = format!("{}: {eligibility}", self.name);
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            None if self.last != text => {
                eprintln!("{text}");
                self.last = text;
            }
            None => {}
        }
        if waited >= NO_RESPONSE_HINT_AFTER
            && !self.hinted
            && !eligibility.starts_with(State::Syncing.words())
        {
            self.hinted = true;
            self.say(
                "the operator hasn't answered yet: is it running, does it watch this namespace, or \
                 is it busy with others? see kubectl directorysync logs",
            );
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("note: {text}")),
            None => complain(&format!("note: {text}")),
        }
    }

    /// Leaves the terminal as it was.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::conditions::{Blocker, Failure, HeldReason, Success, SyncOutcome};
    use crate::api::status::HeldRemovals;
    use crate::plugin::resource::tests::resource;

    fn request() -> Awaited {
        Awaited::Request("now".into())
    }

    fn in_sync() -> Resource {
        let mut resource = resource(
            &SyncOutcome::Succeeded {
                reason: Success::Succeeded,
                message: "3 members".into(),
                held: None,
            },
            2,
        );
        resource.status.last_handled_sync_request = Some("now".into());
        resource
    }

    fn held(digest: &str) -> Resource {
        let mut resource = resource(
            &SyncOutcome::Succeeded {
                reason: Success::Succeeded,
                message: "3 members".into(),
                held: Some((HeldReason::LimitExceeded, "7 wait".into())),
            },
            2,
        );
        resource.status.held_removals = Some(HeldRemovals {
            digest: digest.into(),
            ..HeldRemovals::default()
        });
        resource
    }

    #[test]
    fn an_older_answer_than_the_one_asked_for_is_waited_past() {
        let mut resource = in_sync();
        let done = Ended::Done("in sync: 3 members".into());
        assert_eq!(verdict(&resource, &request(), Duration::ZERO), Some(done));
        resource.status.last_handled_sync_request = Some("before".into());
        assert_eq!(verdict(&resource, &request(), Duration::ZERO), None);
        resource.status.last_handled_sync_request = Some("now".into());
        resource.object.metadata.generation = Some(3);
        assert_eq!(verdict(&resource, &request(), Duration::ZERO), None);
    }

    #[test]
    fn a_failure_that_answers_ends_the_wait_and_one_from_before_does_not() {
        let failed = SyncOutcome::Failed {
            reason: Failure::SourceUnavailable,
            message: "refused".into(),
        };
        let mut resource = resource(&failed, 2);
        assert_eq!(verdict(&resource, &request(), GRACE * 3), None);
        resource.status.last_handled_sync_request = Some("now".into());
        assert_eq!(
            verdict(&resource, &request(), Duration::ZERO),
            Some(Ended::Failed("failing: refused".into()))
        );
    }

    #[test]
    fn what_keeps_a_run_from_beginning_gets_a_moment_to_be_taken_back() {
        let stalled = SyncOutcome::Stalled {
            reason: Blocker::ReferenceNotFound,
            message: "Secret org is missing".into(),
        };
        let resource = resource(&stalled, 2);
        assert_eq!(verdict(&resource, &request(), Duration::ZERO), None);
        assert_eq!(
            verdict(&resource, &request(), GRACE),
            Some(Ended::Failed("stalled: Secret org is missing".into()))
        );
    }

    #[test]
    fn an_approval_is_answered_once_other_removals_are_held_or_none_or_its_run_failed() {
        let approval = Awaited::Approval {
            digest: "a".into(),
            before: Some(Time(Timestamp::UNIX_EPOCH)),
        };
        let verdict = |resource: &Resource| verdict(resource, &approval, Duration::ZERO);
        assert_eq!(verdict(&held("a")), None);
        assert!(matches!(verdict(&held("b")), Some(Ended::Held(_))));
        assert!(matches!(verdict(&in_sync()), Some(Ended::Done(_))));
        // A scheduled run that hadn't seen the approval yet is no answer.
        let mut unseen = held("a");
        unseen.status.last_attempt_time = Some(Time(Timestamp::MAX));
        assert_eq!(verdict(&unseen), None);

        let failed = SyncOutcome::Failed {
            reason: Failure::ApplyFailed,
            message: "503".into(),
        };
        let mut resource = resource(&failed, 2);
        resource.status.held_removals = held("a").status.held_removals;
        resource.status.last_attempt_time = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(verdict(&resource), None);
        resource.status.last_attempt_time = Some(Time(Timestamp::MAX));
        assert_eq!(
            verdict(&resource),
            Some(Ended::Failed("failing: 503".into()))
        );
    }
}
