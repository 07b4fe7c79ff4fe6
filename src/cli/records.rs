//! The records of an organization's syncs: a file of lines in the state folder, the newest last.
//!
//! A later line replaces an earlier one of the same record. Whoever adds lines holds the lock of the
//! organization's state.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use uuid::Uuid;

use super::args::StateArgs;
use super::files::open;
use super::state::{StateError, folder_of, replace};
use crate::history::{Parsed, line, newest, parse_appended};
use crate::sync::history::Record;

/// What the file should take at most, in bytes. Beyond it the older half goes.
const BYTES_MAX: u64 = 8 << 20;
/// Of a file that has become longer so much is kept.
const KEPT_MAX: usize = 6 << 20;

/// The file of one organization.
pub struct RecordsFile {
    path: PathBuf,
}

impl RecordsFile {
    /// Opens nothing yet.
    pub fn of(args: &StateArgs, organization: Uuid) -> Result<Self, StateError> {
        let path = folder_of(args)?.join(format!("{organization}.history"));
        Ok(Self { path })
    }

    /// All records. Commands at work may be adding to them.
    pub fn read(&self) -> Result<Parsed, StateError> {
        let text = self.read_text();
        let text = text.map_err(|error| self.failed("read", error))?;
        Ok(parse_appended(&text))
    }

    /// The records of a resource of which no command has noted what came of them.
    pub fn open_records(&self, resource: &str) -> Vec<Record> {
        let mut records = self.of_resource(resource);
        records.retain(|record| record.result.is_open());
        records
    }

    /// The records of a resource; none where they can't be read.
    pub fn of_resource(&self, resource: &str) -> Vec<Record> {
        let parsed = self.read().unwrap_or_else(|error| {
            tracing::warn!("{error}");
            Parsed::default()
        });
        let mut records = parsed.records;
        records.retain(|one| one.directory_sync.as_deref() == Some(resource));
        records
    }

    /// Adds records at the end.
    pub fn append(&self, records: &[Record]) -> Result<(), StateError> {
        if records.is_empty() {
            return Ok(());
        }
        let lines: String = records.iter().map(|record| line(record) + "\n").collect();
        let length = self.append_text(&lines);
        let length = length.map_err(|error| self.failed("write", error))?;
        if length <= BYTES_MAX {
            return Ok(());
        }
        let text = self.read_text();
        let text = text.map_err(|error| self.failed("read", error))?;
        // What came of a record takes the place of that it was begun, so that nothing is dropped of most runs.
        replace(&self.path, newest(&text, KEPT_MAX).as_bytes())
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> StateError {
        StateError::History {
            doing,
            path: self.path.clone(),
            error,
        }
    }

    /// How long the file is afterwards. A line that an earlier command didn't finish stays one of its own.
    fn append_text(&self, lines: &str) -> io::Result<u64> {
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600);
        let mut file = open(&self.path, options)?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(io::SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let before = if last == *b"\n" { "" } else { "\n" };
        file.write_all(format!("{before}{lines}").as_bytes())?;
        file.sync_data()?;
        Ok(file.metadata()?.len())
    }

    /// Empty where there is none. Of a file that is longer than ours only the end.
    fn read_text(&self) -> io::Result<String> {
        let mut file = match open(&self.path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let surplus = file.metadata()?.len().saturating_sub(4 * BYTES_MAX);
        file.seek(io::SeekFrom::Start(surplus))?;
        let mut bytes = vec![];
        file.take(4 * BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match surplus {
            0 => Ok(text),
            // The first line is cut.
            _ => Ok(text
                .split_once('\n')
                .map_or("", |(_, rest)| rest)
                .to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn record(number: u32, result: &str) -> Record {
        let json = format!(
            r#"{{"time":"2026-11-29T12:00:00Z","run":"a","number":{number},"trigger":"Command",
            "directorySync":"default/staff","action":"Revoke","reason":"GoneFromDirectory",
            "person":{{"email":"{}"}},"result":"{result}"}}"#,
            "x".repeat(1_000)
        );
        serde_json::from_str(&json).unwrap()
    }

    fn file(folder: &tempfile::TempDir, organization: u128) -> RecordsFile {
        let args = StateArgs {
            state_dir: Some(folder.path().to_owned()),
        };
        RecordsFile::of(&args, Uuid::from_u128(organization)).unwrap()
    }

    #[test]
    fn records_are_added_at_the_end_and_those_without_an_end_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = file(&folder, 1);
        kept.append(&[record(0, "Pending"), record(1, "Pending")])
            .unwrap();
        kept.append(&[record(0, "Done")]).unwrap();
        let found = kept.open_records("default/staff");
        assert_eq!(found.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
        assert!(kept.open_records("default/other").is_empty());
        // A command that was killed while it wrote leaves a piece of a line.
        let mut text = std::fs::read_to_string(&kept.path).unwrap();
        text.push_str("{\"time\":\"2026");
        std::fs::write(&kept.path, &text).unwrap();
        kept.append(&[record(2, "Done")]).unwrap();
        let read = kept.read().unwrap();
        assert_eq!((read.records.len(), read.unreadable), (3, 1));
        let mode = std::fs::metadata(&kept.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(file(&folder, 2).read().unwrap().records.is_empty());
    }

    #[test]
    fn a_pipe_or_a_link_in_its_place_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, elsewhere) = (file(&folder, 1), folder.path().join("elsewhere"));
        std::fs::write(&elsewhere, "").unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(&kept.path)
            .status();
        assert!(made.unwrap().success());
        for _ in 0..2 {
            assert!(kept.open_records("default/staff").is_empty());
            let error = kept.append(&[record(0, "Done")]).unwrap_err().to_string();
            assert!(error.contains("where the history is kept"), "{error}");
            std::fs::remove_file(&kept.path).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &kept.path).unwrap();
        }
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"");
    }

    #[test]
    fn a_record_is_dropped_only_where_there_is_no_room_for_what_came_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let kept = file(&folder, 1);
        let all = |result| -> Vec<Record> { (0..4_000).map(|n| record(n, result)).collect() };
        // Begun by a process that was killed, by the next one, and done: more than the file may hold.
        for result in ["Pending", "Pending", "Done"] {
            kept.append(&all(result)).unwrap();
        }
        kept.append(&[record(4_000, "NotMade")]).unwrap();
        assert!(std::fs::metadata(&kept.path).unwrap().len() <= BYTES_MAX);
        let records = kept.read().unwrap().records;
        assert_eq!(records.len(), 4_000);
        assert!(kept.open_records("default/staff").is_empty());
    }

    #[test]
    fn the_file_is_bounded_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let kept = file(&folder, 1);
        for first in (0..10_000).step_by(2_000) {
            let records: Vec<Record> = (first..first + 2_000).map(|n| record(n, "Done")).collect();
            kept.append(&records).unwrap();
        }
        let length = std::fs::metadata(&kept.path).unwrap().len();
        assert!(length <= BYTES_MAX, "{length}");
        let records = kept.read().unwrap().records;
        assert!(records.iter().any(|one| one.number == 9_999));
        assert!(!records.iter().any(|one| one.number == 0));
    }
}
