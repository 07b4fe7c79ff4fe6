//! What the benches of the sources have in common.

use directory_sync::directory::Directory;

/// How many people and groups the command line asks for; `usual` where it doesn't.
pub fn sizes(usual: (u32, u32)) -> (u32, u32) {
    let sizes: Vec<u32> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    match sizes[..] {
        [people, groups] => (people, groups),
        _ => usual,
    }
}

/// What was read: `50000 users, 5000 groups, 200000 memberships`.
pub fn summary(directory: &Directory) -> String {
    let memberships: usize = directory.groups.iter().map(|group| group.users.len()).sum();
    format!(
        "{} users, {} groups, {memberships} memberships",
        directory.users.len(),
        directory.groups.len()
    )
}
