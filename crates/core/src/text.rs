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
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if visible.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Format characters (Unicode's category Cf, as far as they are in use): a text with them reads
/// otherwise than it is.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}
