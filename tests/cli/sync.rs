use serde_json::Value;
use simulators::organization::MemberSeed;

use crate::lab::{Lab, entry_uuid};

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
