//! A release from its first installation to its end, on an API server of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{ApiServer, free_port};
use tempfile::TempDir;

use crate::cluster::{helm_on, program, wait_until_served};
use crate::helm::*;

const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn a_release_is_installed_upgraded_rolled_back_and_removed_and_resources_outlive_it() {
    let server = ApiServer::start().unwrap();
    let older = older_chart();

    helm_does(&server, &["install", "directory-sync", &older]);
    wait_until_served(&server);
    assert!(!knows_drift_checks(&server));
    let before = a_resource_with_status(&server);

    // The definition is upgraded with the chart, and every resource stays as it is.
    helm_does(&server, &["upgrade", "directory-sync", &this_chart()]);
    assert!(knows_drift_checks(&server));
    assert_eq!(resource(&server), before);
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let image = kubectl(&server, &["get", "deploy/directory-sync", "-o", image]);
    assert!(
        image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))),
        "{image}"
    );

    helm_does(&server, &["rollback", "directory-sync", "1"]);
    assert!(!knows_drift_checks(&server));
    assert_eq!(resource(&server), before);
    helm_does(&server, &["rollback", "directory-sync", "2"]);
    assert!(knows_drift_checks(&server));

    // Uninstalled, it leaves the definition and the resources, and nothing else.
    helm_does(&server, &["uninstall", "directory-sync"]);
    assert_eq!(resource(&server), before);
    let kinds = "deployments,services,serviceaccounts,roles,rolebindings,clusterroles,\
                 clusterrolebindings,configmaps,secrets,pods";
    let ours = "-l=app.kubernetes.io/name=directory-sync-operator";
    assert_eq!(
        kubectl(&server, &["get", kinds, "-A", ours, "-o", "name"]),
        ""
    );

    // Installed again, it takes up what it left; under another name only where that is meant.
    helm_does(&server, &["install", "directory-sync", &this_chart()]);
    assert_eq!(resource(&server), before);
    helm_does(&server, &["uninstall", "directory-sync"]);
    let renamed = ["install", "staff", &this_chart()];
    let refused = helm_tries(&server, &renamed).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    helm_tries(&server, &["uninstall", "staff", "--ignore-not-found"]).unwrap();
    helm_does(&server, &[&renamed[..], &["--take-ownership"]].concat());
    assert_eq!(resource(&server), before);

    // Told not to keep it, it takes the definition away, and with it every resource.
    helm_does(
        &server,
        &[
            "upgrade",
            "staff",
            &this_chart(),
            "--set",
            "crds.keep=false",
        ],
    );
    helm_does(&server, &["uninstall", "staff", "--wait=hookOnly"]);
    let gone = || {
        let definition = [
            "get",
            "crd",
            "directorysyncs.directorysync.dev",
            "--ignore-not-found",
        ];
        kubectl(&server, &definition).is_empty()
    };
    let waited = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        gone()
    });
    assert!(waited, "the definition is still there");
}

#[test]
fn a_definition_applied_by_hand_is_taken_over() {
    let server = ApiServer::start().unwrap();
    server.apply(&directory_sync::api::crd::crds()).unwrap();
    wait_until_served(&server);
    let before = a_resource_with_status(&server);

    let install = ["install", "directory-sync", &this_chart()];
    let refused = helm_tries(&server, &install).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    helm_tries(
        &server,
        &["uninstall", "directory-sync", "--ignore-not-found"],
    )
    .unwrap();
    let taking_over = ["--take-ownership", "--force-conflicts"];
    helm_does(&server, &[&install[..], &taking_over].concat());

    assert_eq!(resource(&server), before);
}

#[test]
fn the_pod_of_helm_test_says_what_is_wrong_until_all_is_well() {
    let server = ApiServer::start().unwrap();
    kubectl(&server, &["create", "namespace", "ops"]);
    let test = rendered_test(&server);
    let said = test.run("http://127.0.0.1:1").unwrap_err();
    assert!(
        said.contains("no operator answers at http://127.0.0.1:1"),
        "{said}"
    );
    assert!(
        said.contains("doesn't serve directorysync.dev/v1alpha1"),
        "{said}"
    );

    // Without the definition the operator runs, and isn't ready.
    helm_does(
        &server,
        &[
            "install",
            "directory-sync",
            &this_chart(),
            "--set",
            "crds.enabled=false",
        ],
    );
    let operator = Operator::start(&server);
    let said = test.run(&operator.url).unwrap_err();
    assert!(said.contains("answered 503"), "{said}");

    let upgrade = ["upgrade", "directory-sync", &this_chart(), "--reset-values"];
    helm_does(&server, &upgrade);
    let said = test.run_for(&operator.url, "60s").unwrap();
    assert!(said.contains("ready at http://127.0.0.1"), "{said}");
    assert!(
        said.contains("serves directorysyncs of directorysync.dev/v1alpha1"),
        "{said}"
    );
}

/// The chart as it could have been a version ago: its definition lacks a field.
fn older_chart() -> String {
    static FOLDER: std::sync::OnceLock<TempDir> = std::sync::OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path();
    run(Command::new("cp").arg("-r").arg(chart()).arg(folder)).unwrap();
    let older = folder.join("directory-sync-operator");
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(older.join(file)).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed);
        std::fs::write(older.join(file), changed).unwrap();
    };
    let version = env!("CARGO_PKG_VERSION");
    edit("Chart.yaml", &|text| text.replace(version, "0.0.9"));
    edit("files/crds.yaml", &|text| {
        let mut crd: Value = serde_saphyr::from_str(&text).unwrap();
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let fields = crd.pointer_mut(spec).unwrap().as_object_mut().unwrap();
        fields.remove("driftCheckInterval").unwrap();
        crd.to_string()
    });
    older.to_str().unwrap().to_owned()
}

fn this_chart() -> String {
    chart().to_str().unwrap().to_owned()
}

fn helm_tries(server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    let mut helm = helm_on(server);
    helm.args(arguments).args(["--namespace", "ops"]);
    if arguments[0] == "install" {
        helm.arg("--create-namespace");
    }
    run(&mut helm)
}

#[track_caller]
fn helm_does(server: &ApiServer, arguments: &[&str]) {
    helm_tries(server, arguments).unwrap_or_else(|said| panic!("helm {arguments:?}: {said}"));
}

#[track_caller]
fn kubectl(server: &ApiServer, arguments: &[&str]) -> String {
    let arguments = [&["--namespace", "ops"], arguments].concat();
    server.run_kubectl(&arguments).unwrap()
}

fn knows_drift_checks(server: &ApiServer) -> bool {
    let crd = kubectl(
        server,
        &["get", "crd/directorysyncs.directorysync.dev", "-o", "json"],
    );
    crd.contains("driftCheckInterval")
}

/// A resource that was synced, as the operator would leave it.
fn a_resource_with_status(server: &ApiServer) -> Value {
    server
        .run_kubectl(&["create", "namespace", "ops"])
        .unwrap_or_default();
    let manifest = json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
        "metadata": {"name": "staff", "namespace": "ops"},
        "spec": {
            "organization": {"region": "EU", "credentialsSecretRef": {"name": "bitwarden-org"}},
            "source": {"ldap": {"url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com"}},
        },
    });
    server.apply(&manifest.to_string()).unwrap();
    let status = r#"{"status": {"observedGeneration": 1, "membershipsDigest": "d1gest"}}"#;
    let patch = [
        "patch",
        "dsync/staff",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ];
    kubectl(server, &patch);
    resource(server)
}

/// The resource, with its uid and version: equal only where nobody wrote or made it anew.
fn resource(server: &ApiServer) -> Value {
    let text = kubectl(server, &["get", "dsync/staff", "-o", "json"]);
    let resource: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(resource["status"]["membershipsDigest"], "d1gest");
    resource
}

/// The operator that the release would run, with its account.
struct Operator {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Operator {
    fn start(server: &ApiServer) -> Self {
        let account = server.kubeconfig_for_service_account("ops", "directory-sync");
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let mut command = Command::new(program());
        command
            .args(["operator", "--listen", &listen])
            .env("KUBECONFIG", account.unwrap())
            // The servers are on this machine.
            .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1");
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = Process::spawn(&command, folder.path(), &log).unwrap();
        let answers = || std::net::TcpStream::connect(&listen).is_ok();
        process.wait_until(WAIT_TIMEOUT, answers).unwrap();
        Self {
            url: format!("http://{listen}"),
            _process: process,
            _folder: folder,
        }
    }
}

/// What the pod of `helm test` runs, as its own service account.
struct Test {
    arguments: Vec<String>,
    kubeconfig: std::path::PathBuf,
}

fn rendered_test(server: &ApiServer) -> Test {
    let objects = objects(&template(&[]).unwrap());
    let pod = the(&objects, "Pod");
    let arguments = pod["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap()
        .iter();
    let arguments = arguments.map(|argument| argument.as_str().unwrap().to_owned());
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
    kubectl(server, &["create", "serviceaccount", account]);
    Test {
        arguments: arguments.collect(),
        kubeconfig: server
            .kubeconfig_for_service_account("ops", account)
            .unwrap(),
    }
}

impl Test {
    fn run(&self, url: &str) -> Result<String, String> {
        self.run_for(url, "0s")
    }

    fn run_for(&self, url: &str, timeout: &str) -> Result<String, String> {
        let arguments = self.arguments.iter().map(|argument| {
            argument
                .replace("http://directory-sync:8080", url)
                .replace("60s", timeout)
        });
        let mut command = Command::new(program());
        run(command.args(arguments).env("KUBECONFIG", &self.kubeconfig))
    }
}
