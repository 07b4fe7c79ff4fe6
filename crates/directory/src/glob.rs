//! Patterns with `*` and `?`.
//!
//! Whoever writes a resource writes the patterns, and a server of theirs the texts. Matchers that go back
//! for each `*` need as many steps as the text is long times as the pattern is: hours for a thousand
//! patterns and a name of a megabyte. This one looks at each character of the text once. It follows all
//! ways to match at the same time, one bit for each place in the pattern (Baeza-Yates and Gonnet, "A new
//! approach to text searching", 1992).

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

/// A text as patterns are compared with it: in lower case and composed (NFC). What two editors write as
/// `ü`, one as a letter and one as `u` with a diaeresis, is the same.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
    }
    Cow::Owned(NFC.normalize(&text.to_lowercase()).into_owned())
}

/// A pattern with `*` (any text) and `?` (any character).
#[derive(Debug, Clone, PartialEq)]
pub struct Glob {
    /// As it was written.
    text: Box<str>,
    /// Where a text that is matched to its end has to be.
    end: usize,
    /// The places that any text leaves where they are: those in front of which there is a `*`.
    stays: Bits,
    /// The places that any character moves forward.
    any: Bits,
    /// The places that a character moves forward, by the characters of the pattern, in their order.
    moves: Vec<(char, Bits)>,
}

type Bits = Box<[u64]>;

/// Patterns of so many words need no memory of their own to be matched.
const SHORT: usize = 8;

impl Glob {
    /// Reads a pattern, blind to case and to how letters are composed; every text is one.
    pub fn new(pattern: &str) -> Self {
        Self::read(pattern, Some('?'))
    }

    /// The same, where `?` stands for itself.
    pub fn with_stars_alone(pattern: &str) -> Self {
        Self::read(pattern, None)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn read(text: &str, single: Option<char>) -> Self {
        let pattern = fold(text.trim());
        let end = pattern.chars().filter(|&c| c != '*').count();
        let none = || vec![0; end / 64 + 1].into_boxed_slice();
        let (mut stays, mut any) = (none(), none());
        let mut moves: Vec<(char, Bits)> = Vec::new();
        let mut place = 0;
        for c in pattern.chars() {
            let (word, bit) = (place / 64, 1 << (place % 64));
            if c == '*' {
                stays[word] |= bit;
                continue;
            }
            if Some(c) == single {
                any[word] |= bit;
            } else {
                let at = moves.binary_search_by_key(&c, |(known, _)| *known);
                let at = at.unwrap_or_else(|at| {
                    moves.insert(at, (c, none()));
                    at
                });
                moves[at].1[word] |= bit;
            }
            place += 1;
        }
        for (_, places) in &mut moves {
            for (place, any) in places.iter_mut().zip(&any) {
                *place |= any;
            }
        }
        Self {
            text: text.into(),
            end,
            stays,
            any,
            moves,
        }
    }

    /// Whether a text fits that is `folded` ([`fold`]).
    pub fn matches(&self, folded: &str) -> bool {
        self.matches_by_steps(folded, || {})
    }

    /// The same; `step` is called for each word of places at each character that is looked at.
    fn matches_by_steps(&self, folded: &str, mut step: impl FnMut()) -> bool {
        let mut short = [0; SHORT];
        let mut long = Vec::new();
        let words = self.stays.len();
        let places = match short.get_mut(..words) {
            Some(places) => places,
            None => {
                long.resize(words, 0);
                long.as_mut_slice()
            }
        };
        places[0] = 1;
        for c in folded.chars() {
            let moves = match self.moves.binary_search_by_key(&c, |(known, _)| *known) {
                Ok(at) => &self.moves[at].1,
                Err(_) => &self.any,
            };
            let (mut carried, mut alive) = (0, 0);
            for ((place, moves), stays) in places.iter_mut().zip(moves).zip(&self.stays) {
                step();
                let moved = *place & moves;
                *place = moved << 1 | carried | *place & stays;
                carried = moved >> 63;
                alive |= *place;
            }
            if alive == 0 {
                return false;
            }
        }
        places[self.end / 64] >> (self.end % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition.
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            (['*', rest @ ..], _) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
            (['?', rest @ ..], [_, text @ ..]) => fits(rest, text),
            ([c, rest @ ..], [d, text @ ..]) => c == d && fits(rest, text),
            _ => pattern.is_empty() && text.is_empty(),
        }
    }

    fn all(alphabet: &[char], longest: usize) -> Vec<Vec<char>> {
        let mut all = vec![vec![]];
        let mut from = 0;
        for _ in 0..longest {
            let until = all.len();
            for at in from..until {
                for &c in alphabet {
                    let longer = [&all[at][..], &[c]].concat();
                    all.push(longer);
                }
            }
            from = until;
        }
        all
    }

    #[test]
    fn every_short_pattern_matches_what_the_definition_says() {
        let texts = all(&['a', 'b'], 5);
        for pattern in all(&['a', 'b', '*', '?'], 4) {
            let glob = Glob::new(&pattern.iter().collect::<String>());
            for text in &texts {
                let said = glob.matches(&text.iter().collect::<String>());
                assert_eq!(said, fits(&pattern, text), "{pattern:?} {text:?}");
            }
        }
    }

    #[test]
    fn patterns_longer_than_a_word_match_as_short_ones_do() {
        for length in [62, 63, 64, 65, 127, 128, 129, 300, 600] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            for (pattern, fits) in [
                (text.clone(), true),
                (format!("{text}?"), false),
                (format!("{text}*"), true),
                (format!("*{text}"), true),
                (format!("?{}", &text[1..]), true),
                (format!("{}?", &text[1..]), false),
                (
                    format!("{}*{}", &text[..length / 2], &text[length / 2 + 1..]),
                    true,
                ),
            ] {
                assert_eq!(
                    Glob::new(&pattern).matches(&text),
                    fits,
                    "{length} {pattern}"
                );
            }
        }
    }

    #[test]
    fn case_and_space_around_a_pattern_do_not_count_and_other_scripts_do() {
        assert!(Glob::new(" *@Example.COM ").matches("ada@example.com"));
        assert!(Glob::new("stra?e").matches("straße"));
        assert!(Glob::new("Ä*").matches("ärzte"));
        assert!(!Glob::new("").matches("a"));
        assert!(Glob::new("").matches(""));
        assert!(Glob::with_stars_alone("wh?t*").matches("wh?t else"));
        assert!(!Glob::with_stars_alone("wh?t*").matches("what else"));
    }

    #[test]
    fn one_letter_in_two_spellings_is_one() {
        let (composed, decomposed) = ("F\u{fc}hrung", "Fu\u{308}hrung");
        for pattern in [composed, decomposed, "F?hrung", "F\u{dc}*"] {
            for text in [composed, decomposed, "F\u{dc}HRUNG", "FU\u{308}HRUNG"] {
                assert!(Glob::new(pattern).matches(&fold(text)), "{pattern} {text}");
            }
        }
        assert!(!Glob::new(composed).matches(&fold("Fuhrung")));
        assert_eq!(fold("Admins"), "admins");
        assert_eq!(Glob::new(" Admins* ").as_str(), " Admins* ");
    }

    /// Going back for each `*` takes a hundred times as many steps.
    #[test]
    fn a_pattern_that_nearly_fits_everywhere_takes_no_more_steps_than_another() {
        let text = "a".repeat(1 << 10);
        for pattern in [
            "*b".to_owned(),
            format!("*{}b", "a".repeat(98)),
            format!("*{}?b*", "a".repeat(97)),
        ] {
            let glob = Glob::new(&pattern);
            let mut steps = 0;
            assert!(!glob.matches_by_steps(&text, || steps += 1));
            assert_eq!(steps, text.len() * glob.stays.len(), "{pattern}");
        }
    }
}
