//! What a read makes of a tenant.

use directory_sync::api::spec::EntraIdEmail;
use directory_sync::complete::Complete;
use directory_sync::directory::AccountState::{Active, Deleted, Disabled};
use directory_sync::directory::User;
use directory_sync::problem::ProblemReason;
use directory_sync::source::entra_id::{GroupSettings, GroupTypes, UserTypes};
use directory_sync::sync::policy::{OffboardingAction, Policy};
use directory_sync::sync::resolve::resolve;
use directory_sync::sync::roster::{Eligibility, GroupEligibility};
use directory_sync_testing::policy;
use simulators::entra_id::{Config, GroupSeed, PageSizes, UserSeed, permission};
use simulators::lab::Company;

use crate::harness::*;

#[tokio::test]
async fn people_and_groups_are_read_with_the_ids_that_the_old_client_used() {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("Ada"));
    let bob = tenant.add_user(UserSeed::new("bob").disabled());
    let device = tenant.add_device();
    let staff = tenant.add_group("Staff", [ada, bob, device]);
    let directory = read(settings(&tenant)).await;
    assert_eq!(
        people(&directory),
        [
            ("ada@example.com".to_owned(), Active),
            ("bob@example.com".to_owned(), Disabled)
        ]
    );
    assert_eq!(members(&directory, "Staff"), ["ada", "bob"]);
    assert_eq!(directory.groups[0].id.as_str(), staff.to_string());
    let ids: Vec<&str> = directory.users.iter().map(|u| u.id.as_str()).collect();
    assert!(ids.contains(&ada.to_string().as_str()));
    assert_eq!(
        directory.unknown_members.count, 0,
        "a computer is nobody to tell about"
    );
}

#[tokio::test]
async fn groups_within_groups_and_in_circles_are_taken_as_they_are() {
    let tenant = tenant().await;
    let [ada, bob] = ["ada", "bob"].map(|name| tenant.add_user(UserSeed::new(name)));
    let inner = tenant.add_group("Inner", [ada]);
    let outer = tenant.add_group("Outer", [bob, inner]);
    tenant.add_member(inner, outer);
    let directory = read(settings(&tenant)).await;
    assert_eq!(members(&directory, "Inner"), ["ada", "group:Outer"]);
    assert_eq!(members(&directory, "Outer"), ["bob", "group:Inner"]);
}

#[tokio::test]
async fn guests_are_left_out_unless_they_are_wanted_and_old_accounts_are_not_guests() {
    let tenant = tenant().await;
    tenant.add_user(UserSeed::new("ada").old());
    tenant.add_user(UserSeed::new("gina").guest());
    let none = UserSeed::new("gus").guest().mail(None);
    tenant.add_user(none);
    assert_eq!(names(&read(settings(&tenant)).await), ["ada"]);

    let mut guests = settings(&tenant);
    guests.users.types = UserTypes {
        members: false,
        guests: true,
        agents: false,
    };
    let directory = read(guests).await;
    // A guest's principal name is no address, however much it looks like one.
    assert_eq!(
        people(&directory),
        [
            ("(there is no email)".to_owned(), Active),
            ("gina@example.com".to_owned(), Active)
        ]
    );
}

#[tokio::test]
async fn the_email_is_mail_or_the_principal_name_by_the_rule_that_is_chosen() {
    let tenant = tenant().await;
    tenant.add_user(UserSeed::new("ada").mail(None));
    tenant.add_user(UserSeed::new("bob").mail(Some("bob@x.onmicrosoft.com")));
    tenant.add_user(UserSeed::new("cleo").mail(Some("CC@example.org")));
    let emails = async |rule| {
        let mut settings = settings(&tenant);
        settings.users.email = rule;
        let directory = read(settings).await;
        let people = people(&directory).into_iter();
        people.map(|(email, _)| email).collect::<Vec<_>>()
    };
    assert_eq!(
        emails(EntraIdEmail::MailOrUserPrincipalName).await,
        ["ada@example.com", "bob@example.com", "cc@example.org"]
    );
    assert_eq!(
        emails(EntraIdEmail::Mail).await,
        [
            "(there is no email)",
            "bob@x.onmicrosoft.com",
            "cc@example.org"
        ]
    );
    assert_eq!(
        emails(EntraIdEmail::UserPrincipalName).await,
        ["ada@example.com", "bob@example.com", "cleo@example.com"]
    );
}

#[tokio::test]
async fn soft_deleted_people_are_listed_as_deleted_and_groups_are_absent() {
    let tenant = tenant().await;
    let [ada, bob] = ["ada", "bob"].map(|name| tenant.add_user(UserSeed::new(name)));
    let gone = tenant.add_group("Gone", [ada]);
    tenant.add_group("Staff", [ada, bob]);
    tenant.change(|hand| {
        hand.delete(bob);
        hand.delete(gone);
    });
    let directory = read(settings(&tenant)).await;
    assert_eq!(
        people(&directory),
        [
            ("ada@example.com".into(), Active),
            ("bob@example.com".into(), Deleted),
        ]
    );
    let deleted = |user: &&User| user.state == Deleted;
    let evidence = directory.users.iter().find(deleted).unwrap();
    let evidence = evidence.evidence.as_ref().unwrap();
    assert_eq!(&*evidence.attribute, "deletedDateTime");
    assert_eq!(&*evidence.entry, "bob@example.com");
    assert_eq!(group_names(&directory), ["Staff"]);
    assert_eq!(members(&directory, "Staff"), ["ada"]);

    // Their name is free for somebody else, and has the id in front.
    let mut by_name = settings(&tenant);
    by_name.users.email = EntraIdEmail::UserPrincipalName;
    assert_eq!(names(&read(by_name).await), ["ada", "bob"]);
}

#[tokio::test]
async fn ai_agents_are_left_out_unless_they_are_asked_for() {
    let tenant = tenant().await;
    tenant.add_user(UserSeed::new("ada"));
    let agent = tenant.add_user(UserSeed::new("agent").agent());
    tenant.add_group("Staff", [agent]);
    let directory = read(settings(&tenant)).await;
    assert_eq!(names(&directory), ["ada"]);
    assert_eq!(members(&directory, "Staff"), [""; 0]);
    // A gateway that trims annotations doesn't make people of them.
    tenant.spoil("/v1.0/users", 1, |page| {
        for user in page["value"].as_array_mut().unwrap() {
            user.as_object_mut().unwrap().remove("@odata.type");
        }
    });
    assert_eq!(names(&read(settings(&tenant)).await), ["ada"]);

    let mut all = settings(&tenant);
    all.users.types.agents = true;
    assert_eq!(names(&read(all).await), ["ada", "agent"]);
}

#[tokio::test]
async fn every_kind_of_group_is_read_and_kinds_can_be_chosen() {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("ada"));
    tenant.seed_group(GroupSeed::new("Security", [ada]).dynamic());
    tenant.seed_group(GroupSeed::new("Team", [ada]).unified());
    tenant.seed_group(GroupSeed::new("List", [ada]).distribution());
    assert_eq!(
        group_names(&read(settings(&tenant)).await),
        ["List", "Security", "Team"]
    );
    for (security, microsoft_365, expected) in [
        (true, false, vec!["Security"]),
        (false, true, vec!["Team"]),
        (true, true, vec!["Security", "Team"]),
    ] {
        let types = Some(GroupTypes {
            security,
            microsoft_365,
        });
        let chosen = GroupSettings {
            types,
            ..GroupSettings::default()
        };
        let directory = read(with_groups(&tenant, chosen)).await;
        assert_eq!(group_names(&directory), expected);
    }
}

/// A tenant whose groups come on many pages, large ones on several.
async fn large() -> (simulators::entra_id::SimulatedEntra, Company) {
    let pages = PageSizes {
        usual: 20,
        most: 999,
        delta: 7,
        delta_members: 50,
    };
    let tenant = tenant_with(Config {
        pages,
        ..Config::default()
    })
    .await;
    let company = Company::new(1_500, 60);
    tenant.add_company(&company);
    (tenant, company)
}

fn memberships(directory: &directory_sync::directory::Directory) -> (usize, usize) {
    let groups = &directory.groups;
    (
        groups.iter().map(|group| group.users.len()).sum(),
        groups.iter().map(|group| group.groups.len()).sum(),
    )
}

#[tokio::test]
async fn a_company_on_many_pages_is_read_whole_by_both_ways() {
    let (tenant, company) = large().await;
    let nested: usize = company
        .all_teams()
        .iter()
        .map(|team| team.teams.len())
        .sum();
    tenant.set_noisy(true);
    let by_delta = read(settings(&tenant)).await;
    assert_eq!(by_delta.users.len(), 1_500);
    assert_eq!(memberships(&by_delta), (6_000, nested));

    // A filter that fits every group makes it go the other way, over more than one page a list.
    let all = GroupSettings {
        filter: Some("securityEnabled eq true".into()),
        ..GroupSettings::default()
    };
    tenant.clear_requests();
    let by_batch = read(with_groups(&tenant, all)).await;
    assert!(tenant.requests().iter().any(|r| r.path == "/v1.0/$batch"));
    assert!(
        !tenant
            .requests()
            .iter()
            .any(|r| r.path == "/v1.0/groups/delta")
    );
    assert_eq!(fingerprint(&by_delta), fingerprint(&by_batch));
}

#[tokio::test]
async fn what_changes_between_two_pages_is_followed() {
    let (tenant, _) = large().await;
    let left = tenant.add_user(UserSeed::new("left"));
    let group = tenant.add_group("Last", [left]);
    tenant.before("/v1.0/groups/delta", 3, move |hand| {
        hand.remove_member(group, left);
    });
    let mut reader = Reader::new(settings(&tenant));
    let directory = reader.next().await.unwrap();
    assert_eq!(members(&directory, "Last"), [""; 0]);
    let again = reader.next().await;
    assert!(
        again.is_some(),
        "what changed during the read is told again"
    );
}

#[tokio::test]
async fn an_account_blocked_while_others_are_read_is_blocked_at_the_next_read() {
    let (tenant, _) = large().await;
    let user = tenant.add_user(UserSeed::new("zoe"));
    let mut reader = Reader::new(settings(&tenant));
    // After the last page of users, when only groups are still to come.
    tenant.before("/v1.0/groups/delta", 9, move |hand| hand.disable(user));
    reader.next().await.unwrap();
    let directory = reader.next().await.unwrap();
    assert!(people(&directory).contains(&("zoe@example.com".into(), Disabled)));
}

#[tokio::test]
async fn a_removal_in_the_middle_of_a_delta_is_followed() {
    let tenant = tenant().await;
    let [ada, bob] = ["ada", "bob"].map(|name| tenant.add_user(UserSeed::new(name)));
    let staff = tenant.add_group("Staff", [ada, bob]);
    let gone = tenant.add_group("Gone", [ada]);
    // Graph replays what happened meanwhile, with no more than an id and what is new.
    tenant.spoil("/v1.0/groups/delta", 1, move |body| {
        let replays = [
            serde_json::json!({"id": staff.to_string(), "members@delta": [{
                "@odata.type": "#microsoft.graph.user",
                "id": bob.to_string(),
                "@removed": {"reason": "deleted"},
            }]}),
            serde_json::json!({"id": gone.to_string(), "@removed": {"reason": "changed"}}),
        ];
        body["value"].as_array_mut().unwrap().extend(replays);
    });
    let directory = read(settings(&tenant)).await;
    assert_eq!(
        group_names(&directory),
        ["Staff"],
        "and its name isn't forgotten"
    );
    assert_eq!(members(&directory, "Staff"), ["ada"]);
}

fn only_members_of_groups() -> Policy {
    let mut policy = policy();
    policy.groups.only_their_members = true;
    policy.offboarding.absent = OffboardingAction::Remove;
    policy
}

#[tokio::test]
async fn a_group_that_hides_its_members_is_left_as_it_is_and_named() {
    let tenant = tenant().await;
    let [ada, bob] = ["ada", "bob"].map(|name| tenant.add_user(UserSeed::new(name)));
    let hidden = tenant.seed_group(GroupSeed::new("Secret", [ada]).hidden());
    tenant.add_group("Outer", [bob, hidden]);
    tenant.add_group("Open", [bob]);
    let roster = async || {
        let directory = Complete::after_last_page(read(settings(&tenant)).await);
        resolve(directory, &only_members_of_groups()).unwrap()
    };
    let seen = roster().await;
    let in_scope: Vec<&str> = seen.groups.iter().map(|group| &*group.name).collect();
    assert_eq!(in_scope, ["Open"]);
    assert_eq!(
        seen.other_groups.len(),
        2,
        "the group and the one around it"
    );
    assert!(
        seen.other_groups
            .values()
            .all(|s| matches!(s, GroupEligibility::Unusable(_)))
    );
    // Whoever may be in the hidden group isn't taken for somebody who is in none.
    let eligibility = |email: &str| {
        let found = seen.people.iter().find(|person| {
            person
                .email
                .as_ref()
                .is_some_and(|known| known.as_str() == email)
        });
        found.unwrap().eligibility
    };
    assert_eq!(eligibility("ada@example.com"), Eligibility::Unusable);
    assert_eq!(eligibility("bob@example.com"), Eligibility::Active);
    let (_, count, kept) = seen
        .problems
        .by_reason()
        .find(|(reason, ..)| *reason == ProblemReason::HiddenMembers)
        .unwrap();
    assert_eq!(count, 2);
    assert!(
        kept.iter()
            .any(|problem| problem.message.contains("Secret"))
    );

    tenant.set_permissions([permission::DIRECTORY, permission::HIDDEN_MEMBERS]);
    let seen = roster().await;
    assert_eq!(seen.groups.len(), 3);
    assert!(seen.problems.is_empty());
    assert!(
        seen.people
            .iter()
            .all(|person| person.eligibility == Eligibility::Active)
    );
}

#[tokio::test]
async fn hidden_groups_are_noticed_in_batches_too() {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("ada"));
    let hidden = tenant.seed_group(GroupSeed::new("Secret", [ada]).hidden());
    let outer = tenant.add_group("Outer", [hidden]);
    let only_outer = GroupSettings {
        ids: vec![outer.to_string()],
        ..GroupSettings::default()
    };
    let directory = read(with_groups(&tenant, only_outer)).await;
    assert_eq!(group_names(&directory), ["Outer"]);
    assert!(directory.groups[0].in_part.is_some());
}
