//! `directory-sync undo`

use std::path::Path;

use directory_sync_testing::command::program;
use directory_sync_testing::documentation::Page;
use directory_sync_testing::screens::on_terminal;
use serde_json::Value;
use simulators::organization::{Config, Status};

use crate::lab::Lab;

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q --yes";
const UNDO: &str = "undo -f staff.yaml -f secrets.yaml -q";

/// A company in sync that a leaver was removed from, by the last run.
async fn left(lab: Lab) -> (Lab, String) {
    let resource = lab.resource();
    lab.write("staff.yaml", &resource.replace("limit: 0", "limit: 100%"));
    lab.run(SYNC).await.ends_with(0);
    for uid in ["ada", "bob", "chidi"] {
        let _ = lab
            .organization
            .accept_and_confirm(&format!("{uid}@example.com"));
    }
    lab.slapd
        .delete(&["uid=bob,ou=people,dc=example,dc=com"])
        .unwrap();
    let group = "dn: cn=engineering,ou=groups,dc=example,dc=com\nchangetype: modify\n";
    let ada = "member: uid=ada,ou=people,dc=example,dc=com\n";
    lab.slapd
        .modify(&format!("{group}replace: member\n{ada}"))
        .unwrap();
    lab.run(SYNC).await.ends_with(0).prints("1 Remove");
    let run = last_run(&lab).await;
    (lab, run)
}

async fn last_run(lab: &Lab) -> String {
    let history = lab
        .run("history -f staff.yaml -f secrets.yaml -o json")
        .await;
    let records: Value = serde_json::from_str(&history.ends_with(0).stdout).unwrap();
    records[0]["run"].as_str().unwrap().to_owned()
}

fn page() -> Page {
    Page::of(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/undo.md"))
}

#[tokio::test]
async fn a_run_is_taken_back_and_the_next_sync_holds_what_it_would_do_again() {
    let (lab, run) = left(Lab::new().await).await;
    let before = lab.organization.snapshot();
    let shown = lab
        .run(&format!("{UNDO} {run} --dry-run"))
        .await
        .ends_with(0);
    let shown = shown
        .prints(&format!("identity/staff: undo of run {run} ("))
        .prints("  invite        bob@example.com: an invitation, to be accepted\n")
        .prints("  group         engineering\n                +bob@example.com\n")
        .prints("1 person is invited: a new member, who has to accept");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert_eq!(lab.organization.snapshot(), before, "nothing was changed");

    lab.run(&format!("{UNDO} {}", &run[..6]))
        .await
        .ends_with(1)
        .complains("add --yes");
    let done = lab
        .run(&format!("{UNDO} {} --yes", &run[..6]))
        .await
        .ends_with(0);
    let done = done.prints("identity/staff: done: 1 Invite, 1 UpdateGroup\n");
    let mut page = page();
    let files = "-f staff.yaml -f secrets.yaml";
    let undo = format!("directory-sync undo {files} 52dd86 --yes");
    page.shows(&undo, &done.stdout);
    let now = lab.organization.snapshot();
    assert_eq!(now.members["bob@example.com"].status, Status::Invited);
    assert_eq!(
        now.group("engineering").unwrap().members,
        ["ada@example.com", "bob@example.com"]
    );

    let history = lab
        .run("history -f staff.yaml -f secrets.yaml")
        .await
        .ends_with(0);
    history.prints(&format!("  undo of run {run}\n"));
    let held = lab.run(SYNC).await.ends_with(3);
    held.prints("taken back by an undo, and the directory still asks for");
    let line = format!("{} {SYNC}", program().display());
    let state = lab.path(".state");
    let held = on_terminal(&line, &lab.path("."), &[("XDG_STATE_HOME", &state)]).await;
    let held = held.ends_with(3);
    page.shows(&format!("directory-sync sync {files} --yes"), &held.stdout);
    page.finish();
    assert_eq!(lab.organization.snapshot(), now);

    // The record of removals is lost: it is still held by name, by the history.
    let [record, _] = lab.record();
    let kept = std::fs::read(&record).unwrap();
    std::fs::remove_file(&record).unwrap();
    lab.run(SYNC)
        .await
        .ends_with(3)
        .prints("taken back by an undo, and the directory still asks for");
    assert_eq!(lab.organization.snapshot(), now);
    std::fs::write(&record, kept).unwrap();

    // Once it is approved, it is done again; and the undo of nothing says so.
    let plan = lab
        .run("plan -f staff.yaml -f secrets.yaml -q -o json")
        .await;
    let plan: Value = serde_json::from_str(&plan.ends_with(0).stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    lab.run(&format!("{SYNC} --approve {digest}"))
        .await
        .ends_with(0)
        .prints("1 Remove");
    assert!(
        !lab.organization
            .snapshot()
            .members
            .contains_key("bob@example.com")
    );
}

#[tokio::test]
async fn an_undo_can_be_taken_back_and_what_stays_is_said_with_the_reason() {
    let (lab, run) = left(Lab::new().await).await;
    let gone = lab.organization.snapshot();
    lab.run(&format!("{UNDO} --last --yes")).await.ends_with(0);
    let undone = last_run(&lab).await;
    lab.run(&format!("{UNDO} {undone} --yes"))
        .await
        .ends_with(0)
        .prints("done: 1 Remove");
    assert_eq!(lab.organization.snapshot(), gone);
    let shown = lab
        .run(&format!("{UNDO} {undone} --dry-run"))
        .await
        .ends_with(0);
    let shown = shown
        .prints("nothing is left to take back")
        .prints("bob@example.com: was taken back by run ");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );

    // Only one person, and as JSON.
    let json = lab
        .run(&format!(
            "{UNDO} {run} --person bob@example.com -o json --dry-run"
        ))
        .await;
    let json: Value = serde_json::from_str(&json.ends_with(0).stdout).unwrap();
    assert_eq!(
        (&json["run"], json["digest"].as_str().unwrap().len()),
        (&run.into(), 32)
    );
    for (words, error) in [
        ("ffffffffff --yes", "the history has no run ffffffffff"),
        (
            "--last --person eve@example.com --yes",
            "did nothing to eve@example.com",
        ),
        ("--last -o json", "add --dry-run"),
    ] {
        lab.run(&format!("{UNDO} {words}"))
            .await
            .ends_with(1)
            .complains(error);
    }
}

#[tokio::test]
async fn what_an_undo_takes_away_passes_the_limits() {
    let lab = Lab::new().await;
    lab.run(SYNC).await.ends_with(0);
    // limit: 0: nobody loses anything without approval.
    let held = lab.run(&format!("{UNDO} --last --yes")).await.ends_with(3);
    let held = held
        .prints("held back:")
        .prints("offboarding.limit allows 0");
    let digest = held.stdout.split("--approve ").nth(1).unwrap();
    let digest = digest.split_whitespace().next().unwrap();
    assert!(
        lab.organization
            .snapshot()
            .members
            .contains_key("ada@example.com")
    );
    lab.run(&format!("{UNDO} --last --yes --approve {digest}"))
        .await
        .ends_with(0)
        .prints("3 Remove");
    let left: Vec<String> = lab.organization.snapshot().members.into_keys().collect();
    assert!(!left.contains(&"ada@example.com".to_owned()), "{left:?}");
}

#[tokio::test]
async fn where_nothing_can_be_read_nothing_is_taken_back() {
    let config = Config::vaultwarden();
    let organization = simulators::organization::SimulatedOrganization::start(config).await;
    let lab = Lab::of(organization.unwrap()).await;
    let resource = lab.resource();
    let vaultwarden = "  organization:\n    vaultwarden: {neverSend: []}\n";
    lab.write(
        "staff.yaml",
        &resource.replace("  organization:\n", vaultwarden),
    );
    lab.run(SYNC).await.ends_with(0);
    lab.run(&format!("{UNDO} --last --yes"))
        .await
        .ends_with(1)
        .complains("this server (Vaultwarden) takes imports and can't be read");
}
