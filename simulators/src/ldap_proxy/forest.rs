//! A global catalog of two domains, of which Samba, behind the proxy, has one: an OU of it is shown as
//! the other. As a global catalog has it (MS-ADTS 3.1.1.1.8), of the other domain's groups only the
//! universal ones come with their members.

use super::ber::{parts, rebuilt, rebuilt_body};
use super::{SEARCH_ENTRY, operation};

/// The OU, right below the domain, and what is shown in its place. Of the same length, so that no
/// length in a message changes.
const UNIT: &[u8] = b"OU=emea,DC=";
const DOMAIN: &[u8] = b"DC=emea,DC=";

/// Tags of filters.
const AND: u8 = 0xa0;
const NOT: u8 = 0xa2;

/// `groupType`: a universal group.
const UNIVERSAL: i64 = 0x8;

/// The request as the server is to get it.
pub fn request(mut message: Vec<u8>) -> Vec<u8> {
    replace(&mut message, DOMAIN, UNIT);
    make_undefined(&mut message);
    message
}

/// `isCriticalSystemObject` isn't in the partial attribute set, so a filter on it is Undefined in a catalog,
/// and so is its negation: nobody passes (MS-ADTS 3.1.1.3.1.3.1). Samba has the attribute there, and takes the
/// negation of an unknown one for true. So the negation becomes an AND, of an attribute that isn't known.
fn make_undefined(message: &mut [u8]) {
    let name = b"isCriticalSystemObject";
    let Some(at) = message.windows(name.len()).position(|part| part == name) else {
        return;
    };
    message[at..at + 2].copy_from_slice(b"no");
    // Before the name: tag and length of the NOT, of the comparison, and of the name itself.
    if let Some(not) = at.checked_sub(6)
        && message[not] == NOT
    {
        message[not] = AND;
    }
}

/// A message of the answer as the client is to get it.
pub fn answer(mut message: Vec<u8>) -> Vec<u8> {
    replace(&mut message, UNIT, DOMAIN);
    if operation(&message) != SEARCH_ENTRY {
        return message;
    }
    rebuilt(&message, |at, _, entry| {
        let dn = parts(entry).first().map_or(&[][..], |part| part.1);
        let elsewhere = dn.windows(DOMAIN.len()).any(|part| part == DOMAIN);
        if at != 1 || !elsewhere || is_universal(entry) {
            return entry.to_vec();
        }
        rebuilt_body(entry, |at, _, attributes| match at {
            1 => without_members(attributes),
            _ => attributes.to_vec(),
        })
    })
}

fn is_universal(entry: &[u8]) -> bool {
    let attributes = parts(entry).get(1).map_or(vec![], |part| parts(part.1));
    attributes.iter().any(|(_, attribute)| {
        let both = parts(attribute);
        let kind = both
            .get(1)
            .and_then(|values| parts(values.1).first().copied());
        let kind = kind.and_then(|value| std::str::from_utf8(value.1).ok()?.parse().ok());
        both[0].1.eq_ignore_ascii_case(b"groupType")
            && kind.is_some_and(|kind: i64| kind & UNIVERSAL != 0)
    })
}

fn without_members(attributes: &[u8]) -> Vec<u8> {
    let kept = parts(attributes).into_iter().filter(|(_, attribute)| {
        let name = parts(attribute)[0].1;
        !name.eq_ignore_ascii_case(b"member")
    });
    kept.flat_map(|(tag, attribute)| super::ber::encoded(tag, attribute))
        .collect()
}

pub(super) fn replace(message: &mut [u8], what: &[u8], with: &[u8]) {
    let mut at = 0;
    while at + what.len() <= message.len() {
        if message[at..].starts_with(what) {
            message[at..at + what.len()].copy_from_slice(with);
        }
        at += 1;
    }
}
