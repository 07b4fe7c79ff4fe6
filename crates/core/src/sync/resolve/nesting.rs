//! Flattens nested groups into people.

use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use roaring::RoaringBitmap;

use crate::directory::Group;

/// Everyone in each group, directly or through groups in it: indexes of people, in the order of
/// `groups`. Groups with the same people because of their nesting share one set.
///
/// Groups that contain each other have the same people, so each cycle counts as one group. What is
/// left has no cycles and is visited once, the innermost groups first. Nothing here recurses: the
/// depth of nesting is limited by memory only.
pub(super) fn flatten(groups: &[Group]) -> Vec<Arc<RoaringBitmap>> {
    if groups.iter().all(|group| group.groups.is_empty()) {
        return groups.iter().map(|group| Arc::new(direct(group))).collect();
    }
    let mut nesting = DiGraph::<(), ()>::with_capacity(groups.len(), 0);
    for _ in groups {
        nesting.add_node(());
    }
    for (outer, group) in groups.iter().enumerate() {
        for &inner in &group.groups {
            nesting.add_edge(NodeIndex::new(outer), NodeIndex::new(inner as usize), ());
        }
    }
    let mut flat: Vec<Option<Arc<RoaringBitmap>>> = vec![None; groups.len()];
    // The components come innermost first.
    for component in kosaraju_scc(&nesting) {
        let people = people_of(&component, groups, &flat);
        for group in component {
            flat[group.index()] = Some(Arc::clone(&people));
        }
    }
    flat.into_iter()
        .map(|people| people.expect("every group is in exactly one component"))
        .collect()
}

/// What `of` says of each group or of a group in it, at any depth.
pub(super) fn spread<T: Copy>(
    groups: &[Group],
    of: impl Fn(&Group) -> Option<T>,
) -> Vec<Option<T>> {
    let mut known: Vec<Option<T>> = groups.iter().map(of).collect();
    let mut waiting: Vec<usize> = (0..groups.len())
        .filter(|&at| known[at].is_some())
        .collect();
    if waiting.is_empty() {
        return known;
    }
    let mut outer: Vec<Vec<usize>> = vec![vec![]; groups.len()];
    for (at, group) in groups.iter().enumerate() {
        for &inner in &group.groups {
            outer[inner as usize].push(at);
        }
    }
    while let Some(inner) = waiting.pop() {
        for &at in &outer[inner] {
            if known[at].is_none() {
                known[at] = known[inner];
                waiting.push(at);
            }
        }
    }
    known
}

/// The people of one cycle of groups (mostly a single group), those of the groups in it known.
fn people_of(
    component: &[NodeIndex],
    groups: &[Group],
    flat: &[Option<Arc<RoaringBitmap>>],
) -> Arc<RoaringBitmap> {
    let members = || component.iter().map(|group| &groups[group.index()]);
    // A group of the component itself isn't known yet, which leaves the cycle's own edges out.
    let mut inner: Vec<&Arc<RoaringBitmap>> = members()
        .flat_map(|group| &*group.groups)
        .filter_map(|&i| flat[i as usize].as_ref())
        .collect();
    inner.sort_unstable_by_key(|people| (std::cmp::Reverse(people.len()), Arc::as_ptr(people)));
    inner.dedup_by(|a, b| Arc::ptr_eq(a, b));

    let mut people = RoaringBitmap::new();
    for group in members() {
        people.extend(group.users.iter().copied());
    }
    let Some((largest, rest)) = inner.split_first() else {
        return Arc::new(people);
    };
    for more in rest {
        people |= &***more;
    }
    if people.is_subset(largest) {
        return Arc::clone(largest);
    }
    people |= &***largest;
    people.optimize();
    Arc::new(people)
}

fn direct(group: &Group) -> RoaringBitmap {
    group.users.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::directory::ExternalId;

    fn group(users: &[u32], groups: &[u32]) -> Group {
        Group {
            id: ExternalId::parse("any").expect("an id"),
            name: "any".into(),
            users: users.into(),
            groups: groups.into(),
            in_part: None,
            has_unidentified: false,
            unknown: None,
        }
    }

    /// Walks the groups one by one, as one would by hand.
    fn reachable(groups: &[Group], start: usize) -> BTreeSet<u32> {
        let (mut seen, mut queue) = (BTreeSet::from([start]), vec![start]);
        let mut people = BTreeSet::new();
        while let Some(next) = queue.pop() {
            people.extend(groups[next].users.iter().copied());
            for &inner in &groups[next].groups {
                if seen.insert(inner as usize) {
                    queue.push(inner as usize);
                }
            }
        }
        people
    }

    proptest! {
        #[test]
        fn a_group_has_the_people_of_every_group_it_leads_to(
            groups in (1usize..12).prop_flat_map(|count| {
                let groups = prop::collection::vec(0..count as u32, 0..4);
                let users = prop::collection::vec(0..20u32, 0..4);
                prop::collection::vec((users, groups), count)
            })
        ) {
            let groups: Vec<Group> =
                groups.iter().map(|(users, inner)| group(users, inner)).collect();
            for (index, people) in flatten(&groups).iter().enumerate() {
                let flat: BTreeSet<u32> = people.iter().collect();
                prop_assert_eq!(flat, reachable(&groups, index));
            }
        }
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_groups_shares_its_people_and_needs_no_deep_stack() {
        const DEPTH: u32 = 100_000;
        let mut groups: Vec<Group> = (1..DEPTH).map(|inner| group(&[], &[inner])).collect();
        groups.push(group(&[7], &[]));
        let flat = flatten(&groups);
        assert_eq!(flat[0].iter().collect::<Vec<_>>(), [7]);
        assert!(Arc::ptr_eq(&flat[0], &flat[DEPTH as usize - 1]));
    }

    #[test]
    fn groups_of_a_cycle_share_their_people() {
        let flat = flatten(&[
            group(&[1], &[1]),
            group(&[2], &[2]),
            group(&[3], &[0]),
            group(&[4], &[0]),
        ]);
        assert_eq!(flat[0].iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(Arc::ptr_eq(&flat[0], &flat[1]) && Arc::ptr_eq(&flat[1], &flat[2]));
        assert_eq!(flat[3].iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
