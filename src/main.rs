//! The `directory-sync` command.

fn main() {}
