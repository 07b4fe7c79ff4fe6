//! The binary identities of Active Directory as text.

use std::fmt::Write as _;

pub use crate::ldap::binary_id::guid;

/// Whether this is an account that comes with every domain: Administrator, Guest, krbtgt and
/// DefaultAccount, by the last number of their identifiers.
pub fn is_built_in(sid: &str) -> bool {
    let last = sid.rsplit_once('-').map(|(_, last)| last);
    matches!(last, Some("500" | "501" | "502" | "503"))
}

/// A security identifier (MS-DTYP 2.4.2.2) as `S-1-5-21-…`.
pub fn sid(bytes: &[u8]) -> Option<String> {
    let (&[revision, count, ref authority @ ..], subs) = bytes.split_first_chunk::<8>()?;
    let authority = authority
        .iter()
        .fold(0, |all, b| (all << 8) | u64::from(*b));
    if subs.len() != usize::from(count) * 4 {
        return None;
    }
    let mut text = format!("S-{revision}-{authority}");
    for sub in subs.chunks_exact(4) {
        let sub = u32::from_le_bytes([sub[0], sub[1], sub[2], sub[3]]);
        let _infallible = write!(text, "-{sub}");
    }
    Some(text)
}

/// The identifier of the account's primary group: that of its domain with the group's last number.
pub fn primary_group(account: &str, group: &str) -> Option<String> {
    let (domain, _) = account.rsplit_once('-')?;
    let group: u32 = group.parse().ok()?;
    Some(format!("{domain}-{group}"))
}

/// The identifier in the DN of a foreign security principal, the stand-in for somebody of a domain
/// outside the forest: `CN=S-1-5-21-…,CN=ForeignSecurityPrincipals,DC=…`.
pub fn foreign_sid(dn: &str) -> Option<&str> {
    let (first, rest) = dn.split_once(',')?;
    let container = "CN=ForeignSecurityPrincipals,";
    let is_foreign = rest
        .get(..container.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(container));
    let sid = first.get(3..).filter(|sid| sid.starts_with("S-1-"))?;
    is_foreign.then_some(sid)
}

/// Whether it is the identifier of an account or group of some domain, rather than a well-known one
/// (everybody, a service).
pub fn is_of_a_domain(sid: &str) -> bool {
    sid.starts_with("S-1-5-21-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_its_first_three_fields_turned_round() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            guid(&bytes).as_deref(),
            Some("03020100-0504-0706-0809-0a0b0c0d0e0f")
        );
        assert_eq!(guid(&bytes[1..]), None);
    }

    #[test]
    fn a_sid_is_read_with_its_length_checked() {
        let administrators = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        assert_eq!(sid(&administrators).as_deref(), Some("S-1-5-32-544"));
        assert_eq!(sid(&administrators[..12]), None);
        assert_eq!(sid(&[1, 1, 0]), None);
        assert_eq!(
            primary_group("S-1-5-21-1-2-3-1105", "513").as_deref(),
            Some("S-1-5-21-1-2-3-513")
        );
    }

    #[test]
    fn a_foreign_security_principal_is_recognised_by_its_name() {
        let dn = "CN=S-1-5-21-9-8-7-1106,CN=ForeignSecurityPrincipals,DC=corp,DC=example";
        assert_eq!(foreign_sid(dn), Some("S-1-5-21-9-8-7-1106"));
        assert_eq!(foreign_sid("CN=S-1-5-21-9,OU=People,DC=corp"), None);
        assert_eq!(
            foreign_sid("CN=Ann,CN=ForeignSecurityPrincipals,DC=x"),
            None
        );
        assert_eq!(foreign_sid("é,CN=ForeignSecurityPrincipals,DC=x"), None);
    }
}
