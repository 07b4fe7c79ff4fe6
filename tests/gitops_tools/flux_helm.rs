//! Flux's helm-controller: the example's HelmRelease, with the chart in a registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{ApiServer, LabError, Sandbox, find, or_skip};

use crate::flux_controllers::{Controllers, FLUX, reconcile};
use crate::registry::Registry;
use crate::{end_of, example, get_from, say_available, true_condition, until};

const OPERATOR: &str = "directory-sync";
const SOURCE: &str = "ocirepository/directory-sync-operator";
const RELEASE: &str = "helmrelease/directory-sync";

/// What of Flux, and of Helm, is on this machine.
struct Parts {
    source: PathBuf,
    helm_controller: PathBuf,
    definitions: [PathBuf; 2],
    helm: PathBuf,
}

impl Parts {
    fn find() -> Result<Self, LabError> {
        Ok(Self {
            source: find("flux-source-controller")?,
            helm_controller: find("flux-helm-controller")?,
            definitions: [find("flux-source-crds")?, find("flux-helm-crds")?],
            helm: find("helm")?,
        })
    }

    /// The chart of this repository as this version.
    fn package(&self, version: &str, folder: &Path) -> PathBuf {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/directory-sync-operator");
        let mut package = Command::new(&self.helm);
        package.arg("package").arg(chart);
        package
            .args(["--version", version, "--destination"])
            .arg(folder);
        let output = package.env("HOME", folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        folder.join(format!("directory-sync-operator-{version}.tgz"))
    }
}

struct Flux<'a> {
    server: &'a ApiServer,
    source: Process,
    helm: Process,
}

impl Flux<'_> {
    /// Waits until the HelmRelease is as it should be.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = || get_from(self.server, "helmrelease", FLUX, "directory-sync");
        let log = || {
            let logs = [self.source.log(), self.helm.log()];
            let source = get_from(
                self.server,
                "ocirepository",
                FLUX,
                "directory-sync-operator",
            );
            format!(
                "{:#}\n{}\n{}",
                source["status"],
                end_of(&logs[0]),
                end_of(&logs[1])
            )
        };
        until(what, look, holds, log)
    }

    /// Waits until a chart of this version is installed, and says that its Deployment is available.
    fn until_installed(&self, version: &str) {
        self.until(&format!("{version} is applied"), |_| {
            let deployment = get_from(self.server, "deployment", OPERATOR, "directory-sync");
            let chart = &deployment["metadata"]["labels"]["helm.sh/chart"];
            let chart = chart.as_str().unwrap_or_default();
            chart.starts_with(&format!("directory-sync-operator-{version}"))
        });
        say_available(self.server, "directory-sync");
        self.until(&format!("{version} is ready"), |release| {
            let last = &release["status"]["history"][0];
            let is_this = last["chartVersion"]
                .as_str()
                .unwrap_or_default()
                .starts_with(version);
            is_this && true_condition(release, "Ready").is_some()
        });
    }
}

/// The example, with the chart in this registry.
fn operator(url: &str, values: &Value) -> String {
    let mut objects = example("flux/operator.yaml");
    objects[0]["spec"]["url"] = json!(url);
    objects[0]["spec"]["insecure"] = json!(true);
    let release = objects[1]["spec"].as_object_mut().unwrap();
    if !values.is_null() {
        release.insert("values".to_owned(), values.clone());
    }
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_installs_the_chart_from_a_registry_upgrades_it_and_keeps_resources() {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let Some(parts) = or_skip("Flux's helm-controller", Parts::find()) else {
        return;
    };
    let server = ApiServer::start().unwrap();
    let mut registry = Registry::start().await;
    registry.push("0.1.0", &parts.package("0.1.0", sandbox.folder()));
    let controllers = Controllers::prepare(&server, sandbox.folder(), &parts.definitions);
    let flux = Flux {
        server: &server,
        source: controllers.source(&parts.source),
        helm: controllers.applier(&parts.helm_controller),
    };
    sandbox.say("Flux is ready");

    server
        .apply(&operator(&registry.url(), &Value::Null))
        .unwrap();
    flux.until_installed("0.1.0");
    sandbox.say("the chart is installed from a registry");
    let staff = json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
        "metadata": {"name": "staff", "namespace": "default"},
        "spec": {
            "organization": {"region": "EU", "credentialsSecretRef": {"name": "bitwarden-org"}},
            "source": {"ldap": {
                "url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com",
                "bindSecretRef": {"name": "ldap-bind"},
            }},
        },
    });
    server.apply(&staff.to_string()).unwrap();
    let uid = || get_from(&server, "dsync", "default", "staff")["metadata"]["uid"].clone();
    let before = uid();

    // A value that the chart doesn't have is refused, by its name, and what is installed stays.
    let wrong = json!({"replica": 2});
    server.apply(&operator(&registry.url(), &wrong)).unwrap();
    flux.until("a wrong value is told", |release| {
        let conditions = release["status"]["conditions"].to_string();
        conditions.contains("replica") && true_condition(release, "Ready").is_none()
    });
    let replicas =
        || get_from(&server, "deployment", OPERATOR, "directory-sync")["spec"]["replicas"].clone();
    assert_eq!(replicas(), 1);
    sandbox.say("a wrong value is refused");

    registry.push("0.2.0", &parts.package("0.2.0", sandbox.folder()));
    reconcile(&server, &[SOURCE]);
    let source = || get_from(&server, "ocirepository", FLUX, "directory-sync-operator");
    let is_newer = |source: &Value| source["status"]["artifact"].to_string().contains("0.2.0");
    until("0.2.0 is fetched", source, is_newer, || flux.source.log());
    let right = json!({"replicas": 2});
    server.apply(&operator(&registry.url(), &right)).unwrap();
    reconcile(&server, &[RELEASE]);
    flux.until_installed("0.2.0");
    assert_eq!(replicas(), 2);
    assert_eq!(uid(), before);
    sandbox.say("the chart is upgraded");

    // Without the release, the definition and the resources stay.
    let delete = ["-n", FLUX, "delete", RELEASE, "--wait=false"];
    server.run_kubectl(&delete).unwrap();
    flux.until("the release is uninstalled", Value::is_null);
    assert!(get_from(&server, "deployment", OPERATOR, "directory-sync").is_null());
    assert_eq!(uid(), before);
    sandbox.say("the chart is uninstalled, and the resources are still there");
}
