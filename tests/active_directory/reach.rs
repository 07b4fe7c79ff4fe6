//! Ways to a controller: which one, how, and what becomes of a read when it goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::source::active_directory::{Controller, Domain, DomainControllerLocation};
use directory_sync::source::{ReadProgress, Source};
use simulators::lab::Samba;
use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::domain::*;

#[tokio::test(flavor = "multi_thread")]
async fn ldaps_start_tls_and_the_global_catalog_work_with_a_private_authority() {
    needs_samba!();
    for security in [
        ActiveDirectorySecurity::Ldaps,
        ActiveDirectorySecurity::StartTls,
    ] {
        for global_catalog in [false, true] {
            let mut settings = small();
            settings.security = security;
            settings.global_catalog = global_catalog;
            gets_in(settings).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_controller_is_asked_when_one_is_dead_but_not_with_a_wrong_password() {
    needs_samba!();
    let mut settings = small();
    let DomainControllerLocation::Controllers(good) = settings.location.clone() else {
        unreachable!()
    };
    let address = domain().address().to_string();
    let nobody = Controller {
        host: address.clone(),
        port: Some(1),
    };
    settings.location =
        DomainControllerLocation::Controllers([vec![nobody.clone()], good].concat());
    gets_in(settings.clone()).await;

    settings.location = DomainControllerLocation::Controllers(vec![nobody.clone(), nobody]);
    refused(settings)
        .await
        .is_transient()
        .says("none of the 2 controllers");

    let proxy = LdapProxy::start(SocketAddr::from((domain().address(), 389)))
        .await
        .unwrap();
    let mut wrong = by(&format!("nobody@{}", Samba::REALM), "not-this-one");
    wrong.security = ActiveDirectorySecurity::Plaintext;
    let through = Controller {
        host: "127.0.0.1".into(),
        port: Some(proxy.address().port()),
    };
    wrong.location = DomainControllerLocation::Controllers(vec![through.clone(), through]);
    refused(wrong).await.is_configuration();
    assert_eq!(
        proxy.requests(),
        1,
        "the second would have locked the account sooner"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controllers_of_a_domain_are_found_in_dns() {
    needs_samba!();
    let mut settings = small();
    let domain_of = |name: &str| {
        DomainControllerLocation::Domain(Domain {
            name: name.into(),
            name_server: Some((domain().address(), 53).into()),
        })
    };
    settings.location = domain_of(Samba::REALM);
    let steps = source(settings.clone()).check().await;
    let found = steps[0].result.as_ref().unwrap();
    assert_eq!(found, "ldaps://dc1.ad.example.test", "{steps:#?}");
    // Only its own name server knows the host, which isn't ours.
    assert!(steps[1].name.contains(Samba::HOST), "{steps:#?}");

    settings.global_catalog = true;
    let steps = source(settings.clone()).check().await;
    assert_eq!(
        steps[0].result.as_ref().unwrap(),
        "ldaps://dc1.ad.example.test:3269"
    );

    // Catalogs are listed at the forest's root, and a domain below it finds them there.
    settings.location = domain_of(&format!("emea.{}", Samba::REALM));
    let steps = source(settings.clone()).check().await;
    assert_eq!(
        steps[0].result.as_ref().unwrap(),
        "ldaps://dc1.ad.example.test:3269"
    );

    settings.location = domain_of("typo.example.test");
    refused(settings)
        .await
        .says("typo.example.test")
        .says("_gc._tcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_read_is_checked_and_reported() {
    needs_samba!();
    let mut settings = settings();
    settings.base_dn = Some(container("OU=Staff"));
    let steps = source(settings).check().await;
    let seen: Vec<_> = steps
        .iter()
        .map(|step| format!("{}: {}", step.name, step.result.as_ref().unwrap()))
        .collect();
    for (step, part) in [
        (2, "signed by CN=directory-sync lab: domain"),
        (3, "bind: as the account in the bind Secret"),
        (
            4,
            "dc1.ad.example.test, of the domain DC=ad,DC=example,DC=test",
        ),
        (5, "the controller's clock is "),
        (6, "100 or more"),
        (7, "1 wanted of"),
    ] {
        assert!(seen[step].contains(part), "{seen:#?}");
    }
    assert_eq!(seen.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stops_in_the_middle_of_a_read_changes_nothing() {
    needs_samba!();
    let mut dying = domain().another(false).unwrap();
    let mut settings = settings_of(&dying);
    settings.page_size = 50;
    let whole = read(settings.clone()).await;
    assert!(whole.users.len() >= STAFF);

    let progress = Arc::new(ReadProgress::default());
    let shared = progress.clone();
    let source = source(settings.clone());
    let reading = tokio::spawn(async move { source.read(None, &shared).await.map(drop) });
    let started = Instant::now();
    while progress.users.load(Ordering::Relaxed) < 200
        && started.elapsed() < Duration::from_secs(30)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    dying.kill();
    let error = reading.await.unwrap().unwrap_err();
    assert!((200..STAFF as u64).contains(&progress.users.load(Ordering::Relaxed)));
    Refusal(error).ended_early().says("connection was lost");

    dying.restart().unwrap();
    assert_eq!(read(settings).await.users.len(), whole.users.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_there_is_no_half_list() {
    needs_samba!();
    let proxy = LdapProxy::with_windows_limits(SocketAddr::from((domain().address(), 389)))
        .await
        .unwrap();
    let mut settings = settings();
    settings.base_dn = Some(container("OU=Staff"));
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    let whole = read(settings.clone()).await;
    let requests = proxy.requests();
    for request in 0..requests {
        for fault in [
            LdapFault::HalfAnswer,
            LdapFault::Code(4),
            LdapFault::Code(51),
        ] {
            proxy.arm(request, fault);
            let read = full(&source(settings.clone())).await;
            let Ok((directory, version)) = read else {
                continue;
            };
            // The bind, the root entry; then where the controller stands, which may be kept from us.
            assert_eq!(request, 2, "{fault:?} of {requests} requests");
            assert_eq!((version, directory.users.len()), (None, whole.users.len()));
        }
    }
}
