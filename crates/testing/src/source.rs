//! What a source read, or refused to read, in a form that reads well in a test.

use directory_sync::directory::{AccountState, Directory, Lookup};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, SourceErrorKind};

/// Everything that the source gives to who knows nothing yet.
///
/// # Errors
/// The source's own.
///
/// # Panics
/// When the source says that nothing moved since a read that never was.
pub async fn read_all(source: &impl Source) -> Result<Directory, SourceError> {
    match source.read(None, &ReadProgress::default()).await? {
        Reading::Full { directory, .. } => Ok(directory.into_inner()),
        Reading::Unchanged => panic!("nothing was known before"),
    }
}

/// What the source answers when it is asked for one entry, each as its email, whether it may be used, and
/// whether it has an id.
///
/// # Panics
/// When it can't be asked.
pub async fn looked_up(source: &impl Source, name: &str) -> Vec<(String, Option<AccountState>)> {
    match source.look_up(name).await {
        Ok(Lookup::Found(found)) => {
            assert!(found.iter().all(|one| one.id.is_some()), "{found:?}");
            let found = found.into_iter();
            found.map(|one| (one.email.into(), one.state)).collect()
        }
        other => panic!("{other:?}"),
    }
}

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

    /// The user has to fix it.
    #[track_caller]
    pub fn is_configuration(self) -> Self {
        self.is(SourceErrorKind::Configuration)
    }

    /// It passes, nobody knows when.
    #[track_caller]
    pub fn is_transient(self) -> Self {
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

/// The groups' names, in order.
pub fn group_names(directory: &Directory) -> Vec<&str> {
    let mut names: Vec<&str> = directory.groups.iter().map(|group| &*group.name).collect();
    names.sort_unstable();
    names
}

/// The direct members of the group: emails (the part before the `@`) and `group:NAME`, in order.
///
/// # Panics
/// When there is no such group, or a member has no usable email.
#[track_caller]
pub fn members(directory: &Directory, name: &str) -> Vec<String> {
    let group = directory
        .groups
        .iter()
        .find(|group| &*group.name == name)
        .unwrap_or_else(|| panic!("there is no group {name} in {:?}", group_names(directory)));
    let people = group.users.iter().map(|&at| {
        let email = directory.users[at as usize].email.as_ref();
        let email = email.unwrap_or_else(|unusable| panic!("{unusable:?} is in {name}"));
        let (name, _) = email.as_str().split_once('@').expect("it is an email");
        name.to_owned()
    });
    let groups = group
        .groups
        .iter()
        .map(|&at| format!("group:{}", directory.groups[at as usize].name));
    let mut all: Vec<_> = people.chain(groups).collect();
    all.sort();
    all
}
