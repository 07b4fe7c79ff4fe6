//! Finds the values of Secrets in data: in names, ids and addresses that a server lists.
//!
//! A server can return what it was sent as the name of a group, and data is shown: in status, plans and
//! logs. A [`Redactor`](crate::Redactor) looks at a few texts closely. This looks at each text of a directory of a
//! million entries, so it knows fewer forms: the value itself, in any case, with anything but letters and
//! digits between its characters, in full width; its Base64 in a longer text, too; hexadecimal; and the
//! escapes of URLs, JSON and HTML.
//!
//! Only whole values are found, and none that could be a word or a number of ordinary data: by what is
//! withheld, whoever names entries of a directory could guess them, part by part. Guessing a whole value of
//! the others takes as many tries as at the server itself.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// No more of a value is looked for: so much of it stands in no text by chance.
const VALUE_MAX: usize = 64;
/// Where values have more bytes than this together, they are looked for as they are only. Values that are
/// sent to servers are shorter.
const ENCODED_MAX: usize = 16 << 10;
/// A value with fewer characters may be a word of ordinary data.
const VALUE_MIN: usize = 6;
/// A value of words only, or of digits only, with fewer characters may be one, too.
const WORDS_MIN: usize = 16;
/// Most texts of a directory are no longer, in bytes.
const TEXT_USUAL: usize = 128;
/// A value of fewer letters and digits than this is found between others that aren't.
const INSIDE_MIN: usize = 12;

/// Finds whole values.
#[derive(Debug)]
pub struct SecretValues {
    automaton: AhoCorasick,
    /// By pattern: whether a match has to stand between characters that are neither letters nor digits.
    alone: Vec<bool>,
    shortest: usize,
}

/// What is looked for.
#[derive(Default)]
struct Patterns {
    texts: Vec<String>,
    alone: Vec<bool>,
}

impl SecretValues {
    /// Finds `values`; `None` where there is nothing to be looked for.
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let values: Vec<&[u8]> = values
            .map(|value| &value[..value.len().min(VALUE_MAX)])
            .filter(|value| !may_be_a_word(value))
            .collect();
        let encoded = values.iter().map(|value| value.len()).sum::<usize>() <= ENCODED_MAX;
        let mut patterns = Patterns::default();
        for value in values {
            patterns.add(value, encoded);
        }
        let shortest = patterns.texts.iter().map(String::len).min()?;
        // More patterns than fit can't be: they are bounded.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // Letters and digits of values are in nearly every id: looking for them first takes longer.
            .prefilter(false)
            .build(&patterns.texts)
            .ok()?;
        Some(Self {
            automaton,
            alone: patterns.alone,
            shortest,
        })
    }

    /// Whether a value stands in `text`.
    pub fn are_in(&self, text: &str) -> bool {
        // Letters and digits take no more bytes than the text.
        if text.len() < self.shortest {
            return false;
        }
        if text.len() <= TEXT_USUAL && text.is_ascii() && !self.are_in_letters_of(text) {
            return false;
        }
        // Hardly any text comes so far.
        let mut starts = Vec::new();
        let plain = plain(text, |start| starts.push(start));
        let mut matches = self.automaton.find_overlapping_iter(&plain);
        matches.any(|found| {
            !self.alone[found.pattern().as_usize()]
                || (starts.contains(&found.start())
                    && (found.end() == plain.len() || starts.contains(&found.end())))
        })
    }
}

impl SecretValues {
    /// The same of an ASCII text of usual length, whatever stands around the value, and without memory of
    /// its own: it is asked for each text.
    fn are_in_letters_of(&self, text: &str) -> bool {
        let mut letters = [0; TEXT_USUAL];
        let mut length = 0;
        for byte in text.bytes() {
            letters[length] = byte.to_ascii_lowercase();
            length += usize::from(byte.is_ascii_alphanumeric());
        }
        length >= self.shortest && self.automaton.is_match(&letters[..length])
    }
}

impl Patterns {
    fn add(&mut self, value: &[u8], encoded: bool) {
        let text = String::from_utf8_lossy(value);
        let itself = plain(&text, |_| {});
        // What is mostly signs would be found everywhere by its letters.
        if itself.len() >= VALUE_MIN {
            let alone = itself.len() < INSIDE_MIN;
            self.push(itself, alone);
        }
        if !encoded {
            return;
        }
        let each =
            |of: &dyn Fn(u8) -> String| value.iter().map(|&byte| of(byte)).collect::<String>();
        self.push_encoded(&each(&|byte| format!("{byte:02x}")));
        let url: String = form_urlencoded::byte_serialize(value).collect();
        self.push_encoded(&url);
        let escaped = |of: &dyn Fn(u32) -> String| {
            let characters = text.chars().map(|c| match c.is_ascii_alphanumeric() {
                true => c.to_string(),
                false => of(c.into()),
            });
            characters.collect::<String>()
        };
        self.push_encoded(&each(&|byte| format!("%{byte:02x}")));
        self.push_encoded(&escaped(&|c| format!("\\u{c:04x}")));
        self.push_encoded(
            &text
                .chars()
                .map(|c| format!("\\u{:04x}", u32::from(c)))
                .collect::<String>(),
        );
        self.push_encoded(&escaped(&|c| format!("&#{c};")));
        // The Base64 of a longer text has it in one of three forms, without the characters that other
        // bytes are part of.
        for before in 0..3 {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value);
            let whole = BASE64_STANDARD_NO_PAD.encode(&bytes);
            let from = (before * 8).div_ceil(6);
            let to = bytes.len() * 8 / 6;
            if let Some(inner) = whole.get(from..to) {
                self.push_encoded(inner);
            }
        }
    }

    fn push_encoded(&mut self, text: &str) {
        let text = plain(text, |_| {});
        if text.len() >= VALUE_MIN {
            let alone = text.len() < INSIDE_MIN;
            self.push(text, alone);
        }
    }

    fn push(&mut self, text: String, alone: bool) {
        if !self.texts.contains(&text) {
            self.texts.push(text);
            self.alone.push(alone);
        }
    }
}

/// Whether a value may stand in ordinary data for another reason.
fn may_be_a_word(value: &[u8]) -> bool {
    let words = |byte: &u8| byte.is_ascii_alphabetic() || b" _-.".contains(byte);
    let numbers = |byte: &u8| byte.is_ascii_digit() || b" _-.".contains(byte);
    let value = value.trim_ascii();
    value.len() < VALUE_MIN
        || value.len() < WORDS_MIN && (value.iter().all(words) || value.iter().all(numbers))
}

/// The letters and digits of `text` in lower case. `starts` gets each place among them where a new run of
/// such begins.
fn plain(text: &str, mut starts: impl FnMut(usize)) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut between = true;
    for c in text.chars() {
        if c.is_ascii() {
            if !c.is_ascii_alphanumeric() {
                between = true;
                continue;
            }
            if between {
                starts(plain.len());
                between = false;
            }
            plain.push(c.to_ascii_lowercase());
            continue;
        }
        let c = match c {
            // The full width of ASCII's characters.
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            c => c,
        };
        // Accents that stand alone, and what isn't seen, part nothing.
        if !c.is_alphanumeric() {
            continue;
        }
        if between {
            starts(plain.len());
            between = false;
        }
        plain.extend(c.to_lowercase());
    }
    plain
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const SECRET: &str = "Tr0ub4dor+&3/\"correct\"=horse";

    fn of(values: &[&str]) -> Option<SecretValues> {
        SecretValues::of(values.iter().map(|value| value.as_bytes()))
    }

    fn finds(value: &str, text: &str) -> bool {
        of(&[value]).is_some_and(|values| values.are_in(text))
    }

    #[test]
    fn a_value_is_found_in_the_forms_that_a_server_writes_it_in() {
        let spaced: String = SECRET.chars().flat_map(|c| [c, '-']).collect();
        let wide = SECRET.chars().map(|c| match u32::from(c) {
            code @ 0x21..=0x7e => char::from_u32(code + 0xfee0).unwrap(),
            _ => c,
        });
        let accents: String = SECRET.chars().flat_map(|c| [c, '\u{301}']).collect();
        let hidden: String = SECRET.chars().flat_map(|c| [c, '\u{200b}']).collect();
        let forms = [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            spaced,
            wide.collect(),
            accents,
            hidden,
            BASE64_STANDARD.encode(SECRET),
            BASE64_URL_SAFE_NO_PAD.encode(SECRET),
            BASE64_STANDARD.encode(format!("u:{SECRET}!")),
            BASE64_STANDARD.encode(format!("us:{SECRET}")),
            BASE64_STANDARD.encode(format!("use:{SECRET}!!")),
            SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
            SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            SECRET.bytes().map(|byte| format!("{byte:02X}:")).collect(),
            SECRET
                .chars()
                .map(|c| format!("\\u{:04x}", u32::from(c)))
                .collect(),
            form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        ];
        for form in forms {
            for text in [
                form.clone(),
                format!("uid={form},dc=example"),
                format!("{form}@example.com"),
            ] {
                assert!(finds(SECRET, &text), "{text}");
            }
        }
    }

    #[test]
    fn a_short_value_is_found_where_it_stands_alone() {
        for text in [
            "hunter2",
            "Hunter2@example.com",
            "uid=hunter2,dc=example",
            "a hunter2",
        ] {
            assert!(finds("hunter2", text), "{text}");
        }
        for text in ["hunter22", "thunter2", "hunter", "a1b2c3hunter2f"] {
            assert!(!finds("hunter2", text), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_word_or_a_number_is_not_looked_for() {
        for value in [
            "staff",
            "pin7",
            "administrators",
            "reader-password",
            "2026-11-29",
            "123456",
        ] {
            assert!(of(&[value]).is_none(), "{value}");
            assert!(!finds(value, value), "{value}");
        }
        assert!(finds(
            "correct horse battery staple",
            "Correct Horse Battery Staple"
        ));
        assert!(!finds("!!!!-a-1-!!!!", "a1"), "it is found by its letters");
    }

    #[test]
    fn a_part_of_a_value_tells_nothing() {
        let value = "key-1-of-the-organization-17";
        for length in 1..value.len() - 1 {
            assert!(!finds(value, &value[..length]), "{}", &value[..length]);
        }
    }

    #[test]
    fn many_values_are_found_as_they_are() {
        let many: Vec<String> = (0..4_000)
            .map(|number| format!("{number:060}x{number}"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let values = of(&many).unwrap();
        assert!(values.are_in(many[3_999]));
        assert!(!values.are_in("ann@example.com"));
    }
}
