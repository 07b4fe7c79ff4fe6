//! What of a server's bytes is given to the LDAP library.
//!
//! The library's decoder recurses into nested elements and waits for as many bytes as a length says,
//! so a few kilobytes of a hostile server overflow the stack, and a length of 2 GiB fills the memory.
//! Here the structure of each message is followed byte by byte, without recursion and without keeping
//! the bytes: a message that is too large, too deep or not BER as LDAP has it (RFC 4511, 5.1) ends the
//! connection before the library sees the element in question.

use ldap3::asn1::{StructureTag, parse_tag};

use super::element::CONSTRUCTED;

/// LDAP's own messages are seven levels deep: message, entry, attributes, attribute, values, value,
/// and one more for controls.
const MAX_DEPTH: usize = 32;
/// Each element of a message costs the decoder about this many bytes besides its content, so a
/// message of tiny elements may hold fewer bytes.
const ELEMENT_COST: usize = 32;
/// `SEQUENCE`, with which each LDAPMessage begins.
const SEQUENCE: u8 = 0x30;
/// The number that announces a tag of several bytes, which LDAP doesn't have.
const LONG_TAG: u8 = 0x1f;

/// Why the bytes of a server aren't decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolViolation {
    /// A message larger than the limit, in bytes.
    #[error(
        "the server sent a message larger than {0} bytes; if a group has that many members, raise \
         --max-ldap-message-size"
    )]
    TooLarge(usize),
    /// A message with more elements than the limit.
    #[error(
        "the server sent a message of more than {0} values; if a group has that many members, \
         raise --max-ldap-message-size"
    )]
    TooManyElements(usize),
    /// Elements nested deeper than LDAP's ever are.
    #[error(
        "the server sent elements nested in more than {MAX_DEPTH} levels, which no LDAP server \
         does; check that the url is that of your directory"
    )]
    TooDeep,
    /// Not BER as LDAP has it.
    #[error(
        "the answer can't be understood as LDAP; check that the port is that of an LDAP server"
    )]
    NotLdap,
}

/// Follows the structure of one connection's messages.
#[derive(Debug)]
pub struct Framing {
    most_bytes: usize,
    /// What the outermost element has to be.
    outermost: Option<u8>,
    next: Next,
    /// Bytes of this message so far.
    position: usize,
    /// Where each open element ends, the outermost first.
    ends: Vec<usize>,
    elements: usize,
    /// Elements of the message itself so far: its number, the operation, controls.
    parts: usize,
    operation: Option<u8>,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy)]
enum Next {
    Tag,
    Length {
        constructed: bool,
    },
    LengthByte {
        constructed: bool,
        left: u8,
        length: usize,
    },
    /// So many bytes of a value, which may be anything.
    Value(usize),
}

impl Framing {
    /// For messages of at most `most_bytes` bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            outermost: Some(SEQUENCE),
            next: Next::Tag,
            position: 0,
            ends: Vec::new(),
            elements: 0,
            parts: 0,
            operation: None,
        }
    }

    /// Follows `bytes`, which come after those of the last call.
    ///
    /// # Errors
    /// When they hold something that must not be decoded. Nothing may be given to this framing after
    /// that.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolViolation> {
        while !bytes.is_empty() {
            let passed = self.follow_message(bytes)?;
            bytes = &bytes[passed..];
        }
        Ok(())
    }

    /// Follows `bytes` as [`Framing::follow`] does, to the end of the message that is under way or begins with
    /// them. How many of them belong to it: all, where it goes on.
    ///
    /// # Errors
    /// As there.
    pub fn follow_message(&mut self, all: &[u8]) -> Result<usize, ProtocolViolation> {
        let mut bytes = all;
        while let Some((&first, rest)) = bytes.split_first() {
            if let Next::Value(left) = self.next {
                let passed = left.min(bytes.len());
                bytes = &bytes[passed..];
                self.position += passed;
                self.next = Next::Value(left - passed);
            } else {
                bytes = rest;
                self.position += 1;
                self.header(first)?;
            }
            self.close();
            if self.is_between_messages() {
                break;
            }
        }
        Ok(all.len() - bytes.len())
    }

    /// The tag of the operation in the message that is under way, or was the last to end; `None` while that hasn't
    /// come yet.
    pub fn operation(&self) -> Option<u8> {
        self.operation
    }

    /// Whether all messages so far are whole.
    pub fn is_between_messages(&self) -> bool {
        self.ends.is_empty() && matches!(self.next, Next::Tag)
    }

    /// One byte of an element's tag or length.
    fn header(&mut self, byte: u8) -> Result<(), ProtocolViolation> {
        if self.ends.last().is_some_and(|end| self.position > *end) {
            return Err(ProtocolViolation::NotLdap);
        }
        match self.next {
            Next::Tag => {
                let wrong = self.ends.is_empty() && self.outermost.is_some_and(|tag| tag != byte);
                if wrong || byte & LONG_TAG == LONG_TAG {
                    return Err(ProtocolViolation::NotLdap);
                }
                match self.ends.len() {
                    0 => (self.parts, self.operation) = (0, None),
                    1 => {
                        self.parts += 1;
                        if self.parts == 2 {
                            self.operation = Some(byte);
                        }
                    }
                    _ => {}
                }
                self.elements += 1;
                let most = self.most_bytes / ELEMENT_COST;
                if self.elements > most {
                    return Err(ProtocolViolation::TooManyElements(most));
                }
                let constructed = byte & CONSTRUCTED != 0;
                self.next = Next::Length { constructed };
                Ok(())
            }
            Next::Length { constructed } => match byte {
                0..=0x7f => self.open(constructed, usize::from(byte)),
                // 0x80 is the indefinite form, which LDAP doesn't have; nobody needs more than the
                // eight bytes of 0x88.
                0x81..=0x88 => {
                    let left = byte & 0x7f;
                    self.next = Next::LengthByte {
                        constructed,
                        left,
                        length: 0,
                    };
                    Ok(())
                }
                _ => Err(ProtocolViolation::NotLdap),
            },
            Next::LengthByte {
                constructed,
                left,
                length,
            } => {
                // Beyond the limit it is too large, whatever the other bytes are.
                let length = match length > self.most_bytes {
                    true => length,
                    false => (length << 8) | usize::from(byte),
                };
                if left > 1 {
                    let left = left - 1;
                    self.next = Next::LengthByte {
                        constructed,
                        left,
                        length,
                    };
                    return Ok(());
                }
                self.open(constructed, length)
            }
            Next::Value(_) => Ok(()),
        }
    }

    /// An element of `length` bytes begins.
    fn open(&mut self, constructed: bool, length: usize) -> Result<(), ProtocolViolation> {
        if length > self.most_bytes {
            return Err(ProtocolViolation::TooLarge(self.most_bytes));
        }
        let end = self
            .position
            .checked_add(length)
            .ok_or(ProtocolViolation::NotLdap)?;
        if self.ends.last().is_some_and(|outer| end > *outer) {
            return Err(ProtocolViolation::NotLdap);
        }
        if constructed || self.ends.is_empty() {
            if self.ends.len() == MAX_DEPTH {
                return Err(ProtocolViolation::TooDeep);
            }
            self.ends.push(end);
        }
        self.next = match constructed {
            true => Next::Tag,
            false => Next::Value(length),
        };
        Ok(())
    }

    /// Leaves the elements that end here.
    fn close(&mut self) {
        if let Next::Value(0) = self.next {
            self.next = Next::Tag;
        }
        if !matches!(self.next, Next::Tag) {
            return;
        }
        while self.ends.last() == Some(&self.position) {
            self.ends.pop();
        }
        if self.ends.is_empty() {
            self.position = 0;
            self.elements = 0;
        }
    }
}

/// Decodes the value of a control, which is BER in a string of bytes, so that the connection's framing
/// doesn't look into it. `None` where it isn't exactly one element.
pub fn decode(value: &[u8]) -> Option<StructureTag> {
    let mut framing = Framing {
        outermost: None,
        ..Framing::new(usize::MAX)
    };
    framing.follow(value).ok()?;
    if !framing.is_between_messages() {
        return None;
    }
    match parse_tag(value) {
        Ok(([], tag)) => Some(tag),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 16 << 10;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    }

    fn nested(levels: usize) -> Vec<u8> {
        (0..levels).fold(vec![], |inner, _| element(SEQUENCE, &inner))
    }

    /// In pieces of this size.
    fn follow(bytes: &[u8], piece: usize) -> Result<bool, ProtocolViolation> {
        let mut framing = Framing::new(LIMIT);
        for piece in bytes.chunks(piece) {
            framing.follow(piece)?;
        }
        Ok(framing.is_between_messages())
    }

    #[test]
    fn each_message_is_followed_to_its_end_and_its_operation_told() {
        // A message of an entry, one of a result with a control, and one without an operation.
        let entry = element(
            SEQUENCE,
            &[&[2, 1, 7][..], &element(0x64, &[4, 0, 0x30, 0])].concat(),
        );
        let result = [
            &[2, 1, 7][..],
            &element(0x65, &[0x0a, 1, 0]),
            &element(0xa0, &[]),
        ];
        let result = element(SEQUENCE, &result.concat());
        let none = element(SEQUENCE, &[2, 1, 7]);
        let messages = [&entry[..], &result, &none, &entry];
        let all = messages.concat();
        let told = [Some(0x64), Some(0x65), None, Some(0x64)];
        for piece in [1, 2, 3, 7, 1_000] {
            let mut framing = Framing::new(LIMIT);
            let (mut at, mut ends) = (0, vec![]);
            while at < all.len() {
                let bytes = &all[at..all.len().min(at + piece)];
                at += framing.follow_message(bytes).unwrap();
                if framing.is_between_messages() {
                    ends.push((at, framing.operation()));
                }
            }
            let mut end = 0;
            let expected = messages.iter().zip(told).map(|(message, operation)| {
                end += message.len();
                (end, operation)
            });
            assert_eq!(ends, expected.collect::<Vec<_>>(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_content_comes() {
        for bytes in [
            &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..],
            &[0x30, 0x88, 0x01, 0, 0, 0, 0, 0, 0, 0],
            &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x83, 0x00, 0x40, 0x01],
        ] {
            for piece in [1, 3, 100] {
                assert_eq!(
                    follow(bytes, piece),
                    Err(ProtocolViolation::TooLarge(LIMIT)),
                    "{bytes:x?}"
                );
            }
        }
        assert_eq!(
            follow(&element(SEQUENCE, &element(4, &[0; 9_000])), 7),
            Ok(true)
        );
    }

    #[test]
    fn nesting_is_followed_to_a_bound() {
        assert_eq!(follow(&nested(MAX_DEPTH), 1), Ok(true));
        for piece in [1, 2, 5, 1 << 20] {
            assert_eq!(
                follow(&nested(MAX_DEPTH + 1), piece),
                Err(ProtocolViolation::TooDeep)
            );
            assert_eq!(
                follow(&nested(2_000), piece),
                Err(ProtocolViolation::TooDeep)
            );
        }
    }

    #[test]
    fn many_tiny_values_are_refused_before_their_bytes_reach_the_limit() {
        let tiny = [5, 0].repeat(LIMIT / ELEMENT_COST);
        let message = element(SEQUENCE, &tiny);
        assert!(message.len() < LIMIT);
        let most = LIMIT / ELEMENT_COST;
        assert_eq!(
            follow(&message, 100),
            Err(ProtocolViolation::TooManyElements(most))
        );
        let fewer = element(SEQUENCE, &tiny[2..]);
        assert_eq!(
            follow(&[fewer.clone(), fewer].concat(), 100),
            Ok(true),
            "each on its own"
        );
    }

    #[test]
    fn what_is_not_ber_as_ldap_has_it_is_refused() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            // A length without an end.
            &[0x30, 0x80, 0, 0],
            &[0x30, 0xff],
            // An element that is longer than the one around it, for which the decoder would wait
            // without end.
            &[0x30, 0x03, 0x04, 0x02, 0],
            &[0x30, 0x03, 0x04, 0x84, 0, 0, 0, 1],
            // A tag of several bytes.
            &[0x30, 0x03, 0x3f, 0x81, 0],
        ] {
            for piece in [1, 100] {
                assert_eq!(
                    follow(bytes, piece),
                    Err(ProtocolViolation::NotLdap),
                    "{bytes:x?}"
                );
            }
        }
    }

    #[test]
    fn the_value_of_a_control_is_decoded_to_the_same_depth() {
        assert!(decode(&nested(MAX_DEPTH)).is_some());
        // Deep enough to overflow the stack of a decoder that recurses.
        assert!(decode(&nested(100_000)).is_none());
        assert!(decode(&[0x30, 5, 2, 1, 0, 4, 0]).is_some());
        assert!(decode(&[4, 0]).is_some());
        for wrong in [&[][..], &[0x30], &[0x30, 5, 2, 1, 0, 4], &[4, 0, 4, 0]] {
            assert!(decode(wrong).is_none(), "{wrong:x?}");
        }
    }

    proptest! {
        /// Whatever passes as whole, the library decodes as whole: it never waits for more.
        #[test]
        fn what_passes_is_decoded_to_its_end(
            bytes in prop::collection::vec(prop_oneof![
                Just(0x30_u8), Just(2), Just(4), Just(0x81), 0..6_u8, any::<u8>()
            ], 0..40),
            piece in 1..8_usize,
        ) {
            let message = [&[0x30, u8::try_from(bytes.len()).unwrap()][..], &bytes].concat();
            if follow(&message, piece) == Ok(true) {
                let (rest, _) = parse_tag(&message).unwrap();
                prop_assert!(rest.is_empty());
            }
        }

        /// How the bytes are cut makes no difference.
        #[test]
        fn pieces_make_no_difference(
            bytes in prop::collection::vec(prop_oneof![
                Just(0x30_u8), Just(4), Just(0x84), 0..4_u8, any::<u8>()
            ], 0..60),
            piece in 1..8_usize,
        ) {
            prop_assert_eq!(follow(&bytes, piece), follow(&bytes, usize::MAX));
        }
    }
}
