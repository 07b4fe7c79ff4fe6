//! The addresses of OneLogin: a proxy stands where the network begins, notes whom the command wants
//! to reach, and takes its part with a certificate of the test's own authority.

use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use simulators::lab::Authority;
use simulators::one_login::{SimulatedOneLogin, UserSeed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::*;
use crate::story::credentials;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::*;

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
    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    for (place, host) in [
        ("region: EU", HOSTS[0]),
        ("region: US", HOSTS[1]),
        ("subdomain: example", HOSTS[2]),
    ] {
        let spec = format!(
            "  source:
    oneLogin:
      {place}
      credentialsSecretRef: {{name: onelogin}}
"
        );
        let manifests = [
            resource(&bitwarden, &spec),
            api_key(&bitwarden),
            credentials(),
        ];
        std::fs::write(folder.path().join("staff.yaml"), manifests.join("---\n")).unwrap();
        let environment = [
            ("HTTPS_PROXY", &*proxy.url),
            ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ];
        run(folder.path(), "check -f staff.yaml", &environment)
            .await
            .ends_with(0)
            .prints(&format!(
                "https://{host}/api/2/users: 1 people, such as ann@"
            ));
        let wanted = std::mem::take(&mut *proxy.wanted.lock().unwrap());
        assert!(!wanted.is_empty());
        assert!(
            wanted.iter().all(|to| *to == format!("{host}:443")),
            "{wanted:?}"
        );
    }
}
