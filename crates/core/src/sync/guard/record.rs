//! What is kept of a guarded plan: in the ledger and in the cache of memberships.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{GuardedPlan, Held};
use crate::directory::ExternalId;
use crate::sync::change_set::ChangeSet;
use crate::sync::ledger::{Hold, Ledger};
use crate::sync::memberships::{FailedChanges, MembershipCache};
use crate::sync::plan::{Change, Kind};

fn open(guarded: &GuardedPlan) -> Option<&Hold> {
    guarded.held.as_ref().map(|held| &held.hold)
}

impl Ledger {
    /// Notes what is about to be done. To be kept before the first change is made: a process that
    /// ends in the middle has then used up what it may have taken away.
    pub fn before(&mut self, guarded: &GuardedPlan, now: Timestamp) {
        self.keep_undone(guarded);
        self.record_start(&guarded.approved, guarded.used.as_ref(), open(guarded), now);
        self.note_limits(guarded);
        self.note_raised(&guarded.raised);
    }

    /// Notes what came of it: what wasn't done isn't counted.
    pub fn after(&mut self, guarded: &GuardedPlan, failed: &FailedChanges) {
        let holding = guarded.held.is_some();
        self.record_end(&guarded.approved, guarded.used.as_ref(), holding, failed);
    }

    /// Notes what a plan holds that is only looked at, if it holds anything; whether that is news. Of
    /// what it would do nothing is noted: it is to be done by another run.
    pub fn note_hold(&mut self, guarded: &GuardedPlan) -> bool {
        let hold = open(guarded);
        let is_new = hold.is_some_and(|hold| !self.has_open_hold(hold));
        if is_new {
            self.set_open(hold);
            self.note_limits(guarded);
        }
        is_new
    }

    /// Notes what a run did that ended early, by an error or because it was stopped. `done` are the
    /// changes that the server accepted: those of them that were approved
    /// aren't finished by the next run, whom it revoked it may restore, and whoever has their access back
    /// isn't revoked by us any more.
    /// `in_doubt` are the changes of roles and access that were requested without hearing an answer, or that were
    /// accepted where it was so already: what became of them the next run's read tells, as far as it can.
    pub fn interrupted(&mut self, guarded: &GuardedPlan, done: &ChangeSet, in_doubt: &ChangeSet) {
        let changes = || guarded.approved.changes.iter();
        self.record_access(changes().filter(|change| !in_doubt.has(change)), done);
        let done: Vec<&Change> = changes().filter(|change| done.has(change)).collect();
        self.record_done(&done, guarded.approved.undoes.is_some());
    }

    /// Notes whose revocations a run that ended early had requested without hearing an answer. Where the
    /// next run finds them revoked within an hour, it may restore them; whoever isn't revoked then
    /// wasn't by this run.
    pub fn requested<'a>(&mut self, people: impl IntoIterator<Item = &'a ExternalId>) {
        self.record_requested(people.into_iter());
    }

    /// Notes to whom a run that ended early was giving access back without hearing an answer. Whoever is
    /// found revoked after that may have been by hand: they aren't restored by themselves.
    pub fn restoring<'a>(&mut self, people: impl IntoIterator<Item = &'a ExternalId>) {
        self.record_restoring(people.into_iter());
    }

    /// Notes which of the invitations a run that ended early had requested to send again, by the members'
    /// external ids. The others weren't sent.
    pub fn reinvited(&mut self, guarded: &GuardedPlan, requested: &HashSet<ExternalId>) {
        self.take_back_reinvitations(&guarded.approved, requested);
    }

    /// The record to be kept while a run makes its changes: what the next run has to know if this
    /// process ends now. `done` as for [`Ledger::interrupted`]; `requested` are the revocations or restores
    /// that are requested next, in order. Of revocations only the first is noted: whom the process doesn't come
    /// to, and somebody revokes by hand, would count as revoked by us. `in_doubt` are the changes of roles and access
    /// that are requested until the next record, or without an answer so far.
    #[must_use]
    pub fn checkpoint(
        &self,
        guarded: &GuardedPlan,
        done: &ChangeSet,
        requested: &[&Change],
        in_doubt: &ChangeSet,
    ) -> Self {
        let of_kind = |kind: Kind| {
            let changes = requested.iter().filter(move |one| one.kind() == kind);
            changes.map(|change| change.external_id())
        };
        let mut ledger = self.clone();
        ledger.interrupted(guarded, done, in_doubt);
        ledger.requested(of_kind(Kind::Revoke).take(1));
        ledger.restoring(of_kind(Kind::Restore));
        ledger
    }

    /// Notes a run that changes nothing: the hold it found, where it found one, and who has their
    /// access back by hand. Where there is nothing to change, nothing is left of what was approved.
    pub fn observe(&mut self, guarded: &GuardedPlan) {
        self.keep_undone(guarded);
        self.notice(&guarded.approved);
        self.keep_revoked(&guarded.approved);
        self.keep_given(&guarded.approved);
        self.keep_given_access(&guarded.approved);
        // What was approved and isn't to be done any more isn't left for another accident. What a preview finds
        // still to be done is.
        match guarded.approved.changes.is_empty() {
            true => self.finish_approved(guarded.held.is_some()),
            false => self.keep_approved(&guarded.approved),
        }
        // An approval that a preview finds isn't used by it, and stands until a run does what it is of.
        self.set_open(open(guarded).or(guarded.used.as_ref()));
        self.note_limits(guarded);
    }

    fn note_limits(&mut self, guarded: &GuardedPlan) {
        if let Some(held) = &guarded.held {
            self.note_floors(&held.shares_of);
        }
    }
}

impl MembershipCache {
    /// Notes what the groups hold after an approved plan was applied but for what `failed`.
    pub fn record(&mut self, guarded: &GuardedPlan, failed: &FailedChanges) {
        self.record_applied(&guarded.approved, failed);
    }

    /// Notes what the groups hold where nothing was applied (a preview).
    pub fn observe(&mut self, guarded: &GuardedPlan) {
        let held = guarded.held.as_ref();
        self.record_seen(
            &guarded.approved,
            held.map_or(&[], |held: &Held| &held.changes),
        );
    }
}
