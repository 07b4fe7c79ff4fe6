//! `explain`, on real parts.

use std::path::Path;

use directory_sync_testing::documentation::Page;
use directory_sync_testing::manifests::resource;
use serde_json::Value;
use simulators::fault::{Fault, Way};
use simulators::lab::{Ldif, Person, Slapd};
use simulators::organization::MemberSeed;

use crate::lab::{BIND_PASSWORD, Lab, Ran, entry_uuid};

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
async fn the_last_changes_are_told_also_of_somebody_who_is_nowhere_any_more() {
    let lab = Lab::new().await.with_leaver();
    let sync = format!("sync {FILES} --yes");
    lab.run(&sync).await.ends_with(3);
    let plan = lab.run(&format!("plan {FILES} -o json")).await.ends_with(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    lab.run(&format!("{sync} --approve {digest}"))
        .await
        .ends_with(0);

    let changes = async |asked: &str, code: i32| {
        let ran = lab.run(&format!("explain {FILES} -o json {asked}")).await;
        let answer: Value = serde_json::from_str(&ran.ends_with(code).stdout).unwrap();
        let person = answer["people"][0].get("lastChanges");
        let group = answer["groups"][0].get("lastChanges");
        let nobody = answer["notFound"].get("lastChanges");
        let found = person.or(group).or(nobody).cloned().unwrap_or_default();
        let found = found.as_array().cloned().unwrap_or_default();
        let what = found
            .iter()
            .map(|one| one["what"].as_str().unwrap().to_owned());
        (what.collect::<Vec<_>>(), found)
    };
    let (what, _) = changes("ada@example.com", 0).await;
    let mut what = what.clone();
    what.sort();
    assert_eq!(
        what,
        ["added to group engineering, which was created", "invited"]
    );
    let (what, _) = changes(&entry_uuid("chidi"), 0).await;
    assert_eq!(what, ["invited"]);
    let (what, _) = changes("engineering", 0).await;
    assert_eq!(what, ["created with 2 members"]);
    // Removed, and in neither side: only the history knows.
    let (what, told) = changes("LEAVER@example.com", 4).await;
    assert_eq!(what, ["removed from the organization"]);
    assert_eq!(told[0]["why"], "not in the directory's complete list");
    let approved = told[0]["approved"].as_str().unwrap();
    assert!(approved.contains(digest), "{approved}");
    let text = lab
        .run(&format!("explain {FILES} leaver@example.com"))
        .await;
    text.ends_with(4)
        .prints("\n  last changes  20")
        .prints("removed from the");
    assert!(changes("nobody@example.com", 4).await.0.is_empty());
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

/// The company of the page: Ann is in Engineering through Backend, and was taken out of it by hand.
async fn documented() -> (Lab, Slapd) {
    company(&[]).await
}

/// The same with teams beside, of which Dan is a member.
async fn company(teams: &[String]) -> (Lab, Slapd) {
    let lab = Lab::new().await;
    let eve = MemberSeed::new("eve@example.com");
    lab.organization.seed_member(eve);
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.unit("", "people");
    ldif.unit("", "groups");
    let dns: Vec<String> = ["ann", "bob", "cid"]
        .into_iter()
        .map(|uid| ldif.person("ou=people", &Person::new(uid)))
        .collect();
    // Groups are made in the order of their ids.
    let id = |number: u32| Some(format!("00000000-0000-4000-8000-00000000000{number}"));
    ldif.group_of_names("ou=groups", "Backend", id(1).as_deref(), &dns[..1]);
    ldif.group_of_names("ou=groups", "Contractors", id(2).as_deref(), &dns[..1]);
    let backend = "cn=Backend,ou=groups,dc=example,dc=com".to_owned();
    let members = [&[backend], &dns[1..]].concat();
    ldif.group_of_names("ou=groups", "Engineering", id(3).as_deref(), &members);
    if !teams.is_empty() {
        let dan = [ldif.person("ou=people", &Person::new("dan"))];
        for team in teams {
            ldif.group_of_names("ou=groups", team, None, &dan);
        }
    }
    ldif.account("reader", BIND_PASSWORD);
    let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
    let spec = format!(
        "  source:
    ldap: {{url: '{}', bindSecretRef: {{name: ldap-bind}}, baseDn: 'dc=example,dc=com'}}
  groups: {{exclude: ['contract*']}}
",
        slapd.url()
    );
    lab.write("staff.yaml", &resource(&lab.organization, &spec));
    lab.run(&format!("sync {FILES} --yes")).await.ends_with(0);
    let inside = ["bob@example.com", "eve@example.com"];
    lab.organization.set_group_members("Engineering", &inside);
    (lab, slapd)
}

#[tokio::test]
async fn the_page_on_explanations_shows_what_the_program_prints() {
    let mut page = Page::of(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain.md"));
    let (lab, _slapd) = documented().await;
    for asked in ["ann@example.com", "Engineering"] {
        let ran = lab.run(&format!("explain {FILES} {asked}")).await;
        let printed = answer(&ran.ends_with(0).stdout).to_owned();
        let printed = format!(
            "identity/staff\nldaps://ldap.example.com → 3c1e9f52-08d6-4c1b-a3f7-5e6d9b2a4410 at\n\
             https://api.bitwarden.com\n\n{printed}"
        );
        let command = format!("directory-sync explain -f staff.yaml -f secrets.yaml {asked}");
        page.shows(&command, &printed);
    }
    page.finish();
}

/// The groups of which the members were asked for since last asked, and what was printed.
async fn groups_asked_for(lab: &Lab, asked: &str) -> (Vec<String>, Ran) {
    lab.organization.clear_requests();
    let ran = lab
        .run(&format!("explain {FILES} {asked}"))
        .await
        .ends_with(0);
    let requests = lab.organization.requests();
    let groups = lab.organization.group_ids().into_iter();
    let was_read = |path: String| requests.iter().any(|one| one.path.contains(&path));
    let mut names: Vec<String> = groups
        .filter(|(_, id)| was_read(format!("groups/{id}/member-ids")))
        .map(|(name, _)| name)
        .collect();
    names.sort();
    (names, ran)
}

#[tokio::test]
async fn groups_are_asked_for_as_far_as_the_answer_needs_them() {
    let teams: Vec<String> = (10..70).map(|number| format!("Team {number}")).collect();
    let (lab, slapd) = company(&teams).await;
    let spec = std::fs::read_to_string(lab.path("staff.yaml")).unwrap();
    let spec = spec + "  offboarding: {absent: Revoke, limit: 100%}\n";
    lab.write("staff.yaml", &spec);
    let state = lab.record()[0].with_extension("groups");
    std::fs::remove_file(&state).unwrap();
    // Whoever loses nothing is answered by their own groups; so is a group.
    let only = async |asked: &str| groups_asked_for(&lab, asked).await.0;
    assert_eq!(only("bob@example.com").await, ["Engineering"]);
    assert_eq!(only("Backend").await, ["Backend"]);

    // Whether a limit holds what somebody loses depends on what others lose.
    slapd
        .modify("dn: uid=bob,ou=people,dc=example,dc=com\nchangetype: delete\n\n")
        .unwrap();
    let as_of = "what others lose, which limits count";
    let without = async |what: &str| {
        let (asked_for, ran) = groups_asked_for(&lab, "bob@example.com").await;
        assert_eq!(asked_for.len(), teams.len() + 2, "{what}: {asked_for:?}");
        let ran = ran.prints("revoke the access");
        assert!(!ran.stdout.contains(as_of), "{what}: {ran}");
    };
    without("none yet").await;
    // Of the others, it was seen by the last command that compared them.
    lab.run(&format!("plan {FILES}")).await.ends_with(0);
    let (asked_for, ran) = groups_asked_for(&lab, "bob@example.com").await;
    assert_eq!(asked_for, ["Engineering"]);
    ran.prints("revoke the access").prints(as_of);
    let kept = std::fs::read(&state).unwrap();
    std::fs::write(&state, &kept[..kept.len() - 1]).unwrap();
    without("damaged").await;
    std::fs::write(&state, kept).unwrap();

    // A command that ends in the middle of changes leaves nothing of it.
    let fault = Fault::new(Way::InternalError).method("PUT");
    lab.organization.faults().inject(fault.from_then_on());
    lab.run(&format!("sync {FILES} --yes")).await.ends_with(1);
    lab.organization.faults().clear();
    assert!(!state.exists());
}
