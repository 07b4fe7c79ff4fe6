//! The command that people run.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::ran::Ran;

/// Runs `directory-sync` with these words in a folder, and with no variables but these.
pub async fn run(folder: &Path, words: &str, variables: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    Ran::of(output)
}
