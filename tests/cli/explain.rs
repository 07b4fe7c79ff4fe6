//! `explain`, on real parts.

use serde_json::Value;

use crate::lab::{Lab, entry_uuid};

const FILES: &str = "-f staff.yaml -f secrets.yaml --quiet";

/// What was printed, without the line that has the addresses of both sides.
fn answer(text: &str) -> &str {
    text.split_once("\n\n")
        .expect("the sides, then the answer")
        .1
}

#[tokio::test]
async fn a_person_is_explained_in_80_columns_without_colors_and_nothing_changes() {
    let lab = Lab::new().await.with_leaver();
    let before = lab.organization.snapshot();

    let ran = lab
        .run(&format!("explain {FILES} ada@example.com"))
        .await
        .ends_with(0);

    let longest = ran.stdout.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(80), "{ran}");
    assert_eq!(
        answer(&ran.stdout),
        format!(
            "\
ada@example.com
  active in the directory and in scope; not a member; the next run makes 2
  changes

  directory     {},
                  uid=ada,ou=people,dc=example,dc=com
                active, ada@example.com
  scope         in scope
  groups        engineering: directly
  organization  not a member
  next run      invite (new in the directory)
                add to group engineering, which is created (new in the
                  directory)
",
            entry_uuid("ada")
        )
    );
    assert_eq!(lab.organization.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn whoever_is_held_is_told_by_what_and_by_which_digest_and_the_record_stays() {
    let lab = Lab::new().await.with_leaver();

    let plan = lab.run(&format!("plan {FILES} -o json")).await.ends_with(0);
    let record = std::fs::read(&lab.record()[0]).unwrap();
    let ran = lab
        .run(&format!("explain {FILES} -o json leaver@example.com"))
        .await
        .ends_with(0);

    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let person = &answer["people"][0];
    assert_eq!(person["scope"]["verdict"], "Absent");
    let change = &person["nextRun"]["changes"]["named"][0];
    assert_eq!(change["action"], "Remove");
    let held = change["heldBy"].as_str().unwrap();
    assert!(held.starts_with("nobody recognized: "), "{held}");
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(person["nextRun"]["digest"], plan["digest"]);
    assert_eq!(std::fs::read(&lab.record()[0]).unwrap(), record);
}

#[tokio::test]
async fn a_group_is_explained_and_who_is_nowhere_ends_with_4() {
    let lab = Lab::new().await;

    let ran = lab.run(&format!("explain {FILES} Engineering")).await;
    ran.ends_with(0)
        .prints("group engineering")
        .prints("ada@example.com: in the directory, directly")
        .prints("create with 2 members");

    let ran = lab.run(&format!("explain {FILES} adda@example.com")).await;
    ran.ends_with(4)
        .prints("not found")
        .prints("nearest       ada@example.com");

    let ran = lab
        .run(&format!(
            "explain {FILES} uid=ada,ou=people,dc=example,dc=com"
        ))
        .await;
    ran.ends_with(0).prints("active, ada@example.com");

    let ran = lab.run("explain -f staff.yaml a\nb").await;
    ran.ends_with(1);
}
