//! Why a domain couldn't be read, in its administrators' words.

use secrecy::ExposeSecret as _;

use crate::ldap::{LdapFailure, Stage};
use crate::text::sanitize;
use crate::{SourceError, SourceErrorKind};

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ActiveDirectoryFailure {
    /// As with every LDAP server.
    #[error(transparent)]
    Ldap(#[from] LdapFailure),
    /// The controller doesn't let the account in.
    #[error("{tried}: the controller answered {code}: {meaning}; {advice}", code = .refusal.code, meaning = .refusal.meaning, advice = .refusal.advice)]
    Bind {
        /// What was tried, with the controller's URL.
        tried: String,
        /// The controller's own reason.
        refusal: &'static BindRefusal,
    },
    /// The controller takes no password in the clear.
    #[error(
        "{tried}: the controller answered 8 (strongerAuthRequired){text}; it wants signing or TLS: write security: Ldaps or security: StartTls"
    )]
    Unencrypted {
        /// What was tried, with the controller's URL.
        tried: String,
        /// What the controller's message added to the code, sanitized.
        text: String,
    },
    /// The controllers can't be found in DNS.
    #[error(
        "could not find the controllers of {domain}: asking DNS for {record}: {why}; check the domain's name and that the name servers here know it, or list controllers instead"
    )]
    Discovery {
        /// The domain's DNS name.
        domain: String,
        /// The SRV record's name.
        record: String,
        /// The answer of the name server, or why there was none.
        why: String,
        /// Whether DNS said that there is no such record.
        nothing_there: bool,
    },
    /// It is another kind of directory.
    #[error(
        "{server} is an LDAP directory, but doesn't say that it is an Active Directory controller; use source.ldap for it"
    )]
    NotActiveDirectory {
        /// The URL of the server that was asked.
        server: String,
    },
    /// The controller lacks a part of what it should hold.
    #[error(
        "{server} hasn't taken over all of its domain from other controllers yet ({attribute} is FALSE), so its lists aren't complete; it should pass by itself"
    )]
    NotSynchronized {
        /// The URL of the controller that was asked.
        server: String,
        /// The attribute of the root entry that is FALSE: `isSynchronized`, or its like for the
        /// global catalog.
        attribute: &'static str,
    },
    /// An attribute that every such entry has can't be seen.
    #[error(
        "the bind account can't see {attribute} of {entry}; let it read that (by default every account may, as long as Authenticated Users are in Pre-Windows 2000 Compatible Access)"
    )]
    Hidden {
        /// The DN of the entry that lacks it.
        entry: String,
        /// The attribute that was asked for and didn't come.
        attribute: &'static str,
    },
    /// Values came in part, and not in a way that can be asked on from.
    #[error(
        "{tried}: {entry} came with a part of its values only ({attribute}), and that isn't known to come in parts; raise the controller's MaxValRange"
    )]
    Part {
        /// What was tried, with the controller's URL.
        tried: String,
        /// The DN of the entry that came in part.
        entry: String,
        /// The attribute with its options, as the controller wrote it: `member;range=0-1499`.
        attribute: String,
    },
    /// A list of members kept changing, or came in parts that don't fit together.
    #[error(
        "reading the members of {group} from {server}: the list changed while it was read, {tries} times in a row; trying again later"
    )]
    Changing {
        /// The DN of the group whose list changed.
        group: String,
        /// The URL of the controller that was asked.
        server: String,
        /// How often it was begun.
        tries: u32,
    },
    /// A list of members has always another part.
    #[error("reading the members of {group}: the list may not be complete: {why}")]
    TooLong {
        /// The DN of the group whose list it is.
        group: String,
        /// The limit, and what to do.
        why: String,
    },
    /// A group that the spec names isn't there.
    #[error(
        "{field} names the group {dn}, which isn't in the domain (or the bind account can't see it); it may have been moved or renamed: write its present DN"
    )]
    NoSuchGroup {
        /// The field of the spec that names it.
        field: &'static str,
        /// The DN as the spec has it.
        dn: String,
    },
    /// A group that the spec names has members that can't be seen.
    #[error(
        "{field} comes to the group {group}, whose members the global catalog doesn't know, because it isn't universal and of another domain; make it universal, or name groups without it"
    )]
    NotUniversal {
        /// The field of the spec that names it.
        field: &'static str,
        /// The name of the group among its members.
        group: String,
    },
    /// None of several controllers would do.
    #[error("none of the {} controllers could be used: {}", .0.len(), list(.0))]
    NoController(Vec<ActiveDirectoryFailure>),
}

/// What the number after `data` in a refused bind means (system error codes of Windows).
#[derive(Debug, PartialEq, Eq)]
pub struct BindRefusal {
    /// The number, hexadecimal as the controller writes it.
    pub code: &'static str,
    /// The meaning of the code, in a few words.
    pub meaning: &'static str,
    /// What an administrator should do about it.
    pub advice: &'static str,
    /// Whether it ends without a change of the Secret: in the domain, or with time.
    pub fixed_there: bool,
}

const SECRET: &str = "correct username and password in the bind Secret";

const BIND_REFUSALS: [BindRefusal; 11] = [
    refusal("525", "there is no such account", SECRET, false),
    refusal("52e", "the name or the password is wrong", SECRET, false),
    refusal(
        "52f",
        "the account is restricted",
        "see whether it is in Protected Users or under an authentication policy, and use one that may bind with its password",
        true,
    ),
    refusal(
        "530",
        "the account may not log on at this time",
        "extend its logon hours",
        true,
    ),
    refusal(
        "531",
        "the account may not log on from this machine",
        "take away the limit in its \"Log On To…\"",
        true,
    ),
    refusal(
        "532",
        "its password has expired",
        "set a new password, and that in the bind Secret; best let it never expire",
        true,
    ),
    refusal("533", "the account is disabled", "enable it", true),
    refusal(
        "569",
        "the account may not log on this way",
        "give it the right to log on from the network to the controllers",
        true,
    ),
    refusal(
        "701",
        "the account has expired",
        "extend or remove its date of expiry",
        true,
    ),
    refusal(
        "773",
        "its password must be changed at the first logon",
        "set a password without \"must change password at next logon\"",
        true,
    ),
    refusal(
        "775",
        "the account is locked out after too many wrong passwords",
        "unlock it, and check the password in the bind Secret",
        true,
    ),
];

const fn refusal(
    code: &'static str,
    meaning: &'static str,
    advice: &'static str,
    fixed_there: bool,
) -> BindRefusal {
    BindRefusal {
        code,
        meaning,
        advice,
        fixed_there,
    }
}

impl BindRefusal {
    /// The reason in a controller's diagnostic message: `… AcceptSecurityContext error, data 52e,
    /// v4563`.
    pub fn in_message(text: &str) -> Option<&'static Self> {
        let (_, rest) = text.split_once(" data ")?;
        let code = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        BIND_REFUSALS
            .iter()
            .find(|refusal| refusal.code.eq_ignore_ascii_case(code))
    }
}

impl ActiveDirectoryFailure {
    /// A failure of getting in, with what Active Directory means by it.
    pub fn of_bind(failure: LdapFailure) -> Self {
        let LdapFailure::Refused {
            tried,
            stage: Stage::Bind,
            answer,
            ..
        } = &failure
        else {
            return Self::Ldap(failure);
        };
        let tried = tried.clone();
        match answer.code {
            8 => Self::Unencrypted {
                tried,
                text: answer.text.clone(),
            },
            49 => match BindRefusal::in_message(answer.diagnostic.expose_secret()) {
                Some(refusal) => Self::Bind { tried, refusal },
                None => Self::Ldap(failure),
            },
            _ => Self::Ldap(failure),
        }
    }

    /// Whether another controller may do better. Not after one judged our password: asking
    /// everywhere with a wrong one locks the account.
    pub fn concerns_one_controller(&self) -> bool {
        match self {
            Self::Ldap(failure) => failure.concerns_one_server(),
            Self::NotSynchronized { .. } => true,
            _ => false,
        }
    }

    fn kind(&self) -> SourceErrorKind {
        const TRANSIENT: SourceErrorKind = SourceErrorKind::Transient { retry_after: None };
        match self {
            Self::Ldap(failure) => failure.kind(),
            Self::Bind { refusal, .. } if refusal.fixed_there => TRANSIENT,
            Self::Discovery {
                nothing_there: false,
                ..
            }
            | Self::NotSynchronized { .. } => TRANSIENT,
            Self::Changing { .. } | Self::TooLong { .. } | Self::Part { .. } => {
                SourceErrorKind::Incomplete
            }
            Self::Bind { .. }
            | Self::Unencrypted { .. }
            | Self::Discovery { .. }
            | Self::NotActiveDirectory { .. }
            | Self::Hidden { .. }
            | Self::NoSuchGroup { .. }
            | Self::NotUniversal { .. } => SourceErrorKind::Configuration,
            // As long as one of them may come back, it is worth trying again.
            Self::NoController(failures) => failures
                .iter()
                .map(Self::kind)
                .find(|kind| *kind != SourceErrorKind::Configuration)
                .unwrap_or(SourceErrorKind::Configuration),
        }
    }
}

impl From<ActiveDirectoryFailure> for SourceError {
    fn from(failure: ActiveDirectoryFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

/// An attribute that should be there and can't be seen.
pub fn hidden(dn: &str, attribute: &'static str) -> ActiveDirectoryFailure {
    ActiveDirectoryFailure::Hidden {
        entry: sanitize(dn),
        attribute,
    }
}

fn list(failures: &[ActiveDirectoryFailure]) -> String {
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    texts.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_in_a_refused_bind_is_spelled_out() {
        let message = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C090453, comment: AcceptSecurityContext error, data {data}, v4563"
            )
        };
        for (data, meaning) in [
            ("52e", "password is wrong"),
            ("525", "no such account"),
            ("530", "at this time"),
            ("531", "from this machine"),
            ("532", "password has expired"),
            ("533", "disabled"),
            ("701", "account has expired"),
            ("773", "must be changed"),
            ("775", "locked out"),
        ] {
            let refusal = BindRefusal::in_message(&message(data)).unwrap();
            assert!(refusal.meaning.contains(meaning), "{data}");
            assert_eq!(refusal.fixed_there, !["52e", "525"].contains(&data));
        }
        assert_eq!(BindRefusal::in_message(&message("0")), None);
        assert_eq!(BindRefusal::in_message("invalid credentials"), None);
    }
}
