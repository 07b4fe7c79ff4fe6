//! The state folder: what commands took away, one file an organization.
//!
//! A file is replaced atomically, readable by its owner only, and locked while a command works on the
//! organization, so that two at a time (a cron job that takes longer than its interval) can't use
//! the same day's limit twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::args::StateArgs;
use crate::sync::ledger::Ledger;
use crate::sync::memberships::MembershipCache;

/// Below `XDG_STATE_HOME`.
const FOLDER: &str = "directory-sync";

/// Why the record of removals can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No folder.
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
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another command.
    #[error(
        "another command is working on this organization ({0} is locked); try again when it is done"
    )]
    Busy(PathBuf),
}

/// The record of one organization, locked.
pub struct LedgerFile {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl LedgerFile {
    /// Opens and locks the record of an organization. Makes the folder where there is none.
    pub fn open(args: &StateArgs, organization: Uuid) -> Result<Self, StateError> {
        let folder = match &args.state_dir {
            Some(folder) => folder.clone(),
            None => default_folder(&|name| std::env::var_os(name)).ok_or(StateError::NoPlace)?,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed("make", &folder, error))?;
        // A file of its own: the record itself is replaced.
        let lock = folder.join(format!("{organization}.lock"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(|error| failed("open", &lock, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Busy(lock)),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &lock, error)),
        }
        Ok(Self {
            path: folder.join(format!("{organization}.ledger")),
            _lock: file,
        })
    }

    /// What was kept; a new record where there is none. A damaged one makes the command careful.
    pub fn load(&self, now: Timestamp) -> Result<Ledger, StateError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => {
                let ledger = Ledger::load_unchecked(&bytes, now);
                if ledger.is_careful() {
                    tracing::warn!(
                        path = %self.path.display(),
                        "the record of earlier removals is or was damaged; what rests on absence is \
                         held for a day"
                    );
                }
                Ok(ledger)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ledger::begin(now)),
            Err(error) => Err(failed("read", &self.path, error)),
        }
    }

    /// What was sent to the organization, if it can't be read. Where that is damaged, or missing
    /// beside a record of removals, nothing is known of it any more.
    pub fn load_sent(&self) -> Result<MembershipCache, StateError> {
        let path = self.path.with_extension("sent");
        match std::fs::read(&path) {
            Ok(bytes) => Ok(MembershipCache::from_bytes(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "what was sent isn't known any more");
                MembershipCache::lost()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.path.try_exists() {
                Ok(true) => Ok(MembershipCache::lost()),
                Ok(false) => Ok(MembershipCache::default()),
                Err(error) => Err(failed("look for", &self.path, error)),
            },
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    /// Notes that nothing was sent so far, where there is no record yet.
    pub fn begin_sent(&self, memory: &MembershipCache) -> Result<(), StateError> {
        match self.path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => self.save_sent(memory),
            Err(error) => Err(failed("look for", &self.path, error)),
        }
    }

    /// Keeps what was sent to the organization.
    pub fn save_sent(&self, memory: &MembershipCache) -> Result<(), StateError> {
        let path = self.path.with_extension("sent");
        replace(&path, &memory.clone().sent_only().to_bytes())
    }

    /// Keeps a new record, unless there is one.
    pub fn begin(&self, ledger: &Ledger) -> Result<(), StateError> {
        match self.path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => self.save(ledger),
            Err(error) => Err(failed("look for", &self.path, error)),
        }
    }

    /// Replaces the record.
    pub fn save(&self, ledger: &Ledger) -> Result<(), StateError> {
        replace(&self.path, &ledger.to_bytes())
    }
}

/// Writes a file as a whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|error| failed("write", path, error))
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

fn failed(doing: &'static str, path: &Path, error: io::Error) -> StateError {
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

    #[test]
    fn a_record_is_kept_for_its_organization_and_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(&folder.path().join("new"));
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let now = Timestamp::now();
        let ledger = Ledger::begin(now);
        let file = LedgerFile::open(&args, one).unwrap();
        file.begin(&ledger).unwrap();
        file.begin(&Ledger::begin_careful(now)).unwrap();
        assert_eq!(file.load(now).unwrap().digest(), ledger.digest());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        assert_eq!(mode(&folder.path().join("new")), 0o700);
        let other = LedgerFile::open(&args, other).unwrap();
        assert_ne!(
            other.load(Timestamp::now()).unwrap().digest(),
            ledger.digest()
        );
    }

    #[test]
    fn what_was_sent_is_kept_and_missing_or_damaged_it_is_not_taken_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let file = LedgerFile::open(&args, Uuid::from_u128(1)).unwrap();
        let first = file.load_sent().unwrap();
        assert_eq!(
            first,
            MembershipCache::default(),
            "the first command of all"
        );
        file.begin_sent(&first).unwrap();
        file.begin(&Ledger::begin(Timestamp::now())).unwrap();
        assert_eq!(file.load_sent().unwrap(), first, "planned, not synced yet");

        let path = file.path.with_extension("sent");
        std::fs::write(&path, b"something else").unwrap();
        assert!(file.load_sent().unwrap().sent().lost);
        std::fs::remove_file(&path).unwrap();
        assert!(file.load_sent().unwrap().sent().lost, "there was one");
        file.save_sent(&MembershipCache::lost()).unwrap();
        assert!(file.load_sent().unwrap().sent().lost, "and so it stays");
    }

    #[test]
    fn two_commands_at_a_time_can_not_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let args = in_folder(folder.path());
        let file = LedgerFile::open(&args, Uuid::from_u128(1)).unwrap();
        let again = LedgerFile::open(&args, Uuid::from_u128(1));
        assert!(matches!(again, Err(StateError::Busy(_))));
        drop(file);
        LedgerFile::open(&args, Uuid::from_u128(1)).unwrap();
    }

    #[test]
    fn a_damaged_record_makes_the_command_careful() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::open(&in_folder(folder.path()), Uuid::from_u128(1)).unwrap();
        file.save(&Ledger::begin(Timestamp::now())).unwrap();
        let mut bytes = std::fs::read(&file.path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file.path, bytes).unwrap();
        assert!(file.load(Timestamp::now()).unwrap().is_careful());
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
