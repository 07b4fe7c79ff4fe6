//! Manifests that are accepted, and come back as they were written.

use std::path::{Path, PathBuf};

use directory_sync::api::DirectorySync;
use directory_sync::validation::ValidatedSpec;
use serde_json::Value;

use crate::refused::merge;
use crate::{Cluster, yaml};

/// A manifest with most of what an LDAP user writes.
pub fn design_example() -> Value {
    yaml(
        r#"
        apiVersion: directorysync.dev/v1alpha1
        kind: DirectorySync
        metadata: {name: staff}
        spec:
          interval: 15m
          suspend: false
          mode: Apply
          organization:
            region: EU
            credentialsSecretRef: {name: bitwarden-org}
          source:
            ldap:
              url: ldaps://ldap.example.com
              bindSecretRef: {name: ldap-bind}
              tls: {caBundleRef: {kind: ConfigMap, name: corp-ca, key: ca.crt}}
              baseDn: dc=example,dc=com
              users: {filter: "(objectClass=inetOrgPerson)", idAttribute: entryUUID, emailAttribute: mail}
              groups: {filter: "(objectClass=groupOfNames)", nameAttribute: cn, memberAttribute: member}
          users: {exclude: ["svc-*@example.com"]}
          groups: {include: ["eng-*"], onlyTheirMembers: true, prune: false}
          onboarding:
            invite: true
            confirmWithin: 2d
            reinvite: {after: 72h, times: 3}
            withdrawAfter: 30d
          offboarding:
            disabled: Revoke
            absent: Retain
            limit: 10%
            removeAfter: 30d
            approvalsExpireAfter: 3d
          driftCheckInterval: 24h
        "#,
    )
}

#[tokio::test]
async fn a_full_manifest_and_every_example_come_back_as_written_and_apply_again_without_change() {
    let cluster = Cluster::with_the_definition().await;
    let mut manifests = vec![("the full manifest".to_owned(), design_example())];
    manifests.extend(examples());
    manifests.extend(documented("docs/access.md"));
    for (number, (file, mut manifest)) in manifests.into_iter().enumerate() {
        manifest["metadata"]["name"] = format!("accepted-{number}").into();
        let applied = cluster.apply(manifest.clone()).await;
        let first = applied.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(
            first.data["spec"], manifest["spec"],
            "{file}: something was written back"
        );
        let second = cluster.apply(manifest).await.unwrap();
        assert_eq!(
            first.metadata.resource_version, second.metadata.resource_version,
            "{file}: the second time changed something"
        );
    }
}

#[test]
fn every_example_can_be_followed_and_says_nothing_that_the_operator_does_not_read() {
    let examples = examples();
    assert!(examples.len() >= 9, "{examples:?}");
    let documented = documented("docs/access.md");
    assert!(documented.len() >= 2, "{documented:?}");
    for (file, manifest) in examples.into_iter().chain(documented) {
        let typed: DirectorySync = serde_json::from_value(manifest.clone()).unwrap();
        assert_eq!(
            serde_json::to_value(&typed.spec).unwrap(),
            manifest["spec"],
            "{file}"
        );
        ValidatedSpec::from_spec(&typed.spec).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// What the rule refuses at admission must be what the operator can't follow, and no more.
#[tokio::test]
async fn every_schedule_that_the_operator_follows_is_accepted() {
    let cluster = Cluster::with_the_definition().await;
    for (number, schedule) in [
        "*/30 8-18 * * 1-5",
        "0 0 1 1 0",
        "59 23 31 12 7",
        "00 04 01 01 *",
        "0,15,30,45 * * * *",
        "0-10/2,40 0-23/4 1-15,20-31/3 1-6 mon-FRI",
        "5/15 * * JAN,jul *",
        "0 6 L * *",
        "0 6 15W * *",
        "0 6 * * 5L",
        "0 6 * * 5#3",
        " 0  6  *  *  Sun ",
    ]
    .into_iter()
    .enumerate()
    {
        let mut manifest = design_example();
        manifest["metadata"]["name"] = format!("schedule-{number}").into();
        manifest["spec"].as_object_mut().unwrap().remove("interval");
        manifest["spec"]["schedule"] = schedule.into();
        manifest["spec"]["timeZone"] = "America/Argentina/Buenos_Aires".into();
        let typed: DirectorySync = serde_json::from_value(manifest.clone()).unwrap();
        ValidatedSpec::from_spec(&typed.spec).unwrap_or_else(|error| panic!("{schedule}: {error}"));
        if let Err(refusal) = cluster.apply(manifest).await {
            panic!("{schedule}: {refusal:?}");
        }
    }
}

/// All DirectorySyncs below `examples`, with their files.
pub fn examples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files = vec![];
    find_manifests(&folder, &mut files);
    files.sort();
    let mut found = vec![];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let syncs = documents
            .into_iter()
            .filter(|document| document["kind"] == "DirectorySync");
        found.extend(syncs.map(|sync| (file.display().to_string(), sync)));
    }
    found
}

/// The parts of specs that a page shows, each in a full manifest.
fn documented(page: &str) -> Vec<(String, Value)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(file).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| yaml(rest.split("```").next().unwrap()));
    let manifests = blocks.map(|block| {
        let mut manifest = design_example();
        merge(&mut manifest, block);
        (page.to_owned(), manifest)
    });
    manifests.collect()
}

fn find_manifests(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_manifests(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
}
