//! Several domains, by a global catalog.

use std::net::SocketAddr;

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::problem::ProblemReason;
use simulators::ldap_proxy::LdapProxy;

use crate::domain::*;

const UNIVERSAL: &str = "-2147483640";

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_members_the_catalog_does_not_know_is_never_taken_for_an_empty_one() {
    needs_samba!();
    let _changing = changing().await;
    // To be the domain DC=emea below the controller's own.
    let emea = own_unit("emea", |ldif, emea| {
        let [eva, emil] = ["eva", "emil"].map(|name| User::new(name).add_to(ldif, emea));
        let universal = [
            ("objectClass", "group"),
            ("sAMAccountName", "e-universal"),
            ("groupType", UNIVERSAL),
            ("member", &eva),
        ];
        ldif.entry(&format!("CN=e-universal,{emea}"), &universal);
        group(ldif, emea, "e-global", &[&emil]);
    });
    let home = own_unit("Home", |ldif, home| {
        let hal = User::new("hal").add_to(ldif, home);
        for (name, theirs) in [("h-whole", "e-universal"), ("h-part", "e-global")] {
            let theirs = format!("CN={theirs},{emea}");
            let attributes = [
                ("objectClass", "group"),
                ("sAMAccountName", name),
                ("groupType", UNIVERSAL),
                ("member", &hal),
                ("member", &theirs),
            ];
            ldif.entry(&format!("CN={name},{home}"), &attributes);
        }
    });
    let proxy = LdapProxy::as_forest(SocketAddr::from((domain().address(), 3268)))
        .await
        .unwrap();
    let mut settings = settings();
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.global_catalog = true;
    let emea = emea.replace("OU=emea", "DC=emea");
    settings.users.search_bases = vec![emea.clone(), home.clone()];
    settings.groups.as_mut().unwrap().search_bases = vec![emea, home.clone()];

    let directory = read(settings.clone()).await;
    let all = ["emil", "eva", "hal"].map(|name| format!("{name}@example.com"));
    assert_eq!(emails(&directory), all);
    let in_part = |name: &str| {
        let mut groups = directory.groups.iter();
        groups
            .find(|group| &*group.name == name)
            .unwrap()
            .in_part
            .is_some()
    };
    assert!(!in_part("e-universal") && !in_part("h-whole"));
    assert!(in_part("e-global") && in_part("h-part"));
    assert_eq!(members(&directory, "e-universal"), ["eva"]);
    assert_eq!(members(&directory, "h-whole"), ["group:e-universal", "hal"]);
    let problems: Vec<_> = directory
        .problems
        .by_reason()
        .filter(|(reason, ..)| *reason == ProblemReason::UnreadableMember)
        .flat_map(|(_, _, kept)| kept.iter().map(|problem| problem.message.as_str()))
        .collect();
    let named = |group: &str| problems.iter().any(|problem| problem.contains(group));
    assert!(
        named("group h-part contains the group e-global of another domain"),
        "{problems:?}"
    );
    assert!(!named("h-whole"), "{problems:?}");

    settings.users.member_of = vec![format!("CN=h-whole,{home}")];
    assert_eq!(emails(&read(settings.clone()).await), [&*all[1], &*all[2]]);
    settings.users.member_of = vec![format!("CN=h-part,{home}")];
    refused(settings)
        .await
        .is_configuration()
        .says("users.memberOf comes to the group e-global")
        .says("make it universal");
}
