//! What Helm says after an installation.

use crate::cluster::{apply, cluster};
use crate::helm::*;

fn notes(set: &str) -> String {
    let mut install = helm();
    install.args(["install", "directory-sync"]).arg(chart());
    install.args(["--dry-run=client", "--namespace", "ops", "--set", set]);
    let said = run(&mut install).unwrap();
    said.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

#[test]
fn the_first_resource_that_the_notes_propose_is_one_that_the_operator_looks_after() {
    let server = cluster();
    for (set, namespace) in [
        ("watch.scope=Cluster", "identity"),
        ("watch.scope=Release", "ops"),
        (
            "watch.scope=Namespaces,watch.namespaces={hr,identity}",
            "hr",
        ),
    ] {
        let notes = notes(set);
        let (_, manifest) = notes.split_once("<<'END'\n").unwrap();
        let (manifest, _) = manifest.split_once("\n  END").unwrap();
        let lines = manifest
            .lines()
            .map(|line| line.strip_prefix("  ").unwrap_or(line));
        let manifest = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(objects(&manifest)[0]["metadata"]["namespace"], namespace);
        if namespace != "ops" {
            apply(server, &manifest, &["--dry-run=server"]).unwrap();
        }
        assert!(
            notes.contains(&format!("kubectl -n {namespace} wait dsync/staff")),
            "{notes}"
        );
        let creates = notes.contains("kubectl create namespace");
        assert_eq!(creates, namespace == "identity", "{notes}");
    }
}

#[test]
fn the_notes_say_what_the_release_does_not_bring() {
    assert!(!notes("replicas=1").contains("crds.enabled"));
    assert!(notes("crds.enabled=false").contains("kubectl get crd directorysyncs"));
    assert!(
        notes("rbac.create=false")
            .contains("bind what it needs to the service account\ndirectory-sync")
    );
    assert!(notes("watch.labelSelector=shard=a").contains("with the labels shard=a"));
}
