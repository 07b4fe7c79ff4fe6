//! The examples of docs/onboarding.md, on a real directory.

use simulators::organization::{MemberSeed, Status};

use crate::lab::{Lab, entry_uuid};

/// What the page puts below `onboarding:`, each line once.
fn examples() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/onboarding.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let lines = blocks.filter_map(|block| block.split_once("  onboarding:\n"));
    lines
        .flat_map(|(_, lines)| lines.lines().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_examples_of_the_page_on_onboarding_are_accepted_and_who_is_not_in_yet_is_counted() {
    let lab = Lab::new().await;
    let chidi = MemberSeed::new("chidi@example.com").external_id(&entry_uuid("chidi"));
    lab.organization.seed_member(chidi.status(Status::Accepted));
    let examples = examples();
    assert_eq!(examples.len(), 3, "{examples:?}");
    let resource = format!("{}  onboarding:\n{}\n", lab.resource(), examples.join("\n"));
    lab.write("staff.yaml", &resource);

    lab.run("sync -f staff.yaml -f secrets.yaml -q --yes")
        .await
        .ends_with(0)
        .prints("2 Invite");
    let plan = lab.run("plan -f staff.yaml -f secrets.yaml -q").await;
    plan.ends_with(0)
        .prints("not in yet: 2 invited, 1 to be confirmed");
    lab.run("explain -f staff.yaml -f secrets.yaml ada@example.com")
        .await
        .ends_with(0);
}

#[tokio::test]
async fn an_invitation_that_would_be_withdrawn_before_it_expires_is_refused() {
    let lab = Lab::new().await;
    let resource = format!("{}  onboarding: {{withdrawAfter: 5d}}\n", lab.resource());
    lab.write("staff.yaml", &resource);
    lab.run("plan -f staff.yaml -f secrets.yaml -q")
        .await
        .ends_with(1)
        .complains("write a number of days between 6d and 3650d: 30d");
}
