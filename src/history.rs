//! Histories as they are kept: one JSON object a line, one line a record, the newest run first.
//!
//! In a cluster the lines are compressed, in `<name>-history`; on a command line they are a file, in
//! which the newest lines come last and a later line replaces an earlier one of the same record.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;

use crate::sync::history::{Outcome, Record, RunId};

/// Compressed histories are never larger: an object of the API server takes 1 MiB, and binary data grows by
/// a third in it.
pub const PACKED_MAX: usize = 512 * 1024;
/// What is longer isn't a history of ours, whatever its size when compressed.
const UNPACKED_MAX: u64 = 32 << 20;

/// What identifies a line.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Id {
    run: RunId,
    number: u32,
}

impl Id {
    fn of(record: &Record) -> Self {
        Self {
            run: record.run.clone(),
            number: record.number,
        }
    }
}

/// Puts records into a history: in place of the line that is about the same, or before all others.
/// Records of what wasn't made take theirs out. Lines of another version of the program stay.
pub fn merge(kept: &str, records: &[Record]) -> String {
    let latest = records.iter().map(|record| (Id::of(record), record));
    let mut latest: HashMap<Id, &Record> = latest.collect();
    let mut lines: Vec<String> = vec![];
    for line in kept.lines().filter(|line| !line.trim().is_empty()) {
        let id = serde_json::from_str::<Id>(line).ok();
        let replaced = id.and_then(|id| latest.remove(&id));
        match replaced {
            None => lines.push(line.to_owned()),
            Some(record) => lines.extend(line_of(record)),
        }
    }
    let mut text = String::new();
    for record in records {
        let last = latest.get(&Id::of(record));
        if last.is_some_and(|last| std::ptr::eq(*last, record)) {
            text.extend(line_of(record).map(|line| line + "\n"));
        }
    }
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn line_of(record: &Record) -> Option<String> {
    (record.result != Outcome::NotMade).then(|| line(record))
}

/// A record as one line, without a line break.
pub fn line(record: &Record) -> String {
    serde_json::to_string(record).expect("a record is made of texts, numbers and lists")
}

/// What a history says.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The records, in the order of their lines.
    pub records: Vec<Record>,
    /// Lines that this version can't read.
    pub unreadable: usize,
}

/// Reads lines in which each record is once.
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(record) => parsed.records.push(record),
            Err(_) => parsed.unreadable += 1,
        }
    }
    parsed
}

/// Reads lines of which a later one replaces an earlier one of the same record.
pub fn parse_appended(text: &str) -> Parsed {
    let Parsed {
        records,
        unreadable,
    } = parse(text);
    let merged = merge("", &records);
    Parsed {
        records: parse(&merged).records,
        unreadable,
    }
}

/// Compresses a history. Where it would be larger than `max` bytes, its last lines are left out.
pub fn pack(text: &str, max: usize) -> Vec<u8> {
    let mut text = text;
    loop {
        let bytes = compress(text);
        if bytes.len() <= max || text.is_empty() {
            return bytes;
        }
        // A little less than what would fit if all lines were alike.
        let share = max as f64 / bytes.len() as f64 * 0.95;
        let end = text.floor_char_boundary((text.len() as f64 * share) as usize);
        text = text[..end].rfind('\n').map_or("", |at| &text[..=at]);
    }
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("a vector takes everything")
}

/// The text that [`pack`] compressed.
///
/// # Errors
/// Where it is something else, or is longer than any history.
pub fn unpack(bytes: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .take(UNPACKED_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > UNPACKED_MAX {
        return Err(io::Error::other("it is longer than any history"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: &str, number: u32, email: &str, result: &str) -> Record {
        let json = format!(
            r#"{{"time":"2026-11-29T12:00:00Z","run":"{run}","number":{number},"trigger":"Scheduled",
            "action":"Revoke","reason":"GoneFromDirectory","person":{{"email":"{email}"}},
            "result":"{result}"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn shown(text: &str) -> Vec<String> {
        let records = parse(text).records.into_iter();
        let shown = records.map(|one| format!("{}/{} {:?}", one.run, one.number, one.result));
        shown.collect()
    }

    #[test]
    fn a_record_replaces_the_one_before_and_what_was_not_made_leaves_none() {
        let begun = [
            record("a", 0, "ann", "Pending"),
            record("a", 1, "bob", "Pending"),
        ];
        let text = merge(&merge("", &[record("0", 0, "old", "Done")]), &begun);
        assert_eq!(shown(&text), ["a/0 Pending", "a/1 Pending", "0/0 Done"]);
        let ended = [
            record("a", 0, "ann", "Done"),
            record("a", 1, "bob", "NotMade"),
        ];
        assert_eq!(shown(&merge(&text, &ended)), ["a/0 Done", "0/0 Done"]);
        let both = [begun, ended].concat();
        assert_eq!(shown(&merge("", &both)), ["a/0 Done"], "at once");
        let appended: String = both.iter().map(|one| line(one) + "\n").collect();
        assert_eq!(parse_appended(&appended).records.len(), 1);
    }

    #[test]
    fn lines_of_another_version_stay_and_are_counted() {
        let text = merge("{\"run\":\"z\",\"number\":7,\"action\":\"Bless\"}\n", &[]);
        assert_eq!(parse(&text).unreadable, 1);
        let text = merge(&text, &[record("a", 0, "ann", "Done")]);
        assert_eq!(
            (parse(&text).unreadable, parse(&text).records.len()),
            (1, 1)
        );
    }

    #[test]
    fn where_it_is_too_long_the_oldest_lines_go() {
        let records: Vec<Record> = (0..2_000)
            .map(|number| record("a", number, &format!("{}", fastrand::u128(..)), "Done"))
            .collect();
        let text = merge("", &records);
        let bytes = pack(&text, 20_000);
        assert!(
            bytes.len() <= 20_000 && bytes.len() > 10_000,
            "{}",
            bytes.len()
        );
        let kept = unpack(&bytes).unwrap();
        assert!(text.starts_with(&kept) && kept.ends_with('\n') && !kept.is_empty());
        assert_eq!(unpack(&pack("", 10)).unwrap(), "");
        assert!(unpack(b"something else").is_err());
    }

    #[test]
    fn a_small_object_that_unpacks_to_a_huge_text_is_refused() {
        let bomb = compress(&" ".repeat(UNPACKED_MAX as usize + 1));
        assert!(bomb.len() < PACKED_MAX);
        assert!(unpack(&bomb).is_err());
    }
}
