//! What an administrator says about an LDAP directory: where it is, how to be let in, what to read.
//!
//! Plain values with the defaults of an ordinary OpenLDAP; [`LdapSettings::validate`] checks what
//! types can't.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::dn;
use crate::api::spec::{LdapDisabled, LdapScope};
use crate::http::{Observer, Unobserved};

/// Everything about one LDAP directory. [`LdapSettings::new`] fills the defaults.
#[derive(Debug, Clone)]
pub struct LdapSettings {
    /// The servers, tried in this order until one lets us in. They must hold the same directory.
    pub servers: Vec<ServerUrl>,
    /// How TLS is set up; unused for `ldap://` without StartTLS.
    pub tls: TlsSettings,
    /// As whom to read.
    pub bind: Bind,
    /// Where users and groups are searched, unless they name a base of their own.
    pub base_dn: String,
    /// Longest wait for one server's name, connection and TLS handshake together, and for its
    /// answer to the bind. Default 10 s.
    pub connect_timeout: Duration,
    /// Between two questions for the last change, where the server doesn't send changes by itself.
    pub poll_interval: Duration,
    /// Longest silence of a server in the middle of a search. Default 60 s.
    pub idle_timeout: Duration,
    /// Longest time for all users, and for all groups. Sent to the server as the limit of each
    /// page, kept by ourselves for the whole. Default 5 minutes.
    pub search_timeout: Duration,
    /// Entries a page (RFC 2696); 0 asks for everything at once. Default 1,000.
    pub page_size: u32,
    /// Which entries are people, and what to take from them.
    pub users: UserSettings,
    /// Which entries are groups; `None`: people only.
    pub groups: Option<GroupSettings>,
    /// Told about each bind and each page of a search, with the server's result code.
    pub observer: Arc<dyn Observer>,
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// `ldaps://` (TLS from the first byte) or `ldap://`.
    pub ldaps: bool,
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// 636 or 389 unless given.
    pub port: u16,
}

/// How TLS is set up.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// Ask `ldap://` servers for TLS before anything else is said (RFC 4511, 4.14).
    pub start_tls: bool,
    /// PEM certificates of the CAs to trust, in place of the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Shown to servers that ask for a client certificate.
    pub client_identity: Option<ClientIdentity>,
    /// Take any certificate, of anybody, for any name. The connection is then open to whoever can
    /// stand between; for trying things out.
    pub insecure_skip_verify: bool,
}

/// A client certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The certificate, and the intermediate ones after it, PEM.
    pub certificate: Vec<u8>,
    /// The private key (PKCS #8, PKCS #1 or SEC 1), PEM.
    pub key: SecretString,
}

/// As whom to read.
#[derive(Debug, Clone)]
pub enum Bind {
    /// Without a name or password.
    Anonymous,
    /// With a name and a password.
    Simple {
        /// The account's DN (Active Directory also takes `user@domain` and `DOMAIN\user`).
        dn: String,
        /// The account's password.
        password: SecretString,
    },
    /// As whoever the client certificate says (SASL EXTERNAL).
    SaslExternal,
}

/// Which entries are people, and what to take from them.
#[derive(Debug, Clone)]
pub struct UserSettings {
    /// Search here in place of [`LdapSettings::base_dn`].
    pub base_dn: Option<String>,
    /// How deep. Default the whole subtree.
    pub scope: LdapScope,
    /// An RFC 4515 filter that people match. Default `(objectClass=inetOrgPerson)`.
    pub filter: String,
    /// What makes the external id. Default `entryUUID`.
    pub id: IdAttribute,
    /// Where the email is.
    pub email: EmailRule,
    /// Which entries are disabled accounts; `None`: all may be used.
    pub disabled: Option<LdapDisabled>,
    /// An attribute of the person that lists the DNs of their groups (`memberOf`), for directories
    /// whose groups don't list their members to us. Adds to what the groups say.
    pub member_of: Option<String>,
}

/// Which entries are groups, and what to take from them.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// Search here in place of [`LdapSettings::base_dn`].
    pub base_dn: Option<String>,
    /// How deep. Default the whole subtree.
    pub scope: LdapScope,
    /// An RFC 4515 filter that groups match. Default `(objectClass=groupOfNames)`.
    pub filter: String,
    /// What makes the external id. Default `entryUUID`.
    pub id: IdAttribute,
    /// The group's name. Default `cn`.
    pub name: String,
    /// Attributes that list members; those an entry has are taken together. Default `member`.
    pub members: Vec<MemberAttribute>,
    /// Whether people whose `gidNumber` is the group's are in it (RFC 2307: their primary group).
    /// Default no.
    pub include_primary: bool,
}

/// What makes an entry's external id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdAttribute {
    /// The DN as the server spells it. A rename makes it another person; only for organizations
    /// whose external ids are DNs already.
    Dn,
    /// An attribute with one value that never changes: `entryUUID`, `ipaUniqueID`, `nsUniqueId`.
    Attribute(String),
}

impl IdAttribute {
    /// `dn` (in any case) is the DN, everything else an attribute's name.
    pub fn named(name: &str) -> Self {
        if name.eq_ignore_ascii_case("dn") {
            Self::Dn
        } else {
            Self::Attribute(name.to_owned())
        }
    }
}

/// Where a person's email is.
///
/// The attributes are tried in order; the first one with a value that isn't blank decides. Of
/// several values the first that is an email address is taken, in the order in which the server
/// lists them (OpenLDAP and 389-ds: the order in which they were added, the same on every
/// replica).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailRule {
    /// The attributes to try, in this order. Default `mail`.
    pub attributes: Vec<String>,
    /// Where none of them has a value.
    pub derived: Option<DerivedEmail>,
}

/// An email put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedEmail {
    /// The attribute whose first value comes before the `@`: `uid`.
    pub prefix_attribute: String,
    /// The text after the attribute's value, with its `@`: `@example.com`.
    pub suffix: String,
}

/// An attribute that lists a group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAttribute {
    /// The attribute's name: `member`, `uniqueMember`, `memberUid`.
    pub name: String,
    /// What its values are.
    pub naming: MemberNaming,
}

impl MemberAttribute {
    /// `memberUid` holds people's `uid`s (RFC 2307), every other attribute DNs.
    pub fn named(name: &str) -> Self {
        let naming = if name.eq_ignore_ascii_case("memberUid") {
            MemberNaming::UserAttribute("uid".to_owned())
        } else {
            MemberNaming::Dn
        };
        Self {
            name: name.to_owned(),
            naming,
        }
    }
}

/// How a group names its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberNaming {
    /// By DN, of people and of groups, compared in normal form. A unique identifier after it
    /// (`uniqueMember: cn=…#'01'B`) is left aside.
    Dn,
    /// By the value of this attribute of the person, in any case.
    UserAttribute(String),
}

impl LdapSettings {
    /// An anonymous read of everything below `base_dn`, with the defaults of each field.
    pub fn new(servers: Vec<ServerUrl>, base_dn: impl Into<String>) -> Self {
        Self {
            servers,
            tls: TlsSettings::default(),
            bind: Bind::Anonymous,
            base_dn: base_dn.into(),
            connect_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            search_timeout: Duration::from_secs(300),
            page_size: 1_000,
            users: UserSettings::default(),
            groups: Some(GroupSettings::default()),
            observer: Arc::new(Unobserved),
        }
    }

    /// Checks what the types leave open, before any server is asked.
    ///
    /// # Errors
    /// The first thing that can't work, in the words of the resource's fields.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        if self.servers.is_empty() {
            return Err(InvalidSettings::NoServer);
        }
        let bases = [
            ("baseDn", Some(&self.base_dn)),
            ("users.baseDn", self.users.base_dn.as_ref()),
            (
                "groups.baseDn",
                self.groups.as_ref().and_then(|g| g.base_dn.as_ref()),
            ),
        ];
        for (field, base) in bases {
            if let Some(base) = base
                && !dn::is_dn(base)
            {
                return Err(InvalidSettings::Dn {
                    field,
                    value: base.clone(),
                });
            }
        }
        match &self.bind {
            // RFC 4513, 5.1.2: servers take a DN without a password for an anonymous bind, and
            // answer success.
            Bind::Simple { dn, password }
                if dn.is_empty() || password.expose_secret().is_empty() =>
            {
                return Err(InvalidSettings::IncompleteBind);
            }
            Bind::SaslExternal if self.tls.client_identity.is_none() => {
                return Err(InvalidSettings::ExternalWithoutCertificate);
            }
            _ => {}
        }
        check_filter("users.filter", &self.users.filter)?;
        let mut attributes = vec![];
        if let IdAttribute::Attribute(name) = &self.users.id {
            attributes.push(("users.idAttribute", name));
        }
        attributes.extend(
            self.users
                .email
                .attributes
                .iter()
                .map(|name| ("users.emailAttributes", name)),
        );
        if let Some(derived) = &self.users.email.derived {
            attributes.push(("users.emailPrefixAttribute", &derived.prefix_attribute));
        } else if self.users.email.attributes.is_empty() {
            return Err(InvalidSettings::NoEmailAttribute);
        }
        if let Some(rule) = &self.users.disabled {
            attributes.push(("users.disabled.attribute", &rule.attribute));
        }
        if let Some(name) = &self.users.member_of {
            attributes.push(("users.memberOfAttribute", name));
        }
        if let Some(groups) = &self.groups {
            check_filter("groups.filter", &groups.filter)?;
            if let IdAttribute::Attribute(name) = &groups.id {
                attributes.push(("groups.idAttribute", name));
            }
            attributes.push(("groups.nameAttribute", &groups.name));
            for member in &groups.members {
                attributes.push(("groups.memberAttributes", &member.name));
                if let MemberNaming::UserAttribute(name) = &member.naming {
                    attributes.push(("groups.memberUserAttribute", name));
                }
            }
            if groups.members.is_empty() && self.users.member_of.is_none() {
                return Err(InvalidSettings::NoMembership);
            }
        }
        for (field, name) in attributes {
            if !is_attribute(name) {
                return Err(InvalidSettings::Attribute {
                    field,
                    value: name.clone(),
                });
            }
        }
        Ok(())
    }
}

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            base_dn: None,
            scope: LdapScope::Subtree,
            filter: "(objectClass=inetOrgPerson)".to_owned(),
            id: IdAttribute::Attribute("entryUUID".to_owned()),
            email: EmailRule {
                attributes: vec!["mail".to_owned()],
                derived: None,
            },
            disabled: None,
            member_of: None,
        }
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            base_dn: None,
            scope: LdapScope::Subtree,
            filter: "(objectClass=groupOfNames)".to_owned(),
            id: IdAttribute::Attribute("entryUUID".to_owned()),
            name: "cn".to_owned(),
            members: vec![MemberAttribute::named("member")],
            include_primary: false,
        }
    }
}

/// Settings that can't work whatever the server says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// There is nobody to ask.
    #[error("no server is given; write at least one url such as ldaps://ldap.example.com")]
    NoServer,
    /// Not the address of an LDAP server.
    #[error(
        "{url:?} is not the address of an LDAP server: {why}; write ldaps://HOST[:PORT] or ldap://HOST[:PORT]"
    )]
    Url {
        /// The URL as the spec has it.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text that should be a DN and isn't.
    #[error("{field} {value:?} is not a distinguished name; write it like dc=example,dc=com")]
    Dn {
        /// Where it was given.
        field: &'static str,
        /// The value as the spec has it.
        value: String,
    },
    /// A filter that can't be read.
    #[error(
        "{field} {value:?} is not an LDAP filter; mind the parentheses, as in (&(objectClass=person)(mail=*))"
    )]
    Filter {
        /// Where it was given.
        field: &'static str,
        /// The value as the spec has it.
        value: String,
    },
    /// A filter with too many parentheses in each other.
    #[error(
        "the parentheses of {field} are nested more than {FILTER_DEPTH} deep; list the conditions side by side, as in (|(a=1)(b=2)(c=3))"
    )]
    DeepFilter {
        /// Where it was given.
        field: &'static str,
    },
    /// A text that can't name an attribute.
    #[error("{field} {value:?} can't be the name of an attribute")]
    Attribute {
        /// Where it was given.
        field: &'static str,
        /// The value as the spec has it.
        value: String,
    },
    /// There is no way to an email.
    #[error("no attribute for the email is given, and none to derive it from")]
    NoEmailAttribute,
    /// There is no way to a membership.
    #[error(
        "groups are read, but neither groups.memberAttributes nor users.memberOfAttribute says who is in them"
    )]
    NoMembership,
    /// A name or a password is missing.
    #[error(
        "the bind needs both a DN and a password; without a bind Secret the directory is read anonymously"
    )]
    IncompleteBind,
    /// EXTERNAL without anything to show.
    #[error("SASL EXTERNAL needs a client certificate and its key")]
    ExternalWithoutCertificate,
    /// A PEM text without what it should hold, or with something broken.
    #[error("{field} can't be used: {why}")]
    Pem {
        /// Where it was given.
        field: &'static str,
        /// What is wrong with it, without a byte of it.
        why: &'static str,
    },
}

impl std::str::FromStr for ServerUrl {
    type Err = InvalidSettings;

    fn from_str(text: &str) -> Result<Self, InvalidSettings> {
        let text = text.trim();
        let wrong = |why| InvalidSettings::Url {
            url: crate::text::sanitize(text),
            why,
        };
        let (scheme, rest) = text.split_once("://").ok_or(wrong("there is no scheme"))?;
        let ldaps = if scheme.eq_ignore_ascii_case("ldaps") {
            true
        } else if scheme.eq_ignore_ascii_case("ldap") {
            false
        } else {
            return Err(wrong("the scheme is neither ldaps nor ldap"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(wrong("only a host and a port may follow the scheme"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed
                    .split_once(']')
                    .ok_or(wrong("a bracket is left open"))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(wrong("there is no IPv6 address between the brackets"));
                }
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(wrong("only a port may follow the host")),
                }
            }
            None => match rest.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(wrong("an IPv6 address stands in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let plausible = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || !host.chars().all(plausible) {
            return Err(wrong("there is no host name in it"));
        }
        let port = match port {
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(wrong("the port is not a number from 1 to 65535")),
            },
            None if ldaps => 636,
            None => 389,
        };
        Ok(Self {
            ldaps,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.ldaps {
            ("ldaps", 636)
        } else {
            ("ldap", 389)
        };
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "{scheme}://[{address}]")?,
            _ => write!(f, "{scheme}://{}", self.host)?,
        }
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// # Errors
/// When `filter` can't be read; with the field it was given in.
pub fn check_filter(field: &'static str, filter: &str) -> Result<(), InvalidSettings> {
    // The parser recurses: a manifest with more parentheses would end the process.
    if depth(filter) > FILTER_DEPTH {
        return Err(InvalidSettings::DeepFilter { field });
    }
    match ldap3::parse_filter(filter) {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidSettings::Filter {
            field,
            value: crate::text::sanitize(filter),
        }),
    }
}

/// How deep the parentheses of a filter may be nested.
const FILTER_DEPTH: usize = 50;

/// How deep they are. In values they are escaped (RFC 4515, 3).
fn depth(filter: &str) -> usize {
    let mut most: usize = 0;
    let mut depth: usize = 0;
    for byte in filter.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// `filter` without white space around and between its parts, as comes of YAML's folded blocks.
/// What belongs to a value stays.
pub(crate) fn tidy_filter(filter: &str) -> String {
    let mut tidy = String::with_capacity(filter.len());
    let mut in_a_value = false;
    for c in filter.chars() {
        match c {
            '(' | ')' => in_a_value = false,
            '&' | '|' | '!' if !in_a_value => {}
            c if c.is_whitespace() && !in_a_value => continue,
            _ => in_a_value = true,
        }
        tidy.push(c);
    }
    tidy
}

/// A descriptor or a dotted number (RFC 4512, 2.5), without options.
pub fn is_attribute(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_maybe_a_port() {
        let shown = |text: &str| text.parse::<ServerUrl>().map(|url| url.to_string());
        assert_eq!(
            shown("ldaps://ldap.example.com"),
            Ok("ldaps://ldap.example.com".into())
        );
        assert_eq!(shown("LDAP://Host:1389/"), Ok("ldap://host:1389".into()));
        assert_eq!(shown("ldap://[::1]:389"), Ok("ldap://[::1]".into()));
        for wrong in [
            "ldap.example.com",
            "https://ldap.example.com",
            "ldap://",
            "ldap://host/dc=example",
            "ldap://user@host",
            "ldap://host:0",
            "ldap://host:70000",
            "ldap://::1",
            "ldap://[::1",
            "ldap://two words",
        ] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_a_server_is_asked() {
        let good = LdapSettings::new(
            vec!["ldap://localhost".parse().unwrap()],
            "dc=example,dc=com",
        );
        assert_eq!(good.validate(), Ok(()));

        let refused = |change: fn(&mut LdapSettings)| {
            let mut settings = good.clone();
            change(&mut settings);
            settings.validate().unwrap_err().to_string()
        };
        assert!(refused(|s| s.servers.clear()).contains("no server"));
        assert!(refused(|s| s.base_dn = "example.com".into()).contains("baseDn"));
        assert!(refused(|s| s.users.filter = "(mail=*".into()).contains("users.filter"));
        assert!(refused(|s| s.users.email.attributes.clear()).contains("email"));
        assert!(refused(|s| s.bind = Bind::SaslExternal).contains("client certificate"));
        assert!(
            refused(|s| s.groups.as_mut().unwrap().name = "c n".into())
                .contains("groups.nameAttribute")
        );
        assert!(
            refused(|s| s.groups.as_mut().unwrap().members.clear()).contains("memberOfAttribute")
        );
        let no_password = refused(|s| {
            s.bind = Bind::Simple {
                dn: "cn=reader".into(),
                password: "".into(),
            }
        });
        assert!(no_password.contains("password"));
    }

    #[test]
    fn a_filter_is_nested_to_a_bound_and_not_to_the_end_of_the_stack() {
        let nested = |depth: usize, open: &str| {
            let inner = depth - 1;
            format!("{}(mail=*){}", open.repeat(inner), ")".repeat(inner))
        };
        for open in ["(&", "(|", "(!"] {
            let started = std::time::Instant::now();
            assert_eq!(check_filter("users.filter", &nested(50, open)), Ok(()));
            assert!(started.elapsed() < Duration::from_secs(1), "{open}");
            for depth in [51, 300_000] {
                let why = check_filter("users.filter", &nested(depth, open)).unwrap_err();
                assert!(matches!(why, InvalidSettings::DeepFilter { .. }), "{why}");
            }
        }
        assert!(check_filter("users.filter", &"(&".repeat(300_000)).is_err());
        let wide = format!("(|{})", "(mail=a)".repeat(10_000));
        assert_eq!(check_filter("users.filter", &wide), Ok(()));
    }

    #[test]
    fn a_filter_on_several_lines_is_one_without_them_and_values_keep_their_spaces() {
        let folded =
            " (&\n  ( objectClass=inetOrgPerson )\n  (! (employeeType=the guest & co))\n)\n ";
        let tidy = tidy_filter(folded);
        assert_eq!(
            tidy,
            "(&(objectClass=inetOrgPerson )(!(employeeType=the guest & co)))"
        );
        assert!(check_filter("users.filter", &tidy).is_ok());
        assert_eq!(tidy_filter("(cn:dn:=a b)"), "(cn:dn:=a b)");
    }
}
