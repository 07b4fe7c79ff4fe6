//! What commands print: results on standard output, everything about the way there on stderr.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use unicode_width::UnicodeWidthStr as _;

use crate::telemetry::Object;
use crate::text::truncate;

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

/// Prints a result for a person: on a terminal no line is longer than it is wide. Elsewhere nothing is
/// wrapped.
pub fn print_text(text: &str) -> io::Result<()> {
    match width() {
        Some(width) => print(&wrapped(text, width)),
        None => print(text),
    }
}

/// How many columns the terminal has; `None` where standard output is none.
pub fn width() -> Option<usize> {
    width_of(io::stdout())
}

fn width_of(stream: impl AsFd + IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(stream);
    Some(size.map_or(80, |(width, _)| usize::from(width.0).max(20)))
}

/// Tells something on stderr, in lines that fit a terminal.
pub fn complain(text: &str) {
    match width_of(io::stderr()) {
        Some(width) => anstream::eprintln!("{}", wrapped(text, width)),
        None => anstream::eprintln!("{text}"),
    }
}

/// Breaks lines between words where they are longer than `width`, and indents what follows. Styles take no
/// room. A command goes on after a backslash, so that it can be copied.
fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        if columns(line) <= width {
            wrapped.push_str(line);
        } else {
            wrap_line(&mut wrapped, line, width);
        }
        wrapped.push_str(end);
    }
    wrapped
}

fn wrap_line(wrapped: &mut String, line: &str, width: usize) {
    let words = line.trim_start_matches(' ');
    let indent = line.len() - words.len();
    let (mark, width) = match words.starts_with("kubectl ") {
        true => (" \\", width - 2),
        false => ("", width),
    };
    let hanging = indent + 2;
    wrapped.push_str(&" ".repeat(indent));
    let (mut column, mut begins) = (indent, true);
    for word in words.split(' ') {
        let room = columns(word);
        if begins && word.is_empty() {
            continue;
        }
        if !begins && column + 1 + room > width {
            let end = wrapped.trim_end_matches(' ').len();
            wrapped.truncate(end);
            wrapped.push_str(mark);
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(hanging));
            (column, begins) = (hanging, true);
        }
        if !begins {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += room;
        begins = false;
    }
}

/// The columns that a text takes without its styles.
fn columns(text: &str) -> usize {
    match text.contains('\u{1b}') {
        true => anstream::adapter::strip_str(text).to_string().width(),
        false => text.width(),
    }
}

/// Characters of a line of a message about a command line; words that were typed can be longer.
const USAGE_LINE_MAX: usize = 1_000;

/// Prints help, or what is wrong with a command line.
pub fn usage(help_or_error: &clap::Error) -> io::Result<()> {
    let text = help_or_error.to_string();
    if text.lines().all(|line| line.len() <= USAGE_LINE_MAX) {
        return help_or_error.print();
    }
    let lines = text.lines().map(|line| truncate(line, USAGE_LINE_MAX));
    anstream::eprintln!("{}", lines.collect::<Vec<_>>().join("\n"));
    Ok(())
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
        complain(&format!("note: {note}"));
    }
}

/// Tells on stderr why a resource failed.
pub fn failed(object: &Object, error: &dyn Error) {
    complain(&format!("error: {object}: {}", explain(error)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_styles_take_no_room() {
        let bold = anstyle::Style::new().bold();
        let text = format!("  {bold}one{bold:#} two three\nshort\n");
        assert_eq!(
            wrapped(&text, 10),
            format!("  {bold}one{bold:#} two\n    three\nshort\n")
        );
        assert_eq!(
            wrapped("abcdefghijkl", 5),
            "abcdefghijkl",
            "a link stays whole"
        );
        assert_eq!(wrapped("部門 部門 部門", 10), "部門 部門\n  部門");
        assert_eq!(wrapped("NAME      STATE\n", 10), "NAME\n  STATE\n");
    }

    #[test]
    fn a_command_that_is_broken_can_be_copied() {
        let command = wrapped("  kubectl directorysync approve staff -n identity", 32);
        assert_eq!(
            command,
            "  kubectl directorysync \\\n    approve staff -n identity"
        );
    }
}
