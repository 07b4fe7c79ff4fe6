//! Whose certificate the controller shows, for which name, until when.

use std::net::SocketAddr;

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::source::active_directory::ActiveDirectorySettings;
use simulators::lab::{Authority, Samba};
use tokio::net::{TcpListener, TcpStream};

use crate::domain::*;

/// LDAPS and StartTLS at this address, each with its port.
fn both_ways(host: &str, ports: [u16; 2]) -> [ActiveDirectorySettings; 2] {
    [
        (ActiveDirectorySecurity::Ldaps, ports[0]),
        (ActiveDirectorySecurity::StartTls, ports[1]),
    ]
    .map(|(security, port)| {
        let mut settings = small();
        settings.location = at(host, Some(port));
        settings.security = security;
        settings
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_with_both_names() {
    needs_samba!();
    let other = Authority::new("Somebody Else").unwrap();
    for security in [
        ActiveDirectorySecurity::Ldaps,
        ActiveDirectorySecurity::StartTls,
    ] {
        let mut settings = small();
        settings.security = security;
        settings.tls.ca_bundle = Some(other.pem().into_bytes());
        refused(settings)
            .await
            .is_configuration()
            .says("directory-sync lab: domain")
            .says("Somebody Else")
            .says("tls.caBundle");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused_with_the_names_on_both_sides() {
    needs_samba!();
    // The controller, at an address that isn't in its certificate.
    let mut ports = [636, 389];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let controller = SocketAddr::from((domain().address(), *port));
        *port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(controller).await.unwrap();
                tokio::spawn(async move {
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    }
    for settings in both_ways("127.0.0.2", ports) {
        refused(settings)
            .await
            .is_configuration()
            .says(Samba::HOST)
            .says(&domain().address().to_string())
            .says("not for 127.0.0.2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_with_its_last_day_until_it_is_renewed() {
    needs_samba!();
    let mut controller = domain().another(true).unwrap();
    let address = controller.address().to_string();
    let names = [&*address, Samba::HOST];
    let expired = controller.authority().expired_server(&names).unwrap();
    let renewed = controller.authority().server(&names).unwrap();
    let authority = controller.authority().pem();
    let settings = both_ways(&address, [636, 389]).map(|mut settings| {
        settings.tls.ca_bundle = Some(authority.clone().into_bytes());
        settings
    });

    controller.present(&expired).unwrap();
    for settings in settings.clone() {
        refused(settings)
            .await
            .is_transient()
            .says("expired on 2024-12-31")
            .says("renew it on the server");
    }
    controller.present(&renewed).unwrap();
    for settings in settings {
        gets_in(settings).await;
    }
}
