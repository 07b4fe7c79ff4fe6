//! The resource's rules, on a real API server: what a person who applies a manifest sees.

#![allow(clippy::unwrap_used)]

mod accepted;
mod published;
mod refused;

use std::sync::OnceLock;

use directory_sync::api::DirectorySync;
use directory_sync::api::crd::crds;
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, Status};
use kube::{Client, Config, Resource};
use serde_json::Value;
use simulators::lab::ApiServer;

/// DirectorySyncs in a namespace of the test's own, as anything that a manifest may say.
struct Cluster {
    api: Api<DynamicObject>,
}

impl Cluster {
    async fn with_the_definition() -> Self {
        static NAMESPACE: OnceLock<String> = OnceLock::new();
        let server = ApiServer::shared();
        let namespace = NAMESPACE.get_or_init(|| {
            server.apply(&crds()).unwrap();
            // kubectl wait fails at once while the definition has no status at all.
            let established = || {
                let wait = "wait --for=condition=Established --timeout=60s";
                let mut arguments: Vec<_> = wait.split(' ').collect();
                arguments.push("crd/directorysyncs.directorysync.dev");
                server.run_kubectl(&arguments).is_ok()
            };
            assert!((0..100).any(|_| established()));
            server.namespace("crd").unwrap()
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        let resource = ApiResource::erase::<DirectorySync>(&());
        Self {
            api: Api::namespaced_with(client, namespace, &resource),
        }
    }

    /// Applies a manifest as GitOps tools do: server-side, unknown fields refused.
    async fn apply(&self, mut manifest: Value) -> Result<DynamicObject, Box<Status>> {
        if let Some(metadata) = manifest["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let mut how = PatchParams::apply("a-gitops-tool");
        how.field_validation = Some(ValidationDirective::Strict);
        match self.api.patch(&name, &how, &Patch::Apply(&manifest)).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => Err(status),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The only document of a YAML text.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[tokio::test]
async fn the_definition_is_structural_and_its_columns_are_shown_within_80_characters() {
    let cluster = Cluster::with_the_definition().await;
    let definition = ApiServer::shared()
        .run_kubectl(&[
            "get",
            "crd",
            "directorysyncs.directorysync.dev",
            "-o",
            "json",
        ])
        .unwrap();
    let definition: Value = serde_json::from_str(&definition).unwrap();
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let bad = conditions
        .iter()
        .find(|c| c["type"] == "NonStructuralSchema" && c["status"] == "True");
    assert_eq!(bad, None);

    let mut manifest = accepted::design_example();
    manifest["metadata"]["name"] = "bw-staff".into();
    let object = cluster.apply(manifest).await.unwrap();
    let status = yaml(
        r#"
        status:
          conditions:
            - {type: Ready, status: "False", reason: SucceededWithProblems, message: wait, lastTransitionTime: "2026-01-01T00:00:00Z"}
          source: {type: GoogleWorkspace, users: 100000, groups: 10000}
          organization: {managedMembers: 100000, managedGroups: 10000}
          lastSyncTime: "2026-01-01T00:00:00Z"
          nextSyncTime: "2026-01-01T00:15:00Z"
        "#,
    );
    let name = object.metadata.name.unwrap();
    cluster
        .api
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    let namespace = object.metadata.namespace.unwrap();
    let table = ApiServer::shared()
        .run_kubectl(&["get", "dsync", &name, "-n", &namespace])
        .unwrap();
    let widest = table
        .lines()
        .map(|line| line.trim_end().len())
        .max()
        .unwrap();
    assert!(widest <= 80, "{widest}:\n{table}");
    let head: Vec<_> = table
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .map(str::trim)
        .collect();
    let head: Vec<_> = head
        .into_iter()
        .filter(|column| !column.is_empty())
        .collect();
    assert_eq!(
        head,
        ["NAME", "MEMBERS", "READY", "REASON", "LAST SYNC", "AGE"]
    );
    assert!(table.contains("SucceededWithProblems"), "{table}");
    assert_eq!(DirectorySync::kind(&()), "DirectorySync");
}
