//! What an unchanged domain costs, and that a changed one is never taken for it.

use std::net::SocketAddr;

use directory_sync::source::active_directory::Security;
use directory_sync::source::{ReadProgress, Reading, Source};
use simulators::ldap_proxy::LdapProxy;

use crate::domain::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_domain_costs_two_small_questions_and_any_change_a_read() {
    needs_samba!();
    domain();
    let _still = still().await;
    let proxy = LdapProxy::start(SocketAddr::from((domain().address(), 389)))
        .await
        .unwrap();
    let mut settings = settings();
    settings.find = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = Security::Plaintext;
    let source = source(settings.clone());
    // The first bind of an account in two weeks is itself a change.
    full(&source).await.unwrap();
    let (before, version) = full(&source).await.unwrap();
    let version = version.expect("the controller says where it stands");

    proxy.disarm();
    let progress = ReadProgress::default();
    let reading = source.read(Some(&version), &progress).await.unwrap();
    assert!(matches!(reading, Reading::Unchanged));
    assert_eq!(
        proxy.requests(),
        3,
        "the bind, the root entry, the controller's own entry"
    );

    // The same domain, read otherwise, is another directory.
    let mut narrower = settings.clone();
    narrower.users.filter = Some("(department=Sales)".into());
    let reading = self::source(narrower)
        .read(Some(&version), &progress)
        .await
        .unwrap();
    assert!(matches!(reading, Reading::Full { .. }));

    // Nothing was kept but the version: another process knows as much.
    let again = self::source(settings);
    let reading = again.read(Some(&version), &progress).await.unwrap();
    assert!(matches!(reading, Reading::Unchanged));

    own_unit("Changes", |ldif, unit| {
        User::new("newcomer").add_to(ldif, unit);
    });
    let Reading::Full {
        directory,
        version: now,
    } = source.read(Some(&version), &progress).await.unwrap()
    else {
        panic!("somebody came");
    };
    assert_eq!(directory.users.len(), before.users.len() + 1);
    assert_ne!(now, Some(version));
}
