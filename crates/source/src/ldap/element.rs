//! The elements of a message (X.690): as the LDAP library decoded them, or where they lie in its bytes.
//!
//! The library copies each element of each entry several times. The entries of a search are many, and so they
//! are read where they lie.

use std::slice;

use ldap3::asn1::{PL, StructureTag};

/// The bit of a tag that tells that elements follow inside.
pub(super) const CONSTRUCTED: u8 = 0x20;

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element<'a> {
    /// As the library has it.
    Decoded(&'a StructureTag),
    /// As the server sent it.
    Raw {
        /// Its first byte.
        tag: u8,
        /// What its length goes over.
        content: &'a [u8],
    },
}

/// The elements in another.
#[derive(Debug, Clone)]
pub(super) enum Elements<'a> {
    Decoded(slice::Iter<'a, StructureTag>),
    Raw(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The bytes of a primitive element.
    pub fn primitive(self) -> Option<&'a [u8]> {
        match self {
            Self::Decoded(tag) => primitive(tag),
            Self::Raw { tag, content } => (tag & CONSTRUCTED == 0).then_some(content),
        }
    }

    /// The elements of a constructed one.
    pub fn elements(self) -> Option<Elements<'a>> {
        match self {
            Self::Decoded(tag) => Some(Elements::Decoded(constructed(tag)?.iter())),
            Self::Raw { tag, content } => {
                (tag & CONSTRUCTED != 0).then_some(Elements::Raw(content))
            }
        }
    }

    /// Both elements of a constructed one that has exactly two.
    pub fn pair(self) -> Option<[Self; 2]> {
        let mut elements = self.elements()?;
        let pair = [elements.next()?, elements.next()?];
        elements.is_empty().then_some(pair)
    }
}

impl Elements<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Decoded(left) => left.len() == 0,
            Self::Raw(left) => left.is_empty(),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Decoded(left) => left.next().map(Element::Decoded),
            Self::Raw(left) => {
                let (tag, content) = take(left)?;
                Some(Element::Raw { tag, content })
            }
        }
    }
}

/// The tag and the content of the element with which `bytes` begin, which is taken off them. `None` where that isn't
/// a whole element as LDAP has it (RFC 4511, 5.1); what [`super::framing`] let through always is.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x88 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = length
                .iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, content))
}

/// The parts of a constructed value.
pub fn constructed(tag: &StructureTag) -> Option<&[StructureTag]> {
    match &tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

/// The bytes of a primitive value.
pub fn primitive(tag: &StructureTag) -> Option<&[u8]> {
    match &tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::parse_tag;
    use proptest::prelude::*;

    use super::super::framing::Framing;
    use super::*;

    /// All that can be seen of an element.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Bytes(Vec<u8>),
        Inside(Vec<Seen>),
    }

    fn seen(element: Element<'_>) -> Seen {
        match element.elements() {
            Some(inside) => Seen::Inside(inside.map(seen).collect()),
            None => Seen::Bytes(element.primitive().unwrap().to_vec()),
        }
    }

    /// Elements in elements, with lengths in all forms.
    fn any_element() -> impl Strategy<Value = Vec<u8>> {
        let tag = 0..0x1f_u8;
        let leaf = (
            tag.clone(),
            prop::collection::vec(any::<u8>(), 0..200),
            0..4_usize,
        );
        let leaf = leaf.prop_map(|(tag, content, form)| encoded(tag, &content, form));
        leaf.prop_recursive(4, 30, 5, move |inner| {
            let inside = prop::collection::vec(inner, 0..5);
            (tag.clone(), inside, 0..4_usize)
                .prop_map(|(tag, inside, form)| encoded(tag | CONSTRUCTED, &inside.concat(), form))
        })
    }

    /// With a length in so many bytes more than it needs.
    fn encoded(tag: u8, content: &[u8], form: usize) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        let needed = length.iter().skip_while(|byte| **byte == 0).count().max(1);
        let length = match form {
            0 if content.len() < 0x80 => vec![length[7]],
            _ => {
                let bytes = (needed + form).min(8);
                [&[0x80 | u8::try_from(bytes).unwrap()], &length[8 - bytes..]].concat()
            }
        };
        [&[tag][..], &length, content].concat()
    }

    proptest! {
        /// What may be decoded is the same where it lies as the library has it.
        #[test]
        fn elements_are_read_as_the_library_reads_them(
            elements in prop::collection::vec(any_element(), 0..4)
        ) {
            let message = encoded(0x30, &elements.concat(), 1);
            let mut framing = Framing::new(1 << 20);
            framing.follow(&message).unwrap();
            prop_assert!(framing.is_between_messages());
            let (_, decoded) = parse_tag(&message).unwrap();
            let mut left = &message[..];
            let (tag, content) = take(&mut left).unwrap();
            prop_assert!(left.is_empty());
            prop_assert_eq!(seen(Element::Raw { tag, content }), seen(Element::Decoded(&decoded)));
        }

        /// Whatever comes, it ends, and nothing is made up.
        #[test]
        fn bytes_of_any_kind_are_no_more_than_they_are(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut left = &bytes[..];
            while let Some((_, content)) = take(&mut left) {
                prop_assert!(content.len() + 2 <= bytes.len());
            }
        }
    }

    #[test]
    fn what_is_no_element_is_not_taken() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81],
            &[4, 0x82, 0, 2, 0],
            &[4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[4, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let mut left = bytes;
            assert_eq!(take(&mut left), None, "{bytes:x?}");
            assert_eq!(left, bytes);
        }
    }
}
