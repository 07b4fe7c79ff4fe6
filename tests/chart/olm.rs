//! `deploy/olm` is the chart as a bundle for the Operator Lifecycle Manager (OLM), in the layout of operator-sdk.
//!
//! OLM makes the ServiceAccount, the bindings, and the roles of people itself. It knows no admission policies.

use std::process::Command;

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use simulators::lab::{self, or_skip};

use crate::deploy::rendered;
use crate::helm::*;

const PACKAGE: &str = "directory-sync-operator";
const CHANNEL: &str = "alpha";
const DESCRIPTION: &str = "\
Keeps the members and groups of a Bitwarden organization in sync with a company directory: LDAP, Active Directory, \
Microsoft Entra ID, Google Workspace, Okta or OneLogin.

It reads both sides completely, shows the difference, holds removals that look like an accident until somebody approves \
exactly those, and keeps a history that can explain and undo each change.

Begin with a resource in mode `Preview`, which changes nothing: see \
[A first sync](https://github.com/directorysync/directory-sync-operator/blob/main/docs/first-sync.md).

**Admission policy.** OLM can't install the ValidatingAdmissionPolicy that is part of the Helm chart. Without it, \
whoever can create a DirectorySync can make the operator use every Secret in that namespace. See the \
[security model](https://github.com/directorysync/directory-sync-operator/blob/main/docs/security.md#admission-policy).
";

fn chart_yaml() -> Value {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// A text in the chart's annotations that is YAML itself.
fn annotation(chart: &Value, name: &str) -> Value {
    let text = chart["annotations"][name].as_str().unwrap();
    serde_saphyr::from_str(text).unwrap()
}

/// The rules of a role that the chart renders.
fn rules(objects: &[Value], kind: &str, name: &str) -> Value {
    let roles = of_kind(objects, kind);
    let found = roles.iter().find(|role| role["metadata"]["name"] == name);
    found.unwrap()["rules"].clone()
}

fn cluster_service_version() -> Value {
    let chart = chart_yaml();
    let version = chart["appVersion"].as_str().unwrap();
    let objects = objects(&rendered(&[]));
    let deployment = the(&objects, "Deployment");
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
    let name = deployment["metadata"]["name"].as_str().unwrap();
    let crd = &annotation(&chart, "artifacthub.io/crds")[0];
    let examples = annotation(&chart, "artifacthub.io/crdsExamples");
    let icon = std::fs::read(file("docs/images/icon.svg")).unwrap();
    let repository = &chart["sources"][0];
    let kubernetes = chart["kubeVersion"].as_str().unwrap();
    let kubernetes = kubernetes.trim_start_matches(">=").trim_end_matches("-0");
    let modes = [
        "OwnNamespace",
        "SingleNamespace",
        "MultiNamespace",
        "AllNamespaces",
    ];
    json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("{PACKAGE}.v{version}"),
            // OLM puts its own here.
            "namespace": "placeholder",
            "annotations": {
                "alm-examples": serde_json::to_string_pretty(&examples).unwrap(),
                "capabilities": chart["annotations"]["artifacthub.io/operatorCapabilities"],
                "categories": "Security",
                "containerImage": image,
                "description": chart["description"],
                "operatorframework.io/suggested-namespace": "directory-sync",
                "repository": repository,
                "support": "the community",
            },
            // Where the image runs (`artifacthub.io/images`).
            "labels": {
                "operatorframework.io/arch.amd64": "supported",
                "operatorframework.io/arch.arm64": "supported",
                "operatorframework.io/os.linux": "supported",
            },
        },
        "spec": {
            "displayName": PACKAGE,
            "description": DESCRIPTION,
            "version": version,
            "maturity": CHANNEL,
            "minKubeVersion": kubernetes,
            "provider": {"name": PACKAGE, "url": chart["home"]},
            "keywords": chart["keywords"],
            "links": annotation(&chart, "artifacthub.io/links"),
            "icon": [{"base64data": ByteString(icon), "mediatype": "image/svg+xml"}],
            "customresourcedefinitions": {"owned": [{
                "kind": crd["kind"],
                "name": crd["name"],
                "version": crd["version"],
                "displayName": crd["displayName"],
                "description": crd["description"],
            }]},
            "installModes": modes.map(|mode| json!({"type": mode, "supported": mode == "AllNamespaces"})),
            "relatedImages": [{"name": "operator", "image": image}],
            "install": {
                "strategy": "deployment",
                "spec": {
                    "clusterPermissions": [{
                        "serviceAccountName": account,
                        "rules": rules(&objects, "ClusterRole", name),
                    }],
                    "permissions": [{
                        "serviceAccountName": account,
                        "rules": rules(&objects, "Role", &format!("{name}-leader")),
                    }],
                    "deployments": [{"name": name, "spec": deployment["spec"]}],
                },
            },
        },
    })
}

/// By which a catalog takes the bundle in.
fn labels() -> Vec<(&'static str, &'static str)> {
    vec![
        ("mediatype.v1", "registry+v1"),
        ("manifests.v1", "manifests/"),
        ("metadata.v1", "metadata/"),
        ("package.v1", PACKAGE),
        ("channels.v1", CHANNEL),
        ("channel.default.v1", CHANNEL),
    ]
}

const LABEL: &str = "operators.operatorframework.io.bundle";

#[test]
fn the_bundle_for_olm_is_what_the_chart_renders() {
    let text = serde_saphyr::to_string(&cluster_service_version()).unwrap();
    let manifests = "deploy/olm/manifests";
    same(
        &format!("{manifests}/{PACKAGE}.clusterserviceversion.yaml"),
        &text,
    );
    // OLM takes the first document of a file alone, and a comment above `---` for one.
    let crd = directory_sync::api::crd::crds();
    let (_, crd) = crd.split_once("---\n").unwrap();
    same(
        &format!("{manifests}/directorysync.dev_directorysyncs.yaml"),
        crd,
    );
    let mut service = the(&objects(&rendered(&[])), "Service");
    let metadata = service["metadata"].as_object_mut().unwrap();
    // Where the operator is installed.
    metadata.remove("namespace");
    same(
        &format!("{manifests}/directory-sync_v1_service.yaml"),
        &serde_saphyr::to_string(&service).unwrap(),
    );
    let lines = labels().into_iter();
    let annotations: String = lines
        .clone()
        .map(|(name, value)| format!("  {LABEL}.{name}: {value}\n"))
        .collect();
    same(
        "deploy/olm/metadata/annotations.yaml",
        &format!("annotations:\n{annotations}"),
    );
    let labels: String = lines
        .map(|(name, value)| format!("LABEL {LABEL}.{name}={value}\n"))
        .collect();
    same(
        "deploy/olm/bundle.Dockerfile",
        &format!(
            "FROM scratch\n\n{labels}\nCOPY manifests /manifests/\nCOPY metadata /metadata/\n"
        ),
    );
}

#[test]
fn the_validators_of_the_operator_framework_criticize_nothing() {
    let test = "the_validators_of_the_operator_framework_criticize_nothing";
    let Some(validate) = or_skip(test, lab::find("olm-validate")) else {
        return;
    };
    let said = run(Command::new(validate).arg(file("deploy/olm")));
    assert_eq!(said.as_deref(), Ok(""));
}
