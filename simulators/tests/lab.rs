//! The launchers start what they say, and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Command;

use simulators::lab::{ApiServer, Authority, ClientCertificates, Company, Ldif, Person, Slapd};

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn an_api_server_keeps_what_is_applied_and_is_gone_once_dropped() {
    let server = ApiServer::start().unwrap();
    let namespace = server.namespace("lab").unwrap();
    server
        .run_kubectl(&[
            "-n",
            &namespace,
            "create",
            "configmap",
            "note",
            "--from-literal=text=hello",
        ])
        .unwrap();
    let text = server
        .run_kubectl(&[
            "-n",
            &namespace,
            "get",
            "configmap",
            "note",
            "-o",
            "jsonpath={.data.text}",
        ])
        .unwrap();
    assert_eq!(text, "hello");

    let version = server.run_kubectl(&["version", "-o", "json"]).unwrap();
    assert!(version.contains(r#""gitVersion": "v1."#), "{version}");

    let (pids, kubeconfig) = (server.pids(), server.kubeconfig().to_owned());
    assert!(pids.into_iter().all(alive) && kubeconfig.exists());
    drop(server);
    assert!(!pids.into_iter().any(alive));
    assert!(!kubeconfig.exists());
}

#[test]
fn further_users_may_do_what_rbac_grants_them_and_no_more() {
    let server = ApiServer::shared();
    let namespace = server.namespace("rbac").unwrap();
    for arguments in [
        &["create", "serviceaccount", "robot"][..],
        &[
            "create",
            "role",
            "reader",
            "--verb=get,list",
            "--resource=configmaps",
        ],
        &[
            "create",
            "rolebinding",
            "group",
            "--role=reader",
            "--group=readers",
        ],
        &[
            "create",
            "rolebinding",
            "account",
            "--role=reader",
            &format!("--serviceaccount={namespace}:robot"),
        ],
    ] {
        server
            .run_kubectl(&[&["-n", &namespace], arguments].concat())
            .unwrap();
    }
    let can = |kubeconfig: &Path, resource: &str| {
        let answer = server
            .kubectl()
            .env("KUBECONFIG", kubeconfig)
            .args(["-n", &namespace, "get", resource])
            .output()
            .unwrap();
        let said = String::from_utf8(answer.stderr).unwrap();
        assert!(
            answer.status.success() || said.contains("forbidden"),
            "{said}"
        );
        answer.status.success()
    };
    let member = server.kubeconfig_for("alice", Some("readers")).unwrap();
    let outsider = server.kubeconfig_for("bob", None).unwrap();
    let account = server
        .kubeconfig_for_service_account(&namespace, "robot")
        .unwrap();
    assert!(can(&member, "configmaps") && !can(&member, "secrets"));
    assert!(!can(&outsider, "configmaps"));
    assert!(can(&account, "configmaps") && !can(&account, "secrets"));
}

/// `ldapsearch` as a client of the product's kind: nothing but a URL and a CA.
fn search(url: &str, ca: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca).unwrap();
    let output = Command::new("ldapsearch")
        .args(["-x", "-LLL", "-H", url, "-b", "dc=example,dc=com"])
        .args(arguments)
        .env("LDAPTLS_CACERT", file)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

fn entries(ldif: &str) -> usize {
    ldif.lines().filter(|line| line.starts_with("dn:")).count()
}

#[test]
fn slapd_serves_a_company_over_ldaps_to_those_who_trust_its_authority() {
    let company = Company::new(1_200, 60);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("company.ldif");
    company.save(&file).unwrap();
    let slapd = Slapd::options().ldif_file(&file).start().unwrap();

    let (url, ca) = (slapd.ldaps_url(), slapd.authority().pem());
    let (code, people) = search(&url, &ca, &["(objectClass=inetOrgPerson)", "entryUUID"]);
    assert_eq!((code, entries(&people)), (0, 1_200), "{people}");
    assert!(people.contains("entryUUID: 00000001-0000-4000-8000-000000000000"));
    let (_, teams) = search(&url, &ca, &["(objectClass=groupOfNames)", "member"]);
    assert_eq!(entries(&teams), 60);
    let members = teams
        .replace("\n ", "")
        .lines()
        .filter(|l| l.starts_with("member:"))
        .count();
    let nested: usize = company
        .all_teams()
        .iter()
        .map(|team| team.teams.len())
        .sum();
    assert_eq!(members, 4 * 1_200 + nested);

    let stranger = Authority::new("directory-sync lab: directory").unwrap();
    let (code, said) = search(&url, &stranger.pem(), &[]);
    assert_ne!(code, 0);
    assert!(said.contains("Can't contact LDAP server"), "{said}");
}

#[test]
fn slapd_can_be_changed_killed_and_brought_back_with_what_it_held() {
    let mut slapd = Slapd::options().start().unwrap();
    slapd
        .modify("dn: cn=Ops,dc=example,dc=com\nobjectClass: groupOfNames\ncn: Ops\nmember:\n")
        .unwrap();
    slapd
        .modify("dn: cn=Ops,dc=example,dc=com\nchangetype: modify\nadd: description\ndescription: on call\n")
        .unwrap();
    let pid = slapd.pid();
    slapd.kill();
    assert!(!alive(pid));
    assert_ne!(search(&slapd.url(), "", &[]).0, 0);

    slapd.restart().unwrap();
    let (code, said) = search(
        &slapd.url(),
        &slapd.authority().pem(),
        &["(cn=Ops)", "description"],
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("description: on call"), "{said}");
    slapd.delete(&["cn=Ops,dc=example,dc=com"]).unwrap();
    assert_eq!(slapd.search(&["(cn=Ops)"]).unwrap(), "");

    let pid = slapd.pid();
    drop(slapd);
    assert!(!alive(pid));
}

#[test]
fn slapd_with_tls_required_refuses_a_plain_search_and_takes_starttls() {
    let slapd = Slapd::options().require_tls().start().unwrap();
    let ca = slapd.authority().pem();
    let (code, said) = search(&slapd.url(), &ca, &[]);
    assert_eq!(code, 13, "confidentialityRequired: {said}");
    let (code, said) = search(&slapd.url(), &ca, &["-ZZ"]);
    assert_eq!((code, entries(&said)), (0, 1), "{said}");
}

#[test]
fn slapd_cuts_at_the_size_limit_for_ordinary_accounts_alone() {
    let mut ldif = Ldif::new("dc=example,dc=com");
    let reader = ldif.account("reader", "reads");
    for number in 0..20 {
        ldif.person("", &Person::new(&format!("p{number}")));
    }
    let slapd = Slapd::options()
        .ldif(ldif.text())
        .size_limit(10)
        .start()
        .unwrap();
    let ca = slapd.authority().pem();
    let bound = ["-D", &reader, "-w", "reads", "(uid=*)"];
    let (code, said) = search(&slapd.url(), &ca, &bound);
    assert_eq!((code, entries(&said)), (4, 10), "sizeLimitExceeded: {said}");
    let wrong = ["-D", &reader, "-w", "guess", "(uid=*)"];
    assert_eq!(search(&slapd.url(), &ca, &wrong).0, 49);
    assert_eq!(entries(&slapd.search(&["(uid=*)"]).unwrap()), 20);
}

#[test]
fn slapd_knows_a_client_by_its_certificate() {
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.account("sync", "unused");
    let slapd = Slapd::options()
        .ldif(ldif.text())
        .client_certificates(ClientCertificates::Required)
        .start()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", &slapd.authority().pem());
    let ask = |authority: &Authority| {
        let identity = authority.client("sync", None).unwrap();
        let output = Command::new("ldapwhoami")
            .args(["-Y", "EXTERNAL", "-Q", "-H", &slapd.ldaps_url()])
            .env("LDAPTLS_CACERT", &ca)
            .env("LDAPTLS_CERT", file("sync.pem", &identity.certificate))
            .env("LDAPTLS_KEY", file("sync.key", &identity.key))
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert_eq!(
        ask(slapd.authority()).trim(),
        "dn:cn=sync,dc=example,dc=com"
    );
    let stranger = Authority::new("directory-sync lab: directory").unwrap();
    assert!(!ask(&stranger).contains("cn=sync"));
}

#[test]
fn slapd_works_out_member_of_and_logs_what_was_asked_for() {
    let mut ldif = Ldif::new("dc=example,dc=com");
    let ada = ldif.person("", &Person::new("ada"));
    ldif.group_of_names("", "Ops, EU", None, &[ada]);
    let slapd = Slapd::options()
        .ldif(ldif.text())
        .member_of()
        .log_requests()
        .start()
        .unwrap();
    let (_, said) = search(
        &slapd.url(),
        &slapd.authority().pem(),
        &["(uid=ada)", "memberOf"],
    );
    assert!(
        said.contains(r"memberOf: cn=ops\2C eu,dc=example,dc=com"),
        "{said}"
    );
    assert!(
        slapd.log().contains("SRCH attr=memberOf"),
        "{}",
        slapd.log()
    );
}
