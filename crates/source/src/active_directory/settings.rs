//! What an administrator says about a domain. Everything that a controller can tell isn't here.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::api::spec::ActiveDirectorySecurity;
use crate::http::{Observer, Unobserved};
use crate::ldap::{
    Bind, InvalidSettings, LdapSettings, ServerUrl, TlsSettings, check_filter, dn, is_attribute,
};

/// Everything about one domain. [`ActiveDirectorySettings::new`] fills the defaults.
#[derive(Debug, Clone)]
pub struct ActiveDirectorySettings {
    /// Where its controllers are.
    pub location: DomainControllerLocation,
    /// How the connection is encrypted. Default LDAPS.
    pub security: ActiveDirectorySecurity,
    /// Whether to read the global catalog, which holds a part of every domain of the forest.
    pub global_catalog: bool,
    /// The CA to trust; `start_tls` is set by `security`.
    pub tls: TlsSettings,
    /// As whom to read. `dn` may also be `reader@corp.example.com` or `CORP\reader`. Default
    /// anonymous, which controllers don't allow: a source needs a name and a password.
    pub bind: Bind,
    /// Only people and groups below this DN; `None`: the controller's domain (global catalog: the
    /// forest).
    pub base_dn: Option<String>,
    /// Which people, and what to take from them.
    pub users: Users,
    /// Which groups; `None`: no group is wanted (they are read all the same where
    /// [`Users::member_of`] asks for them).
    pub groups: Option<Groups>,
    /// Longest wait for one controller's name, connection and TLS handshake together, and for its
    /// answer to the bind. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest silence of a controller in the middle of a search. Default 60 s.
    pub idle_timeout: Duration,
    /// Longest time for all people, and for all groups. Default 10 minutes.
    pub search_timeout: Duration,
    /// Between two questions for the controller's last change. Default 15 s: four a minute.
    pub poll_interval: Duration,
    /// Entries a page, at least 1. Controllers give 1,000 at most unless configured otherwise
    /// (`MaxPageSize`), whatever is asked for. Default 1,000.
    pub page_size: u32,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
}

/// Where the controllers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainControllerLocation {
    /// The controllers that DNS lists for a domain, in its SRV records.
    Domain(Domain),
    /// These, tried in order. They must hold the same domain.
    Controllers(Vec<Controller>),
}

/// A domain whose controllers are found in DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The domain's DNS name: `corp.example.com`.
    pub name: String,
    /// Ask this name server; `None`: those of the system.
    pub name_server: Option<SocketAddr>,
}

/// A controller by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// `None`: the one that goes with [`ActiveDirectorySecurity`] and the global catalog.
    pub port: Option<u16>,
}

/// Which people, and what to take from them.
#[derive(Debug, Clone, Default)]
pub struct Users {
    /// Only below these DNs; none: no such limit.
    pub search_bases: Vec<String>,
    /// Only those whom this filter fits, too.
    pub filter: Option<String>,
    /// Only members, direct or nested, of the groups with these DNs; none: no such limit.
    pub member_of: Vec<String>,
    /// Where the email is.
    pub email: EmailFrom,
    /// The attribute that is read in place of `mail`; `None`: `mail` itself.
    pub mail: Option<String>,
}

/// Where the email of a person is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EmailFrom {
    /// The attribute `mail`.
    #[default]
    Mail,
    /// `mail`, or `userPrincipalName` where that is blank.
    MailOrUserPrincipalName,
    /// The attribute `userPrincipalName`, the login name with a domain.
    UserPrincipalName,
    /// The value of `proxyAddresses` that begins with `SMTP:`, in capitals.
    ProxyAddresses,
    /// An attribute's value and a fixed end.
    PrefixAndSuffix {
        /// The attribute before the suffix, mostly `sAMAccountName`.
        attribute: String,
        /// The suffix with its `@`: `@example.com`.
        suffix: String,
    },
    /// `mail`, or the same put together where that is blank.
    MailOrPrefixAndSuffix {
        /// The attribute before the suffix, mostly `sAMAccountName`.
        attribute: String,
        /// The suffix with its `@`: `@example.com`.
        suffix: String,
    },
}

/// Which groups. Those that aren't wanted still count where a wanted one contains them.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Only below these DNs; none: no such limit.
    pub search_bases: Vec<String>,
    /// Only those that this filter fits, too.
    pub filter: Option<String>,
    /// Only these, by DN; none: no such limit.
    pub dns: Vec<String>,
    /// Count people as members of their primary group (`Domain Users`, usually), whose `member`
    /// doesn't list them.
    pub include_primary: bool,
    /// The attribute with the name. Default `name`.
    pub name: String,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            search_bases: vec![],
            filter: None,
            dns: vec![],
            include_primary: false,
            name: "name".to_owned(),
        }
    }
}

impl ActiveDirectorySettings {
    /// Everybody and every group, with the defaults of each field.
    pub fn new(location: DomainControllerLocation) -> Self {
        Self {
            location,
            security: ActiveDirectorySecurity::default(),
            global_catalog: false,
            tls: TlsSettings::default(),
            bind: Bind::Anonymous,
            base_dn: None,
            users: Users::default(),
            groups: Some(Groups::default()),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            search_timeout: Duration::from_secs(600),
            poll_interval: Duration::from_secs(15),
            page_size: 1_000,
            observer: Arc::new(Unobserved),
        }
    }

    /// The address of a controller.
    pub fn url(&self, controller: &Controller) -> ServerUrl {
        ServerUrl {
            ldaps: self.security == ActiveDirectorySecurity::Ldaps,
            host: controller.host.to_ascii_lowercase(),
            port: controller.port.unwrap_or(self.default_port()),
        }
    }

    /// The port for this way of encrypting.
    fn default_port(&self) -> u16 {
        match (self.security, self.global_catalog) {
            (ActiveDirectorySecurity::Ldaps, false) => 636,
            (ActiveDirectorySecurity::Ldaps, true) => 3269,
            (_, false) => 389,
            (_, true) => 3268,
        }
    }

    /// What the LDAP machinery needs to connect.
    pub(super) fn connection(&self) -> LdapSettings {
        let mut settings = LdapSettings::new(vec![], "");
        settings.tls = self.tls.clone();
        settings.tls.start_tls = self.security == ActiveDirectorySecurity::StartTls;
        settings.bind = self.bind.clone();
        settings.connect_timeout = self.connect_timeout;
        settings.observer = self.observer.clone();
        settings
    }

    /// Whether there is a name and a password. Controllers take a name without a password for an
    /// anonymous bind, and answer success (RFC 4513, 5.1.2).
    ///
    /// # Errors
    /// When one is missing.
    pub fn validate_account(&self) -> Result<(), InvalidSettings> {
        match &self.bind {
            Bind::Simple { dn, password }
                if !dn.is_empty() && !password.expose_secret().is_empty() =>
            {
                Ok(())
            }
            _ => Err(InvalidSettings::IncompleteBind),
        }
    }

    /// Checks what the types leave open of all but the account, before any controller is asked.
    ///
    /// # Errors
    /// The first thing that can't work, in the words of the resource's fields.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        if self.location == DomainControllerLocation::Controllers(vec![]) {
            return Err(InvalidSettings::NoServer);
        }
        let groups = self.groups.as_ref();
        let dns = [
            ("baseDn", self.base_dn.as_slice()),
            ("users.searchBases", &self.users.search_bases),
            ("users.memberOf", &self.users.member_of),
            (
                "groups.searchBases",
                groups.map_or(&[][..], |g| &g.search_bases),
            ),
            ("groups.dns", groups.map_or(&[][..], |g| &g.dns)),
        ];
        for (field, list) in dns {
            if let Some(wrong) = list.iter().find(|text| text.is_empty() || !dn::is_dn(text)) {
                let value = wrong.clone();
                return Err(InvalidSettings::Dn { field, value });
            }
        }
        let filters = [
            ("users.filter", self.users.filter.as_ref()),
            ("groups.filter", groups.and_then(|g| g.filter.as_ref())),
        ];
        for (field, filter) in filters {
            if let Some(filter) = filter {
                check_filter(field, filter)?;
            }
        }
        let prefix = match &self.users.email {
            EmailFrom::PrefixAndSuffix { attribute, .. }
            | EmailFrom::MailOrPrefixAndSuffix { attribute, .. } => Some(attribute),
            _ => None,
        };
        let attributes = [
            ("users.emailAttribute", self.users.mail.as_ref()),
            ("users.emailPrefixAttribute", prefix),
            ("groups.nameAttribute", groups.map(|g| &g.name)),
        ];
        for (field, name) in attributes {
            if let Some(name) = name.filter(|name| !is_attribute(name)) {
                let value = name.clone();
                return Err(InvalidSettings::Attribute { field, value });
            }
        }
        Ok(())
    }
}

impl fmt::Display for DomainControllerLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "Active Directory domain {}", domain.name),
            Self::Controllers(controllers) => {
                write!(f, "Active Directory at ")?;
                match controllers.split_first() {
                    Some((first, [])) => write!(f, "{}", first.host),
                    Some((first, more)) => write!(f, "{} (or {} more)", first.host, more.len()),
                    None => write!(f, "no controller"),
                }
            }
        }
    }
}
