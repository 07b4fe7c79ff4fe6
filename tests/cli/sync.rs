use std::time::Duration;

use serde_json::Value;
use simulators::lab::{Ldif, Person};
use simulators::organization::{MemberSeed, Request};

use crate::lab::{Lab, Ran, entry_uuid};

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q";

#[tokio::test]
async fn without_a_terminal_nothing_happens_until_yes_is_said() {
    let lab = Lab::new().await;

    lab.run(SYNC).await.ends_with(1).complains("--yes");

    assert_eq!(lab.organization.requests().len(), 0);
}

#[tokio::test]
async fn a_sync_brings_the_organization_in_sync_and_reports_what_it_did() {
    let lab = Lab::new().await;

    let ran = lab.run(&format!("{SYNC} --yes")).await.ends_with(0);

    ran.prints("identity/staff: done: 3 Invite, 1 CreateGroup");
    let after = lab.organization.snapshot();
    let ada = after.member("ada@example.com").unwrap();
    assert_eq!(ada.external_id, Some(entry_uuid("ada")));
    let engineering = after.group("engineering").unwrap();
    assert_eq!(engineering.members, ["ada@example.com", "bob@example.com"]);
    let again = lab.run(&format!("{SYNC} --yes")).await.ends_with(0);
    again.prints("nothing was to be changed");
}

#[tokio::test]
async fn held_removals_wait_for_their_exact_digest() {
    let lab = Lab::new().await.with_leaver();
    let is_there = |email| lab.organization.snapshot().member(email).is_some();

    let held = lab.run(&format!("{SYNC} --yes")).await.ends_with(3);
    let held = held.prints("1 change is held").prints("3 Invite");
    assert!(
        is_there("leaver@example.com") && is_there("ada@example.com"),
        "{held}"
    );

    let plan = lab
        .run("plan -f staff.yaml -f secrets.yaml -o json -q")
        .await;
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    assert!(held.stdout.contains(digest), "{held}");

    let other = "0".repeat(32);
    lab.run(&format!("{SYNC} --yes --approve {other}"))
        .await
        .ends_with(3);
    assert!(is_there("leaver@example.com"));

    let done = lab
        .run(&format!("{SYNC} --yes --approve {digest}"))
        .await
        .ends_with(0);
    done.prints("1 Remove");
    assert!(!is_there("leaver@example.com"));
}

#[tokio::test]
async fn a_digest_that_cant_be_one_is_refused_before_anything_is_read() {
    let lab = Lab::new().await;

    let ran = lab
        .run(&format!("{SYNC} --yes --approve all"))
        .await
        .ends_with(1);

    ran.complains("32 hexadecimal digits");
    assert_eq!(lab.organization.requests().len(), 0);
}

#[tokio::test]
async fn what_the_author_suspended_or_only_previews_isnt_changed() {
    let lab = Lab::new().await;

    for (word, says) in [
        ("suspend: true", "spec.suspend"),
        ("mode: Preview", "spec.mode"),
    ] {
        lab.write("staff.yaml", &format!("{}  {word}\n", lab.resource()));
        lab.run(&format!("{SYNC} --yes"))
            .await
            .ends_with(1)
            .complains(says);
    }

    assert!(
        lab.organization
            .snapshot()
            .member("ada@example.com")
            .is_none()
    );
}

#[tokio::test]
async fn a_directory_that_cant_be_reached_changes_nothing_and_says_why() {
    let mut lab = Lab::new().await;
    lab.slapd.kill();

    let ran = lab.run(&format!("{SYNC} --yes")).await.ends_with(1);

    ran.complains("identity/staff")
        .complains("the directory couldn't be read");
    assert!(
        lab.organization
            .snapshot()
            .member("ada@example.com")
            .is_none()
    );
}

#[tokio::test]
async fn what_was_confirmed_on_a_terminal_is_done_and_nothing_else() {
    let lab = Lab::new().await;
    let words = "sync -f staff.yaml -f secrets.yaml -q";
    // Chidi leaves the directory while the question waits for its answer.
    let chidi = async || {
        lab.slapd
            .delete(&["uid=chidi,ou=people,dc=example,dc=com"])
            .unwrap()
    };
    let ran = lab.run_on_a_terminal(words, chidi, "y\nn\n").await;
    let ran = ran.ends_with(1).prints("Make these 4 changes? [y/N]");
    let ran = ran.prints("has changed since this plan was made");
    ran.prints("Make these 3 changes? [y/N]")
        .prints("nothing was changed");
    assert_eq!(lab.organization.invitations().len(), 0);

    // Somebody invites Bob by hand in the meantime.
    let bob = async || {
        lab.organization
            .seed_member(MemberSeed::new("bob@example.com"));
    };
    let ran = lab.run_on_a_terminal(words, bob, "y\ny\n").await;
    let ran = ran
        .ends_with(0)
        .prints("has changed since this plan was made");
    ran.prints("1 Link");
    assert_eq!(lab.organization.invitations().len(), 1);

    // What changes nothing about the plan doesn't ask again.
    let dora = async || {
        lab.organization
            .seed_member(MemberSeed::new("dora@partner.example"));
    };
    let lab = &lab;
    lab.slapd
        .delete(&["uid=bob,ou=people,dc=example,dc=com"])
        .unwrap();
    lab.write(
        "staff.yaml",
        &lab.resource().replace("limit: 0", "limit: 100%"),
    );
    let ran = lab.run_on_a_terminal(words, dora, "y\n").await;
    let ran = ran.ends_with(0).prints("done:");
    assert!(!ran.stdout.contains("has changed since"), "{ran}");
}

/// Dora is new in engineering. While she is invited, somebody takes Bob out of it and Chidi into it.
async fn changed_meanwhile(lab: &Lab) -> Ran {
    lab.run(&format!("{SYNC} --yes")).await.ends_with(0);
    join_engineering(lab);
    lab.organization.clear_requests();
    lab.organization.set_latency(Duration::from_millis(150));
    let words = format!("{SYNC} --yes");
    let (ran, ()) = tokio::join!(lab.run(&words), engineering_by_hand(lab));
    lab.organization.set_latency(Duration::ZERO);
    ran
}

/// Dora comes into engineering, in the directory.
fn join_engineering(lab: &Lab) {
    let mut ldif = Ldif::empty("dc=example,dc=com");
    let dn = ldif.person("ou=people", &Person::new("dora"));
    lab.slapd.modify(ldif.text()).unwrap();
    let change =
        "dn: cn=engineering,ou=groups,dc=example,dc=com\nchangetype: modify\nadd: member\n";
    lab.slapd
        .modify(&format!("{change}member: {dn}\n"))
        .unwrap();
}

/// As soon as she is invited somebody takes Bob out of it, and Chidi into it.
async fn engineering_by_hand(lab: &Lab) {
    let imports = |request: &Request| request.path.ends_with("/import");
    while !lab.organization.requests().iter().any(imports) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let now = ["ada@example.com", "chidi@example.com"];
    lab.organization.set_group_members("engineering", &now);
}

/// Whoever was asked has seen a plan, and nothing else is done: what somebody changes in a group after the answer
/// stays, and the next sync plans for it.
#[tokio::test]
async fn what_somebody_does_in_a_group_after_the_answer_on_a_terminal_stays_until_the_next_sync() {
    let lab = Lab::new().await;
    lab.run(&format!("{SYNC} --yes")).await.ends_with(0);
    join_engineering(&lab);
    lab.organization.clear_requests();
    lab.organization.set_latency(Duration::from_millis(150));
    let by_hand = engineering_by_hand(&lab);
    let words = "sync -f staff.yaml -f secrets.yaml -q";
    let asked = lab.run_on_a_terminal(words, async || (), "y\n");
    let (ran, ()) = tokio::join!(asked, by_hand);
    lab.organization.set_latency(Duration::ZERO);
    let ran = ran.prints("was changed by somebody else while the sync ran");
    assert_eq!(ran.stdout.matches("[y/N]").count(), 1, "{ran}");
    // Dora comes in, as was confirmed; Bob isn't put back, and Chidi isn't taken out.
    assert_eq!(
        engineering(&lab),
        ["ada@example.com", "chidi@example.com", "dora@example.com"]
    );
}

fn engineering(lab: &Lab) -> Vec<String> {
    let after = lab.organization.snapshot();
    after.group("engineering").unwrap().members.clone()
}

#[tokio::test]
async fn a_group_that_somebody_changes_while_a_sync_runs_is_planned_again_in_it() {
    let lab = Lab::new().await;
    lab.write(
        "staff.yaml",
        &lab.resource().replace("limit: 0", "limit: 100%"),
    );
    let ran = changed_meanwhile(&lab).await;
    assert_eq!(
        engineering(&lab),
        ["ada@example.com", "bob@example.com", "dora@example.com"]
    );
    ran.ends_with(0).prints("done: 1 Invite, 2 UpdateGroup");
}

#[tokio::test]
async fn what_is_planned_again_goes_by_the_limits() {
    let lab = Lab::new().await;
    let ran = changed_meanwhile(&lab).await;
    assert_eq!(
        engineering(&lab),
        [
            "ada@example.com",
            "bob@example.com",
            "chidi@example.com",
            "dora@example.com"
        ]
    );
    ran.ends_with(3).prints("1 change is held");
}

/// `plan` notes since when something is held, so that an approval of it expires.
#[tokio::test]
async fn a_plan_notes_what_it_shows_as_held() {
    let lab = Lab::new().await.with_leaver();
    let digest = async || {
        let plan = lab
            .run("plan -f staff.yaml -f secrets.yaml -o json -q")
            .await;
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        plan["digest"].as_str().unwrap().to_owned()
    };
    let [record, _] = lab.record();
    let read = || std::fs::read(&record).unwrap();
    let first = digest().await;
    let before = read();
    assert_eq!(digest().await, first);
    assert_eq!(read(), before, "noted once");

    // Another hold.
    let leaver = MemberSeed::new("leaver2@example.com").external_id(&entry_uuid("leaver2"));
    lab.organization.seed_member(leaver);
    let second = digest().await;
    assert_ne!(second, first);
    assert_ne!(read(), before);
    let approve = format!("{SYNC} --yes --approve {second}");
    lab.run(&approve).await.ends_with(0).prints("2 Remove");
}
