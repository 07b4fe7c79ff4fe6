//! Roles, collections and invitations when a command is killed, and when its record is lost.

use std::time::Duration;

use simulators::organization::{Config, Role, SimulatedOrganization};

use crate::lab::Lab;

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q --yes";
const INFRA: &str = "11111111-1111-4111-8111-111111111111";
const PEOPLE: usize = 6;
/// So that a command can be killed between two of its requests.
const LATENCY: Duration = Duration::from_millis(250);

fn email(number: usize) -> String {
    format!("p{number}@example.com")
}

/// A group of these people, new in the directory.
fn group(lab: &Lab, name: &str, people: &[usize]) {
    let members = people.iter();
    let members =
        members.map(|number| format!("member: uid=p{number},ou=people,dc=example,dc=com\n"));
    let members: String = members.collect();
    let entry = format!(
        "dn: cn={name},ou=groups,dc=example,dc=com\nchangetype: add\nobjectClass: groupOfNames\ncn: {name}\n{members}"
    );
    lab.slapd.modify(&entry).unwrap();
}

fn leaves(lab: &Lab, name: &str, number: usize) {
    let entry = format!(
        "dn: cn={name},ou=groups,dc=example,dc=com\nchangetype: modify\ndelete: member\nmember: \
         uid=p{number},ou=people,dc=example,dc=com\n"
    );
    lab.slapd.modify(&entry).unwrap();
}

fn joins(lab: &Lab, name: &str, number: usize) {
    let entry = format!(
        "dn: cn={name},ou=groups,dc=example,dc=com\nchangetype: modify\nadd: member\nmember: \
         uid=p{number},ou=people,dc=example,dc=com\n"
    );
    lab.slapd.modify(&entry).unwrap();
}

fn admins(lab: &Lab) -> usize {
    let members = lab.organization.snapshot().members.into_values();
    members.filter(|member| member.role == Role::Admin).count()
}

fn with_access(lab: &Lab) -> usize {
    let groups = lab.organization.snapshot().groups;
    groups
        .iter()
        .filter(|group| !group.collections.is_empty())
        .count()
}

/// What is said of a role or an access that a killed command may have given, or somebody by hand.
const IN_DOUBT: &str = "may have given it";

/// Six people, all confirmed; `groups` of them are in the organization.
async fn confirmed(groups: &[(&str, &[usize])]) -> Lab {
    let lab = Lab::with_people(PEOPLE).await;
    confirm(lab, groups).await
}

async fn confirm(lab: Lab, groups: &[(&str, &[usize])]) -> Lab {
    for (name, people) in groups {
        group(&lab, name, people);
    }
    access(&lab, "{}");
    lab.run(SYNC).await.ends_with(0);
    for number in 0..PEOPLE {
        assert!(lab.organization.accept_and_confirm(&email(number)));
    }
    lab.run(SYNC).await.ends_with(0);
    lab
}

fn access(lab: &Lab, access: &str) {
    let resource = lab.resource().replace("limit: 0", "limit: 100%");
    lab.write("staff.yaml", &format!("{resource}  access: {access}\n"));
}

#[tokio::test]
async fn roles_that_a_killed_command_gave_count_and_the_others_wait() {
    let lab = confirmed(&[("bw-admins", &[0, 1, 2, 3, 4, 5])]).await;
    let rules = |limit: usize| {
        access(
            &lab,
            &format!("{{limit: {limit}, roles: [{{group: bw-admins, role: Admin}}]}}"),
        );
    };
    rules(PEOPLE);
    lab.organization.set_latency(LATENCY);
    lab.run_until_killed(SYNC, || admins(&lab) >= 2).await;
    lab.organization.set_latency(Duration::ZERO);
    let given = admins(&lab);
    assert!(given < PEOPLE, "it ended too late");

    rules(given);
    let held = lab.run(SYNC).await.ends_with(3);
    held.prints(&format!("{} people would gain rights", PEOPLE - given))
        .prints(&format!("({given} more did in the last 24 hours)"));
    assert_eq!(admins(&lab), given);
    rules(PEOPLE);
    lab.run(SYNC).await.ends_with(0);
    assert_eq!(admins(&lab), PEOPLE);
    // They are known as given by runs, also those of the killed one that the server had answered.
    for number in 0..PEOPLE - 1 {
        leaves(&lab, "bw-admins", number);
    }
    let output = lab.run(SYNC).await.ends_with(0).stdout;
    let in_doubt = admins(&lab) - 1;
    assert!(in_doubt < given, "{in_doubt} of {given} in doubt");
    assert_eq!(output.matches(IN_DOUBT).count(), in_doubt, "{output}");
    let history = lab.run("history -f staff.yaml -f secrets.yaml --all").await;
    let history = history.ends_with(0).stdout;
    for number in 0..PEOPLE {
        let told = format!("{}: Admin through", email(number));
        assert_eq!(history.matches(&told).count(), 1, "{history}");
    }
}

#[tokio::test]
async fn access_that_a_killed_command_gave_counts_and_the_other_groups_wait() {
    let config = Config {
        collections: vec![INFRA.to_owned()],
        ..Config::cloud()
    };
    let organization = SimulatedOrganization::start(config).await.unwrap();
    let lab = Lab::of_people(organization, PEOPLE);
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("team-{number}")).collect();
    let numbers: Vec<[usize; 1]> = (0..PEOPLE).map(|number| [number]).collect();
    let groups = names.iter().zip(&numbers);
    let groups: Vec<(&str, &[usize])> = groups
        .map(|(name, one)| (name.as_str(), &one[..]))
        .collect();
    let lab = confirm(lab, &groups).await;
    let rules = |limit: usize| {
        access(
            &lab,
            &format!(
                "{{collectionsLimit: {limit}, collections: [{{group: team-*, collections: [{{id: {INFRA}, access: \
                 View}}]}}]}}"
            ),
        );
    };
    rules(PEOPLE);
    lab.organization.set_latency(LATENCY);
    lab.run_until_killed(SYNC, || with_access(&lab) >= 1).await;
    // Several are under way at once.
    tokio::time::sleep(2 * LATENCY).await;
    lab.organization.set_latency(Duration::ZERO);
    let given = with_access(&lab);
    if given < PEOPLE {
        rules(given);
        let held = lab.run(SYNC).await.ends_with(3);
        held.prints(&format!("{} people would gain access", PEOPLE - given))
            .prints(&format!("({given} more did in the last 24 hours)"));
        assert_eq!(with_access(&lab), given);
    }
    rules(PEOPLE);
    lab.run(SYNC).await.ends_with(0);
    assert_eq!(with_access(&lab), PEOPLE);
    // One more person is one too many in this day.
    group(&lab, "team-late", &[0]);
    lab.run(SYNC).await.ends_with(0);
    lab.run(SYNC)
        .await
        .ends_with(3)
        .prints(&format!("({PEOPLE} more did in the last 24 hours)"));
    access(&lab, "{}");
    let output = lab.run(SYNC).await.ends_with(0).stdout;
    let in_doubt = with_access(&lab);
    assert!(in_doubt <= given, "{in_doubt} of {given} in doubt");
    assert_eq!(output.matches(IN_DOUBT).count(), in_doubt, "{output}");
}

#[tokio::test]
async fn a_command_that_is_killed_while_it_invites_again_sends_nobody_more_mails() {
    let test = "a_command_that_is_killed_while_it_invites_again_sends_nobody_more_mails";
    let story = async || {
        let lab = Lab::with_people(PEOPLE).await;
        let resource = lab.resource();
        lab.write(
            "staff.yaml",
            &format!("{resource}  onboarding: {{reinvite: {{after: 72h, times: 2}}}}\n"),
        );
        let mails = || {
            let mails = lab.organization.invitations();
            let mails: Vec<u32> = (0..PEOPLE).map(|number| mails[&email(number)]).collect();
            mails
        };
        lab.run(SYNC).await.ends_with(0);
        for hours in [48, 73] {
            if hours == 73 {
                lab.organization.set_latency(LATENCY);
                let sent = || mails().iter().filter(|mails| **mails == 2).count();
                lab.run_ahead_until_killed((test, hours), SYNC, || sent() >= 2)
                    .await?;
                lab.organization.set_latency(Duration::ZERO);
                assert!(sent() < PEOPLE, "it ended too late");
            }
            lab.run_ahead(test, SYNC, hours).await?.ends_with(0);
        }
        // None of it again, for those that it may have sent.
        assert!(mails().iter().all(|mails| *mails <= 2), "{:?}", mails());
        for hours in [120, 146, 200, 260, 330, 400] {
            lab.run_ahead(test, SYNC, hours).await?.ends_with(0);
        }
        assert!(
            mails().iter().all(|mails| (2..=3).contains(mails)),
            "{:?}",
            mails()
        );
        assert!(mails().contains(&3), "{:?}", mails());
        Some(())
    };
    story().await;
}

#[tokio::test]
async fn without_its_record_no_role_is_taken_back_and_no_more_are_given_in_a_day() {
    let lab = confirmed(&[("bw-admins", &[0, 1])]).await;
    access(&lab, "{limit: 2, roles: [{group: bw-admins, role: Admin}]}");
    lab.run(SYNC).await.ends_with(0);
    assert_eq!(admins(&lab), 2);
    let [record, _] = lab.record();
    std::fs::remove_file(&record).unwrap();
    joins(&lab, "bw-admins", 2);
    leaves(&lab, "bw-admins", 0);
    let ran = lab.run(SYNC).await.ends_with(3);
    ran.prints("(2 more did in the last 24 hours)")
        .prints("AccessKept");
    assert_eq!(admins(&lab), 2);
    // However often it is lost.
    std::fs::remove_file(&record).unwrap();
    lab.run(SYNC).await.ends_with(3);
    assert_eq!(admins(&lab), 2);
    assert_eq!(
        lab.organization.snapshot().members[&email(0)].role,
        Role::Admin,
        "nobody knows any more that a run gave it"
    );
}
