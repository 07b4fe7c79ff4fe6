//! The form in which a plan is published whole: compressed JSON lines, in which each person stands once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::document::{ChangeRow, Entry, EvidenceRow, Head, MemberRow, PlanDocument, ProblemRow};
use crate::directory::hash::FastMap;
use crate::sync::plan::Kind;

/// No plan has more bytes when it is decompressed: more isn't written, and isn't read.
const DECOMPRESSED_MAX: usize = 512 << 20;
/// No line of it has more.
const LINE_MAX: usize = 32 << 20;
/// What is read of a plan takes no more memory than this, in bytes. A member is a number in the lines, and
/// a name and an email in memory.
const IN_MEMORY_MAX: usize = 1 << 30;

/// A plan as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPlan {
    /// Compressed JSON lines (gzip).
    pub bytes: Vec<u8>,
    /// How many changes and problems had no room.
    pub omitted: usize,
    /// Identifies what is held, as it stands there: [`ReadPlan::held_digest`].
    pub held_digest: String,
}

/// A published plan as it was read.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// What it says.
    pub document: PlanDocument<'static>,
    /// Identifies what it lists as held: the reasons, each change, and the people in it. Who writes the
    /// plan's object can change all that is in it, this digest included; so it is compared with one that is
    /// kept elsewhere.
    pub held_digest: String,
}

/// Why a published plan can't be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadablePlan {
    /// It isn't gzip, or was cut.
    #[error("it can't be decompressed")]
    Compression(#[from] std::io::Error),
    /// It isn't in a form that this version knows.
    #[error("it has another form")]
    Form(#[from] serde_json::Error),
    /// A group names somebody whom the plan doesn't have.
    #[error("it names a person whom it doesn't have")]
    Person,
    /// There is no end, or something after it.
    #[error("it has no end")]
    Endless,
    /// What the plan says as a whole doesn't stand first.
    #[error("it doesn't begin with its head")]
    Order,
    /// A small object can be decompressed to a huge one.
    #[error("it is larger than any plan")]
    TooLarge,
}

/// One line. A person stands before the first change that names them, and is named by number: the first
/// one is 0.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Line<'a> {
    Plan(Cow<'a, Head>),
    /// The external id and the email.
    Person(Option<Cow<'a, str>>, Option<Cow<'a, str>>),
    /// A change that is held, who comes into its group and who leaves it, these with their evidence
    /// where it isn't that the directory doesn't list them.
    Held(
        Box<ChangeRow<'a>>,
        Option<Vec<u32>>,
        Option<Vec<Leaving<'a>>>,
    ),
    Change(
        Box<ChangeRow<'a>>,
        Option<Vec<u32>>,
        Option<Vec<Leaving<'a>>>,
    ),
    Problem(Cow<'a, ProblemRow<'a>>),
    /// How many of which list had no room. The last line.
    Omitted(BTreeMap<String, usize>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Leaving<'a> {
    Absent(u32),
    By(u32, EvidenceRow<'a>),
}

/// The plan in the form for [`read`], of at most so many bytes. What waits for a person comes first: where
/// there is no room for everything, changes that go ahead are left out before held ones.
pub fn publish(document: &PlanDocument<'_>, max_bytes: usize) -> PublishedPlan {
    let mut writer = Writer {
        // The fastest level: a plan of 100,000 changes is written within a run.
        gzip: GzEncoder::new(vec![], Compression::fast()),
        // What the encoder keeps for a while, and the end.
        max: max_bytes.saturating_sub(ROOM),
        written: 0,
        people: FastMap::default(),
        omitted: BTreeMap::new(),
        held: Some(HeldDigest::of(&document.head)),
    };
    writer.line(&Line::Plan(Cow::Borrowed(&document.head)));
    for row in document.rows(&document.held) {
        writer.change("held", &row, Line::Held);
    }
    let held_digest = writer.held.take().map(HeldDigest::finish);
    for problem in &document.problems {
        if writer.has_room("problems") {
            writer.line(&Line::Problem(Cow::Borrowed(problem)));
        }
    }
    for row in document.rows(&document.changes) {
        writer.change("changes", &row, Line::Change);
    }
    let omitted = std::mem::take(&mut writer.omitted);
    let sum = omitted.values().sum();
    writer.line(&Line::Omitted(omitted));
    PublishedPlan {
        held_digest: held_digest.unwrap_or_default(),
        bytes: writer.gzip.finish().expect("a vector takes everything"),
        omitted: sum,
    }
}

/// Room for what the encoder hasn't written yet.
const ROOM: usize = 96 * 1024;

/// The digest of what is held: of the reasons, and of all lines about people and held changes up to the last
/// held change. Lines are taken as they stand, so that another version with more in a line reads the same.
struct HeldDigest {
    lines: Sha256,
    held: Sha256,
}

impl HeldDigest {
    fn of(head: &Head) -> Self {
        let because = serde_json::to_vec(&head.held_because).expect("texts have a JSON form");
        let lines = Sha256::new_with_prefix(because);
        Self {
            held: lines.clone(),
            lines,
        }
    }

    fn add(&mut self, line: &Line<'_>, text: &[u8]) {
        match line {
            Line::Person(..) => self.lines.update(text),
            Line::Held(..) => {
                self.lines.update(text);
                self.held = self.lines.clone();
            }
            Line::Plan(_) | Line::Change(..) | Line::Problem(_) | Line::Omitted(_) => {}
        }
    }

    fn finish(self) -> String {
        HEXLOWER.encode(&self.held.finalize())
    }
}

/// The external id and the email of a person.
type PersonKey<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// [`Line::Held`] or [`Line::Change`].
type ChangeLine<'a> =
    fn(Box<ChangeRow<'a>>, Option<Vec<u32>>, Option<Vec<Leaving<'a>>>) -> Line<'a>;

struct Writer<'a> {
    gzip: GzEncoder<Vec<u8>>,
    max: usize,
    /// Bytes so far, not compressed.
    written: usize,
    people: FastMap<PersonKey<'a>, u32>,
    omitted: BTreeMap<String, usize>,
    /// Until all that is held is written.
    held: Option<HeldDigest>,
}

impl<'a> Writer<'a> {
    fn line(&mut self, line: &Line<'_>) {
        let mut text = serde_json::to_vec(line).expect("everything in a line has a JSON form");
        text.push(b'\n');
        self.written += text.len();
        if let Some(held) = &mut self.held {
            held.add(line, &text);
        }
        self.gzip
            .write_all(&text)
            .expect("a vector takes everything");
    }

    /// Whether one more of this list has room; counted where it hasn't.
    fn has_room(&mut self, list: &str) -> bool {
        let fits =
            self.gzip.get_ref().len() < self.max && self.written < DECOMPRESSED_MAX - 2 * LINE_MAX;
        if !fits {
            *self.omitted.entry(list.to_owned()).or_default() += 1;
        }
        fits
    }

    fn person(&mut self, member: &MemberRow<'a>) -> u32 {
        let key = (member.external_id.clone(), member.email.clone());
        if let Some(place) = self.people.get(&key) {
            return *place;
        }
        self.line(&Line::Person(key.0.clone(), key.1.clone()));
        let place = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        self.people.insert(key, place);
        place
    }

    fn change(&mut self, list: &str, row: &ChangeRow<'a>, line: ChangeLine<'a>) {
        if !self.has_room(list) {
            return;
        }
        let mut row = row.clone();
        let add = row.add.take().map(|members| {
            let places = members.iter().map(|member| self.person(member));
            places.collect()
        });
        let remove = row.remove.take().map(|members| {
            let leaving = members.into_iter().map(|member| {
                let place = self.person(&member);
                match member.evidence {
                    Some(evidence) if evidence != EvidenceRow::left() => {
                        Leaving::By(place, evidence)
                    }
                    _ => Leaving::Absent(place),
                }
            });
            leaving.collect()
        });
        self.line(&line(Box::new(row), add, remove));
    }
}

/// Reads what [`publish`] wrote.
///
/// # Errors
/// As [`UnreadablePlan`].
pub fn read(bytes: &[u8]) -> Result<ReadPlan, UnreadablePlan> {
    read_within(bytes, IN_MEMORY_MAX)
}

fn read_within(bytes: &[u8], memory: usize) -> Result<ReadPlan, UnreadablePlan> {
    let mut lines = BufReader::new(GzDecoder::new(bytes).take(DECOMPRESSED_MAX as u64));
    let mut document = PlanDocument::default();
    let mut held = HeldDigest::of(&document.head);
    let mut room = Room(memory);
    let mut people: Vec<MemberRow<'static>> = vec![];
    let mut text = String::new();
    let mut begun = false;
    loop {
        text.clear();
        let mut line = lines.by_ref().take(LINE_MAX as u64 + 1);
        if line.read_line(&mut text)? == 0 {
            return Err(UnreadablePlan::Endless);
        }
        if text.len() > LINE_MAX {
            return Err(UnreadablePlan::TooLarge);
        }
        room.take(text.len() + size_of::<ChangeRow<'_>>())?;
        let begun = std::mem::replace(&mut begun, true);
        let line = serde_json::from_str::<Line<'static>>(&text)?;
        held.add(&line, text.as_bytes());
        match line {
            // Another one after people or changes would have them digested with other reasons than are shown.
            Line::Plan(_) if begun => return Err(UnreadablePlan::Order),
            Line::Plan(head) => {
                document.head = head.into_owned();
                held = HeldDigest::of(&document.head);
            }
            Line::Person(external_id, email) => people.push(MemberRow {
                external_id,
                email,
                evidence: None,
            }),
            Line::Held(row, add, remove) => {
                document
                    .held
                    .push(whole(row, add, remove, &people, &mut room)?);
            }
            Line::Change(row, add, remove) => {
                document
                    .changes
                    .push(whole(row, add, remove, &people, &mut room)?);
            }
            Line::Problem(problem) => document.problems.push(problem.into_owned()),
            Line::Omitted(omitted) => {
                document.omitted = omitted;
                text.clear();
                // To the checksum: that it was reached says that nothing is missing.
                return match lines.read_line(&mut text)? {
                    0 => Ok(ReadPlan {
                        document,
                        held_digest: held.finish(),
                    }),
                    _ => Err(UnreadablePlan::Endless),
                };
            }
        }
    }
}

/// The memory that is left for a plan, in bytes.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), UnreadablePlan> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or(UnreadablePlan::TooLarge)?;
        Ok(())
    }

    fn take_person(&mut self, person: &MemberRow<'_>) -> Result<(), UnreadablePlan> {
        let texts = [&person.external_id, &person.email];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        self.take(size_of::<MemberRow<'_>>() + texts)
    }
}

fn whole(
    mut row: Box<ChangeRow<'static>>,
    add: Option<Vec<u32>>,
    remove: Option<Vec<Leaving<'static>>>,
    people: &[MemberRow<'static>],
    room: &mut Room,
) -> Result<Entry<'static>, UnreadablePlan> {
    let mut person = |place: u32| -> Result<MemberRow<'static>, UnreadablePlan> {
        let person = people.get(place as usize);
        let person = person.ok_or(UnreadablePlan::Person)?;
        room.take_person(person)?;
        Ok(person.clone())
    };
    let is_deletion = row.kind() == Some(Kind::DeleteGroup);
    row.add = match add {
        Some(places) => Some(
            places
                .into_iter()
                .map(&mut person)
                .collect::<Result<_, _>>()?,
        ),
        None => None,
    };
    let leaving = |leaving| {
        let (place, evidence) = match leaving {
            Leaving::By(place, evidence) => (place, Some(evidence)),
            // Members of a deleted group have the evidence of the group.
            Leaving::Absent(place) if is_deletion => (place, None),
            Leaving::Absent(place) => (place, Some(EvidenceRow::left())),
        };
        person(place).map(|person| MemberRow { evidence, ..person })
    };
    row.remove = match remove {
        Some(all) => Some(all.into_iter().map(leaving).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(Entry::Row(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(lines: &[&str]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(vec![], Compression::fast());
        for line in lines {
            gzip.write_all(line.as_bytes()).unwrap();
            gzip.write_all(b"\n").unwrap();
        }
        gzip.finish().unwrap()
    }

    /// With a person of a megabyte, who comes into a group so many times.
    fn with_member(times: usize) -> Vec<u8> {
        let person = format!(r#"{{"person":["{}",null]}}"#, "x".repeat(1 << 20));
        let row = r#"{"action":"UpdateGroup","externalId":"g","reason":"Desired"}"#;
        let places = vec!["0"; times].join(",");
        let change = format!(r#"{{"change":[{row},[{places}],null]}}"#);
        compressed(&[&person, &change, r#"{"omitted":{}}"#])
    }

    #[test]
    fn a_plan_that_would_fill_the_memory_is_refused() {
        let read = |times| read_within(&with_member(times), 8 << 20);
        let members = read(6).map(|read| read.document.changes.len());
        assert!(matches!(members, Ok(1)), "{members:?}");
        let refused = read(8);
        assert!(
            matches!(refused, Err(UnreadablePlan::TooLarge)),
            "8 numbers, 8 MiB"
        );
        let people = compressed(&vec![r#"{"person":[null,null]}"#; 100_000]);
        let refused = read_within(&people, 8 << 20);
        assert!(matches!(refused, Err(UnreadablePlan::TooLarge)));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let refused = read(&compressed(&[&" ".repeat(LINE_MAX + 1)]));
        assert!(matches!(refused, Err(UnreadablePlan::TooLarge)));
    }
}
