//! Why an LDAP directory couldn't be read, in the words of whoever runs it.

use std::time::Duration;

use ldap3::LdapResult;
use secrecy::SecretString;

use super::dn::normalize;
use super::framing::ProtocolViolation;
use super::settings::InvalidSettings;
use crate::http::known_words;
use crate::text::sanitize;
use crate::{SourceError, SourceErrorKind};

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LdapFailure {
    /// The settings can't work.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The host has no address.
    #[error("could not find the address of {server}: {source}; check the host name in the url")]
    Resolve {
        /// The server's URL from the settings.
        server: String,
        /// The error of the system's resolver.
        source: std::io::Error,
    },
    /// The operator's own settings don't allow it.
    #[error(transparent)]
    Denied(#[from] crate::http::egress::Denied),
    /// No address of the host let us connect.
    #[error(
        "could not connect to {server}: {source}; check host and port, and that no firewall or network policy is in between"
    )]
    Connect {
        /// The server's URL from the settings.
        server: String,
        /// What the last address said.
        source: std::io::Error,
    },
    /// TLS couldn't be set up.
    #[error("could not set up TLS with {server}: {why}")]
    Tls {
        /// The server's URL from the settings.
        server: String,
        /// What is wrong with which certificate, and what to do.
        why: String,
        /// Whether it may pass, or be fixed at the server, without anything changing here.
        transient: bool,
        /// What the TLS library said.
        source: Option<Box<rustls::Error>>,
    },
    /// The server answered with a result code other than success.
    #[error("{tried}: the server answered {code} ({name}){text}; {advice}", code = .answer.code, name = .answer.name, text = .answer.text)]
    Refused {
        /// What was asked, with the server's URL.
        tried: String,
        /// Which of the requests was refused.
        stage: Stage,
        /// The result code with the server's message.
        answer: Box<Answer>,
        /// What to do about this result code.
        advice: &'static str,
    },
    /// The connection ended before the answer did.
    #[error("{tried}: the connection was lost before the end of the answer{}", detail(.cause))]
    Lost {
        /// What was asked, with the server's URL.
        tried: String,
        /// What the operating system or the TLS library said.
        #[source]
        cause: Option<Box<ldap3::LdapError>>,
    },
    /// What came is nothing that may be decoded.
    #[error("{tried}: {violation}")]
    Unacceptable {
        /// What was asked, with the server's URL.
        tried: String,
        /// Which limit it went beyond.
        #[source]
        violation: ProtocolViolation,
    },
    /// The whole list is larger than it may be.
    #[error("{tried}: the list is larger than {most}; if that is right, raise {flag}")]
    TooMuch {
        /// What was asked, with the server's URL.
        tried: String,
        /// The limit, with its unit.
        most: String,
        /// The operator's flag for it.
        flag: &'static str,
    },
    /// The server fell silent.
    #[error("{tried}: no answer for {}", seconds(.waited))]
    Silent {
        /// What was asked, with the server's URL.
        tried: String,
        /// How long we waited.
        waited: Duration,
    },
    /// The whole search took too long.
    #[error("{tried}: not finished after {}; raise searchTimeout, or narrow base and filter", seconds(.limit))]
    TooSlow {
        /// What was asked, with the server's URL.
        tried: String,
        /// The limit in the settings, `searchTimeout`.
        limit: Duration,
    },
    /// A part of the tree is held by another server.
    #[error(
        "{tried}: a part of the directory is held elsewhere ({elsewhere}), so the list isn't complete; narrow the base DN to what this server holds, or ask a server that holds all of it"
    )]
    Reference {
        /// What was asked, with the server's URL.
        tried: String,
        /// The server that was named, as far as it is known.
        elsewhere: String,
    },
    /// A later page came without what is needed to ask on.
    #[error(
        "{tried}: the server stopped paging in the middle of the list; try again, or set pageSize to 0 if it does so every time"
    )]
    PagingStopped {
        /// What was asked, with the server's URL.
        tried: String,
    },
    /// An attribute came in part.
    #[error(
        "{tried}: {entry} came with a part of its values only ({attribute}), as Active Directory does; use source.activeDirectory, which asks for the rest"
    )]
    Ranged {
        /// What was asked, with the server's URL.
        tried: String,
        /// The DN of the entry that came in part.
        entry: String,
        /// The attribute with its options, as the server wrote it: `member;range=0-1499`.
        attribute: String,
    },
    /// No entry has its id.
    #[error(
        "{tried}: none of the {count} entries has a readable {attribute}, which makes the external id; name another attribute, or let the bind account read this one"
    )]
    NoIds {
        /// What was asked, with the server's URL.
        tried: String,
        /// How many entries there were.
        count: usize,
        /// The attribute that should make the external id.
        attribute: String,
    },
    /// The attribute that should make the external id holds bytes.
    #[error(
        "{tried}: {attribute} of {entry} holds bytes, not text, and can't make the external id; name another idAttribute (objectGUID, mS-DS-ConsistencyGuid and eDirectory's GUID are read as such)"
    )]
    BinaryId {
        /// What was asked, with the server's URL.
        tried: String,
        /// The DN of the first such entry.
        entry: String,
        /// The attribute that should make the external id.
        attribute: String,
    },
    /// What came isn't LDAP.
    #[error(
        "{tried}: the answer can't be understood as LDAP; check that the port is that of an LDAP server"
    )]
    Malformed {
        /// What was asked, with the server's URL.
        tried: String,
    },
    /// None of several servers would do.
    #[error("none of the {} servers could be used: {}", .0.len(), list(.0))]
    NoServer(Vec<LdapFailure>),
}

/// At which point the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The StartTLS request (RFC 4511, 4.14).
    StartTls,
    /// The bind, with a password or a client certificate.
    Bind,
    /// A search, of which some pages may have come.
    Search,
}

/// A result that isn't success.
#[derive(Debug, Clone)]
pub struct Answer {
    /// RFC 4511, appendix A.
    pub code: u32,
    /// The code's name there.
    pub name: &'static str,
    /// What the server added: known words of its diagnostic message, the nearest entry that
    /// exists, where the base DN has it.
    /// Empty for a bind: what a server says of a name or a password can repeat it.
    pub text: String,
    /// The diagnostic message as it came, for codes in it. It is never shown.
    pub diagnostic: SecretString,
}

impl Answer {
    /// What of the answer to this stage may be shown, bounded.
    /// Of entries and servers that it names only those that `base`, from the settings, names too: in others
    /// a server can write what it was sent.
    pub fn of(stage: Stage, result: &LdapResult, base: &str) -> Self {
        Self {
            code: result.rc,
            name: code_name(result.rc),
            text: match stage {
                Stage::Bind => String::new(),
                Stage::StartTls | Stage::Search => Self::message(result, base),
            },
            diagnostic: result.text.clone().into(),
        }
    }

    fn message(result: &LdapResult, base: &str) -> String {
        let mut text = String::new();
        if let Some(words) = known_words(&result.text) {
            text = format!(": \"{words}\"");
        }
        if let Some(nearest) = nearest(base, &result.matched) {
            text.push_str(&format!(", the nearest entry is {}", sanitize(nearest)));
        }
        if let Some(first) = result.refs.first() {
            text.push_str(&format!(", referring to {}", known_server(first, base)));
        }
        text
    }
}

/// The part of `base`, as the settings write it, that is the entry `matched`.
fn nearest<'b>(base: &'b str, matched: &str) -> Option<&'b str> {
    let normal = |dn: &str| {
        let mut normal = String::new();
        normalize(dn, &mut normal);
        normal
    };
    let matched = normal(matched);
    let starts = base.match_indices(',').map(|(at, _)| at + 1);
    let mut parts = std::iter::once(0)
        .chain(starts)
        .map(|at| base[at..].trim_start());
    parts.find(|part| !part.is_empty() && normal(part) == matched)
}

/// The names that Active Directory gives to parts of a forest's DNS, where it refers to them.
const KNOWN_SERVERS: [&str; 4] = ["", "domaindnszones.", "forestdnszones.", "gc._msdcs."];

/// The server that a URL names, where that is the domain of `base` or a known part of it.
pub(super) fn known_server(url: &str, base: &str) -> String {
    let mut normal = String::new();
    normalize(base, &mut normal);
    let labels = normal
        .split(',')
        .filter_map(|part| part.strip_prefix("dc="));
    let domain = labels.collect::<Vec<_>>().join(".");
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let known = !domain.is_empty()
        && host
            .strip_suffix(&domain)
            .is_some_and(|before| KNOWN_SERVERS.contains(&before));
    match known {
        true => host,
        false => "another server".to_owned(),
    }
}

impl LdapFailure {
    /// The server's result, with what to do about it; `base` is where a search started.
    pub fn refused(tried: String, stage: Stage, result: &LdapResult, base: &str) -> Self {
        Self::Refused {
            tried,
            stage,
            advice: match refuses_paging(stage, result) {
                true => {
                    "the server refuses paged results: set pageSize to 0, or allow them for the \
                     bind account"
                }
                false => advice(stage, result.rc),
            },
            answer: Box::new(Answer::of(stage, result, base)),
        }
    }

    /// Whether another server of the list may do better. Not after the server judged our
    /// credentials: asking everywhere with a wrong password locks the account.
    pub fn concerns_one_server(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Lost { .. }
            | Self::Silent { .. }
            | Self::Unacceptable { .. }
            | Self::Malformed { .. } => true,
            Self::Refused { stage, answer, .. } => {
                *stage == Stage::StartTls || matches!(answer.code, 51 | 52 | 80)
            }
            _ => false,
        }
    }

    /// Who can fix it.
    pub(crate) fn kind(&self) -> SourceErrorKind {
        const TRANSIENT: SourceErrorKind = SourceErrorKind::Transient { retry_after: None };
        match self {
            Self::Settings(_)
            | Self::Denied(_)
            | Self::NoIds { .. }
            | Self::BinaryId { .. }
            | Self::TooMuch { .. }
            | Self::Ranged { .. } => SourceErrorKind::Configuration,
            Self::Unacceptable { violation, .. } => match violation {
                ProtocolViolation::TooLarge(_)
                | ProtocolViolation::TooManyElements(_)
                | ProtocolViolation::TooDeep => SourceErrorKind::Configuration,
                ProtocolViolation::NotLdap => TRANSIENT,
            },
            Self::Resolve { .. } | Self::Connect { .. } | Self::Malformed { .. } => TRANSIENT,
            Self::Tls {
                transient: true, ..
            } => TRANSIENT,
            Self::Tls {
                transient: false, ..
            } => SourceErrorKind::Configuration,
            Self::Refused { stage, answer, .. } => match (stage, answer.code) {
                (_, 51 | 52 | 80) => TRANSIENT,
                (Stage::Search, 3 | 4 | 10 | 11 | 53 | 54) => SourceErrorKind::Incomplete,
                (_, 1 | 2 | 7 | 8 | 10 | 12..=14 | 16..=18 | 21 | 32..=34 | 36 | 48..=50 | 53) => {
                    SourceErrorKind::Configuration
                }
                _ => TRANSIENT,
            },
            Self::Lost { .. }
            | Self::Silent { .. }
            | Self::TooSlow { .. }
            | Self::Reference { .. }
            | Self::PagingStopped { .. } => SourceErrorKind::Incomplete,
            // As long as one of them may come back, it is worth trying again.
            Self::NoServer(failures) => failures
                .iter()
                .map(Self::kind)
                .find(|kind| *kind != SourceErrorKind::Configuration)
                .unwrap_or(SourceErrorKind::Configuration),
        }
    }
}

impl From<LdapFailure> for SourceError {
    fn from(failure: LdapFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

fn detail(cause: &Option<Box<ldap3::LdapError>>) -> String {
    match cause.as_deref() {
        Some(ldap3::LdapError::Io { source }) => format!(" ({})", sanitize(&source.to_string())),
        Some(other) => format!(" ({})", sanitize(&other.to_string())),
        None => String::new(),
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}

fn list(failures: &[LdapFailure]) -> String {
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    texts.join(" | ")
}

/// Whether the answer speaks of the control for paged results (RFC 2696). The code alone doesn't
/// tell: OpenLDAP answers 11 where `size.prtotal` is disabled.
fn refuses_paging(stage: Stage, result: &LdapResult) -> bool {
    let text = result.text.to_ascii_lowercase();
    stage == Stage::Search
        && ["paged", "1.2.840.113556.1.4.319"]
            .iter()
            .any(|s| text.contains(s))
}

fn advice(stage: Stage, code: u32) -> &'static str {
    match (stage, code) {
        (_, 51 | 52) => "it should pass by itself",
        (_, 8) => "the server wants signing or TLS: use ldaps://, or ldap:// with tls.startTls",
        (_, 13) => "the server wants TLS: use ldaps://, or ldap:// with tls.startTls",
        (Stage::StartTls, _) => {
            "the server doesn't offer StartTLS here: use ldaps://, or turn tls.startTls off"
        }
        (Stage::Bind, 49) => "check the bind DN and the password in the bind Secret",
        (Stage::Bind, 32 | 34) => "check the bind DN in the bind Secret",
        (Stage::Bind, 7) => "the server doesn't know this way to bind; choose another one",
        (Stage::Bind, 48) => {
            "the server doesn't let this account in this way; anonymous reading may be turned \
             off, or the account has no password"
        }
        (Stage::Bind, 53) => {
            "the server won't let this account in; it may be locked, or its password expired"
        }
        (Stage::Bind, 50) => "this account may not bind from here; check the server's access rules",
        (Stage::Bind, _) => "check the bind account",
        (Stage::Search, 3) => {
            "raise searchTimeout or the server's time limit for the bind account, or index what \
             the filter asks for"
        }
        (Stage::Search, 4) => {
            "the list isn't complete, so nothing was changed; raise the server's size limit for \
             the bind account (OpenLDAP: `limits … size.prtotal=unlimited`; 389-ds: \
             nsPagedSizeLimit), or set a pageSize the server allows"
        }
        (Stage::Search, 11) => {
            "raise the server's limits for the bind account (OpenLDAP: size.pr, size.unchecked; \
             389-ds: nsPagedLookThroughLimit), or index what the filter asks for"
        }
        (Stage::Search, 10) => {
            "this server doesn't hold the base DN; name a server that does, or correct the base DN"
        }
        (Stage::Search, 12) => "the server can't do what the search needs; set pageSize to 0",
        (Stage::Search, 32) => {
            "the base DN doesn't exist or the bind account may not see it; correct baseDn or \
             the server's access rules"
        }
        (Stage::Search, 34) => "correct the base DN",
        (Stage::Search, 1 | 50) => {
            "the bind account may not read here; bind with an account that may, or give it the \
             right to read and search"
        }
        (Stage::Search, 2 | 16 | 17 | 18 | 21) => {
            "check the filter and the names of attributes against the server's schema"
        }
        (Stage::Search, 53) => {
            "the server won't do this search; check whether it allows anonymous reading and paged \
             results (pageSize: 0 does without), and its limits for the bind account"
        }
        (Stage::Search, _) => "see the server's log",
    }
}

/// The names of RFC 4511, appendix A.
fn code_name(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        14 => "saslBindInProgress",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        33 => "aliasProblem",
        34 => "invalidDNSyntax",
        36 => "aliasDereferencingProblem",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        80 => "other",
        _ => "unknown code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_and_servers_that_the_settings_name_are_shown() {
        let base = "ou=staff, dc=Example,dc=com";
        for (matched, shown) in [
            ("DC=example, DC=COM", Some("dc=Example,dc=com")),
            ("ou=Staff,dc=example,dc=com", Some(base)),
            ("dc=com", Some("dc=com")),
            ("ou=h.u.n.t.e.r,dc=example,dc=com", None),
            ("ou=hunter", None),
            ("", None),
        ] {
            assert_eq!(nearest(base, matched), shown, "{matched}");
        }
        for (url, shown) in [
            (
                "ldap://ForestDnsZones.example.com/DC=ForestDnsZones",
                "forestdnszones.example.com",
            ),
            ("ldap://example.com:389/", "example.com"),
            ("ldap://hunter.example.com/", "another server"),
            ("ldap://r-e-t-n-u-h/dc=example,dc=com", "another server"),
            ("ldap:///dc=hunter", "another server"),
            ("example.com", "another server"),
        ] {
            assert_eq!(known_server(url, base), shown, "{url}");
        }
        assert_eq!(known_server("ldap://example.com", "o=x"), "another server");
    }
}
