//! The addresses of OneLogin: a proxy stands where the network begins, notes whom the command wants
//! to reach, and takes its part with a certificate of the test's own authority.

use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use simulators::lab::Authority;
use simulators::one_login::{SimulatedOneLogin, UserSeed};
use simulators::organization::{self, SimulatedOrganization};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::*;

const HOSTS: [&str; 3] = [
    "api.eu.onelogin.com",
    "api.us.onelogin.com",
    "example.onelogin.com",
];

/// The way to every one of [`HOSTS`].
struct Proxy {
    url: String,
    wanted: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn before(one_login: &SimulatedOneLogin, authority: &Authority) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let identity = authority.server(&HOSTS).unwrap();
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind = one_login.url().strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let wanted = Arc::new(Mutex::new(vec![]));
        let noted = wanted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind, noted) = (acceptor.clone(), behind.clone(), noted.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut first = String::new();
                    stream.read_line(&mut first).await.unwrap();
                    let host = first.split_whitespace().nth(1).unwrap_or_default();
                    noted.lock().unwrap().push(host.to_owned());
                    let mut line = String::from("a header");
                    while !line.trim().is_empty() {
                        line.clear();
                        stream.read_line(&mut line).await.unwrap();
                    }
                    let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
                    stream.write_all(established).await.unwrap();
                    let mut inside = acceptor.accept(stream).await.unwrap();
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut inside, &mut behind).await;
                });
            }
        });
        Self { url, wanted }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_regions_and_a_subdomain_are_read_at_their_own_addresses() {
    let one_login = account().await;
    one_login.user(UserSeed::new("ann@example.com"));
    let authority = Authority::new("somebody between").unwrap();
    let proxy = Proxy::before(&one_login, &authority).await;
    let bitwarden = SimulatedOrganization::start(organization::Config::self_hosted())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    for (place, host) in [
        ("region: EU", HOSTS[0]),
        ("region: US", HOSTS[1]),
        ("subdomain: example", HOSTS[2]),
    ] {
        let manifest = format!(
            "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
  source:
    oneLogin:
      {place}
      credentialsSecretRef: {{name: onelogin}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bitwarden, namespace: identity}}
stringData: {{clientId: {:?}, clientSecret: {:?}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: onelogin, namespace: identity}}
stringData: {{clientId: {CLIENT_ID}, clientSecret: {CLIENT_SECRET}}}
",
            bitwarden.url(),
            bitwarden.client_id(),
            bitwarden.client_secret(),
        );
        std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_directory-sync"))
            .args(["check", "-f", "staff.yaml"])
            .current_dir(folder.path())
            .env_clear()
            .env("HTTPS_PROXY", &proxy.url)
            .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success()
                && said.contains(&format!(
                    "https://{host}/api/2/users: 1 people, such as ann@"
                )),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let wanted = std::mem::take(&mut *proxy.wanted.lock().unwrap());
        assert!(!wanted.is_empty());
        assert!(
            wanted.iter().all(|to| *to == format!("{host}:443")),
            "{wanted:?}"
        );
    }
}
