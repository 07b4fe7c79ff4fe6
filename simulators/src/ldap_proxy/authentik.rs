//! authentik's LDAP outpost, whose entries a slapd behind the proxy has. By its source
//! (`internal/outpost/ldap/search/direct/direct.go` and `instance.go`) the outpost looks at the last object
//! class that the filter names, negated or not. If that is the class of virtual groups, it loads no real
//! group, and the filter is applied to what was loaded.

use super::forest::replace;

/// The class of virtual groups, and what slapd calls it, whose names have no dots and slashes. Of the same
/// length, so that no length in a message changes.
const VIRTUAL: &[u8] = b"goauthentik.io/ldap/virtual-group";
const IN_SLAPD: &[u8] = b"goauthentik-io-ldap-virtual-group";

/// `(objectClass=…)` up to the length of the value: a comparison (0xa3) of an octet string.
const CLASS: &[u8] = b"\x04\x0bobjectClass\x04";
const EQUALITY: u8 = 0xa3;

/// The request as the server is to get it.
pub fn request(mut message: Vec<u8>) -> Vec<u8> {
    if last_class(&message) == Some(VIRTUAL) {
        // Of what is left nothing is a real group.
        replace(&mut message, b"objectClass", b"objectNoone");
    }
    replace(&mut message, VIRTUAL, IN_SLAPD);
    message
}

/// A message of the answer as the client is to get it.
pub fn answer(mut message: Vec<u8>) -> Vec<u8> {
    replace(&mut message, IN_SLAPD, VIRTUAL);
    message
}

fn last_class(message: &[u8]) -> Option<&[u8]> {
    let mut named = message
        .windows(CLASS.len())
        .enumerate()
        .filter(|(at, part)| *part == CLASS && *at >= 2 && message[at - 2] == EQUALITY);
    let (at, _) = named.next_back()?;
    let value = at + CLASS.len();
    let length = usize::from(*message.get(value)?);
    message.get(value + 1..value + 1 + length)
}
