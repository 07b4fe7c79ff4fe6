//! Makes what a remote side sent harmless to show.

/// Longest text of a remote side that goes into a message, in characters.
pub const SHOWN_MAX: usize = 200;

/// `text` without control characters, cut to [`SHOWN_MAX`] characters.
///
/// Nothing a remote side sends is trusted in length or form: everything of it that reaches a log,
/// an event, a status or an error goes through here.
pub fn shorten(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
