//! What directories are compared by that came about in two ways.

use std::collections::BTreeSet;

use directory_sync::directory::Directory;

/// All that a directory says, in an order of its own.
pub fn content(directory: &Directory) -> Vec<String> {
    let id = |at: &u32| directory.users[*at as usize].id.to_string();
    let group_id = |at: &u32| directory.groups[*at as usize].id.to_string();
    let rule = directory.account_rule.as_ref();
    let mut lines: Vec<String> = directory
        .users
        .iter()
        .map(|user| {
            let hidden = user
                .lacks_attribute_in
                .map(|container| rule.is_some_and(|rule| rule.may_be_hidden_in(container)));
            format!(
                "user {} {:?} {:?} {:?} {hidden:?} {}",
                user.id, user.email, user.state, user.evidence, user.is_unnamed
            )
        })
        .collect();
    lines.extend(directory.groups.iter().map(|group| {
        let users: BTreeSet<_> = group.users.iter().map(id).collect();
        let groups: BTreeSet<_> = group.groups.iter().map(group_id).collect();
        format!(
            "group {} {:?} {users:?} {groups:?} {:?} {} {:?}",
            group.id, group.name, group.in_part, group.has_unidentified, group.unknown
        )
    }));
    lines.extend(
        directory
            .unidentified_users
            .iter()
            .map(|user| format!("{user:?}")),
    );
    lines.extend(
        directory
            .unidentified_groups
            .iter()
            .map(|group| format!("{group:?}")),
    );
    lines.extend(
        directory
            .problems
            .iter()
            .map(|problem| format!("{problem:?}")),
    );
    lines.extend(rule.map(|rule| {
        format!(
            "{} {} {:?} {}",
            rule.name, rule.meaning, rule.seen, rule.active_have_it
        )
    }));
    lines.push(format!("{:?}", directory.unknown_members.count));
    lines.sort();
    lines
}

/// A number of the environment: how many stories a test tells, say.
pub fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}
