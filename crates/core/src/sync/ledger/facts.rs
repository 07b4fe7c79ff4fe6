//! What the record says of one person, for an explanation.

use jiff::Timestamp;

use super::{EvidenceKind, Ledger, RevocationState, What, key};
use crate::directory::ExternalId;

/// Something that an earlier run did to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// It revoked their access, and they weren't restored since.
    Revoked,
    /// It may have.
    MayBeRevoked,
    /// They lost access or membership without an approval, on this evidence.
    LostAccess(&'static str),
    /// They left this group.
    LeftGroup(ExternalId, &'static str),
}

impl Ledger {
    /// What is recorded of a person, with its time: revocations, and losses without an approval of at
    /// least the last day. Groups are kept as hashes: only those among `groups` are recognised.
    pub fn facts<'a>(
        &self,
        person: &ExternalId,
        groups: impl Iterator<Item = &'a ExternalId>,
    ) -> Vec<(Timestamp, Fact)> {
        let who = key(person);
        let mut facts = vec![];
        for one in self.revoked.iter().filter(|one| one.person == who) {
            match one.state {
                RevocationState::Revoked => facts.push((one.at, Fact::Revoked)),
                RevocationState::Maybe | RevocationState::Requested => {
                    facts.push((one.at, Fact::MayBeRevoked));
                }
                RevocationState::Former => {}
            }
        }
        let words = |kind| match kind {
            EvidenceKind::Disabled => "the account was disabled",
            EvidenceKind::Absent => "absent, out of scope or out of a group",
        };
        let mut left = vec![];
        for loss in &self.losses {
            match loss.what {
                What::Access { person } if person == who => {
                    facts.push((loss.at, Fact::LostAccess(words(loss.kind))));
                }
                What::Membership { person, group } if person == who => {
                    left.push((group, loss.at, loss.kind));
                }
                _ => {}
            }
        }
        if !left.is_empty() {
            for group in groups {
                let of = key(group);
                let theirs = left.iter().filter(|(group, ..)| *group == of);
                facts.extend(
                    theirs.map(|(_, at, kind)| (*at, Fact::LeftGroup(group.clone(), words(*kind)))),
                );
            }
        }
        // Of active people who stay revoked the record moves the time ahead of now.
        let latest = self.latest;
        facts
            .into_iter()
            .filter_map(|(at, fact)| Some((Timestamp::from_second(at.min(latest)).ok()?, fact)))
            .collect()
    }
}
