//! What is in a tenant.

use std::fmt;
use std::str::FromStr;

/// The id of an object: a GUID that says what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Of which kind the object is.
    pub kind: Kind,
    pub(super) number: u32,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A user, with or without a mailbox.
    User,
    /// A group of any type.
    Group,
    /// A computer or telephone, which can be a member of groups.
    Device,
    /// An application within the tenant.
    ServicePrincipal,
    /// An administrative unit, which holds users and groups.
    AdministrativeUnit,
}

const KINDS: [(Kind, u32, &str); 5] = [
    (Kind::User, 0xa1, "user"),
    (Kind::Group, 0xb2, "group"),
    (Kind::Device, 0xc3, "device"),
    (Kind::ServicePrincipal, 0xd4, "servicePrincipal"),
    (Kind::AdministrativeUnit, 0xe5, "administrativeUnit"),
];

impl Kind {
    fn row(self) -> (Kind, u32, &'static str) {
        let row = KINDS.into_iter().find(|(kind, ..)| *kind == self);
        row.expect("every kind has a row")
    }

    /// The value of `@odata.type`: `#microsoft.graph.user` and its like.
    pub(super) fn odata_type(self) -> String {
        format!("#microsoft.graph.{}", self.row().2)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.kind.row().1;
        write!(f, "{code:08x}-5e17-4b0c-8000-{:012x}", self.number)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let of = |kind, number| Self { kind, number };
        let number = u32::from_str_radix(text.rsplit('-').next().ok_or(())?, 16).map_err(|_| ())?;
        KINDS
            .into_iter()
            .map(|(kind, ..)| of(kind, number))
            .find(|id| id.to_string().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// A user to be added. By default: a member of the tenant, enabled, with a mailbox.
#[derive(Clone, Debug)]
pub struct UserSeed {
    pub(super) user: User,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub name: String,
    pub mail: Option<String>,
    pub principal_name: String,
    pub enabled: bool,
    pub user_type: Option<&'static str>,
    pub department: Option<String>,
    pub licenses: Vec<String>,
    pub agent: bool,
}

impl UserSeed {
    /// A user with the address `NAME@example.com` as email and login name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let address = format!("{name}@example.com");
        Self {
            user: User {
                name: name.to_owned(),
                mail: Some(address.clone()),
                principal_name: address,
                enabled: true,
                user_type: Some("Member"),
                department: None,
                licenses: vec![],
                agent: false,
            },
        }
    }

    /// With this `mail`, or none.
    #[must_use]
    pub fn mail(mut self, mail: Option<&str>) -> Self {
        self.user.mail = mail.map(str::to_owned);
        self
    }

    /// Sets `userPrincipalName`, the login name.
    #[must_use]
    pub fn principal_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.user.principal_name);
        self
    }

    /// Sets `accountEnabled` to false.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.user.enabled = false;
        self
    }

    /// Invited from elsewhere, with the name that such accounts have.
    #[must_use]
    pub fn guest(mut self) -> Self {
        self.user.user_type = Some("Guest");
        self.user.principal_name = format!(
            "{}#EXT#@example.onmicrosoft.com",
            self.user.principal_name.replace('@', "_")
        );
        self
    }

    /// Without a `userType`, as accounts from before 2014 are.
    #[must_use]
    pub fn old(mut self) -> Self {
        self.user.user_type = None;
        self
    }

    /// Sets `department`, which filters can ask for.
    #[must_use]
    pub fn department(mut self, department: &str) -> Self {
        self.user.department = Some(department.to_owned());
        self
    }

    /// An AI agent's: `agentUser`, a type that derives from a user's.
    #[must_use]
    pub fn agent(mut self) -> Self {
        self.user.agent = true;
        self
    }

    /// With a licence of this SKU.
    #[must_use]
    pub fn license(mut self, sku: &str) -> Self {
        self.user.licenses.push(sku.to_owned());
        self
    }
}

/// A group to be added. By default: a security group.
#[derive(Clone, Debug)]
pub struct GroupSeed {
    pub(super) group: Group,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub name: String,
    pub unified: bool,
    pub dynamic: bool,
    pub security: bool,
    pub hidden: bool,
    pub members: Vec<Id>,
}

impl GroupSeed {
    /// A security group with these members.
    #[must_use]
    pub fn new(name: &str, members: impl IntoIterator<Item = Id>) -> Self {
        Self {
            group: Group {
                name: name.to_owned(),
                unified: false,
                dynamic: false,
                security: true,
                hidden: false,
                members: members.into_iter().collect(),
            },
        }
    }

    /// A Microsoft 365 group.
    #[must_use]
    pub fn unified(mut self) -> Self {
        self.group.unified = true;
        self.group.security = false;
        self
    }

    /// Makes it a distribution list: with email, without security.
    #[must_use]
    pub fn distribution(mut self) -> Self {
        self.group.security = false;
        self
    }

    /// With members by rule.
    #[must_use]
    pub fn dynamic(mut self) -> Self {
        self.group.dynamic = true;
        self
    }

    /// A Microsoft 365 group that hides its members.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.group.hidden = true;
        self.unified()
    }
}

#[derive(Clone, Debug)]
pub(super) struct ServicePrincipal {
    pub app_id: String,
    pub assigned: Vec<Id>,
}
