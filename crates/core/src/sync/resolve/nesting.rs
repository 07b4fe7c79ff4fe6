//! Flattens nested groups into people.

use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use roaring::RoaringBitmap;

use crate::directory::Group;

/// How many bytes the sets that nesting makes may take together. A directory of 500,000 people fills it
/// with some two thousand groups that each contain half of them and aren't the same; chains of groups that
/// each add somebody fill it without any need.
pub(super) const MAX: usize = 128 << 20;

/// The groups contain each other in so many ways that their people don't fit into memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "groups contain each other in so many ways that listing everybody in each takes more than {} MiB; \
     narrow the source's filters for groups, or nest fewer groups in each other",
    .0 >> 20
)]
pub struct NestingTooLarge(usize);

/// Everyone in each group, directly or through groups in it: indexes of people, in the order of
/// `groups`. Groups with the same people because of their nesting share one set.
///
/// Groups that contain each other have the same people, so each cycle counts as one group. What is
/// left has no cycles and is visited once, the innermost groups first. Nothing here recurses: the
/// depth of nesting is limited by memory only.
///
/// # Errors
/// When sets that have people of other groups take more than `max` bytes together: a directory of some
/// megabytes can describe gigabytes of them.
pub(super) fn flatten(
    groups: &[Group],
    max: usize,
) -> Result<Vec<Arc<RoaringBitmap>>, NestingTooLarge> {
    if groups.iter().all(|group| group.groups.is_empty()) {
        return Ok(groups.iter().map(|group| Arc::new(direct(group))).collect());
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
    let mut taken = 0;
    // The components come innermost first.
    for component in kosaraju_scc(&nesting) {
        let (people, made) = people_of(&component, groups, &flat);
        taken += made;
        if taken > max {
            return Err(NestingTooLarge(max));
        }
        for group in component {
            flat[group.index()] = Some(Arc::clone(&people));
        }
    }
    let people = flat.into_iter();
    Ok(people
        .map(|people| people.expect("every group is in exactly one component"))
        .collect())
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

/// The people of one cycle of groups (mostly a single group), those of the groups in it known; and how
/// many bytes that took beyond what the groups name themselves.
fn people_of(
    component: &[NodeIndex],
    groups: &[Group],
    flat: &[Option<Arc<RoaringBitmap>>],
) -> (Arc<RoaringBitmap>, usize) {
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
        return (Arc::new(people), 0);
    };
    for more in rest {
        people |= &***more;
    }
    if people.is_subset(largest) {
        return (Arc::clone(largest), 0);
    }
    people |= &***largest;
    people.optimize();
    let made = people.serialized_size();
    (Arc::new(people), made)
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
            for (index, people) in flatten(&groups, MAX).unwrap().iter().enumerate() {
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
        let flat = flatten(&groups, MAX).unwrap();
        assert_eq!(flat[0].iter().collect::<Vec<_>>(), [7]);
        assert!(Arc::ptr_eq(&flat[0], &flat[DEPTH as usize - 1]));
    }

    #[test]
    fn a_chain_of_groups_that_each_add_somebody_is_given_up_before_it_fills_the_memory() {
        // In no order, so that no set is a range.
        let person = |number: u32| number * 7_919 % 20_011;
        let mut groups: Vec<Group> = (1..5_000)
            .map(|inner| group(&[person(inner)], &[inner]))
            .collect();
        groups.push(group(&[0], &[]));
        let error = flatten(&groups, 4 << 20).unwrap_err();
        assert!(error.to_string().contains("more than 4 MiB"), "{error}");
        // What the groups name themselves was read, and doesn't count.
        let wide: Vec<u32> = (0..20_000).map(|number| number * 2).collect();
        let apart: Vec<Group> = (0..50).map(|_| group(&wide, &[])).collect();
        assert_eq!(flatten(&apart, 0).unwrap().len(), 50);
        let outer = [group(&[], &[1]), group(&wide, &[])];
        assert_eq!(flatten(&outer, 0).unwrap()[0].len(), 20_000);
    }

    #[test]
    fn groups_of_a_cycle_share_their_people() {
        let groups = [
            group(&[1], &[1]),
            group(&[2], &[2]),
            group(&[3], &[0]),
            group(&[4], &[0]),
        ];
        let flat = flatten(&groups, MAX).unwrap();
        assert_eq!(flat[0].iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(Arc::ptr_eq(&flat[0], &flat[1]) && Arc::ptr_eq(&flat[1], &flat[2]));
        assert_eq!(flat[3].iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
