//! The node's cluster with the operator in it, by way of `helm` and `kubectl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulators::lab::{Node, find};

/// Longer than anything here takes on a busy machine.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// What the chart calls the image of its own version.
pub const IMAGE: &str = concat!(
    "ghcr.io/directorysync/directory-sync-operator:",
    env!("CARGO_PKG_VERSION")
);

pub const RELEASE: &str = "directory-sync";
pub const NAMESPACE: &str = "identity";

/// The name of the DirectorySync under test.
pub const NAME: &str = "staff";

const OPERATOR: &str = "app.kubernetes.io/name=directory-sync-operator";

pub struct Cluster<'a> {
    node: &'a Node,
    helm: PathBuf,
    folder: PathBuf,
}

impl<'a> Cluster<'a> {
    pub fn new(node: &'a Node, folder: &Path) -> Self {
        Self {
            node,
            helm: find("helm").unwrap(),
            folder: folder.join("helm"),
        }
    }

    /// Hands the image to the node, also under the tag of an older version.
    pub fn load(&self, image: &Path, older_version: &str) {
        let size = fs::metadata(image).unwrap().len();
        assert!(size > 0);
        self.node.load(image).unwrap();
        let (repository, _) = IMAGE.rsplit_once(':').unwrap();
        let older = format!("{repository}:{older_version}");
        self.node.tag(IMAGE, &older).unwrap();
    }

    pub fn restricted_namespace(&self) {
        self.kubectl(&["create", "namespace", NAMESPACE]);
        let label = "pod-security.kubernetes.io/enforce=restricted";
        self.kubectl(&["label", "namespace", NAMESPACE, label]);
        // The organization is simulated, without TLS.
        let insecure = "directorysync.dev/allow-insecure=true";
        self.kubectl(&["label", "namespace", NAMESPACE, insecure]);
    }

    /// So that what comes later shows something.
    pub fn a_pod_without_restrictions_is_refused(&self) {
        let run = ["-n", NAMESPACE, "run", "plain", "--image", IMAGE];
        let refusal = self.node.api().run_kubectl(&run).unwrap_err().to_string();
        assert!(refusal.contains("violates PodSecurity"), "{refusal}");
    }

    /// Runs helm in the operator's namespace; what it printed.
    pub fn helm(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.helm)
            .args(["--namespace", NAMESPACE])
            .args(arguments)
            .env("KUBECONFIG", self.node.api().kubeconfig())
            .env("HELM_CACHE_HOME", self.folder.join("cache"))
            .env("HELM_CONFIG_HOME", self.folder.join("config"))
            .env("HELM_DATA_HOME", self.folder.join("data"))
            .output()
            .unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let errors = said(&output.stderr);
        assert!(output.status.success(), "helm {arguments:?}: {errors}");
        said(&output.stdout)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.node.api().run_kubectl(arguments).unwrap()
    }

    pub fn apply(&self, manifest: &Value) {
        self.node.api().apply(&manifest.to_string()).unwrap();
    }

    /// The DirectorySync as it is.
    pub fn resource(&self) -> Value {
        self.json(&["directorysync", NAME])
    }

    pub fn patch(&self, patch: Value) {
        let patch = patch.to_string();
        let arguments = ["patch", "directorysync", NAME, "--type=merge", "-p", &patch];
        self.kubectl(&[&["-n", NAMESPACE][..], &arguments].concat());
    }

    /// The definition in force doesn't know a field of the spec, so that it is dropped.
    pub fn does_not_know_field(&self, field: &str) {
        let patch = json!({"spec": {field: "12h"}}).to_string();
        let arguments = [
            "-n",
            NAMESPACE,
            "patch",
            "directorysync",
            NAME,
            "--type=merge",
            "--dry-run=server",
            "-o",
            "json",
            "-p",
            &patch,
        ];
        let patched: Value = serde_json::from_str(&self.kubectl(&arguments)).unwrap();
        assert_eq!(patched["spec"].get(field), None);
    }

    /// Asks for a run now.
    pub fn request_sync(&self, token: &str) {
        let annotations = json!({"directorysync.dev/sync-requested-at": token});
        self.patch(json!({"metadata": {"annotations": annotations}}));
    }

    /// Waits until a run that was asked for has succeeded.
    #[track_caller]
    pub fn until_handled(&self, token: &str) {
        self.until(&format!("the run {token}"), || {
            let resource = self.resource();
            is_ready(&resource) && resource["status"]["lastHandledSyncRequest"] == token
        });
    }

    /// Waits until the last run has succeeded, for the spec as it is now.
    #[track_caller]
    pub fn until_ready(&self) {
        self.until("Ready", || is_ready(&self.resource()));
    }

    /// The operator's pods that aren't about to end.
    fn pods(&self) -> Vec<Value> {
        let pods = self.json(&["pods", "-l", OPERATOR]);
        let mut pods = pods["items"].as_array().unwrap().clone();
        pods.retain(|pod| pod["metadata"].get("deletionTimestamp").is_none());
        pods
    }

    /// The name of the operator's pod, where there is one.
    #[track_caller]
    pub fn only_pod(&self) -> String {
        let pods = self.pods();
        assert_eq!(pods.len(), 1);
        pods[0]["metadata"]["name"].as_str().unwrap().to_owned()
    }

    pub fn address_of(&self, pod: &str) -> String {
        let pod = self.json(&["pod", pod]);
        pod["status"]["podIP"].as_str().unwrap().to_owned()
    }

    /// Kills a container's process as the kernel does when memory runs out.
    pub fn kill_container_of(&self, pod: &str) {
        let process = self.node.process_of(NAMESPACE, pod).unwrap().to_string();
        let killed = Command::new("kill").args(["-KILL", &process]).status();
        assert!(killed.unwrap().success());
    }

    #[track_caller]
    pub fn until_restarted(&self, pod: &str, times: u32) {
        self.until("a restarted container", || {
            let pod = self.json(&["pod", pod]);
            let container = &pod["status"]["containerStatuses"][0];
            container["restartCount"] == times && container["ready"] == true
        });
        let pod = self.json(&["pod", pod]);
        let end = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
        // 128 and the signal's number.
        assert_eq!(end["exitCode"], 137);
    }

    /// The pod that holds the Lease.
    pub fn leader(&self) -> String {
        let lease = self.json(&["lease", RELEASE]);
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let pods = self.pods();
        let mut names = pods
            .iter()
            .filter_map(|pod| pod["metadata"]["name"].as_str());
        let ours = names.find(|name| holder.contains(name));
        ours.unwrap_or_default().to_owned()
    }

    /// Takes a pod away without letting it say good-bye.
    pub fn lose(&self, pod: &str) {
        assert_eq!(self.pods().len(), 2);
        self.kill_container_of(pod);
        let delete = [
            "-n",
            NAMESPACE,
            "delete",
            "pod",
            pod,
            "--grace-period=0",
            "--force",
        ];
        self.kubectl(&delete);
    }

    pub async fn until_led_by_another_than(&self, pod: &str) -> String {
        self.until("another leader", || {
            let leader = self.leader();
            !leader.is_empty() && leader != pod
        });
        self.leader()
    }

    /// The version of the operator's image.
    pub fn version(&self) -> String {
        let deployment = self.json(&["deployment", RELEASE]);
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        let (_, version) = image.as_str().unwrap().rsplit_once(':').unwrap();
        version.to_owned()
    }

    /// Lets pods find the operator's Service, which a cluster's DNS would know by itself.
    pub fn publish_service(&self) {
        let service = self.json(&["service", RELEASE]);
        let address = service["spec"]["clusterIP"].as_str().unwrap();
        let name = format!("{RELEASE}.{NAMESPACE}.svc.cluster.local");
        self.node.publish(&name, address.parse().unwrap()).unwrap();
    }

    /// What every container that there still is has written: something, but nothing of what it was
    /// forbidden to do, and no secret.
    pub fn look_at_logs(&self, secrets: &[String]) {
        let mut written = false;
        for file in files(&self.node.pod_logs()) {
            // That of a pod which is just being removed is gone by now.
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            written |= text.contains("directory_sync");
            let secrets = secrets.iter().map(String::as_str);
            for bad in secrets.chain(["orbidden", "panicked"]) {
                assert!(!text.contains(bad), "{} has {bad}: {text}", file.display());
            }
        }
        assert!(written, "no operator has written a line");
    }

    #[track_caller]
    pub fn has_no_operator(&self) {
        self.until("no pods", || self.json(&["pods"])["items"] == json!([]));
        for kind in [
            "deployments",
            "serviceaccounts",
            "roles,rolebindings",
            "services",
        ] {
            let names = self.kubectl(&["-n", NAMESPACE, "get", kind, "-o", "name"]);
            assert!(!names.contains(RELEASE), "{names}");
        }
        let names = self.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
        assert!(!names.contains(RELEASE), "{names}");
    }

    pub fn definition_is_served(&self) {
        let definition = "customresourcedefinition/directorysyncs.directorysync.dev";
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=5s",
            definition,
        ]);
    }

    fn json(&self, what: &[&str]) -> Value {
        let arguments = [&["-n", NAMESPACE, "get"], what, &["-o", "json"]].concat();
        serde_json::from_str(&self.kubectl(&arguments)).unwrap()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < WAIT_TIMEOUT, "it never came to: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What there is to say about a cluster in which something went wrong.
impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let print = |arguments: &[&str]| {
            let output = self.node.api().run_kubectl(arguments);
            let output = output.unwrap_or_else(|error| error.to_string());
            eprintln!("--- kubectl {}\n{output}", arguments.join(" "));
        };
        print(&[
            "-n",
            NAMESPACE,
            "get",
            "directorysyncs,pods,leases",
            "-o",
            "wide",
        ]);
        print(&["-n", NAMESPACE, "get", "events"]);
        // Why nothing is scheduled onto it, if that is so.
        print(&["describe", "nodes"]);
        print(&["-n", NAMESPACE, "describe", "pods"]);
        print(&["-n", NAMESPACE, "get", "directorysyncs", "-o", "yaml"]);
        for file in files(&self.node.pod_logs()) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            eprintln!("--- {}\n{text}", file.display());
        }
        eprintln!("--- the node's own programs\n{}", self.node.log());
    }
}

/// Whether kstatus would call it settled and well.
fn is_ready(resource: &Value) -> bool {
    let status = &resource["status"];
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let is = |kind: &str| {
        conditions
            .iter()
            .any(|c| c["type"] == kind && c["status"] == "True")
    };
    status["observedGeneration"] == resource["metadata"]["generation"]
        && is("Ready")
        && !is("Reconciling")
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.path()).map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    found.flatten().collect()
}
