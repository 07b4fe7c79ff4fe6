//! Distinguished names in one spelling, so that equal names are equal texts.
//!
//! Groups name their members as somebody typed them: `UID=Ann, OU=People` is
//! `uid=ann,ou=people`. The normal form follows RFC 4514 (syntax) and RFC 4517/4518 (what
//! `distinguishedNameMatch` ignores): types by their short names, values folded in case, spaces
//! that mean nothing and spellings of escapes gone, the parts of a multi-valued RDN in order.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_normalizer::ComposingNormalizerBorrowed;

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// Whether `text` is a DN (RFC 4514, and the quotes and semicolons of RFC 1779 that old entries
/// still have). The empty DN is one.
pub fn is_dn(text: &str) -> bool {
    parse(text).is_some()
}

/// Puts the normal form of `dn` in place of what `out` holds.
///
/// A text that isn't a DN is compared as it stands, without outer spaces and ASCII case.
pub fn normalize(dn: &str, out: &mut String) {
    if normalize_simple(dn, out) {
        return;
    }
    out.clear();
    match parse(dn) {
        Some(rdns) => write_normal(&rdns, out),
        None => out.extend(dn.trim_matches(' ').chars().map(|c| c.to_ascii_lowercase())),
    }
}

/// The normal form of a DN that another program may have taken for an external ID; `None` for any other
/// text. A DN of one part would be a name like `a=b`, which isn't an entry's.
pub fn as_former_id(text: &str) -> Option<String> {
    if !text.contains(',') || !is_dn(text) {
        return None;
    }
    let mut normal = String::new();
    normalize(text, &mut normal);
    Some(normal)
}

/// The normal form of the parent of a DN, from its own normal form; empty for one without a parent.
pub fn parent(normal: &str) -> &str {
    let mut escaped = false;
    let end = normal.bytes().position(|byte| {
        let ends = byte == b',' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or("", |end| &normal[end + 1..])
}

/// The name without the optional unique identifier of RFC 4517, 3.3.21: `cn=x#'0101'B`.
pub fn without_unique_id(value: &str) -> &str {
    let Some(rest) = value.trim_end_matches(' ').strip_suffix("'B") else {
        return value;
    };
    match rest.rsplit_once("#'") {
        Some((name, bits)) if bits.bytes().all(|b| matches!(b, b'0' | b'1')) => name,
        _ => value,
    }
}

/// The short name of an attribute that has several; `lower_case` itself for all others.
pub fn attribute_alias(lower_case: &str) -> &str {
    match lower_case {
        "commonname" | "2.5.4.3" => "cn",
        "surname" | "2.5.4.4" => "sn",
        "2.5.4.5" => "serialnumber",
        "countryname" | "2.5.4.6" => "c",
        "localityname" | "2.5.4.7" => "l",
        "stateorprovincename" | "2.5.4.8" => "st",
        "streetaddress" | "2.5.4.9" => "street",
        "organizationname" | "2.5.4.10" => "o",
        "organizationalunitname" | "2.5.4.11" => "ou",
        "2.5.4.12" => "title",
        "gn" | "2.5.4.42" => "givenname",
        "2.5.4.46" => "dnqualifier",
        "domaincomponent" | "0.9.2342.19200300.100.1.25" => "dc",
        "userid" | "0.9.2342.19200300.100.1.1" => "uid",
        "rfc822mailbox" | "0.9.2342.19200300.100.1.3" => "mail",
        "emailaddress" | "pkcs9email" | "1.2.840.113549.1.9.1" => "email",
        "2.16.840.1.113730.3.1.3" => "employeenumber",
        "1.3.6.1.1.16.4" => "entryuuid",
        other => other,
    }
}

/// The ordinary case: ASCII, no escapes, no spaces around separators, one part an RDN, types by their short
/// names. From its normal form it differs by case only.
fn normalize_simple(dn: &str, out: &mut String) -> bool {
    if !is_simple(dn.as_bytes()) {
        return false;
    }
    out.clear();
    out.push_str(dn);
    out.make_ascii_lowercase();
    true
}

fn is_simple(dn: &[u8]) -> bool {
    let mut at = 0;
    loop {
        let start = at;
        let is_of_type = |byte: &u8| BYTES[usize::from(*byte)] == Byte::OfType;
        while dn.get(at).is_some_and(is_of_type) {
            at += 1;
        }
        let kind = &dn[start..at];
        if kind.is_empty() || dn.get(at) != Some(&b'=') || has_short_name(kind) {
            return false;
        }
        let mut before = Byte::Space;
        loop {
            at += 1;
            let Some(byte) = dn.get(at) else {
                return before != Byte::Space;
            };
            let byte = BYTES[usize::from(*byte)];
            match byte {
                Byte::OfType | Byte::OfValue => {}
                Byte::Space if before != Byte::Space => {}
                Byte::Comma if before != Byte::Space => break,
                Byte::Space | Byte::Comma | Byte::Other => return false,
            }
            before = byte;
        }
        at += 1;
    }
}

/// What a byte may be in a DN of the ordinary kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    /// Part of the name of a type, or of a value.
    OfType,
    /// Part of a value.
    OfValue,
    Space,
    Comma,
    Other,
}

const BYTES: [Byte; 256] = {
    let mut bytes = [Byte::Other; 256];
    let mut at: u8 = b' ';
    while at <= b'~' {
        bytes[at as usize] = match at {
            b' ' => Byte::Space,
            b',' => Byte::Comma,
            b'-' => Byte::OfType,
            b'"' | b'#' | b'+' | b';' | b'<' | b'>' | b'\\' => Byte::Other,
            _ if at.is_ascii_alphanumeric() => Byte::OfType,
            _ => Byte::OfValue,
        };
        at += 1;
    }
    bytes
};

/// Whether [`attribute_alias`] has another name for a type. It has none for those that are usual in DNs.
fn has_short_name(kind: &[u8]) -> bool {
    match kind.len() {
        2 => kind.eq_ignore_ascii_case(b"gn"),
        ..6 => false,
        _ => {
            let lower = kind.to_ascii_lowercase();
            std::str::from_utf8(&lower).is_ok_and(|lower| attribute_alias(lower) != lower)
        }
    }
}

/// One `type=value`, the type in normal form already.
struct Part {
    kind: String,
    value: Value,
}

enum Value {
    Text(String),
    /// The BER encoding of something that isn't text.
    Ber(Vec<u8>),
}

fn parse(dn: &str) -> Option<Vec<Vec<Part>>> {
    // Spaces at the end are the last value's, whose own rules know an escaped one.
    let mut rest = dn.trim_start_matches(' ').as_bytes();
    let mut rdns = vec![];
    if rest.is_empty() {
        return Some(rdns);
    }
    let mut rdn = vec![];
    loop {
        let equals = rest.iter().position(|&b| b == b'=')?;
        let kind = parse_type(&rest[..equals])?;
        let (value, separator, after) = parse_value(&rest[equals + 1..])?;
        rdn.push(Part { kind, value });
        rest = after;
        match separator {
            Some(b'+') => {}
            Some(_) => rdns.push(std::mem::take(&mut rdn)),
            None => {
                rdns.push(rdn);
                return Some(rdns);
            }
        }
    }
}

fn parse_type(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(' ');
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_prefix("oid.").unwrap_or(&lower);
    let valid = !lower.is_empty()
        && lower
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    valid.then(|| attribute_alias(lower).to_owned())
}

/// The value at the start of `text`, the separator that ends it, and what follows.
fn parse_value(text: &[u8]) -> Option<(Value, Option<u8>, &[u8])> {
    let start = text.iter().position(|&b| b != b' ').unwrap_or(text.len());
    let text = &text[start..];
    match text.first() {
        Some(b'#') => {
            let end = text
                .iter()
                .position(|b| matches!(b, b',' | b';' | b'+'))
                .unwrap_or(text.len());
            let digits = text[1..end].trim_ascii_end();
            if digits.is_empty() || !digits.len().is_multiple_of(2) {
                return None;
            }
            let ber = digits
                .chunks(2)
                .map(|pair| hex_pair(pair[0], pair[1]))
                .collect::<Option<Vec<u8>>>()?;
            let value = match string_content(&ber) {
                Some(content) => text_or_ber(content.to_vec()),
                None => Value::Ber(ber),
            };
            Some((
                value,
                text.get(end).copied(),
                text.get(end + 1..).unwrap_or_default(),
            ))
        }
        Some(b'"') => {
            let (content, end) = unescape(&text[1..], |b| b == b'"')?;
            // The closing quote itself, then only spaces up to a separator.
            let after = text.get(1 + end + 1..)?;
            let gap = after.iter().position(|&b| b != b' ').unwrap_or(after.len());
            match after.get(gap) {
                None => Some((text_or_ber(content), None, &[])),
                Some(&b @ (b',' | b';' | b'+')) => {
                    Some((text_or_ber(content), Some(b), &after[gap + 1..]))
                }
                Some(_) => None,
            }
        }
        _ => {
            let (content, end) = unescape(text, |b| matches!(b, b',' | b';' | b'+'))?;
            Some((
                text_or_ber(content),
                text.get(end).copied(),
                text.get(end + 1..).unwrap_or_default(),
            ))
        }
    }
}

/// Undoes escapes up to the first byte that `ends`; the content and where it ended.
///
/// Unescaped spaces at the end need no care: the normal form drops outer spaces, escaped or not.
fn unescape(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if ends(byte) {
            break;
        }
        if byte != b'\\' {
            content.push(byte);
            at += 1;
            continue;
        }
        let next = *text.get(at + 1)?;
        if let Some(byte) = text.get(at + 2).and_then(|&second| hex_pair(next, second)) {
            content.push(byte);
            at += 3;
        } else if next.is_ascii_punctuation() || next == b' ' {
            content.push(next);
            at += 2;
        } else {
            return None;
        }
    }
    Some((content, at))
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The content of a BER string whose bytes are text: UTF8, Printable, IA5, Numeric, Visible, octets.
fn string_content(ber: &[u8]) -> Option<&[u8]> {
    let (&tag, rest) = ber.split_first()?;
    if !matches!(tag, 0x04 | 0x0c | 0x12 | 0x13 | 0x16 | 0x1a) {
        return None;
    }
    let (&length, rest) = rest.split_first()?;
    let (length, content) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (
            usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?),
            &rest[2..],
        ),
        _ => return None,
    };
    (content.len() == length).then_some(content)
}

fn text_or_ber(content: Vec<u8>) -> Value {
    match String::from_utf8(content) {
        Ok(text) => Value::Text(text),
        Err(error) => {
            let content = error.into_bytes();
            let mut ber = vec![0x04];
            match u8::try_from(content.len()) {
                Ok(length @ 0..=0x7f) => ber.push(length),
                Ok(length) => ber.extend([0x81, length]),
                // The length's low bytes do: this is a spelling to compare, not to decode.
                Err(_) => ber.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]),
            }
            ber.extend(content);
            Value::Ber(ber)
        }
    }
}

fn write_normal(rdns: &[Vec<Part>], out: &mut String) {
    for (index, rdn) in rdns.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut parts: Vec<String> = rdn.iter().map(normal_part).collect();
        parts.sort_unstable();
        parts.dedup();
        out.push_str(&parts.join("+"));
    }
}

fn normal_part(part: &Part) -> String {
    let mut out = format!("{}=", part.kind);
    match &part.value {
        Value::Ber(bytes) => {
            out.push('#');
            for byte in bytes {
                write!(out, "{byte:02x}").expect("a String takes everything");
            }
        }
        Value::Text(text) => {
            for (index, c) in prepare(text).chars().enumerate() {
                if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || (c == '#' && index == 0)
                {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

/// What `caseIgnoreMatch` compares (RFC 4518): mapped, folded, normalized, without outer spaces and
/// with single inner ones.
fn prepare(text: &str) -> String {
    let composed = NFKC.normalize(text);
    let mut folded = String::with_capacity(composed.len());
    for c in composed.chars() {
        match c {
            c if c.is_whitespace() => folded.push(' '),
            c if c.is_control() => {}
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            'ς' => folded.push('σ'),
            'ß' | 'ẞ' => folded.push_str("ss"),
            c => folded.extend(c.to_lowercase()),
        }
    }
    let folded: Cow<'_, str> = NFKC.normalize(&folded);
    let mut out = String::with_capacity(folded.len());
    for word in folded.split(' ').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(dn: &str) -> String {
        let mut out = String::from("left over");
        normalize(dn, &mut out);
        out
    }

    #[test]
    fn spellings_of_one_name_are_one_text() {
        for (one, other) in [
            ("uid=ann,ou=people,dc=x", "UID=Ann, OU=People , DC=X"),
            ("uid=ann,dc=x", "uid=ann;dc=x"),
            ("uid=ann,dc=x", "userid=ann,domainComponent=x"),
            (
                "cn=ann,dc=x",
                "2.5.4.3=ann,OID.0.9.2342.19200300.100.1.25=x",
            ),
            ("cn=ann  b,dc=x", " CN = \\ Ann B\\20, dc=x "),
            // An escaped space at the very end is the value's, and means as little there.
            ("cn=\\20", "CN = \\ "),
            ("cn=ann", "cn=ann\\ "),
            ("cn=ann", "cn=ann\\  "),
            ("cn=#0c03616e6e", "cn=#0c03616e6e "),
            ("cn=ann", "cn=\"ann\" "),
            ("cn=lee\\, ann", "CN=Lee\\2c Ann"),
            ("cn=lee\\, ann", "cn=\"Lee, Ann\""),
            ("cn=a\\+b", "cn=a\\2Bb"),
            ("cn=\\#1", "cn=\\231"),
            ("cn=#0c03616e6e", "cn=ann"),
            ("cn=zoë", "CN=ZOË"),
            ("cn=zoë", "cn=zo\\c3\\ab"),
            ("cn=zoë", "cn=zoe\u{308}"),
            ("cn=straße", "cn=STRASSE"),
            ("cn=ΑΣ", "cn=ας"),
            ("cn=ann+uid=7,dc=x", "UID=7 + CN=Ann,dc=x"),
            ("cn=\\ff", "cn=#0401FF"),
            ("", "  "),
        ] {
            assert_eq!(normal(one), normal(other), "{one} and {other}");
        }
    }

    #[test]
    fn the_parent_is_what_follows_the_first_part() {
        for (dn, up) in [
            ("uid=ann,ou=people,dc=example", "ou=people,dc=example"),
            (r"cn=Doe\, Ann+uid=ann, OU=People", "ou=people"),
            (r"cn=a\\,ou=x", "ou=x"),
            ("dc=example", ""),
            ("", ""),
        ] {
            assert_eq!(parent(&normal(dn)), up, "{dn}");
        }
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [
            ("uid=ann,dc=x", "uid=anne,dc=x"),
            ("uid=ann,dc=x", "cn=ann,dc=x"),
            ("cn=a\\,ou=b", "cn=a,ou=b"),
            ("cn=a\\+uid=b", "cn=a+uid=b"),
            ("cn=a b", "cn=ab"),
            ("cn=\\#0c0161", "cn=#0c0161"),
            ("cn=é", "cn=e"),
            ("cn=a,dc=x", "dc=x,cn=a"),
        ] {
            assert_ne!(normal(one), normal(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_not_a_dn_is_recognised_and_compared_as_it_stands() {
        for text in [
            "ann",
            "=x",
            "cn=a,",
            "cn=a\\",
            "cn=\\zz",
            "cn=\"a",
            "cn=#0",
            "cn=\"a\"b",
        ] {
            assert!(!is_dn(text), "{text}");
        }
        assert_eq!(normal(" Ann "), "ann");
    }

    #[test]
    fn a_unique_identifier_is_no_part_of_the_name() {
        assert_eq!(without_unique_id("cn=a,dc=x#'0101'B"), "cn=a,dc=x");
        assert_eq!(without_unique_id("cn=a,dc=x#''B"), "cn=a,dc=x");
        assert_eq!(without_unique_id("cn=a#'012'B"), "cn=a#'012'B");
        assert_eq!(without_unique_id("cn=a'B"), "cn=a'B");
    }

    /// One way to write a value, chosen by `style`.
    fn spelled(value: &str, style: u8) -> String {
        match style % 4 {
            0 => value.bytes().map(|b| format!("\\{b:02x}")).collect(),
            1 => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            2 if value.len() < 128 => {
                let hex: String = value.bytes().map(|b| format!("{b:02X}")).collect();
                format!("#0c{:02x}{hex}", value.len())
            }
            _ => value
                .chars()
                .map(|c| {
                    if ",+\"\\<>;# =".contains(c) {
                        format!("\\{c}")
                    } else {
                        c.to_string()
                    }
                })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn the_ordinary_case_is_read_as_all_others_are(
            dn in "(cn|UID|gn|Surname|userId|dc-1)=[ -~]{1,9}(,(OU|organizationName|c)=[a-zA-Z0-9 =-]{1,9}){0,3}"
        ) {
            let mut simple = String::new();
            if normalize_simple(&dn, &mut simple) {
                let mut general = String::new();
                write_normal(&parse(&dn).expect("a simple DN is a DN"), &mut general);
                prop_assert_eq!(simple, general);
            }
        }
    }

    #[test]
    fn dns_as_directories_write_them_are_ordinary() {
        let mut out = String::new();
        for dn in [
            "uid=ann,ou=people,dc=example,dc=com",
            "CN=Lee Ann (x),OU=Users,DC=example,DC=com",
            "entryUUID=7-1,o=a=b",
        ] {
            assert!(normalize_simple(dn, &mut out), "{dn}");
            assert_eq!(out, dn.to_lowercase());
        }
        for dn in [
            "",
            "cn=",
            "cn=a ,o=b",
            "cn=a  b",
            "cn=a,",
            "gn=a",
            "userid=a",
            "cn=a+o=b",
        ] {
            assert!(!normalize_simple(dn, &mut out), "{dn}");
        }
    }

    type Rdn = Vec<(String, String)>;

    fn rdns() -> impl Strategy<Value = Vec<Rdn>> {
        let kind = prop_oneof![
            Just("cn".to_owned()),
            Just("ou".into()),
            "[a-z][a-z0-9-]{0,6}"
        ];
        let value = prop_oneof!["[a-z0-9]{1,8}", "[ -~]{1,12}", "\\PC{1,8}"];
        let part = (kind, value);
        proptest::collection::vec(proptest::collection::vec(part, 1..3), 1..5)
    }

    fn written(rdns: &[Rdn], styles: &[u8]) -> String {
        let mut styles = styles.iter().cycle();
        let mut next = || *styles.next().expect("a cycle doesn't end");
        rdns.iter()
            .map(|rdn| {
                let mut parts: Vec<String> = rdn
                    .iter()
                    .map(|(kind, value)| {
                        let kind = if next() & 1 == 0 {
                            kind.to_uppercase()
                        } else {
                            kind.clone()
                        };
                        let space = if next() & 1 == 0 { " " } else { "" };
                        format!(
                            "{space}{kind}{space}={space}{}{space}",
                            spelled(value, next())
                        )
                    })
                    .collect();
                if next() & 1 == 0 {
                    parts.reverse();
                }
                parts.join("+")
            })
            .collect::<Vec<_>>()
            .join(if next() & 1 == 0 { "," } else { ";" })
    }

    proptest! {
        #[test]
        fn every_spelling_has_the_same_normal_form(
            rdns in rdns(),
            one in proptest::collection::vec(any::<u8>(), 1..16),
            other in proptest::collection::vec(any::<u8>(), 1..16),
        ) {
            let (one, other) = (written(&rdns, &one), written(&rdns, &other));
            prop_assert!(is_dn(&one), "{}", one);
            prop_assert_eq!(normal(&one), normal(&other), "{} and {}", one, other);
        }

        #[test]
        fn the_normal_form_of_a_normal_form_is_itself(
            text in prop_oneof!["\\PC{0,24}", "[ -~]{0,24}"],
            rdns in rdns(),
            styles in proptest::collection::vec(any::<u8>(), 1..16),
        ) {
            for text in [text, written(&rdns, &styles)] {
                let once = normal(&text);
                prop_assert_eq!(normal(&once), once.clone(), "{} gave {}", text, once);
            }
        }

        #[test]
        fn the_short_way_agrees_with_the_long_one(dn in "([a-zA-Z]{1,4}=[a-zA-Z0-9 ._-]{1,8},){0,3}(cn|CommonName)=[ -~]{1,8}") {
            let mut short = String::new();
            if normalize_simple(&dn, &mut short) {
                let mut long = String::new();
                write_normal(&parse(&dn).expect("what the short way takes is a DN"), &mut long);
                prop_assert_eq!(short, long);
            }
        }
    }
}
