//! How far a run has come: a moving line on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{IsTerminal, stderr};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::sync::progress::{Phase, Progress};

/// How often the moving line moves.
const FRAME: Duration = Duration::from_millis(100);
/// How often a long phase says elsewhere how far it is.
const REMINDER: Duration = Duration::from_secs(10);

/// Runs `future` and shows on stderr what `progress` counts meanwhile.
pub async fn with_progress<F: Future>(quiet: bool, progress: &Progress, future: F) -> F::Output {
    if quiet {
        return future.await;
    }
    let mut display = Display::new();
    let mut future = pin!(future);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            output = &mut future => {
                display.end();
                return output;
            }
            _ = frames.tick() => display.show(progress),
        }
    }
}

enum Display {
    Bar(ProgressBar),
    Lines { last: Option<(Phase, Instant)> },
}

impl Display {
    fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]")
            .expect("the template names fields that indicatif has");
        bar.set_style(style);
        Self::Bar(bar)
    }

    fn show(&mut self, progress: &Progress) {
        let (phase, ..) = progress.now();
        match self {
            Self::Bar(bar) => {
                bar.set_message(describe(progress));
                bar.tick();
            }
            Self::Lines { last } => {
                let due = last.is_none_or(|(shown, at)| shown != phase || at.elapsed() >= REMINDER);
                if due {
                    eprintln!("{}", describe(progress));
                    *last = Some((phase, Instant::now()));
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn describe(progress: &Progress) -> String {
    let (phase, done, total) = progress.now();
    let mut text = match phase {
        Phase::Read => "reading both sides",
        Phase::ReadMemberships => "reading the members of groups",
        Phase::Plan => "working out the difference",
        Phase::ChangeMembers => "changing members",
        Phase::Invite => "inviting",
        Phase::ChangeGroups => "changing groups",
        Phase::Verify => "reading the organization again",
    }
    .to_owned();
    // Writing into a string can't fail.
    let _ = match phase {
        Phase::Read => {
            let users = progress.read.users.load(Ordering::Relaxed);
            let groups = progress.read.groups.load(Ordering::Relaxed);
            let read = match users + groups {
                0 => Ok(()),
                _ => write!(text, ": {users} people, {groups} groups"),
            };
            read.and_then(|()| match progress.read.waits_until() {
                None => Ok(()),
                Some(until) => write!(text, "; waits until {until} for the directory's rate limit"),
            })
        }
        _ if total > 0 => write!(text, ": {done} of {total}"),
        _ => Ok(()),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_shows_how_many_were_read_and_changing_how_many_are_left() {
        let progress = Progress::default();
        assert_eq!(describe(&progress), "reading both sides");
        progress.read.add_users(1_200);
        progress.read.add_groups(30);
        assert_eq!(
            describe(&progress),
            "reading both sides: 1200 people, 30 groups"
        );

        let soon = jiff::Timestamp::now() + Duration::from_secs(30);
        progress.read.wait_until(soon);
        let waiting = describe(&progress);
        assert!(waiting.contains("30 groups; waits until 20"), "{waiting}");

        progress.start(Phase::ChangeMembers, 90);
        progress.add(60);
        assert_eq!(describe(&progress), "changing members: 60 of 90");

        progress.start(Phase::Plan, 0);
        assert_eq!(describe(&progress), "working out the difference");
    }
}
