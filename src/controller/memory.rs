//! What is known of one object from one reconcile to the next.

use super::due::{Fingerprint, Past};
use super::references::Versions;
use crate::api::DirectorySyncStatus;
use crate::api::conditions::Blocker;
use crate::api::validation::ValidatedSpec;
use crate::organization::OrganizationClient;
use crate::source::Source;
use crate::sync::guard::FingerprintSet;
use crate::sync::run::State;

/// What is known of one object from one reconcile to the next. Nothing of it is needed to be
/// right; a restart goes on from status and the plan's ConfigMap.
#[derive(Default)]
pub struct Memory {
    /// The runs so far; `None` before status was looked at.
    pub past: Option<Past>,
    /// Status as the API server has it.
    pub status: DirectorySyncStatus,
    /// Status as it should be, where writing it failed.
    pub unwritten: Option<DirectorySyncStatus>,
    /// What the spec and its Secrets came to.
    pub prepared: Option<Prepared>,
    /// What the last run leaves to the next.
    pub state: State,
    /// The removals that were held, or approved and not finished.
    pub removals: Option<FingerprintSet>,
    /// What stands in the plan's ConfigMap.
    pub plan: WrittenPlan,
}

/// What stands in the plan's ConfigMap, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenPlan {
    /// It was looked at, or written.
    pub known: bool,
    /// Stands for all of it; `None` where there is none, or it couldn't be written.
    pub content: Option<Fingerprint>,
    /// It tells of held removals.
    pub has_removals: bool,
    /// Its memory of memberships.
    pub memberships: Option<String>,
    /// It is somebody else's, and that was said.
    pub foreign: bool,
}

/// What a generation of the spec and its Secrets came to.
pub struct Prepared {
    /// Of which generation.
    pub generation: i64,
    /// The versions of the Secrets and ConfigMaps it was made with.
    pub versions: Versions,
    /// Stands for what they held.
    pub fingerprint: Fingerprint,
    /// Everything that is needed to run, or why there is no running.
    pub remote: Result<Remote, Blocked>,
}

/// Both sides, ready to be used.
pub struct Remote {
    /// The spec.
    pub spec: ValidatedSpec,
    /// The directory.
    pub source: Box<dyn Source>,
    /// The organization.
    pub organization: OrganizationClient,
}

/// Something that only a person can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// What kind of thing.
    pub blocker: Blocker,
    /// What to do.
    pub message: String,
}
