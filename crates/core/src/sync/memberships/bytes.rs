//! The memory as bytes, for where it is kept between two processes.

use std::collections::{BTreeSet, HashMap};

use crate::directory::{Email, ExternalId};
use crate::sync::hash::truncated;
use crate::sync::memberships::MembershipCache;
use crate::sync::memberships::cache::Remembered;
use crate::sync::sent::{Access, SentAccount, SentGroup, SentState};

/// The first bytes: a name and a version.
const MAGIC: &[u8; 8] = b"dsyncmm5";
const CHECKSUM: usize = 16;

/// Bytes that aren't a memory of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorruptCache {
    /// Another format, or another version of it.
    #[error("what was remembered of the last run has another format; every group is read again")]
    Format,
    /// Cut or changed.
    #[error("what was remembered of the last run is damaged; every group is read again")]
    Damaged,
}

impl MembershipCache {
    /// 25 bytes for each group. Where the server can't be read: each account with its email and
    /// external id, and each group with four bytes for each member.
    ///
    /// Groups that differ from what is wanted are left out: they are read again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut groups: Vec<(u64, [u8; 16], bool)> = self
            .groups
            .iter()
            .filter(|(_, group)| group.differs.is_none())
            .map(|(key, group)| (*key, group.digest, group.others))
            .collect();
        groups.sort_unstable();

        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.organization);
        bytes.extend(self.unmanaged);
        bytes.extend((groups.len() as u32).to_be_bytes());
        for (key, digest, others) in groups {
            bytes.extend(key.to_be_bytes());
            bytes.extend(digest);
            bytes.push(u8::from(others));
        }
        put_sent(&self.sent, &mut bytes);
        bytes.extend(truncated(&bytes));
        bytes
    }

    /// Reads what [`MembershipCache::to_bytes`] wrote.
    ///
    /// # Errors
    /// Anything else is refused: a wrong memory would leave groups unread.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptCache> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(CorruptCache::Format)?;
        let end = rest
            .len()
            .checked_sub(CHECKSUM)
            .ok_or(CorruptCache::Damaged)?;
        let (rest, checksum) = rest.split_at(end);
        if truncated(&bytes[..bytes.len() - CHECKSUM]) != checksum {
            return Err(CorruptCache::Damaged);
        }
        let mut rest = rest;
        let mut memory = Self {
            organization: take(&mut rest)?,
            unmanaged: take(&mut rest)?,
            ..Self::default()
        };
        let groups = u32::from_be_bytes(take(&mut rest)?);
        for _ in 0..groups {
            let key = u64::from_be_bytes(take(&mut rest)?);
            let digest = take(&mut rest)?;
            let [others] = take(&mut rest)?;
            memory.groups.insert(
                key,
                Remembered {
                    digest,
                    differs: None,
                    others: others != 0,
                },
            );
        }
        memory.sent = take_sent(&mut rest)?;
        if rest.is_empty() {
            Ok(memory)
        } else {
            Err(CorruptCache::Damaged)
        }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Emails, names and external ids have at most a few hundred characters.
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, CorruptCache> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (text, after) = rest.split_at_checked(length).ok_or(CorruptCache::Damaged)?;
    *rest = after;
    std::str::from_utf8(text).map_err(|_| CorruptCache::Damaged)
}

fn take_count(rest: &mut &[u8]) -> Result<u32, CorruptCache> {
    Ok(u32::from_be_bytes(take(rest)?))
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend((count as u32).to_be_bytes());
}

/// External ids stand at the beginning, each once; everything else names them by their place.
fn put_sent(sent: &SentState, bytes: &mut Vec<u8>) {
    let of_groups = sent.groups.iter().flat_map(|(id, group)| {
        let others = group.members.iter().chain(&group.server_id);
        others.chain([id])
    });
    let of_accounts = sent.accounts.values().map(|account| &account.external_id);
    let ids: BTreeSet<&ExternalId> = of_groups
        .chain(of_accounts)
        .chain(sent.refused.keys())
        .collect();
    let places: HashMap<&ExternalId, u32> = ids.iter().copied().zip(0..).collect();
    bytes.push(u8::from(sent.lost));
    put_count(bytes, ids.len());
    ids.iter().for_each(|id| put_text(bytes, id.as_str()));
    put_count(bytes, sent.accounts.len());
    for (email, account) in &sent.accounts {
        put_text(bytes, email.as_str());
        bytes.extend(places[&account.external_id].to_be_bytes());
        bytes.push(account.access as u8);
    }
    put_count(bytes, sent.groups.len());
    for (id, group) in &sent.groups {
        bytes.extend(places[id].to_be_bytes());
        put_text(bytes, &group.name);
        put_text(bytes, group.renamed.as_deref().unwrap_or_default());
        let server_id = group.server_id.as_ref().map_or(u32::MAX, |id| places[id]);
        bytes.extend(server_id.to_be_bytes());
        bytes.extend([u8::from(group.unsure), u8::from(group.gone)]);
        put_count(bytes, group.members.len());
        for member in &group.members {
            bytes.extend(places[member].to_be_bytes());
        }
    }
    put_count(bytes, sent.refused.len());
    for (id, hash) in &sent.refused {
        bytes.extend(places[id].to_be_bytes());
        bytes.extend(hash.to_be_bytes());
    }
}

fn take_sent(rest: &mut &[u8]) -> Result<SentState, CorruptCache> {
    let [lost] = take(rest)?;
    let mut ids = vec![];
    for _ in 0..take_count(rest)? {
        let id = ExternalId::of_member(take_text(rest)?);
        ids.push(id.ok_or(CorruptCache::Damaged)?);
    }
    let at = |place: u32| ids.get(place as usize).cloned();
    let id = |rest: &mut &[u8]| at(take_count(rest)?).ok_or(CorruptCache::Damaged);
    let mut sent = SentState {
        lost: lost != 0,
        ..SentState::default()
    };
    for _ in 0..take_count(rest)? {
        let email = Email::of_member(take_text(rest)?);
        let external_id = id(rest)?;
        let access = match take(rest)? {
            [0] => Access::Given,
            [1] => Access::Unsure,
            [2] => Access::Revoked,
            _ => return Err(CorruptCache::Damaged),
        };
        let account = SentAccount {
            external_id,
            access,
        };
        sent.accounts.insert(email, account);
    }
    for _ in 0..take_count(rest)? {
        let group = id(rest)?;
        let mut state = SentGroup::new(take_text(rest)?, vec![]);
        let renamed = take_text(rest)?;
        state.renamed = (!renamed.is_empty()).then(|| renamed.into());
        state.server_id = match take_count(rest)? {
            u32::MAX => None,
            place => Some(at(place).ok_or(CorruptCache::Damaged)?),
        };
        let [unsure, gone] = take(rest)?;
        (state.unsure, state.gone) = (unsure != 0, gone != 0);
        for _ in 0..take_count(rest)? {
            state.members.push(id(rest)?);
        }
        sent.groups.insert(group, state);
    }
    for _ in 0..take_count(rest)? {
        let row = id(rest)?;
        sent.refused.insert(row, u64::from_be_bytes(take(rest)?));
    }
    Ok(sent)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CorruptCache> {
    let (first, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(CorruptCache::Damaged)?;
    *bytes = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;
    use crate::sync::memberships::cache::Differences;

    fn id(text: &str) -> ExternalId {
        ExternalId::parse(text).expect("an id")
    }

    fn memory() -> MembershipCache {
        let differs = Some(Box::new(Differences {
            missing: vec![id("ann")],
            extra: vec![],
        }));
        MembershipCache {
            organization: [7; 16],
            groups: HashMap::from([
                (
                    7,
                    Remembered {
                        digest: [1; 16],
                        differs: None,
                        others: true,
                    },
                ),
                (
                    u64::MAX,
                    Remembered {
                        digest: [2; 16],
                        differs: None,
                        others: true,
                    },
                ),
                (
                    9,
                    Remembered {
                        digest: [3; 16],
                        differs,
                        others: false,
                    },
                ),
            ]),
            unmanaged: [6; 16],
            sent: sent(),
        }
    }

    fn sent() -> SentState {
        let account = |id_: &str, access| SentAccount {
            external_id: id(id_),
            access,
        };
        let group = SentGroup {
            server_id: Some(id("old-g")),
            renamed: Some("New".into()),
            unsure: true,
            ..SentGroup::new("Group", vec![id("ann"), id("bob")])
        };
        SentState {
            lost: false,
            accounts: BTreeMap::from([
                (
                    Email::of_member("ann@example.com"),
                    account("ann", Access::Given),
                ),
                (
                    Email::of_member("bob@example.com"),
                    account("bob", Access::Unsure),
                ),
                (
                    Email::of_member("old@example.com"),
                    account("x", Access::Revoked),
                ),
            ]),
            groups: BTreeMap::from([
                (id("g"), group),
                (id("h"), SentGroup::new("Other", vec![id("ann")])),
            ]),
            refused: BTreeMap::from([(id("bad"), 7)]),
        }
    }

    #[test]
    fn comes_back_from_bytes_without_the_groups_that_differ() {
        let mut expected = memory();
        expected.groups.remove(&9);
        assert_eq!(
            MembershipCache::from_bytes(&memory().to_bytes()),
            Ok(expected)
        );
        assert_eq!(
            MembershipCache::from_bytes(&MembershipCache::default().to_bytes()),
            Ok(MembershipCache::default())
        );
    }

    #[test]
    fn a_group_takes_25_bytes() {
        let mut more = memory();
        more.groups.insert(
            8,
            Remembered {
                digest: [5; 16],
                differs: None,
                others: true,
            },
        );
        assert_eq!(more.to_bytes().len(), memory().to_bytes().len() + 25);
    }

    #[test]
    fn anything_cut_changed_or_foreign_is_refused() {
        let bytes = memory().to_bytes();
        for length in 0..bytes.len() {
            assert!(
                MembershipCache::from_bytes(&bytes[..length]).is_err(),
                "cut at {length}"
            );
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(
                MembershipCache::from_bytes(&bytes).is_err(),
                "changed at {at}"
            );
        }
        assert_eq!(
            MembershipCache::from_bytes(b"{\"groups\":{}}"),
            Err(CorruptCache::Format)
        );
    }
}
