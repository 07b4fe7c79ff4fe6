//! What commands print: results on standard output, everything about the way there on stderr.

use std::error::Error;
use std::io::{self, Write as _};

use crate::telemetry::Object;

/// Prints a result. A reader that has gone (`| head`) is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// An error with its causes, each once: messages often tell their cause themselves.
pub fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Tells on stderr what was left aside.
pub fn note(notes: &[String]) {
    for note in notes {
        anstream::eprintln!("note: {note}");
    }
}

/// Tells on stderr why a resource failed.
pub fn failed(object: &Object, error: &dyn Error) {
    anstream::eprintln!("error: {object}: {}", explain(error));
}
