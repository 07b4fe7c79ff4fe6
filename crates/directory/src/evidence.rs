//! Why somebody may lose something: what the directory says of an account, and what says so.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// The account may be used.
    Active,
    /// It exists and is disabled at the source.
    Disabled,
    /// The source lists it as deleted.
    Deleted,
}

/// The state of an account as a source reads it, with the attribute that says so.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// Whether the account may be used.
    pub state: AccountState,
    /// The attribute or field that says so, as the directory calls it. Ignored for active accounts.
    pub attribute: &'a str,
    /// Its value. Ignored for active accounts.
    pub value: &'a str,
    /// Where the entry is, if it lacks the attribute that would say so.
    pub lacks_attribute_in: Option<Container>,
    /// When the entry was last changed, by the directory's own clock; `None` where it doesn't say. Ignored
    /// for active accounts.
    pub changed: Option<Timestamp>,
}

impl<'a> Account<'a> {
    /// An account that may be used.
    pub const ACTIVE: Self = Self {
        state: AccountState::Active,
        attribute: "",
        value: "",
        lacks_attribute_in: None,
        changed: None,
    };

    /// An account whose `attribute` has a `value` that means `state`.
    pub fn new(state: AccountState, attribute: &'a str, value: &'a str) -> Self {
        Self {
            state,
            attribute,
            value,
            lacks_attribute_in: None,
            changed: None,
        }
    }

    /// The same account, whose entry was last changed at this time by the directory's own clock.
    #[must_use]
    pub fn changed(self, time: Option<Timestamp>) -> Self {
        Self {
            changed: time,
            ..self
        }
    }
}

/// What says that an account isn't active.
///
/// Bounded and sanitized: it is shown to people. Equal attributes and values share their text.
#[derive(Debug, Clone)]
pub struct AccountEvidence {
    /// The attribute or field, as the directory calls it: `nsAccountLock`.
    pub attribute: Arc<str>,
    /// The attribute's value, such as `TRUE`.
    pub value: Arc<str>,
    /// The entry as its administrators know it: a DN, a login name.
    pub entry: Box<str>,
    /// When the entry was last changed, by the directory's own clock; `None` where it doesn't say. It is
    /// measured, and no part of what the evidence says: two that differ in it alone are equal.
    pub changed: Option<Timestamp>,
}

impl AccountEvidence {
    fn says(&self) -> (&str, &str, &str) {
        (&self.attribute, &self.value, &self.entry)
    }
}

impl PartialEq for AccountEvidence {
    fn eq(&self, other: &Self) -> bool {
        self.says() == other.says()
    }
}

impl Eq for AccountEvidence {}

impl Hash for AccountEvidence {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.says().hash(state);
    }
}

impl fmt::Display for AccountEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} is {}", self.attribute, self.entry, self.value)
    }
}

/// On what something is taken away from somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The entry was read, and says that the account is disabled or deleted.
    Disabled(Arc<AccountEvidence>),
    /// In no list, and the list was complete and every entry in it identified.
    Absent,
    /// Read, and left out by the resource's own filters.
    OutOfScope(ScopeRule),
    /// A person takes back what the run with this id gave.
    Undone(Arc<str>),
    /// The invitation wasn't accepted.
    NotAccepted {
        /// Since when it has been open at least.
        since: Timestamp,
        /// Whole days since then.
        days: u32,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled(account) => account.fmt(f),
            Self::Absent => f.write_str("not in the directory's complete list"),
            Self::OutOfScope(rule @ (ScopeRule::AccessRoles | ScopeRule::AccessCollections)) => {
                write!(f, "loses what {rule} doesn't give")
            }
            Self::OutOfScope(rule) => write!(f, "left out by {rule}"),
            Self::Undone(run) => write!(f, "run {run} is undone"),
            Self::NotAccepted { since, days } => {
                let since = since.strftime("%Y-%m-%d");
                let s = if *days == 1 { "" } else { "s" };
                write!(
                    f,
                    "{days} day{s} without acceptance, since {since} or before"
                )
            }
        }
    }
}

/// The field of the resource that leaves somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScopeRule {
    /// No pattern of `users.include` matches the email.
    UsersInclude,
    /// A pattern of `users.exclude` matches the email.
    UsersExclude,
    /// In no group in scope, and `groups.onlyTheirMembers` asks for one.
    OnlyTheirMembers,
    /// A group whose name `groups.include` or `groups.exclude` leaves out.
    Groups,
    /// In no group that gives the role by `access.roles`.
    AccessRoles,
    /// Access that no rule of `access.collections` gives.
    AccessCollections,
}

impl fmt::Display for ScopeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsersInclude => "users.include",
            Self::UsersExclude => "users.exclude",
            Self::OnlyTheirMembers => "groups.onlyTheirMembers",
            Self::Groups => "groups.include or groups.exclude",
            Self::AccessRoles => "access.roles",
            Self::AccessCollections => "access.collections",
        })
    }
}

/// By what a source tells whether accounts may be used.
///
/// Whoever lost access by one rule isn't known to be active again by another one, or where nothing is
/// read at all that would tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRule {
    /// The attribute or field, as the directory calls it.
    pub name: Box<str>,
    /// The attribute and what its values mean, in one text: it is another one after each change of either.
    pub meaning: Box<str>,
    /// How many entries had the attribute, whatever its value; `None` where a read fails unless each
    /// entry has it.
    pub seen: Option<usize>,
    /// Whether the entries of active accounts have it, so that none is active for lacking it. Not where it
    /// comes and goes, as lockouts do.
    pub active_have_it: bool,
    /// By the number of a container, whether any entry in it shows the attribute.
    pub(crate) shown: Vec<bool>,
}

impl AccountRule {
    /// Whether an entry that lacks the attribute may only not show it to us. Where active accounts have it,
    /// none is active for lacking it. Where they don't, an entry with the same parent that shows it says
    /// that it isn't hidden there.
    pub fn may_be_hidden_in(&self, container: Container) -> bool {
        let shown = self.shown.get(container.0.get() as usize - 1);
        self.active_have_it || shown != Some(&true)
    }
}

/// Where an entry is that lacks the attribute of the [`AccountRule`]: its parent, as a number.
///
/// Access rules are mostly for a part of the tree, so whether an attribute can be seen at all shows on the
/// other entries with the same parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Container(pub(crate) NonZeroU32);
