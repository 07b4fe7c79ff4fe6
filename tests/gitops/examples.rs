//! What stands in Git is what stands in the cluster: applied again, nothing is different.

use std::path::{Path, PathBuf};

use directory_sync::api::DirectorySync;
use serde_json::{Value, json};

use crate::testdata::{folder, read};
use directory_sync_testing::world::*;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The documents of the YAML files below a folder, with their files.
fn documents(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let all: Vec<Value> = serde_saphyr::from_multiple(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.extend(all.into_iter().map(|document| (path.clone(), document)));
        }
    }
    found
}

fn of_kind(kind: &str) -> Vec<(PathBuf, Value)> {
    let mut all = documents(&examples());
    all.retain(|(_, document)| document["kind"] == kind);
    all
}

/// By what Flux judges resources in the example.
pub fn health_check_exprs() -> Value {
    let kustomizations = of_kind("Kustomization");
    let (_, one) = kustomizations
        .iter()
        .find(|(_, one)| one["metadata"]["name"] == "identity")
        .unwrap();
    one.pointer("/spec/healthCheckExprs/0").unwrap().clone()
}

/// What `kubectl diff` prints: nothing where nothing is different.
fn difference(world: &World, file: &Path, server_side: bool) -> String {
    let mut kubectl = world.server().kubectl();
    kubectl.args(["diff", "-f", file.to_str().unwrap()]);
    if server_side {
        kubectl.arg("--server-side");
    }
    let output = kubectl.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "kubectl diff failed: {text}"
    );
    text
}

/// Every example of a resource, in this world's namespace, one file each.
fn here(world: &World, to: &Path) -> Vec<PathBuf> {
    let resources = of_kind("DirectorySync");
    assert!(resources.len() >= 9);
    let files = resources
        .into_iter()
        .enumerate()
        .map(|(number, (_, mut resource))| {
            resource["metadata"]["namespace"] = world.namespace.clone().into();
            // Some have the same name, for they are of different companies.
            resource["metadata"]["name"] = format!("example-{number}").into();
            let file = to.join(format!("{number}.yaml"));
            std::fs::write(&file, serde_saphyr::to_string(&resource).unwrap()).unwrap();
            file
        });
    files.collect()
}

async fn stays_without_difference(server_side: bool) {
    let purpose = if server_side {
        "diff-server"
    } else {
        "diff-client"
    };
    let world = World::new(purpose).await;
    let folder_of_files = tempfile::tempdir().unwrap();
    let status = read(&folder().join("testdata/held.yaml"))["status"].clone();
    for file in here(&world, folder_of_files.path()) {
        let path = file.to_str().unwrap();
        let apply: &[&str] = if server_side {
            &["apply", "--server-side", "-f", path]
        } else {
            &["apply", "-f", path]
        };
        world.kubectl(apply);
        let again = world.kubectl(apply);
        assert!(server_side || again.contains("unchanged"), "{again}");
        assert_eq!(difference(&world, &file, server_side), "", "{path}");
        // The operator's part of the resource is nobody's difference.
        let name = format!("example-{}", file.file_stem().unwrap().to_str().unwrap());
        let patch = json!({"status": status}).to_string();
        let status = [
            "patch",
            "dsync",
            &name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        world.kubectl(&status);
        assert_eq!(difference(&world, &file, server_side), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_applied_by_the_server_stay_without_difference() {
    stays_without_difference(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_applied_by_the_client_stay_without_difference() {
    stays_without_difference(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_was_synced_has_no_difference_to_git_and_a_changed_one_has() {
    let world = World::new("diff-synced").await;
    let operator = world.operator();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("staff.json");
    std::fs::write(&file, world.manifest("staff").to_string()).unwrap();
    let path = file.to_str().unwrap();
    world.kubectl(&["apply", "--server-side", "-f", path]);
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(difference(&world, &file, true), "");

    let requested = "directorysync.dev/sync-requested-at";
    world.annotate("staff", requested, "now").await;
    world
        .until("staff", "an answered request", |staff: &DirectorySync| {
            let status = staff.status.as_ref().unwrap();
            status.last_handled_sync_request.as_deref() == Some("now")
        })
        .await;
    // What a person or Flux asks by annotation isn't Git's either.
    assert_eq!(difference(&world, &file, true), "");

    let mut changed = world.manifest("staff");
    changed["spec"]["interval"] = "2h".into();
    std::fs::write(&file, changed.to_string()).unwrap();
    assert!(difference(&world, &file, true).contains("+  interval: 2h"));
    operator.stop().await.unwrap();
}

/// The names of the keys that a document gives a Secret, with the Secret's name.
fn keys(document: &Value) -> (String, Vec<String>) {
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let name = |value: &Value| value.as_str().unwrap().to_owned();
    match document["kind"].as_str().unwrap() {
        "Secret" => (
            name(&document["metadata"]["name"]),
            fields(&document["stringData"]),
        ),
        "SealedSecret" => {
            let template = &document["spec"]["template"]["metadata"];
            assert_eq!(*template, document["metadata"], "sealed for another Secret");
            (
                name(&template["name"]),
                fields(&document["spec"]["encryptedData"]),
            )
        }
        "ExternalSecret" => {
            let spec = &document["spec"];
            assert!(
                spec["secretStoreRef"]["name"].is_string() && spec["refreshInterval"].is_string()
            );
            let data = spec["data"].as_array().unwrap();
            let keys = data.iter().map(|entry| {
                assert!(entry["remoteRef"]["key"].is_string());
                name(&entry["secretKey"])
            });
            (name(&spec["target"]["name"]), keys.collect())
        }
        other => panic!("{other} makes no Secret"),
    }
}

#[test]
fn every_way_to_bring_a_secret_brings_the_keys_that_the_quickstart_reads() {
    let staff = &read(&examples().join("quickstart/staff.yaml"))["spec"];
    let organization = &staff["organization"]["credentialsSecretRef"]["name"];
    let directory = &staff["source"]["ldap"]["bindSecretRef"]["name"];
    let mut expected = vec![
        (
            organization.as_str().unwrap().to_owned(),
            vec!["clientId".to_owned(), "clientSecret".into()],
        ),
        (
            directory.as_str().unwrap().to_owned(),
            vec!["bindDn".into(), "password".into()],
        ),
    ];
    expected.sort();
    for (kind, api_version) in [
        ("Secret", "v1"),
        ("SealedSecret", "bitnami.com/v1alpha1"),
        ("ExternalSecret", "external-secrets.io/v1"),
    ] {
        let of_kind = of_kind(kind);
        let mut brought: Vec<_> = of_kind
            .iter()
            .map(|(file, document)| {
                assert_eq!(document["apiVersion"], api_version, "{}", file.display());
                assert_eq!(document["metadata"]["namespace"], "identity");
                let (name, mut keys) = keys(document);
                keys.sort();
                (name, keys)
            })
            .collect();
        brought.sort();
        // The quickstart brings a directory of its own for kind, with the same Secret.
        brought.dedup();
        assert_eq!(brought, expected, "{kind}");
    }
}

#[test]
fn what_depends_on_another_names_one_that_is_there() {
    let kustomizations = of_kind("Kustomization");
    let flux: Vec<_> = kustomizations
        .iter()
        .filter(|(_, one)| one["apiVersion"] == "kustomize.toolkit.fluxcd.io/v1")
        .collect();
    let names: Vec<_> = flux
        .iter()
        .map(|(_, one)| &one["metadata"]["name"])
        .collect();
    assert_eq!(names.len(), 4);
    let depends = |one: &Value| {
        one["spec"]["dependsOn"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    for (_, one) in &flux {
        for other in depends(one) {
            assert!(names.contains(&&other["name"]), "{other}");
        }
    }
    let identity = flux
        .iter()
        .find(|(_, one)| one["metadata"]["name"] == "identity")
        .unwrap();
    let check = &identity.1["spec"]["healthChecks"][0];
    let staff = read(&examples().join("quickstart/staff.yaml"));
    for field in ["apiVersion", "kind"] {
        assert_eq!(check[field], staff[field]);
        assert_eq!(
            identity.1["spec"]["healthCheckExprs"][0][field],
            staff[field]
        );
    }
    for field in ["name", "namespace"] {
        assert_eq!(check[field], staff["metadata"][field]);
    }
}
