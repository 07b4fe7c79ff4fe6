//! What of a server's diagnostic message is shown.
//!
//! The message is free text (RFC 4511, 4.1.9), and a server, or what stands before it, can put into it
//! whatever it was sent, in any form. So only words that directories use in such messages are shown:
//! no value can be made of them. The result code says what happened anyway.

/// The words in messages of OpenLDAP, 389 Directory Server, Active Directory and Samba that help whoever
/// reads them. In lower case, sorted.
const WORDS: &[&str] = &[
    "a",
    "abandoned",
    "access",
    "account",
    "active",
    "administrative",
    "all",
    "allowed",
    "an",
    "and",
    "anonymous",
    "are",
    "as",
    "at",
    "attribute",
    "authentication",
    "backend",
    "bad",
    "base",
    "be",
    "been",
    "before",
    "bind",
    "busy",
    "by",
    "can",
    "cannot",
    "closing",
    "comment",
    "complete",
    "completed",
    "confidentiality",
    "connection",
    "control",
    "controls",
    "cookie",
    "critical",
    "data",
    "database",
    "decoding",
    "denied",
    "different",
    "directory",
    "disabled",
    "disallowed",
    "dn",
    "does",
    "domain",
    "entries",
    "entry",
    "equality",
    "error",
    "exceeded",
    "exist",
    "exists",
    "extension",
    "failed",
    "failure",
    "filter",
    "for",
    "from",
    "function",
    "global",
    "has",
    "in",
    "inappropriate",
    "incorrect",
    "index",
    "indexed",
    "initialized",
    "insufficient",
    "internal",
    "invalid",
    "is",
    "it",
    "knowledge",
    "limit",
    "locked",
    "lookthrough",
    "malformed",
    "matching",
    "maximum",
    "more",
    "must",
    "name",
    "naming",
    "no",
    "not",
    "object",
    "of",
    "offline",
    "old",
    "on",
    "only",
    "operation",
    "operations",
    "or",
    "order",
    "out",
    "page",
    "paged",
    "parameter",
    "perform",
    "permission",
    "performed",
    "please",
    "present",
    "problem",
    "processing",
    "protocol",
    "read",
    "reading",
    "referral",
    "referrals",
    "refused",
    "request",
    "requested",
    "require",
    "required",
    "requires",
    "restricted",
    "result",
    "results",
    "rights",
    "rule",
    "scope",
    "search",
    "server",
    "service",
    "shutdown",
    "shutting",
    "size",
    "stronger",
    "subtree",
    "successful",
    "such",
    "suffix",
    "superior",
    "supported",
    "syntax",
    "temporarily",
    "that",
    "the",
    "this",
    "time",
    "timeout",
    "tls",
    "to",
    "too",
    "try",
    "type",
    "unable",
    "unavailable",
    "unauthenticated",
    "undefined",
    "unindexed",
    "unknown",
    "unsupported",
    "unwilling",
    "use",
    "user",
    "value",
    "was",
    "with",
    "you",
];
/// No more words are shown.
const SHOWN: usize = 30;

/// The known words of `text` in their order, with `…` for what is left out; `None` where that would
/// tell nothing.
pub fn known_words(text: &str) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut known = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation()) {
        let word = word.to_ascii_lowercase();
        if word.is_empty() {
            continue;
        }
        if WORDS.contains(&word.as_str()) && shown.len() < SHOWN {
            shown.push(word);
            known += 1;
        } else if shown.last().is_some_and(|last| last != "…") {
            shown.push("…".to_owned());
        }
    }
    (known > 1).then(|| shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_directories_say_is_shown_in_their_words() {
        for (text, shown) in [
            (
                "Paged results cookie is invalid or old",
                "paged results cookie is invalid or old",
            ),
            (
                "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a \
                 successful bind must be completed on the connection., data 0, v4563",
                "comment in order to perform this operation a successful bind must be completed on \
                 the connection data …",
            ),
            (
                "no global superior knowledge",
                "no global superior knowledge",
            ),
        ] {
            assert_eq!(known_words(text).as_deref(), Some(shown));
        }
        assert_eq!(known_words(""), None);
        assert_eq!(known_words("hunter is no"), Some("is no".to_owned()));
    }

    #[test]
    fn nothing_else_is_shown_however_it_is_written() {
        for secret in [
            "hunter",
            "pin7",
            "kaNarIenvogel",
            "h u n t e r",
            "68 75 6e 74",
            "Xase-64==",
        ] {
            let shown = known_words(&format!("access denied for the password {secret}")).unwrap();
            assert_eq!(shown, "access denied for the …", "{secret}");
        }
    }

    #[test]
    fn the_words_are_in_lower_case_and_no_two_are_one() {
        let mut words = WORDS.to_vec();
        words.dedup();
        assert_eq!(words, WORDS);
        assert!(
            WORDS
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
        );
    }
}
