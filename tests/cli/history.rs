//! `directory-sync history`

use std::collections::BTreeMap;
use std::path::Path;

use directory_sync_testing::documentation::Page;
use serde_json::Value;
use simulators::fault::{Fault, Way, Work};

use crate::lab::Lab;

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q --yes";
const HISTORY: &str = "history -f staff.yaml -f secrets.yaml";

#[tokio::test]
async fn what_commands_changed_is_kept_in_the_state_folder_and_shown() {
    let lab = Lab::new().await;
    lab.run(HISTORY)
        .await
        .ends_with(0)
        .prints("no record of a change");
    lab.run("plan -f staff.yaml -f secrets.yaml -q")
        .await
        .ends_with(0);
    lab.run(HISTORY)
        .await
        .ends_with(0)
        .prints("no record of a change");
    lab.run(SYNC).await.ends_with(0);

    let shown = lab.run(HISTORY).await.ends_with(0);
    let shown = shown
        .prints("  command line\n")
        .prints("  invited       ada@example.com: new in the directory\n")
        .prints("  group made    engineering: new in the directory\n")
        .prints("+ada@example.com, +bob@example.com\n");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let json = lab
        .run(&format!("{HISTORY} --person chidi -o json"))
        .await
        .ends_with(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let records = json.as_array().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["action"], "Invite");
    assert_eq!(records[0]["result"], "Done");
    assert_eq!(records[0]["trigger"], "Command");
}

#[tokio::test]
async fn each_record_is_a_line_in_the_log_where_it_is_asked_for() {
    let lab = Lab::new().await.with_leaver();
    let held = lab.run(SYNC).await;
    assert!(!held.stderr.contains("audit"), "{held}");
    let plan = lab
        .run("plan -f staff.yaml -f secrets.yaml -q -o json")
        .await;
    let plan: Value = serde_json::from_str(&plan.ends_with(0).stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let logged = "--log-level warn,audit=info --log-format json";
    let ran = lab
        .run(&format!("{SYNC} --approve {digest} {logged}"))
        .await
        .ends_with(0);
    let lines = ran
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["target"] == "audit").collect();
    let [line] = lines.as_slice() else {
        panic!("the leaver's removal was expected: {ran}");
    };
    let mut page = Page::of(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/history.md"));
    let command = "directory-sync sync -f staff.yaml -f secrets.yaml --log-format json --yes \\\n    \
                   --approve 3fe164412ef12254c98b3be0c4e5cf23 2>&1 \\\n    \
                   | jq -S 'select(.target == \"audit\")'";
    let object: BTreeMap<&String, &Value> = line.as_object().unwrap().iter().collect();
    let printed = serde_json::to_string_pretty(&object).unwrap();
    page.shows(command, &(printed + "\n"));
    page.finish();
    assert_eq!(line["action"], "Remove");
    assert_eq!(line["email"], "leaver@example.com");
    assert_eq!(line["evidence_kind"], "Absent");
    assert_eq!(line["approved"], true);
    assert_eq!(line["directorysync"], "staff");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_told_as_such_and_found_out_by_the_next_command() {
    let lab = Lab::new().await;
    let import = || {
        Fault::new(Way::InternalError)
            .method("POST")
            .path("/api/public/organization/import")
    };
    // Done, and never answered: the client doesn't get through with any retry.
    lab.organization
        .faults()
        .inject(import().work(Work::Done).from_then_on());
    lab.run(SYNC).await.ends_with(1);
    lab.run(HISTORY)
        .await
        .ends_with(0)
        .prints("unknown whether it was made");
    lab.organization.faults().clear();
    lab.run(SYNC).await.ends_with(0);
    let shown = lab.run(HISTORY).await.ends_with(0);
    assert!(!shown.stdout.contains("unknown"), "{shown}");
    let invited = shown.stdout.matches("  invited ").count();
    assert_eq!(invited, 3, "each once: {shown}");
}
