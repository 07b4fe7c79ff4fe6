//! Runs that are recorded, and undone by their records.

use directory_sync_core::organization::model::Organization;
use directory_sync_core::sync::guard::{GuardedPlan, guard};
use directory_sync_core::sync::history::{History, Record, RunId, RunInfo, RunTrigger};
use directory_sync_core::sync::plan::Change;
use directory_sync_core::sync::policy::Policy;
use directory_sync_core::sync::report::Outcomes;
use directory_sync_core::sync::undo::{RunChoice, Scope, Sides, draft, groups_to_read, select};
use directory_sync_core_testing::{ModelOrganization, Run, TestDirectory, failed};
use jiff::SignedDuration;

use crate::killed::Killed;

/// What was done, by run.
#[derive(Default)]
pub struct Records(Vec<Record>);

impl Records {
    fn add(
        &mut self,
        guarded: &GuardedPlan,
        before: &Organization,
        run: &Run,
        refused: &dyn Fn(&Change) -> bool,
    ) {
        let mut history = History::default();
        let undoes = guarded
            .approved
            .undoes
            .as_ref()
            .map(|undoes| undoes.run.clone());
        history.start(RunInfo {
            id: RunId::at(run.now),
            trigger: match undoes {
                Some(_) => RunTrigger::Undo,
                None => RunTrigger::Scheduled,
            },
            approved_by: None,
            undoes,
            directory_sync: None,
        });
        history.begin(guarded, before, &run.ledger, run.now);
        let changes = &guarded.approved.changes;
        let mut outcomes = Outcomes::new(changes.len());
        for (at, change) in changes.iter().enumerate() {
            outcomes.sent(at, None);
            match refused(change) {
                true => outcomes.refused(at, run.now, "refused"),
                false => outcomes.done(at, run.now),
            }
        }
        history.end(guarded, before, &outcomes, None, &mut |_| {});
        self.0.extend(history.take_unsaved());
    }

    /// A run like [`Run::sync`] that is recorded.
    pub fn sync(
        &mut self,
        run: &mut Run,
        directory: &TestDirectory,
        organization: &mut ModelOrganization,
        policy: &Policy,
    ) -> GuardedPlan {
        let before = organization.read();
        let guarded = run.sync(directory, organization, policy);
        let organization = &*organization;
        self.add(&guarded, &before, run, &|change| {
            organization.refuses(change)
        });
        guarded
    }

    /// What takes back the last run that changed something; `None` where there is none.
    fn planned(
        &self,
        run: &mut Run,
        organization: &ModelOrganization,
        policy: &Policy,
    ) -> Option<GuardedPlan> {
        let selected = select(&self.0, &RunChoice::Last, &Scope::default(), None).ok()?;
        let Organization::Read(content) = organization.read() else {
            return None;
        };
        run.ledger.keep_for("organization", run.now);
        let memberships = organization.read_groups(&groups_to_read(&selected, &content));
        let sides = Sides {
            content: &content,
            memberships: &memberships,
            collections: &Default::default(),
            ledger: &run.ledger,
            policy,
        };
        let undo = draft(&selected, &sides);
        Some(guard(undo.plan, policy, &run.ledger, run.now, None))
    }

    /// Takes it back, a minute later.
    pub fn undo(
        &mut self,
        run: &mut Run,
        organization: &mut ModelOrganization,
        policy: &Policy,
    ) -> Option<GuardedPlan> {
        run.now += SignedDuration::from_mins(1);
        let guarded = self.planned(run, organization, policy)?;
        let before = organization.read();
        run.ledger.before(&guarded, run.now);
        organization.apply(&guarded.approved);
        let failed = failed(&guarded, true, |change| organization.refuses(change));
        run.memory.invalidate();
        run.ledger.after(&guarded, &failed);
        let organization = &*organization;
        self.add(&guarded, &before, run, &|change| {
            organization.refuses(change)
        });
        Some(guarded)
    }

    /// The same of an undo that is killed in the middle.
    pub fn killed_undo(
        &mut self,
        run: &mut Run,
        organization: &mut ModelOrganization,
        policy: &Policy,
        how: Killed,
    ) {
        run.now += SignedDuration::from_mins(1);
        let guarded = self.planned(run, organization, policy).unwrap();
        how.make(run, &guarded, organization);
        run.memory.invalidate();
    }
}
