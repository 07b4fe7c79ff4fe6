//! The test data of Argo CD's checks: objects as the operator leaves them, without what differs
//! from one run to the next.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use directory_sync_testing::world::World;

const DIGEST: &str = "3f1c9a0b62d47e5588a1f0c4d9e27b16";
const TIME: &str = "2026-05-04T12:00:00Z";

/// The folder of Argo CD's files about the resource.
pub fn folder() -> PathBuf {
    let folder = "deploy/argocd/resource_customizations/directorysync.dev/DirectorySync";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// A YAML file of that folder, or of one below.
pub fn read(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The object is what stands in the test data under this name; `UPDATE_TESTDATA=1` puts it there.
pub fn assert_is(name: &str, world: &World, object: &Value) {
    let path = folder().join("testdata").join(format!("{name}.yaml"));
    assert_file(&path, &anonymous(world, object));
}

/// A file of the folder holds this object; `UPDATE_TESTDATA=1` writes it.
pub fn assert_file(path: &Path, object: &Value) {
    if std::env::var_os("UPDATE_TESTDATA").is_some() {
        let yaml = serde_saphyr::to_string(object).unwrap();
        std::fs::write(path, yaml).unwrap();
    }
    assert_eq!(
        *object,
        read(path),
        "{} has something else; run with UPDATE_TESTDATA=1 if this was meant to change",
        path.display()
    );
}

fn anonymous(world: &World, object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = &object["metadata"];
    let mut kept = json!({
        "name": metadata["name"], "namespace": "identity", "generation": metadata["generation"],
    });
    if let Some(annotations) = metadata.get("annotations") {
        kept["annotations"] = annotations.clone();
    }
    object["metadata"] = kept;
    let held = object.pointer("/status/heldRemovals/digest");
    let digest = held.and_then(Value::as_str).unwrap_or("none").to_owned();
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        if let Some(held) = status.get_mut("heldRemovals") {
            held["planDigest"] = DIGEST.into();
        }
        // There while a run writes.
        status.remove("nextLedgerDigest");
        status.remove("nextHistoryDigest");
        // One number or two, as the hour has it.
        status.remove("limitsUsed");
        status.remove("openRecordsDigest");
        for (field, value) in status.iter_mut() {
            if field.ends_with("Digest") {
                *value = DIGEST.into();
            }
        }
        if status.contains_key("consecutiveFailures") {
            status["consecutiveFailures"] = 1.into();
        }
        // How far it is depends on when one looks, and whether the next time is told on chance.
        status.remove("progress");
        // Written in the middle of the first run; nothing here depends on it.
        status.remove("claim");
        status.remove("nextSyncTime");
    }
    // They come in the order of ids, which are others each time.
    if let Some(sample) = object.pointer_mut("/status/heldRemovals/sample") {
        let sample = sample.as_array_mut().unwrap();
        sample.sort_by_key(|removal| removal.to_string());
    }
    let replaced = [
        (world.slapd.url(), "ldap://ldap.example.com"),
        (world.organization.url(), "https://vault.example.com"),
        (world.namespace.clone(), "identity"),
        (digest, DIGEST),
    ];
    rewrite(&mut object, &|text| {
        if text.parse::<jiff::Timestamp>().is_ok() {
            return TIME.into();
        }
        let replaced = replaced.iter();
        replaced.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    });
    object
}

fn rewrite(value: &mut Value, with: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = with(text),
        Value::Array(values) => values.iter_mut().for_each(|value| rewrite(value, with)),
        Value::Object(fields) => fields.values_mut().for_each(|value| rewrite(value, with)),
        _ => {}
    }
}

/// What a program says about an object.
pub fn ask(part: &str, arguments: &[&Path], object: &Value) -> Result<String, String> {
    let program = simulators::lab::find(part).unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(object.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// What a script of the folder makes of an object, in Argo CD's Lua.
pub fn lua(script: &str, object: &Value) -> Value {
    let result = ask("argo-lua", &[&folder().join(script)], object);
    serde_json::from_str(&result.unwrap_or_else(|error| panic!("{script}: {error}"))).unwrap()
}

/// How Flux judges an object.
pub fn kstatus(object: &Value) -> String {
    judged(&ask("kstatus", &[], object).unwrap())
}

/// How Flux judges an object by one of a Kustomization's `healthCheckExprs`.
pub fn kstatus_with(expressions: &Value, object: &Value) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), expressions.to_string()).unwrap();
    judged(&ask("kstatus", &[file.path()], object).unwrap())
}

fn judged(said: &str) -> String {
    said.split('\t').next().unwrap().to_owned()
}
