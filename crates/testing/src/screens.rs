//! Screens of commands, compared with files: what a pipe gets, and what stands on a terminal of 80 columns.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::ran::Ran;

/// The columns of the terminal.
pub const COLUMNS: usize = 80;

/// Runs a line of a shell on a terminal of [`COLUMNS`] columns, with these variables beside those of this
/// process. Standard error is no terminal.
///
/// # Panics
/// Where `script` can't be started.
pub async fn on_terminal(line: &str, folder: &Path, variables: &[(&str, &Path)]) -> Ran {
    let errors = tempfile::NamedTempFile::new().unwrap();
    let line = format!(
        "stty cols {COLUMNS} rows 50; {line} 2>'{}'",
        errors.path().display()
    );
    let script = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .env("TERM", "xterm-256color")
        .env("NO_COLOR", "1")
        // Not the null device: its end would be typed as Ctrl-D.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ran = Ran::of(wait_with_open_stdin(script).await);
    ran.stdout = ran.stdout.replace("\r\n", "\n");
    ran.stderr = std::fs::read_to_string(errors.path()).unwrap();
    ran
}

/// What stands on the terminal at the end, standard error included, where this was answered to a question.
///
/// # Panics
/// Where there was an answer, and no question.
pub async fn whole_terminal(
    line: &str,
    folder: &Path,
    variables: &[(&str, &Path)],
    answer: Option<&str>,
) -> String {
    let line = format!("stty cols {COLUMNS} rows 50; {line}");
    let mut script = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .env("TERM", "dumb")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = script.stdin.take().unwrap();
    let mut output = script.stdout.take().unwrap();
    let (mut shown, mut read) = (vec![], [0; 4096]);
    let mut is_answered = false;
    loop {
        let length = output.read(&mut read).await.unwrap();
        if length == 0 {
            break;
        }
        shown.extend_from_slice(&read[..length]);
        if let Some(answer) = answer
            && !is_answered
            && shown.ends_with(b"[y/N] ")
        {
            typed
                .write_all(format!("{answer}\n").as_bytes())
                .await
                .unwrap();
            is_answered = true;
        }
    }
    drop(typed);
    script.wait().await.unwrap();
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    assert!(is_answered || answer.is_none(), "{shown}");
    shown
}

async fn wait_with_open_stdin(mut child: tokio::process::Child) -> std::process::Output {
    let stdin = child.stdin.take();
    let output = child.wait_with_output().await.unwrap();
    drop(stdin);
    output
}

/// Screens in the files of a folder. `UPDATE_SCREENS=1` writes them.
pub struct Screens {
    folder: PathBuf,
    replaced: Vec<(String, String)>,
    problems: Vec<String>,
}

impl Screens {
    /// Those of this folder.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            replaced: vec![],
            problems: vec![],
        }
    }

    /// Shows `to` wherever `from` stands.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        self.replaced.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Compares what a command wrote with the file of this name. On a terminal no line is longer than that,
    /// and nowhere is anything but text.
    pub fn show(&mut self, name: &str, command: &str, ran: &Ran) {
        for line in ran.stdout.lines() {
            if name.ends_with(".terminal") && line.chars().count() > COLUMNS {
                self.problems
                    .push(format!("{name}: a line is too long: {line}"));
            }
        }
        if ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}') {
            self.problems.push(format!("{name}: colours"));
        }
        let mut screen = format!("$ {command}\n{}", ran.stdout);
        if !ran.stderr.is_empty() {
            let _ = write!(screen, "--- stderr\n{}", ran.stderr);
        }
        if ran.code != 0 {
            let _ = writeln!(screen, "--- exit code {}", ran.code);
        }
        for (from, to) in &self.replaced {
            screen = screen.replace(from, to);
        }
        let screen = masked(&screen, true);
        let path = self.folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::create_dir_all(&self.folder).unwrap();
            std::fs::write(&path, &screen).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if screen != expected {
            let path = path.display();
            self.problems.push(format!(
                "{path} is another (UPDATE_SCREENS=1 if that is meant). Expected:\n{expected}\nNow:\n{screen}"
            ));
        }
    }

    /// # Panics
    /// Where a screen wasn't as it should be.
    #[track_caller]
    pub fn finish(self) {
        assert!(self.problems.is_empty(), "{}", self.problems.join("\n\n"));
    }
}

/// The text with all that is another each time in one form, of the same length where lines depend on it;
/// `ids`: also UUIDs.
pub fn masked(text: &str, ids: bool) -> String {
    let masked = replace_words(text, |masked, word, after| {
        if masked.ends_with("token=") {
            "x".repeat(word.chars().count())
        } else if masked.ends_with(" in ") && is_length(word) {
            "55m".to_owned()
        } else {
            mask(word, after, ids)
        }
    });
    with_fixed_columns(&sorted(&masked), text)
}

/// The text with each word, as IDs, times and addresses are, as `replace` gives it: it gets what stands before
/// the word by then, the word, and what comes after it.
pub(crate) fn replace_words(
    text: &str,
    mut replace: impl FnMut(&str, &str, &str) -> String,
) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '_');
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            replaced.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(end);
        let by = replace(&replaced, word, after);
        replaced.push_str(&by);
        rest = after;
    }
    replaced
}

fn mask(word: &str, after: &str, ids: bool) -> String {
    let bare = word.trim_end_matches([':', '.']);
    let end = &word[bare.len()..];
    let fits = |form: &str| {
        let mut pairs = form.chars().zip(bare.chars());
        form.len() == bare.len()
            && pairs.all(|(form, c)| match form {
                'x' => c.is_ascii_hexdigit(),
                '0' => c.is_ascii_digit(),
                form => form == c,
            })
    };
    let hex =
        |length: usize| fits(&"x".repeat(length)) && bare.contains(|c: char| c.is_ascii_digit());
    let masked = if ids && fits("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        "00000000-0000-4000-8000-000000000000".to_owned()
    } else if hex(10) || hex(32) {
        "0123456789abcdef"
            .chars()
            .cycle()
            .take(bare.len())
            .collect()
    } else if fits("0000-00-00") {
        "2026-11-30".to_owned()
    } else if fits("00:00:00Z") {
        "12:00:00Z".to_owned()
    } else if fits("0000-00-00T00:00:00Z") {
        "2026-11-30T12:00:00Z".to_owned()
    } else if bare.starts_with("127.0.0.1:") {
        bare.split_at(10).0.to_owned() + &"0".repeat(bare.len() - 10)
    } else if is_length(bare) && after.starts_with(" ago") {
        "5s".to_owned()
    } else {
        bare.to_owned()
    };
    masked + end
}

/// Whether it is a number of seconds or minutes.
fn is_length(word: &str) -> bool {
    let digits = word.trim_end_matches(['s', 'm']);
    digits.len() + 1 == word.len()
        && !digits.is_empty()
        && digits.bytes().all(|c| c.is_ascii_digit())
}

/// Lists in the order of ids, which are others each time, in one order.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let is_item = |line: &str| line.starts_with("  - ");
    for run in lines.chunk_by_mut(|a, b| is_item(a) && is_item(b)) {
        run.sort_unstable();
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// Columns are as wide as an age, which is another each time.
fn with_fixed_columns(text: &str, before: &str) -> String {
    if !before.contains("LAST SYNC") {
        return text.to_owned();
    }
    let mut fixed = String::new();
    for line in text.lines() {
        let words = line
            .split("   ")
            .map(str::trim)
            .filter(|word| !word.is_empty());
        fixed.push_str(&words.collect::<Vec<_>>().join("   "));
        fixed.push('\n');
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_another_each_time_is_the_same_and_nothing_else_is_touched() {
        let text = "run 3f1c9a0b62 at 127.0.0.1:41235: 10 members, 40s ago (2026-05-04 12:13:14Z), beefcafe\n\
                    00000000-0000-4000-8000-0000000000ff, http://127.0.0.1:41235/open?token=a-B_9\n  - b\n  - a\n";
        assert_eq!(
            masked(text, true),
            "run 0123456789 at 127.0.0.1:00000: 10 members, 5s ago (2026-11-30 12:00:00Z), beefcafe\n\
             00000000-0000-4000-8000-000000000000, http://127.0.0.1:00000/open?token=xxxxx\n  - a\n  - b\n"
        );
    }
}
