//! Who was disabled when, and when they were revoked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use simulators::organization::Event;

use crate::Pair;

/// How often the organization's journal is looked at: how exact the figures are.
const LOOK: Duration = Duration::from_millis(10);
/// After the last change, until whoever isn't revoked counts as missed: more than a run's interval.
const LAST_WAIT: Duration = Duration::from_secs(17 * 60);
/// With so many leavers somebody joins.
const JOINS: usize = 5;

/// Somebody who was disabled and revoked.
pub struct Leaver {
    pub email: String,
    /// Just before the change in the directory.
    pub left: Timestamp,
    /// From then to the revocation.
    pub took: Duration,
}

/// What came of one directory.
pub struct Figures {
    /// Whoever was revoked, the soonest first.
    pub revoked: Vec<Leaver>,
    /// Whoever was disabled and not revoked.
    pub missed: usize,
    /// Whoever lost something and had not left.
    pub others: usize,
}

impl Figures {
    /// The time within which this share of all were revoked.
    pub fn at(&self, share: f64) -> Duration {
        let last = self.revoked.len().saturating_sub(1);
        let at = (share * self.revoked.len() as f64).ceil() as usize;
        let at = at.saturating_sub(1).min(last);
        self.revoked.get(at).map_or(Duration::ZERO, |one| one.took)
    }
}

/// Disables so many people at random times, and changes others meanwhile.
pub fn measure(pair: &Pair, disables: usize, gap: Duration) -> Result<Figures> {
    let directory = &pair.directory;
    let mut people: Vec<u32> = (0..directory.people()).collect();
    fastrand::shuffle(&mut people);
    let (leavers, staying) = people.split_at(disables.min(people.len()));
    let mut journal = Journal {
        pair,
        since: HashMap::new(),
        figures: Figures {
            revoked: vec![],
            missed: 0,
            others: 0,
        },
    };
    drop(pair.organization.take_history());
    for (at, &leaver) in leavers.iter().enumerate() {
        // Times between independent events.
        let wait = gap.mul_f64(-(1.0 - fastrand::f64()).ln());
        journal.watch_for(wait);
        directory.touch(staying[fastrand::usize(..staying.len())])?;
        if at % JOINS == 0 {
            directory.join(at as u32)?;
        }
        let email = directory.email(leaver);
        journal
            .since
            .insert(email, (Instant::now(), Timestamp::now()));
        directory.disable(leaver)?;
        if at % 50 == 49 {
            let so_far = journal.figures.revoked.len();
            eprintln!("{}: {} disabled, {so_far} revoked", pair.name, at + 1);
        }
    }
    let ended = Instant::now();
    while !journal.since.is_empty() && ended.elapsed() < LAST_WAIT {
        journal.watch_for(LOOK);
    }
    let mut figures = journal.figures;
    figures.missed = journal.since.len();
    figures.revoked.sort_by_key(|one| one.took);
    Ok(figures)
}

struct Journal<'a> {
    pair: &'a Pair,
    /// Whoever was disabled and isn't revoked yet.
    since: HashMap<String, (Instant, Timestamp)>,
    figures: Figures,
}

impl Journal<'_> {
    fn watch_for(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            self.look();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn look(&mut self) {
        for event in self.pair.organization.take_history() {
            if !event.is_loss() {
                continue;
            }
            let email = match &event {
                Event::Revoked { email, .. } => email.as_str(),
                _ => "",
            };
            match self.since.remove(email) {
                Some((since, left)) => self.figures.revoked.push(Leaver {
                    email: email.to_owned(),
                    left,
                    took: since.elapsed(),
                }),
                None => {
                    eprintln!("{}: unexpected: {event:?}", self.pair.name);
                    self.figures.others += 1;
                }
            }
        }
    }
}
