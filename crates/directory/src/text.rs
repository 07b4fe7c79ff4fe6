//! Makes what a remote side sent harmless to show.

use std::borrow::Cow;

/// Longest text of a remote side that goes into a message, in characters.
pub const SHOWN_MAX: usize = 200;

/// `text` without control characters and characters that change how others are shown (direction,
/// width, joining), cut to [`SHOWN_MAX`] characters.
///
/// Nothing a remote side sends is trusted in length or form: everything of it that reaches a log,
/// an event, a status or an error goes through here.
pub fn sanitize(text: &str) -> String {
    let mut visible = text.chars().filter(|c| !is_invisible(*c));
    let mut shown: String = visible
        .by_ref()
        .take(SHOWN_MAX)
        .map(space_for_control)
        .collect();
    if visible.next().is_some() {
        shown.push('…');
    }
    shown
}

/// `text` with a space in place of each control character, so that it stays on one line and a terminal
/// takes nothing in it as a command.
pub fn one_line(text: &str) -> String {
    text.chars().map(space_for_control).collect()
}

/// The same for a text of several lines, which stay, as tabs do; without characters that change how
/// others are shown.
pub fn lines(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let shown = visible.map(|c| match c {
        '\n' | '\t' => c,
        _ => space_for_control(c),
    });
    shown.collect()
}

/// `json` with an escape in place of each character that a terminal takes as a command, or that changes
/// how others are shown. What it says stays the same: such characters are in its strings alone.
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) || c.is_control() && !matches!(c, '\n' | '\t' | '\r') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn space_for_control(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// `text`, cut to `max` characters. The last of them is `…` where something is missing.
pub fn truncate(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(max.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// `text`, cut to `max` bytes, between characters. It ends with `…` where something is missing.
pub fn truncate_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// `text` without characters that don't show: between the letters of a word they hide it from whoever
/// looks for it, and not from a reader.
pub fn visible(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0' && !is_invisible(*c))
        .collect()
}

/// `text` on one line, uncut, without characters that don't show or change how others are shown.
/// Borrowed where it is so already: nearly always, and a plan has millions of texts.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) {
        return Cow::Borrowed(text);
    }
    let is_left_out = |c: char| c == '\0' || is_invisible(c);
    if !text.chars().any(|c| is_left_out(c) || c.is_control()) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !is_left_out(*c));
    Cow::Owned(kept.map(space_for_control).collect())
}

/// Whether `text` has only letters, digits, punctuation and spaces of ASCII: as many columns as bytes, and
/// nothing to be made harmless.
pub fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Format characters (Unicode's category Cf, as far as they are in use): a text with them reads
/// otherwise than it is.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_between_characters() {
        assert_eq!(truncate("äöü", 3), "äöü");
        assert_eq!(truncate("äöüß", 3), "äö…");
        assert_eq!(truncate_bytes("äöü", 6), "äöü");
        // Room for the mark, and for one of the characters with two bytes.
        assert_eq!(truncate_bytes("äöüß", 6), "ä…");
        assert_eq!(truncate_bytes("äöüß", 7), "äö…");
    }

    #[test]
    fn control_characters_become_spaces_and_other_characters_stay() {
        assert_eq!(one_line("a\nb\u{1b}[31m ü"), "a b [31m ü");
        assert_eq!(lines("a\n\tb\u{1b}[2J\u{9b}\r\u{202e}ü"), "a\n\tb [2J  ü");
        let json = "{\n\"a\": \"\u{202e}\u{9b}\u{e0001}ü\"}";
        let escaped = escaped_json(json);
        assert_eq!(escaped, "{\n\"a\": \"\\u202e\\u009b\\udb40\\udc01ü\"}");
    }

    #[test]
    fn what_is_plain_already_stays_and_the_rest_becomes_it() {
        for text in ["", "ann@example.com (~)", "Zoë Müller", "東京"] {
            assert!(matches!(plain(text), Cow::Borrowed(it) if it == text));
        }
        for (text, expected) in [
            ("a\nb\u{7f}", "a b "),
            ("a\0\u{200b}ü", "aü"),
            ("\u{202e}Zoë\u{9b}[31m", "Zoë [31m"),
        ] {
            assert_eq!(plain(text), expected);
            assert_eq!(plain(text), one_line(&visible(text)));
        }
    }
}
