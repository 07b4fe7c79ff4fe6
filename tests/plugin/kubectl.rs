//! kubectl, with the plugin on its PATH as krew would put it there.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use tempfile::TempDir;
use tokio::process::Command;

use directory_sync_testing::ran::Ran;
use directory_sync_testing::world::World;

/// Runs `kubectl directorysync` with these words in the world's namespace.
pub async fn plugin(world: &World, words: &str) -> Ran {
    let line = format!("directorysync {words} -n {}", world.namespace);
    kubectl(world, &line, world.server().kubeconfig()).await
}

/// Runs kubectl with these words and this kubeconfig.
pub async fn kubectl(world: &World, words: &str, kubeconfig: &Path) -> Ran {
    let words: Vec<&str> = words.split_whitespace().collect();
    kubectl_words(world, &words, kubeconfig).await
}

/// The same with words of which some may be empty.
pub async fn kubectl_words(world: &World, words: &[&str], kubeconfig: &Path) -> Ran {
    let mut command = Command::from(world.server().kubectl());
    let output = command
        .args(words)
        .env("PATH", path())
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output();
    Ran::of(output.await.unwrap())
}

/// The folder with both names of the program.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_directory-sync");
        for name in ["kubectl-directorysync", "kubectl_complete-directorysync"] {
            symlink(program, folder.path().join(name)).unwrap();
        }
        folder
    });
    folder.path()
}

/// PATH with the plugin.
pub fn path() -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let rest = std::env::split_paths(&rest).collect::<Vec<PathBuf>>();
    std::env::join_paths([vec![folder().to_owned()], rest].concat()).unwrap()
}
