//! `logs`, of an operator whose pod is on a node that the test answers for.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use simulators::lab::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::kubectl::plugin;
use directory_sync_testing::world::*;

/// What a kubelet does for `kubectl logs`: answers with what the container wrote.
pub async fn kubelet(log: String) -> u16 {
    let authority = Authority::new("directory-sync lab: kubelet").unwrap();
    let identity = authority.server(&[]).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, log) = (acceptor.clone(), log.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let (status, body) = if request.starts_with("GET /containerLogs/") {
                    ("200 OK", log)
                } else {
                    ("404 Not Found", request)
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

/// A node whose kubelet listens on this port, and the operator's pod on it.
pub fn deploy(world: &World, port: u16) {
    let node = &world.namespace;
    let status = json!({
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    });
    let node_object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "operator-0", "namespace": node,
            "labels": {"app.kubernetes.io/name": "directory-sync-operator"},
        },
        "spec": {"nodeName": node, "containers": [{"name": "operator", "image": "operator"}]},
    });
    world.apply(&node_object);
    world.apply(&pod);
    let patch = json!({"status": status}).to_string();
    world.kubectl(&["patch", "node", node, "--subresource=status", "-p", &patch]);
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Two resources are synced by the real program; what it logged.
async fn logged(world: &World, file: &Path, format: &str) -> String {
    let _operator = Running(
        Command::new(env!("CARGO_BIN_EXE_directory-sync"))
            .args(["operator", "--listen", "none", "--log-format", format])
            .args(["--watch-namespaces", &world.namespace])
            .env("KUBECONFIG", operator_kubeconfig())
            .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1")
            .stderr(Stdio::from(std::fs::File::create(file).unwrap()))
            .spawn()
            .unwrap(),
    );
    for name in ["staff", "students"] {
        // Of the same organization, each with members of its own.
        world.resource(
            name,
            json!({"organization": {
                "serverUrl": world.organization.url(),
                "credentialsSecretRef": {"name": "org"},
                "externalIdPrefix": format!("{name}-"),
            }}),
        );
    }
    let read = || std::fs::read_to_string(file).unwrap();
    eventually("both are logged", || {
        ["staff", "students"].iter().all(|name| {
            let about = |line: &&str| line.contains(name) && line.contains("sync ");
            read().lines().filter(about).count() >= 2
        })
    })
    .await;
    read()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_about_one_resource_are_found_among_all_that_the_operator_logged() {
    let world = World::new("logs").await;
    let folder = tempfile::tempdir().unwrap();
    let log = logged(&world, &folder.path().join("log"), "json").await;
    deploy(&world, kubelet(log.clone()).await);
    let mine = format!("--operator-namespace {}", world.namespace);

    let text = plugin(&world, &format!("logs staff {mine}"))
        .await
        .ends_with(0);
    let text = text
        .prints(" INFO sync starts trigger=\"First\"\n")
        .prints(" INFO sync ended ");
    assert!(!text.stdout.contains("students"), "{text}");

    let json = plugin(&world, &format!("logs staff {mine} -o json"))
        .await
        .ends_with(0);
    let about = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["directorysync"] == "staff"
    };
    let expected: Vec<&str> = log.lines().filter(about).collect();
    assert_eq!(json.stdout.lines().collect::<Vec<_>>(), expected);

    let last = plugin(&world, &format!("logs staff {mine} --tail 1"))
        .await
        .ends_with(0);
    assert_eq!(last.stdout.lines().count(), 1, "{last}");
    // This kubelet ends the answer, as a real one does when the pod goes.
    let followed = plugin(&world, &format!("logs staff {mine} -f"))
        .await
        .ends_with(0);
    assert_eq!(followed.stdout, text.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_for_people_are_found_as_well() {
    let world = World::new("logs-text").await;
    let folder = tempfile::tempdir().unwrap();
    let log = logged(&world, &folder.path().join("log"), "text").await;
    deploy(&world, kubelet(log).await);
    let mine = format!("--operator-namespace {}", world.namespace);

    let text = plugin(&world, &format!("logs staff {mine}"))
        .await
        .ends_with(0);
    let text = text.prints("sync starts").prints("sync ended");
    assert!(!text.stdout.contains("students"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_operator_runs_it_is_asked_where_it_does() {
    let world = World::new("logs-nowhere").await;
    world.resource("staff", json!({}));
    let here = format!("--operator-namespace {}", world.namespace);
    plugin(&world, &format!("logs staff {here}"))
        .await
        .ends_with(1)
        .complains(
            "there are no pods with the labels app.kubernetes.io/name=directory-sync-operator",
        )
        .complains("--operator-selector");
}
