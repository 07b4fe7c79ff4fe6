//! One organization has one owner.
//!
//! Two objects that manage the same members of one organization would undo each other's work. The
//! older one owns it; the younger one waits until it is alone. Everything here follows from the
//! objects and their Secrets, so that a restart comes to the same answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use crate::telemetry::Object;

/// An organization, wherever it lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganizationKey {
    /// The server, in one spelling.
    pub server: String,
    /// The organization's id.
    pub id: Uuid,
}

/// What one object manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub object: Object,
    /// Which of the objects that ever had this name.
    pub uid: String,
    /// When it was made: the oldest owns.
    pub created: Timestamp,
    /// In which organization.
    pub organization: OrganizationKey,
    /// Only members and groups whose external id begins with this.
    pub prefix: String,
}

/// All claims of this process. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug)]
struct Entry {
    claim: Claim,
    running: bool,
}

/// Whether an object may run.
#[derive(Debug)]
pub enum Turn {
    /// It may, as long as this is kept.
    Go(Running),
    /// Another object owns the organization.
    OwnedBy(Object),
    /// It owns the organization, but a younger one that ran before this one was known hasn't
    /// stopped yet.
    After(Object),
}

/// A run in an organization; another's can't begin before this is dropped.
#[derive(Debug)]
pub struct Running {
    claims: Claims,
    uid: String,
}

impl Claim {
    /// Whether both manage the same members: there is none only if neither prefix begins the
    /// other.
    fn conflicts_with(&self, other: &Self) -> bool {
        self.uid != other.uid
            && self.organization == other.organization
            && (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
    }

    fn is_older_than(&self, other: &Self) -> bool {
        (self.created, &self.uid) < (other.created, &other.uid)
    }
}

impl Claims {
    /// Notes what an object manages, in place of what it managed before. Returns the others whose
    /// turn this may change.
    pub fn put(&self, claim: Claim) -> Vec<Object> {
        let mut entries = self.entries();
        let before = match entries.get_mut(&claim.uid) {
            Some(entry) if entry.claim == claim => return Vec::new(),
            Some(entry) => Some(std::mem::replace(&mut entry.claim, claim.clone())),
            None => {
                let entry = Entry {
                    claim: claim.clone(),
                    running: false,
                };
                entries.insert(claim.uid.clone(), entry);
                None
            }
        };
        let mut touched = conflicting(&entries, &claim);
        touched.extend(
            before
                .iter()
                .flat_map(|before| conflicting(&entries, before)),
        );
        touched
    }

    /// Forgets an object that is gone, or that manages nothing any more. Returns the others whose
    /// turn this may change.
    pub fn release(&self, uid: &str) -> Vec<Object> {
        let mut entries = self.entries();
        match entries.remove(uid) {
            Some(gone) => conflicting(&entries, &gone.claim),
            None => Vec::new(),
        }
    }

    /// Who owns what this object claims, where that is another.
    pub fn owner(&self, uid: &str) -> Option<Object> {
        let entries = self.entries();
        let claim = &entries.get(uid)?.claim;
        older(&entries, claim)
    }

    /// Asks for a turn. An object without a claim has none to wait for.
    pub fn begin(&self, uid: &str) -> Turn {
        let mut entries = self.entries();
        if let Some(Entry { claim, .. }) = entries.get(uid) {
            if let Some(owner) = older(&entries, claim) {
                return Turn::OwnedBy(owner);
            }
            let busy = entries
                .values()
                .find(|other| other.running && claim.conflicts_with(&other.claim));
            if let Some(busy) = busy {
                return Turn::After(busy.claim.object.clone());
            }
        }
        if let Some(entry) = entries.get_mut(uid) {
            entry.running = true;
        }
        Turn::Go(Running {
            claims: self.clone(),
            uid: uid.to_owned(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(entry) = self.claims.entries().get_mut(&self.uid) {
            entry.running = false;
        }
    }
}

fn conflicting(entries: &HashMap<String, Entry>, claim: &Claim) -> Vec<Object> {
    entries
        .values()
        .filter(|other| claim.conflicts_with(&other.claim))
        .map(|other| other.claim.object.clone())
        .collect()
}

fn older(entries: &HashMap<String, Entry>, claim: &Claim) -> Option<Object> {
    entries
        .values()
        .map(|other| &other.claim)
        .filter(|other| claim.conflicts_with(other) && other.is_older_than(claim))
        .min_by_key(|other| (other.created, &other.uid))
        .map(|owner| owner.object.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, created: i64, prefix: &str) -> Claim {
        Claim {
            object: Object::new("identity", name),
            uid: format!("uid-{name}"),
            created: Timestamp::from_second(created).unwrap(),
            organization: OrganizationKey {
                server: "https://vault.example.com".into(),
                id: Uuid::from_u128(1),
            },
            prefix: prefix.into(),
        }
    }

    fn names(objects: Vec<Object>) -> Vec<String> {
        let mut names: Vec<_> = objects.iter().map(|o| o.name.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_older_one_owns_whichever_was_seen_first() {
        for order in [["first", "second"], ["second", "first"]] {
            let claims = Claims::default();
            for name in order {
                claims.put(claim(name, if name == "first" { 1 } else { 2 }, ""));
            }
            assert!(matches!(claims.begin("uid-first"), Turn::Go(_)));
            assert!(matches!(
                claims.begin("uid-second"),
                Turn::OwnedBy(owner) if owner == Object::new("identity", "first")
            ));
        }
    }

    #[test]
    fn of_two_made_in_the_same_second_the_uid_decides() {
        let claims = Claims::default();
        claims.put(claim("b", 1, ""));
        claims.put(claim("a", 1, ""));
        assert_eq!(claims.owner("uid-a"), None);
        assert_eq!(names(claims.owner("uid-b").into_iter().collect()), ["a"]);
    }

    #[test]
    fn prefixes_of_which_neither_begins_the_other_share_an_organization() {
        let claims = Claims::default();
        claims.put(claim("berlin", 1, "berlin:"));
        claims.put(claim("paris", 2, "paris:"));
        claims.put(claim("mitte", 3, "berlin:mitte:"));
        claims.put(claim("all", 4, ""));
        assert_eq!(claims.owner("uid-paris"), None);
        assert_eq!(
            names(claims.owner("uid-mitte").into_iter().collect()),
            ["berlin"]
        );
        assert_eq!(
            names(claims.owner("uid-all").into_iter().collect()),
            ["berlin"]
        );
    }

    #[test]
    fn another_server_or_another_organization_is_nobodys_business() {
        let claims = Claims::default();
        claims.put(claim("first", 1, ""));
        let mut elsewhere = claim("second", 2, "");
        elsewhere.organization.server = "https://bitwarden.eu".into();
        claims.put(elsewhere);
        let mut other = claim("third", 3, "");
        other.organization.id = Uuid::from_u128(2);
        claims.put(other);
        assert_eq!(claims.owner("uid-second"), None);
        assert_eq!(claims.owner("uid-third"), None);
    }

    #[test]
    fn an_owner_that_goes_or_turns_elsewhere_tells_who_waited_for_it() {
        let claims = Claims::default();
        claims.put(claim("first", 1, ""));
        assert_eq!(names(claims.put(claim("second", 2, ""))), ["first"]);
        assert_eq!(names(claims.put(claim("second", 2, ""))), [""; 0]);
        let mut moved = claim("first", 1, "");
        moved.organization.id = Uuid::from_u128(2);
        assert_eq!(names(claims.put(moved)), ["second"]);
        assert_eq!(claims.owner("uid-second"), None);
        claims.put(claim("first", 1, ""));
        assert_eq!(names(claims.release("uid-first")), ["second"]);
        assert!(matches!(claims.begin("uid-second"), Turn::Go(_)));
    }

    #[test]
    fn an_owner_that_appears_late_waits_for_the_end_of_the_run_in_progress() {
        let claims = Claims::default();
        claims.put(claim("young", 2, ""));
        let Turn::Go(running) = claims.begin("uid-young") else {
            panic!("nobody else is there");
        };
        assert_eq!(names(claims.put(claim("old", 1, ""))), ["young"]);
        assert!(matches!(claims.begin("uid-old"), Turn::After(_)));
        drop(running);
        assert!(matches!(claims.begin("uid-young"), Turn::OwnedBy(_)));
        assert!(matches!(claims.begin("uid-old"), Turn::Go(_)));
    }
}
