//! The state of one object that is kept from one reconcile to the next.

use std::sync::Arc;

use tracing::Instrument;

use super::answers::Answered;
use super::decision::{Fingerprint, History};
use super::fast_lane::FastLaneBudget;
use super::open_records::OpenRecords;
use super::plan::PlanIndex;
use super::record_seal::RecordSeal;
use super::references::Versions;
use super::sealed_runs::NamedRuns;
use super::signals::{DirectoryWatch, EarlyRuns};
use crate::api::DirectorySyncStatus;
use crate::api::conditions::Blocker;
use crate::api::spec::PlanStorage;
use crate::api::status::ClaimStatus;
use crate::organization::OrganizationClient;
use crate::source::Source;
use crate::sync::run::State;
use crate::telemetry::Object;
use crate::validation::ValidatedSpec;

/// The state of one object that is kept from one reconcile to the next. Correctness doesn't depend
/// on it: a restart goes on from status and the object `<name>-plan`.
#[derive(Default)]
pub struct ObjectState {
    /// The runs so far; `None` before status was looked at.
    pub history: Option<History>,
    /// Status as the API server has it.
    pub status: DirectorySyncStatus,
    /// Status as it should be, where writing it failed.
    pub unwritten: Option<DirectorySyncStatus>,
    /// The spec and its Secrets, read and checked.
    pub prepared: Option<Prepared>,
    /// What the last run leaves to the next.
    pub sync: State,
    /// The directory turned out to be large in a run that didn't end.
    pub large: bool,
    /// The question about one person or group that was answered last.
    pub answered: Option<Answered>,
    /// The undo that was answered last.
    pub undone: Option<Answered>,
    /// Which undo may be done; `None` before status was looked at.
    pub undo_word: Option<UndoWord>,
    /// What people took back was looked for in the history, where the record may lack it.
    pub undone_recalled: bool,
    /// What is kept beside the object: the plan and the record.
    pub plan: WrittenPlan,
    /// The approval that fits nothing and that an event has told of.
    pub void_approval: Option<String>,
    /// Where the records of what runs did are kept.
    pub records: KeptRecords,
    /// Notices changes in the directory between two runs, where that is possible.
    pub watch: Option<DirectoryWatch>,
    /// What runs that came early have cost.
    pub early_runs: EarlyRuns,
    /// How many people may be looked at without a whole run.
    pub fast_lane: FastLaneBudget,
}

/// Which undo may be done: the one that was shown last, once. Only status says so, which only the operator writes:
/// what else would say it, others can take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoWord {
    /// Identifies what was shown and may be confirmed.
    pub shown: Option<String>,
    /// The ID of the confirmed request that was begun last.
    pub handled: Option<String>,
}

impl UndoWord {
    /// As an earlier process left it.
    pub fn of(status: &DirectorySyncStatus) -> Self {
        Self {
            shown: status.shown_undo.clone(),
            handled: status.last_handled_undo_request.clone(),
        }
    }

    /// Writes it into status.
    pub fn put(&self, status: &mut DirectorySyncStatus) {
        status.shown_undo.clone_from(&self.shown);
        status.last_handled_undo_request.clone_from(&self.handled);
    }
}

/// Where the records of what runs did are kept, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptRecords {
    /// The kind of object that was looked at.
    pub storage: Option<PlanStorage>,
    /// The other kind may still hold a copy.
    pub copy_in_other: bool,
    /// An event has said that they can't be written.
    pub reported: bool,
    /// Those without an end.
    pub open: OpenRecords,
    /// Identifies the seal of the runs that were written last, or are about to be.
    pub runs: NamedRuns,
}

impl KeptRecords {
    /// Writes into status which records are the operator's, where it looked at them.
    pub fn put(&self, status: &mut DirectorySyncStatus) {
        if self.storage.is_some() {
            status.open_records_digest = self.open.latest().digest();
            self.runs.put(status);
        }
    }
}

impl ObjectState {
    /// Identifies the seal of the runs that this operator has written.
    pub fn named_runs(&self) -> NamedRuns {
        match self.records.storage {
            Some(_) => self.records.runs.clone(),
            None => NamedRuns::of(&self.status),
        }
    }
}

/// The content of the plan's ConfigMap or Secret, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenPlan {
    /// The kind of object that was looked at, or written.
    pub storage: Option<PlanStorage>,
    /// The other kind may still hold a copy: of this plan.
    pub copy_in_other: Option<PlanIndex>,
    /// Digest of all of it; `None` where there is none, or it couldn't be written.
    pub content: Option<Fingerprint>,
    /// It lists held changes.
    pub lists_held: bool,
    /// The hold whose changes it lists, and what identifies the list.
    pub held: Option<HeldList>,
    /// How many changes and problems it lacks, because there was no room for them.
    pub omitted: usize,
    /// Digest of the memberships in it.
    pub memberships: Option<String>,
    /// The records of removals that status names, or will.
    pub seal: RecordSeal,
    /// How many changes the ledger holds because somebody took them back.
    pub undone: Option<i64>,
    /// An event has said that it can't be written.
    pub reported: bool,
    /// An event has said that it can't be written whole.
    pub reported_omission: bool,
}

/// The held changes of a plan, as it lists them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeldList {
    /// The digest that approves them.
    pub digest: String,
    /// What identifies the list.
    pub plan_digest: String,
}

impl WrittenPlan {
    /// Writes into status how the plan lists what is held, where both are about the same hold.
    pub fn identify_held(&self, status: &mut DirectorySyncStatus) {
        if let (Some(list), Some(held)) = (&self.held, &mut status.held_removals)
            && list.digest == held.digest
        {
            held.plan_digest = Some(list.plan_digest.clone());
        }
    }
}

/// A generation of the spec with its Secrets, read and checked.
pub struct Prepared {
    /// The generation of the spec.
    pub generation: i64,
    /// The versions of the Secrets and ConfigMaps it was made with.
    pub versions: Versions,
    /// Digest of what they held.
    pub fingerprint: Fingerprint,
    /// Everything that is needed to run, or why there is no running.
    pub connected: Result<Connected, Blocked>,
}

/// Both sides, ready to be used.
pub struct Connected {
    /// The spec that both clients were made from.
    pub spec: ValidatedSpec,
    /// The source that reads the directory.
    pub source: Arc<dyn Source>,
    /// Reads and changes the organization.
    pub organization: OrganizationClient,
}

impl Connected {
    /// Has both sides asked for what no run needs: when credentials end of which the directory alone knows, and how many
    /// seats there are. No run waits for an answer: one that comes late is for the next.
    pub fn ask_beside(&self, object: &Object) {
        let (source, organization) = (Arc::clone(&self.source), self.organization.clone());
        let asking = async move {
            tokio::join!(source.ask_expiries(), organization.refresh_seats());
        };
        tokio::spawn(asking.instrument(object.span()));
    }

    /// The prefix of the external ids that the resource claims for itself. Where the organization can't
    /// be read that is all of them: an account there is found by its address, so resources with
    /// different prefixes would take over each other's. Before it is known, what it claimed `before`
    /// stands.
    pub fn claimed_prefix(&self, before: Option<&ClaimStatus>) -> &str {
        let organization = self.organization.organization_id();
        let whole = ClaimStatus::new(organization, "");
        match self.organization.can_be_read() {
            Some(false) => "",
            None if before == Some(&whole) => "",
            _ => &self.spec.policy.external_id_prefix,
        }
    }
}

/// A problem that needs manual action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The reason that conditions and events give.
    pub blocker: Blocker,
    /// What a person has to change, for the condition `Stalled`.
    pub message: String,
}
