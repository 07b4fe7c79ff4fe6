//! From a manifest to the organization, by the command that people run.

use simulators::lab::Samba;
use simulators::organization::{SimulatedOrganization, Status};

use crate::domain::*;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::*;

fn manifests(unit: &str, organization: &SimulatedOrganization) -> String {
    let spec = format!(
        "  source:
    activeDirectory:
      controllers: [\"{}\"]
      bindSecretRef: {{name: reader}}
      tls:
        caBundleRef: {{name: corp-ca}}
      users:
        memberOf: [\"CN=Bitwarden,{unit}\"]
      groups:
        searchBases: [\"{unit}\"]
  offboarding: {{absent: Revoke, limit: 100%}}
",
        domain().address(),
    );
    let reader = format!("{READER}@{}", Samba::REALM);
    [
        resource(organization, &spec),
        api_key(organization),
        secret(
            "reader",
            &[("username", &reader), ("password", Samba::PASSWORD)],
        ),
        config_map("corp-ca", &[("ca.crt", &domain().authority().pem())]),
    ]
    .join("---\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_or_leaves_the_group_loses_access_and_gets_it_back_by_returning() {
    needs_samba!();
    let _changing = changing().await;
    let mut dns = vec![];
    let unit = own_unit("Story", |ldif, unit| {
        dns = ["sann", "sbob", "scid", "sdan"]
            .map(|name| User::new(name).with_password().add_to(ldif, unit))
            .into();
        let mut never = User::new("snever");
        never.status = AccountStatus::Disabled;
        dns.push(never.add_to(ldif, unit));
        let law = group(ldif, unit, "Law", &[&dns[1], &dns[2], &dns[4]]);
        group(ldif, unit, "Bitwarden", &[&dns[0], &law]);
    });
    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let manifests = manifests(&unit, &bitwarden);
    std::fs::write(folder.path().join("staff.yaml"), manifests).unwrap();
    let change = |text: String| domain().modify(&text).unwrap();
    let control = |dn: &str, flags: u32| {
        change(format!(
            "dn: {dn}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: {flags}\n"
        ));
    };
    let law = |change: &str, dn: &str| {
        domain()
            .modify(&format!(
                "dn: CN=Law,{unit}\nchangetype: modify\n{change}: member\nmember: {dn}\n"
            ))
            .unwrap();
    };

    let run = async |words: &str| run(folder.path(), words, &[]).await.ends_with(0);

    let checked = run("check -f staff.yaml").await;
    checked.prints("of the domain DC=ad");

    run("sync -f staff.yaml -q --yes").await;
    let first = bitwarden.snapshot();
    let emails = |names: &[&str]| -> Vec<String> {
        names.iter().map(|n| format!("{n}@example.com")).collect()
    };
    for name in emails(&["sann", "sbob", "scid"]) {
        assert_eq!(
            first.member(&name).unwrap().status,
            Status::Invited,
            "{name}"
        );
    }
    assert!(first.member("sdan@example.com").is_none(), "in no group");
    assert!(first.member("snever@example.com").is_none(), "disabled");
    assert_eq!(
        first.group("Law").unwrap().members,
        emails(&["sbob", "scid"])
    );
    let everybody = emails(&["sann", "sbob", "scid"]);
    assert_eq!(first.group("Bitwarden").unwrap().members, everybody);

    // One is disabled, one leaves the group, one is renamed, and one comes.
    control(&dns[1], 0x1_0202);
    law("delete", &dns[2]);
    law("add", &dns[3]);
    change(format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: CN=Ann Smith\ndeleteoldrdn: 1\n",
        dns[0]
    ));
    run("sync -f staff.yaml -q --yes").await;
    let second = bitwarden.snapshot();
    let status = |name: &str| {
        let email = format!("{name}@example.com");
        second.member(&email).unwrap().status
    };
    assert_eq!(status("sbob"), Status::Revoked);
    assert_eq!(status("scid"), Status::Revoked);
    assert_eq!(status("sdan"), Status::Invited);
    assert_eq!(
        second.member("sann@example.com"),
        first.member("sann@example.com"),
        "a name that changes changes nothing"
    );

    control(&dns[1], 0x1_0200);
    law("add", &dns[2]);
    run("sync -f staff.yaml -q --yes").await;
    let third = bitwarden.snapshot();
    for name in emails(&["sbob", "scid"]) {
        assert_eq!(
            third.member(&name).unwrap().status,
            Status::Invited,
            "{name}"
        );
    }
    let everybody = emails(&["sann", "sbob", "scid", "sdan"]);
    assert_eq!(third.group("Bitwarden").unwrap().members, everybody);
}
