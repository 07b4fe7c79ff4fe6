//! A domain with more people than Samba can be told of one by one.
//!
//! Samba takes each entry into indexes that it copies as a whole for each of them: 5,000 people are a
//! matter of minutes, 100,000 one of days. So it is told of one person and one group, and
//! everybody else is put into the database itself, as copies of what Samba made of these two: with a
//! name, an `objectGUID` and an `objectSid` of their own, and with both ends of each membership. The
//! indexes are taken away before and made anew after.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Account, Samba, database};
use crate::lab::{LabError, Ldif, run};

/// Many people below `OU=Staff`, `staff000000@example.com` and so on, all in the group `everyone`
/// and each in one of the groups `team00000` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crowd {
    /// The number of people to make.
    pub people: usize,
    /// How many of them are a team.
    pub team: usize,
}

/// Records added in one transaction: what it takes on disk grows faster than what is in it.
const BATCH: usize = 5_000;
/// Relative identifiers of people begin here, those of groups there.
const PEOPLE: usize = 1_000_000;
const GROUPS: usize = 100_000_000;

/// The group that the others are made after, which the first person is in, too.
const FIRST_GROUP: &str = "pattern";

impl Crowd {
    /// Puts everybody into the domain in `base`, whose controller doesn't run.
    pub(super) fn fill(self, base: &Path) -> Result<(), LabError> {
        let mut ldif = Ldif::empty(Samba::DOMAIN);
        let staff = ldif.unit("", "Staff");
        let first = Account::new(&person_name(0)).add_to(&mut ldif, &staff);
        ldif.entry(
            &format!("CN={FIRST_GROUP},{staff}"),
            &[
                ("objectClass", "group"),
                ("sAMAccountName", FIRST_GROUP),
                ("member", &first),
            ],
        );
        database("ldbadd", base, ldif.text())?;
        let partition = Partition::of(base);
        let patterns = Patterns {
            person: partition.one(&person_name(0))?,
            group: partition.one(FIRST_GROUP)?,
        };
        let indexed = partition.unindex()?;
        self.copy(&partition, &patterns)?;
        index(base, &indexed)
    }

    fn copy(self, partition: &Partition, patterns: &Patterns) -> Result<(), LabError> {
        let domain = patterns.person.sid.rsplit_once('-');
        let (domain, _) = domain.unwrap_or_default();
        let first = Entity {
            name: person_name(0),
            guid: patterns.person.guid.clone(),
            sid: patterns.person.sid.clone(),
        };
        let others = (1..self.people).map(|n| Entity::new(person_name(n), n, domain, PEOPLE));
        let people: Vec<_> = std::iter::once(first).chain(others).collect();
        let teams = self.people.div_ceil(self.team);
        let group = |name, n| Entity::new(name, self.people + n, domain, GROUPS);
        let everyone = group("everyone".to_owned(), teams);
        let teams: Vec<_> = (0..teams)
            .map(|n| group(format!("team{n:05}"), n))
            .collect();

        for (batch, members) in people.chunks(BATCH).enumerate() {
            let mut text = String::new();
            for (at, person) in members.iter().enumerate() {
                let n = batch * BATCH + at;
                let groups = [&teams[n / self.team], &everyone];
                if n == 0 {
                    patterns.first_joins(&groups, partition)?;
                } else {
                    patterns
                        .person
                        .copy(person, &groups, &patterns.group, &mut text);
                }
            }
            partition.add(&text)?;
        }
        let mut text = String::new();
        let mut groups: Vec<_> = teams.iter().zip(people.chunks(self.team)).collect();
        groups.push((&everyone, &people));
        for (group, members) in groups {
            // Samba looks members up by halves.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|a, b| a.guid.cmp(&b.guid));
            patterns
                .group
                .copy(group, &members, &patterns.person, &mut text);
        }
        partition.add(&text)
    }
}

fn person_name(n: usize) -> String {
    format!("staff{n:06}")
}

/// What tells a person or group from all others.
struct Entity {
    name: String,
    guid: String,
    sid: String,
}

impl Entity {
    fn new(name: String, number: usize, domain: &str, first: usize) -> Self {
        // Spread as random ones would be, and the same each time.
        let spread = |mut n: u64| {
            n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            n ^ (n >> 31)
        };
        let (high, low) = (spread(2 * number as u64 + 1), spread(2 * number as u64 + 2));
        Self {
            name,
            guid: format!(
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                high >> 32,
                (high >> 16) & 0xffff,
                high & 0xffff,
                low >> 48,
                low & 0xffff_ffff_ffff
            ),
            sid: format!("{domain}-{}", first + number),
        }
    }
}

/// The first person and the first group, as Samba made them.
struct Patterns {
    person: Pattern,
    group: Pattern,
}

impl Patterns {
    /// The first person is there already, and joins the groups of the others.
    fn first_joins(&self, groups: &[&Entity], partition: &Partition) -> Result<(), LabError> {
        let dn = self.person.lines.first().map_or("", String::as_str);
        let mut text = format!("{dn}\nchangetype: modify\nadd: memberOf\n");
        for group in groups {
            self.person.link_to(group, &self.group, &mut text);
        }
        partition.modify(&text)
    }
}

/// A record of the database.
struct Pattern {
    /// All but the link.
    lines: Vec<String>,
    name: String,
    guid: String,
    sid: String,
    /// The person's end of the membership, or the group's.
    link: String,
}

impl Pattern {
    fn of(name: &str, record: &str) -> Result<Self, LabError> {
        let lacking = |what: &str| LabError::Failed {
            what: format!("copy the record of {name}"),
            answer: format!("it has no {what}"),
        };
        let (mut lines, mut links) = (vec![], vec![]);
        for line in record.lines() {
            match line.split_once(": ").unwrap_or_default().0 {
                "member" | "memberOf" => links.push(line.to_owned()),
                // The DN again, which ldb makes up.
                "distinguishedName" => {}
                _ => lines.push(line.to_owned()),
            }
        }
        let value = |attribute: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(attribute));
            value.map(str::to_owned).ok_or_else(|| lacking(attribute))
        };
        Ok(Self {
            name: name.to_owned(),
            guid: value("objectGUID: ")?,
            sid: value("objectSid: ")?,
            link: links.pop().ok_or_else(|| lacking("membership"))?,
            lines,
        })
    }

    /// `entity` made after this pattern, linked with `others`, which are made after `theirs`.
    fn copy(&self, entity: &Entity, others: &[&Entity], theirs: &Self, text: &mut String) {
        for line in &self.lines {
            text.push_str(&self.renamed(line, entity));
            text.push('\n');
        }
        for other in others {
            self.link_to(other, theirs, text);
        }
        text.push('\n');
    }

    fn link_to(&self, other: &Entity, theirs: &Self, text: &mut String) {
        text.push_str(&theirs.renamed(&self.link, other));
        text.push('\n');
    }

    /// The line with what is this pattern's own replaced.
    fn renamed(&self, line: &str, entity: &Entity) -> String {
        let line = line.replace(&self.name, &entity.name);
        let line = line.replace(&self.guid, &entity.guid);
        line.replace(&self.sid, &entity.sid)
    }
}

/// The part of the database that holds the domain, without all that Samba is around it.
pub(super) struct Partition(PathBuf);

impl Partition {
    /// That of the domain itself.
    pub(super) fn of(base: &Path) -> Self {
        Self::named(base, Samba::DOMAIN)
    }

    /// That of the forest's configuration.
    pub(super) fn configuration(base: &Path) -> Self {
        Self::named(base, &format!("CN=Configuration,{}", Samba::DOMAIN))
    }

    fn named(base: &Path, root: &str) -> Self {
        let name = format!("{}.ldb", root.to_uppercase());
        Self(base.join("private/sam.ldb.d").join(name))
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("-H").arg(&self.0);
        command
    }

    /// A record's lines, those that were folded whole again.
    fn record(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = self.tool("ldbsearch");
        let output = run("ldbsearch", command.args(arguments), None)?;
        let output = output.replace("\n ", "");
        let lines = output
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }

    fn one(&self, name: &str) -> Result<Pattern, LabError> {
        Pattern::of(name, &self.record(&[&format!("cn={name}")])?)
    }

    fn add(&self, ldif: &str) -> Result<(), LabError> {
        let mut command = self.tool("ldbadd");
        run("ldbadd", command.arg("--nosync"), Some(ldif)).map(drop)
    }

    pub(super) fn modify(&self, ldif: &str) -> Result<(), LabError> {
        let mut command = self.tool("ldbmodify");
        run("ldbmodify", command.arg("--nosync"), Some(ldif)).map(drop)
    }

    /// Takes the indexes away, but that of DNs; what they were, for [`index`].
    fn unindex(&self) -> Result<String, LabError> {
        let record = self.record(&["-s", "base", "-b", "@INDEXLIST"])?;
        self.modify("dn: @INDEXLIST\nchangetype: modify\ndelete: @IDXATTR\n-\ndelete: @IDXONE\n")?;
        let indexed = record.lines().filter(|line| line.starts_with("@IDXATTR: "));
        Ok(indexed.map(|line| format!("{line}\n")).collect())
    }
}

/// Makes the indexes anew. With all of Samba, for only its schema knows how values are compared.
fn index(base: &Path, indexed: &str) -> Result<(), LabError> {
    let change = format!(
        "dn: @INDEXLIST\nchangetype: modify\nreplace: @IDXATTR\n{indexed}-\nreplace: @IDXONE\n\
         @IDXONE: 1\n"
    );
    database("ldbmodify", base, &change)
}
