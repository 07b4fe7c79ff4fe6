//! What an administrator says about an Entra ID tenant: where it is and whom to read, and
//! how to authenticate.
//!
//! Plain values with the defaults of the public cloud; [`EntraIdSettings::validate`] checks what
//! types can't.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use uuid::Uuid;

use crate::api::spec::EntraIdEmail;
use crate::http::oauth::IdentityToken;
use crate::http::{ClientSettings, Observer, Retry, Unobserved};

/// Everything about one tenant. [`EntraIdSettings::new`] fills the defaults.
#[derive(Debug, Clone)]
pub struct EntraIdSettings {
    /// The tenant's id or one of its domains.
    pub tenant: String,
    /// The application (client) id of the app registration.
    pub client_id: String,
    /// Where tokens come from, and where Graph is.
    pub addresses: Addresses,
    /// Which people are read, and how.
    pub users: UserSettings,
    /// Which groups are read; `None`: people only.
    pub groups: Option<GroupSettings>,
    /// Up to so many groups, chosen by a filter, by id or by unit, are read in batches; of more, all
    /// of the tenant's are read, which costs less. Default 1,000.
    pub batched_groups: usize,
    /// Between two questions for what has changed: of users and of groups. Default 30 s: four a minute.
    pub poll_interval: Duration,
    /// For so long a user or group that a delta told of is asked for again in each read of changes: Graph's replicas don't
    /// all know the same at the same time, and Microsoft publishes no bound. Default 30 min.
    pub replica_lag: Duration,
    /// How connections are made.
    pub connection: ClientSettings,
    /// How failed requests are sent again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
}

/// How the application authenticates.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// With a client secret.
    Secret(SecretString),
    /// With a certificate of which Entra ID has the public half.
    Certificate {
        /// The certificate in PEM, whose thumbprint tells Entra which key signed.
        certificate: Vec<u8>,
        /// Its private key (RSA; PKCS #8 or PKCS #1), PEM.
        key: SecretString,
    },
    /// With a token of somebody whom the application trusts: of the cluster, for a ServiceAccount.
    /// It is asked for each time a token is needed, for it is renewed within the hour.
    FederatedToken(Arc<dyn IdentityToken>),
}

/// Where tokens come from, and where Graph is: of one cloud, or on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `https://login.microsoftonline.com`: the tenant follows in the path.
    pub authority: Url,
    /// `https://graph.microsoft.com`: `/v1.0` follows in the path. Also the resource for which
    /// tokens are asked.
    pub graph: Url,
}

impl Addresses {
    /// The addresses of Microsoft's public cloud.
    pub fn public() -> Self {
        Self::known("login.microsoftonline.com", "graph.microsoft.com")
    }

    /// The cloud of the US government (level L4).
    pub fn us_government() -> Self {
        Self::known("login.microsoftonline.us", "graph.microsoft.us")
    }

    /// The cloud in China, run by 21Vianet.
    pub fn china() -> Self {
        Self::known(
            "login.partner.microsoftonline.cn",
            "microsoftgraph.chinacloudapi.cn",
        )
    }

    fn known(authority: &str, graph: &str) -> Self {
        let url = |host| Url::parse(&format!("https://{host}")).expect("a host makes a URL");
        Self {
            authority: url(authority),
            graph: url(graph),
        }
    }
}

/// Which people are read, and how.
///
/// Disabled accounts are read whatever `member_of`, `administrative_units`,
/// `assigned_to_application` and `assigned_licenses` say: who leaves a company commonly loses
/// groups and licences together with the account, and that must not turn the policy for
/// disabled accounts into the one for absent ones.
#[derive(Debug, Clone, Default)]
pub struct UserSettings {
    /// An OData filter for Graph to apply.
    pub filter: Option<String>,
    /// The kinds of accounts.
    pub types: UserTypes,
    /// Only members, direct or nested, of one of these groups.
    pub member_of: Option<GroupSelection>,
    /// No member, direct or nested, of any of these groups.
    pub not_member_of: Option<GroupSelection>,
    /// Only people in one of these administrative units. Empty: everybody.
    pub administrative_units: Vec<String>,
    /// Only people to whom the enterprise application with this application (client) id is
    /// assigned, in person or as direct member of a group: as in Entra ID, groups nested in an
    /// assigned group don't count.
    pub assigned_to_application: Option<String>,
    /// Only people with a licence of one of these SKUs, by id. Empty: everybody.
    pub assigned_licenses: Vec<Uuid>,
    /// Where the email is.
    pub email: EntraIdEmail,
}

/// The kinds of accounts that are read. An account that has none, as those from before 2014, is a
/// member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserTypes {
    /// The tenant's own people (`userType` Member).
    pub members: bool,
    /// People invited from elsewhere.
    pub guests: bool,
    /// AI agents (`agentUser`), which Graph lists with people.
    pub agents: bool,
}

impl Default for UserTypes {
    fn default() -> Self {
        Self {
            members: true,
            guests: false,
            agents: false,
        }
    }
}

/// The groups whose members are read, by object id or by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupSelection {
    /// The object ids of the groups.
    pub ids: Vec<String>,
    /// By display name, exactly but for its case. Two groups of one name are an error: anybody who
    /// may create groups could otherwise choose who is read.
    pub names: Vec<String>,
}

/// Which groups are read. Who is in one through a group that isn't read is in it all the same.
#[derive(Debug, Clone, Default)]
pub struct GroupSettings {
    /// An OData filter for Graph to apply.
    pub filter: Option<String>,
    /// Only these, by object id. Empty: all.
    pub ids: Vec<String>,
    /// Only these kinds; `None`: all, distribution lists as well.
    pub types: Option<GroupTypes>,
    /// Only groups in one of these administrative units. Empty: all.
    pub administrative_units: Vec<String>,
    /// No group in any of these administrative units.
    pub not_administrative_units: Vec<String>,
}

/// The kinds of groups that are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupTypes {
    /// Security groups, mail-enabled ones as well.
    pub security: bool,
    /// Microsoft 365 groups (`groupTypes` Unified).
    pub microsoft_365: bool,
}

/// Settings that can't work whatever Microsoft says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// A value isn't an object id.
    #[error("{field} {value:?} isn't an id; write a GUID, as the Entra admin center shows it")]
    Id {
        /// Where it was given.
        field: &'static str,
        /// The value as the spec has it.
        value: String,
    },
    /// Neither id nor domain.
    #[error("tenantId {0:?} is neither the id of a tenant nor one of its domains")]
    Tenant(String),
    /// Nothing to prove with.
    #[error("the client secret is empty")]
    EmptySecret,
    /// The certificate or its key can't be used.
    #[error("the client certificate can't be used: {0}")]
    Certificate(String),
    /// A field that selects nothing.
    #[error("{0} selects nothing; write at least one, or leave the field out")]
    Nothing(&'static str),
    /// The connections can't be set up.
    #[error("{0}")]
    Connection(String),
}

impl EntraIdSettings {
    /// All members of the tenant and all groups, in the public cloud.
    pub fn new(tenant: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
            client_id: client_id.into(),
            addresses: Addresses::public(),
            users: UserSettings::default(),
            groups: Some(GroupSettings::default()),
            batched_groups: 1_000,
            poll_interval: Duration::from_secs(30),
            replica_lag: Duration::from_secs(30 * 60),
            connection: ClientSettings::default(),
            retry: Retry::default(),
            observer: Arc::new(Unobserved),
        }
    }

    /// Checks what the types leave open, before anybody is asked.
    ///
    /// # Errors
    /// The first thing that can't work, in the words of the resource's fields.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if self.tenant.is_empty() || !self.tenant.chars().all(plain) {
            return Err(InvalidSettings::Tenant(crate::text::sanitize(&self.tenant)));
        }
        let users = &self.users;
        if !users.types.members && !users.types.guests && !users.types.agents {
            return Err(InvalidSettings::Nothing("users.types"));
        }
        let mut ids = vec![("clientId", std::slice::from_ref(&self.client_id))];
        for (field, selection) in [
            ("users.memberOf", &users.member_of),
            ("users.notMemberOf", &users.not_member_of),
        ] {
            let Some(selection) = selection else { continue };
            if selection.ids.is_empty() && selection.names.is_empty() {
                return Err(InvalidSettings::Nothing(field));
            }
            ids.push((field, &selection.ids));
        }
        ids.push(("users.administrativeUnits", &users.administrative_units));
        if let Some(id) = &users.assigned_to_application {
            ids.push(("users.assignedToApplication", std::slice::from_ref(id)));
        }
        if let Some(groups) = &self.groups {
            if groups.types == Some(GroupTypes::default()) {
                return Err(InvalidSettings::Nothing("groups.types"));
            }
            ids.push(("groups.ids", &groups.ids));
            ids.push(("groups.administrativeUnits", &groups.administrative_units));
            let not_in = &groups.not_administrative_units;
            ids.push(("groups.notAdministrativeUnits", not_in));
        }
        for (field, ids) in ids {
            for id in ids {
                if Uuid::try_parse(id).is_err() {
                    return Err(InvalidSettings::Id {
                        field,
                        value: crate::text::sanitize(id),
                    });
                }
            }
        }
        Ok(())
    }
}
