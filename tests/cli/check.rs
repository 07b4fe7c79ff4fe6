use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::lab::{BIND_PASSWORD, Lab};
use directory_sync_testing::manifests::secret;

const CHECK: &str = "check -f staff.yaml -f secrets.yaml";

#[tokio::test]
async fn a_check_reports_step_by_step_what_it_saw_on_both_sides() {
    let lab = Lab::new().await;

    let ran = lab.run(CHECK).await.ends_with(0);

    let ran = ran
        .prints("identity/staff")
        .prints("ok")
        .prints("directory ldap://")
        .prints("find users: 3")
        .prints("find groups: 1");
    ran.prints("organization ")
        .prints("the organization from")
        .prints("1 members");
    assert!(
        lab.organization
            .snapshot()
            .member("ada@example.com")
            .is_none()
    );
}

#[tokio::test]
async fn a_wrong_client_secret_fails_its_step_with_what_to_do() {
    let lab = Lab::new().await;
    lab.organization
        .rotate_secret("another-secret-of-the-organization");

    let ran = lab.run(CHECK).await.ends_with(1);

    let ran = ran.prints("FAILED  get a token");
    assert!(!ran.to_string().contains(BIND_PASSWORD), "{ran}");
}

#[tokio::test]
async fn a_missing_key_of_a_secret_is_named() {
    let lab = Lab::new().await;
    let secrets = std::fs::read_to_string(lab.path("secrets.yaml")).unwrap();
    lab.write(
        "secrets.yaml",
        &secrets.replace("clientSecret:", "clientSekret:"),
    );

    lab.run(CHECK)
        .await
        .ends_with(1)
        .prints("Secret \"bitwarden\" has no key \"clientSecret\"");
}
#[tokio::test]
async fn a_wrong_password_fails_its_step_and_the_other_side_is_checked_all_the_same() {
    let lab = Lab::new().await;
    let wrong = secret(
        "ldap-bind",
        &[
            ("bindDn", &lab.slapd.root_dn()),
            ("password", "wrong-password"),
        ],
    );
    lab.write("wrong/bind.yaml", &wrong);
    let secrets = std::fs::read_to_string(lab.path("secrets.yaml")).unwrap();
    lab.write("secrets.yaml", secrets.split("---").next().unwrap());

    let ran = lab.run(&format!("{CHECK} -f wrong")).await.ends_with(1);

    let ran = ran.prints("FAILED").prints("accepted").prints("1 members");
    assert!(!ran.to_string().contains("wrong-password"), "{ran}");
}

#[tokio::test]
async fn what_is_not_ldap_fails_a_step_and_nothing_panics_on_standard_error() {
    let lab = Lab::new().await;
    let slapd = ([127, 0, 0, 1], lab.slapd.port()).into();
    let proxy = LdapProxy::start(slapd).await.unwrap();
    let staff = lab.resource().replace(&lab.slapd.url(), &proxy.url());
    lab.write("staff.yaml", &staff);
    // A message with nothing in it, which the LDAP library takes for a mistake of its own.
    for request in [0, 1] {
        proxy.arm(request, LdapFault::Bytes(&[0x30, 0]));

        let ran = lab.run(CHECK).await.ends_with(1);

        assert!(ran.stderr.is_empty(), "{ran}");
        ran.prints("can't be understood as LDAP")
            .prints("organization ");
    }
}
