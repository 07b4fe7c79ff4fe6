//! `source.ldap.preset`: the built program reads a server with nothing but its preset.
//!
//! 389 Directory Server is real. The other servers are a slapd with the classes and attributes that
//! their documents name.

use directory_sync_testing::command::run;
use directory_sync_testing::manifests::{api_key, bitwarden, resource, secret};
use simulators::lab::{DirectoryServer389, Slapd, SlapdOptions, or_skip};
use simulators::ldap_proxy::LdapProxy;
use simulators::organization::{MemberSeed, SimulatedOrganization, Status};

const SUFFIX: &str = "dn: dc=example,dc=com
objectClass: domain
dc: example
";

// People as every server has them; more lines may follow. slapadd wants all classes in a row.
const ANN: &str = "dn: uid=ann,dc=example,dc=com
uid: ann
cn: Ann
sn: Ann
mail: ann@example.com
objectClass: inetOrgPerson";

const BOB: &str = "dn: uid=bob,dc=example,dc=com
uid: bob
cn: Bob
sn: Bob
mail: bob@example.com
objectClass: inetOrgPerson";

/// Syncs what the preset finds at `url` into an organization that has Bob with this ID.
async fn synced(preset: &str, url: &str, bob: Option<&str>) -> SimulatedOrganization {
    synced_as(DirectoryServer389::ROOT_DN, preset, url, bob).await
}

/// The same as another account than the root DN, with the same password.
async fn synced_as(
    account: &str,
    preset: &str,
    url: &str,
    bob: Option<&str>,
) -> SimulatedOrganization {
    let organization = bitwarden().await;
    if let Some(id) = bob {
        organization.seed_member(MemberSeed::new("bob@example.com").external_id(id));
    }
    let folder = tempfile::tempdir().unwrap();
    let spec = format!(
        "  source:
    ldap:
      url: {url}
      preset: {preset}
      bindSecretRef: {{name: ldap-bind}}
      baseDn: dc=example,dc=com
"
    );
    let bind = secret(
        "ldap-bind",
        &[
            ("bindDn", account),
            ("password", DirectoryServer389::ROOT_PASSWORD),
        ],
    );
    let manifest = resource(&organization, &spec);
    let secrets = format!("{}---\n{bind}", api_key(&organization));
    std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();
    std::fs::write(folder.path().join("secrets.yaml"), secrets).unwrap();
    let words = "sync -f staff.yaml -f secrets.yaml --yes -q";
    let ran = run(folder.path(), words, &[]).await;
    println!("{ran}");
    ran.ends_with(0);
    organization
}

/// Ann is invited under this ID, and alone in the group `eng`.
#[track_caller]
fn ann_is_in(organization: &SimulatedOrganization, id: &str) {
    let now = organization.snapshot();
    let ann = now.member("ann@example.com").unwrap();
    assert_eq!(ann.external_id.as_deref(), Some(id));
    assert_eq!(now.group("eng").unwrap().members, ["ann@example.com"]);
    assert_eq!(now.groups.len(), 1, "{now}");
}

fn bob_is_revoked(organization: &SimulatedOrganization) -> bool {
    let now = organization.snapshot();
    now.member("bob@example.com").unwrap().status == Status::Revoked
}

/// A slapd with these attributes (name, syntax, equality) and classes beside its own.
fn pretending(ldif: &str, attributes: &[(&str, &str, &str)], classes: &[&str]) -> SlapdOptions {
    let mut options = Slapd::options().ldif(ldif);
    for (number, (name, syntax, equality)) in attributes.iter().enumerate() {
        options = options.global_line(&format!(
            "attributetype ( 1.3.6.1.4.1.99999.9.{number} NAME '{name}' EQUALITY {equality} SYNTAX 1.3.6.1.4.1.1466.115.121.1.{syntax} )"
        ));
    }
    for (number, name) in classes.iter().enumerate() {
        options = options.global_line(&format!(
            "objectclass ( 1.3.6.1.4.1.99999.8.{number} NAME '{name}' SUP top AUXILIARY )"
        ));
    }
    options
}

const TEXT: (&str, &str) = ("15", "caseIgnoreMatch");

#[tokio::test]
async fn the_preset_of_389_directory_server_reads_a_real_one() {
    let test = "ldap::presets::the_preset_of_389_directory_server_reads_a_real_one";
    let ldif = format!(
        "{SUFFIX}
{ANN}

{BOB}
nsAccountLock: true

dn: cn=eng,dc=example,dc=com
objectClass: groupOfUniqueNames
cn: eng
uniqueMember: uid=ann,dc=example,dc=com
uniqueMember: uid=bob,dc=example,dc=com

dn: cn=ops,dc=example,dc=com
objectClass: groupOfNames
cn: ops
member: uid=ann,dc=example,dc=com
"
    );
    let Some(server) = or_skip(test, DirectoryServer389::start(&ldif)) else {
        return;
    };

    let organization = synced("389DirectoryServer", &server.url(), None).await;

    let now = organization.snapshot();
    let id = now.member("ann@example.com").unwrap().external_id.clone();
    // Four groups of eight digits, unlike the entryUUID that it has, too.
    let id = id.unwrap();
    assert_eq!(
        id.split('-').map(str::len).collect::<Vec<_>>(),
        [8; 4],
        "{id}"
    );
    assert!(now.member("bob@example.com").is_none(), "he is disabled");
    for group in ["eng", "ops"] {
        assert_eq!(now.group(group).unwrap().members, ["ann@example.com"]);
    }
}

#[tokio::test]
async fn the_preset_of_freeipa_takes_its_id_its_groups_and_its_lock() {
    let ldif = format!(
        "{SUFFIX}
{ANN}
objectClass: extensibleObject
ipaUniqueID: ipa-ann
nsAccountLock: FALSE

{BOB}
objectClass: extensibleObject
ipaUniqueID: ipa-bob
nsAccountLock: TRUE

dn: cn=eng,dc=example,dc=com
objectClass: groupOfNames
objectClass: ipaUserGroup
objectClass: extensibleObject
cn: eng
member: uid=ann,dc=example,dc=com
ipaUniqueID: ipa-eng

dn: cn=hosts,dc=example,dc=com
objectClass: groupOfNames
objectClass: extensibleObject
cn: hosts
member: uid=ann,dc=example,dc=com
ipaUniqueID: ipa-hosts
"
    );
    let attributes = [
        ("ipaUniqueID", TEXT.0, TEXT.1),
        ("nsAccountLock", TEXT.0, TEXT.1),
    ];
    let slapd = pretending(&ldif, &attributes, &["ipaUserGroup"]);
    let slapd = slapd.start().unwrap();

    let organization = synced("FreeIPA", &slapd.url(), Some("ipa-bob")).await;

    ann_is_in(&organization, "ipa-ann");
    assert!(bob_is_revoked(&organization));
}

#[tokio::test]
async fn the_preset_of_edirectory_takes_the_bytes_of_guid() {
    let ldif = format!(
        "{SUFFIX}
{ANN}
objectClass: extensibleObject
GUID:: nIofAOLTtKX2x9jp+vv8/Q==

{BOB}
objectClass: extensibleObject
GUID:: AAAAAAAAAAAAAAAAAAAAAg==
loginDisabled: TRUE

dn: cn=eng,dc=example,dc=com
objectClass: groupOfNames
objectClass: extensibleObject
cn: eng
member: uid=ann,dc=example,dc=com
GUID:: AAAAAAAAAAAAAAAAAAAAAw==
"
    );
    let attributes = [
        ("GUID", "40", "octetStringMatch"),
        ("loginDisabled", "7", "booleanMatch"),
    ];
    let slapd = pretending(&ldif, &attributes, &[]).start().unwrap();

    let bob = "00000000000000000000000000000002";
    let organization = synced("EDirectory", &slapd.url(), Some(bob)).await;

    ann_is_in(&organization, "9c8a1f00e2d3b4a5f6c7d8e9fafbfcfd");
    assert!(bob_is_revoked(&organization));
}

#[tokio::test]
async fn the_preset_of_kanidm_takes_memberships_from_people_and_no_pages() {
    let ldif = format!(
        "{SUFFIX}
dn: cn=reader,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: lab-root-password

dn: spn=ann@example.com,dc=example,dc=com
objectClass: person
objectClass: extensibleObject
spn: ann@example.com
cn: ann
sn: Ann
class: person
mail: ann@example.com
entryUUID: 00000000-0000-4000-8000-000000000001
memberOf: spn=eng@example.com,dc=example,dc=com

dn: spn=robot@example.com,dc=example,dc=com
objectClass: person
objectClass: extensibleObject
spn: robot@example.com
cn: robot
sn: Robot
class: service_account
mail: robot@example.com
entryUUID: 00000000-0000-4000-8000-000000000002

dn: spn=eng@example.com,dc=example,dc=com
objectClass: applicationProcess
objectClass: extensibleObject
spn: eng@example.com
cn: eng
class: group
entryUUID: 00000000-0000-4000-8000-000000001001
"
    );
    let attributes = [
        ("spn", TEXT.0, TEXT.1),
        ("class", TEXT.0, TEXT.1),
        ("memberOf", "12", "distinguishedNameMatch"),
    ];
    let slapd = pretending(&ldif, &attributes, &[]);
    // Nobody but the root DN, whom no limit holds for, gets pages.
    let slapd = slapd
        .database_line("limits * size.prtotal=disabled")
        .start()
        .unwrap();

    let reader = "cn=reader,dc=example,dc=com";
    let organization = synced_as(reader, "Kanidm", &slapd.url(), None).await;

    ann_is_in(&organization, "00000000-0000-4000-8000-000000000001");
    assert!(
        organization
            .snapshot()
            .member("robot@example.com")
            .is_none()
    );
}

#[tokio::test]
async fn the_preset_of_lldap_takes_groups_of_unique_names() {
    let ldif = format!(
        "{SUFFIX}
{ANN}
entryUUID: 00000000-0000-4000-8000-000000000001

dn: cn=eng,dc=example,dc=com
objectClass: groupOfUniqueNames
objectClass: extensibleObject
cn: eng
member: uid=ann,dc=example,dc=com
uniqueMember: uid=ann,dc=example,dc=com
entryUUID: 00000000-0000-4000-8000-000000001001
"
    );
    let slapd = Slapd::options().ldif(&ldif).start().unwrap();

    let organization = synced("LLDAP", &slapd.url(), None).await;

    ann_is_in(&organization, "00000000-0000-4000-8000-000000000001");
}

#[tokio::test]
async fn the_preset_of_authentik_takes_its_groups_and_not_the_virtual_ones() {
    let person = |name: &str, active: &str| {
        format!(
            "dn: cn={name},ou=users,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: user
objectClass: extensibleObject
cn: {name}
sn: {name}
uid: hash-{name}
mail: {name}@example.com
ak-active: {active}

dn: cn={name},ou=virtual-groups,dc=example,dc=com
objectClass: groupOfNames
objectClass: group
objectClass: goauthentik-io-ldap-virtual-group
objectClass: extensibleObject
cn: {name}
uid: hash-{name}
member: cn={name},ou=users,dc=example,dc=com
"
        )
    };
    let units = ["users", "groups", "virtual-groups"].map(|name| {
        format!("dn: ou={name},dc=example,dc=com\nobjectClass: organizationalUnit\nou: {name}\n")
    });
    let ldif = format!(
        "{SUFFIX}
{}
{}
{}
dn: cn=eng,ou=groups,dc=example,dc=com
objectClass: groupOfNames
objectClass: group
objectClass: extensibleObject
cn: eng
uid: id-of-eng
member: cn=ann,ou=users,dc=example,dc=com
",
        units.join("\n"),
        person("ann", "TRUE"),
        person("bob", "FALSE"),
    );
    let classes = ["user", "group", "goauthentik-io-ldap-virtual-group"];
    let slapd = pretending(&ldif, &[("ak-active", TEXT.0, TEXT.1)], &classes);
    let slapd = slapd.start().unwrap();
    let address = slapd.url().trim_start_matches("ldap://").parse().unwrap();
    let authentik = LdapProxy::as_authentik(address).await.unwrap();

    let organization = synced("Authentik", &authentik.url(), Some("hash-bob")).await;

    ann_is_in(&organization, "hash-ann");
    let now = organization.snapshot();
    let eng = now.group("eng").unwrap();
    assert_eq!(eng.external_id.as_deref(), Some("id-of-eng"));
    assert!(bob_is_revoked(&organization));
}
