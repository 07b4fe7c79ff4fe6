//! Identifiers that directories keep as bytes, as text.

use data_encoding::HEXLOWER;

/// Reads the bytes of an attribute; `None` where they aren't an identifier.
pub type ReadId = fn(&[u8]) -> Option<String>;

/// How to read the bytes of an attribute that is known to hold an identifier as such; `None` where
/// it isn't. `lower_case` is the attribute's name.
///
/// AD LDS and Exchange write GUIDs as Active Directory does; eDirectory's `GUID` has no text form
/// that all its tools agree on, so its bytes are written in their order.
pub fn reader(lower_case: &str) -> Option<ReadId> {
    match lower_case {
        "objectguid" | "ms-ds-consistencyguid" => Some(guid),
        "guid" => Some(hex),
        _ => None,
    }
}

/// `objectGUID` as Windows and Bitwarden's Directory Connector write it: the first three fields
/// little-endian, lower case. `None` where `bytes` aren't sixteen.
pub fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    Some(uuid::Uuid::from_bytes_le(bytes).hyphenated().to_string())
}

fn hex(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| HEXLOWER.encode(bytes))
}
