//! Directory entries as LDIF text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A growing LDIF text, beginning with the entry of the suffix itself.
///
/// Parents are given relative to the suffix (`ou=people`, or nothing for the suffix), and each
/// method that adds an entry returns the entry's DN.
#[derive(Debug, Clone)]
pub struct Ldif {
    suffix: String,
    text: String,
}

/// A person as `inetOrgPerson`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Login name; also the entry's RDN.
    pub uid: String,
    /// The given name (`givenName`).
    pub given_name: String,
    /// The family name (`sn`).
    pub family_name: String,
    /// Email address, if there is one.
    pub mail: Option<String>,
    /// The entry's `entryUUID`; the server makes one up when absent.
    pub entry_uuid: Option<String>,
}

impl Person {
    /// A person known by `uid` whose address is `uid@example.com`.
    pub fn new(uid: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            given_name: "Test".to_owned(),
            family_name: uid.to_owned(),
            mail: Some(format!("{uid}@example.com")),
            entry_uuid: None,
        }
    }
}

impl Ldif {
    /// Begins with the entry of `suffix`, which is of the form `dc=…` or `o=…`.
    pub fn new(suffix: &str) -> Self {
        let mut ldif = Self {
            suffix: suffix.to_owned(),
            text: String::new(),
        };
        let first = suffix.split(',').next().unwrap_or_default();
        let (attribute, name) = first.split_once('=').unwrap_or(("o", first));
        if attribute.eq_ignore_ascii_case("dc") {
            let classes = [("objectClass", "dcObject"), ("objectClass", "organization")];
            ldif.entry(
                suffix,
                &[&classes[..], &[("dc", name), ("o", name)]].concat(),
            );
        } else {
            ldif.entry(suffix, &[("objectClass", "organization"), ("o", name)]);
        }
        ldif
    }

    /// Begins with nothing: records for a directory that already has entries.
    pub fn empty(suffix: &str) -> Self {
        Self {
            suffix: suffix.to_owned(),
            text: String::new(),
        }
    }

    /// An entry of any kind under its full DN. Values that LDIF can't carry as text are encoded.
    pub fn entry(&mut self, dn: &str, attributes: &[(&str, &str)]) {
        self.line("dn", dn);
        for (name, value) in attributes {
            self.line(name, value);
        }
        self.text.push('\n');
    }

    /// Adds an organizational unit, and gives its DN.
    pub fn unit(&mut self, parent: &str, name: &str) -> String {
        let dn = self.dn("ou", name, parent);
        self.entry(&dn, &[("objectClass", "organizationalUnit"), ("ou", name)]);
        dn
    }

    /// Adds a person, and gives the DN.
    pub fn person(&mut self, parent: &str, person: &Person) -> String {
        let dn = self.dn("uid", &person.uid, parent);
        let name = format!("{} {}", person.given_name, person.family_name);
        let mut attributes = vec![
            ("objectClass", "inetOrgPerson"),
            ("uid", &person.uid),
            ("cn", &name),
            ("givenName", &person.given_name),
            ("sn", &person.family_name),
        ];
        attributes.extend(person.mail.as_deref().map(|mail| ("mail", mail)));
        attributes.extend(person.entry_uuid.as_deref().map(|uuid| ("entryUUID", uuid)));
        self.entry(&dn, &attributes);
        dn
    }

    /// A `groupOfNames` with members by DN. The class wants at least one member: a group without
    /// gets the empty DN, as administrators do.
    pub fn group_of_names<M: AsRef<str>>(
        &mut self,
        parent: &str,
        name: &str,
        entry_uuid: Option<&str>,
        members: &[M],
    ) -> String {
        let dn = self.dn("cn", name, parent);
        let mut attributes = vec![("objectClass", "groupOfNames"), ("cn", name)];
        attributes.extend(entry_uuid.map(|uuid| ("entryUUID", uuid)));
        attributes.extend(members.iter().map(|member| ("member", member.as_ref())));
        if members.is_empty() {
            attributes.push(("member", ""));
        }
        self.entry(&dn, &attributes);
        dn
    }

    /// A `posixGroup` with members by `uid`.
    pub fn posix_group<M: AsRef<str>>(
        &mut self,
        parent: &str,
        name: &str,
        gid: u32,
        members: &[M],
    ) -> String {
        let dn = self.dn("cn", name, parent);
        let gid = gid.to_string();
        let mut attributes = vec![
            ("objectClass", "posixGroup"),
            ("cn", name),
            ("gidNumber", &gid),
        ];
        attributes.extend(members.iter().map(|member| ("memberUid", member.as_ref())));
        self.entry(&dn, &attributes);
        dn
    }

    /// An account to bind with, directly under the suffix: unlike the root DN it is subject to
    /// limits and access rules.
    pub fn account(&mut self, name: &str, password: &str) -> String {
        let dn = self.dn("cn", name, "");
        self.entry(
            &dn,
            &[
                ("objectClass", "organizationalRole"),
                ("objectClass", "simpleSecurityObject"),
                ("cn", name),
                ("userPassword", password),
            ],
        );
        dn
    }

    /// The DN of an entry with this RDN under `parent`.
    pub fn dn(&self, attribute: &str, value: &str, parent: &str) -> String {
        let comma = if parent.is_empty() { "" } else { "," };
        format!(
            "{attribute}={}{comma}{parent},{}",
            escape_rdn(value),
            self.suffix
        )
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes the text out, for writing a large one piece by piece.
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn line(&mut self, name: &str, value: &str) {
        let text = &mut self.text;
        if is_safe(value) {
            let _infallible = writeln!(text, "{name}: {value}");
        } else {
            let _infallible = writeln!(text, "{name}:: {}", BASE64_STANDARD.encode(value));
        }
    }
}

/// Escapes a value for use in a DN (RFC 4514, section 2.4).
pub fn escape_rdn(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let edge = (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ');
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Whether a value can stand in LDIF as it is (SAFE-STRING of RFC 2849, and no space at its end).
fn is_safe(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte.is_ascii() && !matches!(byte, b'\0' | b'\n' | b'\r'))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_ldif_cannot_carry_are_encoded() {
        let mut ldif = Ldif::empty("dc=example,dc=com");
        ldif.entry(
            "cn=x,dc=example,dc=com",
            &[("cn", "Zoë"), ("sn", " a"), ("l", "a:b")],
        );
        assert_eq!(
            ldif.text(),
            "dn: cn=x,dc=example,dc=com\ncn:: Wm/Dqw==\nsn:: IGE=\nl: a:b\n\n"
        );
    }

    #[test]
    fn a_name_with_a_comma_stays_one_rdn() {
        let ldif = Ldif::new("o=Corp");
        assert_eq!(
            ldif.dn("cn", " Ops, EU #1", "ou=teams"),
            r"cn=\ Ops\, EU #1,ou=teams,o=Corp"
        );
    }
}
