//! Helm, on the chart of this repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use simulators::lab;

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder of the chart under test.
pub fn chart() -> PathBuf {
    file("charts/directory-sync-operator")
}

/// `helm`, which finds nothing of the person's who runs the tests.
pub fn helm() -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    let home = HOME.get_or_init(|| tempfile::tempdir().unwrap()).path();
    let mut command = Command::new(HELM.get_or_init(|| lab::find("helm").unwrap()));
    for (variable, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
    ] {
        command.env(variable, home.join(folder));
    }
    command
}

/// Runs a command to its end: what it printed, or all that it said.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stdout) + &text(&output.stderr))
    }
}

/// What the release `directory-sync` in the namespace `directory-sync` consists of.
pub fn template(arguments: &[&str]) -> Result<String, String> {
    template_in("directory-sync", arguments)
}

/// What the release `directory-sync` in a namespace consists of.
pub fn template_in(namespace: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = helm();
    command
        .args(["template", "directory-sync"])
        .arg(chart())
        .args(["--namespace", namespace]);
    run(command.args(arguments))
}

/// The same for one of the value sets in `values/`.
pub fn template_of(set: &str) -> String {
    let values = file(&format!("tests/chart/values/{set}.yaml"));
    template(&["--values", values.to_str().unwrap()]).unwrap()
}

/// The objects in a text of several.
pub fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// Those of one kind.
pub fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    let fits = |object: &&Value| object["kind"] == kind;
    objects.iter().filter(fits).cloned().collect()
}

/// The only one of a kind.
#[track_caller]
pub fn the(objects: &[Value], kind: &str) -> Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "not one {kind}");
    found.into_iter().next().unwrap()
}

/// Compares a file of this repository with what it should be, or writes it.
#[track_caller]
pub fn same(path: &str, wanted: &str) {
    let path = file(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there
        .lines()
        .zip(wanted.lines())
        .position(|(a, b)| a != b)
        .unwrap_or_default();
    assert!(
        there == wanted,
        "{} is stale from line {} on: run UPDATE_GENERATED=1 cargo test --test chart",
        path.display(),
        differs + 1
    );
}
