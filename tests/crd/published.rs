//! Every manifest that was ever an example is still valid, and means the same.
//!
//! `published/` has them, without comments. One that isn't valid any more would be a break of what decision 24
//! promises for `v1beta1`.

use std::collections::BTreeMap;
use std::path::Path;

use directory_sync::api::DirectorySync;
use directory_sync::validation::ValidatedSpec;
use serde_json::Value;

use crate::accepted::examples;
use crate::{Cluster, yaml};

fn published() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crd/published");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, yaml(&std::fs::read_to_string(path).unwrap()))
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

#[tokio::test]
async fn every_manifest_that_was_ever_an_example_is_accepted_as_it_was() {
    let cluster = Cluster::with_the_definition().await;
    let published = published();
    assert!(published.len() >= 13, "{:?}", published.keys());
    for (name, mut manifest) in published {
        manifest["metadata"]["name"] = format!("published-{name}").into();
        let applied = cluster.apply(manifest.clone()).await;
        let object = applied.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(object.data["spec"], manifest["spec"], "{name}");
        let typed: DirectorySync = serde_json::from_value(manifest.clone()).unwrap();
        let again = serde_json::to_value(&typed.spec).unwrap();
        assert_eq!(
            again, manifest["spec"],
            "{name}: a field isn't read any more"
        );
        ValidatedSpec::from_spec(&typed.spec).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_example_is_kept() {
    let published = published();
    let kept: Vec<&Value> = published.values().map(|one| &one["spec"]).collect();
    for (file, manifest) in examples() {
        assert!(
            kept.contains(&&manifest["spec"]),
            "{file} has changed: add it to tests/crd/published under a new name, and leave the older one"
        );
    }
}
