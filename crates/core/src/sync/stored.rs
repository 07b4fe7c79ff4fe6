//! The form in which a value is kept between two processes: a name with a version, the value as
//! [`postcard`] writes it, and a checksum.

use serde::{Deserialize, Serialize};

use crate::sync::hash::truncated;

/// The first bytes: what it is, and in which version of the format.
pub type Magic = [u8; 8];

const CHECKSUM: usize = 16;

/// Bytes that can't be read as what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Another format, or another version of it.
    #[error("it has another format; another version of this program may have written it")]
    Format,
    /// The bytes were cut short or changed.
    #[error("it is damaged")]
    Damaged,
}

/// Writes a value in the form that [`from_bytes`] reads.
pub fn to_bytes(magic: &Magic, value: &impl Serialize) -> Vec<u8> {
    let mut bytes = postcard::to_extend(value, magic.to_vec())
        .expect("a vector takes everything, and every list knows its length");
    bytes.extend(truncated(&bytes));
    bytes
}

/// Reads what [`to_bytes`] wrote, and nothing else: a value that is wrong would be taken for what
/// earlier runs did.
///
/// # Errors
/// As [`Corrupt`].
pub fn from_bytes<'a, T: Deserialize<'a>>(magic: &Magic, bytes: &'a [u8]) -> Result<T, Corrupt> {
    let rest = bytes.strip_prefix(magic).ok_or(Corrupt::Format)?;
    let (value, checksum) = rest.split_last_chunk().ok_or(Corrupt::Damaged)?;
    let checksum: &[u8; CHECKSUM] = checksum;
    if truncated(&bytes[..bytes.len() - CHECKSUM]) != *checksum {
        return Err(Corrupt::Damaged);
    }
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Ok(value),
        _ => Err(Corrupt::Damaged),
    }
}

/// Identifies what [`to_bytes`] wrote.
pub fn digest(bytes: &[u8]) -> [u8; 16] {
    truncated(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &Magic = b"example1";

    #[test]
    fn only_the_same_version_is_read() {
        let bytes = to_bytes(NAME, &"text");
        assert_eq!(from_bytes(NAME, &bytes), Ok("text"));
        let other = from_bytes::<&str>(b"example2", &bytes);
        assert_eq!(other, Err(Corrupt::Format));
        assert_eq!(from_bytes::<&str>(NAME, b""), Err(Corrupt::Format));
    }

    #[test]
    fn another_type_is_refused_although_the_checksum_fits() {
        let bytes = to_bytes(NAME, &("text", 7u8));
        assert_eq!(from_bytes::<&str>(NAME, &bytes), Err(Corrupt::Damaged));
        let bytes = to_bytes(NAME, &(1_000_000_000u32, 7u8));
        assert_eq!(from_bytes::<Vec<u64>>(NAME, &bytes), Err(Corrupt::Damaged));
    }
}
