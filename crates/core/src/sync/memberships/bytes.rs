//! The cache as bytes, for where it is kept between two processes.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::directory::{Email, ExternalId};
use crate::sync::memberships::MembershipCache;
use crate::sync::memberships::cache::CachedGroup;
use crate::sync::sent::{Access, RowKind, SentAccount, SentGroup, SentState};
use crate::sync::stored::{self, Corrupt, Magic};

/// Earlier versions are refused by their names.
const MAGIC: &Magic = b"dsyncmm8";

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    organization: [u8; 16],
    unmanaged: [u8; 16],
    groups: Vec<StoredGroup>,
    #[serde(borrow)]
    sent: StoredSent<'a>,
}

/// A group in 25 bytes, and a few more where `unmanaged` is some.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct StoredGroup {
    /// A hash, which is longer as a number of variable length.
    #[serde(with = "postcard::fixint::be")]
    key: u64,
    digest: [u8; 16],
    unmanaged: Option<u32>,
}

/// A [`SentState`] in which each external id stands once, in `ids`; everything else names it by its
/// place there.
#[derive(Serialize, Deserialize)]
struct StoredSent<'a> {
    lost: bool,
    #[serde(borrow)]
    ids: Vec<&'a str>,
    accounts: Vec<(&'a str, Place, Access)>,
    groups: Vec<StoredSentGroup<'a>>,
    refused: Vec<(RowKind, Place, u64)>,
}

type Place = u32;

#[derive(Serialize, Deserialize)]
struct StoredSentGroup<'a> {
    id: Place,
    name: &'a str,
    server_id: Option<Place>,
    members: Vec<Place>,
    unsure: bool,
    renamed: Option<&'a str>,
    gone: bool,
}

impl MembershipCache {
    /// 25 bytes for each group, or a few more. Where the server can't be read: each account with its email and
    /// external id, and each group with at most four bytes for each member.
    ///
    /// Groups that differ from what is wanted are left out: they are read again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let groups = self.groups.iter();
        let mut groups: Vec<StoredGroup> = groups
            .filter(|(_, group)| group.differs.is_none())
            .map(|(key, group)| StoredGroup {
                key: *key,
                digest: group.digest,
                unmanaged: group.unmanaged,
            })
            .collect();
        groups.sort_unstable();
        let stored = Stored {
            organization: self.organization,
            unmanaged: self.unmanaged,
            groups,
            sent: StoredSent::from(&self.sent),
        };
        stored::to_bytes(MAGIC, &stored)
    }

    /// Reads what [`MembershipCache::to_bytes`] wrote.
    ///
    /// # Errors
    /// Anything else is refused: a wrong cache would leave groups unread.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let stored: Stored<'_> = stored::from_bytes(MAGIC, bytes)?;
        let groups = stored.groups.into_iter().map(|group| {
            let cached = CachedGroup {
                digest: group.digest,
                differs: None,
                unmanaged: group.unmanaged,
            };
            (group.key, cached)
        });
        Ok(Self {
            organization: stored.organization,
            unmanaged: stored.unmanaged,
            groups: groups.collect(),
            sent: stored.sent.read().ok_or(Corrupt::Damaged)?,
        })
    }
}

/// The external ids in the order in which they are met.
struct Ids<'a> {
    places: HashMap<&'a ExternalId, Place>,
    ids: Vec<&'a str>,
}

impl<'a> Ids<'a> {
    fn with_capacity(ids: usize) -> Self {
        Self {
            places: HashMap::with_capacity(ids),
            ids: Vec::with_capacity(ids),
        }
    }

    fn place(&mut self, id: &'a ExternalId) -> Place {
        *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id.as_str());
            self.ids.len() as Place - 1
        })
    }
}

impl<'a> From<&'a SentState> for StoredSent<'a> {
    fn from(sent: &'a SentState) -> Self {
        let mut ids = Ids::with_capacity(sent.accounts.len() + sent.groups.len());
        let accounts = sent.accounts.iter().map(|(email, account)| {
            let id = ids.place(&account.external_id);
            (email.as_str(), id, account.access)
        });
        let accounts = accounts.collect();
        let groups = sent.groups.iter().map(|(id, group)| StoredSentGroup {
            id: ids.place(id),
            name: &group.name,
            server_id: group.server_id.as_ref().map(|id| ids.place(id)),
            members: group.members.iter().map(|id| ids.place(id)).collect(),
            unsure: group.unsure,
            renamed: group.renamed.as_deref(),
            gone: group.gone,
        });
        let groups = groups.collect();
        let refused = sent.refused.iter();
        let refused = refused.map(|((kind, id), hash)| (*kind, ids.place(id), *hash));
        Self {
            lost: sent.lost,
            accounts,
            groups,
            refused: refused.collect(),
            ids: ids.ids,
        }
    }
}

impl StoredSent<'_> {
    /// `None`: an id is empty, or a place is outside the list of ids.
    fn read(self) -> Option<SentState> {
        let ids = self.ids.into_iter().map(ExternalId::of_member);
        let ids: Vec<ExternalId> = ids.collect::<Option<_>>()?;
        let id = |place: Place| ids.get(place as usize).cloned();
        let accounts = self.accounts.into_iter().map(|(email, place, access)| {
            let external_id = id(place)?;
            let account = SentAccount {
                external_id,
                access,
            };
            Some((Email::of_member(email), account))
        });
        let groups = self.groups.into_iter().map(|group| {
            let read = SentGroup {
                name: group.name.into(),
                server_id: match group.server_id {
                    Some(place) => Some(id(place)?),
                    None => None,
                },
                members: group.members.into_iter().map(id).collect::<Option<_>>()?,
                unsure: group.unsure,
                renamed: group.renamed.map(Into::into),
                gone: group.gone,
            };
            Some((id(group.id)?, read))
        });
        let refused = self.refused.into_iter();
        let refused = refused.map(|(kind, place, hash)| Some(((kind, id(place)?), hash)));
        Some(SentState {
            lost: self.lost,
            accounts: accounts.collect::<Option<BTreeMap<_, _>>>()?,
            groups: groups.collect::<Option<BTreeMap<_, _>>>()?,
            refused: refused.collect::<Option<BTreeMap<_, _>>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, hash_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::sync::memberships::cache::Differences;

    fn id(text: &str) -> ExternalId {
        ExternalId::parse(text).expect("an id")
    }

    fn cached(digest: u8) -> CachedGroup {
        CachedGroup {
            digest: [digest; 16],
            differs: None,
            unmanaged: Some(3),
        }
    }

    fn cache() -> MembershipCache {
        MembershipCache {
            organization: [7; 16],
            groups: HashMap::from([(7, cached(1)), (u64::MAX, cached(2))]),
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
        let email = Email::of_member;
        SentState {
            lost: false,
            accounts: BTreeMap::from([
                (email("ann@example.com"), account("ann", Access::Given)),
                (email("bob@example.com"), account("bob", Access::Unsure)),
                (email("old@example.com"), account("x", Access::Revoked)),
            ]),
            groups: BTreeMap::from([
                (id("g"), group),
                (id("h"), SentGroup::new("Other", vec![id("ann")])),
            ]),
            refused: BTreeMap::from([
                ((RowKind::Person, id("bad")), 7),
                ((RowKind::Group, id("bad")), 8),
            ]),
        }
    }

    /// `cache()` as the last version before postcard wrote it.
    const VERSION_5: &str = "\
        6473796e636d6d3507070707070707070707070707070707060606060606060606060606060606060000000200\
        000000000000070101010101010101010101010101010101ffffffffffffffff02020202020202020202020202\
        02020201000000\
        00070003616e6e00036261640003626f6200016700016800056f6c642d6700017800000003000f616e6e406578\
        616d706c652e636f6d0000000000000f626f62406578616d706c652e636f6d0000000201000f6f6c6440657861\
        6d706c652e636f6d00000006020000000200000003000547726f757000034e6577000000050100000000020000\
        0000000000020000000400054f746865720000ffffffff00000000000100000000000000010000000100000000\
        00000007cc1237062bce6c40eb4cfc091f24a40c";

    #[test]
    fn what_an_older_version_wrote_is_refused_as_another_format() {
        let bytes = data_encoding::HEXLOWER
            .decode(VERSION_5.as_bytes())
            .unwrap();
        assert!(bytes.starts_with(b"dsyncmm5"));
        assert_eq!(MembershipCache::from_bytes(&bytes), Err(Corrupt::Format));
        assert_eq!(
            MembershipCache::from_bytes(b"{\"groups\":{}}"),
            Err(Corrupt::Format)
        );
        // Its content under the name of today isn't taken either.
        let mut renamed = [MAGIC, &bytes[8..bytes.len() - 16]].concat();
        renamed.extend(crate::sync::hash::truncated(&renamed));
        assert_eq!(MembershipCache::from_bytes(&renamed), Err(Corrupt::Damaged));
    }

    #[test]
    fn groups_that_differ_are_left_out() {
        let mut differs = cached(3);
        differs.differs = Some(Box::new(Differences {
            missing: vec![id("ann")],
            extra: vec![],
        }));
        let mut with = cache();
        with.groups.insert(9, differs);
        assert_eq!(MembershipCache::from_bytes(&with.to_bytes()), Ok(cache()));
    }

    #[test]
    fn a_group_takes_25_bytes() {
        let mut more = cache();
        let group = CachedGroup {
            unmanaged: None,
            ..cached(5)
        };
        more.groups.insert(8, group);
        assert_eq!(more.to_bytes().len(), cache().to_bytes().len() + 25);
    }

    #[test]
    fn a_member_of_a_group_takes_at_most_4_bytes_and_an_id_stands_once() {
        let people: Vec<_> = (0..100_000)
            .map(|n| id(&format!("person-{n:06}")))
            .collect();
        let size = |groups: u32| {
            let group = |n: u32| (id(&n.to_string()), SentGroup::new("G", people.clone()));
            let sent = SentState {
                groups: (0..groups).map(group).collect(),
                ..SentState::default()
            };
            let cache = MembershipCache {
                sent,
                ..MembershipCache::default()
            };
            cache.to_bytes().len()
        };
        let (one, two) = (size(1), size(2));
        assert!(two - one <= people.len() * 4, "{one} then {two}");
    }

    #[test]
    fn bytes_cut_anywhere_are_refused() {
        let bytes = cache().to_bytes();
        for length in 0..bytes.len() {
            let cut = MembershipCache::from_bytes(&bytes[..length]);
            assert!(cut.is_err(), "cut at {length}");
        }
    }

    #[test]
    fn bytes_changed_in_one_bit_are_refused() {
        let bytes = cache().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = MembershipCache::from_bytes(&bytes);
            assert!(changed.is_err(), "bit {bit} changed");
        }
    }

    #[test]
    fn places_outside_the_list_of_ids_and_empty_ids_are_refused() {
        let refused = |change: fn(&mut StoredSent<'_>)| {
            let state = sent();
            let mut stored = StoredSent::from(&state);
            change(&mut stored);
            stored.read().is_none()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|stored| stored.ids[1] = ""));
        assert!(refused(|stored| stored.accounts[0].1 = 99));
        assert!(refused(|stored| stored.groups[0].id = 99));
        assert!(refused(|stored| stored.groups[0].server_id = Some(99)));
        assert!(refused(|stored| stored.groups[0].members[1] = 99));
        assert!(refused(|stored| stored.refused[0].1 = 99));
    }

    fn any_id() -> impl Strategy<Value = ExternalId> {
        // Few, so that they meet.
        "[a-c]{1,2}|ü|x{300}".prop_map(|text| ExternalId::of_member(&text).expect("not empty"))
    }

    fn any_sent() -> impl Strategy<Value = SentState> {
        let access = prop_oneof![
            Just(Access::Given),
            Just(Access::Unsure),
            Just(Access::Revoked),
            Just(Access::MaybeRevoked),
            Just(Access::MaybeRestored)
        ];
        let email = "[a-z]{1,9}@example\\.com".prop_map(|text| Email::of_member(&text));
        let account = (any_id(), access).prop_map(|(external_id, access)| SentAccount {
            external_id,
            access,
        });
        let name = || "\\PC{0,12}".prop_map(Box::<str>::from);
        let group = (
            name(),
            proptest::option::of(any_id()),
            vec(any_id(), 0..6),
            any::<bool>(),
            proptest::option::of(name()),
            any::<bool>(),
        );
        let group = group.prop_map(
            |(name, server_id, members, unsure, renamed, gone)| SentGroup {
                name,
                server_id,
                members,
                unsure,
                renamed,
                gone,
            },
        );
        let kind = prop_oneof![Just(RowKind::Person), Just(RowKind::Group)];
        let state = (
            any::<bool>(),
            btree_map(email, account, 0..6),
            btree_map(any_id(), group, 0..6),
            btree_map((kind, any_id()), any::<u64>(), 0..6),
        );
        state.prop_map(|(lost, accounts, groups, refused)| SentState {
            lost,
            accounts,
            groups,
            refused,
        })
    }

    fn any_cache() -> impl Strategy<Value = MembershipCache> {
        let group = (any::<[u8; 16]>(), any::<Option<u32>>());
        let group = group.prop_map(|(digest, unmanaged)| CachedGroup {
            digest,
            differs: None,
            unmanaged,
        });
        let cache = (
            any::<[u8; 16]>(),
            hash_map(any::<u64>(), group, 0..9),
            any::<[u8; 16]>(),
            any_sent(),
        );
        cache.prop_map(|(organization, groups, unmanaged, sent)| MembershipCache {
            organization,
            groups,
            unmanaged,
            sent,
        })
    }

    proptest! {
        #[test]
        fn every_cache_comes_back_as_it_was(cache in any_cache()) {
            let bytes = cache.to_bytes();
            let read = MembershipCache::from_bytes(&bytes);
            prop_assert_eq!(read.as_ref().map(MembershipCache::to_bytes), Ok(bytes));
            prop_assert_eq!(read, Ok(cache));
        }

        #[test]
        fn no_bytes_are_read_as_something_that_was_not_written(
            bytes in vec(any::<u8>(), 0..200),
        ) {
            // With the right name and checksum: what is left are the checks of the content.
            let mut bytes = [MAGIC.as_slice(), &bytes].concat();
            bytes.extend(crate::sync::hash::truncated(&bytes));
            if let Ok(read) = MembershipCache::from_bytes(&bytes) {
                let again = MembershipCache::from_bytes(&read.to_bytes());
                prop_assert_eq!(again, Ok(read));
            }
        }
    }
}
