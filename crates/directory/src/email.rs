//! Email addresses as Bitwarden compares them.

use std::fmt;
use std::sync::Arc;

use crate::withheld::WITHHELD;

/// Longest email Bitwarden takes, in characters.
pub const EMAIL_MAX: usize = 256;

/// An email address: trimmed, lower-cased, with one `@` between two parts that aren't empty, at
/// most [`EMAIL_MAX`] characters. Cheap to clone.
///
/// Bitwarden lower-cases the emails of an import before it compares them, so this is the form in
/// which two addresses are the same person.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Arc<str>);

/// Longest part of an address before the `@` (RFC 5321, 4.5.3.1.1).
const LOCAL_MAX: usize = 64;

/// Why a text can't be an email.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Nothing is left after trimming.
    #[error("there is no email")]
    Empty,
    /// Longer than Bitwarden takes.
    #[error("the email has {0} characters, Bitwarden takes at most {EMAIL_MAX}")]
    TooLong(usize),
    /// Not of the form `local@domain`.
    #[error("this is not an email address ({why}): {shown}")]
    Malformed {
        /// The rule that the text breaks, in a few words.
        why: &'static str,
        /// The text, with characters that can't be seen spelled out.
        shown: Box<str>,
    },
    /// With a character that can't be seen, as comes by copying from a web page or a dialog: no
    /// mailbox has this address.
    #[error("the email has a character that can't be seen: {shown}; type it anew in the directory")]
    Invisible {
        /// The text, with such characters spelled out: `ann@example.com<U+200B>`.
        shown: Box<str>,
    },
}

impl Email {
    /// Trims, lower-cases and checks `text`.
    ///
    /// As strict as the strictest of the servers: Bitwarden checks single invitations by RFC 5321,
    /// Vaultwarden all. An address that only an import would take can't get mail.
    ///
    /// # Errors
    /// What is wrong with it, with the text where that helps to find it.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidEmail::Empty);
        }
        if text.len() > EMAIL_MAX {
            let characters = text.chars().count();
            if characters > EMAIL_MAX {
                return Err(InvalidEmail::TooLong(characters));
            }
        }
        if !text.is_ascii() && text.chars().any(is_invisible) {
            return Err(InvalidEmail::Invisible {
                shown: spelled_out(text),
            });
        }
        if let Some(why) = fault(text) {
            return Err(InvalidEmail::Malformed {
                why,
                shown: spelled_out(text),
            });
        }
        let lower_already = text
            .bytes()
            .all(|b| b.is_ascii() && !b.is_ascii_uppercase());
        Ok(Self(if lower_already {
            text.into()
        } else {
            text.to_lowercase().into()
        }))
    }

    /// The address of somebody who is in the organization already: lower-cased, otherwise taken as
    /// the server holds it.
    pub fn of_member(text: &str) -> Self {
        Self(text.trim().to_lowercase().into())
    }

    /// Stands for the address of a member that holds a value of a Secret. No address of a directory is
    /// equal to it.
    pub fn withheld() -> Self {
        Self(WITHHELD.into())
    }

    /// Whether it stands for an address that isn't shown.
    pub fn is_withheld(&self) -> bool {
        &*self.0 == WITHHELD
    }

    /// The address as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Email {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Email {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What keeps a text from being an address.
fn fault(text: &str) -> Option<&'static str> {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Some("there is no @");
    };
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    if local.is_empty() || domain.is_empty() {
        Some("nothing before or after the @")
    } else if local.contains('@') {
        Some("more than one @")
    } else if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some("a space or control character in it")
    } else if text.chars().any(|c| "<>,;:\"()[]\\".contains(c)) {
        Some("a character that no address has")
    } else if text.chars().any(is_lookalike) {
        Some("a character that reads as another one")
    } else if dots(local) || dots(domain) {
        Some("a dot at the beginning or end of a part, or two in a row")
    } else if local.chars().count() > LOCAL_MAX {
        Some("more than 64 characters before the @")
    } else {
        None
    }
}

/// Characters outside of ASCII that become an ASCII one where text is lower-cased (the Kelvin sign), or
/// where a domain is read (the dots of IDNA, RFC 3490, 3.1): the address would be somebody else's.
fn is_lookalike(c: char) -> bool {
    matches!(c, '\u{212a}' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// Characters that show nothing: format characters (Unicode's category Cf) and others that are
/// ignored when text is shown (`Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with every character named that can't be seen as what it is.
fn spelled_out(text: &str) -> Box<str> {
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_invisible(c) || c.is_control() || (c.is_whitespace() && c != ' ') {
            shown.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invisible_character_is_refused_and_named_with_its_code_point() {
        for (text, shown) in [
            ("zwsp@example.com\u{200b}", "zwsp@example.com<U+200B>"),
            (
                "\u{202a}ann@example.com\u{202c}",
                "<U+202A>ann@example.com<U+202C>",
            ),
            ("\u{feff}bom@example.com", "<U+FEFF>bom@example.com"),
            (
                "soft\u{ad}hyphen@example.com",
                "soft<U+00AD>hyphen@example.com",
            ),
        ] {
            let error = Email::parse(text).unwrap_err();
            assert!(matches!(error, InvalidEmail::Invisible { .. }), "{error:?}");
            assert!(error.to_string().contains(shown), "{error}");
        }
        // A space of any kind around it is dropped, as always.
        let email = Email::parse("\u{a0} Ann@Example.com\t").unwrap();
        assert_eq!(email.as_str(), "ann@example.com");
    }

    #[test]
    fn what_the_strictest_server_refuses_is_refused_with_the_text_and_the_reason() {
        let long = format!("{}@example.com", "x".repeat(65));
        for text in [
            "a..b@example.com",
            ".dot@example.com",
            "dot.@example.com",
            &long,
            "nobody",
            "@example.com",
            "ann@",
            "a@b@example.com",
            "ann smith@example.com",
            "ann@example..com",
            "<ann@example.com>",
            "\u{212a}ate@example.com",
            "ann@example\u{3002}com",
            "ann@example\u{ff0e}com",
            "ann@example\u{ff61}com",
        ] {
            let error = Email::parse(text).unwrap_err();
            assert!(matches!(error, InvalidEmail::Malformed { .. }), "{error:?}");
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(Email::parse(&long[1..]).is_ok(), "64 are allowed");
        assert!(Email::parse("ann.o'neil+x@sub.example.com").is_ok());
        assert!(Email::parse("j\u{fc}rgen@m\u{fc}nchen.example").is_ok());
    }
}
