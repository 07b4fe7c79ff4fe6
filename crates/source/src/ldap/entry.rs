//! One entry of a search result, read where it lies.

use jiff::Timestamp;
use ldap3::asn1::StructureTag;

use super::dn::attribute_alias;
use super::element::{Element, Elements};
use super::packed::{PackedAttributes, PackedValues};

/// An entry, borrowed from the decoded message or from where it is kept: nothing is copied until somebody
/// keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    dn: &'a str,
    attributes: Attributes<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Attributes<'a> {
    /// As they came: a constructed element.
    Came(Element<'a>),
    /// As they are kept between two reads.
    Packed(PackedAttributes<'a>),
}

/// The values of one attribute.
enum Values<'a> {
    Came(Elements<'a>),
    /// The entry doesn't have it.
    None,
    Packed(PackedValues<'a>),
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Came(values) => values.find_map(Element::primitive),
            Self::None => None,
            Self::Packed(values) => values.next(),
        }
    }
}

impl<'a> Entry<'a> {
    /// `None` where the message isn't an entry as RFC 4511, 4.5.2 has it.
    pub fn of(message: &'a StructureTag) -> Option<Self> {
        Self::of_element(Element::Decoded(message))
    }

    /// As [`Entry::of`], of the operation in a message.
    pub(super) fn of_element(operation: Element<'a>) -> Option<Self> {
        let [dn, attributes] = operation.pair()?;
        attributes.elements()?;
        Some(Self {
            dn: std::str::from_utf8(dn.primitive()?).ok()?,
            attributes: Attributes::Came(attributes),
        })
    }

    /// An entry that was kept.
    pub(super) fn kept(dn: &'a str, attributes: PackedAttributes<'a>) -> Self {
        Self {
            dn,
            attributes: Attributes::Packed(attributes),
        }
    }

    /// The entry's DN as the server spells it.
    pub fn dn(&self) -> &'a str {
        self.dn
    }

    /// The values of `attribute`, none where the entry doesn't have it. Values that aren't UTF-8
    /// are left out: for those that may be anything, there is [`Entry::bytes`].
    pub fn values(&self, attribute: &AttributeName) -> impl Iterator<Item = &'a str> {
        self.values_of(attribute)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the entry has `attribute`, be its values blank.
    pub fn has(&self, attribute: &AttributeName) -> bool {
        self.values_of(attribute).next().is_some()
    }

    /// The values of `attribute` as they are.
    pub fn raw_values(&self, attribute: &AttributeName) -> impl Iterator<Item = &'a [u8]> {
        self.values_of(attribute)
    }

    /// The first value of `attribute` as it is.
    pub fn bytes(&self, attribute: &AttributeName) -> Option<&'a [u8]> {
        self.values_of(attribute).next()
    }

    fn values_of(&self, attribute: &AttributeName) -> Values<'a> {
        match self.attributes {
            Attributes::Packed(packed) => Values::Packed(packed.values(attribute)),
            Attributes::Came(_) => self
                .described()
                .find(|(description, _)| attribute.is(description))
                .map_or(Values::None, |(_, values)| Values::Came(values)),
        }
    }

    /// The attributes as they came, of an entry that came.
    fn described(&self) -> impl Iterator<Item = (&'a str, Elements<'a>)> {
        let attributes = match self.attributes {
            Attributes::Came(attributes) => attributes.elements(),
            Attributes::Packed(_) => None,
        };
        attributes.into_iter().flatten().filter_map(described)
    }

    /// The part of the values of `attribute` that came in place of all of them; `None` where no
    /// part did, or none that can be read ([`Entry::ranged`] tells).
    pub fn range(&self, attribute: &AttributeName) -> Option<Range<'a>> {
        self.described().find_map(|(description, values)| {
            let (name, options) = description.split_once(';')?;
            let (first, last) = attribute.is(name).then(|| bounds(options))??;
            Some(Range {
                first,
                last,
                values,
            })
        })
    }

    /// The description of an attribute that came with a range of its values (`member;range=0-1499`)
    /// in place of all of them: a quirk of Active Directory.
    pub fn ranged(&self) -> Option<&'a str> {
        self.described()
            .map(|(description, _)| description)
            .find(|description| {
                description.split(';').skip(1).any(|option| {
                    option
                        .get(..6)
                        .is_some_and(|o| o.eq_ignore_ascii_case("range="))
                })
            })
    }
}

/// A part of an attribute's values (`member;range=0-1499`), as Active Directory gives where there
/// are many.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    /// The number of the first value, from 0.
    pub first: usize,
    /// The number of the last value; `None`: there are no more.
    pub last: Option<usize>,
    values: Elements<'a>,
}

impl<'a> Range<'a> {
    pub fn values(&self) -> impl Iterator<Item = &'a str> {
        self.values
            .clone()
            .filter_map(|value| std::str::from_utf8(value.primitive()?).ok())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.clone().count()
    }
}

/// The bounds in `range=0-1499` or `range=1500-*`.
fn bounds(options: &str) -> Option<(usize, Option<usize>)> {
    let range = options.split(';').find_map(|option| {
        let (name, bounds) = option.split_once('=')?;
        name.eq_ignore_ascii_case("range").then_some(bounds)
    })?;
    let (first, last) = range.split_once('-')?;
    let last = match last {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    Some((first.parse().ok()?, last))
}

/// The name of an attribute to ask for, and the name by which the server may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeName {
    asked: String,
    /// Servers answer `cn` to whoever asks for `commonName`.
    short: String,
}

impl AttributeName {
    /// An attribute as the settings name it.
    pub fn new(name: &str) -> Self {
        Self {
            asked: name.to_owned(),
            short: attribute_alias(&name.to_ascii_lowercase()).to_owned(),
        }
    }

    /// As the settings name it.
    pub fn as_str(&self) -> &str {
        &self.asked
    }

    /// Its short name in lower case, the same for all its spellings.
    pub fn short(&self) -> &str {
        &self.short
    }

    fn is(&self, description: &str) -> bool {
        description.eq_ignore_ascii_case(&self.asked)
            || description.eq_ignore_ascii_case(&self.short)
    }
}

fn described(attribute: Element<'_>) -> Option<(&str, Elements<'_>)> {
    let [description, values] = attribute.pair()?;
    Some((
        std::str::from_utf8(description.primitive()?).ok()?,
        values.elements()?,
    ))
}

/// A time as directories write it (RFC 4517, 3.3.13): in UTC, with seconds. Any other form is as good as
/// none.
pub fn generalized_time(text: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S%.fZ", text);
    let time = time.or_else(|_| jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text));
    let time = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp())
}
