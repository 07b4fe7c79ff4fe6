//! The shapes that rules on the spec come in, as CEL for the API server.
//!
//! Every message says what to write, for it is all that somebody who runs `kubectl apply` sees.

use kube::core::Rule;

/// Addresses on the machine itself, where nothing leaves it: `http://127.0.0.1:8080`.
const LOOPBACK: &str = r"^[a-z]+://(localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1\\])([:/].*)?$";

/// Of `fields`, one and no more.
pub(super) fn exactly_one(fields: &[&str], message: &str) -> Rule {
    Rule::new(format!("{} == 1", how_many(fields))).message(message)
}

/// Of `fields`, one at most.
pub(super) fn at_most_one(fields: &[&str], message: &str) -> Rule {
    Rule::new(format!("{} <= 1", how_many(fields))).message(message)
}

/// `field` is only there where `needs` is.
pub(super) fn only_with(field: &str, needs: &str, message: &str) -> Rule {
    Rule::new(format!("!has(self.{field}) || has(self.{needs})")).message(message)
}

/// A rule that accepts both fields or neither.
pub(super) fn together(one: &str, other: &str, message: &str) -> Rule {
    Rule::new(format!("has(self.{one}) == has(self.{other})")).message(message)
}

/// A duration in hours, minutes and seconds of at least `min`.
pub(super) fn duration(min: &str, message: &str) -> Rule {
    Rule::new(format!(
        "self.matches('^([0-9]{{1,5}}h)?([0-9]{{1,5}}m)?([0-9]{{1,6}}s)?$') && self != '' && \
         duration(self) >= duration('{min}')"
    ))
    .message(message)
}

/// The web address in `field` has no user, query or fragment.
pub(super) fn web_address(field: &str) -> Rule {
    Rule::new(format!(
        "!has(self.{field}) || \
         self.{field}.matches('^https?://[^/?#@ ]+(/[^?#@ ]*)?$') && isURL(self.{field})"
    ))
    .message(
        format!("{field} must be an address such as https://example.com, without user, query or fragment")
            .as_str(),
    )
}

/// The web address in `field` is `https`, or stays on the machine.
pub(super) fn encrypted(field: &str) -> Rule {
    Rule::new(format!(
        "!has(self.{field}) || !self.{field}.startsWith('http://') || {}",
        loopback(&format!("self.{field}"))
    ))
    .message(format!("{field} would send credentials unencrypted: write https://").as_str())
}

/// As [`encrypted`], unless `allowPlaintext` is set.
pub(super) fn encrypted_unless_allowed(field: &str) -> Rule {
    Rule::new(format!(
        "!has(self.{field}) || !self.{field}.startsWith('http://') || {} || \
         has(self.allowPlaintext) && self.allowPlaintext",
        loopback(&format!("self.{field}"))
    ))
    .message(
        format!("{field} would send credentials unencrypted: write https://, or accept it with allowPlaintext: true")
            .as_str(),
    )
}

/// The name of an object: a DNS subdomain (RFC 1123). It becomes part of a path at the API server.
pub(super) fn object_name(message: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message(message)
}

/// An LDAP filter in parentheses.
pub(super) fn ldap_filter() -> Rule {
    Rule::new("self.matches('^\\\\s*[(]') && self.matches('[)]\\\\s*$')")
        .message("a filter is written in parentheses: (objectClass=person)")
}

/// The name of an LDAP attribute, or its OID (RFC 4512, 2.5), without options.
const ATTRIBUTE: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// The name of an LDAP attribute in `self`.
pub(super) fn ldap_attribute() -> Rule {
    Rule::new(format!("self.matches('{ATTRIBUTE}')"))
        .message("write an attribute's name (mail) or OID, without options or spaces")
}

/// Names of LDAP attributes in `self`, a list.
pub(super) fn ldap_attributes() -> Rule {
    Rule::new(format!("self.all(name, name.matches('{ATTRIBUTE}'))"))
        .message("write attributes' names (member) or OIDs, without options or spaces")
}

/// LDAP addresses in `self`, a list.
pub(super) fn ldap_urls() -> Rule {
    Rule::new("self.all(url, url.matches('^ldaps?://[^/?#@ ]+/?$'))").message(
        "write each address as ldaps://host, ldaps://host:port, ldap://host or ldap://host:port",
    )
}

/// The begin of a distinguished name (RFC 4514): an attribute and what it holds.
const DISTINGUISHED_NAME: &str = "^ *([A-Za-z][A-Za-z0-9-]*|[0-9]+([.][0-9]+)*) *= *[^ ]";

/// A distinguished name in `self`.
pub(super) fn distinguished_name() -> Rule {
    Rule::new(format!("self.matches('{DISTINGUISHED_NAME}')"))
        .message("write a distinguished name: dc=example,dc=com")
}

/// Distinguished names in `self`, a list.
pub(super) fn distinguished_names(message: &str) -> Rule {
    Rule::new(format!(
        "self.all(name, name.matches('{DISTINGUISHED_NAME}'))"
    ))
    .message(message)
}

/// A cron expression of five fields, each within its bounds.
pub(super) fn cron() -> Rule {
    let field = |value: &str, alone: &str| {
        let one = format!("([*?]|{value}(-{value})?{alone})(/0*[1-9][0-9]?)?");
        format!("{one}(,{one})*")
    };
    let fields = [
        field("0*[1-5]?[0-9]", ""),
        field("0*(1?[0-9]|2[0-3])", ""),
        field("0*([1-9]|[12][0-9]|3[01])", "[Ww]?|[Ll]"),
        field("(0*([1-9]|1[0-2])|[A-Za-z]{3})", ""),
        field("(0*[0-7]|[A-Za-z]{3})", "([Ll]|#[1-5])?|[Ll]"),
    ];
    Rule::new(format!("self.matches('^ *{} *$')", fields.join(" +"))).message(
        "write five fields (minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7): \
         */30 8-18 * * 1-5",
    )
}

/// A time zone that the API server knows by its name.
pub(super) fn time_zone() -> Rule {
    Rule::new("timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0").message(TIME_ZONE)
}

/// What to write for a time zone.
pub(super) const TIME_ZONE: &str =
    "write the IANA name of a time zone: Europe/Berlin, America/New_York, UTC";

/// The address of a server in `field` isn't that of a part of it.
pub(super) fn whole_server(field: &str) -> Rule {
    Rule::new(format!(
        "!has(self.{field}) || !self.{field}.matches('/(api|identity)/*$')"
    ))
    .message(
        format!(
            "{field} is the address of the whole server: leave out /api and /identity at its end"
        )
        .as_str(),
    )
}

/// What follows a name to make an email of it.
pub(super) fn email_suffix() -> Rule {
    Rule::new("self.matches('^@[^@ ]+$')")
        .message("write what follows the name, with its @: @example.com")
}

/// An identifier of Microsoft's.
pub(super) fn guid(message: &str) -> Rule {
    Rule::new("self.matches('^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$')")
        .message(message)
}

fn how_many(fields: &[&str]) -> String {
    let terms: Vec<_> = fields
        .iter()
        .map(|field| format!("(has(self.{field}) ? 1 : 0)"))
        .collect();
    terms.join(" + ")
}

/// Whether an address in CEL variable `url` stays on the machine.
pub(super) fn loopback(url: &str) -> String {
    format!("{url}.matches('{LOOPBACK}')")
}
