//! The operator: watches `DirectorySync` resources and keeps each in sync.
//!
//! ```text
//! operator         waits for the API server and the lease, then runs the rest until shutdown
//! leader_election  which process works: takes and renews the Lease
//! watch            one stream of changes from all watched namespaces
//! reconcile        one reconcile of one object: prepare → claims → decision → run → publish
//! prepare          spec, Secrets and ConfigMaps → clients of both sides
//! identity         tokens of ServiceAccounts for vendors
//! decision         whether to run now, and what triggers it (pure)
//! run              one run: stopped when the spec changes, its progress reported
//! claims           which object owns which organization, within this operator
//! claim_lease      the same across operators: one Lease per organization
//! checkpoints      the record of removals, kept while a run makes its changes
//! run_queue        who runs next; watchdog: which run makes no progress
//! memory_guard     ends the run that was sent the most before memory is used up
//! outcome          the result of a run, as status and messages (pure)
//! plan             the plan and what is remembered, in the ConfigMap or Secret `<name>-plan`
//! history          the records of what runs did, in the ConfigMap or Secret `<name>-history`
//! open_records     which of its records without an end the operator has written itself
//! sealed_runs      which of its runs the operator has written itself
//! cloud_events     sends these records to a receiver, where --audit-url names one
//! signals          watches directories between runs; a hint makes a run come early
//! companion        ConfigMaps and Secrets beside a resource, as plan, history and explain write them
//! backoff          how long a failed run waits
//! events           the events on the object
//! explain          answers questions about one person or group
//! undo             takes back what an earlier run did, as an annotation asks
//! answers          where those two answer
//! publish          status, events and condition metrics, kept consistent
//! ```
//!
//! Deleting a resource leaves the organization alone: there is no finalizer.

pub(crate) mod answers;
mod backoff;
mod checkpoints;
mod claim_lease;
mod claims;
mod cloud_events;
pub(crate) mod companion;
mod context;
mod decision;
mod events;
mod expiry;
pub(crate) mod explain;
mod fast_lane;
pub(crate) mod history;
mod identity;
mod leader_election;
mod memory_guard;
mod object_size;
mod objects;
mod open_records;
mod operator;
mod outcome;
mod ownership;
pub(crate) mod plan;
mod prepare;
mod publish;
mod reconcile;
mod record_seal;
mod references;
pub(crate) mod requests;
mod run;
mod run_queue;
pub(crate) mod sealed_runs;
mod settings;
mod signals;
mod state;
mod status;
mod timeout;
mod timing;
pub(crate) mod undo;
mod watch;
mod watchdog;

pub use cloud_events::AuditSettings;
pub use memory_guard::limit_of_cgroup;
pub use operator::{OperatorError, run};
pub use settings::{
    LeaderElection, NamespaceHost, NamespaceHosts, Namespaces, OperatorSettings, ResourcePolicy,
    is_namespace,
};
pub use timing::Timing;

/// Who we are to the API server.
const FIELD_MANAGER: &str = "directory-sync";
