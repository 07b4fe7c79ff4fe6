//! The API server that rendered objects are judged by.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use simulators::lab::{self, ApiServer};

/// The shared API server, with our definition, those of Prometheus' operator, and the namespaces
/// that the value sets name. What is dangerous to a namespace's neighbours is refused in all of
/// them.
pub fn cluster() -> &'static ApiServer {
    static PREPARED: OnceLock<()> = OnceLock::new();
    let server = ApiServer::shared();
    PREPARED.get_or_init(|| {
        server.apply(&directory_sync::api::crd::crds()).unwrap();
        let definitions = lab::find("monitoring-crds").unwrap();
        for kind in ["servicemonitors", "podmonitors", "prometheusrules"] {
            let file = definitions.join(format!("monitoring.coreos.com_{kind}.yaml"));
            let text = std::fs::read_to_string(file).unwrap();
            server.apply(&text).unwrap();
        }
        // The API server asks for the one that the set `everything` names.
        let sandbox = serde_json::json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": {"name": "gvisor"}, "handler": "runsc",
        });
        server.apply(&sandbox.to_string()).unwrap();
        for namespace in ["directory-sync", "identity", "hr", "monitoring"] {
            server
                .run_kubectl(&["create", "namespace", namespace])
                .unwrap();
            let enforce = "pod-security.kubernetes.io/enforce=restricted";
            let label = ["label", "namespace", namespace, enforce];
            server.run_kubectl(&label).unwrap();
        }
        wait_until_served(server);
    });
    server
}

/// Waits until all definitions are served, which takes a moment after they were applied.
pub fn wait_until_served(server: &ApiServer) {
    // kubectl wait fails at once while a definition has no status at all.
    let wait = "wait --for=condition=Established --timeout=60s crd --all";
    let arguments: Vec<_> = wait.split(' ').collect();
    assert!((0..100).any(|_| server.run_kubectl(&arguments).is_ok()));
}

/// `kubectl apply` of a text; what the server said.
pub fn apply(server: &ApiServer, text: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = server.kubectl();
    command.args(["apply", "--server-side", "-f", "-"]);
    with_input(command.args(arguments), text)
}

/// Runs a command that reads `input`: what it printed, or all that it said.
pub fn with_input(command: &mut Command, input: &str) -> Result<String, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    super::helm::run(command.stdin(Stdio::from(file)))
}

/// `helm`, connected to a server as its administrator.
pub fn helm_on(server: &ApiServer) -> Command {
    let mut command = super::helm::helm();
    command.env("KUBECONFIG", server.kubeconfig());
    command
}

/// The path of the program under test.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_directory-sync")).to_owned()
}
