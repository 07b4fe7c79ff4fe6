//! Notices changes between reads, by the times of the last changes of accounts. Nothing tells who came into or
//! left a role: that is noticed by the scheduled run.
//!
//! A login is a change of an account, too. So each is compared with what the last read saw, and only what matters to a
//! run is told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::changes::{self, Changed, Changes};
use super::known::{KnownPeople, Listed, Standing};
use super::limit::REQUESTS_PER_HOUR;
use super::pages::{Account, Extent};
use super::settings::OneLoginSettings;
use crate::directory::ExternalId;
use crate::http::ApiError;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// What changes between two looks is on so many pages at most.
const MOST_PAGES: u32 = 10;
/// A watch sends so many requests an hour.
const EACH: u32 = 80;
/// All watches of an account together send one of so many that may be sent.
const PART_OF_SHARE: u32 = 5;

/// Watches until a question fails. `since` is when the last read began.
pub(super) async fn watch(
    account: &Account,
    settings: &OneLoginSettings,
    known: &KnownPeople,
    since: Timestamp,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        account,
        settings,
        known,
        observer,
        told: HashMap::new(),
        reads: known.reads(),
    };
    match watch.execute(since).await {
        Ok(never) => match never {},
        Err(error) => WatchEnd::Lost(SourceError::from(error)),
    }
}

struct Watch<'a> {
    account: &'a Account,
    settings: &'a OneLoginSettings,
    known: &'a KnownPeople,
    observer: &'a dyn WatchObserver,
    /// What was told of since the last read.
    told: HashMap<u64, Listed>,
    /// How many reads there were by then.
    reads: u64,
}

impl Watch<'_> {
    async fn execute(mut self, mut since: Timestamp) -> Result<Infallible, ApiError> {
        let all = self.account.join_watches();
        let share = REQUESTS_PER_HOUR * u32::from(self.settings.rate_limit_share) / 100;
        let mut is_watching = false;
        loop {
            let began = Instant::now();
            // What a read saw that went on meanwhile is as of its beginning.
            let known_until = self.known.until().unwrap_or(Timestamp::MAX);
            let from = changes::before(since.min(known_until));
            let changes = changes::list(self.account, self.settings, self.known, from, MOST_PAGES);
            let changes = changes.await?;
            changes.note(self.known);
            let has_leaver = self.tell(&changes);
            since = self.next(since, &changes);
            let slower_by = all.slower_by(EACH, share / PART_OF_SHARE);
            let [every, soon] = self.waits(&changes).map(|wait| wait * slower_by);
            if !std::mem::replace(&mut is_watching, true) {
                self.observer.watching(WatchMethod::Poll(every));
            }
            sleep_until(began + if has_leaver { soon } else { every }).await;
        }
    }

    /// From the beginning of this look to that of the next: while nothing happens, and after somebody who seems to
    /// have left. Whoever leaves with them is found sooner.
    fn waits(&self, changes: &Changes) -> [Duration; 2] {
        let interval = self.settings.poll_interval;
        let every = interval.max(interval / 3 * changes.pages);
        let soon = (interval / 3 * 2).max(interval / 6 * changes.pages);
        [every, soon.min(every)]
    }

    /// From when on the next look has to be.
    fn next(&self, since: Timestamp, changes: &Changes) -> Timestamp {
        let latest = changes.accounts.iter().map(|changed| changed.updated).max();
        match changes.extent {
            Extent::Whole => changes.began,
            // The same is asked for again.
            Extent::Moved => since,
            Extent::PassedOver => latest.unwrap_or(since).max(since),
            Extent::Longer => {
                // A run sees the others.
                self.known.lose_track();
                self.observer.changed(Hint::default());
                latest.unwrap_or(since).max(since)
            }
        }
    }

    /// Tells what matters of these changes. Whether somebody seems to have left.
    fn tell(&mut self, changes: &Changes) -> bool {
        let reads = self.known.reads();
        if std::mem::replace(&mut self.reads, reads) != reads {
            self.told.clear();
        }
        let mut has_leaver = false;
        for Changed {
            listed, updated, ..
        } in &changes.accounts
        {
            let told = self.told.get(&listed.id).copied();
            let last = self.known.last(listed.id);
            let before = told.or(last.flatten());
            // Nobody whom no read saw can lose anything.
            let is_nobody = last == Some(None)
                && before.is_none()
                && matches!(listed.standing, Standing::Gone | Standing::Absent);
            if before.as_ref() == Some(listed) || is_nobody {
                continue;
            }
            self.told.insert(listed.id, *listed);
            let was_gone = before.is_some_and(|before| before.standing == Standing::Gone);
            let leaves = listed.standing == Standing::Gone && !was_gone;
            let id = leaves.then(|| ExternalId::parse(&listed.id.to_string()).ok());
            has_leaver |= leaves;
            self.observer.changed(Hint {
                changed: Some(*updated),
                leaver: id.flatten(),
            });
        }
        has_leaver
    }
}
