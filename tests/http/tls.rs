//! Who is trusted, and whom we show ourselves to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::http::{Call, ClientSettings, Failure, FailureClass, HttpError, client};
use reqwest::{Method, Url};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use simulators::lab::{Authority, Identity};
use simulators::organization::{Config, SimulatedOrganization};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::remote;

/// A server that answers `{}`.
async fn serve(identity: Identity) -> Url {
    serve_at("127.0.0.1", identity).await
}

async fn serve_at(host: &str, identity: Identity) -> Url {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("https://{host}:{port}/").parse().unwrap()
}

async fn call(url: &Url, settings: ClientSettings) -> Result<(), HttpError> {
    let mut remote = remote();
    remote.client = client(&settings).unwrap();
    remote
        .done(&Call::new(Method::GET, url.clone(), "GET /"))
        .await
}

fn trusting(authorities: &[&Authority]) -> ClientSettings {
    let bundle: String = authorities
        .iter()
        .map(|authority| authority.pem())
        .collect();
    ClientSettings {
        ca_bundle: Some(bundle.into_bytes()),
        ..ClientSettings::default()
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_its_bundle_is_given() {
    let ours = Authority::new("ours").unwrap();
    let theirs = Authority::new("theirs").unwrap();
    let url = serve(ours.server(&[]).unwrap()).await;

    call(&url, trusting(&[&ours])).await.unwrap();
    call(&url, trusting(&[&theirs, &ours])).await.unwrap();

    let error = call(&url, trusting(&[&theirs])).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("no trusted connection"), "{error}");
    assert!(
        error.to_lowercase().contains("issuer"),
        "and says why: {error}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let ours = Authority::new("ours").unwrap();
    // The certificate is for localhost and 127.0.0.1.
    let url = serve_at("127.0.0.2", ours.server(&[]).unwrap()).await;
    let error = call(&url, trusting(&[&ours])).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("127.0.0.2"), "{error}");
    assert!(error.contains("localhost"), "and whose it is: {error}");
}

#[tokio::test]
async fn an_expired_certificate_is_not_trusted() {
    let ours = Authority::new("ours").unwrap();
    let url = serve(ours.expired_server(&[]).unwrap()).await;
    let error = call(&url, trusting(&[&ours])).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.to_lowercase().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_may_sign_others_is_trusted_where_the_bundle_names_it() {
    // What `openssl req -x509` makes.
    let itself = Identity::self_signed("127.0.0.1").unwrap();
    let bundle = itself.certificate.clone();
    let trusting = |pem: String| ClientSettings {
        ca_bundle: Some(pem.into_bytes()),
        ..ClientSettings::default()
    };
    let url = serve(itself).await;

    call(&url, trusting(bundle.clone())).await.unwrap();
    // As editors and people leave it.
    let pasted = format!("\u{feff}{}", bundle.replace('\n', "\n  "));
    call(&url, trusting(pasted)).await.unwrap();

    let another = Identity::self_signed("127.0.0.1").unwrap().certificate;
    let error = call(&url, trusting(another)).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    // For 127.0.0.1 alone.
    let itself = Identity::self_signed("127.0.0.1").unwrap();
    let bundle = itself.certificate.clone();
    let url = serve_at("127.0.0.2", itself).await;
    let error = call(&url, trusting(bundle)).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_scheme_that_is_not_the_servers_is_told_at_once() {
    let tls = serve(Authority::new("ours").unwrap().server(&[]).unwrap()).await;
    let plain = SimulatedOrganization::start(Config::self_hosted())
        .await
        .unwrap();
    let swapped = |url: &str, from: &str, to: &str| Url::parse(&url.replacen(from, to, 1)).unwrap();
    for (url, told) in [
        (
            swapped(tls.as_str(), "https", "http"),
            "speaks TLS on this port: write https://",
        ),
        (
            swapped(&plain.url(), "http", "https"),
            "doesn't speak TLS on this port",
        ),
    ] {
        let started = Instant::now();
        let error = call(&url, ClientSettings::default()).await.unwrap_err();
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.class(), FailureClass::WrongServer);
    }
}
