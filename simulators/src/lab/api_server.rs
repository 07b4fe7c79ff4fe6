//! A Kubernetes API server: etcd and kube-apiserver, no nodes and no controllers.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use super::process::Process;
use super::{Authority, Identity, LabError, find, folder, free_port, run, write};

/// A first start on a busy machine of two cores takes several seconds; ready is usual after two.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where requests are logged, in the server's folder.
const AUDIT_LOG: &str = "audit.log";

/// What an API server is started for.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Only objects: no controllers, nodes or pods.
    Alone,
    /// The same, and every request is in the audit log.
    Audited,
    /// Pods, too, on a node of this address.
    Node(IpAddr),
}

impl Place {
    /// The names by which clients reach it, besides loopback.
    fn names(self) -> Vec<String> {
        match self {
            Self::Alone | Self::Audited => Vec::new(),
            Self::Node(address) => vec![
                address.to_string(),
                // The first address of the Services, by which pods reach it.
                "10.96.0.1".to_owned(),
                "kubernetes.default.svc".to_owned(),
            ],
        }
    }
}

/// A running API server with RBAC on.
///
/// Without controllers nothing is collected as garbage and a deleted namespace stays
/// `Terminating`; everything that admission and storage do is real.
pub struct ApiServer {
    url: String,
    authority: Authority,
    admin: PathBuf,
    kubectl: PathBuf,
    // Dropped in this order: the server before its storage, each program before its folder.
    server: Process,
    etcd: Process,
    folder: TempDir,
    _etcd_folder: TempDir,
}

impl ApiServer {
    /// Starts etcd and kube-apiserver on free ports and waits until requests are answered.
    ///
    /// # Errors
    /// [`LabError::Missing`] when a program isn't here; else with the end of the log of the one
    /// that didn't start.
    pub fn start() -> Result<Self, LabError> {
        Self::launch(Place::Alone)
    }

    /// The same with an [audit log](Self::audit_log).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_audited() -> Result<Self, LabError> {
        Self::launch(Place::Audited)
    }

    /// The same on the address of a node, with all that a kubelet and controllers want of it.
    pub(super) fn start_on_node(address: IpAddr) -> Result<Self, LabError> {
        Self::launch(Place::Node(address))
    }

    fn launch(place: Place) -> Result<Self, LabError> {
        let [etcd, server, kubectl] = [find("etcd")?, find("kube-apiserver")?, find("kubectl")?];
        let authority = Authority::new("directory-sync lab: Kubernetes")?;
        let etcd_folder = folder("etcd")?;
        let (etcd, storage) = start_etcd(&etcd, etcd_folder.path())?;

        let folder = folder("api-server")?;
        let url = format!("https://127.0.0.1:{}", free_port()?);
        let admin = {
            let identity = authority.client("lab-admin", Some("system:masters"))?;
            write(
                folder.path().join("admin.kubeconfig"),
                &kubeconfig(&url, &authority, &identity),
            )?
        };
        let arguments = server_arguments(folder.path(), &url, &storage, &authority, place)?;
        let server = Process::start(&server, arguments, folder.path())?;

        let mut this = Self {
            url,
            authority,
            admin,
            kubectl,
            server,
            etcd,
            folder,
            _etcd_folder: etcd_folder,
        };
        let mut ready = this.kubectl();
        // The namespace `default` appears a moment after the server calls itself ready.
        ready.args(["get", "--raw", "/api/v1/namespaces/default"]);
        let mut alive = this.kubectl();
        alive.args(["get", "--raw", "/readyz"]);
        this.server.wait_until(WAIT_TIMEOUT, || {
            [&mut alive, &mut ready]
                .into_iter()
                .all(|ask| run("ask", ask, None).is_ok())
        })?;
        Ok(this)
    }

    /// The one API server that all tests of a test binary use, started by the first of them. It
    /// ends with the process. Tests keep apart by a [`namespace`](Self::namespace) each.
    ///
    /// # Panics
    /// When it can't be started, for every test that asks, with the reason.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ApiServer, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| explain(&error)))
            .as_ref()
            .unwrap_or_else(|error| panic!("no API server to test on: {error}"))
    }

    /// The URL of the API server: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file for `KUBECONFIG` of a user who may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// A kubeconfig for a user of one group, who may do only what RBAC grants them. The file lives
    /// as long as the server.
    ///
    /// # Errors
    /// When the certificate can't be made or the file not be written.
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> Result<PathBuf, LabError> {
        let identity = self.authority.client(user, group)?;
        self.save_kubeconfig(&kubeconfig(&self.url, &self.authority, &identity))
    }

    /// A kubeconfig that acts as a service account, with a token as a pod would be given. The
    /// account must exist.
    ///
    /// # Errors
    /// When the server grants no token, with its answer.
    pub fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf, LabError> {
        let token = run(
            &format!("get a token for the service account {namespace}/{account}"),
            self.kubectl()
                .args(["-n", namespace, "create", "token", account, "--duration=8h"]),
            None,
        )?;
        let user = json!({ "token": token.trim() });
        self.save_kubeconfig(&kubeconfig_with(&self.url, &self.authority, user))
    }

    /// A new, empty namespace whose name begins with `purpose`.
    ///
    /// # Errors
    /// When the server refuses the name.
    pub fn namespace(&self, purpose: &str) -> Result<String, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{purpose}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.run_kubectl(&["create", "namespace", &name])?;
        Ok(name)
    }

    /// `kubectl`, connected as the administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.admin);
        // Keeps its discovery cache out of the home directory, and out of other servers'.
        command.env("KUBECACHEDIR", self.folder.path().join("kubectl-cache"));
        command
    }

    /// Runs `kubectl` as the administrator; what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run_kubectl(&self, arguments: &[&str]) -> Result<String, LabError> {
        run(
            &format!("kubectl {}", arguments.join(" ")),
            self.kubectl().args(arguments),
            None,
        )
    }

    /// `kubectl apply --server-side` of manifests given as text.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn apply(&self, manifests: &str) -> Result<String, LabError> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "-f", "-"]);
        run("kubectl apply", &mut command, Some(manifests))
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Every request that was answered, as one event of `audit.k8s.io` in JSON a line, without bodies.
    /// Empty unless the server was [started with it](Self::start_audited).
    pub fn audit_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(AUDIT_LOG)).unwrap_or_default()
    }

    /// The process ids of kube-apiserver and etcd.
    pub fn pids(&self) -> [u32; 2] {
        [self.server.pid(), self.etcd.pid()]
    }

    /// Who signed the server's certificate, and whose client certificates it believes.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The file with the authority's certificate.
    pub(super) fn authority_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn save_kubeconfig(&self, text: &str) -> Result<PathBuf, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        write(
            self.folder.path().join(format!("{number}.kubeconfig")),
            text,
        )
    }
}

/// Starts etcd; itself and the URL for its clients.
fn start_etcd(program: &Path, folder: &Path) -> Result<(Process, String), LabError> {
    let (clients, peers) = (free_port()?, free_port()?);
    let (clients, peers) = (
        format!("http://127.0.0.1:{clients}"),
        format!("http://127.0.0.1:{peers}"),
    );
    let arguments = [
        format!("--data-dir={}", folder.join("data").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--log-level=warn".to_owned(),
        // What is lost in a power cut is lost with the test anyway.
        "--unsafe-no-fsync".to_owned(),
    ];
    let etcd = Process::start(program, arguments, folder)?;
    Ok((etcd, clients))
}

fn server_arguments(
    folder: &Path,
    url: &str,
    storage: &str,
    authority: &Authority,
    place: Place,
) -> Result<Vec<String>, LabError> {
    let accounts = KeyPair::generate().map_err(|source| LabError::Certificate {
        subject: "service accounts".into(),
        source,
    })?;
    let identity =
        authority.server(&place.names().iter().map(String::as_str).collect::<Vec<_>>())?;
    let file = |name: &str, text: &str| {
        write(folder.join(name), text).map(|path| path.display().to_string())
    };
    let port = url.rsplit(':').next().unwrap_or_default();
    let mut arguments = vec![
        format!("--etcd-servers={storage}"),
        format!("--secure-port={port}"),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        format!("--cert-dir={}", folder.join("certificates").display()),
        format!(
            "--tls-cert-file={}",
            file("server.pem", &identity.certificate)?
        ),
        format!(
            "--tls-private-key-file={}",
            file("server.key", &identity.key)?
        ),
        format!("--client-ca-file={}", file("ca.pem", &authority.pem())?),
        "--anonymous-auth=false".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!(
            "--service-account-key-file={}",
            file("accounts.pub", &accounts.public_key_pem())?
        ),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key", &accounts.serialize_pem())?
        ),
    ];
    if let Place::Audited = place {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [{"level": "Metadata"}],
        });
        let policy = file("audit-policy.json", &policy.to_string())?;
        arguments.push(format!("--audit-policy-file={policy}"));
        let log = folder.join(AUDIT_LOG);
        arguments.push(format!("--audit-log-path={}", log.display()));
    }
    match place {
        Place::Alone | Place::Audited => arguments.extend([
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--authorization-mode=RBAC".into(),
            // Would want every namespace's default account, which a controller makes.
            "--disable-admission-plugins=ServiceAccount".into(),
        ]),
        Place::Node(address) => {
            let identity = authority.client("kube-apiserver", Some("system:masters"))?;
            arguments.extend([
                "--bind-address=0.0.0.0".into(),
                format!("--advertise-address={address}"),
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=NodeRestriction".into(),
                "--kubelet-preferred-address-types=InternalIP".into(),
                format!(
                    "--kubelet-certificate-authority={}/ca.pem",
                    folder.display()
                ),
                format!(
                    "--kubelet-client-certificate={}",
                    file("kubelet-client.pem", &identity.certificate)?
                ),
                format!(
                    "--kubelet-client-key={}",
                    file("kubelet-client.key", &identity.key)?
                ),
            ]);
        }
    }
    Ok(arguments)
}

/// A kubeconfig as JSON, which every reader of YAML reads.
fn kubeconfig(url: &str, authority: &Authority, identity: &Identity) -> String {
    let user = json!({
        "client-certificate-data": BASE64_STANDARD.encode(&identity.certificate),
        "client-key-data": BASE64_STANDARD.encode(&identity.key),
    });
    kubeconfig_with(url, authority, user)
}

fn kubeconfig_with(url: &str, authority: &Authority, user: serde_json::Value) -> String {
    let cluster = json!({
        "server": url,
        "certificate-authority-data": BASE64_STANDARD.encode(authority.pem()),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "lab", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "user" } }],
        "current-context": "lab",
    })
    .to_string()
}

/// An error with everything beneath it, on one line.
fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
