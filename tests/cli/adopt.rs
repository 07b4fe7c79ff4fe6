use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use simulators::organization::{GroupSeed, MemberSeed, Snapshot};

use directory_sync_testing::documentation::Page;

use crate::lab::{BIND_PASSWORD, Lab, entry_uuid};

/// The connector's file for the lab's directory and organization, with its secrets in it.
pub fn settings(lab: &Lab) -> Value {
    let url = lab.slapd.url();
    let (host, port) = url.trim_start_matches("ldap://").rsplit_once(':').unwrap();
    let id = lab.organization.organization_id();
    json!({
        "authenticatedAccounts": [id],
        "activeUserId": id,
        "global": {"stateVersion": 4},
        id: {
            "clientKeys": {
                "clientId": lab.organization.client_id(),
                "clientSecret": lab.organization.client_secret(),
            },
            "directoryConfigurations": {"ldap": {
                "ad": false, "ssl": false, "hostname": host,
                "port": port.trim_end_matches('/').parse::<u16>().unwrap(),
                "rootPath": "dc=example,dc=com",
                "username": "cn=reader,dc=example,dc=com", "password": "[STORED SECURELY]",
            }},
            "directorySettings": {
                "organizationId": id,
                "directoryType": 0,
                "sync": {
                    "users": true, "groups": true, "interval": 5,
                    "userObjectClass": "inetOrgPerson", "userPath": "ou=people",
                    "groupObjectClass": "groupOfNames", "groupPath": "ou=groups",
                    "memberAttribute": "member",
                },
            },
            "settings": {"environmentUrls": {"base": lab.organization.url()}},
        },
    })
}

/// As the connector left the organization: DNs for IDs, Bob by another address, and a guest invited by hand.
fn fill(lab: &Lab) {
    for (uid, email) in [
        ("ada", "ada@example.com"),
        ("bob", "robert@example.com"),
        ("chidi", "chidi@example.com"),
    ] {
        let dn = format!("uid={uid},ou=people,dc=example,dc=com");
        let member = MemberSeed::new(email).external_id(&dn);
        lab.organization.seed_member(member);
    }
    let guest = MemberSeed::new("guest@example.org");
    lab.organization.seed_member(guest);
    let group = GroupSeed::new("engineering")
        .external_id("cn=engineering,ou=groups,dc=example,dc=com")
        .members(["ada@example.com", "robert@example.com", "guest@example.org"]);
    lab.organization.seed_group(group);
}

#[tokio::test]
async fn from_the_connectors_file_to_a_sync_in_which_nobody_loses_or_gains_anything() {
    let lab = Lab::new().await;
    fill(&lab);
    lab.write("data.json", &settings(&lab).to_string());
    lab.organization.clear_history();

    let adopt =
        "adopt --from data.json --name staff --out adopted --secret-env directory=LDAP_PASSWORD";
    let variables = [("LDAP_PASSWORD", BIND_PASSWORD)];
    let ran = lab.run_with(adopt, &variables).await;
    let ran = ran.ends_with(0).prints("adopted/directorysync.yaml");
    assert_eq!(ran.stderr, "", "nothing is missing");
    let mode = |name: &str| {
        let metadata = std::fs::metadata(lab.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("adopted/secrets.yaml"), 0o600);
    assert_eq!(mode("adopted"), 0o700);

    let ran = lab.run("adopt --from data.json --compare adopted").await;
    ran.ends_with(0)
        .prints("people: the connector 3, here 3, both 3")
        .prints("everybody and every group is the same");

    let ran = lab.run("plan -f adopted").await.ends_with(0);
    let ran = ran
        .prints("plan: 3 Relink, 1 RelinkGroup")
        .prints("3 members get a new ID; nobody loses or gains anything")
        .prints("members recognized: 0 by ID, 3 by former ID (DN), 0 by email, 0 not at all");
    ran.prints("robert@example.com");

    // What a person does once they have seen that.
    let path = lab.path("adopted/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
    lab.run("sync -f adopted --yes").await.ends_with(0);
    assert!(lab.organization.losses().is_empty());
    assert!(lab.organization.invitations().is_empty());
    let snapshot = lab.organization.snapshot().to_string();
    for uid in ["ada", "bob", "chidi"] {
        assert!(snapshot.contains(&entry_uuid(uid)), "{snapshot}");
    }
    let ran = lab.run("plan -f adopted").await.ends_with(0);
    ran.prints("plan: nothing to change");
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced_and_what_is_missing_is_told() {
    let lab = Lab::new().await;
    lab.write("connector/data.json", &settings(&lab).to_string());

    // The folder is named as the connector's own variable names it.
    let folder = lab.path("connector");
    let folder = folder.to_str().unwrap();
    let variables = [("BITWARDENCLI_CONNECTOR_APPDATA_DIR", folder)];
    let ran = lab.run_with("adopt", &variables).await.ends_with(0);
    ran.complains("missing: Secret bitwarden-ldap, key password");
    let page = lab.path("bitwarden/adopt.md");
    let before = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, "notes of mine").unwrap();

    let ran = lab.run_with("adopt --keep-ids", &variables).await;
    ran.ends_with(1)
        .complains("is there already, and nothing was written");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "notes of mine");
    let resource = std::fs::read_to_string(lab.path("bitwarden/directorysync.yaml")).unwrap();
    assert!(!resource.contains("idAttribute"), "{resource}");
    assert!(before.contains("## Missing"), "{before}");
}

/// The lab after a sync that gave everybody the directory's IDs, and what the organization was before.
async fn adopted() -> (Lab, Snapshot) {
    let lab = Lab::new().await;
    fill(&lab);
    let before = lab.organization.snapshot();
    lab.write("data.json", &settings(&lab).to_string());
    let variables = [("LDAP_PASSWORD", BIND_PASSWORD)];
    let adopt = "adopt --from data.json --name staff --secret-env directory=LDAP_PASSWORD";
    lab.run_with(adopt, &variables).await.ends_with(0);
    let path = lab.path("staff/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
    (lab, before)
}

#[tokio::test]
async fn the_way_back_gives_every_member_and_group_the_id_from_before() {
    let (lab, before) = adopted().await;
    lab.run("sync -f staff --yes").await.ends_with(0);
    let after = lab.organization.snapshot();
    assert_ne!(after, before);

    let shown = lab.run("adopt --undo staff --dry-run").await.ends_with(0);
    let shown = shown
        .prints("default/staff: former external IDs\n  of before run ")
        .prints("3 members and 1 group get the former external ID back; nobody loses or gains")
        .prints("  re-link       robert@example.com (now ")
        .prints("back to uid=bob,ou=people,dc=example,dc=com");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert_eq!(lab.organization.snapshot(), after, "nothing was changed");
    lab.run("adopt --undo staff")
        .await
        .ends_with(1)
        .complains("add --yes");

    let done = lab.run("adopt --undo staff --yes").await.ends_with(0);
    done.prints("done: 3 Relink, 1 RelinkGroup");
    assert_eq!(lab.organization.snapshot(), before);
    let again = lab.run("adopt --undo staff --yes").await.ends_with(0);
    again.prints("nothing is left to give back");
    let person = "undo -f staff --former --person ada@example.com --yes";
    lab.run(person)
        .await
        .ends_with(0)
        .prints("nothing is left to give back");
    lab.run(&person.replace("ada", "nobody"))
        .await
        .ends_with(1)
        .complains("gave nobody@example.com another external ID");

    // A sync that runs all the same holds what was taken back. Somebody leaves a group meanwhile: nobody gets
    // a second group, and nobody else loses anything.
    let group = "dn: cn=engineering,ou=groups,dc=example,dc=com\nchangetype: modify\n";
    let ada = "member: uid=ada,ou=people,dc=example,dc=com\n";
    lab.slapd
        .modify(&format!("{group}replace: member\n{ada}"))
        .unwrap();
    let held = lab.run("sync -f staff --yes").await.ends_with(3);
    held.prints("taken back by an undo");
    assert_eq!(lab.organization.snapshot(), before);

    // Who comes back for good approves it, and can go back again.
    let plan = lab.run("plan -f staff -o json").await.ends_with(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    lab.run(&format!("sync -f staff --yes --approve {digest}"))
        .await
        .ends_with(0);
    assert_ne!(lab.organization.snapshot(), before);
    lab.run("undo -f staff --former --yes").await.ends_with(0);
    let ids = |snapshot: &Snapshot| -> Vec<(String, Option<String>)> {
        let members = snapshot.members.iter();
        members
            .map(|(email, member)| (email.clone(), member.external_id.clone()))
            .collect()
    };
    assert_eq!(ids(&lab.organization.snapshot()), ids(&before));
}

#[tokio::test]
async fn the_way_back_goes_on_where_it_was_killed_and_names_whoever_came_since() {
    let (lab, before) = adopted().await;
    let dan = "dn: uid=dan,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: dan\ncn: Dan\n\
               sn: Dan\nmail: dan@example.com\n";
    lab.slapd.modify(dan).unwrap();
    lab.run("sync -f staff --yes").await.ends_with(0);
    let old = MemberSeed::new("old@example.org").external_id("of-long-ago");
    lab.organization.seed_member(old);
    let came = lab.organization.snapshot();
    assert!(came.member("dan@example.com").is_some());

    // Killed once it has given back one ID: each request takes a while from here on.
    lab.organization.clear_history();
    lab.organization
        .set_latency(std::time::Duration::from_millis(150));
    let has_begun = || {
        let now = lab.organization.snapshot();
        let ada = now.member("ada@example.com");
        let mut ids = now
            .members
            .values()
            .map(|member| member.external_id.as_deref());
        ada.is_some() && ids.any(|id| id.is_some_and(|id| id.starts_with("uid=")))
    };
    lab.run_until_killed("adopt --undo staff --yes", has_begun)
        .await;
    // What was under way comes to its end on the server.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    lab.organization.set_latency(std::time::Duration::ZERO);
    let killed = lab.organization.snapshot();
    assert_ne!(killed, came);
    // The record is lost, too: what the killed undo began is held by the history.
    std::fs::remove_file(&lab.record()[0]).unwrap();
    let held = lab.run("sync -f staff --yes").await.ends_with(3);
    held.prints("taken back by an undo");
    assert_eq!(lab.organization.snapshot(), killed);
    let done = lab.run("adopt --undo staff --yes").await.ends_with(0);
    done.prints("old@example.org: the history doesn't say that a sync gave them");
    let mut now = lab.organization.snapshot();
    let dan = now.members.remove("dan@example.com").unwrap();
    assert_eq!(dan.external_id, None, "a sync invited him");
    now.members.remove("old@example.org");
    assert_eq!(now, before);
    assert!(lab.organization.losses().is_empty());
}

/// A run of the connector with these rows. With `overwriteExisting` whoever has an ID that isn't among them is
/// removed.
pub async fn connector_runs(lab: &Lab, members: &[(&str, &str)], groups: &Value, overwrite: bool) {
    let organization = &lab.organization;
    let settings = directory_sync::http::ClientSettings::default();
    let http = directory_sync::http::client(&settings).unwrap();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=api.organization",
        organization.client_id(),
        organization.client_secret(),
    );
    let request = http
        .post(format!("{}/connect/token", organization.identity_url()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = request.send().await.unwrap().text().await.unwrap();
    let token: Value = serde_json::from_str(&answer).unwrap();
    let rows = members
        .iter()
        .map(|(email, id)| json!({"email": email, "externalId": id, "deleted": false}));
    let body = json!({
        "members": rows.collect::<Vec<_>>(), "groups": groups,
        "overwriteExisting": overwrite, "largeImport": false,
    });
    let request = http
        .post(format!(
            "{}/public/organization/import",
            organization.api_url()
        ))
        .bearer_auth(token["access_token"].as_str().unwrap())
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
}

#[tokio::test]
async fn after_the_way_back_who_was_made_by_hand_has_no_id_and_the_connector_goes_on_without_a_loss()
 {
    let lab = Lab::new().await;
    fill(&lab);
    // By hand: a member whom the directory has, one whom it doesn't, and a group that it has.
    for email in ["dan@example.com", "friend@example.org"] {
        lab.organization.seed_member(MemberSeed::new(email));
    }
    let ops = GroupSeed::new("ops").members(["dan@example.com", "friend@example.org"]);
    lab.organization.seed_group(ops);
    for uid in ["dan", "eve"] {
        let person = format!(
            "dn: uid={uid},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\n\
             cn: {uid}\nsn: {uid}\nmail: {uid}@example.com\n"
        );
        lab.slapd.modify(&person).unwrap();
    }
    let group = "dn: cn=ops,ou=groups,dc=example,dc=com\nobjectClass: groupOfNames\ncn: ops\n\
                 member: uid=dan,ou=people,dc=example,dc=com\n";
    lab.slapd.modify(group).unwrap();
    let before = lab.organization.snapshot();
    let mut file = settings(&lab);
    let id = lab.organization.organization_id();
    file[id]["directorySettings"]["sync"]["inviteUsersAfterProvisioning"] = true.into();
    lab.write("data.json", &file.to_string());
    let variables = [("LDAP_PASSWORD", BIND_PASSWORD)];
    let adopt =
        "adopt --from data.json --name staff --adopt-groups --secret-env directory=LDAP_PASSWORD";
    lab.run_with(adopt, &variables).await.ends_with(0);
    let path = lab.path("staff/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
    let synced = lab.run("sync -f staff --yes").await.ends_with(0);
    let after = lab.organization.snapshot();
    let has_id = |email: &str| after.members[email].external_id.is_some();
    assert!(
        has_id("dan@example.com") && has_id("eve@example.com"),
        "{synced}"
    );
    assert!(
        after.group("ops").unwrap().external_id.is_some(),
        "{synced}"
    );

    lab.organization.clear_history();
    let shown = lab.run("adopt --undo staff --dry-run").await.ends_with(0);
    let shown = shown
        .prints("3 members and 1 group get the former external ID back")
        .prints("2 members and 1 group have none again")
        .prints("unlink        eve@example.com (now ");
    assert!(!shown.stdout.contains("stays as it is"), "{shown}");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let done = lab.run("adopt --undo staff --yes").await.ends_with(0);
    done.prints("done: 3 Relink, 1 RelinkGroup, 2 Unlink, 1 UnlinkGroup");
    let mut now = lab.organization.snapshot();
    let eve = now.members.remove("eve@example.com").unwrap();
    assert_eq!(
        eve.external_id, None,
        "the connector finds her by the email"
    );
    assert_eq!(now, before);
    let again = lab.run("adopt --undo staff --yes").await.ends_with(0);
    again.prints("nothing is left to give back");
    lab.run("history -f staff")
        .await
        .ends_with(0)
        .prints("unlinked      dan@example.com");

    // A sync that runs all the same links nobody again.
    let held = lab.run("sync -f staff --yes").await.ends_with(3);
    held.prints("taken back by an undo");
    let mut now = lab.organization.snapshot();
    now.members.remove("eve@example.com").unwrap();
    assert_eq!(now, before);

    // Nor as somebody new: hand-made groups aren't adopted any more, and Dan has another address.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("adopt: true", "adopt: false")).unwrap();
    let dan = "dn: uid=dan,ou=people,dc=example,dc=com\nchangetype: modify\nreplace: mail\n";
    lab.slapd
        .modify(&format!("{dan}mail: daniel@example.com\n"))
        .unwrap();
    lab.run("sync -f staff --yes").await.ends_with(3);
    let mut now = lab.organization.snapshot();
    now.members.remove("eve@example.com").unwrap();
    assert_eq!(now, before);
    lab.slapd
        .modify(&format!("{dan}mail: dan@example.com\n"))
        .unwrap();

    let dn = |uid: &str| format!("uid={uid},ou=people,dc=example,dc=com");
    let people = ["ada", "bob", "chidi", "dan", "eve"];
    let rows = people.map(|uid| (format!("{uid}@example.com"), dn(uid)));
    let rows: Vec<(&str, &str)> = rows
        .iter()
        .map(|(email, id)| (email.as_str(), id.as_str()))
        .collect();
    let groups = json!([{
        "name": "engineering", "externalId": "cn=engineering,ou=groups,dc=example,dc=com",
        "memberExternalIds": [dn("ada"), dn("bob")],
    }]);
    connector_runs(&lab, &rows, &groups, true).await;
    assert!(lab.organization.invitations().is_empty());
    let now = lab.organization.snapshot();
    for uid in ["dan", "eve"] {
        let member = &now.members[&format!("{uid}@example.com")];
        assert_eq!(member.external_id, Some(dn(uid)));
    }
    assert_eq!(
        now.members.len(),
        before.members.len() + 1,
        "nobody was removed"
    );
}

/// `DIRECTORY_SYNC_MANY=12000` shows what the history keeps of so many.
#[tokio::test]
async fn a_way_back_that_is_killed_goes_on_though_the_history_has_dropped_what_the_syncs_did() {
    let many = std::env::var("DIRECTORY_SYNC_MANY").ok();
    let people: usize = many.map_or(40, |many| many.parse().unwrap());
    let lab = Lab::with_people(people).await;
    for number in 0..people {
        let dn = format!("uid=p{number},ou=people,dc=example,dc=com");
        let member = MemberSeed::new(&format!("p{number}@example.com")).external_id(&dn);
        lab.organization.seed_member(member);
    }
    let group = GroupSeed::new("engineering").members(["p0@example.com", "p1@example.com"]);
    let group = group.external_id("cn=engineering,ou=groups,dc=example,dc=com");
    lab.organization.seed_group(group);
    let before = lab.organization.snapshot();
    lab.write("data.json", &settings(&lab).to_string());
    let variables = [("LDAP_PASSWORD", BIND_PASSWORD)];
    let adopt = "adopt --from data.json --name staff --secret-env directory=LDAP_PASSWORD";
    lab.run_with(adopt, &variables).await.ends_with(0);
    let path = lab.path("staff/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();

    let since = |start: std::time::Instant, what: &str| {
        let history = lab.record()[0].with_extension("history");
        let bytes = std::fs::metadata(&history).unwrap().len();
        eprintln!(
            "{what}: {:?}, the history has {bytes} bytes",
            start.elapsed()
        );
    };
    // Half of them have what is given.
    let halfway = |back: bool| {
        let now = lab.organization.snapshot();
        let ids = now.members.values();
        let ids = ids.filter_map(|one| one.external_id.as_deref());
        let given = ids.filter(|id| id.starts_with("uid=") == back).count();
        given >= people / 2
    };
    lab.organization
        .set_latency(std::time::Duration::from_millis(if people > 1_000 {
            0
        } else {
            60
        }));
    let start = std::time::Instant::now();
    lab.run_until_killed("sync -f staff --yes", || halfway(false))
        .await;
    since(start, "killed halfway");
    lab.run("sync -f staff -q --yes").await.ends_with(0);
    since(start, "everybody has the directory's ID");
    let adopted = lab.organization.snapshot();
    assert_ne!(adopted, before);

    let start = std::time::Instant::now();
    let shown = lab.run("adopt --undo staff --dry-run").await.ends_with(0);
    since(start, "the way back is shown");
    eprintln!("{}", shown.stdout);
    let start = std::time::Instant::now();
    lab.run_until_killed("adopt --undo staff --yes", || halfway(true))
        .await;
    since(start, "the way back is killed halfway");
    // What an undo of thousands does to the history by itself.
    let history = lab.record()[0].with_extension("history");
    let text = std::fs::read_to_string(&history).unwrap();
    let kept: String = text
        .lines()
        .filter(|line| line.contains("\"undoes\""))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(kept.len() < text.len() || people > 1_000);
    std::fs::write(&history, kept).unwrap();
    let done = lab.run("adopt --undo staff --yes").await;
    since(start, "and done");
    let done = done.ends_with(0);
    assert!(!done.stdout.contains("stays as it is"), "{done}");
    assert_eq!(lab.organization.snapshot(), before);
    assert!(lab.organization.losses().is_empty() && lab.organization.invitations().is_empty());
}

#[tokio::test]
async fn the_connectors_file_is_found_where_the_connector_keeps_it() {
    let lab = Lab::new().await;
    let file = settings(&lab).to_string();
    let folder = "Bitwarden Directory Connector";
    for (at, place, variable, value) in [
        (
            0,
            "one/data.json".to_owned(),
            "BITWARDENCLI_CONNECTOR_APPDATA_DIR",
            "one",
        ),
        (
            1,
            "two/data.json".to_owned(),
            "BITWARDENCONNECTOR_APPDATA_DIR",
            "two",
        ),
        (
            2,
            format!("home/.config/{folder}/data.json"),
            "HOME",
            "home",
        ),
        (
            3,
            format!("mac/Library/Application Support/{folder}/data.json"),
            "HOME",
            "mac",
        ),
    ] {
        lab.write(&place, &file);
        let value = lab.path(value);
        let variables = [(variable, value.to_str().unwrap())];
        let ran = lab
            .run_with(&format!("adopt --name found{at}"), &variables)
            .await;
        let ran = ran.ends_with(0);
        ran.prints(&format!(
            "LDAP or Active Directory from {}",
            lab.path(&place).display()
        ));
    }
    lab.run("adopt")
        .await
        .ends_with(1)
        .complains("the connector's settings weren't found: name its file with --from");
}

#[tokio::test]
async fn the_organizations_key_is_taken_from_the_connectors_variables() {
    let lab = Lab::new().await;
    let mut file = settings(&lab);
    let id = lab.organization.organization_id().to_owned();
    file[&id].as_object_mut().unwrap().remove("clientKeys");
    file[&id]["directorySettings"]
        .as_object_mut()
        .unwrap()
        .remove("organizationId");
    lab.write("data.json", &file.to_string());
    let (client_id, secret) = (
        lab.organization.client_id(),
        lab.organization.client_secret(),
    );
    let variables = [
        ("BW_CLIENTID", client_id.as_str()),
        ("BW_CLIENTSECRET", secret.as_str()),
        ("LDAP_PASSWORD", BIND_PASSWORD),
    ];
    let adopt = "adopt --from data.json --name staff --secret-env directory=LDAP_PASSWORD";
    let ran = lab.run_with(adopt, &variables).await.ends_with(0);
    assert_eq!(ran.stderr, "", "nothing is missing");
    lab.run("check -f staff").await.ends_with(0);

    // Without them it says what is missing, and where to write it.
    let ran = lab
        .run("adopt --from data.json --name other")
        .await
        .ends_with(0);
    ran.complains("missing: Secret other-organization, key clientId")
        .complains("missing: Secret other-organization, key clientSecret")
        .complains("missing: Secret other-ldap, key password")
        .complains("write what is missing into other");
}

/// All commands of docs/migrating.md that need no cluster, in their order.
#[tokio::test]
async fn the_documentation_shows_what_each_command_prints() {
    let lab = Lab::new().await;
    fill(&lab);
    let eve = "dn: uid=eve,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: eve\ncn: Eve\nsn: Eve\n\
               mail: eve@example.com\n";
    lab.slapd.modify(eve).unwrap();
    let eve = MemberSeed::new("eve@example.com");
    lab.organization.seed_member(eve);
    let before = lab.organization.snapshot();
    lab.write("data.json", &settings(&lab).to_string());
    let mut transcript = String::new();
    let mut tell = |line: &str, output: &str| transcript.push_str(&format!("$ {line}\n{output}\n"));

    let line = "directory-sync adopt --from data.json --name staff";
    let adopted = lab.run(line.strip_prefix("directory-sync ").unwrap()).await;
    let adopted = adopted.ends_with(0);
    tell(line, &format!("{}{}", adopted.stdout, adopted.stderr));
    // What is missing is written into the file, as it says.
    let path = lab.path("staff/secrets.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let bind = "  bindDn: cn=reader,dc=example,dc=com\n";
    assert!(text.contains(bind), "{text}");
    let filled = text.replace(bind, &format!("{bind}  password: {BIND_PASSWORD}\n"));
    std::fs::write(&path, filled).unwrap();

    for (line, code) in [
        ("directory-sync check -f staff", 0),
        ("directory-sync plan -f staff", 0),
        ("directory-sync adopt --from data.json --compare staff", 0),
        ("directory-sync explain -f staff robert@example.com", 0),
        (
            "sed -i 's/mode: Preview/mode: Apply/' staff/directorysync.yaml",
            0,
        ),
        ("directory-sync sync -f staff --yes", 0),
        ("directory-sync plan -f staff", 0),
        ("directory-sync adopt --undo staff --yes", 0),
        ("directory-sync adopt --undo staff --yes", 0),
        ("directory-sync sync -f staff --yes", 3),
    ] {
        let output = match line.strip_prefix("directory-sync ") {
            Some(words) => lab.run(words).await.ends_with(code).stdout,
            None => {
                let path = lab.path("staff/directorysync.yaml");
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
                String::new()
            }
        };
        tell(line, &output);
    }
    assert_eq!(lab.organization.snapshot(), before);

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
    let mut page = Page::of(page)
        .with(
            lab.slapd.url().trim_end_matches('/'),
            "ldap://ldap.example.com",
        )
        .with(&lab.organization.url(), "https://vault.example.com")
        .with(lab.organization.organization_id(), "ORGANIZATION")
        .with(&format!("127.0.0.1:{}", lab.slapd.port()), "192.0.2.10:389")
        .with(
            "address of 127.0.0.1: 127.0.0.1",
            "address of ldap.example.com: 192.0.2.10",
        );
    page.shows_transcript("## All of it, without a cluster", &transcript);
    page.finish();
}
