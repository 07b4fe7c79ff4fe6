//! Makes what a remote side sent harmless to show.

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
    }
}
