//! A question that wants a clear yes.

use std::io::{self, BufRead, IsTerminal, Write as _};

/// Whether there is somebody to answer.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on stderr; whether the answer was a clear yes.
pub fn ask(question: &str) -> io::Result<bool> {
    eprint!("\n{question} [y/N] ");
    io::stderr().flush()?;
    agrees(io::stdin().lock())
}

/// Whether the next line is a clear yes. An input that ended is none.
fn agrees(mut input: impl BufRead) -> io::Result<bool> {
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    let answer = answer.trim().to_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (typed, meant) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yes, but\n", false),
            ("no\ny\n", false),
        ] {
            assert_eq!(agrees(typed.as_bytes()).unwrap(), meant, "{typed:?}");
        }
    }
}
