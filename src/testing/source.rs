//! What a source read, or refused to read, in a form that reads well in a test.

use crate::directory::{AccountState, Directory};
use crate::source::{SourceError, SourceErrorKind};

/// An error to be looked at.
#[derive(Debug)]
pub struct Refusal(
    /// As the source gave it.
    pub SourceError,
);

impl Refusal {
    /// It is of this kind.
    #[track_caller]
    pub fn is(self, kind: SourceErrorKind) -> Self {
        assert_eq!(self.0.kind, kind, "{}", self.0);
        self
    }

    /// The user has to mend it.
    #[track_caller]
    pub fn for_the_user_to_mend(self) -> Self {
        self.is(SourceErrorKind::Configuration)
    }

    /// It passes, nobody knows when.
    #[track_caller]
    pub fn passes_by_itself(self) -> Self {
        self.is(SourceErrorKind::Transient { retry_after: None })
    }

    /// The read wasn't complete.
    #[track_caller]
    pub fn ended_early(self) -> Self {
        self.is(SourceErrorKind::Incomplete)
    }

    /// The message has this part.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(
            self.0.message.contains(part),
            "{part:?} isn't in: {}",
            self.0
        );
        self
    }

    /// Neither the message nor anything else that could be printed of it has this part.
    #[track_caller]
    pub fn never_says(self, part: &str) -> Self {
        let all = format!("{} {:?}", self.0, self.0);
        assert!(!all.contains(part), "{part:?} is in: {all}");
        self
    }
}

/// Everyone's email (or why there is none) and state, in order.
pub fn people(directory: &Directory) -> Vec<(String, AccountState)> {
    let mut people: Vec<_> = directory
        .users
        .iter()
        .map(|user| {
            let email = match &user.email {
                Ok(email) => email.to_string(),
                Err(unusable) => format!("({})", unusable.why),
            };
            (email, user.state)
        })
        .collect();
    people.sort_by(|one, other| one.0.cmp(&other.0));
    people
}

/// Everyone's email (or why there is none), in order.
pub fn emails(directory: &Directory) -> Vec<String> {
    people(directory)
        .into_iter()
        .map(|(email, _)| email)
        .collect()
}
