//! How the demo is printed: numbered steps, commands as they would be typed, their answers.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Standard output, in color where that is wanted (<https://no-color.org>).
pub struct Screen {
    color: bool,
    step: Cell<u32>,
    secrets: RefCell<Vec<String>>,
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

impl Screen {
    /// In color on a terminal, unless `NO_COLOR` is set.
    pub fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            color: std::io::stdout().is_terminal() && !unwanted,
            step: Cell::new(0),
            secrets: RefCell::default(),
        }
    }

    /// From now on, this text is never shown.
    pub fn hide(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    pub fn title(&self, text: &str) {
        self.line(&self.paint(BOLD, text));
    }

    /// Begins the next numbered step.
    pub fn step(&self, text: &str) {
        self.step.set(self.step.get() + 1);
        let heading = format!("{}. {text}", self.step.get());
        self.gap();
        self.line(&self.paint(BOLD, &heading));
    }

    /// Tells something; may have several lines.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// Prints an empty line.
    pub fn gap(&self) {
        self.line("");
    }

    /// A command as it would be typed.
    pub fn command(&self, text: &str) {
        self.gap();
        for (at, line) in text.lines().enumerate() {
            let prompt = self.paint(DIM, if at == 0 { "$" } else { ">" });
            self.line(&format!("   {prompt} {}", self.paint(CYAN, line)));
        }
    }

    /// What a command answered.
    pub fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// Something is done, and took so long.
    pub fn done(&self, what: &str, detail: &str, took: Duration) {
        let time = self.paint(DIM, format!("{:.1} s", took.as_secs_f32()));
        self.line(&format!("   {} {what:34} {detail:30} {time}", self.tick()));
    }

    /// Something that was promised was found to be so.
    pub fn holds(&self, what: &str) {
        self.line(&format!("   {} {what}", self.tick()));
    }

    pub fn passed(&self, text: &str) {
        self.gap();
        self.line(&self.paint(GREEN, text));
    }

    pub fn failed(&self, error: &anyhow::Error) {
        self.gap();
        let text = format!("The demo failed: {error:#}");
        self.line(&self.paint(RED, &text));
    }

    fn tick(&self) -> String {
        self.paint(GREEN, "✓")
    }

    fn paint(&self, style: &str, text: impl Display) -> String {
        if self.color {
            format!("{style}{text}{PLAIN}")
        } else {
            text.to_string()
        }
    }

    /// Whoever closes the output early has seen enough.
    fn line(&self, text: &str) {
        let mut text = text.trim_end().to_owned();
        for secret in self.secrets.borrow().iter() {
            text = text.replace(secret, "…");
        }
        let _closed = writeln!(std::io::stdout(), "{text}");
    }
}
