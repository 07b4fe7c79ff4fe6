//! What an unchanged domain costs, and that a changed one is never taken for it.

use std::net::SocketAddr;

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::source::active_directory::ActiveDirectorySource;
use directory_sync::source::{ReadProgress, Reading, Source};
use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::domain::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_domain_costs_one_question_and_any_change_a_read() {
    needs_samba!();
    domain();
    let _still = still().await;
    let proxy = LdapProxy::start(SocketAddr::from((domain().address(), 389)))
        .await
        .unwrap();
    let mut settings = settings();
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = ActiveDirectorySecurity::Plaintext;
    let source = source(settings.clone());
    // The first bind of an account in two weeks is itself a change.
    full(&source).await.unwrap();
    let (before, version) = full(&source).await.unwrap();
    let version = version.expect("the controller says where it stands");

    let progress = ReadProgress::default();
    let unchanged = async |source: &ActiveDirectorySource| {
        proxy.disarm();
        let reading = source.read(Some(&version), &progress).await.unwrap();
        assert!(matches!(reading, Reading::Unchanged));
        proxy.operations()
    };
    assert_eq!(unchanged(&source).await, ["bind", "search \"\""]);

    // Who can't be reached may have been restored from a backup when they are back.
    proxy.arm(0, LdapFault::CutBefore);
    source.read(Some(&version), &progress).await.unwrap_err();
    let own_entry = |operation: &String| operation.starts_with("search \"CN=NTDS Settings,");
    let operations = unchanged(&source).await;
    assert_eq!(operations.len(), 3, "{operations:?}");
    assert!(own_entry(&operations[2]), "{operations:?}");
    assert_eq!(unchanged(&source).await.len(), 2);

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
    let operations = unchanged(&again).await;
    assert!(operations.iter().any(own_entry), "{operations:?}");

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
