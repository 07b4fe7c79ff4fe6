//! The record of removals: what a command does when it is lost, damaged, older, or shared.

use std::time::Duration;

use serde_json::Value;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization, Status};

use crate::lab::{Lab, entry_uuid};

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q --yes";
const PLAN: &str = "plan -f staff.yaml -f secrets.yaml -q -o json";

/// A lab that was synced, and has its record. One of its members may go in a day.
async fn synced() -> Lab {
    let lab = Lab::new().await;
    lab.write(
        "staff.yaml",
        &lab.resource().replace("limit: 0", "limit: 20%"),
    );
    lab.run(SYNC).await.ends_with(0);
    lab
}

fn leave(lab: &Lab, uid: &str) {
    let seed = MemberSeed::new(&format!("{uid}@example.com"));
    lab.organization
        .seed_member(seed.external_id(&entry_uuid(uid)));
}

fn is_there(lab: &Lab, uid: &str) -> bool {
    let email = format!("{uid}@example.com");
    lab.organization.snapshot().member(&email).is_some()
}

async fn digest(lab: &Lab) -> String {
    let plan = lab.run(PLAN).await.ends_with(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    plan["digest"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_the_record_whoever_is_absent_stays_until_it_is_approved() {
    let lab = synced().await;
    let [record, lock] = lab.record();
    let older = std::fs::read(&record).unwrap();
    // Within the limit, and with the record.
    leave(&lab, "eve");
    lab.run(SYNC).await.ends_with(0).prints("1 Remove");

    let last = std::fs::read(&record).unwrap();
    let witness = std::fs::read(&lock).unwrap();
    let mut damaged = last.clone();
    damaged[40] ^= 1;
    for (number, content) in [None, Some(older), Some(damaged)].into_iter().enumerate() {
        match &content {
            Some(content) => std::fs::write(&record, content).unwrap(),
            None => std::fs::remove_file(&record).unwrap(),
        }
        std::fs::write(&lock, &witness).unwrap();
        let uid = format!("leaver{number}");
        leave(&lab, &uid);
        // What the plan says to approve is what the next command calls it.
        let digest = digest(&lab).await;
        let held = lab.run(SYNC).await.ends_with(3);
        let held =
            held.prints("the record of earlier removals is missing or isn't the one written");
        assert!(held.stdout.contains(&digest), "{held}");
        assert!(is_there(&lab, &uid));
        lab.run(&format!("{SYNC} --approve {digest}"))
            .await
            .ends_with(0);
        assert!(!is_there(&lab, &uid));
    }
}

#[tokio::test]
async fn without_the_whole_folder_nobody_who_is_absent_loses_access() {
    let lab = synced().await;
    let [record, _] = lab.record();
    leave(&lab, "leaver");
    for _ in 0..2 {
        std::fs::remove_dir_all(record.parent().unwrap()).unwrap();
        let held = lab.run(SYNC).await.ends_with(3);
        held.prints("there is no record of earlier syncs");
        assert!(is_there(&lab, "leaver"));
    }
    let digest = digest(&lab).await;
    lab.run(&format!("{SYNC} --approve {digest}"))
        .await
        .ends_with(0);
    assert!(!is_there(&lab, "leaver"));
}

#[tokio::test]
async fn resources_of_one_organization_do_not_void_each_others_approvals() {
    let lab = Lab::new().await.with_leaver();
    let prefixed = MemberSeed::new("paris@example.com").external_id("paris:gone");
    lab.organization.seed_member(prefixed);
    let staff = lab.resource();
    let narrower = staff.replace("  source:", "  users: {exclude: ['bob@*']}\n  source:");
    let narrower = narrower.replace("name: staff", "name: narrower");
    let prefix = staff.replace(
        "  organization:\n",
        "  organization:\n    externalIdPrefix: 'paris:'\n",
    );
    assert_ne!(prefix, staff);
    lab.write("narrower.yaml", &narrower);
    lab.write("paris.yaml", &prefix);
    let others = ["narrower.yaml", "paris.yaml"];

    // Planned and looked at, and nothing else.
    let staff = digest(&lab).await;
    for other in others {
        lab.run(&SYNC.replace("staff.yaml", other))
            .await
            .ends_with(3);
    }
    let approved = lab.run(&format!("{SYNC} --approve {staff}")).await;
    approved.ends_with(0).prints("2 Remove");
    assert!(!is_there(&lab, "leaver"));
}

/// What a resource that shares the server with `staff` finds and does.
#[tokio::test]
async fn on_a_server_that_cannot_be_read_no_other_resource_takes_over_what_one_has_sent() {
    let vaultwarden = Config::vaultwarden();
    let vaultwarden = SimulatedOrganization::start(vaultwarden).await.unwrap();
    let lab = Lab::of(vaultwarden).await;
    let prefixed = |name: &str, prefix: &str| {
        let organization = format!(
            "  organization:\n    externalIdPrefix: '{prefix}'\n    vaultwarden: {{neverSend: []}}\n"
        );
        let resource = lab.resource().replace("absent: Remove, ", "");
        let resource = resource.replace("  organization:\n", &organization);
        let resource = resource.replace("name: staff", &format!("name: {name}"));
        lab.write(&format!("{name}.yaml"), &resource);
    };
    prefixed("staff", "berlin:");
    prefixed("paris", "paris:");
    lab.run(SYNC).await.ends_with(0).prints("3 Invite");
    let before = lab.organization.snapshot();
    let ada = before
        .member("ada@example.com")
        .unwrap()
        .external_id
        .clone();
    assert!(ada.unwrap().starts_with("berlin:"));

    let refused = lab.run(&SYNC.replace("staff.yaml", "paris.yaml")).await;
    let refused = refused
        .ends_with(1)
        .complains("identity/staff has synced it");
    refused.complains("would take them over");
    assert_eq!(lab.organization.snapshot(), before);

    // The same resource under another prefix goes on with its accounts.
    prefixed("staff", "hq:");
    let digest = digest(&lab).await;
    lab.run(SYNC)
        .await
        .ends_with(3)
        .prints("3 people have a new id");
    let approved = lab.run(&format!("{SYNC} --approve {digest}")).await;
    approved.ends_with(0).prints("3 Relink");
    let ada = lab
        .organization
        .snapshot()
        .member("ada@example.com")
        .unwrap()
        .external_id
        .clone();
    assert!(ada.unwrap().starts_with("hq:"));
    lab.run(SYNC)
        .await
        .ends_with(0)
        .prints("nothing was to be changed");
}

fn revoked(lab: &Lab) -> Vec<String> {
    let members = lab.organization.snapshot().members.into_iter();
    let revoked = members.filter(|(_, member)| member.status == Status::Revoked);
    revoked.map(|(email, _)| email).collect()
}

/// So that a command can be killed between two of its requests.
const LATENCY: Duration = Duration::from_millis(250);

#[tokio::test]
async fn what_a_killed_command_has_done_of_an_approval_is_used_up() {
    let lab = Lab::new().await;
    lab.write("staff.yaml", &lab.resource().replace("Remove", "Revoke"));
    lab.run(SYNC).await.ends_with(0);
    for number in 0..6 {
        leave(&lab, &format!("leaver{number}"));
    }
    let digest = digest(&lab).await;
    lab.organization.set_latency(LATENCY);
    let approved = format!("{SYNC} --approve {digest}");
    lab.run_until_killed(&approved, || revoked(&lab).len() >= 3)
        .await;
    lab.organization.set_latency(Duration::ZERO);
    let done = revoked(&lab);
    assert!(done.len() < 6, "it ended too late");

    for email in &done {
        lab.organization.restore(email);
    }
    lab.run(SYNC).await.ends_with(3).prints("held");
    let held = 6 - revoked(&lab).len();
    // Of the last answer it may not have heard.
    assert!(
        (done.len() - 1..=done.len()).contains(&held),
        "{held} of {} are held",
        done.len()
    );
}

#[tokio::test]
async fn whom_a_killed_command_revoked_gets_access_back() {
    let vaultwarden = Config::vaultwarden();
    let vaultwarden = SimulatedOrganization::start(vaultwarden).await.unwrap();
    whom_a_killed_command_revoked(Lab::of(vaultwarden).await).await;
    whom_a_killed_command_revoked(Lab::new().await).await;
}

async fn whom_a_killed_command_revoked(lab: Lab) {
    let state = |uid: &str, state: &str| {
        let dn = format!("uid={uid},ou=people,dc=example,dc=com");
        let change =
            format!("dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: {state}\n");
        lab.slapd.modify(&change).unwrap();
    };
    let staff = lab.resource().replace(
        "  organization:\n",
        "  organization:\n    vaultwarden: {neverSend: []}\n",
    );
    let staff = staff.replace(
        "      baseDn:",
        "      users: {disabled: {attribute: employeeType, values: [disabled]}}\n      baseDn:",
    );
    lab.write(
        "staff.yaml",
        &staff.replace("absent: Remove, limit: 0", "limit: 0"),
    );
    state("chidi", "disabled");
    lab.run(SYNC).await.ends_with(0).prints("2 Invite");
    state("ada", "disabled");
    // It is done, and the command is gone before it hears of that.
    let lost = Fault::new(Way::Hang).work(Work::Done).method("POST");
    let lost = lost.path("/api/public/").from_then_on();
    lab.organization.faults().inject(lost);
    lab.run_until_killed(SYNC, || !revoked(&lab).is_empty())
        .await;
    lab.organization.faults().clear();
    assert_eq!(revoked(&lab), ["ada@example.com"]);

    // What it may have taken away counts: nobody else may be dismissed today, by a limit of one.
    for (uid, now) in [("ada", "active"), ("bob", "disabled")] {
        state(uid, now);
    }
    let ran = lab.run(SYNC).await;
    assert_eq!(revoked(&lab), [""; 0]);
    let ran = ran.ends_with(3).prints("1 Restore");
    ran.prints("1 more did in the last 24 hours");
}
