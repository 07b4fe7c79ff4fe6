//! People, groups and members, and how the Directory API shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A person to be.
#[derive(Debug, Clone, Default)]
pub struct UserSeed {
    pub(super) id: Option<String>,
    pub(super) email: String,
    pub(super) suspended: bool,
    pub(super) archived: bool,
    pub(super) unit: String,
    pub(super) aliases: Vec<String>,
    pub(super) other_aliases: Vec<String>,
    pub(super) department: String,
    pub(super) admin: bool,
    pub(super) guest: bool,
}

impl UserSeed {
    /// An active account with this primary address.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            unit: "/".to_owned(),
            ..Self::default()
        }
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets `suspended`, as an administrator does.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.suspended = true;
        self
    }

    /// Sets `archived`: the data stays, the account can't be used.
    #[must_use]
    pub fn archived(mut self) -> Self {
        self.archived = true;
        self
    }

    /// In this organizational unit.
    #[must_use]
    pub fn unit(mut self, path: &str) -> Self {
        path.clone_into(&mut self.unit);
        self
    }

    /// With this alias in a domain of the customer.
    #[must_use]
    pub fn alias(mut self, email: &str) -> Self {
        self.aliases.push(email.to_owned());
        self
    }

    /// With this alias in a domain that stands for another.
    #[must_use]
    pub fn other_alias(mut self, email: &str) -> Self {
        self.other_aliases.push(email.to_owned());
        self
    }

    /// Sets the department of the primary organization.
    #[must_use]
    pub fn department(mut self, name: &str) -> Self {
        name.clone_into(&mut self.department);
        self
    }

    /// From outside, let in to some apps.
    #[must_use]
    pub fn guest(mut self) -> Self {
        self.guest = true;
        self
    }

    /// With a role that may read users and groups.
    #[must_use]
    pub fn admin(mut self) -> Self {
        self.admin = true;
        self
    }
}

/// A group to be.
#[derive(Debug, Clone)]
pub struct GroupSeed {
    pub(super) id: Option<String>,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) members: Vec<Member>,
}

impl GroupSeed {
    /// An empty group with this address and name.
    #[must_use]
    pub fn new(email: &str, name: &str) -> Self {
        Self {
            id: None,
            email: email.to_owned(),
            name: name.to_owned(),
            members: vec![],
        }
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// With these users in it, by id.
    #[must_use]
    pub fn users(self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        ids.into_iter()
            .fold(self, |group, id| group.member(Member::User(id.into())))
    }

    /// With one more member.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A user of the customer, by id.
    User(String),
    /// A group of the customer, by id.
    Group(String),
    /// Everyone of the customer.
    Customer,
    /// Somebody from outside, who has a Google account with this id, or none.
    External {
        /// The address as the group lists it.
        email: String,
        /// The id of the Google account, where there is one.
        id: Option<String>,
    },
    /// A group from outside, with its id; who is in it is nobody's business.
    ExternalGroup {
        /// The address as the group lists it.
        email: String,
        /// The id of the group, which another customer owns.
        id: String,
    },
}

/// A person that is there.
pub(super) type User = UserSeed;

#[derive(Debug)]
pub(super) struct Group {
    pub email: String,
    pub name: String,
    pub members: Vec<Member>,
}

/// Everything the customer has, in the order of ids, in which lists come.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub users: BTreeMap<String, User>,
    pub deleted: BTreeMap<String, String>,
    pub groups: BTreeMap<String, Group>,
    /// The last changes of users: when, whose, and what was there before.
    changes: Vec<(Instant, String, Option<User>)>,
    last: u64,
}

impl Store {
    pub fn add_user(&mut self, seed: UserSeed) -> String {
        self.last += 1;
        let id = seed.id.clone();
        // As Google's: 21 digits.
        let id = id.unwrap_or_else(|| format!("1{:020}", self.last));
        self.deleted.remove(&id);
        let before = self.users.insert(id.clone(), seed);
        self.changes.push((Instant::now(), id.clone(), before));
        id
    }

    /// The users as a search sees them, that many behind.
    pub fn searched(&self, lag: Duration) -> Cow<'_, BTreeMap<String, User>> {
        let late = self.changes.iter().rev();
        let mut late = late.take_while(|(at, ..)| at.elapsed() < lag).peekable();
        if late.peek().is_none() {
            return Cow::Borrowed(&self.users);
        }
        let mut users = self.users.clone();
        for (_, id, before) in late {
            match before {
                Some(before) => users.insert(id.clone(), before.clone()),
                None => users.remove(id),
            };
        }
        Cow::Owned(users)
    }

    /// Deletes a person, who is listed among the deleted from then on.
    pub fn delete_user(&mut self, id: &str) {
        if let Some(user) = self.users.remove(id) {
            let change = (Instant::now(), id.to_owned(), Some(user.clone()));
            self.changes.push(change);
            self.deleted.insert(id.to_owned(), user.email);
        }
        for group in self.groups.values_mut() {
            group
                .members
                .retain(|member| !matches!(member, Member::User(of) if of == id));
        }
    }

    pub fn add_group(&mut self, seed: GroupSeed) -> String {
        self.last += 1;
        let id = seed
            .id
            .unwrap_or_else(|| format!("03simul{:08}", self.last));
        let group = Group {
            email: seed.email,
            name: seed.name,
            members: seed.members,
        };
        self.groups.insert(id.clone(), group);
        id
    }

    pub fn user_by_email(&self, email: &str) -> Option<&User> {
        let mut users = self.users.values();
        users.find(|user| user.email.eq_ignore_ascii_case(email))
    }

    /// Whether a group from outside has this id.
    pub fn is_outside(&self, id: &str) -> bool {
        let mut members = self.groups.values().flat_map(|group| &group.members);
        members.any(|member| matches!(member, Member::ExternalGroup { id: of, .. } if of == id))
    }
}

const ETAG: &str = "\"simulated\"";
const CREATED: &str = "2024-05-17T08:30:00.000Z";

/// A person as an administrator sees them, or as a colleague does.
pub(super) fn show_user(id: &str, user: &User, customer: &str, as_colleague: bool) -> Value {
    let mut shown = json!({
        "kind": "admin#directory#user",
        "id": id,
        "etag": ETAG,
        "primaryEmail": user.email,
        "name": {"givenName": "Given", "familyName": "Family", "fullName": "Given Family"},
        "emails": [{"address": user.email, "primary": true}],
    });
    if as_colleague {
        return shown;
    }
    let more = json!({
        "isAdmin": user.admin,
        "isDelegatedAdmin": false,
        "isGuestUser": user.guest,
        "creationTime": CREATED,
        "lastLoginTime": CREATED,
        "agreedToTerms": true,
        "suspended": user.suspended,
        "archived": user.archived,
        "changePasswordAtNextLogin": false,
        "ipWhitelisted": false,
        "isMailboxSetup": true,
        "isEnrolledIn2Sv": true,
        "isEnforcedIn2Sv": true,
        "includeInGlobalAddressList": true,
        "customerId": customer,
        "orgUnitPath": user.unit,
        "organizations": [{"department": user.department, "primary": true}],
    });
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    if !user.aliases.is_empty() {
        shown["aliases"] = json!(user.aliases);
    }
    if !user.other_aliases.is_empty() {
        shown["nonEditableAliases"] = json!(user.other_aliases);
    }
    shown
}

/// A person who was deleted within the last 20 days.
pub(super) fn show_deleted(id: &str, email: &str, customer: &str) -> Value {
    json!({
        "kind": "admin#directory#user",
        "id": id,
        "etag": ETAG,
        "primaryEmail": email,
        "deletionTime": CREATED,
        "customerId": customer,
    })
}

pub(super) fn show_group(id: &str, group: &Group) -> Value {
    let direct = |member: &&Member| !matches!(member, Member::Group(_));
    json!({
        "kind": "admin#directory#group",
        "id": id,
        "etag": ETAG,
        "email": group.email,
        "name": group.name,
        "directMembersCount": group.members.iter().filter(direct).count().to_string(),
        "description": "",
        "adminCreated": true,
    })
}

/// A member as its group's list shows it; `None` where it is gone.
pub(super) fn show_member(member: &Member, store: &Store, customer: &str) -> Option<Value> {
    let mut shown = json!({
        "kind": "admin#directory#member",
        "etag": ETAG,
        "role": "MEMBER",
    });
    let (id, email, kind) = match member {
        Member::User(id) => {
            let user = store.users.get(id)?;
            let status = if user.suspended {
                "SUSPENDED"
            } else {
                "ACTIVE"
            };
            shown["status"] = status.into();
            (Some(id.as_str()), Some(&user.email), "USER")
        }
        Member::Group(id) => {
            shown["status"] = "ACTIVE".into();
            let email = &store.groups.get(id)?.email;
            (Some(id.as_str()), Some(email), "GROUP")
        }
        Member::Customer => (Some(customer), None, "CUSTOMER"),
        Member::External { email, id } => (id.as_deref(), Some(email), "USER"),
        Member::ExternalGroup { email, id } => (Some(id.as_str()), Some(email), "GROUP"),
    };
    shown["type"] = kind.into();
    if let Some(id) = id {
        shown["id"] = id.into();
    }
    if let Some(email) = email {
        shown["email"] = email.as_str().into();
    }
    Some(shown)
}
