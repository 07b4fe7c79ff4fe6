//! `deploy/` is the chart for those who use kustomize: the same objects, but for what only Helm
//! needs.

use std::collections::BTreeMap;

use serde_json::Value;
use simulators::lab;

use crate::cluster::cluster;
use crate::helm::*;

const FOR_A_NAMESPACE: [&str; 3] = [
    "watch.scope=Release",
    "rbac.aggregate=false",
    "crds.enabled=false",
];

/// What the chart renders with these values, without hooks and what speaks of Helm.
pub fn rendered(set: &[&str]) -> String {
    let set = set.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<_> = std::iter::once("--no-hooks").chain(set).collect();
    without_helm(&template(&arguments).unwrap())
}

/// Without labels and comments that speak of Helm.
fn without_helm(text: &str) -> String {
    let of_helm = [
        "app.kubernetes.io/managed-by: Helm",
        "helm.sh/chart: ",
        "# Source: ",
    ];
    let lines = text
        .lines()
        .filter(|line| !of_helm.iter().any(|words| line.trim().starts_with(words)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text of each object, with the comments above it.
fn documents(text: &str) -> Vec<String> {
    let documents = format!("\n{text}");
    let documents = documents
        .split("\n---\n")
        .map(|text| text.trim().to_owned() + "\n");
    documents.filter(|text| text.contains("kind: ")).collect()
}

fn files(
    set: &[&str],
    names: impl Fn(&str, &Value) -> Option<&'static str>,
) -> BTreeMap<&'static str, String> {
    let mut files: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for document in documents(&rendered(set)) {
        let object: Value = serde_saphyr::from_str(&document).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        if let Some(file) = names(name, &object["kind"]) {
            files.entry(file).or_default().push(document);
        }
    }
    let files = files.into_iter();
    files.map(|(file, all)| (file, all.join("---\n"))).collect()
}

#[test]
fn the_base_and_the_rights_are_what_the_chart_renders() {
    let cluster = files(&[], |name, kind| match (name, kind.as_str().unwrap()) {
        ("directory-sync-leader", _) => Some("base/leader.yaml"),
        (_, "ServiceAccount") => Some("base/serviceaccount.yaml"),
        (_, "Deployment") => Some("base/deployment.yaml"),
        (_, "Service") => Some("base/service.yaml"),
        (_, "CustomResourceDefinition") => None,
        _ => Some("cluster/rbac.yaml"),
    });
    let namespaced = files(&FOR_A_NAMESPACE, |name, kind| {
        let right = kind.as_str().unwrap().starts_with("Role");
        (right && name == "directory-sync").then_some("namespaced/rbac.yaml")
    });
    assert_eq!((cluster.len(), namespaced.len()), (5, 1));
    for (file, text) in cluster.iter().chain(&namespaced) {
        same(&format!("deploy/{file}"), text);
    }
}

#[test]
fn kustomize_builds_what_helm_renders() {
    for (overlay, set) in [
        ("deploy", &[][..]),
        ("deploy/cluster", &[]),
        ("deploy/namespaced", &FOR_A_NAMESPACE),
    ] {
        let mut built = by_identity(&kustomize(overlay));
        let namespace = built.remove("Namespace directory-sync");
        assert_eq!(namespace.is_some(), overlay != "deploy/namespaced");
        let rendered = by_identity(&rendered(set));
        assert_eq!(
            built.keys().collect::<Vec<_>>(),
            rendered.keys().collect::<Vec<_>>(),
            "{overlay}"
        );
        for (object, built) in &built {
            assert_eq!(built, &rendered[object], "{overlay}: {object}");
        }
    }
}

#[test]
fn an_overlay_moves_to_another_namespace_as_a_whole() {
    // Beside the overlays, for kustomize takes no absolute paths.
    let folder = tempfile::tempdir_in(file("deploy")).unwrap();
    let text = "resources: [../namespaced]\nnamespace: identity\n";
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    let built = kustomize(folder.path().to_str().unwrap());
    for object in objects(&built) {
        assert_eq!(object["metadata"]["namespace"], "identity", "{object}");
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "identity", "{object}");
        }
    }
}

#[test]
fn the_api_server_takes_both_overlays() {
    for overlay in ["deploy/cluster", "deploy/namespaced"] {
        let arguments = ["--dry-run=server", "--warnings-as-errors", "-k"];
        let mut kubectl = cluster().kubectl();
        kubectl.args(["apply", "--server-side", "--force-conflicts"]);
        run(kubectl.args(arguments).arg(file(overlay))).unwrap();
    }
}

fn kustomize(folder: &str) -> String {
    let mut kubectl = std::process::Command::new(lab::find("kubectl").unwrap());
    run(kubectl.arg("kustomize").arg(file(folder))).unwrap()
}

/// Objects by kind and name, without what only Helm or only order is.
fn by_identity(text: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for mut object in objects(text) {
        if object["kind"] == "CustomResourceDefinition" {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|field, _| field == "name");
        }
        let name = &object["metadata"]["name"];
        let identity = format!(
            "{} {}",
            object["kind"].as_str().unwrap(),
            name.as_str().unwrap()
        );
        assert!(all.insert(identity, object).is_none());
    }
    all
}
