//! One entry that a source was asked for by name, whatever its filters leave out.

use crate::text::sanitize;
use crate::{AccountState, ExternalId};

/// An entry that the directory has under the name that was asked for.
///
/// It is for explanations alone: whether somebody is in the directory is decided by what a complete
/// read lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// The entry as its administrators know it (a DN), cut to a harmless length.
    pub entry: Box<str>,
    /// The id that a read would give it, without the resource's prefix; `None` where it has none.
    pub id: Option<ExternalId>,
    /// Its email as the directory has it, cut to a harmless length; empty where it has none.
    pub email: Box<str>,
    /// Whether the account may be used; `None` where nobody can tell, and for groups.
    pub state: Option<AccountState>,
}

impl LookedUp {
    /// An entry as a vendor's API shows it.
    pub fn new(entry: &str, id: &str, email: &str, state: Option<AccountState>) -> Self {
        Self {
            entry: sanitize(entry).into(),
            id: ExternalId::parse(id).ok(),
            email: sanitize(email).into(),
            state,
        }
    }
}

/// What a source answers when it is asked for one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Lookup {
    /// This kind of source can't be asked for one entry.
    #[default]
    Unsupported,
    /// The entries that it found without its filters; at most a few.
    Found(Vec<LookedUp>),
}
