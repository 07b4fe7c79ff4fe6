//! Notices between reads who was suspended, archived or deleted: Google has a list of each. Nothing tells which
//! other changes there were: those are noticed by the scheduled run.
//!
//! Google's searches show most changes within an hour, and all within 36 (Directory API, "Search for users"): a
//! signal may come late. The list of deleted accounts is none of a search.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::api::{Api, List};
use super::known::{Gone, KnownPeople};
use super::limit;
use super::settings::{GoogleWorkspaceSettings, UserSettings};
use super::users::{deleted_lists, search_lists};
use super::wire::DeletedUser;
use crate::directory::{AccountState, ExternalId};
use crate::http::ApiError;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// A look counts as so many requests at least: where lists are short, it takes one for each.
const LEAST: u32 = 3;
/// After a look that found somebody who seems to have left, whoever leaves with them is found sooner: a request
/// counts as a part of one, but not as less than two in all.
const SOON: (u32, u32) = (5, 2);
/// A watch sends so many requests a minute.
const EACH: u32 = 4;
/// All watches of an account together send one of so many that it may send.
const PART_OF_QUOTA: u32 = 10;
/// Where they would be looked at more rarely than this, the scheduled runs are as good.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Watches until a question fails.
pub(super) async fn watch(
    api: &Api,
    settings: &GoogleWorkspaceSettings,
    known: &KnownPeople,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        api,
        settings,
        known,
        observer,
    };
    match watch.execute().await {
        Ok(never) => match never {},
        Err(End::TooLong) => WatchEnd::Unsupported(format!(
            "Google lists so many suspended and deleted accounts that they could be looked at every {} \
             minutes at most",
            LONGEST.as_secs() / 60
        )),
        Err(End::Failed(error)) => WatchEnd::Lost(SourceError::from(error)),
    }
}

enum End {
    TooLong,
    Failed(ApiError),
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

struct Watch<'a> {
    api: &'a Api,
    settings: &'a GoogleWorkspaceSettings,
    known: &'a KnownPeople,
    observer: &'a dyn WatchObserver,
}

/// One look at the lists.
#[derive(Default)]
struct Look {
    gone: Gone,
    /// Whoever wasn't gone before, with the time where Google tells it.
    hints: Vec<Hint>,
    requests: u32,
}

impl Watch<'_> {
    async fn execute(&self) -> Result<Infallible, End> {
        let mut before = self.known.gone();
        if before.is_none() {
            // What was there at the last read isn't known any more.
            self.observer.changed(Hint::default());
        }
        let base = &self.settings.addresses.directory;
        let all = limit::join_watches(base, self.api.account.acts_as());
        let quota = self.settings.requests_per_minute;
        let mut is_watching = false;
        loop {
            let began = Instant::now();
            let look = self.look(before.as_ref()).await?;
            let every = self.settings.poll_interval * look.requests.max(LEAST);
            let slower_by = all.slower_by(EACH, quota / PART_OF_QUOTA);
            if every * slower_by > LONGEST {
                return Err(End::TooLong);
            }
            let wait = self.wait_after(&look) * slower_by;
            for hint in look.hints {
                self.observer.changed(hint);
            }
            before = Some(look.gone);
            if !std::mem::replace(&mut is_watching, true) {
                self.observer.watching(WatchMethod::Poll(every * slower_by));
            }
            // From look to look: whoever leaves right after one waits no longer than that.
            sleep_until(began + wait).await;
        }
    }

    /// From the beginning of this look to that of the next.
    fn wait_after(&self, look: &Look) -> Duration {
        let interval = self.settings.poll_interval;
        let every = interval * look.requests.max(LEAST);
        let (part, least) = SOON;
        match look.hints.is_empty() {
            true => every,
            false => every.min(interval * look.requests.div_ceil(part).max(least)),
        }
    }

    /// Reads the lists, and compares them with how they were before, if that is known.
    async fn look(&self, before: Option<&Gone>) -> Result<Look, ApiError> {
        let mut look = Look::default();
        let tenant = &self.settings.tenant;
        for (search, meaning) in searches(&self.settings.users) {
            for list in search_lists(self.api, tenant, search) {
                let seen = |look: &mut Look, user: &DeletedUser| {
                    let hash = self.known.hash(&user.id);
                    let is_new = before.is_some_and(|before| !before.disabled.contains(&hash));
                    // Google may have left out of the last look whom it shows again.
                    let is_new = is_new && !self.known.was_disabled(hash);
                    // Whoever is both suspended and archived is told once.
                    if look.gone.disabled.insert(hash) && is_new {
                        self.tell(look, hash, Hint::default(), &user.id, meaning.is_some());
                    }
                };
                self.read(&mut look, &list, seen).await?;
            }
        }
        for list in deleted_lists(self.api, tenant, "id,deletionTime") {
            let seen = |look: &mut Look, user: &DeletedUser| {
                let hash = self.known.hash(&user.id);
                let is_new = before.is_some_and(|before| !before.deleted.contains(&hash));
                let is_new = is_new && !self.known.was_deleted(hash);
                if look.gone.deleted.insert(hash) && is_new {
                    let when = user.deletion_time.as_deref();
                    let hint = Hint::of(when.and_then(|time| time.parse().ok()));
                    // The address may have a new account, which a run looks for.
                    self.tell(look, hash, hint, &user.id, false);
                }
            };
            self.read(&mut look, &list, seen).await?;
        }
        let came_back = before.is_some_and(|before| {
            let mut back = before.disabled.difference(&look.gone.disabled);
            back.any(|hash| !look.gone.deleted.contains(hash) && self.known.was_disabled(*hash))
        });
        if came_back {
            look.hints.push(Hint::default());
        }
        Ok(look)
    }

    fn tell(&self, look: &mut Look, hash: u64, hint: Hint, id: &str, leaves: bool) {
        if self.known.matters(hash) {
            let leaver = leaves.then(|| ExternalId::parse(id).ok()).flatten();
            look.hints.push(Hint { leaver, ..hint });
        }
    }

    async fn read(
        &self,
        look: &mut Look,
        list: &List,
        seen: impl Fn(&mut Look, &DeletedUser),
    ) -> Result<(), ApiError> {
        let read = self.api.read(list, |page: Vec<DeletedUser>| {
            look.requests += 1;
            page.iter().for_each(|user| seen(look, user));
            Ok(())
        });
        read.await
    }
}

/// The searches for those whose accounts can't be used, with what that means; not where it means nothing.
fn searches(settings: &UserSettings) -> impl Iterator<Item = (&'static str, Option<AccountState>)> {
    let searches = [
        ("isSuspended=true", settings.suspended),
        ("isArchived=true", settings.archived),
    ];
    searches
        .into_iter()
        .filter(|(_, meaning)| *meaning != Some(AccountState::Active))
}
