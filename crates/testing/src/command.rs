//! The command that people run.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::ran::Ran;

/// The built `directory-sync`, as cargo names it to integration tests.
///
/// # Panics
/// When the process isn't an integration test of the product.
pub fn program() -> PathBuf {
    let path = std::env::var_os("CARGO_BIN_EXE_directory-sync");
    path.expect("cargo tells integration tests of the product where the program is")
        .into()
}

/// Runs `directory-sync` with these words in a folder, where its state is kept too, and with no other
/// variables than these.
pub async fn run(folder: &Path, words: &str, variables: &[(&str, &str)]) -> Ran {
    let output = Command::new(program())
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        // Where a command keeps what it took away, for the next one.
        .env("XDG_STATE_HOME", folder.join(".state"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    Ran::of(output)
}
