use jiff::{ToSpan as _, Zoned};
use serde_json::json;
use simulators::lab::Authority;
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
async fn that_nobody_would_be_offboarded_is_said_to_the_end() {
    let lab = Lab::new().await;
    let retains = lab.resource().replace("absent: Remove", "absent: Retain");
    lab.write("staff.yaml", &retains);

    lab.run(CHECK)
        .await
        .ends_with(0)
        .prints("note    settings: nobody is offboarded")
        .prints("if leavers are to stay, offboarding.disabled to Retain\n");
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
/// A ConfigMap isn't looked for in `--secret-dir`, and isn't said to be.
#[tokio::test]
async fn a_missing_config_map_is_named_with_where_it_was_looked_for() {
    let lab = Lab::new().await;
    let url = "    ldap:\n";
    let resource = lab.resource();
    assert!(resource.contains(url), "{resource}");
    let tls = format!("{url}      tls: {{caBundleRef: {{name: corp-ca}}}}\n");
    lab.write("staff.yaml", &resource.replace(url, &tls));

    lab.run(CHECK)
        .await
        .ends_with(1)
        .prints("ConfigMap \"corp-ca\" isn't in namespace")
        .prints("(looked for in the manifests, Secrets in --secret-dir, too)");
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

/// Year, month and day in ten days.
fn in_ten_days() -> (i32, u8, u8) {
    let day = Zoned::now().date().checked_add(10.days()).unwrap();
    let part = |number: i8| u8::try_from(number).unwrap();
    (day.year().into(), part(day.month()), part(day.day()))
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_noted_by_check_and_a_warning_of_sync() {
    let mut lab = Lab::new().await;
    let authority = Authority::new("a CA of ours").unwrap();
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "corp-ca", "namespace": "identity"},
        "data": {"ca.crt": authority.pem()},
    });
    lab.write("ca.yaml", &bundle.to_string());
    let plain = format!("url: {}", lab.slapd.url());
    let protected = format!(
        "url: {}\n      tls: {{caBundleRef: {{name: corp-ca}}}}",
        lab.slapd.ldaps_url()
    );
    lab.write("staff.yaml", &lab.resource().replace(&plain, &protected));
    let soon = authority.server_until(&[], in_ten_days()).unwrap();
    lab.slapd.renew(&soon).unwrap();

    let (year, month, day) = in_ten_days();
    let said = format!(
        "the certificate of the directory's server expires on {year}-{month:02}-{day:02} 00:00 UTC: renew it on the server"
    );
    let check = format!("{CHECK} -f ca.yaml");
    lab.run(&check)
        .await
        .ends_with(0)
        .prints(&format!("note    {said}"));
    let sync = "sync -f staff.yaml -f secrets.yaml -f ca.yaml --yes";
    lab.run(sync).await.ends_with(0).complains(&said);

    lab.slapd.renew(&authority.server(&[]).unwrap()).unwrap();
    let ran = lab.run(&check).await.ends_with(0);
    assert!(!ran.to_string().contains("expires on"), "{ran}");
}
