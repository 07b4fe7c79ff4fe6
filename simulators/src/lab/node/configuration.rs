//! The configuration files of what makes a node.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Node;
use crate::lab::images::PAUSE;
use crate::lab::{ApiServer, LabError, write};

/// What the node is called.
pub(super) const NAME: &str = "node";

/// Where in the node's folder containers' outputs are kept.
pub(super) const POD_LOGS: &str = "pod-logs";

const POD_RANGE: &str = "10.244.0.0/24";
const BRIDGE: &str = "pods";

/// Where Debian installs the CNI plugins.
const PLUGINS: &str = "/usr/lib/cni";

/// Rules by which what listens on loopback answers pods at the node's address.
pub(super) fn nat() -> String {
    let address = Node::ADDRESS;
    format!(
        "table ip lab {{
            chain prerouting {{
                type nat hook prerouting priority dstnat
                iifname \"{BRIDGE}\" ip daddr {address} meta l4proto tcp dnat to 127.0.0.1
            }}
        }}\n"
    )
}

/// containerd's configuration, with the pod network's beside it. Version 2 of the format is read by
/// containerd 1.6 and all that came later.
pub(super) fn containerd(folder: &Path, socket: &Path) -> Result<PathBuf, LabError> {
    let networks = folder.join("networks");
    std::fs::create_dir(&networks).map_err(LabError::io("make the network's folder"))?;
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": folder.join("addresses"),
                "ranges": [[{ "subnet": POD_RANGE }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    write(networks.join("10-pods.conflist"), &network.to_string())?;
    let (at, networks, socket) = (folder.display(), networks.display(), socket.display());
    let text = format!(
        r#"version = 2
root = "{at}/containerd/root"
state = "{at}/containerd/state"
# Asks for a folder in /opt that nobody needs.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Where even root may not lower it, runc would end without a message.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{networks}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
    );
    write(folder.join("containerd.toml"), &text)
}

/// The kubelet's configuration, below the cgroup of that name.
pub(super) fn kubelet(folder: &Path, cgroup: &str, api: &ApiServer) -> Result<PathBuf, LabError> {
    let address = Node::ADDRESS.to_string();
    let identity = api.authority().server(&[NAME, &address])?;
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "readOnlyPort": 0,
        "tlsCertFile": write(folder.join("kubelet.pem"), &identity.certificate)?,
        "tlsPrivateKeyFile": write(folder.join("kubelet.key"), &identity.key)?,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": api.authority_file() },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": format!("unix://{}", folder.join("containerd.sock").display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        // Machines for builds and tests are as they are.
        "failCgroupV1": false,
        "failSwapOn": false,
        "maxOpenFiles": 20_000,
        "resolvConf": "",
        "clusterDNS": [address],
        "clusterDomain": "cluster.local",
        "podLogsDir": folder.join(POD_LOGS),
        "volumePluginDir": folder.join("volume-plugins"),
        // A disk that is nearly full is the machine's business. A hundredth of a large one, which is
        // how much is to be free otherwise, is more than most builds need.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "100Mi",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "100Mi",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        // Asked for its status this often, the node is Ready as soon as its network is.
        "nodeStatusUpdateFrequency": "2s",
    });
    save(folder.join("kubelet.json"), &configuration)
}

/// Writes the configuration of kube-proxy, and gives its path.
pub(super) fn proxy(folder: &Path, kubeconfig: &str) -> Result<PathBuf, LabError> {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": kubeconfig },
        "hostnameOverride": NAME,
        "clusterCIDR": POD_RANGE,
        // The machine's limits of connections stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    save(folder.join("proxy.json"), &configuration)
}

fn save(path: PathBuf, configuration: &Value) -> Result<PathBuf, LabError> {
    write(path, &configuration.to_string())
}
