//! Takes secrets out of what the other side sent, before any of it is shown.
//!
//! A server or proxy that quotes a request in its answer would carry our credentials into an error.
//! Every text of the other side that reaches an error, a log line, a status or an event goes
//! through [`Redactor::clean`], after it was decoded: LDAP's diagnostics as well as fields of JSON.
//!
//! A secret is found whole or in part, in any case, with invisible characters or white space in it, and in
//! every encoding in which servers commonly quote: escapes of JSON, C, URLs, HTML and MIME, also one in
//! another; Base64 (in lines, too), hexadecimal, lists of octal and decimal bytes; and each of these of
//! UTF-16. Where part of a text is an encoding, that part is decoded and looked at. A secret of fewer than six
//! bytes can't be distinguished from ordinary text: a text that holds one is withheld altogether. So is every
//! text where the secrets are too many to be looked for, and what is over the budget of an answer: a server
//! can't buy computing time with a long answer.
//!
//! By what is missing in a text, somebody who has a hand in it could guess a secret word by word. So words
//! are no parts: a part has eight bytes or more with a digit among them, and a text of the other side that has
//! one is withheld altogether, which tells nothing about where it stands. In a message of the program's own words
//! ([`Redactor::redact_message`]) only whole secrets are found, and long parts that no word can be.
//!
//! A server can always find an encoding that isn't in this list. It has the credentials that were sent
//! to it anyway, so this protects them from servers and proxies that quote, not from those that lie;
//! credentials of the other side are never sent to it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use directory_sync_directory::text::{sanitize, visible};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::SecretValues;

/// Stands where a secret was.
const MASK: &str = "***";
/// Stands for a text that can't be shown.
pub(crate) const WITHHELD: &str = "(text withheld)";
/// A text with a secret shorter than this is withheld.
const SHORT: usize = 6;
/// A secret at least this long is found in part, too.
const LONG: usize = 12;
/// The shortest part of a long secret that is found.
const PART: usize = 8;
/// The shortest part of a secret that is found in a message of ours.
const RANDOM: usize = 16;
/// So often letters and digits alternate in it: an address with versions (`/oauth2/v2.0/token`) has four.
const ALTERNATIONS: usize = 5;
/// Or so many letters and digits stand in a row, with a digit among them: no identifier has as many.
const UNBROKEN: usize = 24;
/// How many escapes in each other are resolved.
const ESCAPES_IN_ESCAPES: usize = 4;
/// No more forms of one text are looked at.
const FORMS: usize = 16;
/// No more of a text is looked at, or shown.
const TEXT_MAX: usize = 4 << 10;
/// No more of a secret is looked for: a longer one is a file, of which a part is as good.
const SECRET_MAX: usize = 16 << 10;
/// Where secrets have more bytes than this together, no text of the other side is shown. A Secret with
/// all CAs of a system in it stays below.
const SECRETS_MAX: usize = 256 << 10;
/// Nor where they are more than this: each line of a Secret is one.
const SECRETS_COUNT_MAX: usize = 5_000;
/// Access tokens and assertions that were renewed since may still be quoted; very old ones no more.
const TOKENS: usize = 16;

/// The secrets that are sent to one side.
#[derive(Debug, Default)]
pub struct Redactor(RwLock<SecretSet>);

#[derive(Debug, Default)]
struct SecretSet {
    keys: Vec<SecretSlice<u8>>,
    /// The keys as they were added: their Base64 is another than that of `keys`, in lower case.
    originals: Vec<SecretSlice<u8>>,
    identifiers: Vec<SecretSlice<u8>>,
    tokens: VecDeque<SecretSlice<u8>>,
    /// More was added than is looked for.
    too_many: bool,
    /// Of all of them; made when the first text is looked at after a change.
    index: OnceLock<Index>,
}

/// Where each part of each secret is found in a moment, however many there are.
#[derive(Debug, Default)]
struct Index {
    /// By their length: the hash of each part, in order, and the secret and position where it stands.
    /// A map of hashes would take several times the memory.
    parts: BTreeMap<usize, Vec<(u64, u32, u32)>>,
    hash: RandomState,
}

/// A secret in lower case, and the length of the parts in which it is looked for.
#[derive(Clone, Copy)]
struct Needle<'a> {
    bytes: &'a [u8],
    part: usize,
}

/// Where a secret stands.
#[derive(Debug, Clone)]
struct Found {
    range: Range<usize>,
    /// Of the whole secret.
    length: usize,
    is_whole: bool,
}

/// What is looked for, and in what kind of text.
#[derive(Clone, Copy)]
struct Search<'a> {
    known: &'a SecretSet,
    index: &'a Index,
    /// Which parts of a longer secret are looked for: others may stand in ordinary text.
    part_counts: fn(&[u8]) -> bool,
    /// Whether a text with a part of a secret is withheld; otherwise the part is masked.
    withholds_parts: bool,
    /// Which secrets are looked for.
    applies: fn(&[u8]) -> bool,
}

impl Redactor {
    /// Without any secret yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more key, password or private key. It is never forgotten.
    pub fn add(&self, secret: SecretString) {
        self.add_bytes(secret.expose_secret().as_bytes());
    }

    /// As [`Self::add`], for a value that may be no text.
    pub fn add_bytes(&self, secret: &[u8]) {
        let known = &mut *self.write();
        let before = known.keys.len();
        add_once(&mut known.keys, &mut known.too_many, secret);
        if known.keys.len() > before {
            let secret = secret.trim_ascii();
            let original = secret[..secret.len().min(SECRET_MAX)].to_vec();
            known.originals.push(original.into());
        }
    }

    /// Finds the keys in data; `None` where there is nothing to be looked for.
    pub fn values(&self) -> Option<SecretValues> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        SecretValues::of(known.originals.iter().map(ExposeSecret::expose_secret))
    }

    /// One more value that isn't a credential, though it came out of a Secret: a bind DN, a user
    /// name. Only all of it is taken out, as parts of it (`dc=example`) stand elsewhere rightfully.
    pub fn add_identifier(&self, value: SecretString) {
        let known = &mut *self.write();
        let value = value.expose_secret().as_bytes();
        add_once(&mut known.identifiers, &mut known.too_many, value);
    }

    /// One more access token or assertion. The newest few are remembered.
    pub fn add_token(&self, token: SecretString) {
        let tokens = &mut self.write().tokens;
        if tokens.len() == TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(lower(token.expose_secret().as_bytes()).into());
    }

    /// `text` of the other side, decoded, as it may be shown: without secrets and control
    /// characters, and short.
    pub fn clean(&self, text: &str) -> String {
        sanitize(self.redact(text).trim())
    }

    /// `text` of the other side with every secret of this redactor replaced.
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known.too_many {
            true => WITHHELD.to_owned(),
            false => redact(known.search(has_digits, true, |_| true), text),
        }
    }

    /// A message in which our own words stand, without values that came out of Secrets. Values that
    /// may be words of ours are left: those shorter than six bytes, and those of a few letters only. So
    /// are parts of values, except those that no word can be (`is_random`).
    pub fn redact_message(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let applies =
            |secret: &[u8]| secret.len() >= LONG || (secret.len() >= SHORT && !is_word(secret));
        redact(known.search(is_random, false, applies), text)
    }

    fn write(&self) -> RwLockWriteGuard<'_, SecretSet> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.index = OnceLock::new();
        known
    }
}

impl SecretSet {
    fn search(
        &self,
        part_counts: fn(&[u8]) -> bool,
        withholds_parts: bool,
        applies: fn(&[u8]) -> bool,
    ) -> Search<'_> {
        Search {
            known: self,
            index: self.index.get_or_init(|| Index::of(self)),
            part_counts,
            withholds_parts,
            applies,
        }
    }

    fn count(&self) -> usize {
        self.keys.len() + self.tokens.len() + self.identifiers.len()
    }

    fn needle(&self, number: usize) -> Needle<'_> {
        let credentials = self.keys.len() + self.tokens.len();
        if let Some(identifier) = number.checked_sub(credentials) {
            let bytes = self.identifiers[identifier].expose_secret();
            let part = bytes.len();
            return Needle { bytes, part };
        }
        let bytes = match number.checked_sub(self.keys.len()) {
            Some(token) => self.tokens[token].expose_secret(),
            None => self.keys[number].expose_secret(),
        };
        let part = match bytes.len() {
            length if length >= LONG => PART,
            length => length,
        };
        Needle { bytes, part }
    }
}

impl Index {
    fn of(known: &SecretSet) -> Self {
        let mut index = Self::default();
        for number in 0..known.count() {
            let Needle { bytes, part } = known.needle(number);
            if part == 0 {
                continue;
            }
            let parts = index.parts.entry(part).or_default();
            for (at, window) in bytes.windows(part).enumerate() {
                let place = (index.hash.hash_one(window), number as u32, at as u32);
                parts.push(place);
            }
        }
        for parts in index.parts.values_mut() {
            parts.sort_unstable();
            // One place of a part in a secret is enough to know it.
            parts.dedup_by_key(|(hash, number, _)| (*hash, *number));
            parts.shrink_to_fit();
        }
        index
    }
}

fn redact(search: Search<'_>, text: &str) -> String {
    if search.known.count() == 0 {
        return text.to_owned();
    }
    let text = visible(&text[..text.floor_char_boundary(TEXT_MAX)]);
    let mut found = search.find(text.to_ascii_lowercase().as_bytes());
    for (range, bytes) in encoded_runs(&text) {
        let within = search.find_decoded(&bytes);
        found.extend(within.into_iter().map(|inner| Found {
            range: range.clone(),
            ..inner
        }));
    }
    let withheld =
        |found: &Found| found.length < SHORT || (search.withholds_parts && !found.is_whole);
    // Where a secret stands whole, its parts do, too.
    let whole: Vec<Range<usize>> = found
        .iter()
        .filter(|found| found.is_whole)
        .map(|found| found.range.clone())
        .collect();
    let within = |found: &Found| {
        let covers =
            |whole: &Range<usize>| whole.start <= found.range.start && found.range.end <= whole.end;
        !found.is_whole && whole.iter().any(covers)
    };
    if found.iter().any(|found| withheld(found) && !within(found)) {
        return WITHHELD.to_owned();
    }
    let shown = mask(&text, found.into_iter().map(|found| found.range).collect());
    // What shows only in another form of the text has no place in it that could be masked.
    match search.hides(&shown) {
        true => WITHHELD.to_owned(),
        false => shown,
    }
}

impl Search<'_> {
    /// Whether a secret shows in `text` once escapes are resolved, white space is left out, or what
    /// comes of that is decoded.
    fn hides(self, text: &str) -> bool {
        let mut forms = vec![text.to_owned()];
        let mut from = 0;
        for _ in 0..ESCAPES_IN_ESCAPES {
            let last = forms.len();
            for at in from..last {
                let decoded = [
                    unescape(&forms[at], Numbers::Octal),
                    unescape(&forms[at], Numbers::Hexadecimal),
                    unquote_printable(&forms[at]),
                ];
                for form in decoded.into_iter().flatten() {
                    let form = visible(&form);
                    if forms.len() < FORMS && !forms.contains(&form) {
                        forms.push(form);
                    }
                }
            }
            from = last;
        }
        let encoded = |form: &str| {
            encoded_runs(form)
                .iter()
                .any(|(_, bytes)| self.is_in(bytes))
        };
        forms.iter().enumerate().any(|(at, form)| {
            // The text itself was looked at.
            if at > 0 && (self.is_in(form.as_bytes()) || encoded(form)) {
                return true;
            }
            let squeezed: String = form.split_whitespace().collect();
            squeezed.len() < form.len()
                && (self.without_words().is_in(squeezed.as_bytes()) || encoded(&squeezed))
        })
    }

    /// The same without secrets that may be words, which stand side by side in squeezed text.
    fn without_words(self) -> Self {
        Self {
            applies: |secret| secret.len() >= SHORT && !is_word(secret),
            ..self
        }
    }

    /// Whether any part of any secret stands in `bytes`, also as UTF-16.
    fn is_in(self, bytes: &[u8]) -> bool {
        !self.find_decoded(bytes).is_empty()
    }

    /// What of secrets stands in `bytes`, also as UTF-16.
    fn find_decoded(self, bytes: &[u8]) -> Vec<Found> {
        let lower = bytes.to_ascii_lowercase();
        let mut found = self.find(&lower);
        // Where nothing is zero, nothing is UTF-16 that a reader would make out.
        if !found.is_empty() || !lower.contains(&0) {
            return found;
        }
        for unit in [u16::from_le_bytes, u16::from_be_bytes] {
            for start in 0..2.min(lower.len()) {
                let units = lower[start..].chunks_exact(2);
                let units: Vec<u16> = units.map(|pair| unit([pair[0], pair[1]])).collect();
                let text = String::from_utf16_lossy(&units);
                found.extend(self.find(text.to_ascii_lowercase().as_bytes()));
            }
        }
        found
    }

    /// Where secrets stand in `text`, whole or in part, both in lower case.
    fn find(self, text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for (&part, parts) in &self.index.parts {
            for (start, window) in text.windows(part).enumerate() {
                let hash = self.index.hash.hash_one(window);
                let first = parts.partition_point(|(other, ..)| *other < hash);
                let places = parts[first..]
                    .iter()
                    .take_while(|(other, ..)| *other == hash);
                for &(_, number, at) in places {
                    let Needle { bytes, part } = self.known.needle(number as usize);
                    let at = at as usize;
                    if !(self.applies)(bytes) || bytes[at..at + part] != *window {
                        continue;
                    }
                    let same = |(one, other): &(&u8, &u8)| one == other;
                    let before = bytes[..at].iter().rev();
                    let before = before.zip(text[..start].iter().rev()).take_while(same);
                    let after = bytes[at..].iter().zip(&text[start..]);
                    let before = before.count();
                    let after = after.take_while(same).count();
                    let is_whole = before + after == bytes.len();
                    if is_whole || (self.part_counts)(&bytes[at - before..at + after]) {
                        found.push(Found {
                            range: start - before..start + after,
                            length: bytes.len(),
                            is_whole,
                        });
                    }
                }
            }
        }
        found
    }
}

/// Letters only, as words of ordinary text are.
fn is_word(part: &[u8]) -> bool {
    part.iter().all(u8::is_ascii_alphabetic)
}

/// Not words of ordinary text alone.
fn has_digits(part: &[u8]) -> bool {
    part.iter()
        .any(|byte| byte.is_ascii_digit() || !byte.is_ascii())
}

/// Long, with letters and digits in turn or in a long row, as keys and tokens are, and no sentence, address
/// or version is.
fn is_random(part: &[u8]) -> bool {
    let digits = part
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::is_ascii_digit);
    let pairs = digits.clone().zip(digits.skip(1));
    let alternates = pairs.filter(|(one, next)| one != next).count() >= ALTERNATIONS;
    let of_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'=');
    let mut runs = part.split(|byte| !of_key(byte));
    part.len() >= RANDOM && alternates
        || runs.any(|run| run.len() >= UNBROKEN && run.iter().any(u8::is_ascii_digit))
}

fn add_once(secrets: &mut Vec<SecretSlice<u8>>, too_many: &mut bool, secret: &[u8]) {
    let secret = lower(secret);
    let known = |known: &SecretSlice<u8>| known.expose_secret() == secret;
    if secret.is_empty() || secrets.iter().any(known) {
        return;
    }
    let bytes: usize = secrets
        .iter()
        .map(|known| known.expose_secret().len())
        .sum();
    match bytes + secret.len() > SECRETS_MAX || secrets.len() == SECRETS_COUNT_MAX {
        true => *too_many = true,
        false => secrets.push(secret.into()),
    }
}

/// As it is compared. White space around it isn't part of it.
fn lower(secret: &[u8]) -> Vec<u8> {
    let secret = secret.trim_ascii();
    secret[..secret.len().min(SECRET_MAX)].to_ascii_lowercase()
}

fn mask(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for range in found {
        let from = text.floor_char_boundary(range.start);
        let to = text.ceil_char_boundary(range.end);
        if from > end || shown.is_empty() {
            shown.push_str(&text[end..from.max(end)]);
            shown.push_str(MASK);
        }
        end = end.max(to);
    }
    shown.push_str(&text[end..]);
    shown
}

/// `text` without the escapes of JSON, URLs and HTML; `None` where it has none.
fn unescape(text: &str, numbers: Numbers) -> Option<String> {
    if !text.contains(['\\', '%', '&', '+']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (decoded, length) = unescape_first(rest, c, numbers);
        let mut buffer = [0; 4];
        match decoded {
            Unescaped::Byte(byte) => bytes.push(byte),
            Unescaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
        rest = &rest[length..];
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What digits right after a backslash are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// As in C and in shells.
    Octal,
    /// As in LDAP's filters and DNs (RFC 4515, 3; RFC 4514, 2.4).
    Hexadecimal,
}

enum Unescaped {
    Byte(u8),
    Char(char),
}

/// The first character of `text`, which begins with `c`, and how many bytes stand for it.
fn unescape_first(text: &str, c: char, numbers: Numbers) -> (Unescaped, usize) {
    let hex = |range: Range<usize>| {
        let digits = text.get(range)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let found = match c {
        '%' => hex(1..3).map(|byte| (Unescaped::Byte(byte as u8), 3)),
        '+' => Some((Unescaped::Char(' '), 1)),
        '\\' if text[1..].starts_with(['u', 'U', 'x']) && text[2..].starts_with('{') => {
            let end = text.bytes().take(12).position(|byte| byte == b'}');
            let c = end.and_then(|end| hex(3..end)).and_then(char::from_u32);
            c.zip(end).map(|(c, end)| (Unescaped::Char(c), end + 1))
        }
        '\\' if text[1..].starts_with('U') && hex(2..10).is_some() => hex(2..10)
            .and_then(char::from_u32)
            .map(|c| (Unescaped::Char(c), 10)),
        '\\' if text[1..].starts_with(['u', 'U']) => hex(2..6)
            .and_then(char::from_u32)
            .map(|c| (Unescaped::Char(c), 6)),
        '\\' if text[1..].starts_with(['x', 'X']) => {
            hex(2..4).map(|byte| (Unescaped::Byte(byte as u8), 4))
        }
        '\\' if numbers == Numbers::Octal && text[1..].starts_with(|c: char| c.is_digit(8)) => {
            octal(&text[1..])
        }
        '\\' if numbers == Numbers::Hexadecimal && hex(1..3).is_some() => {
            hex(1..3).map(|byte| (Unescaped::Byte(byte as u8), 3))
        }
        '\\' => text[1..].chars().next().map(|c| {
            let meant = match c {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c => c,
            };
            (Unescaped::Char(meant), 1 + c.len_utf8())
        }),
        '&' => entity(text).map(|(c, length)| (Unescaped::Char(c), length)),
        _ => None,
    };
    found.unwrap_or((Unescaped::Char(c), c.len_utf8()))
}

/// As C and shells write a byte: up to three octal digits after the backslash.
fn octal(digits: &str) -> Option<(Unescaped, usize)> {
    let length = digits
        .bytes()
        .take(3)
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count();
    let byte = u32::from_str_radix(&digits[..length], 8).ok()?;
    Some((Unescaped::Byte(byte as u8), 1 + length))
}

/// `text` without the escapes of MIME's quoted-printable form; `None` where it has none.
fn unquote_printable(text: &str) -> Option<String> {
    if !text.contains('=') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (first, byte, tail) {
            (b'=', Some(byte), _) => {
                bytes.push(byte);
                &tail[2..]
            }
            (b'=', None, [b'\n', more @ ..] | [b'\r', b'\n', more @ ..]) => more,
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

/// Lenient, as what is looked at may be cut off anywhere.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
/// Four characters are three bytes: shorter runs hold too little of a secret.
const RUN_MIN: usize = 4;

/// Parts of `text` that may be Base64, hexadecimal or a list of decimal bytes, with what they stand
/// for. A run may begin in the middle of a group, so each beginning is tried.
fn encoded_runs(text: &str) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut all = Vec::new();
    let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'-' | b'_');
    for run in runs(text, base64) {
        let standard = text[run.clone()].replace('-', "+").replace('_', "/");
        for start in 0..4.min(standard.len()) {
            let part = &standard[start..];
            // One character alone at the end stands for nothing.
            let part = &part[..part.len() - usize::from(part.len() % 4 == 1)];
            if let Ok(bytes) = BASE64.decode(part) {
                all.push((run.clone(), bytes));
            }
        }
    }
    let hex = |c: u8| c.is_ascii_hexdigit() || matches!(c, b':' | b' ');
    // `0x68, 0x75` is read as such.
    let hex_text = text
        .replace("0x", "  ")
        .replace("0X", "  ")
        .replace(',', " ");
    for run in runs(&hex_text, hex) {
        let digits: Vec<u8> = hex_text[run.clone()]
            .bytes()
            .filter(u8::is_ascii_hexdigit)
            .collect();
        for start in 0..2.min(digits.len()) {
            let bytes = digits[start..].chunks_exact(2).filter_map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                u8::from_str_radix(pair, 16).ok()
            });
            all.push((run.clone(), bytes.collect()));
        }
    }
    let decimal = |c: u8| c.is_ascii_digit() || matches!(c, b',' | b' ' | b';' | b'\n' | b'\t');
    for run in runs(text, decimal) {
        let numbers = text[run.clone()].split([',', ' ', ';', '\n', '\t']);
        let bytes = numbers.clone().filter_map(|number| number.parse().ok());
        let octal = numbers.filter_map(|number| u8::from_str_radix(number, 8).ok());
        all.push((run.clone(), bytes.collect()));
        all.push((run, octal.collect()));
    }
    all
}

fn runs(text: &str, of: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([0]).enumerate() {
        match (of(byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                if at - from >= RUN_MIN {
                    all.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const SECRET: &str = "Tr0ub4dor+&3/\"correct\"=horse";

    fn redactor(secret: &str) -> Redactor {
        let redactor = Redactor::new();
        redactor.add(secret.into());
        redactor
    }

    /// Every form in which a server might quote `secret`.
    fn encodings(secret: &str) -> Vec<String> {
        let bytes = secret.as_bytes();
        let each = |of: fn(u8) -> String| bytes.iter().map(|&byte| of(byte)).collect::<String>();
        let characters =
            |of: fn(u32) -> String| secret.chars().map(|c| of(c.into())).collect::<String>();
        let decimal: Vec<_> = bytes.iter().map(u8::to_string).collect();
        let spaced_hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            secret.to_owned(),
            secret.to_ascii_uppercase(),
            serde_json::to_string(secret).unwrap(),
            characters(|c| format!("\\u{c:04x}")),
            characters(|c| format!("\\u{c:04X}")),
            each(|byte| format!("\\x{byte:02x}")),
            each(|byte| format!("%{byte:02X}")),
            each(|byte| format!("%{byte:02x}")),
            characters(|c| format!("&#{c};")),
            characters(|c| format!("&#x{c:x};")),
            form_urlencoded::byte_serialize(bytes).collect(),
            BASE64_STANDARD.encode(bytes),
            BASE64_STANDARD_NO_PAD.encode(bytes),
            BASE64_URL_SAFE_NO_PAD.encode(bytes),
            BASE64_STANDARD.encode(format!("us:{secret}")),
            BASE64_STANDARD.encode(format!("use:{secret}")),
            BASE64_STANDARD.encode(format!("user:{secret}!")),
            format!("x{}", BASE64_STANDARD.encode(bytes)),
            each(|byte| format!("{byte:02x}")),
            each(|byte| format!("{byte:02X}")),
            spaced_hex.join(":"),
            spaced_hex.join(" "),
            format!("[{}]", decimal.join(", ")),
            decimal.join(","),
            each(|byte| format!("\\{byte:03o}")),
            each(|byte| format!("{byte:03o} ")),
            each(|byte| format!("\\{byte:02x}")),
            each(|byte| format!("0x{byte:02x}, ")),
            each(|byte| format!("={byte:02X}")),
            characters(|c| format!("\\u{{{c:x}}}")),
            characters(|c| format!("\\x{{{c:x}}}")),
            characters(|c| format!("\\U{c:08x}")),
            // One in another.
            characters(|c| format!("\\\\u{c:04x}")),
            each(|byte| format!("%25{byte:02X}")),
            each(|byte| format!("%255C%78{byte:02x}")),
            characters(|c| format!("&amp;#{c};")),
            form_urlencoded::byte_serialize(BASE64_STANDARD.encode(bytes).as_bytes()).collect(),
            // UTF-16.
            BASE64_STANDARD.encode(utf16(secret)),
            utf16(secret)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            // In lines.
            lines(&BASE64_STANDARD.encode(format!("a longer text that holds {secret}, as it is"))),
            lines(&BASE64_STANDARD.encode(bytes)).replace('\n', "\\n"),
            // With what doesn't show.
            characters(|c| format!("{}\u{ad}", char::from_u32(c).unwrap())),
            characters(|c| format!("\u{200b}{}", char::from_u32(c).unwrap())),
            characters(|c| format!("{}\u{fe0f}", char::from_u32(c).unwrap())),
            characters(|c| format!("{}\0", char::from_u32(c).unwrap())),
        ]
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Eleven characters each, so that no line holds enough to be found.
    fn lines(text: &str) -> String {
        let lines: Vec<_> = text
            .as_bytes()
            .chunks(11)
            .map(String::from_utf8_lossy)
            .collect();
        lines.join("\n")
    }

    #[test]
    fn one_that_stands_there_plainly_does_not_cover_for_one_that_does_not() {
        let redactor = redactor(SECRET);
        let escaped: String = SECRET
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        assert_eq!(redactor.redact(&format!("{SECRET} is {escaped}")), WITHHELD);
        let spaced: String = SECRET.chars().flat_map(|c| [c, ' ']).collect();
        assert_eq!(redactor.redact(&format!("{SECRET} is {spaced}")), WITHHELD);
    }

    #[test]
    fn a_secret_that_is_no_text_is_found_where_it_is_written_as_bytes() {
        let secret = [
            0xff, 0xfe, 0x80, 0x41, 0x90, 0xc3, 0x28, 0xa0, 0x07, 0x99, 0xee, 0xba,
        ];
        let redactor = Redactor::new();
        redactor.add_bytes(&secret);
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [BASE64_STANDARD.encode(secret), hex] {
            assert_eq!(redactor.redact(&form), MASK);
        }
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        for secret in [SECRET, "hunter2", "Pässwörter", "0123456789abcdef0123"] {
            for form in encodings(secret) {
                for text in [form.clone(), format!("before <{form}> after")] {
                    let shown = redactor(secret).redact(&text);
                    assert!(!shown.contains(&form), "{secret} as {form}: {shown}");
                    assert!(
                        shown.contains(MASK) || shown == WITHHELD,
                        "{secret} as {form}: {shown}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_long_secret_is_found() {
        let redactor = redactor(SECRET);
        for start in 0..=SECRET.len() - PART {
            let part = &SECRET[start..start + PART];
            let shown = redactor.redact(&format!("expected {part}, got nothing"));
            match part.contains(|c: char| c.is_ascii_digit()) {
                true => assert_eq!(shown, WITHHELD, "{part}"),
                // A word tells nothing, and is no part.
                false => assert_eq!(shown, format!("expected {part}, got nothing")),
            }
        }
        let words = Redactor::new();
        words.add("key-1-of-the-organization".into());
        assert_eq!(words.redact("it is 1-of-the-organization"), WITHHELD);
        assert_eq!(words.redact("Organization is off"), "Organization is off");
        let text = format!("wrong: {SECRET} (twice {SECRET})");
        assert_eq!(redactor.redact(&text), "wrong: *** (twice ***)");
    }

    #[test]
    fn a_text_with_a_short_secret_is_withheld_and_others_are_not() {
        for form in encodings("pin7") {
            let shown = redactor("pin7").redact(&format!("got {form}"));
            assert!(!shown.contains(&form), "{form}: {shown}");
        }
        let redactor = redactor("pin7");
        assert_eq!(redactor.redact("no, pin7 is wrong"), WITHHELD);
        assert_eq!(redactor.redact("no such entry"), "no such entry");
        assert_eq!(
            redactor.redact_message("our own words: pin7"),
            "our own words: pin7"
        );
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let redactor = redactor(SECRET);
        redactor.add_identifier("cn=reader,dc=example,dc=com".into());
        redactor.add("".into());
        for text in [
            "AADSTS7000215: Invalid client secret provided.",
            "no such object, matched dc=example,dc=com",
            "request-id 7f3d1c2a-0000-4b6e-9c1d-aaaaaaaaaaaa at 2026-11-29 10:00:00",
            "",
        ] {
            assert_eq!(redactor.redact(text), text);
        }
        assert_eq!(redactor.redact("as CN=reader,DC=example,DC=com"), "as ***");
    }

    #[test]
    fn a_message_of_ours_keeps_its_words_and_loses_what_a_secret_holds() {
        let redactor = redactor("secret");
        redactor.add("hunter22-of-the-lab".into());
        let shown = redactor.redact_message(
            "check the Secret: [104, 117, 110, 116, 101, 114, 50, 50, 45, 111, \
                             102, 45, 116, 104, 101, 45, 108, 97, 98]",
        );
        assert_eq!(shown, "check the Secret: [***]");

        redactor.add(
            r#"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}"#.into(),
        );
        redactor.add("correct horse battery staple".into());
        let ours = "has a private_key that holds no private key";
        assert_eq!(redactor.redact_message(ours), ours);
        let shown = redactor.redact_message("not: Correct Horse Battery Staple");
        assert_eq!(shown, "not: ***");
    }

    #[test]
    fn by_what_is_missing_nobody_learns_a_word_of_a_secret() {
        let ours = "the bind DN and the password in the bind Secret; everything read can be seen";
        for secret in [
            "reader-password",
            "everything read can be bought",
            "thepasswordinthebindsecret1",
            "https://example.com/oauth2/v2.0/token?everything",
        ] {
            let redactor = redactor(secret);
            assert_eq!(redactor.redact_message(ours), ours, "{secret}");
            assert_eq!(redactor.redact(ours), ours, "{secret}");
            let address = "POST https://example.com/oauth2/v2.0/token";
            assert_eq!(redactor.redact_message(address), address, "{secret}");
            // All of it is found nevertheless.
            let shown = redactor.redact_message(&format!("it says {secret}."));
            assert_eq!(shown, "it says ***.");
        }
    }

    #[test]
    fn a_long_part_of_a_key_is_found_in_a_message_of_ours() {
        let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let redactor = redactor(key);
        let shown = redactor.redact_message(&format!("can't read {} as a key", &key[..40]));
        assert_eq!(shown, "can't read *** as a key");
    }

    #[test]
    fn where_secrets_are_too_many_to_be_looked_for_nothing_is_shown() {
        let many = Redactor::new();
        for number in 0..=SECRETS_COUNT_MAX {
            many.add(format!("line {number} of a long Secret").into());
        }
        assert_eq!(many.redact("no such entry"), WITHHELD);
        let ours = "check the Secret: line 7 of a long Secret";
        assert_eq!(many.redact_message(ours), "check the Secret: ***");
    }

    #[test]
    fn a_secret_with_all_cas_of_a_system_hides_no_answer() {
        let redactor = redactor(SECRET);
        for number in 0..3_500 {
            redactor.add(format!("{number:064}").into());
        }
        assert_eq!(redactor.redact("invalid_client"), "invalid_client");
        assert_eq!(redactor.redact(&format!("not {SECRET}")), "not ***");
        assert_eq!(redactor.redact(&format!("no: {:064}", 3_499)), "no: ***");
    }

    #[test]
    fn old_tokens_are_forgotten_and_keys_are_not() {
        let redactor = redactor(SECRET);
        for number in 0..100 {
            redactor.add_token(format!("token-of-hour-{number:03}-xyz").into());
        }
        assert_eq!(redactor.redact(SECRET), MASK);
        assert_eq!(redactor.redact("token-of-hour-099-xyz"), MASK);
    }

    #[test]
    fn what_is_shown_is_short_and_without_control_characters() {
        let shown = redactor(SECRET).clean(&format!("a\n\u{202e}b {SECRET} {}", "x".repeat(9000)));
        assert!(shown.starts_with("a b *** xx"), "{shown:?}");
        assert!(shown.chars().count() <= 201, "{shown}");
    }
}
