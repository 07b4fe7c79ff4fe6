//! What of a server's free text is shown.
//!
//! A server, or what stands before it, can put what it was sent into every message, in any form: reversed,
//! in look-alike letters, with signs in between. No list of forms is complete. So of such a text only words
//! are shown that vendors use in their messages, and codes of a known form: no value can be made out of
//! them, whatever it is. What stands between is `…`.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use directory_sync_directory::text::sanitize;
use serde::{Deserialize, Deserializer};

/// The words in messages of the vendors, of directories (OpenLDAP, 389 Directory Server, Active Directory,
/// Samba), of Bitwarden and Vaultwarden that help whoever reads them: taken from their documentation and
/// sources. In lower case, sorted.
const WORDS: &str = include_str!("words.txt");
/// No more words are shown.
const SHOWN: usize = 40;
/// Stands for what isn't shown.
const LEFT_OUT: &str = "…";

/// A text of a server, which shows its known words only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RemoteText {
    text: String,
    is_ours: bool,
}

impl RemoteText {
    /// A text that a server wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_ours: false,
        }
    }

    /// A text of the program, which stands where a server wrote nothing. All of it is shown.
    pub fn ours(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_ours: true,
        }
    }

    /// All of it, to recognise it by. It must not be shown.
    pub fn raw(&self) -> &str {
        &self.text
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}

impl fmt::Display for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_ours {
            true => f.write_str(&self.text),
            false => f.write_str(known_words(&self.text).as_deref().unwrap_or(LEFT_OUT)),
        }
    }
}

impl<'de> Deserialize<'de> for RemoteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The known words of `text` in their order, with `…` for what is left out; `None` where none is known.
pub fn known_words(text: &str) -> Option<String> {
    // The one word of messages that has a letter standing alone.
    let text = text.replace("e-mail", "email");
    let mut shown = String::new();
    let (mut count, mut numbers) = (0, 0);
    let mut left_out = false;
    let mut between = "";
    let mut rest = text.as_str();
    while let Some(start) = rest.find(in_word) {
        between = if start > 0 { &rest[..start] } else { between };
        let word = &rest[start..];
        let end = word.find(|c| !in_word(c)).unwrap_or(word.len());
        rest = &word[end..];
        let word = &word[..end];
        let is_limit = !left_out && count > 0 && numbers == 0 && is_limit(word, rest);
        numbers += usize::from(is_limit);
        let known = count < SHOWN && (is_limit || is_known(word));
        if !shown.is_empty() && (known || !left_out) {
            shown.push_str(separator(between));
        }
        if known {
            shown.push_str(word);
            count += 1;
        } else if !left_out {
            shown.push_str(LEFT_OUT);
        }
        left_out = !known;
        between = " ";
    }
    if !left_out && matches!(rest, "." | ")" | ").") {
        shown.push_str(rest);
    }
    (count > 0).then(|| sanitize(&shown))
}

fn in_word(c: char) -> bool {
    // Others than ASCII's are no word of a message in English, and end none. Asterisks stand where a secret
    // was.
    c.is_ascii_alphanumeric() || "_'*".contains(c) || !c.is_ascii()
}

/// Whether it is a number as messages tell a limit: short, and not one of several in a row.
fn is_limit(word: &str, rest: &str) -> bool {
    let next = rest.trim_start_matches(|c| !in_word(c));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    word.len() <= 4 && digits(word) && !next.starts_with(|c: char| c.is_ascii_digit())
}

/// What stands between two words, where it is ordinary punctuation.
fn separator(between: &str) -> &str {
    let ordinary = |c: char| " ,.:;-/()".contains(c);
    match between.len() <= 3 && between.chars().all(ordinary) {
        true => between,
        false => " ",
    }
}

/// Whether each word is known of which `token` is made (`accessNotConfigured`), or it is a code.
fn is_known(token: &str) -> bool {
    static KNOWN: OnceLock<HashSet<&str>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| WORDS.split_whitespace().collect());
    let word = |word: &str| known.contains(word.to_ascii_lowercase().as_str());
    let token = token.trim_matches('\'');
    let token = token.strip_suffix("'s").unwrap_or(token);
    if token.is_empty() {
        return false;
    }
    if is_code(token) {
        return true;
    }
    token.split('_').all(|part| {
        let capitals = part.bytes().all(|byte| byte.is_ascii_uppercase());
        word(part) || (!capitals && camel_words(part).all(word))
    })
}

/// The words in `unsupportedQuery` and `UnauthorizedError`.
fn camel_words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = |c: char| c.is_ascii_uppercase();
        let first = rest.chars().next()?.len_utf8();
        let end = rest[first..].find(next).map_or(rest.len(), |at| first + at);
        let (word, more) = rest.split_at(end);
        rest = more;
        Some(word)
    })
}

/// Okta's `E0000007`, Microsoft's `AADSTS7000215`.
fn is_code(token: &str) -> bool {
    let digits = |text: &str, most: usize| {
        (4..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let okta = |rest: &str| rest.starts_with("0000") && rest.len() == 7 && digits(rest, 7);
    token.strip_prefix('E').is_some_and(okta)
        || token
            .strip_prefix("AADSTS")
            .is_some_and(|rest| digits(rest, 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        RemoteText::new(text).to_string()
    }

    #[test]
    fn messages_of_vendors_are_shown() {
        for text in [
            "E0000011: Invalid token provided",
            "Not found: Resource not found.",
            "API call exceeded rate limit due to too many requests.",
            "Authorization_RequestDenied: Insufficient privileges to complete the operation.",
            "AADSTS7000215: Invalid client secret provided.",
            "accessNotConfigured",
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "invalid_grant: Invalid JWT Signature.",
            "Not Authorized to access this resource/api",
            "UnauthorizedError: Unauthorized",
            "The client_assertion's signature doesn't match.",
            "Organization cannot use directory syncing.",
            "Paged results cookie is invalid or old",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_is_no_known_word_is_left_out() {
        for (text, seen) in [
            (
                "Not found: Resource not found: 00abc (UserGroup)",
                "Not found: Resource not found: … (UserGroup)",
            ),
            ("hunter is no", "… is no"),
            ("", "…"),
            ("hunter2", "…"),
            (
                "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a \
                 successful bind must be completed on the connection., data 0, v4563",
                "…, comment: In order to perform this operation a successful bind must be completed on \
                 the connection., data 0, …",
            ),
            ("a maximum length of 100.", "a maximum length of 100."),
            ("at most 12345, not 12 and 13", "at most …, not 12 and …"),
            ("the code is 12 34 56", "the code is …"),
        ] {
            assert_eq!(shown(text), seen);
        }
        assert_eq!(known_words("hunter2"), None);
    }

    #[test]
    fn a_value_is_not_shown_however_it_is_written() {
        for secret in [
            "hunter",
            "pin7",
            "kaNarIenvogel",
            "h u n t e r",
            "h-u-n-t-e-r",
            "r.e.t.n.u.h",
            "68 75 6e 74",
            "Xase-64==",
            "ｈｕｎｔｅｒ",
            "h\u{301}u\u{301}n\u{301}",
            "uhagre",
            "E12345678",
            "E0000-12",
            "01101000",
            "AADSTS123",
            "h_u_n_t",
            "hUnTeR",
        ] {
            let seen = shown(&format!("access denied for the password {secret}"));
            assert_eq!(seen, "access denied for the password …", "{secret}");
        }
    }

    #[test]
    fn the_words_are_in_lower_case_and_no_two_are_one() {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words, sorted);
        assert!(words.len() > 1_000);
        for word in words {
            // One letter after another would spell anything.
            assert!(word.len() > 1 || word == "a", "{word}");
            let letters = word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'\'');
            assert!(letters, "{word}");
        }
    }
}
