//! What was taken away and given, when, on which evidence and under which approval.
//!
//! The limits are for a rolling day and not for a run, so what earlier runs took away has to be
//! known; so has whom we revoked, because nobody else is restored, and which approvals were used.
//! Without its ledger the operator is more careful, never less ([`Ledger::load`]).
//!
//! A ledger is bounded whatever the size of the organization ([`BYTES_MAX`]). People and groups are kept as
//! 64 bits of the hash of their external id.

mod approved;
mod clock;
mod elsewhere;
mod facts;
mod floors;
mod gained_access;
mod given;
mod given_access;
mod holds;
mod hourly;
mod invitations;
mod origin;
mod record;
mod undone;
mod used;

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use approved::{APPROVED_SETS_MAX, ApprovedSets, LARGE_APPROVAL_MAX};
pub(crate) use elsewhere::Tally;
pub use facts::Fact;
pub(crate) use floors::Limited;
pub(crate) use gained_access::GainedAccess;
pub use given::GIVEN_MAX;
pub use given_access::GIVEN_ACCESS_MAX;
pub use holds::{Hold, HoldId, Holds};
pub use invitations::Invitations;
pub(crate) use invitations::{Link, SeenInvitations, Waiting, WaitingFor, invitation};
pub use undone::UNDONE_MAX;
pub(crate) use undone::{Repeat, UndoneSet};
pub use used::{LIMITS_USED_MAX, Used, larger};

use crate::directory::{Evidence, ExternalId};
use crate::organization::collection::CollectionAccess;
use crate::organization::role::AccessRole;
use crate::sync::hash::{hash, person_hash, truncated};
use crate::sync::limits::WINDOW;
use crate::sync::plan::{NotRead, RuleId};
use crate::sync::stored::{self, Magic};

/// No ledger has more bytes than this. All the following limits add up to it.
pub const BYTES_MAX: usize = 300 * 1024 + invitations::BYTES_MAX;
/// So many losses of a day are kept one by one; of more only the number is.
pub const LOSSES_MAX: usize = 2_000;
/// So many revoked people are kept, the latest ones. Who isn't is not restored by itself.
pub const REVOKED_MAX: usize = 3_000;
/// The changes of an approval are kept here as long as it has no more than this; of a larger one they are kept
/// beside the ledger ([`ApprovedSets`]).
pub const APPROVED_MAX: usize = 3_000;
/// So many people are kept of a run that may have been stopped before it invited them. Of more than
/// these all are taken to have been invited.
const PENDING_MAX: usize = 1_000;
/// So often it is kept what a limit was a share of when it held something, or before a run added to it.
const FLOORS_MAX: usize = 300;
/// So many used approvals are kept, the latest ones.
const USED_MAX: usize = 50;
/// How long losses are kept, in seconds: longer than [`WINDOW`], so that a clock that was ahead for
/// a while doesn't forget them.
const KEPT: i64 = 7 * 24 * 3600;
/// So long after active people were last seen to have the attribute of disabled accounts, nobody is taken
/// to be active for lacking it, in seconds.
const ACTIVE_HAD: i64 = 30 * 24 * 3600;
/// So long after a run began, a revocation whose answer it didn't hear is taken to be ours where the
/// member is revoked, in seconds. Later somebody may have revoked them by hand.
const ANSWER_UNHEARD: i64 = 3600;

const MAGIC: &Magic = b"dsyncldH";

/// What was taken away and given by earlier runs for one organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Identifies the organization; zeros before the first run.
    organization: [u8; 16],
    /// Another one whenever a ledger is begun: holds of the ones before are other holds.
    epoch: i64,
    /// The time as of which it is looked at, in seconds. Not kept: an unchanged ledger isn't written.
    #[serde(skip)]
    latest: i64,
    /// Until then earlier losses are unknown, in seconds.
    careful_until: i64,
    careful_ahead: i64,
    /// They are unknown because this is the first record of an organization that had managed members.
    adopted: bool,
    /// Until then, or until everybody is in, people are invited without limit: it is the first sync.
    first_sync_until: i64,
    /// The organization had managed members at some time: another first sync isn't one.
    had_members: bool,
    floors: Vec<floors::Floor>,
    losses: Vec<Loss>,
    /// Losses that didn't fit.
    uncounted: Vec<Uncounted>,
    /// Losses that none of its runs caused.
    elsewhere: Vec<Uncounted>,
    expected: Option<elsewhere::Expected>,
    clock: clock::Clock,
    invited: Vec<Invited>,
    revoked: Vec<Revoked>,
    active_had: Option<ActiveHad>,
    /// What people took back.
    undone: Vec<undone::Undone>,
    /// More than fit was taken back.
    everything_undone: bool,
    /// Who was invited and isn't confirmed yet.
    invitations: Invitations,
    holds: Holds,
    /// The roles that runs gave.
    given: Vec<given::Given>,
    /// How many members gained or lost rights of whom it isn't kept who they are.
    role_numbers: Vec<given::RoleNumber>,
    /// The access to collections that runs gave, sorted.
    given_access: Vec<given_access::GivenAccess>,
    /// How many people gained access to collections.
    gained_access: Vec<gained_access::Gained>,
    /// The resource that it is used for, where several share it. Not kept: its holds are beside it.
    #[serde(skip)]
    resource: [u8; 16],
    /// No run has planned with it yet. Not kept: whatever is read was used before.
    #[serde(skip)]
    new: bool,
    /// What other ledgers of the same members know.
    #[serde(skip)]
    shared: Shared,
    /// What the run under way replaced. Not kept: it is put back only where the run hears of a refusal.
    #[serde(skip)]
    replaced: Replaced,
}

/// What was known of somebody before a run noted what it is about to do to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Replaced {
    losses: Vec<Loss>,
    revoked: Vec<Revoked>,
}

/// What other ledgers know was lost and given. It counts here, and is kept there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shared {
    losses: Vec<Loss>,
    uncounted: Vec<Uncounted>,
    invited: Vec<Invited>,
    floors: Vec<floors::Floor>,
    /// Who lost access as disabled, by the ids that they had.
    disabled: Vec<Revoked>,
    /// Of those, who may have another id now: it was this resource that gave it.
    former: Vec<Revoked>,
    active_had: Option<ActiveHad>,
}

/// Active people had the attribute that tells disabled accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ActiveHad {
    rule: RuleId,
    /// When that was last read, to within a day.
    at: i64,
}

/// The key of a person or group.
pub(crate) type Key = [u8; 8];

/// The kind of evidence that a loss rests on; each has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceKind {
    /// The entry was read and is disabled.
    Disabled,
    /// Not in the directory, out of scope, or not in a group any more.
    Absent,
}

impl From<&Evidence> for EvidenceKind {
    fn from(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Disabled(_) => Self::Disabled,
            Evidence::Absent
            | Evidence::OutOfScope(_)
            | Evidence::Undone(_)
            | Evidence::NotAccepted { .. } => Self::Absent,
        }
    }
}

/// Something that somebody lost without an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Loss {
    at: i64,
    ahead: i64,
    what: What,
    kind: EvidenceKind,
    /// It was seen to have happened; before, it may have.
    done: bool,
    /// They don't count once more in what limits are a share of: they have it back, or had no access
    /// any more when they were removed.
    outside_base: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum What {
    /// Access to or membership in the organization.
    Access { person: Key },
    /// Membership in a group.
    Membership { person: Key, group: Key },
    /// A group, deleted.
    Group { group: Key },
    /// Nothing: the name of a group that somebody left, or that was deleted.
    Name { group: Key, name: Key },
    /// Rights of their role.
    Role { person: Key },
    /// The access that rules gave a group, because it isn't synced any more.
    Ended { group: Key },
}

/// Losses of which only the number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Uncounted {
    at: i64,
    ahead: i64,
    kind: EvidenceKind,
    losses: u32,
}

/// People who were invited, or got their access back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Invited {
    at: i64,
    ahead: i64,
    people: u32,
    /// They were; before, they may have been.
    done: bool,
    /// Who they are as long as they only may have been invited; nobody where they are more than
    /// [`PENDING_MAX`].
    pending: Vec<Key>,
    asked: Asked,
}

/// Whether somebody was asked before people came in. None of them makes a limit larger within the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Asked {
    /// Nobody: they count for `onboarding.limit`.
    Nobody,
    /// Nobody needed to be: it was the first sync of an organization that had managed members before.
    FirstSync,
    /// Somebody approved it.
    Approved,
}

/// Somebody whom we revoked, or whose account was disabled when they lost access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Revoked {
    /// When they lost access; where they have no membership to get back, when their account was last read
    /// as disabled, to within a day.
    at: i64,
    person: Key,
    /// The member that was revoked, as [`member_number`]; zeros where the server can't be read.
    member: [u8; 2],
    kind: EvidenceKind,
    /// What told that the account is disabled, when it was last read so.
    rule: RuleId,
    state: RevocationState,
    /// Whether somebody approved newcomers who may have been they, under another id.
    settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum RevocationState {
    /// A run began to, and it isn't known to have come that far.
    Maybe,
    /// We did.
    Revoked,
    /// They lost access because their account was disabled, and aren't a revoked member any more; or
    /// their account was disabled while somebody else had revoked them.
    Former,
    /// The request was sent, or was about to be, and how it ended isn't known. The next read tells
    /// whether they are revoked.
    Requested,
}

/// What was lost within the last day without an approval.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    latest: i64,
    losses: Vec<Loss>,
    uncounted: [usize; 2],
    /// How many people were invited, or got their access back, without an approval.
    pub invited: usize,
    /// How many more may have been, by runs that were stopped.
    pub maybe_invited: usize,
    /// How many people lost access by something else than the runs of this ledger.
    pub elsewhere: usize,
    /// How many more were, or may have been, by a first sync in an organization that had managed
    /// members before.
    pub first_sync: usize,
    /// How many more were, or may have been, with an approval.
    pub approved: usize,
    pending: Vec<Key>,
}

impl crate::sync::plan::Revocations for Ledger {
    fn is_incomplete(&self) -> bool {
        self.is_careful()
    }

    fn has_revoked(&self, person: &ExternalId, member: Option<Uuid>) -> bool {
        let mut revoked = self.revocations_of(person);
        revoked.any(|one| one.is_ours(self.latest) && one.is_member(member))
    }

    fn disabled_by(&self, person: &ExternalId) -> Option<RuleId> {
        let disabled = self.revocations_of(person);
        let disabled = disabled.filter(|one| one.kind == EvidenceKind::Disabled);
        let disabled = disabled.chain(of_person(&self.shared.disabled, person));
        let rules = disabled.map(|one| one.rule);
        rules.reduce(|one, other| if one == other { one } else { RuleId::UNKNOWN })
    }

    fn has_revoked_by(&self, person: &ExternalId, member: Uuid, time: Timestamp) -> bool {
        let mut revoked = self.revocations_of(person);
        revoked.any(|one| {
            one.is_ours(self.latest) && one.is_member(Some(member)) && one.at <= time.as_second()
        })
    }

    fn was_disabled(&self, person: &ExternalId) -> bool {
        // Whom we revoked may have been removed since by somebody else.
        let mut known = self.revocations_of(person);
        known.any(|one| one.state == RevocationState::Former || one.kind == EvidenceKind::Disabled)
            || of_person(&self.shared.disabled, person).next().is_some()
    }

    fn active_had_attribute(&self, rule: RuleId) -> bool {
        let known = [self.active_had, self.shared.active_had];
        let mut known = known.into_iter().flatten();
        known.any(|had| had.rule == rule && self.latest < had.at.saturating_add(ACTIVE_HAD))
    }

    fn disabled_and_not_read(&self, read: &mut dyn Iterator<Item = &ExternalId>) -> Vec<NotRead> {
        let disabled = self.revoked.iter();
        let since = self.latest.saturating_sub(KEPT);
        // An approval about those of another prefix can't be noted with them: they count for a week.
        let former = self.shared.former.iter().filter(|one| one.at > since);
        let disabled = disabled.filter(|one| !one.settled).chain(former);
        let disabled = disabled.filter(|one| one.kind == EvidenceKind::Disabled);
        let disabled = disabled.map(|one| NotRead {
            person: one.person,
            rule: one.rule,
            at: one.at,
        });
        let mut left: HashMap<Key, NotRead> = disabled.map(|one| (one.person, one)).collect();
        while !left.is_empty()
            && let Some(person) = read.next()
        {
            left.remove(&key(person));
        }
        let mut left: Vec<NotRead> = left.into_values().collect();
        left.sort_unstable_by_key(|one| one.person);
        left
    }

    fn believed(&self, now: Timestamp) -> Timestamp {
        self.believed(now)
    }

    fn has_given_role(&self, member: Uuid, role: AccessRole) -> bool {
        self.gave(member, role)
    }

    fn may_have_given_role(&self, member: Uuid, role: AccessRole) -> bool {
        self.may_have_given(member, role)
    }

    fn has_given_role_back(&self, member: Uuid, role: AccessRole) -> bool {
        self.gave_back(member, role)
    }

    fn given_roles(&self) -> usize {
        self.given_count()
    }

    fn has_lost_roles(&self) -> bool {
        self.lost_given()
    }

    fn invitations(&self) -> &Invitations {
        self.invitations()
    }

    fn has_given_access(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.gave_access(group, access)
    }

    fn may_have_given_access(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.may_have_given_access_key(group, access)
    }

    fn has_given_access_back(&self, group: Uuid, access: CollectionAccess) -> bool {
        self.gave_back_access_key(group, access)
    }

    fn given_access(&self) -> usize {
        self.given_access.len()
    }
}

impl Revoked {
    /// Whether they are revoked by us, where they are revoked as of `latest`.
    fn is_ours(&self, latest: i64) -> bool {
        match self.state {
            RevocationState::Revoked => true,
            RevocationState::Requested => {
                (self.at..=self.at.saturating_add(ANSWER_UNHEARD)).contains(&latest)
            }
            RevocationState::Maybe | RevocationState::Former => false,
        }
    }

    /// Whether it is this member, as far as either is known.
    fn is_member(&self, member: Option<Uuid>) -> bool {
        let Some(member) = member else { return true };
        self.member == NO_MEMBER || self.member == member_number(member)
    }
}

impl Ledger {
    /// The ledger of a new installation: nothing was taken away so far, and the first sync is to
    /// come.
    pub fn begin(now: Timestamp) -> Self {
        let latest = now.as_second();
        Self {
            epoch: now.as_nanosecond() as i64,
            latest,
            first_sync_until: latest + WINDOW.as_secs(),
            new: true,
            ..Self::default()
        }
    }

    /// A ledger in whose place another one was: for a day what was taken away is taken to be
    /// unknown, nobody counts as revoked by us, and approvals of before are void. Nor does anybody know whether
    /// the organization had members: another first sync isn't taken to be one.
    pub fn begin_careful(now: Timestamp) -> Self {
        let mut ledger = Self::begin(now);
        ledger.had_members = true;
        ledger.careful_until = ledger.latest + WINDOW.as_secs();
        ledger.first_sync_until = 0;
        ledger.new = false;
        ledger
    }

    /// Notes how many managed members the organization has, and how many of them have the ID of somebody in the
    /// directory. Where this is its first record, and it has any, nobody knows what was taken from them within
    /// the last day: it may be the first sync, or the record was deleted with everything around it. Where they have
    /// IDs of this directory, it was synced before, and people aren't invited as in a first sync.
    pub fn adopt(&mut self, managed_members: usize, recognized_by_id: usize, now: Timestamp) {
        if std::mem::take(&mut self.new) && managed_members > 0 {
            self.adopted = true;
            self.careful_until = now.as_second() + WINDOW.as_secs();
            self.careful_ahead = 0;
            if recognized_by_id > 0 {
                self.first_sync_until = 0;
            }
        }
    }

    /// Has what `other` knows was lost and given count in this ledger, too: it is of the same members,
    /// or of some of them.
    pub fn count_also(&mut self, other: &Self) {
        self.shared.losses.extend(&other.losses);
        self.shared.uncounted.extend(&other.uncounted);
        self.shared.invited.extend_from_slice(&other.invited);
        self.shared.floors.extend(&other.floors);
    }

    /// Has what `other` knows of people who lost access as disabled count in this ledger, too: nobody gets
    /// it back by another rule. `is_former` where its members had ids of this resource before: they may
    /// have others now.
    pub fn ask_also(&mut self, other: &Self, is_former: bool) {
        let disabled = other.revoked.iter();
        let disabled = disabled.filter(|one| one.kind == EvidenceKind::Disabled);
        let shared = &mut self.shared;
        shared.disabled.extend(disabled.clone());
        if is_former {
            shared.former.extend(disabled);
            shared.active_had = shared.active_had.or(other.active_had);
        }
    }

    /// Reads what was kept.
    ///
    /// `expected` are the digests of the ledgers that may have been written last, as something knows them that
    /// nobody else can write. A ledger that isn't one of these (it is missing, damaged, was restored from a
    /// backup or made up) still counts what it knows, and is careful.
    pub fn load<'d>(
        kept: Option<&[u8]>,
        expected: impl IntoIterator<Item = &'d str>,
        now: Timestamp,
    ) -> Self {
        let mut expected = expected.into_iter().peekable();
        let Some(kept) = kept else {
            return match expected.peek() {
                None => Self::begin(now),
                Some(_) => Self::begin_careful(now),
            };
        };
        let Some(ledger) = Self::from_bytes(kept, now) else {
            return Self::begin_careful(now);
        };
        let digest = Self::digest_of(kept);
        match expected.any(|expected| expected == digest) {
            true => ledger,
            false => ledger.doubted(now),
        }
    }

    /// Reads what was kept where nothing else knows its digest. Damaged bytes make a careful ledger.
    pub fn load_unchecked(kept: &[u8], now: Timestamp) -> Self {
        Self::from_bytes(kept, now).unwrap_or_else(|| Self::begin_careful(now))
    }

    /// The same where another one was written last: what it knows was lost counts, and it is careful. Anybody may
    /// have written it, so nothing in it makes a limit larger, and it isn't another organization's.
    #[must_use]
    pub fn doubted(mut self, now: Timestamp) -> Self {
        let careful = Self::begin_careful(now);
        // Nor does it keep anybody out or in: neither whose invitation was withdrawn is known, nor where the clock
        // stood.
        // Nor does it delay a dismissal: as where there is none, as many as on any other day may go.
        self.losses.retain(|one| one.kind != EvidenceKind::Disabled);
        self.uncounted
            .retain(|one| one.kind != EvidenceKind::Disabled);
        self.floors.retain(|one| one.of != Limited::Disabled);
        for loss in &mut self.losses {
            loss.outside_base = true;
        }
        for invited in &mut self.invited {
            invited.done = true;
            invited.pending.clear();
        }
        // Nobody counts as revoked by us; by which rule people were disabled is another matter.
        let mut revoked = self.revoked;
        revoked.retain(|one| one.kind == EvidenceKind::Disabled);
        for one in &mut revoked {
            one.state = RevocationState::Former;
        }
        Self {
            revoked,
            losses: self.losses,
            uncounted: self.uncounted,
            elsewhere: self.elsewhere,
            invited: self.invited,
            floors: self.floors,
            active_had: self.active_had,
            undone: Self::doubted_undone(self.undone),
            everything_undone: self.everything_undone,
            gained_access: gained_access::doubted(self.gained_access),
            ..careful
        }
        .at(now)
    }

    /// Begins anew unless it is about this organization. Notes where the clock stands, as a run
    /// begins with it.
    pub fn keep_for(&mut self, organization: &str, now: Timestamp) {
        self.keep_for_due(organization, now, |last| last);
    }

    /// The same where a schedule says when, at the latest, the first run after a time is `due`: a pause until then
    /// is no jump of the clock.
    pub fn keep_for_due(
        &mut self,
        organization: &str,
        now: Timestamp,
        due: impl FnOnce(Timestamp) -> Timestamp,
    ) {
        let organization = truncated(organization.as_bytes());
        if self.organization == [0; 16] {
            self.organization = organization;
        } else if self.organization != organization {
            *self = Self {
                organization,
                ..Self::begin(now)
            };
        }
        self.latest = now.as_second();
        let due = |last| match Timestamp::from_second(last) {
            Ok(last) => due(last).as_second(),
            Err(_) => last,
        };
        self.clock.tick(self.latest, due);
        self.correct_clock_skew(self.latest);
    }

    /// The ledger as of `now`. What lies ahead of it counts as having happened now, and what the clock
    /// said before is kept (`correct_clock_skew`): a clock that was wrong in one run gives the next ones no
    /// fresh budget. A loss is forgotten only once another loss was noted `KEPT` after it, by an
    /// earlier run: one clock that is ahead forgets nothing.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let now = now.as_second();
        let mut ledger = self.clone();
        ledger.correct_clock_skew(now);
        ledger.first_sync_until = ledger
            .first_sync_until
            .min(now.saturating_add(WINDOW.as_secs()));
        ledger.latest = now;
        if let Some(last) = ledger
            .times()
            .map(|(at, _)| at)
            .filter(|at| *at <= now)
            .max()
        {
            let kept = last.saturating_sub(KEPT);
            ledger.losses.retain(|loss| loss.at > kept);
            ledger.uncounted.retain(|one| one.at > kept);
            ledger.elsewhere.retain(|one| one.at > kept);
            ledger.invited.retain(|one| one.at > kept);
            ledger.gained_access.retain(|one| one.at > kept);
        }
        ledger.holds = ledger.holds.at(now);
        ledger
    }

    fn correct_clock_skew(&mut self, now: i64) {
        for loss in self.losses.iter_mut().chain(&mut self.shared.losses) {
            // It may have been as early as `at`: it counts as long as it may, and makes no limit larger.
            loss.outside_base |= loss.ahead > 0;
            correct_clock_skew(&mut loss.at, &mut loss.ahead, now);
        }
        let uncounted = self.uncounted.iter_mut().chain(&mut self.elsewhere);
        for one in uncounted.chain(&mut self.shared.uncounted) {
            correct_clock_skew(&mut one.at, &mut one.ahead, now);
        }
        for one in self.invited.iter_mut().chain(&mut self.shared.invited) {
            correct_clock_skew(&mut one.at, &mut one.ahead, now);
        }
        for one in &mut self.gained_access {
            correct_clock_skew(&mut one.at, &mut one.ahead, now);
        }
        for floor in self.floors.iter_mut().chain(&mut self.shared.floors) {
            floor.at = floor.at.min(now);
        }
        for had in self
            .active_had
            .iter_mut()
            .chain(&mut self.shared.active_had)
        {
            had.at = had.at.min(now);
        }
        let mut since = self.careful_until.saturating_sub(WINDOW.as_secs());
        correct_clock_skew(&mut since, &mut self.careful_ahead, now);
        self.careful_until = since.saturating_add(WINDOW.as_secs());
    }

    /// When something was lost or given: the time it counts from, and the latest one that it may be.
    fn times(&self) -> impl Iterator<Item = (i64, i64)> {
        let losses = self.losses.iter().map(|one| (one.at, one.ahead));
        let uncounted = self.uncounted.iter().map(|one| (one.at, one.ahead));
        let uncounted = uncounted.chain(self.elsewhere.iter().map(|one| (one.at, one.ahead)));
        let invited = self.invited.iter().map(|one| (one.at, one.ahead));
        let gained = self.gained_access.iter().map(|one| (one.at, one.ahead));
        let all = losses.chain(uncounted).chain(invited).chain(gained);
        all.map(|(at, ahead)| (at, at.saturating_add(ahead)))
    }

    /// How far what is noted already lies ahead of the clock.
    pub(super) fn ahead(&self) -> i64 {
        let latest = self.times().map(|(_, latest)| latest).max();
        latest.map_or(0, |latest| latest.saturating_sub(self.latest).max(0))
    }

    /// Whether what was taken away within the last day is unknown.
    pub fn is_careful(&self) -> bool {
        self.latest < self.careful_until
    }

    /// Whether a first sync, or what was approved, isn't finished.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_first_sync() || !self.in_progress().is_empty()
    }

    /// Whether that is because the organization had managed members before its first record.
    pub fn is_adopted(&self) -> bool {
        self.adopted && self.is_careful()
    }

    /// Until when it is unknown.
    pub fn careful_until(&self) -> Option<Timestamp> {
        self.is_careful()
            .then(|| Timestamp::from_second(self.careful_until).ok())?
    }

    /// Whether we revoked this person, and they weren't restored since.
    pub fn has_revoked(&self, person: &ExternalId) -> bool {
        let mut revoked = self.revocations_of(person);
        revoked.any(|one| one.is_ours(self.latest))
    }

    /// What is known of the revocations of one person. It is asked for each person of a directory, mostly
    /// in vain.
    fn revocations_of(&self, person: &ExternalId) -> impl Iterator<Item = &Revoked> {
        of_person(&self.revoked, person)
    }

    /// Whether anybody was revoked by us after a time (`None`: whenever) and not after `by`.
    pub fn has_revoked_any(&self, after: Option<Timestamp>, by: Timestamp) -> bool {
        let after = after.map_or(i64::MIN, Timestamp::as_second);
        let by = by.as_second();
        let latest = self.latest;
        let mut ours = self.revoked.iter().filter(|one| one.is_ours(latest));
        ours.any(|one| one.at > after && one.at <= by)
    }

    /// The time by which it is decided who was revoked long ago: `now`, unless the clock has jumped.
    pub fn believed(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_second(self.clock.believed(now.as_second())).unwrap_or(now)
    }

    /// How many people are known to have been revoked by us.
    pub fn revoked(&self) -> usize {
        let ours = self.revoked.iter().filter(|one| one.is_ours(self.latest));
        ours.count()
    }

    /// Whether the organization, as a plan finds it, is filled for the first time.
    pub(crate) fn is_to_be_filled(&self, plan: &crate::sync::plan::Plan) -> bool {
        plan.counts.managed_members == 0 && !self.had_members
    }

    /// Whether the organization had no managed member, and this run or the ones before fill it.
    pub(crate) fn is_filling(&self, plan: &crate::sync::plan::Plan) -> bool {
        self.is_to_be_filled(plan) || (self.is_first_sync() && !self.adopted)
    }

    /// Whether this is the first sync of a new installation, or of an organization that had no
    /// managed member.
    pub(crate) fn is_first_sync(&self) -> bool {
        self.latest < self.first_sync_until
    }

    /// What was lost within the last day.
    pub(crate) fn recent(&self) -> Recent {
        let since = self.latest.saturating_sub(WINDOW.as_secs());
        let Shared {
            losses,
            uncounted,
            invited,
            ..
        } = &self.shared;
        let losses = self.losses.iter().chain(losses);
        let mut recent = Recent {
            latest: self.latest,
            losses: losses.filter(|loss| loss.at > since).copied().collect(),
            elsewhere: self.lost_elsewhere(since),
            ..Recent::default()
        };
        let uncounted = self.uncounted.iter().chain(uncounted);
        for uncounted in uncounted.filter(|one| one.at > since) {
            recent.uncounted[uncounted.kind as usize] += uncounted.losses as usize;
        }
        let invited = self.invited.iter().chain(invited);
        for invited in invited.filter(|one| one.at > since) {
            let people = invited.people as usize;
            match invited.asked {
                Asked::FirstSync => recent.first_sync += people,
                Asked::Approved => recent.approved += people,
                Asked::Nobody if invited.done => recent.invited += people,
                Asked::Nobody => {
                    recent.maybe_invited += people;
                    recent.pending.extend(&invited.pending);
                }
            }
        }
        recent
    }

    /// At most [`BYTES_MAX`].
    pub fn to_bytes(&self) -> Vec<u8> {
        stored::to_bytes(MAGIC, self)
    }

    fn from_bytes(bytes: &[u8], now: Timestamp) -> Option<Self> {
        let ledger: Self = stored::from_bytes(MAGIC, bytes).ok()?;
        Some(Self {
            latest: now.as_second(),
            ..ledger
        })
    }

    /// Identifies everything in it: 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        Self::digest_of(&self.to_bytes())
    }

    /// The same of a ledger that was kept, whatever is in it.
    pub fn digest_of(kept: &[u8]) -> String {
        HEXLOWER.encode(&stored::digest(kept))
    }
}

/// The revocations of one person.
fn of_person<'a>(
    revoked: &'a [Revoked],
    person: &ExternalId,
) -> impl Iterator<Item = &'a Revoked> + use<'a> {
    let key = (!revoked.is_empty()).then(|| key(person));
    revoked.iter().filter(move |one| Some(one.person) == key)
}

impl Recent {
    /// How many people lost something on this kind of evidence that isn't among `now`.
    pub fn people(&self, kind: EvidenceKind, now: impl Fn(&Key) -> bool) -> usize {
        let mut people: Vec<Key> = self
            .losses
            .iter()
            .filter(|loss| loss.kind == kind)
            .filter_map(|loss| match loss.what {
                What::Access { person }
                | What::Membership { person, .. }
                | What::Role { person } => Some(person),
                What::Group { .. } | What::Name { .. } | What::Ended { .. } => None,
            })
            .filter(|person| !now(person))
            .collect();
        people.sort_unstable();
        people.dedup();
        people.len() + self.uncounted[kind as usize]
    }

    /// How many people lost access, haven't got it back and aren't among `now`: they were part of
    /// what limits are a share of when the day began. Whom a stopped run only may have taken it from
    /// may have it still, and who lost it by a clock that was ahead, or is behind now, may have lost
    /// it longer ago.
    pub fn without_access(&self, now: impl Fn(&Key) -> bool) -> usize {
        self.losses
            .iter()
            .filter(|loss| loss.done && !loss.outside_base)
            .filter(|loss| loss.ahead == 0 && loss.at <= self.latest)
            .filter_map(|loss| match &loss.what {
                What::Access { person } if !now(person) => Some(person),
                _ => None,
            })
            .collect::<HashSet<_>>()
            .len()
    }

    /// How many people came in, or may have, whoever was asked.
    pub fn came_in(&self) -> usize {
        self.invited + self.maybe_invited + self.first_sync + self.approved
    }

    /// How many of these people a stopped run may have invited: as they aren't members now, it didn't.
    pub fn pending<'a>(&self, people: impl Iterator<Item = &'a ExternalId>) -> usize {
        if self.pending.is_empty() {
            return 0;
        }
        people.filter(|id| self.pending.contains(&key(id))).count()
    }

    /// How many people left this group who aren't among `now`.
    pub fn left(&self, group: &ExternalId, now: impl Fn(&Key) -> bool) -> usize {
        let of = key(group);
        let left = self.losses.iter().filter_map(|loss| match &loss.what {
            What::Membership { person, group } if *group == of && !now(person) => Some(person),
            _ => None,
        });
        // Losses of which only the number is known may all have been in this group.
        left.collect::<HashSet<_>>().len() + self.uncounted[EvidenceKind::Absent as usize]
    }

    /// How many people who aren't among `now` left this group and are in it again: a run added them,
    /// or they are known to be `inside`.
    pub fn back_in(
        &self,
        group: &ExternalId,
        inside: impl Fn(&Key) -> bool,
        now: impl Fn(&Key) -> bool,
    ) -> usize {
        let of = key(group);
        let back = self.losses.iter().filter_map(|loss| match &loss.what {
            What::Membership { person, group }
                if *group == of && !now(person) && (loss.outside_base || inside(person)) =>
            {
                Some(person)
            }
            _ => None,
        });
        back.collect::<HashSet<_>>().len()
    }

    /// How many groups were deleted that aren't among `now`.
    pub fn groups(&self, now: impl Fn(&Key) -> bool) -> usize {
        self.losses
            .iter()
            .filter_map(|loss| match &loss.what {
                What::Group { group } if !now(group) => Some(group),
                _ => None,
            })
            .collect::<HashSet<_>>()
            .len()
    }

    /// How many groups that aren't among `now` lost access because they aren't synced any more.
    pub fn ended(&self, now: impl Fn(&Key) -> bool) -> usize {
        self.losses
            .iter()
            .filter_map(|loss| match &loss.what {
                What::Ended { group } if !now(group) => Some(group),
                _ => None,
            })
            .collect::<HashSet<_>>()
            .len()
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.uncounted == [0; 2]
    }
}

/// Where a time lies ahead of `now`, either the clock is behind now or it was ahead then. Nobody can
/// tell yet, so it counts from now on, and `ahead` keeps how far it lay from there. As soon as the clock
/// is near the first time again (within a day), it was behind in between, and the first time holds.
fn correct_clock_skew(at: &mut i64, ahead: &mut i64, now: i64) {
    let first = at.saturating_add(*ahead);
    if now >= first.saturating_sub(WINDOW.as_secs()) {
        (*at, *ahead) = (first, 0);
    } else if *ahead == 0 {
        // Once: another clock that is behind doesn't make it older still.
        (*at, *ahead) = (now, first.saturating_sub(now));
    }
}

/// 64 bits of an external id's hash: enough to tell the people of one organization apart.
pub(crate) fn key(id: &ExternalId) -> Key {
    ((person_hash(id) >> 64) as u64).to_be_bytes()
}

/// The same for a member that the directory doesn't know, by the id in Bitwarden.
pub(crate) fn member_key(member: Uuid) -> Key {
    key_of(member.as_bytes())
}

/// The number of a member of a server that can't be read.
const NO_MEMBER: [u8; 2] = [0; 2];

/// By this it is seen, but once in 65,536 times, that a person is another member than before.
fn member_number(member: Uuid) -> [u8; 2] {
    let hash = hash(member.as_bytes()) as u16;
    hash.max(1).to_be_bytes()
}

/// The same for a group's name.
fn name_key(name: &str) -> Key {
    key_of(name.as_bytes())
}

fn key_of(bytes: &[u8]) -> Key {
    ((hash(bytes) >> 64) as u64).to_be_bytes()
}

#[cfg(test)]
mod tests;
