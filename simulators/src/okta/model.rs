//! People, groups and assignments, and how Okta shows them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The status of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Created, but not activated yet.
    Staged,
    /// Activated, never signed in.
    Provisioned,
    /// In use, with a password or a federated login.
    Active,
    /// In the middle of a password reset.
    Recovery,
    /// The password ran out.
    PasswordExpired,
    /// Too many wrong passwords.
    LockedOut,
    /// Suspended by an administrator.
    Suspended,
    /// Deactivated, and without access to any application.
    Deprovisioned,
    /// Being activated: in the prose of Okta's guides, not in its enumeration.
    Activating,
}

impl Status {
    /// Every one that Okta documents, for sweeps.
    pub const ALL: [Self; 8] = [
        Self::Staged,
        Self::Provisioned,
        Self::Active,
        Self::Recovery,
        Self::PasswordExpired,
        Self::LockedOut,
        Self::Suspended,
        Self::Deprovisioned,
    ];

    /// As the API has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "STAGED",
            Self::Provisioned => "PROVISIONED",
            Self::Active => "ACTIVE",
            Self::Recovery => "RECOVERY",
            Self::PasswordExpired => "PASSWORD_EXPIRED",
            Self::LockedOut => "LOCKED_OUT",
            Self::Suspended => "SUSPENDED",
            Self::Deprovisioned => "DEPROVISIONED",
            Self::Activating => "ACTIVATING",
        }
    }
}

/// A person to be.
#[derive(Debug, Clone)]
pub struct UserSeed {
    id: Option<String>,
    email: String,
    login: String,
    status: Status,
    profile: Vec<(String, String)>,
}

impl UserSeed {
    /// An active account with this email, which is its login, too.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            id: None,
            email: email.to_owned(),
            login: email.to_owned(),
            status: Status::Active,
            profile: vec![],
        }
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets the status of the account.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// With a further attribute of the profile.
    #[must_use]
    pub fn profile(mut self, name: &str, value: &str) -> Self {
        self.profile.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A kind of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// A group that is managed in Okta.
    OktaGroup,
    /// Imported from an application.
    AppGroup,
    /// `Everyone` and the like.
    BuiltIn,
}

impl GroupType {
    fn name(self) -> &'static str {
        match self {
            Self::OktaGroup => "OKTA_GROUP",
            Self::AppGroup => "APP_GROUP",
            Self::BuiltIn => "BUILT_IN",
        }
    }
}

/// A group to be.
#[derive(Debug, Clone)]
pub struct GroupSeed {
    id: Option<String>,
    name: String,
    kind: GroupType,
    members: Vec<String>,
}

impl GroupSeed {
    /// An empty group managed in Okta.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            kind: GroupType::OktaGroup,
            members: vec![],
        }
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets the type of the group.
    #[must_use]
    pub fn kind(mut self, kind: GroupType) -> Self {
        self.kind = kind;
        self
    }

    /// With these people in it, by id.
    #[must_use]
    pub fn members(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.members = ids.into_iter().map(Into::into).collect();
        self
    }
}

#[derive(Debug)]
pub(super) struct User {
    email: String,
    login: String,
    pub status: Status,
    profile: Vec<(String, String)>,
    /// When it was last changed, where that was after everything was created.
    updated: Option<String>,
    status_changed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Group {
    name: String,
    kind: GroupType,
    pub members: BTreeSet<String>,
    /// When somebody came into or left it last, in seconds after everything was created.
    membership_updated: u64,
}

#[derive(Debug, Default)]
pub(super) struct Application {
    pub users: BTreeSet<String>,
    pub groups: BTreeSet<String>,
}

/// Everything in the organization, in the order of ids, in which lists come.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
    pub applications: BTreeMap<String, Application>,
    last: u64,
}

impl Store {
    /// An id in the form of Okta's: 20 letters and digits, the first three telling the kind.
    fn next_id(&mut self, kind: &str) -> String {
        self.last += 1;
        format!("{kind}{:0>17}", self.last)
    }

    pub fn add_user(&mut self, seed: UserSeed) -> String {
        let id = seed.id.unwrap_or_else(|| self.next_id("00u"));
        let user = User {
            email: seed.email,
            login: seed.login,
            status: seed.status,
            profile: seed.profile,
            updated: None,
            status_changed: None,
        };
        self.users.insert(id.clone(), user);
        id
    }

    /// False where there is no such account.
    pub fn set_status(&mut self, id: &str, status: Status) -> bool {
        let Some(user) = self.users.get_mut(id) else {
            return false;
        };
        user.status = status;
        user.updated = Some(now());
        user.status_changed = Some(now());
        true
    }

    pub fn delete_user(&mut self, id: &str) {
        self.users.remove(id);
        for group in self.groups.values_mut() {
            group.members.remove(id);
        }
        for application in self.applications.values_mut() {
            application.users.remove(id);
        }
    }

    pub fn add_group(&mut self, seed: GroupSeed) -> String {
        let id = seed.id.unwrap_or_else(|| self.next_id("00g"));
        let group = Group {
            name: seed.name,
            kind: seed.kind,
            members: seed.members.into_iter().collect(),
            membership_updated: self.last,
        };
        self.groups.insert(id.clone(), group);
        id
    }

    /// False where there is no such group.
    pub fn set_members(&mut self, id: &str, members: &[&str], stamp: bool) -> bool {
        self.last += 1;
        let Some(group) = self.groups.get_mut(id) else {
            return false;
        };
        group.members = members.iter().map(|&id| id.to_owned()).collect();
        if stamp {
            group.membership_updated = self.last;
        }
        true
    }

    pub fn delete_group(&mut self, id: &str) {
        self.groups.remove(id);
        for application in self.applications.values_mut() {
            application.groups.remove(id);
        }
    }

    pub fn add_application(&mut self, id: &str, users: &[&str], groups: &[&str]) {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let application = Application {
            users: owned(users),
            groups: owned(groups),
        };
        self.applications.insert(id.to_owned(), application);
    }
}

const CREATED: &str = "2024-05-17T08:30:00.000Z";

/// A person as the API shows them. Fields without a value are left out: Okta sends `null`, which its
/// own description of the API doesn't know.
pub(super) fn show_user(id: &str, user: &User) -> Value {
    let mut profile = json!({
        "firstName": "Given",
        "lastName": "Family",
        "login": user.login,
        "email": user.email,
    });
    for (name, value) in &user.profile {
        profile[name] = Value::from(value.as_str());
    }
    json!({
        "id": id,
        "status": user.status.name(),
        "created": CREATED,
        "activated": CREATED,
        "statusChanged": user.status_changed.as_deref().unwrap_or(CREATED),
        "lastUpdated": user.updated.as_deref().unwrap_or(CREATED),
        "type": {"id": "otysimulated00000000"},
        "profile": profile,
        "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
    })
}

/// The time, in the form that Okta has.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

/// A time so many seconds after everything was created. Okta's have no fractions either.
fn updated(seconds: u64) -> String {
    let (minute, second) = (seconds / 60, seconds % 60);
    format!(
        "2024-05-17T{:02}:{:02}:{second:02}.000Z",
        9 + minute / 60,
        minute % 60
    )
}

/// A group as the API shows it.
pub(super) fn show_group(id: &str, group: &Group) -> Value {
    let class = match group.kind {
        GroupType::AppGroup => "okta:windows_security_principal",
        GroupType::OktaGroup | GroupType::BuiltIn => "okta:user_group",
    };
    json!({
        "id": id,
        "created": CREATED,
        "lastUpdated": CREATED,
        "lastMembershipUpdated": updated(group.membership_updated),
        "objectClass": [class],
        "type": group.kind.name(),
        "profile": {"name": group.name, "description": group.name},
    })
}

/// A person's assignment to an application as the API shows it.
pub(super) fn show_assigned_user(id: &str, user: &User) -> Value {
    json!({
        "id": id,
        "created": CREATED,
        "lastUpdated": CREATED,
        "scope": "USER",
        "status": "ACTIVE",
        "statusChanged": CREATED,
        "syncState": "DISABLED",
        "credentials": {"userName": user.login},
        "profile": {},
    })
}

/// A group's assignment to an application as the API shows it.
pub(super) fn show_assigned_group(id: &str) -> Value {
    json!({"id": id, "lastUpdated": CREATED, "priority": 0, "profile": {}})
}
