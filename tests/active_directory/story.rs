//! From a manifest to the organization, by the command that people run.

use std::path::Path;

use simulators::lab::Samba;
use simulators::organization::{Config, MemberSeed, SimulatedOrganization, Status};

use crate::domain::*;

/// `directory-sync` with these words in a folder of manifests; what it printed.
async fn run(folder: &Path, words: &str) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out
}

fn manifests(unit: &str, bitwarden: &SimulatedOrganization) -> String {
    let authority: String = domain()
        .authority()
        .pem()
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
  source:
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
---
apiVersion: v1
kind: Secret
metadata: {{name: bitwarden, namespace: identity}}
stringData: {{clientId: {:?}, clientSecret: {:?}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: reader, namespace: identity}}
stringData: {{username: {READER}@{}, password: {}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: corp-ca, namespace: identity}}
data:
  ca.crt: |
{authority}",
        bitwarden.url(),
        domain().address(),
        bitwarden.client_id(),
        bitwarden.client_secret(),
        Samba::REALM,
        Samba::PASSWORD,
    )
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
        never.standing = Standing::Disabled;
        dns.push(never.add_to(ldif, unit));
        let law = group(ldif, unit, "Law", &[&dns[1], &dns[2], &dns[4]]);
        group(ldif, unit, "Bitwarden", &[&dns[0], &law]);
    });
    let bitwarden = SimulatedOrganization::start(Config::self_hosted())
        .await
        .unwrap();
    bitwarden.seed_member(MemberSeed::new("owner@example.com").owner());
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

    let checked = run(folder.path(), "check -f staff.yaml").await;
    assert!(checked.contains("of the domain DC=ad"), "{checked}");

    run(folder.path(), "sync -f staff.yaml -q --yes").await;
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
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
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
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
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
