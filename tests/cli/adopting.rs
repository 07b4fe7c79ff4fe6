//! The twelve files of `src/cli/adopt/fixtures`, each with the directory that its settings lead to: a real one,
//! or the vendor's simulator, filters and all. The organization is as the program before left it. The first
//! plan invites and removes nobody, takes nobody out of a group, and links everybody who can be recognized.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use simulators::entra_id::{self, SimulatedEntra};
use simulators::google_workspace::{self, SimulatedGoogle};
use simulators::lab::{Account, AccountStatus, Ldif, Samba, Slapd};
use simulators::okta::{self, SimulatedOkta};
use simulators::one_login::{self, SimulatedOneLogin};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, SimulatedOrganization, Snapshot, Status,
};
use tempfile::TempDir;

use directory_sync_testing::command::run;

const BIND_PASSWORD: &str = "correct-horse-battery";
const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";
/// The organization's id in the files.
const ORGANIZATION: &str = "3b9d2f60-7c1e-4f4a-9b0d-5f1c2a7e8d11";
/// Who is a member. Bob's email in the organization is another one where he is recognized without it; Cid hasn't
/// accepted, Dan is revoked, and Boss owns the organization.
const MEMBERS: [&str; 5] = ["ann", "bob", "cid", "dan", "boss"];

/// The external ids that the program before gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// DNs, of which some are written in another way.
    Dns,
    /// Those of today.
    Same,
    /// SCIM's own.
    Scim,
    /// Names of accounts, which SCIM takes from Entra ID by default (`mailNickname`).
    Nicknames,
    None,
}

/// A directory with Staff and Engineering, and what the file is to say so that it is found.
#[derive(Default)]
struct Place {
    /// The IDs of today, by the names of people and groups (`Staff`, `Engineering`).
    ids: BTreeMap<String, String>,
    /// The DNs, where there are any.
    dns: BTreeMap<String, String>,
    /// What the groups are called there.
    names: Option<[&'static str; 2]>,
    /// Texts of the file and what takes their place.
    replaced: Vec<(String, String)>,
    /// The same of the manifest: what no file of the connector's can say.
    in_manifest: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    options: &'static str,
    /// Active people besides, who are members with their IDs.
    others: Vec<(String, String)>,
    groups_synced: bool,
}

impl Place {
    fn new() -> Self {
        Self {
            groups_synced: true,
            ..Self::default()
        }
    }

    fn replace(&mut self, text: &str, by: impl Into<String>) {
        self.replaced.push((text.to_owned(), by.into()));
    }

    fn group_names(&self) -> [&'static str; 2] {
        self.names.unwrap_or(["Staff", "Engineering"])
    }

    fn former(&self, ids: Ids, name: &str) -> Option<String> {
        match ids {
            Ids::Dns if name == "cid" => Some(self.dns[name].to_uppercase()),
            Ids::Dns => Some(self.dns[name].clone()),
            Ids::Same => Some(self.ids[name].clone()),
            Ids::Scim => Some(format!("scim-{name}")),
            Ids::Nicknames => Some(name.to_owned()),
            Ids::None => None,
        }
    }
}

fn address(name: &str, ids: Ids) -> String {
    match (name, ids) {
        ("bob", Ids::Dns | Ids::Same) => "bob.before@example.com".to_owned(),
        _ => format!("{name}@example.com"),
    }
}

async fn organization(place: &Place, ids: Ids) -> SimulatedOrganization {
    let organization = SimulatedOrganization::start(Config::self_hosted())
        .await
        .unwrap();
    let vault = || CollectionAccess::to(VAULT);
    let mut all = vec!["guest@example.org".to_owned()];
    organization.seed_member(MemberSeed::new(&all[0]).collection(vault()));
    for name in MEMBERS {
        let email = address(name, ids);
        let mut seed = MemberSeed::new(&email).collection(vault());
        if let Some(id) = place.former(ids, name) {
            seed = seed.external_id(&id);
        }
        organization.seed_member(match name {
            "cid" => seed.status(Status::Invited),
            "dan" => seed.status(Status::Revoked),
            "boss" => seed.owner(),
            _ => seed,
        });
        all.push(email);
    }
    for (email, id) in &place.others {
        organization.seed_member(MemberSeed::new(email).external_id(id));
    }
    let engineers = vec![all[0].clone(), all[1].clone(), all[2].clone()];
    let [staff, engineering] = place.group_names();
    for (key, name, members) in [
        ("Staff", staff, all.clone()),
        ("Engineering", engineering, engineers),
    ] {
        let mut seed = GroupSeed::new(name).members(members).collection(vault());
        let id = if place.groups_synced {
            place.former(ids, key)
        } else {
            None
        };
        if let Some(id) = id {
            seed = seed.external_id(&id);
        }
        organization.seed_group(seed);
    }
    organization.seed_group(GroupSeed::new("Made by hand").members([all[0].clone()]));
    organization
}

/// The file, as it leads to this place and this organization.
fn data(fixture: &str, place: &Place, organization: &SimulatedOrganization) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/adopt/fixtures");
    let mut text = std::fs::read_to_string(path.join(fixture).join("data.json")).unwrap();
    text = text.replace(ORGANIZATION, organization.organization_id());
    text = text.replace("org-secret-01", organization.client_secret().as_str());
    for (from, to) in &place.replaced {
        assert!(text.contains(from), "{fixture}: {from}");
        text = text.replace(from, to);
    }
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let urls = json!({"base": organization.url()});
    let all = value.as_object_mut().unwrap();
    if all.contains_key("environmentUrls") {
        all.insert("environmentUrls".into(), urls);
    } else {
        let account = all.get_mut(organization.organization_id()).unwrap();
        account["settings"]["environmentUrls"] = urls;
    }
    value.to_string()
}

fn without_ids(mut snapshot: Snapshot) -> Snapshot {
    snapshot
        .members
        .values_mut()
        .for_each(|member| member.external_id = None);
    snapshot
        .groups
        .iter_mut()
        .for_each(|group| group.external_id = None);
    snapshot
        .groups
        .sort_by(|one, other| one.name.cmp(&other.name));
    snapshot
}

/// Writes the output for the documentation, where that is asked for.
fn document(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("DIRECTORY_SYNC_ADOPT_EXAMPLES") {
        std::fs::write(Path::new(&folder).join(name), text).unwrap();
    }
}

async fn adopts(fixture: &str, ids: Ids, place: Place) {
    let organization = organization(&place, ids).await;
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("data.json", &data(fixture, &place, &organization));
    let secret = organization.client_secret();
    let mut variables: Vec<(&str, &str)> = vec![("BW_CLIENTSECRET", &secret)];
    variables.extend(
        place
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let run = async |words: &str| run(folder.path(), words, &variables).await;
    let before = organization.snapshot();
    organization.clear_history();

    let words = format!(
        "adopt --from data.json --name staff --secret-env directory=DIRECTORY_SECRET {}",
        place.options
    );
    let adopted = run(&words).await.ends_with(0);
    assert_eq!(adopted.stderr, "", "{fixture}: nothing is missing");
    let path = folder.path().join("staff/directorysync.yaml");
    let mut manifest = std::fs::read_to_string(&path).unwrap();
    for (from, to) in &place.in_manifest {
        assert!(manifest.contains(from), "{fixture}: {from}\n{manifest}");
        manifest = manifest.replace(from, to);
    }
    std::fs::write(&path, &manifest).unwrap();

    let planned = run("plan -f staff -o json").await.ends_with(0);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert!(
        plan["held"].is_null() || plan["held"] == json!([]),
        "{fixture}: {planned}"
    );
    for change in plan["changes"].as_array().unwrap() {
        let kind = change["action"].as_str().unwrap();
        let links = ["Link", "Relink", "RelinkGroup", "UpdateGroup"].contains(&kind);
        let loses = change["remove"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        assert!(links && !loses, "{fixture}: {change}");
    }
    let recognized = &plan["sizes"]["recognized"];
    if ids != Ids::Same {
        assert_eq!(recognized["not"], 0, "{fixture}: {planned}");
    }
    // Every exception is named.
    let named = |reason: &str, of: &str| {
        let problems = plan["problems"].as_array().unwrap();
        problems.iter().any(|problem| {
            problem["reason"] == reason && problem["message"].as_str().unwrap().contains(of)
        })
    };
    if matches!(ids, Ids::Dns | Ids::Same) {
        assert!(named("EmailChanged", "bob"), "{fixture}: {planned}");
    }
    if matches!(ids, Ids::Dns | Ids::Scim | Ids::Nicknames) {
        assert!(named("OwnerRetained", "boss"), "{fixture}: {planned}");
    }
    assert!(
        organization.history().is_empty(),
        "{fixture}: nothing was changed yet"
    );

    document(fixture, &run("plan -f staff").await.ends_with(0).stdout);

    // What a person does once they have seen that.
    std::fs::write(&path, manifest.replace("mode: Preview", "mode: Apply")).unwrap();
    run("sync -f staff -q --yes").await.ends_with(0);
    let after = organization.snapshot();
    assert_eq!(
        without_ids(after.clone()),
        without_ids(before.clone()),
        "{fixture}"
    );
    assert!(
        organization.losses().is_empty() && organization.invitations().is_empty(),
        "{fixture}"
    );
    for name in ["ann", "bob", "cid", "dan"] {
        let member = after.member(&address(name, ids)).unwrap();
        assert_eq!(
            member.external_id.as_ref(),
            Some(&place.ids[name]),
            "{fixture}: {name}"
        );
    }
    let [staff, engineering] = place.group_names();
    for (key, name) in [("Staff", staff), ("Engineering", engineering)] {
        let id = after.group(name).unwrap().external_id.as_ref();
        let expected = place.ids.get(key).filter(|_| place.groups_synced);
        assert_eq!(id, expected, "{fixture}: {name}");
    }
    assert_eq!(after.group("Made by hand").unwrap().external_id, None);
    run("plan -f staff -q")
        .await
        .ends_with(0)
        .prints("plan: nothing to change");

    // And back: everything is as before, hand-made members and groups without an ID, too.
    if after == before {
        // Nobody was ever given another ID: that is a mistake, and no way back.
        let nothing = run("adopt --undo staff --yes").await.ends_with(1);
        nothing.complains("there is nothing to give back");
        return;
    }
    let back = run("adopt --undo staff --yes").await.ends_with(0);
    let mut expected = before;
    if ids == Ids::None {
        // Owners are never changed: the one who was linked is named.
        let boss = "boss@example.com";
        back.prints("linked        boss@example.com: is an owner, who is never changed");
        let kept = after.members[boss].external_id.clone();
        expected.members.get_mut(boss).unwrap().external_id = kept;
    }
    assert_eq!(organization.snapshot(), expected, "{fixture}");
}

fn uuid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// How a directory lists who is in a group.
enum Listed {
    Member,
    UniqueMember,
    MemberUid,
}

fn ldap(listed: &Listed) -> (Slapd, Place) {
    let mut place = Place::new();
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.unit("", "people");
    ldif.unit("", "groups");
    let mut dns = vec![];
    for (number, name) in MEMBERS.into_iter().chain(["robot"]).enumerate() {
        let dn = ldif.dn("uid", name, "ou=people");
        let (id, number) = (uuid(number), (1_000 + number).to_string());
        let mail = format!("{name}@example.com");
        let mut attributes = vec![
            ("objectClass", "inetOrgPerson"),
            ("objectClass", "posixAccount"),
            ("uid", name),
            ("cn", name),
            ("sn", name),
            ("uidNumber", &number),
            ("gidNumber", &number),
            ("homeDirectory", "/"),
            ("entryUUID", &id),
        ];
        // Without an email it is put together where the file says so.
        if name != "ann" || !matches!(listed, Listed::MemberUid) {
            attributes.push(("mail", &mail));
        }
        if name == "robot" {
            attributes.push(("description", "robot"));
            if !matches!(listed, Listed::Member) {
                continue;
            }
        }
        ldif.entry(&dn, &attributes);
        if name != "robot" {
            dns.push(dn.clone());
        }
        place.ids.insert(name.to_owned(), id);
        place.dns.insert(name.to_owned(), dn);
    }
    for (number, (name, count)) in [("Staff", 5), ("Engineering", 2)].into_iter().enumerate() {
        let dn = ldif.dn("cn", name, "ou=groups");
        let (id, gid) = (uuid(900 + number), (900 + number).to_string());
        let mut attributes = vec![("cn", name), ("entryUUID", id.as_str())];
        match listed {
            Listed::Member => attributes.push(("objectClass", "groupOfNames")),
            Listed::UniqueMember => attributes.push(("objectClass", "groupOfUniqueNames")),
            Listed::MemberUid => {
                attributes.extend([("objectClass", "posixGroup"), ("gidNumber", &gid)]);
            }
        }
        let members = (0..count).map(|at: usize| match listed {
            Listed::Member => ("member", dns[at].as_str()),
            Listed::UniqueMember => ("uniqueMember", dns[at].as_str()),
            Listed::MemberUid => ("memberUid", MEMBERS[at]),
        });
        attributes.extend(members);
        ldif.entry(&dn, &attributes);
        place.ids.insert(name.to_owned(), id);
        place.dns.insert(name.to_owned(), dn);
    }
    ldif.account("reader", BIND_PASSWORD);
    let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
    place.replace("ldap.example.com", "127.0.0.1");
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), BIND_PASSWORD.into()));
    (slapd, place)
}

#[tokio::test(flavor = "multi_thread")]
async fn ldaps_with_dns_for_ids() {
    let (slapd, mut place) = ldap(&Listed::Member);
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, slapd.authority().pem()).unwrap();
    place.replace("636", slapd.tls_port().to_string());
    place.replace("ldap-secret-01", BIND_PASSWORD);
    place.replace(
        "\"sslCaPath\": null",
        format!("\"sslCaPath\": {:?}", ca.display().to_string()),
    );
    adopts("01-ldap", Ids::Dns, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ldap_with_start_tls_posix_groups_and_emails_put_together() {
    let (slapd, mut place) = ldap(&Listed::MemberUid);
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, slapd.authority().pem()).unwrap();
    place.replace("\"389\"", format!("\"{}\"", slapd.port()));
    place.replace("/nowhere/ca.pem", ca.display().to_string());
    adopts("02-ldap-start-tls-older", Ids::Dns, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_ldap_that_is_read_anonymously() {
    let (slapd, mut place) = ldap(&Listed::UniqueMember);
    place.replace("389", slapd.port().to_string());
    adopts("03-ldap-plain", Ids::Dns, place).await;
}

/// A domain of its own. The texts of the file are about another one.
fn active_directory(
    test: &str,
    change: impl Fn(&mut Account),
    groups: [&'static str; 2],
) -> Option<(Samba, Place)> {
    if !Samba::can_start(test) {
        return None;
    }
    let mut place = Place::new();
    place.names = Some(groups);
    let mut ldif = Ldif::empty(Samba::DOMAIN);
    let users = format!("CN=Users,{}", Samba::DOMAIN);
    Account::new("reader")
        .with_password()
        .add_to(&mut ldif, &users);
    let staff = ldif.unit("", "staff");
    let mut dns = vec![];
    for name in MEMBERS.into_iter().chain(["gone"]) {
        let mut account = Account::new(name);
        if name == "gone" {
            account.status = AccountStatus::Disabled;
        }
        change(&mut account);
        let dn = account.add_to(&mut ldif, &staff);
        dns.push((name, dn));
    }
    for (name, count) in groups.into_iter().zip([6, 2]) {
        let mut attributes = vec![("objectClass", "group"), ("sAMAccountName", name)];
        attributes.extend(dns[..count].iter().map(|(_, dn)| ("member", dn.as_str())));
        ldif.entry(&format!("CN={name},{staff}"), &attributes);
    }
    let samba = Samba::options()
        .allow_plaintext()
        .ldif(ldif.text())
        .start()
        .unwrap();
    let guid = |name: &str| {
        let found = samba
            .search(&[&format!("(cn={name})"), "objectGUID"])
            .unwrap();
        let line = found
            .lines()
            .find_map(|line| line.strip_prefix("objectGUID: "));
        line.unwrap_or_else(|| panic!("{name}: {found}"))
            .trim()
            .to_owned()
    };
    for (name, dn) in dns {
        place.ids.insert(name.to_owned(), guid(name));
        place.dns.insert(name.to_owned(), dn);
    }
    for (key, name) in ["Staff", "Engineering"].into_iter().zip(groups) {
        place.ids.insert(key.to_owned(), guid(name));
    }
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), Samba::PASSWORD.into()));
    Some((samba, place))
}

#[tokio::test(flavor = "multi_thread")]
async fn active_directory_with_its_own_ids_and_filters() {
    let test = "adopting::active_directory_with_its_own_ids_and_filters";
    let sales = |account: &mut Account| {
        account.more.push(("department", "Sales".into()));
        // Put together of the account's name and the suffix.
        if account.name == "ann" {
            account.mail = None;
        }
    };
    let Some((samba, mut place)) = active_directory(test, sales, ["bw-staff", "bw-eng"]) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, samba.authority().pem()).unwrap();
    place.replace("dc1.corp.example.com", samba.address().to_string());
    place.replace("dc=corp,dc=example,dc=com", Samba::DOMAIN);
    place.replace("corp.example.com", Samba::REALM);
    place.replace(
        "\"sslCaPath\": null",
        format!("\"sslCaPath\": {:?}", ca.display().to_string()),
    );
    adopts("04-active-directory", Ids::Same, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_catalog_of_active_directory_with_dns_for_ids_and_without_groups() {
    let test = "adopting::a_global_catalog_of_active_directory_with_dns_for_ids_and_without_groups";
    let person = |account: &mut Account| account.more.push(("objectClass", "inetOrgPerson".into()));
    let Some((samba, mut place)) = active_directory(test, person, ["staff", "eng"]) else {
        return;
    };
    place.groups_synced = false;
    place.replace("gc.example.com", samba.address().to_string());
    place.replace("\"currentUser\": true", "\"currentUser\": false");
    place.replace(
        "cn=reader,dc=example,dc=com",
        format!("reader@{}", Samba::REALM),
    );
    place.replace("extensionAttribute1", "mail");
    // The account that reads is no inetOrgPerson.
    adopts("05-active-directory-older", Ids::Dns, place).await;
}

fn entra_variables(entra: &SimulatedEntra, place: &mut Place) {
    let config = entra.config();
    place.replace(
        "\"example.onmicrosoft.com\"",
        format!("{:?}", config.tenant_id),
    );
    place.replace(
        "6a1d5f5c-1f7b-4d2a-8c1a-0d3f6e2b9a77",
        config.client_id.clone(),
    );
    let url = entra.url();
    let urls = format!("entra-authority={url},entra-graph={url}");
    place
        .variables
        .push(("DIRECTORY_SYNC_VENDOR_URLS".into(), urls));
    let secret = config.secret.as_ref().unwrap().value.clone();
    place.variables.push(("DIRECTORY_SECRET".into(), secret));
}

async fn entra() -> (SimulatedEntra, Place, [entra_id::Id; 2]) {
    let entra = SimulatedEntra::start(entra_id::Config::default())
        .await
        .unwrap();
    let mut place = Place::new();
    let mut people = vec![];
    for name in MEMBERS {
        let id = entra.add_user(entra_id::UserSeed::new(name));
        place.ids.insert(name.to_owned(), id.to_string());
        people.push(id);
    }
    let gone = entra.add_user(entra_id::UserSeed::new("gone").disabled());
    let robot = entra.add_user(entra_id::UserSeed::new("robot"));
    place.names = Some(["Staff", "Engineering"]);
    let staff = entra.add_group("Staff", people.iter().copied().chain([gone]));
    let engineering = entra.add_group("Engineering", people[..2].iter().copied());
    place.ids.insert("Staff".to_owned(), staff.to_string());
    place
        .ids
        .insert("Engineering".to_owned(), engineering.to_string());
    entra_variables(&entra, &mut place);
    (entra, place, [staff, robot])
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_id_with_a_filter_of_groups() {
    let (_entra, mut place, [staff, _]) = entra().await;
    place.replace("11111111-1111-1111-1111-111111111111", staff.to_string());
    adopts("06-entra-id", Ids::Same, place).await;
}

/// The file of an organization that SCIM filled from Entra ID.
async fn entra_by_scim(ids: Ids) {
    let (entra, mut place, [_, robot]) = entra().await;
    let robots = entra.add_group("Robots", [robot]);
    let unit = entra.add_unit([robots]);
    place.replace("33333333-3333-3333-3333-333333333333", unit.to_string());
    place.replace("login.microsoftonline.us", "login.microsoftonline.com");
    let secret = place
        .variables
        .iter()
        .find(|(name, _)| name == "DIRECTORY_SECRET");
    let secret = secret.unwrap().1.clone();
    place.replace("entra-secret-07", secret);
    adopts("07-entra-id-scim", ids, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_id_filled_by_scim_without_an_administrative_unit() {
    entra_by_scim(Ids::Scim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_id_filled_by_scim_with_object_ids() {
    entra_by_scim(Ids::Same).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_id_filled_by_scim_with_mail_nicknames() {
    entra_by_scim(Ids::Nicknames).await;
}

async fn google(group: fn(&str) -> String) -> (SimulatedGoogle, Place) {
    let google = SimulatedGoogle::start(google_workspace::Config::default())
        .await
        .unwrap();
    let mut place = Place::new();
    google.user(
        google_workspace::UserSeed::new("admin@example.com")
            .id("100")
            .admin(),
    );
    let user = |name: &str| {
        google_workspace::UserSeed::new(&format!("{name}@example.com")).department("Sales")
    };
    let people = MEMBERS.map(|name| google.user(user(name)));
    for (name, id) in MEMBERS.into_iter().zip(&people) {
        place.ids.insert(name.to_owned(), id.clone());
    }
    place
        .ids
        .insert("robot".to_owned(), google.user(user("robot")));
    let gone = google.user(user("gone").suspended());
    let seed = |name: &str| google_workspace::GroupSeed::new(&group(name), name);
    let staff = seed("Staff").users(people.iter().chain([&gone]).cloned());
    place.ids.insert("Staff".to_owned(), google.group(staff));
    let engineering = seed("Engineering").users(people[..2].iter().cloned());
    place
        .ids
        .insert("Engineering".to_owned(), google.group(engineering));
    google.group(google_workspace::GroupSeed::new(
        "old@example.com",
        "Old Stuff",
    ));
    let url = google.url();
    let urls = format!(
        "google-token={url}/token,google-directory={url},google-sts={url},google-iam={url}"
    );
    place
        .variables
        .push(("DIRECTORY_SYNC_VENDOR_URLS".into(), urls));
    let account = &google.config().service_account;
    place.replace(
        "sync@project.iam.gserviceaccount.com",
        account.email.clone(),
    );
    (google, place)
}

/// The key as the connector keeps it.
fn private_key(google: &SimulatedGoogle) -> String {
    let file: Value = serde_json::from_str(&google.key_file()).unwrap();
    file["private_key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn google_workspace_with_queries() {
    let (google, mut place) =
        google(|name| format!("eng-{}@example.com", name.to_lowercase())).await;
    let key = private_key(&google).replace('\n', "\\\\n");
    place.replace(
        "-----BEGIN PRIVATE KEY-----\\\\nMIIB\\\\n-----END PRIVATE KEY-----\\\\n",
        key,
    );
    place.replace("C0123abcd", google.config().customer_id.clone());
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), "unused".into()));
    adopts("08-google", Ids::Same, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_domain_of_google_workspace() {
    let (google, mut place) = google(|name| format!("{}@example.com", name.to_lowercase())).await;
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), google.key_file()));
    place
        .others
        .push(("admin@example.com".into(), "100".into()));
    let robot = place.ids["robot"].clone();
    place.others.push(("robot@example.com".into(), robot));
    adopts("09-google-older", Ids::Same, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_filled_by_scim() {
    let okta = SimulatedOkta::start(okta::Config::default()).await.unwrap();
    let mut place = Place::new();
    let user = |name: &str| okta::UserSeed::new(&format!("{name}@example.com"));
    let people = MEMBERS.map(|name| okta.user(user(name)));
    for (name, id) in MEMBERS.into_iter().zip(&people) {
        place.ids.insert(name.to_owned(), id.clone());
    }
    let gone = okta.user(user("gone").status(okta::Status::Suspended));
    let robot = okta.user(user("robot").status(okta::Status::Staged));
    let staff =
        okta::GroupSeed::new("Staff").members(people.iter().chain([&gone, &robot]).cloned());
    place.ids.insert("Staff".to_owned(), okta.group(staff));
    let engineering = okta::GroupSeed::new("Engineering").members(people[..2].to_vec());
    place
        .ids
        .insert("Engineering".to_owned(), okta.group(engineering));
    okta.group(okta::GroupSeed::new("Others").members([robot]));
    place.replace("https://example.okta.com", okta.url());
    place.replace("okta-secret-10", okta::Config::default().api_token);
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), "unused".into()));
    adopts("10-okta-scim", Ids::Scim, place).await;
}

async fn one_login() -> (SimulatedOneLogin, Place) {
    let config = one_login::Config::default();
    let mut place = Place::new();
    place.replace("onelogin-client", config.client_id.clone());
    place
        .variables
        .push(("DIRECTORY_SECRET".into(), config.client_secret.clone()));
    let one_login = SimulatedOneLogin::start(config).await.unwrap();
    let user = |name: &str| {
        let seed = match name {
            // The username and the suffix.
            "ann" => one_login::UserSeed::named(name),
            _ => one_login::UserSeed::new(&format!("{name}@example.com")),
        };
        one_login.user(seed.with("department", "Sales"))
    };
    let people = MEMBERS.map(user);
    for (name, id) in MEMBERS.into_iter().zip(people) {
        place.ids.insert(name.to_owned(), id.to_string());
    }
    let mut role = |name: &str, members: &[u64]| {
        let id = one_login.role(one_login::RoleSeed::new(name).members(members.to_vec()));
        place.ids.insert(name.to_owned(), id.to_string());
    };
    role("Staff", &people);
    role("Engineering", &people[..2]);
    (one_login, place)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_with_attributes_and_usernames() {
    let (one_login, mut place) = one_login().await;
    one_login.user(one_login::UserSeed::new("robot@example.com").with("department", "Sales"));
    let out = one_login::UserSeed::new("gone@example.com").with("department", "Sales");
    one_login.user(out.with("status", 2));
    let url = format!("apiUrl: {}", one_login.url());
    place.in_manifest.push(("region: EU".into(), url));
    adopts("11-onelogin", Ids::Same, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_filled_by_hand_beside_one_login() {
    let (one_login, mut place) = one_login().await;
    let secret = one_login::Config::default().client_secret;
    place.replace("onelogin-secret-12", secret);
    let url = format!(
        "apiUrl: {}\n      users:\n        emailSuffix: '@example.com'",
        one_login.url()
    );
    place.in_manifest.push(("region: US".into(), url));
    place.options = "--with-users --adopt-groups";
    adopts("12-onelogin-by-hand", Ids::None, place).await;
}
