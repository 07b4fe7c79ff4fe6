//! A node that runs pods: kubelet, containerd and a pod network, beside a whole control plane.

mod configuration;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{ApiServer, Images, LabError, Sandbox, find, run, write};
use configuration::NAME;

/// Ready is usual after ten seconds; a busy machine of two cores takes several times that.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// A running cluster of one node.
///
/// Pods have addresses of `10.244.0.0/24`, Services of `10.96.0.0/16`. Their DNS knows the names it
/// was [told](Self::publish), and not of Services by itself. No NetworkPolicy is enforced. What listens
/// on loopback in the sandbox, pods reach at [`ADDRESS`](Self::ADDRESS) on the same port.
pub struct Node {
    // Dropped in this order.
    kubelet: Process,
    _controllers: [Process; 3],
    _names: Process,
    containerd: Process,
    api: ApiServer,
    folder: PathBuf,
}

impl Node {
    /// The address of the node on its bridge.
    pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1));

    /// Starts everything and waits until pods can be scheduled.
    ///
    /// # Errors
    /// [`LabError::Missing`] when a program isn't here; else with the end of the log of the one that
    /// didn't start.
    pub fn start(sandbox: &Sandbox) -> Result<Self, LabError> {
        let folder = sandbox.folder().join("node");
        std::fs::create_dir(&folder).map_err(LabError::io("make the node's folder"))?;
        network(sandbox)?;
        let names = start_names(&folder)?;
        let mut containerd = start_containerd(&folder)?;
        let api = ApiServer::start_on_node(Self::ADDRESS)?;
        let controllers = start_controllers(&api, &folder)?;
        let socket = socket(&folder);
        containerd.wait_until(WAIT_TIMEOUT, || {
            run("ask", ctr(&socket).arg("version"), None).is_ok()
        })?;
        let kubelet = {
            let configuration = configuration::kubelet(&folder, &sandbox.cgroup(), &api)?;
            let user = api.kubeconfig_for(&format!("system:node:{NAME}"), Some("system:nodes"))?;
            let arguments = [
                format!("--config={}", configuration.display()),
                format!("--kubeconfig={}", user.display()),
                format!("--root-dir={}/kubelet", folder.display()),
                format!("--cert-dir={}/kubelet-certificates", folder.display()),
                format!("--hostname-override={NAME}"),
                format!("--node-ip={}", Self::ADDRESS),
            ];
            program("kubelet", arguments, &folder)?
        };
        let mut this = Self {
            kubelet,
            _controllers: controllers,
            _names: names,
            containerd,
            api,
            folder,
        };
        let pause = Images::open()?.pause(&this.folder)?;
        this.load(&pause)?;
        this.wait()?;
        Ok(this)
    }

    /// The API server. Its kubeconfigs work inside the sandbox.
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Makes the images of an archive known to the node, under the names they have in it.
    ///
    /// # Errors
    /// When containerd refuses, with what it said.
    pub fn load(&self, archive: &Path) -> Result<(), LabError> {
        let mut import = self.ctr();
        import.args(["images", "import"]).arg(archive);
        run("load an image", &mut import, None).map(drop)
    }

    /// Makes an image that the node knows known by another name, too.
    ///
    /// # Errors
    /// When containerd refuses, with what it said.
    pub fn tag(&self, image: &str, name: &str) -> Result<(), LabError> {
        let mut tag = self.ctr();
        tag.args(["images", "tag", image, name]);
        run("tag an image", &mut tag, None).map(drop)
    }

    /// Tells the pods' DNS the address of a name, such as `ldap.example.com` or
    /// `operator.identity.svc.cluster.local`. It is known a moment later.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn publish(&self, name: &str, address: IpAddr) -> Result<(), LabError> {
        let line = format!("{address} {name}\n");
        write(names(&self.folder).join(name), &line).map(drop)
    }

    /// The files with what containers wrote, however they ended; a deleted pod's are deleted.
    pub fn pod_logs(&self) -> PathBuf {
        self.folder.join(configuration::POD_LOGS)
    }

    /// The process of a pod's container, for those who mean it harm.
    ///
    /// # Errors
    /// When there is no such container, or it isn't running.
    pub fn process_of(&self, namespace: &str, pod: &str) -> Result<u32, LabError> {
        let id = self.api.run_kubectl(&[
            "-n",
            namespace,
            "get",
            "pod",
            pod,
            "-o",
            "jsonpath={.status.containerStatuses[0].containerID}",
        ])?;
        let id = id.trim_start_matches("containerd://");
        let tasks = run("list containers", self.ctr().args(["task", "ls"]), None)?;
        let ours = tasks.lines().find(|line| line.starts_with(id));
        let pid = ours.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        pid.ok_or_else(|| LabError::Failed {
            what: format!("find the process of {namespace}/{pod}, container {id:?}"),
            answer: tasks,
        })
    }

    /// What kubelet and containerd wrote so far, for a test that failed.
    pub fn log(&self) -> String {
        format!("{}\n{}", self.containerd.log(), self.kubelet.log())
    }

    fn ctr(&self) -> Command {
        ctr(&socket(&self.folder))
    }

    fn wait(&mut self) -> Result<(), LabError> {
        let mut node = self.api.kubectl();
        let condition = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        node.args(["get", "node", NAME, "-o", condition]);
        // Without it a namespace takes no pods.
        let mut account = self.api.kubectl();
        account.args(["-n", "default", "get", "serviceaccount", "default"]);
        self.kubelet.wait_until(WAIT_TIMEOUT, || {
            run("ask", &mut node, None).is_ok_and(|ready| ready == "True")
                && run("ask", &mut account, None).is_ok()
        })
    }
}

/// The node's address, and the way from pods to what listens on loopback.
fn network(sandbox: &Sandbox) -> Result<(), LabError> {
    let address = format!("{}/32", Node::ADDRESS);
    let mut add = Command::new("ip");
    add.args(["address", "add", &address, "dev", "lo"]);
    run("give the node an address", &mut add, None)?;
    for setting in ["ip_forward", "conf/all/route_localnet"] {
        write(Path::new("/proc/sys/net/ipv4").join(setting), "1")?;
    }
    let rules = write(sandbox.folder().join("nat.nft"), &configuration::nat())?;
    let mut apply = Command::new("nft");
    apply.arg("-f").arg(rules);
    run("set up the node's network", &mut apply, None).map(drop)
}

fn start_containerd(folder: &Path) -> Result<Process, LabError> {
    let configuration = configuration::containerd(folder, &socket(folder))?;
    let mut command = Command::new(find("containerd")?);
    command.arg("--config").arg(configuration);
    spawn("containerd", &command, folder)
}

/// DNS for pods, of the names in a folder.
fn start_names(folder: &Path) -> Result<Process, LabError> {
    let names = names(folder);
    std::fs::create_dir(&names).map_err(LabError::io("make the folder of names"))?;
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
    ]);
    command.args([
        "--pid-file=",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
    ]);
    // A name that isn't there is none, rather than one to ask others for.
    command.args(["--local=/#/", "--log-facility=-", "--cache-size=0"]);
    command.arg(format!("--listen-address=127.0.0.1,{}", Node::ADDRESS));
    command.arg(format!("--hostsdir={}", names.display()));
    spawn("dnsmasq", &command, folder)
}

/// The folder of what DNS knows.
fn names(folder: &Path) -> PathBuf {
    folder.join("names")
}

/// What makes pods of Deployments, gives them a node, and Services their addresses.
fn start_controllers(api: &ApiServer, folder: &Path) -> Result<[Process; 3], LabError> {
    let kubeconfig = |user: &str| {
        let file = api.kubeconfig_for(user, None)?;
        Ok::<_, LabError>(file.display().to_string())
    };
    let user = kubeconfig("system:kube-controller-manager")?;
    let manager = program(
        "kube-controller-manager",
        [
            format!("--kubeconfig={user}"),
            format!("--root-ca-file={}", api.authority_file().display()),
            "--use-service-account-credentials".into(),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
        ],
        folder,
    )?;
    let user = kubeconfig("system:kube-scheduler")?;
    let scheduler = program(
        "kube-scheduler",
        [
            format!("--kubeconfig={user}"),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
        ],
        folder,
    )?;
    let user = kubeconfig("system:kube-proxy")?;
    let configuration = configuration::proxy(folder, &user)?;
    let proxy = program(
        "kube-proxy",
        [format!("--config={}", configuration.display())],
        folder,
    )?;
    Ok([manager, scheduler, proxy])
}

/// Starts one of Kubernetes' programs.
fn program(
    part: &str,
    arguments: impl IntoIterator<Item = String>,
    folder: &Path,
) -> Result<Process, LabError> {
    let mut command = Command::new(find(part)?);
    command.args(arguments);
    spawn(part, &command, folder)
}

/// Starts a program with a folder of its own for its log. What it keeps elsewhere in the node's folder
/// has things mounted, which end with the sandbox.
fn spawn(name: &str, command: &Command, folder: &Path) -> Result<Process, LabError> {
    let own = folder.join(format!("{name}-process"));
    std::fs::create_dir(&own).map_err(LabError::io(format!("make {}", own.display())))?;
    Process::spawn(command, &own, &own.join("log"))
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

/// containerd's own client, in the kubelet's part of its store.
fn ctr(socket: &Path) -> Command {
    let mut command = Command::new("ctr");
    command.arg("--address").arg(socket);
    command.args(["--namespace", "k8s.io"]);
    command
}
