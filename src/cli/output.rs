//! What commands print: results on standard output, everything about the way there on stderr.

use std::error::Error;
use std::io;

use crate::telemetry::Object;

/// Prints a result. A reader that has gone (`| head`) is no error.
pub fn print(text: &str) -> io::Result<()> {
    let written = match has_commands(text) {
        true => write(&mut anstream::stdout().lock(), text),
        // Nothing is looked for in each character of a long text that has none.
        false => write(&mut io::stdout().lock(), text),
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a result of many megabytes as it is made: `make` gives its parts to the function that it gets.
pub fn print_parts(make: impl FnOnce(&mut dyn FnMut(&str))) -> io::Result<()> {
    let mut printed = Ok(());
    make(&mut |part| {
        if printed.is_ok() {
            printed = print(part);
        }
    });
    printed
}

fn write(to: &mut dyn io::Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

/// Whether something in `text` isn't to be shown, but changes colors, for example.
fn has_commands(text: &str) -> bool {
    let is_command = |byte: u8| byte == 0x7f || byte < b' ' && !byte.is_ascii_whitespace();
    text.bytes().any(is_command)
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
