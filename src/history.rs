//! Histories as they are kept: one JSON object a line, one line a record, the newest run first.
//!
//! In a cluster the lines are compressed, in `<name>-history`; on a command line they are a file, in
//! which the newest lines come last and a later line replaces an earlier one of the same record.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;

use crate::sync::history::{Outcome, Record, Removed, RunId};
use crate::text::escaped_json;

/// Compressed histories are never larger: an object of the API server takes 1 MiB, and binary data grows by
/// a third in it.
pub const PACKED_MAX: usize = 512 * 1024;
/// No history is longer when it isn't compressed: what is longer isn't written, and isn't read.
pub const UNPACKED_MAX: usize = 8 << 20;
/// No history has more lines: some 20,000 records fit into [`PACKED_MAX`].
pub const LINES_MAX: usize = 65_536;
/// What the open records of one history may cost in memory, in bytes, as [`cost`] estimates it.
const OPEN_MAX: usize = 8 << 20;

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
    let mut rest = String::new();
    for line in kept.lines().filter(|line| !line.trim().is_empty()) {
        let id = serde_json::from_str::<Id>(line).ok();
        match id.and_then(|id| latest.remove(&id)) {
            None => push_line(&mut rest, line),
            Some(record) => push_record(&mut rest, record),
        }
    }
    let mut text = String::new();
    for record in records {
        let last = latest.get(&Id::of(record));
        if last.is_some_and(|last| std::ptr::eq(*last, record)) {
            push_record(&mut text, record);
        }
    }
    text.push_str(&rest);
    text
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn push_record(text: &mut String, record: &Record) {
    if record.result != Outcome::NotMade {
        push_line(text, &line(record));
    }
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
    /// The runs of a cluster's history that the operator hasn't written, or that were changed since.
    pub unsealed: HashSet<RunId>,
    /// How many runs were taken out of it, or changed.
    pub lost: usize,
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

/// The records of which it isn't known what came of them and that are `ours`, the newest first, and how many
/// others have no end. No more are read than fit into a bounded amount of memory: whoever may write the object
/// could have made them up.
pub fn open_records(text: &str, ours: impl Fn(&Record) -> bool) -> (Vec<Record>, usize) {
    #[derive(Deserialize)]
    struct Result {
        result: Outcome,
    }
    let mut room = OPEN_MAX;
    let (mut open, mut others) = (vec![], 0);
    for line in text.lines() {
        let result = serde_json::from_str::<Result>(line);
        if !result.is_ok_and(|one| one.result.is_open()) {
            continue;
        }
        let left = room.checked_sub(cost(line));
        let record = left.and_then(|left| Some((left, serde_json::from_str(line).ok()?)));
        match record {
            Some((left, record)) if ours(&record) => {
                open.push(record);
                room = left;
            }
            _ => others += 1,
        }
    }
    (open, others)
}

/// What one record may cost in memory, in bytes, where each is read by itself.
const RECORD_MAX: usize = 1 << 20;

/// The records of a history one by one. One that would take much memory is left out: whoever may write the
/// object could have made it up.
pub fn records(text: &str) -> impl Iterator<Item = Record> {
    let lines = text.lines().filter(|line| cost(line) <= RECORD_MAX);
    lines.filter_map(|line| serde_json::from_str(line).ok())
}

/// What a record takes in memory, in bytes, at most: its texts, and the structures that hold them, each of
/// which is an object of the JSON.
fn cost(line: &str) -> usize {
    const STRUCTURE: usize = 2 * size_of::<Removed>();
    let objects = line.bytes().filter(|byte| *byte == b'{').count();
    line.len() + size_of::<Record>() + objects * STRUCTURE
}

/// Reads lines of which a later one replaces an earlier one of the same record.
pub fn parse_appended(text: &str) -> Parsed {
    let mut parsed = parse(text);
    let records = parsed.records.iter().enumerate();
    let last: HashMap<Id, usize> = records.map(|(at, one)| (Id::of(one), at)).collect();
    let mut at = 0..;
    parsed.records.retain(|one| {
        let is_last = last.get(&Id::of(one)).copied() == at.next();
        is_last && one.result != Outcome::NotMade
    });
    parsed
}

/// The newest records of such lines, each once, as many as fit into `max` bytes; what wasn't made is left out.
pub fn newest(text: &str, max: usize) -> String {
    #[derive(Deserialize)]
    struct Result {
        result: Outcome,
    }
    let (mut kept, mut seen, mut room) = (vec![], HashSet::new(), max);
    for line in text.lines().rev().filter(|line| !line.trim().is_empty()) {
        if let Ok(id) = serde_json::from_str::<Id>(line)
            && !seen.insert(id)
        {
            continue;
        }
        let result = serde_json::from_str::<Result>(line);
        if result.is_ok_and(|of| of.result == Outcome::NotMade) {
            continue;
        }
        let Some(left) = room.checked_sub(line.len() + 1) else {
            break;
        };
        room = left;
        kept.push(line);
    }
    let mut newest = String::with_capacity(max - room);
    kept.into_iter()
        .rev()
        .for_each(|line| push_line(&mut newest, line));
    newest
}

/// Compresses a history; with the lines that have room. Where it would be larger than `max` bytes, or than
/// [`unpack`] takes, its last lines are left out, and a line that has no room even alone.
pub fn pack(text: &str, max: usize) -> (Vec<u8>, &str) {
    let mut rest = text;
    let mut packed = first_lines(rest, UNPACKED_MAX);
    loop {
        let bytes = compress(packed);
        let fits = bytes.len() <= max && !packed.is_empty();
        if fits || rest.is_empty() {
            return (bytes, packed);
        }
        let first = rest.split_inclusive('\n').next().map_or(0, str::len);
        if packed.len() <= first {
            rest = &rest[first..];
            packed = first_lines(rest, UNPACKED_MAX);
            continue;
        }
        // A little less than what would fit if all lines were alike.
        let share = max as f64 / bytes.len() as f64 * 0.95;
        packed = first_lines(packed, first.max((packed.len() as f64 * share) as usize));
    }
}

/// Of the first lines as many as fit into `max` bytes and [`LINES_MAX`].
fn first_lines(text: &str, max: usize) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n').take(LINES_MAX) {
        if end + line.len() > max {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("a vector takes everything")
}

/// The text that [`pack`] compressed. Of what isn't a history no more is decompressed than one has.
///
/// # Errors
/// Where it is something else, or is longer than any history.
pub fn unpack(bytes: &[u8]) -> io::Result<String> {
    let mut decoder = GzDecoder::new(bytes);
    let mut text = vec![];
    let mut chunk = [0; 8192];
    let mut lines = 0;
    loop {
        let read = match decoder.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => &chunk[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        lines += read.iter().filter(|byte| **byte == b'\n').count();
        if text.len() + read.len() > UNPACKED_MAX || lines > LINES_MAX {
            return Err(io::Error::other("it is longer than any history"));
        }
        text.extend_from_slice(read);
    }
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Records as one JSON array, a record a line. Those of `unsealed` runs say so: `"sealed":false`.
pub fn as_json(records: &[Record], unsealed: &HashSet<RunId>) -> String {
    let lines = records.iter().map(|one| {
        let line = escaped_json(&line(one));
        match (unsealed.contains(&one.run), line.strip_prefix('{')) {
            (true, Some(rest)) => format!("{{\"sealed\":false,{rest}"),
            _ => line,
        }
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => "[]\n".to_owned(),
        false => format!("[\n{}\n]\n", lines.join(",\n")),
    }
}

/// The time that somebody means by `7d`, `2026-11-29` or `2026-11-29T12:00:00Z`.
///
/// # Errors
/// What to write instead.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(midnight.timestamp());
    }
    let span = text.parse::<Span>().ok();
    let days = SpanRelativeTo::days_are_24_hours();
    let length = span.and_then(|span| span.to_duration(days).ok());
    let length = length.filter(|length| !length.is_negative());
    let earlier = length.and_then(|length| now.checked_sub(length).ok());
    earlier
        .ok_or_else(|| "write a time such as 7d or 12h, or a date such as 2026-11-29 (UTC)".into())
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
        let (bytes, packed) = pack(&text, 20_000);
        assert!(
            bytes.len() <= 20_000 && bytes.len() > 10_000,
            "{}",
            bytes.len()
        );
        let kept = unpack(&bytes).unwrap();
        assert!(text.starts_with(&kept) && kept.ends_with('\n') && !kept.is_empty());
        assert_eq!(packed, kept);
        assert_eq!(unpack(&pack("", 10).0).unwrap(), "");
        assert!(unpack(b"something else").is_err());
    }

    #[test]
    fn since_is_a_date_a_time_or_a_length() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let at = |text: &str| since(text, now).unwrap().to_string();
        assert_eq!(at("7d"), "2026-11-22T12:00:00Z");
        assert_eq!(at("90m"), "2026-11-29T10:30:00Z");
        assert_eq!(at("2026-11-28"), "2026-11-28T00:00:00Z");
        assert_eq!(at("2026-11-28T01:02:03Z"), "2026-11-28T01:02:03Z");
        for wrong in ["", "yesterday", "7", "1y", "-7d", "7d ago"] {
            assert!(since(wrong, now).unwrap_err().contains("7d"), "{wrong}");
        }
    }

    #[test]
    fn json_is_one_list_that_no_terminal_takes_as_a_command() {
        let hostile = record("a", 1, "\\u001b[2J\\u202eann", "Done");
        let unsealed = [record("a", 0, "ann", "Done").run].into();
        let json = as_json(&[record("a", 0, "ann", "Done"), hostile], &unsealed);
        assert!(!json.contains(['\u{1b}', '\u{202e}']), "{json}");
        assert_eq!(serde_json::from_str::<Vec<Record>>(&json).unwrap().len(), 2);
        assert_eq!(json.matches("\"sealed\":false").count(), 2);
        assert_eq!(as_json(&[], &unsealed), "[]\n");
    }

    /// Whether a history of this text is refused, though the object has room for it.
    fn is_refused(text: &str) -> bool {
        let bytes = compress(text);
        assert!(bytes.len() < PACKED_MAX, "{}", bytes.len());
        unpack(&bytes).is_err()
    }

    #[test]
    fn a_small_object_that_unpacks_to_a_huge_text_or_to_many_lines_is_refused() {
        assert!(is_refused(&"x\n".repeat(16 << 20)), "16 million lines");
        assert!(is_refused(&" ".repeat(UNPACKED_MAX + 1)));
        assert!(!is_refused(&" ".repeat(UNPACKED_MAX)));
        assert!(is_refused(&"\n".repeat(LINES_MAX + 1)));
        assert!(!is_refused(&"\n".repeat(LINES_MAX)));
        assert!(unpack(&compress("a\n")[..12]).is_err(), "cut");
    }

    #[test]
    fn what_is_packed_can_be_unpacked_however_well_it_is_compressed() {
        let many = "x\n".repeat(LINES_MAX + 10);
        let (many, _) = pack(&many, PACKED_MAX);
        assert_eq!(unpack(&many).unwrap(), "x\n".repeat(LINES_MAX));
        let long = "x".repeat(1 << 20) + "\n";
        let nine = long.repeat(9);
        let (packed, _) = pack(&nine, PACKED_MAX);
        assert_eq!(unpack(&packed).unwrap(), long.repeat(7));
    }

    #[test]
    fn six_thousand_new_ids_fit_into_the_object_of_a_cluster() {
        // As a directory of people has it: nothing of a name or an ID is in another.
        let name = || -> String { (0..9).map(|_| fastrand::lowercase()).collect() };
        let id = || uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let relinked = |number: usize| {
            let (first, last) = (name(), name());
            let json = serde_json::json!({
                "time": "2026-11-29T12:00:00Z", "run": "74875108b9", "number": number,
                "trigger": "Scheduled", "action": "Relink", "reason": "NewExternalId",
                "from": format!("uid={first}.{last},ou=people,dc=example,dc=com"),
                "person": {
                    "email": format!("{first}.{last}@example.com"), "externalId": id(), "memberId": id(),
                },
                "result": "Done",
            });
            let record: Record = serde_json::from_value(json).unwrap();
            line(&record) + "\n"
        };
        let many: String = (0..20_000).map(relinked).collect();
        let (packed, _) = pack(&many, PACKED_MAX);
        let kept = unpack(&packed).unwrap().lines().count();
        eprintln!("{kept} of 20,000 are kept");
        assert!(kept >= 6_000, "{kept}");
    }

    #[test]
    fn a_line_without_room_does_not_take_the_others_out() {
        let noise: String = (0..1_000).map(|_| fastrand::alphanumeric()).collect();
        for huge in [noise, "x".repeat(UNPACKED_MAX)] {
            let text = format!("{huge}\nb\na\n");
            let (packed, _) = pack(&text, 100);
            assert_eq!(unpack(&packed).unwrap(), "b\na\n");
        }
    }

    #[test]
    fn only_open_records_are_read_and_made_up_ones_are_bounded() {
        let kept = [
            record("b", 0, "ann", "Pending"),
            record("b", 1, "bob", "Done"),
            record("a", 0, "eve", "Unknown"),
        ];
        let text = merge("x\n{}\n", &kept);
        let (open, others) = open_records(&text, |_| true);
        assert_eq!(open, [kept[0].clone(), kept[2].clone()]);
        assert_eq!(others, 0);
        let (open, others) = open_records(&text, |one| one.label() == "eve");
        assert_eq!((open.len(), others), (1, 1));

        // Each of these takes 3 bytes in the text and a hundred in memory.
        let people = vec!["{}"; 1_000_000].join(",");
        let bomb = line(&kept[0]).replacen('{', &format!(r#"{{"added":[{people}],"#), 1);
        assert_eq!(parse(&bomb).records.len(), 1, "it is a record");
        assert_eq!(records(&format!("{bomb}\n{text}")).count(), 3);
        let (open, others) = open_records(&format!("{bomb}\n{text}"), |_| true);
        assert_eq!((open.len(), others), (2, 1), "without the bomb");

        let forged = (line(&kept[0]) + "\n").repeat(30_000);
        let (open, _) = open_records(&forged, |_| true);
        assert!(
            open.len() * size_of::<Record>() < OPEN_MAX,
            "{}",
            open.len()
        );
        assert!(open.len() > 4_000, "{}", open.len());
    }
}
