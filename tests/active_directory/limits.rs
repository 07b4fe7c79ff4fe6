//! The limits of a Windows controller, which a proxy puts in front of Samba, lose nobody.

use std::net::SocketAddr;

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::source::active_directory::ActiveDirectorySettings;
use simulators::ldap_proxy::LdapProxy;

use crate::domain::*;

/// The shared domain as a Windows controller would give it.
async fn windows() -> (LdapProxy, ActiveDirectorySettings) {
    let upstream = SocketAddr::from((domain().address(), 389));
    let proxy = LdapProxy::with_windows_limits(upstream).await.unwrap();
    let mut settings = settings();
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = ActiveDirectorySecurity::Plaintext;
    (proxy, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_people_and_a_group_of_four_thousand_come_whole() {
    needs_samba!();
    let staff = container("OU=Staff");
    for page_size in [1_000, 5_000, 300] {
        let (proxy, mut settings) = windows().await;
        settings.base_dn = Some(staff.clone());
        settings.page_size = page_size;
        let directory = read(settings).await;
        assert_eq!(directory.users.len(), STAFF, "with pages of {page_size}");
        assert_eq!(members(&directory, "everyone").len(), STAFF);
        // The contacts, each seen and none a person; groups of other tests may have more.
        assert!(directory.unknown_members.count >= STAFF);
        assert!(proxy.requests() > 8, "{}", proxy.requests());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_within_the_list_while_it_is_read_is_not_missed() {
    needs_samba!();
    let _changing = changing().await;
    // 1,600 members: a whole range and a part of one.
    let mut dns = vec![];
    let unit = own_unit("Moving", |ldif, unit| {
        for n in 0..1_600 {
            dns.push(User::new(&format!("moving{n:04}")).add_to(ldif, unit));
        }
        group(ldif, unit, "moving", &dns);
    });
    let (proxy, mut settings) = windows().await;
    settings.base_dn = Some(unit.clone());
    // A hundred leave when the first range was read: the rest moves up.
    proxy.surprise("member;range=", move || {
        let mut change = format!("dn: CN=moving,{unit}\nchangetype: modify\ndelete: member\n");
        for dn in &dns[..100] {
            change.push_str(&format!("member: {dn}\n"));
        }
        domain().modify(&change).unwrap();
    });
    let directory = read(settings).await;
    assert_eq!(directory.users.len(), 1_600);
    let members = members(&directory, "moving");
    assert_eq!(members.len(), 1_500);
    assert_eq!(members[0], "moving0100");
}
