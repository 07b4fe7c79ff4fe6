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
async fn a_record_that_is_lost_before_each_command_gives_no_fresh_limit_of_dismissals() {
    let lab = Lab::new().await;
    with_states(&lab, "limit: 0");
    account(&lab, "chidi", "disabled");
    lab.run(SYNC).await.ends_with(0).prints("2 Invite");
    let [record, lock] = lab.record();
    let older_lock = std::fs::read(&lock).unwrap();
    account(&lab, "ada", "disabled");
    lab.run(SYNC).await.ends_with(0).prints("1 Revoke");
    account(&lab, "bob", "disabled");
    let older = std::fs::read(&record).unwrap();
    let lost = [
        (&lock, Some(&older_lock)),
        (&record, None),
        (&record, Some(&older)),
        (&record, Some(&b"damaged".to_vec())),
        (&lock, None),
    ]
    .map(|(path, content)| (path.clone(), content.cloned()));
    for (path, content) in lost {
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let held = lab.run(SYNC).await.ends_with(3);
        held.prints("1 more did in the last 24 hours");
        assert_eq!(revoked(&lab), ["ada@example.com"]);
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

#[tokio::test]
async fn whoever_was_removed_as_disabled_is_not_invited_under_another_prefix() {
    let lab = Lab::new().await;
    let staff = lab.resource().replace("absent: Remove", "disabled: Remove");
    let rule =
        "      users: {disabled: {attribute: employeeType, values: [disabled]}}\n      baseDn:";
    lab.write("staff.yaml", &staff.replace("      baseDn:", rule));
    lab.run(SYNC).await.ends_with(0).prints("3 Invite");
    let dn = "uid=ada,ou=people,dc=example,dc=com";
    let disabled =
        format!("dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: disabled\n");
    lab.slapd.modify(&disabled).unwrap();
    lab.run(SYNC).await.ends_with(0).prints("1 Remove");

    // One edit takes the rule out, and gives everybody another id.
    let prefix = "  organization:\n    externalIdPrefix: 'y:'\n";
    lab.write("staff.yaml", &staff.replace("  organization:\n", prefix));
    for _ in 0..2 {
        let ran = lab.run(SYNC).await;
        assert!(!is_there(&lab, "ada"), "{ran}");
        ran.prints("UnknownAccountState");
    }
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
    // Whoever approved that may have been wrong: nobody else is revoked by it either.
    let ran = lab.run(SYNC).await.ends_with(3).prints("held");
    ran.prints("ApprovalVoid");
    assert_eq!(revoked(&lab), [""; 0]);
}

/// More than the record itself has room for.
#[tokio::test]
async fn an_approval_of_thousands_is_finished_by_the_next_command_unless_what_was_kept_is_altered()
{
    const LEAVERS: usize = 3_005;
    let lab = Lab::new().await;
    lab.run(SYNC).await.ends_with(0);
    let [record, lock] = lab.record();
    let approved = record.with_extension("approved");
    let state = [&record, &lock, &approved];
    for number in 0..LEAVERS {
        leave(&lab, &format!("leaver{number}"));
    }
    let members = || lab.organization.snapshot().members.len();
    let all = members();
    let digest = digest(&lab).await;
    assert!(!approved.exists());
    let second = Fault::new(Way::InternalError).work(Work::Undone);
    let second = second
        .method("POST")
        .path("/api/public/organization/import");
    let second = second.on_request(2).from_then_on();
    lab.organization.faults().inject(second);
    lab.run(&format!("{SYNC} --approve {digest}"))
        .await
        .ends_with(1);
    lab.organization.faults().clear();
    let left = members();
    assert!(left < all && left > all - LEAVERS, "{left} of {all}");
    let before = state.map(|path| std::fs::read(path).unwrap());

    let mut altered = before[2].clone();
    altered[100] ^= 1;
    for altered in [Some(altered), None] {
        match altered {
            Some(altered) => std::fs::write(&approved, altered).unwrap(),
            None => std::fs::remove_file(&approved).unwrap(),
        }
        let held = lab.run(SYNC).await.ends_with(3);
        held.prints("was kept beside the record, and is missing or altered");
        assert_eq!(members(), left);
        for (path, bytes) in state.iter().zip(&before) {
            std::fs::write(path, bytes).unwrap();
        }
    }
    lab.run(SYNC).await.ends_with(0).prints("Remove");
    assert_eq!(members(), all - LEAVERS);
    lab.run(SYNC).await.ends_with(0);
    let kept = std::fs::read(&approved).unwrap();
    assert!(kept.len() < 100, "nothing is left of it: {}", kept.len());
}

#[tokio::test]
async fn whom_a_killed_command_revoked_gets_access_back() {
    let vaultwarden = Config::vaultwarden();
    let vaultwarden = SimulatedOrganization::start(vaultwarden).await.unwrap();
    whom_a_killed_command_revoked(Lab::of(vaultwarden).await).await;
    whom_a_killed_command_revoked(Lab::new().await).await;
}

/// The state of somebody's account in the directory.
fn account(lab: &Lab, uid: &str, state: &str) {
    let dn = format!("uid={uid},ou=people,dc=example,dc=com");
    let change =
        format!("dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: {state}\n");
    lab.slapd.modify(&change).unwrap();
}

/// Writes a resource that reads that state, with these limits.
fn with_states(lab: &Lab, limits: &str) {
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
        &staff.replace("absent: Remove, limit: 0", limits),
    );
}

async fn whom_a_killed_command_revoked(lab: Lab) {
    let state = |uid: &str, state: &str| account(&lab, uid, state);
    with_states(&lab, "limit: 0");
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

/// Ada and Bob were revoked as disabled, and are active again.
async fn returned(lab: &Lab) {
    with_states(lab, "disabledLimit: 100%");
    account(lab, "chidi", "active");
    lab.run(SYNC).await.ends_with(0).prints("3 Invite");
    for uid in ["ada", "bob"] {
        account(lab, uid, "disabled");
    }
    lab.run(SYNC).await.ends_with(0).prints("2 Revoke");
    for uid in ["ada", "bob"] {
        account(lab, uid, "active");
    }
}

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn whoever_a_killed_command_gave_access_back_and_is_revoked_by_hand_stays_so() {
    let lab = Lab::new().await;
    returned(&lab).await;
    lab.organization.set_latency(LATENCY);
    let has_access = || !revoked(&lab).contains(&ADA.to_owned());
    lab.run_until_killed(SYNC, has_access).await;
    lab.organization.set_latency(Duration::ZERO);
    lab.organization.revoke(ADA);
    for _ in 0..2 {
        let ran = lab.run(SYNC).await.ends_with(0);
        ran.prints("ada@example.com is active in the directory and revoked in Bitwarden");
        assert!(!has_access());
    }
}

#[tokio::test]
async fn whoever_a_failed_command_gave_access_back_and_is_revoked_by_hand_stays_so() {
    let lab = Lab::new().await;
    returned(&lab).await;
    let fails = Fault::new(Way::InternalError).work(Work::Undone);
    let fails = fails.method("POST").path("/api/public/members");
    lab.organization
        .faults()
        .inject(fails.on_request(2).from_then_on());
    lab.run(SYNC).await.ends_with(1);
    lab.organization.faults().clear();
    assert_eq!(revoked(&lab), ["bob@example.com"]);
    lab.organization.revoke(ADA);
    let ran = lab.run(SYNC).await.ends_with(0).prints("1 Restore");
    ran.prints("ada@example.com is active in the directory and revoked in Bitwarden");
    assert_eq!(revoked(&lab), [ADA]);
}

#[tokio::test]
async fn whom_a_killed_import_may_have_given_access_back_waits_for_an_approval() {
    let vaultwarden = Config::vaultwarden();
    let vaultwarden = SimulatedOrganization::start(vaultwarden).await.unwrap();
    let lab = Lab::of(vaultwarden).await;
    returned(&lab).await;
    let lost = Fault::new(Way::Hang).work(Work::Done).method("POST");
    let lost = lost.path("/api/public/").from_then_on();
    lab.organization.faults().inject(lost);
    lab.run_until_killed(SYNC, || revoked(&lab).is_empty())
        .await;
    lab.organization.faults().clear();
    lab.organization.revoke(ADA);
    let held = lab.run(SYNC).await.ends_with(3);
    held.prints("a sync ended while it gave access back to 2 people");
    assert_eq!(revoked(&lab), [ADA]);
    let digest = digest(&lab).await;
    let approved = lab.run(&format!("{SYNC} --approve {digest}")).await;
    approved.ends_with(0).prints("2 Restore");
    assert_eq!(revoked(&lab), [""; 0]);
}
