//! One organization has one owner.
//!
//! Two objects that manage the same members of one organization would undo each other's work. An
//! organization is known by its id: one server has many addresses. The first object whose
//! credentials the organization accepted owns it for as long as the object exists, also while its
//! Secret is missing, and after a restart (the claim is in status). An object whose credentials
//! were never accepted owns nothing. Operators that don't see each other's objects agree through
//! [`claim_lease`](super::claim_lease).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use crate::telemetry::Object;

/// What one object wants to manage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The namespace and name of the resource that makes the claim.
    pub object: Object,
    /// Its uid: an object that was recreated under the same name is another.
    pub uid: String,
    /// When it was created. The older one is tried first.
    pub created: Timestamp,
    /// The organization that it manages.
    pub organization: Uuid,
    /// Only members and groups whose external id begins with this.
    pub prefix: String,
}

/// All claims of this process. Cheap to clone: all clones share them.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug)]
struct Entry {
    claim: Claim,
    /// The organization accepted the credentials, and no other owner was found.
    accepted: bool,
    /// The shared record of claims has it.
    recorded: bool,
    /// Its credentials are about to be tried for the first time, or just being tried.
    pending: bool,
    running: bool,
    /// The object is deleted; its run hasn't ended yet.
    deleted: bool,
}

/// What a change of claims leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// The claim that ended, if it was an accepted one.
    pub claim: Option<Claim>,
    /// Objects that may run now.
    pub wake: Vec<Object>,
}

/// Whether an object may run.
#[derive(Debug)]
pub enum ClaimResult {
    /// It may, as long as this is kept.
    Granted(Running),
    /// Another object owns the organization.
    OwnedBy(Object),
    /// Another object's run in the organization, or the first try of an older object, has to end
    /// first.
    WaitFor(Object),
}

/// A run in an organization; another's can't begin before this is dropped.
#[derive(Debug)]
pub struct Running {
    claims: Claims,
    uid: String,
}

impl Claim {
    /// Whether both manage the same members: they don't if neither prefix is a prefix of the other.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.uid != other.uid
            && self.organization == other.organization
            && overlap(&self.prefix, &other.prefix)
    }

    fn is_older_than(&self, other: &Self) -> bool {
        (self.created, &self.uid) < (other.created, &other.uid)
    }

    fn is_for_the_same(&self, other: &Self) -> bool {
        self.organization == other.organization && self.prefix == other.prefix
    }
}

/// Whether members could belong to both prefixes.
pub fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

impl Claims {
    /// Sets what an object wants to manage, in place of what it wanted before. `accepted` says
    /// that an earlier process recorded this claim as accepted.
    pub fn put(&self, claim: Claim, accepted: bool) -> Released {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&claim.uid)
            && entry.claim.is_for_the_same(&claim)
        {
            entry.accepted |= accepted;
            return Released::default();
        }
        let entry = Entry {
            accepted,
            recorded: false,
            pending: true,
            running: false,
            deleted: false,
            claim: claim.clone(),
        };
        match entries.insert(claim.uid.clone(), entry) {
            Some(before) => before.released(&entries),
            None => Released::default(),
        }
    }

    /// Forgets a deleted object; one that runs once its run has ended.
    pub fn delete(&self, uid: &str) -> Released {
        let mut entries = self.entries();
        let Some(mut entry) = entries.remove(uid) else {
            return Released::default();
        };
        let released = entry.released(&entries);
        if entry.running {
            entry.deleted = true;
            entries.insert(uid.to_owned(), entry);
        }
        released
    }

    /// The object's first try won't come soon, so younger ones needn't wait for it.
    pub fn postpone(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.pending = false;
        }
    }

    /// The owner of what this object claims, where that is another.
    pub fn owner(&self, uid: &str) -> Option<Object> {
        let entries = self.entries();
        owner(&entries, entries.get(uid)?)
    }

    /// What the object claims, and whether that was accepted and recorded.
    pub fn eligibility(&self, uid: &str) -> Option<(Claim, bool)> {
        let entries = self.entries();
        let entry = entries.get(uid)?;
        Some((entry.claim.clone(), entry.accepted && entry.recorded))
    }

    /// The organization accepted the object's credentials.
    ///
    /// # Errors
    /// The owner, where another object's were accepted before.
    pub fn accept(&self, uid: &str) -> Result<(), Object> {
        let mut entries = self.entries();
        if let Some(owner) = entries.get(uid).and_then(|entry| owner(&entries, entry)) {
            return Err(owner);
        }
        if let Some(entry) = entries.get_mut(uid) {
            entry.accepted = true;
            entry.pending = false;
        }
        Ok(())
    }

    /// The shared record has the object's claim, or another's in its place.
    pub fn recorded(&self, uid: &str, ours: bool) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.recorded = ours;
            entry.accepted &= ours;
            entry.pending = false;
        }
    }

    /// Asks for a turn. An object without a claim has none to wait for.
    pub fn begin(&self, uid: &str) -> ClaimResult {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(uid) {
            if let Some(owner) = owner(&entries, entry) {
                return ClaimResult::OwnedBy(owner);
            }
            let comes_first = |other: &Entry| {
                other.running
                    || !entry.accepted
                        && other.pending
                        && !other.deleted
                        && other.claim.is_older_than(&entry.claim)
            };
            let first = entries
                .values()
                .find(|other| entry.claim.conflicts_with(&other.claim) && comes_first(other));
            if let Some(first) = first {
                return ClaimResult::WaitFor(first.claim.object.clone());
            }
        }
        if let Some(entry) = entries.get_mut(uid) {
            entry.running = true;
        }
        ClaimResult::Granted(Running {
            claims: self.clone(),
            uid: uid.to_owned(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn released(&self, others: &HashMap<String, Self>) -> Released {
        let conflicting = others
            .values()
            .filter(|other| self.claim.conflicts_with(&other.claim));
        Released {
            claim: self.accepted.then(|| self.claim.clone()),
            wake: conflicting
                .map(|other| other.claim.object.clone())
                .collect(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut entries = self.claims.entries();
        let Some(entry) = entries.get_mut(&self.uid) else {
            return;
        };
        entry.running = false;
        entry.pending = false;
        if entry.deleted {
            entries.remove(&self.uid);
        }
    }
}

/// Two are accepted only where status says so of both, as after an upgrade; then the older owns.
fn owner(entries: &HashMap<String, Entry>, of: &Entry) -> Option<Object> {
    entries
        .values()
        .filter(|other| other.accepted && !other.deleted && of.claim.conflicts_with(&other.claim))
        .filter(|other| !of.accepted || other.claim.is_older_than(&of.claim))
        .min_by_key(|other| (other.claim.created, &other.claim.uid))
        .map(|owner| owner.claim.object.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, created: i64, prefix: &str) -> Claim {
        Claim {
            object: Object::new("identity", name),
            uid: format!("uid-{name}"),
            created: Timestamp::from_second(created).unwrap(),
            organization: Uuid::from_u128(1),
            prefix: prefix.into(),
        }
    }

    fn put(claims: &Claims, claim: Claim) {
        claims.put(claim, false);
    }

    fn owner(claims: &Claims, name: &str) -> Option<String> {
        let owner = claims.owner(&format!("uid-{name}"));
        owner.map(|owner| owner.name.to_string())
    }

    fn names(objects: &[Object]) -> Vec<String> {
        let mut names: Vec<_> = objects.iter().map(|o| o.name.to_string()).collect();
        names.sort();
        names
    }

    fn run(claims: &Claims, name: &str) -> Running {
        match claims.begin(&format!("uid-{name}")) {
            ClaimResult::Granted(running) => running,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_older_one_is_tried_first_whichever_was_seen_first() {
        for order in [["first", "second"], ["second", "first"]] {
            let claims = Claims::default();
            for name in order {
                put(
                    &claims,
                    claim(name, if name == "first" { 1 } else { 2 }, ""),
                );
            }
            assert!(matches!(
                claims.begin("uid-second"),
                ClaimResult::WaitFor(_)
            ));
            let running = run(&claims, "first");
            claims.accept("uid-first").unwrap();
            drop(running);
            assert!(matches!(
                claims.begin("uid-second"),
                ClaimResult::OwnedBy(_)
            ));
        }
    }

    #[test]
    fn a_made_up_secret_owns_nothing_however_old() {
        let claims = Claims::default();
        put(&claims, claim("made-up", 1, ""));
        put(&claims, claim("real", 2, ""));
        // Its token is refused.
        drop(run(&claims, "made-up"));
        let _running = run(&claims, "real");
        claims.accept("uid-real").unwrap();
        assert_eq!(owner(&claims, "made-up").as_deref(), Some("real"));
        assert_eq!(
            claims.accept("uid-made-up").unwrap_err().name.to_string(),
            "real"
        );
    }

    #[test]
    fn one_that_will_not_be_tried_soon_keeps_no_younger_one_waiting() {
        let claims = Claims::default();
        put(&claims, claim("suspended", 1, ""));
        put(&claims, claim("second", 2, ""));
        claims.postpone("uid-suspended");
        run(&claims, "second");
    }

    #[test]
    fn the_first_whose_credentials_were_accepted_owns_though_an_older_one_comes_later() {
        let claims = Claims::default();
        put(&claims, claim("young", 2, ""));
        claims.accept("uid-young").unwrap();
        put(&claims, claim("old", 1, ""));
        assert_eq!(owner(&claims, "young"), None);
        assert_eq!(owner(&claims, "old").as_deref(), Some("young"));
    }

    #[test]
    fn of_two_that_status_calls_accepted_the_older_owns() {
        let claims = Claims::default();
        claims.put(claim("b", 1, ""), true);
        claims.put(claim("a", 1, ""), true);
        assert_eq!(owner(&claims, "a"), None);
        assert_eq!(owner(&claims, "b").as_deref(), Some("a"));
    }

    #[test]
    fn prefixes_of_which_neither_is_a_prefix_of_the_other_share_an_organization() {
        let claims = Claims::default();
        claims.put(claim("berlin", 1, "berlin:"), true);
        put(&claims, claim("paris", 2, "paris:"));
        put(&claims, claim("mitte", 3, "berlin:mitte:"));
        put(&claims, claim("all", 4, ""));
        assert_eq!(owner(&claims, "paris"), None);
        assert_eq!(owner(&claims, "mitte").as_deref(), Some("berlin"));
        assert_eq!(owner(&claims, "all").as_deref(), Some("berlin"));
    }

    #[test]
    fn another_organization_is_no_conflict() {
        let claims = Claims::default();
        claims.put(claim("first", 1, ""), true);
        let mut other = claim("other", 2, "");
        other.organization = Uuid::from_u128(2);
        put(&claims, other);
        assert_eq!(owner(&claims, "other"), None);
    }

    #[test]
    fn a_claim_ends_with_its_object_or_when_that_names_another_organization() {
        let claims = Claims::default();
        claims.put(claim("first", 1, ""), true);
        put(&claims, claim("second", 2, ""));
        // Read again, with or without its Secret: nothing changes.
        assert_eq!(
            claims.put(claim("first", 1, ""), false),
            Released::default()
        );
        assert_eq!(owner(&claims, "second").as_deref(), Some("first"));

        let mut moved = claim("first", 1, "");
        moved.organization = Uuid::from_u128(2);
        let released = claims.put(moved, false);
        assert_eq!(released.claim, Some(claim("first", 1, "")));
        assert_eq!(names(&released.wake), ["second"]);
        assert_eq!(owner(&claims, "second"), None);

        claims.accept("uid-second").unwrap();
        put(&claims, claim("third", 3, ""));
        let released = claims.delete("uid-second");
        assert_eq!(released.claim, Some(claim("second", 2, "")));
        assert_eq!(names(&released.wake), ["third"]);
        assert_eq!(owner(&claims, "third"), None);
    }

    #[test]
    fn the_run_of_a_deleted_object_has_to_end_before_anothers_begins() {
        let claims = Claims::default();
        claims.put(claim("deleted", 1, ""), true);
        let running = run(&claims, "deleted");
        put(&claims, claim("next", 2, ""));
        claims.delete("uid-deleted");
        assert!(matches!(claims.begin("uid-next"), ClaimResult::WaitFor(_)));
        drop(running);
        run(&claims, "next");
    }

    #[test]
    fn a_claim_that_another_operator_owns_is_given_up() {
        let claims = Claims::default();
        put(&claims, claim("here", 1, ""));
        claims.accept("uid-here").unwrap();
        claims.recorded("uid-here", false);
        let (_, accepted) = claims.eligibility("uid-here").unwrap();
        assert!(!accepted);
        claims.accept("uid-here").unwrap();
        claims.recorded("uid-here", true);
        assert!(claims.eligibility("uid-here").unwrap().1);
    }
}
