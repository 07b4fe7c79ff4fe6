//! Ways through nested groups: the shortest ones, whatever cycles there are. Nothing recurses.

use std::collections::{HashMap, HashSet};

use crate::directory::Group;

/// For each group (by its index) that was reached, the group it was reached from.
#[derive(Debug, Default)]
pub(super) struct Ways {
    from: HashMap<u32, Option<u32>>,
    /// The groups, nearest first.
    pub order: Vec<u32>,
}

impl Ways {
    /// The groups on the way from this one back to the start, without itself: the nearest first.
    pub fn back(&self, group: u32) -> Vec<u32> {
        let mut way = vec![];
        let mut at = group;
        while let Some(Some(before)) = self.from.get(&at).copied() {
            way.push(before);
            at = before;
        }
        way
    }

    /// Visits what `next` of each group leads to, level by level; of several ways of one length the
    /// one through the lowest external ids, so that the order of reading doesn't matter.
    fn walk(groups: &[Group], start: Vec<u32>, next: impl Fn(u32) -> Vec<u32>) -> Self {
        let by_id = |level: &mut Vec<u32>| {
            level.sort_unstable_by_key(|&at| &groups[at as usize].id);
        };
        let mut ways = Self::default();
        let mut level = start;
        by_id(&mut level);
        for &at in &level {
            ways.from.insert(at, None);
        }
        while !level.is_empty() {
            ways.order.extend(&level);
            let mut following = vec![];
            for at in level {
                for reached in next(at) {
                    ways.from.entry(reached).or_insert_with(|| {
                        following.push(reached);
                        Some(at)
                    });
                }
            }
            by_id(&mut following);
            level = following;
        }
        ways
    }
}

/// All groups that a person is in, directly or through other groups. [`Ways::back`] of one of them leads
/// to a group that has the person itself.
pub(super) fn around(groups: &[Group], person: u32) -> Ways {
    let mut outer: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut direct = vec![];
    for (group, at) in groups.iter().zip(0u32..) {
        for &inner in &group.groups {
            outer.entry(inner).or_default().push(at);
        }
        if group.users.contains(&person) {
            direct.push(at);
        }
    }
    Ways::walk(groups, direct, |at| {
        outer.get(&at).cloned().unwrap_or_default()
    })
}

/// All groups in a group, itself included, and everybody in them with the group that has them: the nearest
/// one.
pub(super) fn inside(groups: &[Group], start: u32) -> (Ways, Vec<(u32, u32)>) {
    let ways = Ways::walk(groups, vec![start], |at| {
        groups[at as usize].groups.to_vec()
    });
    let mut seen: HashSet<u32> = HashSet::new();
    let mut people = vec![];
    for &at in &ways.order {
        let direct = groups[at as usize].users.iter();
        people.extend(
            direct
                .filter(|person| seen.insert(**person))
                .map(|&person| (person, at)),
        );
    }
    (ways, people)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::ExternalId;

    fn group(id: &str, users: &[u32], groups: &[u32]) -> Group {
        Group {
            id: ExternalId::parse(id).expect("an id"),
            name: id.into(),
            users: users.into(),
            groups: groups.into(),
            in_part: None,
            has_unidentified: false,
            unknown: None,
        }
    }

    #[test]
    fn the_shortest_way_is_taken_and_cycles_end() {
        // a holds b and c, c holds b, b holds a again; 7 is in b alone.
        let groups = [
            group("a", &[], &[1, 2]),
            group("b", &[7], &[0]),
            group("c", &[], &[1]),
        ];
        let ways = around(&groups, 7);
        assert_eq!(ways.order, [1, 0, 2]);
        assert_eq!(ways.back(1), [] as [u32; 0]);
        assert_eq!(ways.back(0), [1]);
        assert_eq!(ways.back(2), [1]);
        let (ways, people) = inside(&groups, 2);
        assert_eq!(people, [(7, 1)]);
        assert_eq!(ways.back(1), [2]);
        assert_eq!(ways.back(0), [1, 2]);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_groups_needs_no_deep_stack() {
        const DEPTH: u32 = 100_000;
        let mut groups: Vec<Group> = (1..DEPTH)
            .map(|inner| group("any", &[], &[inner]))
            .collect();
        groups.push(group("any", &[7], &[]));
        let ways = around(&groups, 7);
        assert_eq!(ways.back(0).len(), DEPTH as usize - 1);
    }
}
