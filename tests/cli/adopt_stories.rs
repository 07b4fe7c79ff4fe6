//! An organization in disorder is adopted, synced and given back, in odd orders: nobody is removed, invited
//! twice or taken out of a group by it.

use serde_json::json;
use simulators::organization::{CollectionAccess, GroupSeed, MemberSeed, Snapshot, Status};

use crate::adopt::{connector_runs, settings};
use crate::lab::{BIND_PASSWORD, Lab};

const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";

fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,dc=example,dc=com")
}

fn add(lab: &Lab, uid: &str, mail: Option<&str>) {
    let mail = mail.map_or(String::new(), |mail| format!("mail: {mail}\n"));
    let entry = format!(
        "dn: {}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n{mail}",
        dn(uid)
    );
    lab.slapd.modify(&entry).unwrap();
}

/// What the connector and people left: DNs in capitals, a moved entry, another address, an open invitation,
/// entries without an email or with one that two have, an owner, somebody revoked, somebody who is gone, people
/// invited by hand, two groups of one name, a group that the directory doesn't have any more.
async fn disorder() -> Lab {
    let lab = Lab::new().await;
    add(&lab, "mute", None);
    for uid in ["twin1", "twin2"] {
        add(&lab, uid, Some("twin@example.com"));
    }
    for uid in ["late", "rex", "boss", "hand"] {
        add(&lab, uid, Some(&format!("{uid}@example.com")));
    }
    let inside = [
        "bob", "chidi", "mute", "twin1", "late", "rex", "boss", "ada",
    ]
    .map(dn);
    let inside = inside.map(|dn| format!("member: {dn}\n")).concat();
    let group =
        "dn: cn=engineering,ou=groups,dc=example,dc=com\nchangetype: modify\nreplace: member\n";
    lab.slapd.modify(&format!("{group}{inside}")).unwrap();

    let all = [
        ("ada@example.com", Some(dn("ada").to_uppercase())),
        ("robert@example.com", Some(dn("bob"))),
        (
            "chidi@example.com",
            Some("uid=chidi,ou=former,dc=example,dc=com".to_owned()),
        ),
        ("mute@example.com", Some(dn("mute"))),
        ("twin@example.com", Some(dn("twin1"))),
        ("late.before@example.com", Some(dn("late"))),
        ("rex@example.com", Some(dn("rex"))),
        ("boss@example.com", Some(dn("boss"))),
        ("gone@example.com", Some(dn("gone"))),
        ("hand@example.com", None),
        ("guest@example.org", None),
    ];
    for (email, id) in &all {
        let mut seed = MemberSeed::new(email).collection(CollectionAccess::to(VAULT));
        if let Some(id) = id {
            seed = seed.external_id(id);
        }
        lab.organization.seed_member(match *email {
            "late.before@example.com" | "hand@example.com" => seed.status(Status::Invited),
            "rex@example.com" => seed.status(Status::Revoked),
            "boss@example.com" => seed.owner(),
            _ => seed,
        });
    }
    let in_engineering = all.iter().map(|(email, _)| *email);
    let in_engineering = in_engineering.filter(|email| *email != "hand@example.com");
    let group = |name: &str| GroupSeed::new(name).collection(CollectionAccess::to(VAULT));
    let engineering = group("engineering").members(in_engineering);
    lab.organization
        .seed_group(engineering.external_id("cn=engineering,ou=groups,dc=example,dc=com"));
    let by_hand = ["guest@example.org", "hand@example.com"];
    lab.organization
        .seed_group(group("engineering").members(by_hand));
    let alumni = group("alumni").members(["gone@example.com", "guest@example.org"]);
    lab.organization
        .seed_group(alumni.external_id("cn=alumni,ou=groups,dc=example,dc=com"));

    // As bold as the connector can be.
    let mut file = settings(&lab);
    let id = lab.organization.organization_id();
    let sync = &mut file[id]["directorySettings"]["sync"];
    for bold in [
        "overwriteExisting",
        "removeDisabled",
        "inviteUsersAfterProvisioning",
    ] {
        sync[bold] = true.into();
    }
    lab.write("data.json", &file.to_string());
    lab.organization.clear_history();
    lab
}

/// Takes over the settings into a folder, which applies what it plans.
async fn adopt(lab: &Lab, file: &str, folder: &str) {
    let words = format!("adopt --from {file} --name {folder} --secret-env directory=LDAP_PASSWORD");
    lab.run_with(&words, &[("LDAP_PASSWORD", BIND_PASSWORD)])
        .await
        .ends_with(0);
    let path = lab.path(&format!("{folder}/directorysync.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
}

fn without_ids(mut snapshot: Snapshot) -> Snapshot {
    let members = snapshot.members.values_mut();
    members.for_each(|member| member.external_id = None);
    let groups = snapshot.groups.iter_mut();
    groups.for_each(|group| group.external_id = None);
    snapshot
        .groups
        .sort_by(|one, other| (&one.name, &one.members).cmp(&(&other.name, &other.members)));
    snapshot
}

#[track_caller]
fn nobody_lost_anything(lab: &Lab, before: &Snapshot) {
    assert_eq!(lab.organization.losses(), []);
    assert!(
        lab.organization.invitations().is_empty(),
        "{:?}",
        lab.organization.invitations()
    );
    let now = lab.organization.snapshot();
    assert_eq!(without_ids(now), without_ids(before.clone()));
}

#[tokio::test]
async fn an_organization_in_disorder_is_as_before_after_syncs_and_ways_back() {
    let lab = disorder().await;
    let before = lab.organization.snapshot();
    adopt(&lab, "data.json", "staff").await;
    let plan = lab.run("plan -f staff").await.ends_with(0);
    let plan = plan
        .prints("members recognized: 0 by ID, 7 by former ID (DN), 2 by email, 1 not at all")
        .prints("plan: 5 Relink, 1 Link, 1 RelinkGroup")
        .prints("held: Revoke (1)\n  gone@example.com")
        .prints("uid=mute,ou=people,dc=example,dc=com: there is no email")
        .prints("2 active people have the email twin@example.com")
        .prints("the directory says bob@example.com, Bitwarden says robert@example.com")
        .prints("boss@example.com is an owner")
        .prints("rex@example.com is active in the directory and was revoked in Bitwarden");
    assert!(!plan.stdout.contains("Invite"), "{plan}");
    for _ in 0..2 {
        // Who is gone waits for a day.
        lab.run("sync -f staff --yes").await.ends_with(3);
        nobody_lost_anything(&lab, &before);
    }
    assert_ne!(lab.organization.snapshot(), before, "they have new IDs");

    let back = lab.run("adopt --undo staff --yes").await.ends_with(0);
    back.prints("done: 5 Relink, 1 RelinkGroup, 1 Unlink");
    assert_eq!(lab.organization.snapshot(), before);
    for _ in 0..2 {
        let again = lab.run("adopt --undo staff --yes").await.ends_with(0);
        again.prints("nothing is left to give back");
        lab.run("sync -f staff --yes").await.ends_with(3);
        assert_eq!(lab.organization.snapshot(), before);
    }
    nobody_lost_anything(&lab, &before);
}

/// A smaller one: Ada, Bob by another address, Chidi, and somebody who left, all of them under DNs. Who isn't sent
/// is removed.
async fn with_leaver() -> Lab {
    as_the_connector_left_it("robert@example.com", true).await
}

/// Bob by this address; `bold`: `overwriteExisting` is on.
async fn as_the_connector_left_it(bob: &str, bold: bool) -> Lab {
    let lab = Lab::new().await;
    let all = [
        ("ada", "ada@example.com"),
        ("bob", bob),
        ("chidi", "chidi@example.com"),
        ("gone", "gone@example.com"),
    ];
    for (uid, email) in all {
        let seed = MemberSeed::new(email).external_id(&dn(uid));
        lab.organization
            .seed_member(seed.collection(CollectionAccess::to(VAULT)));
    }
    let group = GroupSeed::new("engineering").collection(CollectionAccess::to(VAULT));
    let group = group.members(["ada@example.com", bob, "gone@example.com"]);
    lab.organization
        .seed_group(group.external_id("cn=engineering,ou=groups,dc=example,dc=com"));
    let mut file = settings(&lab);
    let id = lab.organization.organization_id();
    file[id]["directorySettings"]["sync"]["overwriteExisting"] = bold.into();
    lab.write("data.json", &file.to_string());
    lab.organization.clear_history();
    lab
}

/// What the connector sends of the three who are there.
async fn connector_sends(lab: &Lab, overwrite: bool) {
    let rows = ["ada", "bob", "chidi"].map(|uid| (format!("{uid}@example.com"), dn(uid)));
    let rows = rows
        .each_ref()
        .map(|(email, id)| (email.as_str(), id.as_str()));
    let groups = json!([{
        "name": "engineering", "externalId": "cn=engineering,ou=groups,dc=example,dc=com",
        "memberExternalIds": [dn("ada"), dn("bob")],
    }]);
    connector_runs(lab, &rows, &groups, overwrite).await;
}

#[tokio::test]
async fn a_way_back_after_leavers_were_removed_brings_nobody_back_and_the_connector_removes_nobody()
{
    let test = "adopt_stories::a_way_back_after_leavers_were_removed_brings_nobody_back_and_the_connector_removes_nobody";
    let lab = with_leaver().await;
    let before = lab.organization.snapshot();
    adopt(&lab, "data.json", "staff").await;
    let path = lab.path("staff/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let removes = text.replace("absent: Revoke", "absent: Remove\n    limit: 5");
    assert_ne!(removes, text);
    std::fs::write(&path, removes).unwrap();
    lab.run("sync -f staff --yes").await.ends_with(3);
    nobody_lost_anything(&lab, &before);

    let Some(later) = lab.run_ahead(test, "sync -f staff --yes", 25).await else {
        return;
    };
    later.ends_with(0).prints("done: 1 Remove");
    assert!(
        lab.organization
            .snapshot()
            .member("gone@example.com")
            .is_none()
    );
    lab.organization.clear_history();
    for told in [
        "done: 3 Relink, 1 RelinkGroup",
        "nothing is left to give back",
    ] {
        let back = lab
            .run_ahead(test, "adopt --undo staff --yes", 26)
            .await
            .unwrap();
        back.ends_with(0).prints(told);
    }
    let mut expected = before;
    expected.members.remove("gone@example.com");
    for group in &mut expected.groups {
        group.members.retain(|email| email != "gone@example.com");
    }
    assert_eq!(lab.organization.snapshot(), expected);

    connector_sends(&lab, true).await;
    assert_eq!(lab.organization.snapshot(), expected);
    assert_eq!(lab.organization.losses(), []);
    assert!(lab.organization.invitations().is_empty());
}

#[tokio::test]
async fn a_file_that_was_edited_to_read_less_takes_nothing_from_anybody_and_there_is_a_way_back() {
    let lab = with_leaver().await;
    let before = lab.organization.snapshot();
    adopt(&lab, "data.json", "staff").await;
    lab.run("sync -f staff --yes").await.ends_with(3);

    // Somebody changes the path of people in the connector, and takes the settings over once more.
    let sales = "ou=sales,ou=people,dc=example,dc=com";
    let unit = format!("dn: {sales}\nobjectClass: organizationalUnit\nou: sales\n");
    lab.slapd.modify(&unit).unwrap();
    let sal = format!(
        "dn: uid=sal,{sales}\nobjectClass: inetOrgPerson\nuid: sal\ncn: sal\nsn: sal\nmail: sal@example.com\n"
    );
    lab.slapd.modify(&sal).unwrap();
    let mut file = settings(&lab);
    let id = lab.organization.organization_id();
    let sync = &mut file[id]["directorySettings"]["sync"];
    sync["overwriteExisting"] = true.into();
    sync["userPath"] = "ou=sales,ou=people".into();
    lab.write("data.json", &file.to_string());
    let again = "adopt --from data.json --name staff";
    lab.run(again)
        .await
        .ends_with(1)
        .complains("is there already, and nothing was written");
    adopt(&lab, "data.json", "narrow").await;
    for _ in 0..2 {
        let held = lab.run("sync -f narrow --yes").await.ends_with(3);
        held.prints("4 changes are held: ");
        assert_eq!(lab.organization.losses(), []);
    }
    // The IDs were given by the other resource's syncs.
    let nothing = lab.run("adopt --undo narrow --yes").await.ends_with(1);
    nothing.complains("there is nothing to give back");
    lab.run("adopt --undo staff --yes").await.ends_with(0);
    // The one who is new by the edited file came, without an invitation.
    let mut now = lab.organization.snapshot();
    let sal = now.members.remove("sal@example.com").unwrap();
    assert_eq!(sal.status, Status::Staged);
    assert_eq!(now, before);
    assert_eq!(lab.organization.losses(), []);
    assert!(lab.organization.invitations().is_empty());
}

#[tokio::test]
async fn the_file_of_another_organization_changes_nothing_and_is_told() {
    let (lab, other) = (with_leaver().await, with_leaver().await);
    let before = lab.organization.snapshot();
    adopt(&lab, "data.json", "staff").await;
    lab.run("sync -f staff --yes").await.ends_with(3);
    let synced = lab.organization.snapshot();

    // The other company's, beside this one's state.
    let mut file = settings(&other);
    let id = "11111111-2222-4333-8444-555555555555";
    let of_other = other.organization.organization_id();
    let account = file[of_other].take();
    file[id] = account;
    file[id]["directorySettings"]["organizationId"] = id.into();
    file["activeUserId"] = id.into();
    lab.write("other.json", &file.to_string());
    let compared = lab.run("adopt --from other.json --compare staff").await;
    compared
        .ends_with(0)
        .complains(&format!(
            "other.json is about the organization {id}, and default/staff about"
        ))
        .complains("is it the right file?");
    let mut okta = file.clone();
    let account = &mut okta[id];
    account["directorySettings"]["directoryType"] = 3.into();
    account["directoryConfigurations"] =
        json!({"okta": {"orgUrl": "https://example.okta.com", "token": "t"}});
    lab.write("okta.json", &okta.to_string());
    let refused = lab.run("adopt --from okta.json --compare staff").await;
    refused.ends_with(1).complains(
        "okta.json syncs Okta, and default/staff reads another kind of directory: name the file that the \
         resource was made of",
    );

    // It has its own key, and so its own organization: of that no sync gave anybody an ID.
    file[id]["clientKeys"]["clientId"] = format!("organization.{id}").into();
    lab.write("other.json", &file.to_string());
    adopt(&lab, "other.json", "other").await;
    let undo = lab.run("adopt --undo other --yes").await.ends_with(1);
    assert!(!undo.stdout.contains("done"), "{undo}");
    let sync = lab.run("sync -f other --yes").await.ends_with(1);
    assert!(!sync.stdout.contains("done"), "{sync}");
    assert_eq!(lab.organization.snapshot(), synced);
    nobody_lost_anything(&lab, &before);
    nobody_lost_anything(&other, &before);

    lab.run("adopt --undo staff --yes").await.ends_with(0);
    assert_eq!(lab.organization.snapshot(), before);
}

#[tokio::test]
async fn a_connector_that_still_runs_between_a_killed_sync_and_the_next_does_no_lasting_harm() {
    for bob in ["bob@example.com", "robert@example.com"] {
        let lab = as_the_connector_left_it(bob, false).await;
        let before = lab.organization.snapshot();
        adopt(&lab, "data.json", "staff").await;
        lab.organization
            .set_latency(std::time::Duration::from_millis(150));
        let has_old_id = |name: &str| {
            let now = lab.organization.snapshot();
            let mut ids = now.members.values();
            ids.any(|member| {
                member
                    .external_id
                    .as_deref()
                    .is_some_and(|id| id.starts_with(name))
            })
        };
        let both_have_new_ids = || !has_old_id("uid=ada,") && !has_old_id("uid=bob,");
        lab.run_until_killed("sync -f staff --yes", both_have_new_ids)
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        lab.organization.set_latency(std::time::Duration::ZERO);
        connector_sends(&lab, false).await;
        let between = lab.organization.snapshot();
        let emptied = &between.group("engineering").unwrap().members;
        assert!(
            !emptied.iter().any(|email| email == "ada@example.com"),
            "{between}"
        );

        // What it took out of the group comes back. Where it took Bob, whose ID and address it doesn't know, for
        // somebody new, nobody can tell which of the two is meant: both are left as they are.
        lab.organization.clear_history();
        let sync = lab.run("sync -f staff --yes").await.ends_with(0);
        assert!(!sync.stdout.contains("Invite"), "{sync}");
        let twin = bob != "bob@example.com";
        assert_eq!(
            sync.stdout
                .contains("IdentityConflict (1)\n  bob@example.com"),
            twin,
            "{sync}"
        );
        let back = lab.run("adopt --undo staff --yes").await.ends_with(0);
        assert_eq!(
            back.stdout
                .contains("re-linked     robert@example.com: another member has the former"),
            twin,
            "{back}"
        );
        lab.run("adopt --undo staff --yes").await.ends_with(0);
        assert_eq!(lab.organization.losses(), []);
        assert!(lab.organization.invitations().is_empty());
        let mut now = lab.organization.snapshot();
        if twin {
            assert!(now.members.remove("bob@example.com").is_some());
            assert_eq!(now.members.len(), before.members.len());
            continue;
        }
        // Who is gone was taken out by the connector.
        let mut expected = before;
        for group in &mut expected.groups {
            group.members.retain(|email| email != "gone@example.com");
        }
        assert_eq!(now, expected);
    }
}

#[tokio::test]
async fn a_way_back_while_a_sync_runs_waits_for_its_turn_and_loses_nothing() {
    let lab = with_leaver().await;
    let before = lab.organization.snapshot();
    adopt(&lab, "data.json", "staff").await;
    lab.organization
        .set_latency(std::time::Duration::from_millis(200));
    let begun = async {
        let is_new = || {
            let now = lab.organization.snapshot();
            let ids = now.members.values();
            let mut ids = ids.filter_map(|member| member.external_id.as_deref());
            ids.any(|id| !id.starts_with("uid="))
        };
        while !is_new() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        // The sync goes on for longer than a program takes to start, however busy the machine is.
        lab.organization
            .set_latency(std::time::Duration::from_secs(4));
        lab.run("adopt --undo staff --yes").await
    };
    let (sync, undo) = tokio::join!(lab.run("sync -f staff --yes"), begun);
    lab.organization.set_latency(std::time::Duration::ZERO);
    // Who is gone waits for a day.
    sync.ends_with(3);
    undo.ends_with(1)
        .complains("another command is working on this organization");
    lab.run("adopt --undo staff --yes").await.ends_with(0);
    assert_eq!(lab.organization.snapshot(), before);
}
