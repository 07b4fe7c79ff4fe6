//! Transcripts in the documentation, compared with what the programs print. `UPDATE_DOCS=1` writes them.

use std::path::PathBuf;

use crate::screens::{COLUMNS, replace_words};

/// A run that a test made up.
const MADE_UP: &str = "0badc0ffee";
/// What stands in the documentation in place of ids, which are others each time.
const RUNS: [&str; 4] = ["52dd86bade", "c76fab06ac", "a97343f13a", "3fcfb660fb"];
const DIGESTS: [&str; 2] = [
    "3fe164412ef12254c98b3be0c4e5cf23",
    "f4f3ea9658ecbe165385757cc3ed19b7",
];
const UUIDS: [&str; 8] = [
    "3c1e9f52-08d6-4c1b-a3f7-5e6d9b2a4410",
    "8f1c6f0e-7a53-4f0c-9a41-1d2b7a9d6c11",
    "5d0c3a7e-2b0f-4b8e-8a58-b2f1f2a9d0ab",
    "b6a8e1c2-90d4-4c07-8e53-7f1a2c3d4e5f",
    "2c4f6a80-1b3d-4e5f-9a7c-8d6b4e2f0a13",
    "e1d2c3b4-a596-4788-b96a-5c4d3e2f1a0b",
    "7a8b9c0d-1e2f-4a3b-8c4d-5e6f7a8b9c0d",
    "0f1e2d3c-4b5a-4697-8879-6a5b4c3d2e1f",
];

/// A page of the documentation, and the ids that were met in it.
pub struct Page {
    path: PathBuf,
    text: String,
    problems: Vec<String>,
    replaced: Vec<(String, String)>,
    runs: Vec<String>,
    digests: Vec<String>,
    uuids: Vec<String>,
}

impl Page {
    /// The page of this file.
    ///
    /// # Panics
    /// Where there is none.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(&path).unwrap();
        Self {
            path,
            text,
            problems: vec![],
            replaced: vec![],
            runs: vec![],
            digests: vec![],
            uuids: vec![],
        }
    }

    /// Shows `to` wherever `from` is printed.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        self.replaced.push((from.to_owned(), to.to_owned()));
        self
    }

    /// The page shows this under this command: up to the end of the block.
    ///
    /// # Panics
    /// Where the page has no such command.
    pub fn shows(&mut self, command: &str, printed: &str) {
        let printed = self.as_shown(printed);
        let wide = printed.lines().find(|line| line.chars().count() > COLUMNS);
        if let Some(line) = wide {
            self.problems.push(format!("a line is too long: {line}"));
        }
        let line = format!("$ {command}\n");
        let start = self.text.find(&line);
        let start = start.unwrap_or_else(|| panic!("{}: no {line}", self.path.display()));
        let start = start + line.len();
        let place = format!("under {command:?}");
        self.compare(start, &place, &printed);
    }

    /// The page has this transcript of several commands below this heading, however wide its lines are.
    ///
    /// # Panics
    /// Where the page has no transcript there.
    pub fn shows_transcript(&mut self, heading: &str, transcript: &str) {
        const BEGIN: &str = "<!-- transcript of a test -->\n```console\n";
        let printed = self.as_shown(transcript);
        let place = self.path.display().to_string();
        let missing = || panic!("{place}: no transcript below {heading:?}");
        let below = self.text.find(heading).unwrap_or_else(missing);
        let start = self.text[below..].find(BEGIN).unwrap_or_else(missing);
        let start = below + start + BEGIN.len();
        let place = format!("below {heading:?}");
        self.compare(start, &place, &printed);
    }

    /// What was printed, as the page has it.
    fn as_shown(&mut self, printed: &str) -> String {
        let mut printed = printed.to_owned();
        for (from, to) in &self.replaced {
            printed = printed.replace(from, to);
        }
        self.with_known_ids(&printed)
    }

    /// The block whose text starts there is what was printed; or it is made so, where that is asked for.
    fn compare(&mut self, start: usize, place: &str, printed: &str) {
        let end = start + self.text[start..].find("```").expect("the block ends");
        if self.text[start..end] == *printed {
            return;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            self.text.replace_range(start..end, printed);
            std::fs::write(&self.path, &self.text).unwrap();
            return;
        }
        self.problems.push(format!(
            "{} shows {place}:\n{}\nIt is (UPDATE_DOCS=1 if that is meant):\n{printed}",
            self.path.display(),
            &self.text[start..end]
        ));
    }

    /// # Panics
    /// Where the page shows something else than the program prints.
    #[track_caller]
    pub fn finish(self) {
        assert!(self.problems.is_empty(), "{}", self.problems.join("\n\n"));
    }

    fn with_known_ids(&mut self, text: &str) -> String {
        replace_words(text, |_, word, _| {
            let bare = word.trim_end_matches([':', '.']);
            self.known(bare) + &word[bare.len()..]
        })
    }

    fn known(&mut self, word: &str) -> String {
        let is_hex = |length: usize| {
            word.len() == length
                && word.bytes().all(|c| c.is_ascii_hexdigit())
                && word.bytes().any(|c| c.is_ascii_digit())
        };
        let fits = |form: &str| {
            let mut pairs = form.bytes().zip(word.bytes());
            form.len() == word.len()
                && pairs.all(|(form, c)| form == c || form == b'0' && c.is_ascii_digit())
        };
        if word == MADE_UP {
            word.to_owned()
        } else if is_hex(10) {
            nth(&mut self.runs, word, &RUNS)
        } else if is_hex(32) {
            nth(&mut self.digests, word, &DIGESTS)
        } else if is_uuid(word) {
            nth(&mut self.uuids, word, &UUIDS)
        } else if fits("0000-00-00") {
            "2026-11-30".to_owned()
        } else if fits("00:00:00Z") {
            "12:00:00Z".to_owned()
        } else if fits("0000-00-00T00:00:00.000000Z") {
            "2026-11-30T12:00:00.000000Z".to_owned()
        } else if fits("0000-00-00T00:00:00Z") {
            "2026-11-30T12:00:00Z".to_owned()
        } else {
            word.to_owned()
        }
    }
}

fn is_uuid(word: &str) -> bool {
    let mut places = word.bytes().enumerate();
    word.len() == 36
        && places.all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// What stands for this id: the same for the same one.
fn nth(met: &mut Vec<String>, id: &str, shown: &[&str]) -> String {
    let at = met.iter().position(|one| one == id);
    let at = at.unwrap_or_else(|| {
        met.push(id.to_owned());
        met.len() - 1
    });
    (*shown.get(at).expect("enough ids to show")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_is_printed_with_ids_of_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let block = "```console\n$ history\nrun 52dd86bade at 2026-11-30 12:00:00Z, undo of c76fab06ac\n```\n";
        std::fs::write(file.path(), block).unwrap();
        let compare = |printed: &str| {
            let mut page = Page::of(file.path());
            page.shows("history", printed);
            page.problems
        };
        let printed = "run 0000000001 at 2026-01-02 03:04:05Z, undo of 0000000002\n";
        assert!(compare(printed).is_empty());
        assert_eq!(compare(&printed.replace("undo", "redo")).len(), 1);
        let same = printed.replace("0000000002", "0000000001");
        assert_eq!(compare(&same).len(), 1, "the same id twice");
        let wide = format!("{printed}{}\n", "x".repeat(81));
        assert_eq!(compare(&wide).len(), 2);

        let text =
            format!("# First\n\n{block}\n# Second\n\n<!-- transcript of a test -->\n{block}");
        std::fs::write(file.path(), text).unwrap();
        let compare = |transcript: &str| {
            let mut page = Page::of(file.path());
            page.shows_transcript("# Second", transcript);
            page.problems
        };
        let transcript = format!("$ history\n{printed}");
        assert!(compare(&transcript).is_empty());
        assert_eq!(compare(&transcript.replace("undo", "redo")).len(), 1);
    }
}
