//! Brings the tenant of an earlier read up to date, instead of reading everything again.
//!
//! The deltas tell which users and groups have changed, and nothing else of what they say is believed: they repeat
//! themselves, come in pieces and in any order. What has changed is asked for as it is now, with the properties that a
//! whole read asks for, and goes through the same code. So has whoever came into a list that no delta covers, or left it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use uuid::Uuid;

use super::changes::DeltaState;
use super::graph::Graph;
use super::groups;
use super::kept::{self, KeptTenant, NotKept, Recent};
use super::read::new_version;
use super::scope::Scope;
use super::settings::EntraIdSettings;
use super::users::{self, Selection};
use crate::ReadProgress;
use crate::directory::{Directory, DirectoryBuilder, ExternalId, Incremental, ReadNow};
use crate::http::ApiError;

/// So many users and groups may be asked for, whatever the size of the tenant.
const ALWAYS_ASKED: usize = 100;
/// After so many people others have their turn.
const TURN: usize = 4_096;

/// Why everything is read instead.
#[derive(Debug, thiserror::Error)]
pub(super) enum Doubt {
    /// A request failed.
    #[error(transparent)]
    Failed(#[from] ApiError),
    /// What came doesn't fit what is known.
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Doubt {
    /// In a few words of our own: if a request fails again, the read that follows says why.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) => "a request failed",
            Self::Unexpected(what) => what,
        }
    }
}

impl From<NotKept> for Doubt {
    fn from(why: NotKept) -> Self {
        Self::Unexpected(match why {
            NotKept::NoRoom => {
                "there is no room for what changed in what --keep-directories allows"
            }
            NotKept::Twice => "a user was listed twice",
        })
    }
}

/// Asks for what has changed since `state` and puts it into `kept`. The users and groups that were read, and where the
/// deltas go on.
///
/// # Errors
/// Where it is in doubt that `kept` is then what a whole read would see.
pub(super) async fn update(
    graph: &Graph,
    settings: &EntraIdSettings,
    state: &DeltaState,
    kept: &mut KeptTenant,
    recent: &Mutex<Recent>,
) -> Result<(DeltaState, ReadNow), Doubt> {
    let (told, now) = tokio::try_join!(state.follow(graph), Scope::read(graph, settings))?;
    let (users, groups) = kept::note(recent, &told, settings.replica_lag);
    // No delta tells of these lists: whoever came into one or left it may be read now, or not any more.
    let moved = now.people_moved_since(&kept.scope);
    let scope = now.fingerprint();
    kept.scope = now;
    let left = ALWAYS_ASKED + kept.pages();
    let mut changes = Changes {
        graph,
        settings,
        kept,
        removed: told.removed(),
        left,
        read_now: ReadNow::default(),
        is_other: scope != state.scope,
        gone: BTreeSet::new(),
        read_groups: BTreeSet::new(),
    };
    let joined = changes.read_groups(groups).await?;
    let users: BTreeSet<Uuid> = [users, moved, joined].into_iter().flatten().collect();
    changes.read_users(users.into_iter().collect()).await?;
    let (read_now, is_other) = changes.finish()?;
    if is_other {
        kept.version = new_version();
    }
    let is_updated = state.is_updated || is_other || !told.tells_nothing();
    let state = DeltaState {
        version: kept.version.clone(),
        users: told.users_link,
        groups: told.groups_link,
        scope,
        since: state.since,
        is_updated,
    };
    Ok((state, read_now))
}

/// Puts what has changed into what is kept.
struct Changes<'a> {
    graph: &'a Graph,
    settings: &'a EntraIdSettings,
    kept: &'a mut KeptTenant,
    /// Of whom a delta says that they were deleted.
    removed: BTreeSet<Uuid>,
    /// How much more may be asked for, in lists and entries.
    left: usize,
    read_now: ReadNow,
    /// Whether anything is other than it was.
    is_other: bool,
    /// Who isn't there any more.
    gone: BTreeSet<Uuid>,
    read_groups: BTreeSet<Uuid>,
}

impl Changes<'_> {
    fn spend(&mut self, parts: usize) -> Result<(), Doubt> {
        let left = self.left.checked_sub(parts);
        self.left = left.ok_or(Doubt::Unexpected("very much has changed"))?;
        Ok(())
    }

    /// An error where `asked` may not be what came, or isn't simply there as before or new.
    fn ensure_there(&self, asked: Uuid, came: Uuid) -> Result<(), Doubt> {
        if asked != came {
            return Err(Doubt::Unexpected("another entry came than was asked for"));
        }
        if self.removed.contains(&asked) {
            return Err(Doubt::Unexpected(
                "an entry is still shown that a delta tells as deleted",
            ));
        }
        // In which groups they are again no delta is known to tell.
        if self.kept.was_deleted(asked) {
            return Err(Doubt::Unexpected("an entry is back that was deleted"));
        }
        Ok(())
    }

    /// Reads these groups. The people who are new in one of them: nobody comes into a group whose own entry wasn't read.
    async fn read_groups(&mut self, ids: BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>, Doubt> {
        let mut joined = BTreeSet::new();
        let Some(mut groups) = self.kept.groups.take() else {
            return Ok(joined);
        };
        let lists = ids.iter().map(|id| 2 + groups.member_count(*id) / 999);
        self.spend(lists.sum())?;
        let asked: Vec<Uuid> = ids.iter().copied().collect();
        let found = groups::read_again(self.graph, &asked).await?;
        for (id, found) in asked.into_iter().zip(found) {
            let Some(group) = found else {
                let was_there = groups.remove(id);
                self.is_other |= was_there;
                if was_there || self.removed.contains(&id) {
                    self.gone.insert(id);
                }
                continue;
            };
            self.ensure_there(id, group.id)?;
            let replaced = groups.replace(group);
            self.is_other |= replaced.is_other;
            // Else those groups say who is in it, too, and weren't all read.
            if !replaced.has_groups {
                self.read_now.groups.extend(external_id(id));
                joined.extend(replaced.joined);
            }
        }
        self.read_groups = ids;
        self.kept.groups = Some(groups);
        Ok(joined)
    }

    async fn read_users(&mut self, ids: Vec<Uuid>) -> Result<(), Doubt> {
        if ids.is_empty() {
            return Ok(());
        }
        self.spend(ids.len())?;
        let settings = &self.settings.users;
        let (found, selection) = tokio::try_join!(
            users::read_again(self.graph, settings, &ids),
            Selection::read(self.graph, settings)
        )?;
        let mut is_any_gone = false;
        for (id, found) in ids.into_iter().zip(found) {
            let Some(user) = found else {
                is_any_gone = true;
                let was_there = self.kept.remove_user(id);
                self.is_other |= was_there;
                // Somebody new may not be known everywhere yet, and stays in their groups.
                if was_there || self.removed.contains(&id) {
                    self.gone.insert(id);
                }
                continue;
            };
            self.ensure_there(id, user.id)?;
            let person = selection.person(&user, &self.kept.scope)?;
            self.is_other |= match person {
                Some(person) => {
                    self.read_now.users.extend(external_id(id));
                    self.kept.put_user(person)
                }
                None => self.kept.remove_user(id),
            };
        }
        if is_any_gone {
            let mut deleted = vec![];
            users::read_deleted(self.graph, |user| deleted.push(user)).await?;
            self.is_other |= self.kept.put_deleted(deleted);
        }
        Ok(())
    }

    /// What was read, and whether anything is other than it was.
    fn finish(mut self) -> Result<(ReadNow, bool), Doubt> {
        if let Some(groups) = &mut self.kept.groups {
            self.is_other |= groups.remove_members(&self.gone, &self.read_groups);
        }
        self.kept.note_gone(self.gone);
        self.kept.reserve()?;
        Ok((self.read_now, self.is_other))
    }
}

fn external_id(id: Uuid) -> Option<ExternalId> {
    ExternalId::parse(&id.to_string()).ok()
}

/// The directory that `kept` is.
pub(super) async fn directory(
    settings: &EntraIdSettings,
    kept: &KeptTenant,
    read_now: ReadNow,
    progress: &ReadProgress,
) -> Incremental<Directory> {
    let mut builder = DirectoryBuilder::new();
    for (number, person) in kept.people().enumerate() {
        person.add(&mut builder, &settings.users);
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    progress.add_users(kept.people().len());
    for user in kept.deleted() {
        users::add_deleted(&mut builder, &settings.users, user);
    }
    super::read::add_groups(settings, kept.groups.as_ref(), &kept.scope, &mut builder);
    if let Some(groups) = &kept.groups {
        progress.add_groups(groups.counts().0);
    }
    builder.finish_incremental(read_now)
}
