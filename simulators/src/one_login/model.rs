//! People, roles and groups, and how OneLogin shows them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The status of an account, as the API numbers it.
pub const STATUSES: [i64; 8] = [0, 1, 2, 3, 4, 5, 7, 8];
/// The state of an account's approval, as the API numbers it.
pub const STATES: [i64; 4] = [0, 1, 2, 3];

/// A person to be.
#[derive(Debug, Clone)]
pub struct UserSeed {
    id: Option<u64>,
    attributes: Map<String, Value>,
}

impl UserSeed {
    /// An active, approved account with this email, which is its username, too.
    #[must_use]
    pub fn new(email: &str) -> Self {
        let attributes = [
            ("email", Value::from(email)),
            ("username", email.into()),
            ("firstname", "Given".into()),
            ("lastname", "Family".into()),
            ("status", 1.into()),
            ("state", 1.into()),
            ("custom_attributes", json!({})),
        ];
        Self {
            id: None,
            attributes: attributes
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        }
    }

    /// An active, approved account with a username and no email.
    #[must_use]
    pub fn named(username: &str) -> Self {
        Self::new("")
            .with("email", Value::Null)
            .with("username", username)
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    /// With this attribute: `status`, `state`, `group_id`, `department`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// With this attribute of the account's own.
    #[must_use]
    pub fn with_custom(mut self, name: &str, value: &str) -> Self {
        self.attributes["custom_attributes"][name] = value.into();
        self
    }
}

/// A role to be.
#[derive(Debug, Clone)]
pub struct RoleSeed {
    id: Option<u64>,
    name: String,
    members: Vec<u64>,
}

impl RoleSeed {
    /// A role that nobody is in.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            members: vec![],
        }
    }

    /// With this id instead of any.
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    /// With these people in it.
    #[must_use]
    pub fn members(mut self, ids: impl IntoIterator<Item = u64>) -> Self {
        self.members = ids.into_iter().collect();
        self
    }
}

#[derive(Debug)]
pub(super) struct Role {
    pub name: String,
    pub members: BTreeSet<u64>,
}

/// Everything in the account, in the order of ids, in which lists come.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub users: BTreeMap<u64, Map<String, Value>>,
    pub roles: BTreeMap<u64, Role>,
    pub groups: BTreeMap<u64, String>,
    last: u64,
}

impl Store {
    fn id(&mut self, wanted: Option<u64>) -> u64 {
        let id = wanted.unwrap_or(self.last + 1);
        self.last = self.last.max(id);
        id
    }

    pub fn add_user(&mut self, seed: UserSeed) -> u64 {
        let id = self.id(seed.id);
        self.users.insert(id, seed.attributes);
        id
    }

    pub fn delete_user(&mut self, id: u64) {
        self.users.remove(&id);
        for role in self.roles.values_mut() {
            role.members.remove(&id);
        }
    }

    pub fn add_role(&mut self, seed: RoleSeed) -> u64 {
        let id = self.id(seed.id);
        let role = Role {
            name: seed.name,
            members: seed.members.into_iter().collect(),
        };
        self.roles.insert(id, role);
        id
    }

    pub fn add_group(&mut self, name: &str) -> u64 {
        let id = self.id(None);
        self.groups.insert(id, name.to_owned());
        id
    }
}

pub(super) const CREATED: &str = "2024-05-17T08:30:00.000Z";

/// What a list shows of a person unless `fields` says otherwise.
const LISTED: [&str; 22] = [
    "activated_at",
    "created_at",
    "directory_id",
    "distinguished_name",
    "email",
    "external_id",
    "firstname",
    "group_id",
    "id",
    "invalid_login_attempts",
    "invitation_sent_at",
    "last_login",
    "lastname",
    "locked_until",
    "member_of",
    "password_changed_at",
    "phone",
    "samaccountname",
    "state",
    "status",
    "updated_at",
    "username",
];

/// What is shown when it is asked for.
const SHOWN_ON_REQUEST: [&str; 10] = [
    "comment",
    "company",
    "custom_attributes",
    "department",
    "manager_ad_id",
    "manager_user_id",
    "preferred_locale_code",
    "title",
    "trusted_idp_id",
    "userprincipalname",
];

/// A person as a list shows them; attributes without a value are `null`.
pub(super) fn show_user(id: u64, user: &Map<String, Value>, fields: Option<&str>) -> Value {
    let known = |name: &str| LISTED.contains(&name) || SHOWN_ON_REQUEST.contains(&name);
    let names: Vec<&str> = match fields {
        None => LISTED.to_vec(),
        Some(fields) => fields
            .split(',')
            .map(str::trim)
            .filter(|name| known(name))
            .collect(),
    };
    let value = |name: &str| match name {
        "id" => id.into(),
        "created_at" => CREATED.into(),
        "updated_at" => user.get("updated_at").cloned().unwrap_or(CREATED.into()),
        "invalid_login_attempts" => 0.into(),
        _ => user.get(name).cloned().unwrap_or(Value::Null),
    };
    let shown = names.into_iter().map(|name| (name.to_owned(), value(name)));
    Value::Object(shown.collect())
}

/// Somebody in a role as its list shows them.
pub(super) fn show_member(id: u64, user: &Map<String, Value>, assigned: bool) -> Value {
    let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
    json!({
        "id": id,
        "name": format!("{} {}", text("firstname"), text("lastname")),
        "username": user.get("username").cloned().unwrap_or(Value::Null),
        "added_by": {"id": 1, "name": "Ada Administrator"},
        "added_at": CREATED,
        "assigned": assigned,
    })
}

/// A role as the list shows it.
pub(super) fn show_role(id: u64, role: &Role) -> Value {
    json!({"id": id, "name": role.name, "apps": [123, 456]})
}

/// A group as version 1 shows it.
pub(super) fn show_group(id: u64, name: &str) -> Value {
    json!({"id": id, "name": name, "reference": null})
}
