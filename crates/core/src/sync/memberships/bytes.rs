//! The memory as bytes, for where it is kept between two processes.

use std::collections::{BTreeSet, HashMap};

use crate::directory::ExternalId;
use crate::sync::memberships::Memory;
use crate::sync::memberships::memory::Remembered;
use crate::sync::memberships::sum::truncated;

/// The first bytes: a name and a version.
const MAGIC: &[u8; 8] = b"dsyncmm3";
const CHECKSUM: usize = 16;

/// Bytes that aren't a memory of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorruptMemory {
    /// Another format, or another version of it.
    #[error("what was remembered of the last run has another format; every group is read again")]
    Format,
    /// Cut or changed.
    #[error("what was remembered of the last run is damaged; every group is read again")]
    Damaged,
}

impl Memory {
    /// 25 bytes for each group. Where the server can't be read: eight for each person revoked, each
    /// external id once, and four for each membership that was sent.
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
        let mut revoked: Vec<u64> = self.sent.revoked.iter().copied().collect();
        revoked.sort_unstable();

        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.organization);
        bytes.extend(self.outsiders);
        bytes.extend(self.sent.digest.unwrap_or_default());
        bytes.extend((groups.len() as u32).to_be_bytes());
        bytes.extend((revoked.len() as u32).to_be_bytes());
        for (key, digest, others) in groups {
            bytes.extend(key.to_be_bytes());
            bytes.extend(digest);
            bytes.push(u8::from(others));
        }
        revoked
            .iter()
            .for_each(|key| bytes.extend(key.to_be_bytes()));
        self.put_sent_groups(&mut bytes);
        bytes.extend(truncated(&bytes));
        bytes
    }

    /// Reads what [`Memory::to_bytes`] wrote.
    ///
    /// # Errors
    /// Anything else is refused: a wrong memory would leave groups unread.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptMemory> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(CorruptMemory::Format)?;
        let end = rest
            .len()
            .checked_sub(CHECKSUM)
            .ok_or(CorruptMemory::Damaged)?;
        let (rest, checksum) = rest.split_at(end);
        if truncated(&bytes[..bytes.len() - CHECKSUM]) != checksum {
            return Err(CorruptMemory::Damaged);
        }
        let mut rest = rest;
        let mut memory = Self {
            organization: take(&mut rest)?,
            outsiders: take(&mut rest)?,
            ..Self::default()
        };
        let digest = take::<16>(&mut rest)?;
        memory.sent.digest = (digest != [0; 16]).then_some(digest);
        let groups = u32::from_be_bytes(take(&mut rest)?);
        let revoked = u32::from_be_bytes(take(&mut rest)?);
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
        for _ in 0..revoked {
            memory
                .sent
                .revoked
                .insert(u64::from_be_bytes(take(&mut rest)?));
        }
        memory.take_sent_groups(&mut rest)?;
        if rest.is_empty() {
            Ok(memory)
        } else {
            Err(CorruptMemory::Damaged)
        }
    }
}

impl Memory {
    fn put_sent_groups(&self, bytes: &mut Vec<u8>) {
        let groups = &self.sent.groups;
        let ids: BTreeSet<&ExternalId> = groups
            .iter()
            .flat_map(|(id, ids)| ids.iter().chain([id]))
            .collect();
        let index: HashMap<&ExternalId, u32> = ids.iter().copied().zip(0..).collect();
        bytes.extend((ids.len() as u32).to_be_bytes());
        for id in ids {
            // An external id has at most 300 characters.
            bytes.extend((id.as_str().len() as u16).to_be_bytes());
            bytes.extend(id.as_str().as_bytes());
        }
        bytes.extend((groups.len() as u32).to_be_bytes());
        for (group, members) in groups {
            bytes.extend(index[group].to_be_bytes());
            bytes.extend((members.len() as u32).to_be_bytes());
            members
                .iter()
                .for_each(|id| bytes.extend(index[id].to_be_bytes()));
        }
    }

    fn take_sent_groups(&mut self, rest: &mut &[u8]) -> Result<(), CorruptMemory> {
        let mut ids = vec![];
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            let length = usize::from(u16::from_be_bytes(take(rest)?));
            let (text, after) = rest
                .split_at_checked(length)
                .ok_or(CorruptMemory::Damaged)?;
            let text = std::str::from_utf8(text).map_err(|_| CorruptMemory::Damaged)?;
            ids.push(ExternalId::of_member(text).ok_or(CorruptMemory::Damaged)?);
            *rest = after;
        }
        let id = |rest: &mut &[u8]| -> Result<ExternalId, CorruptMemory> {
            let at = u32::from_be_bytes(take(rest)?);
            ids.get(at as usize).cloned().ok_or(CorruptMemory::Damaged)
        };
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            let group = id(rest)?;
            let members = u32::from_be_bytes(take(rest)?);
            let members = (0..members).map(|_| id(rest)).collect::<Result<_, _>>()?;
            self.sent.groups.insert(group, members);
        }
        Ok(())
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CorruptMemory> {
    let (first, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(CorruptMemory::Damaged)?;
    *bytes = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use super::*;
    use crate::sync::memberships::memory::Differences;
    use crate::sync::memberships::memory::SentBefore;

    fn id(text: &str) -> ExternalId {
        ExternalId::parse(text).expect("an id")
    }

    fn memory() -> Memory {
        let differs = Some(Box::new(Differences {
            missing: vec![id("ann")],
            extra: vec![],
        }));
        Memory {
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
            outsiders: [6; 16],
            sent: SentBefore {
                digest: Some([4; 16]),
                revoked: HashSet::from([1, 2, 3]),
                groups: BTreeMap::from([
                    (id("g"), vec![id("ann"), id("bob")]),
                    (id("h"), vec![id("ann")]),
                ]),
            },
        }
    }

    #[test]
    fn comes_back_from_bytes_without_the_groups_that_differ() {
        let mut expected = memory();
        expected.groups.remove(&9);
        assert_eq!(Memory::from_bytes(&memory().to_bytes()), Ok(expected));
        assert_eq!(
            Memory::from_bytes(&Memory::default().to_bytes()),
            Ok(Memory::default())
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
                Memory::from_bytes(&bytes[..length]).is_err(),
                "cut at {length}"
            );
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert!(Memory::from_bytes(&bytes).is_err(), "changed at {at}");
        }
        assert_eq!(
            Memory::from_bytes(b"{\"groups\":{}}"),
            Err(CorruptMemory::Format)
        );
    }
}
