//! What a source's folder implements, so that nobody else has to know its settings.

use std::fmt;
use std::sync::Arc;

use super::{Source, SourceEnvironment, SourceError};
use crate::checks::Checks;
use crate::http::Observer;
use crate::references::{KeyOf, Reference, ReferencedData, Unresolved};

/// What a spec says of one directory, before anything of it was checked.
pub trait Validate {
    /// The settings with their defaults; what is wrong is noted in `checks`, each with its field.
    ///
    /// `reads_groups` is false where the rest of the spec has no use for groups. `None` comes only
    /// together with something noted.
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>>;
}

/// A directory's settings that can be followed. They hold no secret, only where each secret is.
pub trait SourceSettings: fmt::Debug + Send + Sync {
    /// The Secrets and ConfigMaps that [`SourceSettings::connect`] needs, with their keys.
    fn references(&self) -> Vec<Reference>;

    /// Those of them that are names and no credentials, such as the DN to bind with.
    fn names(&self) -> Vec<KeyOf> {
        Vec::new()
    }

    /// The hosts that are connected to: names or addresses, without brackets. For a domain whose
    /// servers are looked up, the domain.
    fn hosts(&self) -> Vec<String>;

    /// Whether it can be told of an account that it is disabled.
    fn tells_disabled(&self) -> bool {
        true
    }

    /// Settings, such as `users.memberOf`, by which an account may no longer be read once it is disabled, moved
    /// or taken out of its groups: each by its field. It is absent then, disabled or not.
    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The directory, ready to be read, with the credentials that `data` holds, or an identity that
    /// `environment` gives. `observer` is called for each request. Connects to nothing yet.
    ///
    /// # Errors
    /// When a Secret or ConfigMap is missing or can't be used, or the settings can't work whatever
    /// the directory says.
    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        environment: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError>;
}

/// Why settings and Secrets don't make a source.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Secrets and ConfigMaps are missing or can't be used.
    #[error(transparent)]
    References(#[from] Unresolved),
    /// The settings can't work.
    #[error(transparent)]
    Source(#[from] SourceError),
}
