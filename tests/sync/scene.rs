//! A company in memory, its organization, and what one process leaves to the next.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use directory_sync::organization::OrganizationClient;
use directory_sync::sync::checkpoint::Checkpoints;
use directory_sync::sync::guard::Approval;
use directory_sync::sync::history::{RunId, RunInfo, RunTrigger};
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::policy::Policy;
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{RunError, RunOptions, State, plan};
use futures::future::BoxFuture;
use jiff::Timestamp;
use simulators::organization::SimulatedOrganization;
use tokio_util::sync::CancellationToken;

use crate::history::{Company, Kept};
use crate::world::{NO_RETRY, client, policy};

/// An organization with its directory and rules, and what one process leaves to the next.
pub struct Scene {
    pub organization: SimulatedOrganization,
    pub client: OrganizationClient,
    pub company: Company,
    pub policy: Policy,
    pub state: State,
    pub kept: Kept,
}

/// The record that was kept last while changes were made.
#[derive(Default)]
struct KeptRecord(Mutex<Option<Vec<u8>>>);

impl Checkpoints for KeptRecord {
    fn interval(&self) -> Duration {
        Duration::ZERO
    }

    fn keep(&self, ledger: Ledger) -> BoxFuture<'_, ()> {
        *self.0.lock().unwrap() = Some(ledger.to_bytes());
        Box::pin(async {})
    }
}

/// IDs of people, as a group of the company has them.
pub fn people(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Groups with an ID, a name and their people; each of these works there with the ID as the address.
pub fn company(ids: &[&str], groups: &[(&str, &str, &[&str])]) -> Company {
    let group = |(id, name, inside): &(&str, &str, &[&str])| {
        ((*id).to_owned(), (*name).to_owned(), people(inside))
    };
    Company {
        people: ids
            .iter()
            .map(|id| ((*id).to_owned(), email(id), false))
            .collect(),
        groups: groups.iter().map(group).collect(),
    }
}

pub fn email(id: &str) -> String {
    format!("{id}@example.com")
}

impl Scene {
    pub fn new(organization: SimulatedOrganization, company: Company) -> Self {
        let state = State::default();
        let kept = Kept {
            ledger: state.ledger.to_bytes(),
            memberships: MembershipCache::default(),
            history: String::new(),
        };
        Self {
            client: client(&organization, NO_RETRY),
            organization,
            company,
            policy: policy(),
            state,
            kept,
        }
    }

    /// A run that keeps, as it ends, nothing for the next process: as if it were killed then.
    pub async fn try_run(&mut self, approval: Option<&Approval>) -> Result<Report, RunError> {
        self.state.history.start(RunInfo {
            id: RunId::at(Timestamp::now()),
            trigger: RunTrigger::Command,
            approved_by: None,
            undoes: None,
            directory_sync: None,
        });
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let kept = KeptRecord::default();
        let options = RunOptions {
            approval,
            checkpoints: Some(&kept),
            ..RunOptions::new(&progress, &stop)
        };
        let (company, client) = (&self.company, &self.client);
        let mut planned = plan(company, client, &self.policy, &mut self.state, &options).await?;
        planned.invalidate(&mut self.state);
        self.kept.keep(&mut self.state);
        let report = planned.apply(&mut self.state, &options).await;
        let record = kept.0.into_inner().unwrap();
        self.kept.ledger = record.unwrap_or(std::mem::take(&mut self.kept.ledger));
        report
    }

    pub async fn run(&mut self) -> Result<Report, RunError> {
        let report = self.try_run(None).await?;
        self.kept.keep(&mut self.state);
        Ok(report)
    }

    /// The process is killed, and the next one knows what was kept.
    pub fn kill(&mut self) {
        self.state = self.kept.restore();
    }
}
