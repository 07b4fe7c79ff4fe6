//! The state folder: what commands took away, one file an organization.
//!
//! A file is replaced atomically, readable by its owner only, and locked while a command works on the
//! organization, so that two at a time (a cron job that takes longer than its interval) can't use
//! the same day's limit twice. It has a section for each `externalIdPrefix`, because resources with
//! different prefixes have different members. Where one prefix begins another, what was taken away
//! under one of them counts for the other.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::args::StateArgs;
use super::files;
use crate::sync::ledger::{self, APPROVED_SETS_MAX, ApprovedSets, Holds, Ledger, Used};
use crate::sync::memberships::MembershipCache;
use crate::sync::stored::{self, Magic};

/// The folder's name below `XDG_STATE_HOME`.
const FOLDER: &str = "directory-sync";
/// The first bytes of a record: a name and a version.
const MAGIC: &Magic = b"dsyncst3";
/// The extension of the file with the changes of approvals that a record has no room for.
const APPROVED: &str = "approved";
/// The extension of the file that says who was in which group when a command compared them.
const GROUPS: &str = "groups";
/// The first bytes of that file.
const GROUPS_MAGIC: &Magic = b"dsyncgr1";
/// The extension of the file that is locked.
const LOCK: &str = "lock";
/// The digest before the first record.
const NONE: Key = [0; 16];
/// The holds of so many resources with the same prefix are kept, those that were used last.
const RESOURCES_MAX: usize = 16;

/// Why the record of removals can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither a flag nor the environment names a folder.
    #[error(
        "there is no place to keep the record of removals, which the limits depend on: set --state-dir \
         to a folder that is kept from one command to the next"
    )]
    NoPlace,
    /// A file or folder.
    #[error(
        "can't {doing} {path}, where the record of removals is kept, which the limits depend on: \
         {error}; set --state-dir to a folder that can be written and is kept from one command to the \
         next"
    )]
    Io {
        /// What was tried, such as "read".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file of the history.
    #[error(
        "can't {doing} {path}, where the history is kept: {error}; no limit depends on it, and what was \
         changed is missing there"
    )]
    History {
        /// What was tried, such as "read".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process holds the lock of the organization's state.
    #[error(
        "another command is working on this organization ({0} is locked); try again when it is done"
    )]
    Busy(PathBuf),
    /// The server can't be read, and another resource sends to it.
    #[error(
        "this server can't be read, and {resource} has synced it with externalIdPrefix {prefix:?}: a \
         second resource can't tell those accounts from its own, and would take them over; sync the \
         organization by one resource (where the prefix was changed together with the resource's \
         name, change one after the other)"
    )]
    SentByAnother {
        /// The resource that used it last.
        resource: String,
        /// The prefix of its external ids.
        prefix: String,
    },
}

/// The record of one organization, locked, as one resource uses it.
///
/// The record is one file. The lock file beside it names the digest of the record that was written
/// last, so that a record that is missing, or an older copy of it, isn't taken for that one. It also says how
/// much of the limits was used: that counts in the place of such a record, or what that says where it is more.
pub struct StateFile {
    path: PathBuf,
    /// Locked as long as it is open.
    lock: File,
    prefix: String,
    resource: String,
    record: Record,
    /// The digest of the record as it is in the file.
    written: Key,
    /// Whether the file has what a later command has to find.
    is_kept: bool,
    /// Whether there was a record that can't be read any more.
    is_lost: bool,
    /// How much of the limits was used, by the prefix, as the lock file says.
    used: UsedByPrefix,
    /// What approvals were for that are being used, as far as the record has no room for it: as it is in the
    /// file.
    approved: ApprovedSets,
}

/// Identifies the content of a record; zeros: of none.
type Key = [u8; 16];

type UsedByPrefix = BTreeMap<String, Vec<Used>>;

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// The digest of the record that this one replaced.
    previous: Key,
    /// An earlier record was lost, and what it said of other prefixes with it.
    incomplete: bool,
    sections: Vec<Section>,
}

/// The groups of the resource that compared them last.
#[derive(Debug, Serialize, Deserialize)]
struct ComparedGroups {
    resource: String,
    prefix: String,
    /// Seconds since 1970.
    at: i64,
    cache: Vec<u8>,
}

/// What is known of the members whose external ids begin with one prefix.
#[derive(Debug, Serialize, Deserialize)]
struct Section {
    prefix: String,
    ledger: Vec<u8>,
    /// What was sent, where the organization can't be read.
    sent: Vec<u8>,
    /// Whether anything was, also where it isn't known any more.
    has_sent: bool,
    /// The holds of each resource, the one that was used last at the end.
    holds: Vec<(String, Holds)>,
    /// The largest number of a hold, also of resources whose holds aren't kept any more: no number is
    /// used twice.
    holds_made: u64,
}

impl StateFile {
    /// Opens and locks the record of an organization, for a resource and the prefix of its external
    /// ids. Makes the folder where there is none.
    pub fn open(
        args: &StateArgs,
        organization: Uuid,
        prefix: &str,
        resource: &str,
    ) -> Result<Self, StateError> {
        let folder = folder_of(args)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed("make", &folder, error))?;
        // A file of its own: the record itself is replaced.
        let path = folder.join(format!("{organization}.{LOCK}"));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).mode(0o600);
        let lock = files::open(&path, options.truncate(false))
            .map_err(|error| failed("open", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Busy(path)),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
        }
        Ok(Self {
            path: folder.join(format!("{organization}.ledger")),
            lock,
            prefix: prefix.to_owned(),
            resource: resource.to_owned(),
            record: Record::default(),
            written: Key::default(),
            is_kept: false,
            is_lost: false,
            used: UsedByPrefix::new(),
            approved: ApprovedSets::default(),
        })
    }

    /// What was kept: what earlier commands took away, and what they sent to an organization that
    /// can't be read. New ones where there never was a record. Where the record isn't the one that was
    /// written last, the command is careful, and what was sent isn't known any more.
    pub fn load(&mut self, now: Timestamp) -> Result<(Ledger, MembershipCache), StateError> {
        self.read(now)?;
        self.take_sent()?;
        let of = |section: &&Section| section.prefix == self.prefix;
        let Some(section) = self.record.sections.iter().find(of) else {
            self.is_kept = false;
            let (mut ledger, sent) = match self.record.incomplete {
                true => (Ledger::begin_careful(now), MembershipCache::lost()),
                false => (Ledger::begin(now), MembershipCache::default()),
            };
            if self.record.incomplete
                && let Some(used) = self.used.get(&self.prefix)
            {
                ledger.count_used(used);
            }
            ledger.use_holds(&self.resource, Holds::default());
            self.count_others(&mut ledger, now);
            return Ok((ledger, sent));
        };
        let mut ledger = Ledger::load_unchecked(&section.ledger, now);
        let holds = section.holds.iter().find(|(of, _)| *of == self.resource);
        // What a plan says to approve has to have the same number when it is.
        self.is_kept &= holds.is_some();
        let holds = holds.map(|(_, holds)| holds.clone());
        let holds = holds.unwrap_or_else(|| Holds::after(section.holds_made));
        ledger.use_holds(&self.resource, holds);
        self.approved = self.read_approved()?;
        ledger.read_approved(&self.approved);
        self.count_others(&mut ledger, now);
        let sent = MembershipCache::from_bytes(&section.sent).unwrap_or_else(|error| {
            tracing::warn!(path = %self.path.display(), %error, "what was sent isn't known any more");
            MembershipCache::lost()
        });
        // Groups of other servers are read at each command: a person expects to see what is there.
        Ok((ledger, sent.sent_only()))
    }

    /// What was sent to a server that can't be read is one resource's, whatever its prefix: an account
    /// there is found by its address. Where this resource had another prefix before, it goes on from
    /// what it sent then.
    fn take_sent(&mut self) -> Result<(), StateError> {
        let sections = &mut self.record.sections;
        let has_sent = |one: &Section| one.has_sent && one.prefix != self.prefix;
        let Some(at) = sections.iter().position(has_sent) else {
            return Ok(());
        };
        let before = &sections[at];
        let own = sections.iter().find(|one| one.prefix == self.prefix);
        if own.is_some_and(|own| own.has_sent)
            || !before.holds.iter().any(|(of, _)| *of == self.resource)
        {
            let last = before.holds.last().map(|(resource, _)| resource.clone());
            return Err(StateError::SentByAnother {
                resource: last.unwrap_or_else(|| "another resource".to_owned()),
                prefix: before.prefix.clone(),
            });
        }
        let before = sections.remove(at);
        sections.retain(|one| one.prefix != self.prefix);
        sections.push(Section {
            prefix: self.prefix.clone(),
            ..before
        });
        self.is_kept = false;
        Ok(())
    }

    /// Members are those of several prefixes where one prefix begins another. And where this resource had
    /// another prefix before, whoever lost access under that may come back under this one.
    fn count_others(&self, ledger: &mut Ledger, now: Timestamp) {
        let others = self.record.sections.iter();
        for section in others.filter(|one| one.prefix != self.prefix) {
            let (one, other) = (&section.prefix, &self.prefix);
            let kept = Ledger::load_unchecked(&section.ledger, now);
            if one.starts_with(other) || other.starts_with(one) {
                ledger.count_also(&kept);
            }
            let mut resources = section.holds.iter().map(|(resource, _)| resource);
            let is_former = resources.any(|resource| *resource == self.resource);
            ledger.ask_also(&kept, is_former);
        }
    }

    /// What approvals were for that are being used. Nothing in it counts that the record doesn't name.
    fn read_approved(&self) -> Result<ApprovedSets, StateError> {
        let path = self.path.with_extension(APPROVED);
        let bytes = match read_bounded(&path, APPROVED_FILE_MAX) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ApprovedSets::default());
            }
            Err(error) => return Err(failed("read", &path, error)),
        };
        let sets = ApprovedSets::from_bytes(&bytes);
        Ok(sets.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "what was approved before isn't known any more");
            ApprovedSets::default()
        }))
    }

    /// Keeps what approvals were for, of all resources, before the record names it.
    fn write_approved(&mut self, ledger: &Ledger) -> Result<(), StateError> {
        let sections = self.record.sections.iter();
        let holds = sections.flat_map(|section| &section.holds);
        let sets = self.approved.clone().with(&ledger.approved_sets());
        let sets = sets.named_by(holds.map(|(_, holds)| holds));
        if sets == self.approved {
            return Ok(());
        }
        replace(&self.path.with_extension(APPROVED), &sets.to_bytes())?;
        self.approved = sets;
        Ok(())
    }

    /// Reads the file, and compares it with what was written last.
    fn read(&mut self, now: Timestamp) -> Result<(), StateError> {
        let expected = self.read_witness()?;
        let bytes = match read_bounded(&self.path, BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.lose(&"it is larger than any record");
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let never_written = matches!(expected, None | Some(Ok(NONE)));
                if !never_written {
                    self.lose(&"it is missing");
                }
                return Ok(());
            }
            Err(error) => return Err(failed("read", &self.path, error)),
        };
        self.record = match stored::from_bytes(MAGIC, &bytes) {
            Ok(record) => record,
            Err(error) => {
                self.lose(&error);
                return Ok(());
            }
        };
        self.written = stored::digest(&bytes);
        // A command that ended between the two writes leaves the digest of the record before.
        let fits = [self.written, self.record.previous].map(|key| Some(Ok(key)));
        self.is_kept = fits.contains(&expected);
        if !self.is_kept {
            self.warn(&"it isn't the one that was written last");
            self.record.incomplete = true;
            for section in &mut self.record.sections {
                let found = Ledger::load_unchecked(&section.ledger, now);
                // Either of the two files may be the older copy.
                let used = self
                    .used
                    .get(&section.prefix)
                    .map_or(&[][..], Vec::as_slice);
                let used = ledger::larger(used, &found.used());
                let mut ledger = found.doubted(now);
                ledger.count_used(&used);
                section.ledger = ledger.to_bytes();
                section.sent = MembershipCache::lost().to_bytes();
                section.holds.clear();
            }
        }
        Ok(())
    }

    /// Nothing is known, though there was something.
    fn lose(&mut self, why: &dyn fmt::Display) {
        self.warn(why);
        self.is_lost = true;
        self.record.incomplete = true;
    }

    fn warn(&self, why: &dyn fmt::Display) {
        tracing::warn!(
            path = %self.path.display(),
            "the record of earlier removals can't be relied on: {why}; what rests on absence is held for a day"
        );
    }

    /// The digest in the lock file: `None` where there is none, an error where it can't be one. Notes what the file
    /// says was used.
    fn read_witness(&mut self) -> Result<Option<Result<Key, NotADigest>>, StateError> {
        let mut text = vec![];
        let read = self.lock.rewind();
        let read = read.and_then(|()| (&self.lock).take(LOCK_MAX).read_to_end(&mut text));
        read.map_err(|error| failed("read", &self.path.with_extension(LOCK), error))?;
        let mut lines = text
            .splitn(2, |byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii);
        let digest = lines.next().unwrap_or_default();
        // Without it nothing is known to be used, as before the first record.
        let used = lines.next().map(serde_json::from_slice);
        self.used = used.and_then(Result::ok).unwrap_or_default();
        let key = || Key::try_from(HEXLOWER.decode(digest).ok()?).ok();
        Ok((!digest.is_empty()).then(|| key().ok_or(NotADigest)))
    }

    fn write_witness(&mut self, digest: Key) -> Result<(), StateError> {
        let used = serde_json::to_string(&self.used).expect("it has texts and numbers alone");
        let text = format!("{}\n{used}\n", HEXLOWER.encode(&digest));
        let mut write = || -> io::Result<()> {
            self.lock.rewind()?;
            self.lock.write_all(text.as_bytes())?;
            self.lock.set_len(text.len() as u64)?;
            self.lock.sync_all()
        };
        write().map_err(|error| failed("write", &self.path.with_extension(LOCK), error))
    }

    /// Keeps who was in which group, for [`Self::groups`]. A command goes on where that fails.
    pub fn keep_groups(&self, compared: &MembershipCache, now: Timestamp) {
        let compared = compared.clone().groups_only();
        if compared.knows_no_group() {
            return;
        }
        let kept = ComparedGroups {
            resource: self.resource.clone(),
            prefix: self.prefix.clone(),
            at: now.as_second(),
            cache: compared.to_bytes(),
        };
        let bytes = stored::to_bytes(GROUPS_MAGIC, &kept);
        if bytes.len() as u64 > BYTES_MAX {
            return self.forget_groups();
        }
        if let Err(error) = replace(&self.path.with_extension(GROUPS), &bytes) {
            tracing::warn!("the next explanation asks for the members of all groups: {error}");
        }
    }

    /// Forgets who was in which group: a command is about to change it.
    pub fn forget_groups(&self) {
        let path = self.path.with_extension(GROUPS);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "it says who was in which group before");
            }
            _ => {}
        }
    }

    /// Who was in which group when a command of this resource compared them, and when that was. For
    /// explanations alone: each sync compares all groups.
    pub fn groups(&self) -> Option<(MembershipCache, Timestamp)> {
        let bytes = read_bounded(&self.path.with_extension(GROUPS), BYTES_MAX).ok()??;
        let kept: ComparedGroups = stored::from_bytes(GROUPS_MAGIC, &bytes).ok()?;
        let is_own = kept.resource == self.resource && kept.prefix == self.prefix;
        let cache = MembershipCache::from_bytes(&kept.cache).ok()?;
        let at = Timestamp::from_second(kept.at).ok()?;
        is_own.then_some((cache, at))
    }

    /// Keeps what a command begins with, where the file doesn't have it: what a plan says to approve
    /// has to be what the next command calls it.
    pub fn begin(&mut self, ledger: &Ledger, sent: &MembershipCache) -> Result<(), StateError> {
        match self.is_kept {
            true => Ok(()),
            false => self.save(ledger, sent),
        }
    }

    /// Replaces what is known of this resource's members.
    pub fn save(&mut self, ledger: &Ledger, sent: &MembershipCache) -> Result<(), StateError> {
        let sections = &mut self.record.sections;
        let at = sections
            .iter()
            .position(|section| section.prefix == self.prefix);
        let before = at.map(|at| sections.remove(at));
        let (mut holds, has_sent, holds_made) = match before {
            Some(before) => (before.holds, before.has_sent, before.holds_made),
            None => Default::default(),
        };
        holds.retain(|(resource, _)| *resource != self.resource);
        holds.push((self.resource.clone(), ledger.holds().clone()));
        let surplus = holds.len().saturating_sub(RESOURCES_MAX);
        holds.drain(..surplus);
        sections.push(Section {
            prefix: self.prefix.clone(),
            ledger: ledger.to_bytes(),
            sent: sent.clone().sent_only().to_bytes(),
            has_sent: match sent.sent().lost {
                true => has_sent,
                false => !sent.sent().accounts.is_empty() || !sent.sent().groups.is_empty(),
            },
            holds,
            holds_made: holds_made.max(ledger.holds().count()),
        });
        self.write_approved(ledger)?;
        self.used.insert(self.prefix.clone(), ledger.used());
        // The first record ever. Where one was lost, its digest stays until there is another: a command
        // that ends in between leaves the loss to be noticed.
        if self.written == NONE && !self.is_lost {
            self.write_witness(NONE)?;
        }
        self.record.previous = self.written;
        let bytes = stored::to_bytes(MAGIC, &self.record);
        replace(&self.path, &bytes)?;
        self.written = stored::digest(&bytes);
        self.write_witness(self.written)?;
        self.is_kept = true;
        Ok(())
    }
}

/// The lock file has something else in it.
#[derive(Debug, PartialEq, Eq)]
struct NotADigest;

/// No record is larger: that many prefixes with full ledgers in one organization are no case.
const BYTES_MAX: u64 = 16 << 20;

/// Of the lock file, likewise.
const LOCK_MAX: u64 = 1 << 20;

/// Nor is what approvals of several resources were for.
const APPROVED_FILE_MAX: u64 = 4 * APPROVED_SETS_MAX as u64;

/// A file's content; `None` where it is larger than `max` bytes.
fn read_bounded(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![];
    let file = files::open(path, OpenOptions::new().read(true))?;
    file.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

/// Writes a file as a whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = files::open(&new, options)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        // So that the name survives a power cut, too.
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|error| failed("write", path, error))
}

/// The folder that the flag names, or the default.
pub(super) fn folder_of(args: &StateArgs) -> Result<PathBuf, StateError> {
    match &args.state_dir {
        Some(folder) => Ok(folder.clone()),
        None => default_folder(&|name| std::env::var_os(name)).ok_or(StateError::NoPlace),
    }
}

fn default_folder(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    // Relative paths are to be ignored, says the XDG base directory specification.
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(state.join(FOLDER))
}

pub(super) fn failed(doing: &'static str, path: &Path, error: io::Error) -> StateError {
    StateError::Io {
        doing,
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn in_folder(folder: &Path) -> StateArgs {
        StateArgs {
            state_dir: Some(folder.to_owned()),
        }
    }

    fn open(args: &StateArgs, organization: u128, prefix: &str, resource: &str) -> StateFile {
        StateFile::open(args, Uuid::from_u128(organization), prefix, resource).unwrap()
    }

    /// The record as a command finds it.
    fn load(args: &StateArgs, prefix: &str, resource: &str) -> (Ledger, MembershipCache) {
        let now = Timestamp::now();
        open(args, 1, prefix, resource).load(now).unwrap()
    }

    /// Keeps a record as a command without changes does; its digest.
    fn begin(args: &StateArgs, prefix: &str) -> String {
        let mut file = open(args, 1, prefix, "staff");
        let (ledger, sent) = file.load(Timestamp::now()).unwrap();
        file.begin(&ledger, &sent).unwrap();
        ledger.digest()
    }

    #[test]
    fn a_record_is_kept_for_its_organization_and_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(&folder.path().join("new"));
        let digest = begin(&args, "");
        assert_eq!(begin(&args, ""), digest, "it is there");
        let mut other = open(&args, 2, "", "staff");
        let (other, _) = other.load(Timestamp::now()).unwrap();
        assert_ne!(other.digest(), digest);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&open(&args, 1, "", "staff").path), 0o600);
        assert_eq!(mode(&folder.path().join("new")), 0o700);
    }

    #[test]
    fn each_prefix_has_its_section_and_each_resource_its_holds() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let (berlin, paris) = (begin(&args, "berlin:"), begin(&args, "paris:"));
        assert_eq!(begin(&args, "berlin:"), berlin);
        assert_eq!(begin(&args, "paris:"), paris);
        assert!(!load(&args, "paris:", "staff").0.is_careful());
    }

    #[test]
    fn a_record_that_is_not_the_one_written_last_makes_every_prefix_careful() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        begin(&args, "berlin:");
        let path = open(&args, 1, "", "staff").path;
        let older = std::fs::read(&path).unwrap();
        begin(&args, "paris:");
        let last = std::fs::read(&path).unwrap();
        let mut damaged = last.clone();
        damaged[30] ^= 1;
        let witness = std::fs::read(path.with_extension(LOCK)).unwrap();
        let huge = vec![0; usize::try_from(BYTES_MAX).unwrap() + 1];
        let accidents: [(&str, Option<&[u8]>); 6] = [
            ("huge", Some(&huge)),
            ("missing", None),
            ("older", Some(&older)),
            ("damaged", Some(&damaged)),
            ("cut", Some(&last[..20])),
            ("empty", Some(b"")),
        ];
        for (accident, content) in accidents {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            std::fs::write(path.with_extension(LOCK), &witness).unwrap();
            let (_, sent) = load(&args, "berlin:", "staff");
            assert!(sent.sent().lost, "{accident}: what was sent");
            let careful = begin(&args, "berlin:");
            let later = load(&args, "berlin:", "staff").0;
            assert!(later.is_careful(), "{accident}: later, too");
            assert_eq!(
                later.digest(),
                careful,
                "{accident}: its holds keep their ids"
            );
            let (other, sent) = load(&args, "paris:", "staff");
            assert!(
                other.is_careful() && sent.sent().lost,
                "{accident}: other prefixes"
            );
        }
    }

    #[test]
    fn a_loss_is_still_noticed_after_a_command_that_could_not_write() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        begin(&args, "");
        let path = open(&args, 1, "", "staff").path;
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(path.with_extension("new")).unwrap();
        let mut file = open(&args, 1, "", "staff");
        let (ledger, sent) = file.load(Timestamp::now()).unwrap();
        assert!(ledger.is_careful());
        file.begin(&ledger, &sent).unwrap_err();
        drop(file);
        std::fs::remove_dir(path.with_extension("new")).unwrap();
        assert!(load(&args, "", "staff").0.is_careful());
    }

    #[test]
    fn a_record_without_its_witness_makes_the_command_careful() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        begin(&args, "");
        let path = open(&args, 1, "", "staff").path;
        for witness in [&b""[..], b"something else", &[b'0'; 32]] {
            begin(&args, "");
            begin(&args, "another");
            std::fs::write(path.with_extension(LOCK), witness).unwrap();
            assert!(load(&args, "", "staff").0.is_careful(), "{witness:?}");
        }
    }

    #[test]
    fn a_command_that_ended_between_the_two_writes_leaves_a_record_that_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let lock = open(&args, 1, "", "staff").path.with_extension(LOCK);
        for prefix in ["berlin:", "paris:"] {
            let before = std::fs::read(&lock).unwrap();
            begin(&args, prefix);
            if !before.is_empty() {
                std::fs::write(&lock, before).unwrap();
            }
            assert!(!load(&args, prefix, "staff").0.is_careful(), "{prefix}");
        }
    }

    #[test]
    fn what_was_sent_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let (ledger, first) = load(&args, "", "staff");
        assert_eq!(
            first,
            MembershipCache::default(),
            "the first command of all"
        );
        begin(&args, "");
        assert_eq!(load(&args, "", "staff").1, first, "planned, not synced yet");
        let mut file = open(&args, 1, "", "staff");
        file.load(Timestamp::now()).unwrap();
        file.save(&ledger, &MembershipCache::lost()).unwrap();
        drop(file);
        assert!(load(&args, "", "staff").1.sent().lost, "and so it stays");
    }

    /// A command of this resource that sends something to a server that can't be read.
    fn send(args: &StateArgs, prefix: &str, resource: &str) {
        let mut file = open(args, 1, prefix, resource);
        let (ledger, sent) = file.load(Timestamp::now()).unwrap();
        file.save(&ledger, &sent).unwrap();
        file.record.sections.last_mut().unwrap().has_sent = true;
        file.save(&ledger, &MembershipCache::lost()).unwrap();
    }

    #[test]
    fn what_one_resource_sent_is_not_taken_over_by_another_whatever_its_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        begin(&args, "paris:");
        send(&args, "berlin:", "berlin");
        for prefix in ["paris:", "rome:", ""] {
            let mut other = open(&args, 1, prefix, "paris");
            let refused = other.load(Timestamp::now());
            assert!(
                matches!(&refused, Err(StateError::SentByAnother { resource, prefix })
                    if resource == "berlin" && prefix == "berlin:"),
                "{prefix}: {:?}",
                refused.err()
            );
        }
        // By an older copy of the record, too.
        let path = open(&args, 1, "", "").path;
        let older = std::fs::read(&path).unwrap();
        send(&args, "berlin:", "berlin");
        std::fs::write(&path, older).unwrap();
        let mut other = open(&args, 1, "paris:", "paris");
        assert!(other.load(Timestamp::now()).is_err());
    }

    #[test]
    fn a_resource_with_another_prefix_goes_on_from_what_it_sent_under_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        send(&args, "berlin:", "staff");
        send(&args, "hq:", "staff");
        assert!(load(&args, "hq:", "staff").1.sent().lost, "as it was kept");
        let mut before = open(&args, 1, "berlin:", "other");
        assert!(before.load(Timestamp::now()).is_err(), "it was moved");
    }

    #[test]
    fn a_hold_has_its_number_whatever_other_resources_hold_and_none_is_used_twice() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let with = |resource: &str, holds: Holds| {
            let mut file = open(&args, 1, "", resource);
            let (mut ledger, sent) = file.load(Timestamp::now()).unwrap();
            ledger.use_holds(resource, holds);
            file.save(&ledger, &sent).unwrap();
        };
        // A plan of one, and nothing but the plan.
        let mut file = open(&args, 1, "", "staff");
        let (planned, sent) = file.load(Timestamp::now()).unwrap();
        file.begin(&planned, &sent).unwrap();
        drop(file);
        with("other", Holds::after(7));
        let count = |resource: &str| load(&args, "", resource).0.holds().count();
        assert_eq!(count("staff"), planned.holds().count());
        assert_eq!(count("third"), 7);
        // Whose holds were crowded out doesn't begin with a number that they may have used.
        for number in 0..RESOURCES_MAX {
            with(&format!("resource{number}"), Holds::default());
        }
        assert_eq!(count("staff"), 7);
    }

    #[test]
    fn two_commands_at_a_time_can_not_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let file = open(&args, 1, "berlin:", "staff");
        let again = StateFile::open(&args, Uuid::from_u128(1), "paris:", "other");
        assert!(matches!(again, Err(StateError::Busy(_))));
        drop(file);
        open(&args, 1, "paris:", "other");
    }

    #[test]
    fn the_folder_follows_the_base_directory_specification() {
        let folder = |state: Option<&str>, home: Option<&str>| {
            default_folder(&|name| match name {
                "XDG_STATE_HOME" => state.map(Into::into),
                "HOME" => home.map(Into::into),
                _ => None,
            })
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(folder(Some("/s"), Some("/h")), path("/s/directory-sync"));
        assert_eq!(
            folder(None, Some("/h")),
            path("/h/.local/state/directory-sync")
        );
        assert_eq!(
            folder(Some("s"), Some("/h")),
            path("/h/.local/state/directory-sync")
        );
        assert_eq!(folder(None, None), None);
    }
}
