//! Who is trusted, and whom we show ourselves to.

use std::sync::Arc;

use directory_sync::http::{Call, ClientSettings, Failure, HttpError, client};
use reqwest::{Method, Url};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use simulators::lab::{Authority, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::remote;

/// A server that answers `{}`, and asks for a certificate of `clients` where there are any.
async fn serve(identity: Identity, clients: Option<&Authority>) -> Url {
    serve_at("127.0.0.1", identity, clients).await
}

async fn serve_at(host: &str, identity: Identity, clients: Option<&Authority>) -> Url {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut trusted = RootCertStore::empty();
            let pem = authority.pem();
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            trusted.add(certificate).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(trusted));
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
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
    let url = serve(ours.server(&[]).unwrap(), None).await;

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
    let url = serve_at("127.0.0.2", ours.server(&[]).unwrap(), None).await;
    let error = call(&url, trusting(&[&ours])).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("127.0.0.2"), "{error}");
    assert!(error.contains("localhost"), "and whose it is: {error}");
}

#[tokio::test]
async fn an_expired_certificate_is_not_trusted() {
    let ours = Authority::new("ours").unwrap();
    let url = serve(ours.expired_server(&[]).unwrap(), None).await;
    let error = call(&url, trusting(&[&ours])).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.to_lowercase().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_server_asks() {
    let ours = Authority::new("ours").unwrap();
    let url = serve(ours.server(&[]).unwrap(), Some(&ours)).await;
    assert!(call(&url, trusting(&[&ours])).await.is_err());

    let identity = ours.client("operator", None).unwrap();
    let settings = ClientSettings {
        client_identity: Some((identity.certificate + &identity.key).into()),
        ..trusting(&[&ours])
    };
    call(&url, settings).await.unwrap();
}
