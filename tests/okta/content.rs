//! Which people and groups are read, and as what.

use directory_sync::api::spec::{AccountMeaning, OktaGroupType};
use directory_sync::directory::AccountState::{self, Active, Deleted, Disabled};
use directory_sync::directory::Lookup;
use directory_sync::source::okta::{GroupScope, UserScope};
use directory_sync::source::{Source as _, SourceErrorKind};
use simulators::okta::{self, Config, GroupSeed, LinkStyle, SimulatedOkta, Status, UserSeed};

use crate::harness::*;

#[tokio::test]
async fn people_and_groups_come_whole_whatever_the_pages() {
    for links in [LinkStyle::Several, LinkStyle::One] {
        let okta = company(Config {
            links,
            ..Config::default()
        })
        .await;
        let seen = read(settings(&okta)).await;
        assert_eq!(seen.users.len(), 7);
        assert_eq!(seen.groups["All"].len(), 7);
        assert_eq!(
            seen.groups["Sales"],
            ["eve@example.com", "fay@example.com", "gus@example.com"]
        );
        assert_eq!(seen.groups["Empty"], [""; 0]);
        assert_eq!(seen.unknown_members, 0);
        let asked = |path: &str| okta.requests().iter().filter(|r| r.path == path).count();
        assert_eq!(
            asked("/api/v1/users"),
            5,
            "seven people are four pages of two, and nobody is deactivated"
        );
    }
}

async fn one_of_each_status() -> SimulatedOkta {
    let okta = organization().await;
    for status in Status::ALL {
        let email = format!("{}@example.com", status.name().to_lowercase());
        okta.user(UserSeed::new(&email).status(status));
    }
    okta
}

fn table(seen: &Seen) -> Vec<(&str, AccountState)> {
    let by_name = |status: &Status| {
        let name = status.name().to_lowercase();
        let (email, state) = seen.users.get_key_value(&format!("{name}@example.com"))?;
        Some((email.strip_suffix("@example.com").unwrap(), *state))
    };
    Status::ALL.iter().filter_map(by_name).collect()
}

#[tokio::test]
async fn every_status_means_what_the_table_says() {
    let okta = one_of_each_status().await;
    let defaults = read(settings(&okta)).await;
    assert_eq!(
        table(&defaults),
        [
            ("staged", Active),
            ("provisioned", Active),
            ("active", Active),
            ("recovery", Active),
            ("password_expired", Active),
            ("locked_out", Active),
            ("suspended", Disabled),
            ("deprovisioned", Deleted),
        ]
    );

    let mut changed = settings(&okta);
    changed.statuses.staged = Some(AccountMeaning::Absent);
    changed.statuses.locked_out = Some(AccountMeaning::Disabled);
    changed.statuses.suspended = Some(AccountMeaning::Active);
    changed.statuses.deprovisioned = Some(AccountMeaning::Disabled);
    let seen = read(changed).await;
    assert_eq!(
        table(&seen),
        [
            ("provisioned", Active),
            ("active", Active),
            ("recovery", Active),
            ("password_expired", Active),
            ("locked_out", Disabled),
            ("suspended", Active),
            ("deprovisioned", Disabled),
        ]
    );
}

#[tokio::test]
async fn an_unknown_status_is_reported_and_takes_nothing_from_anybody() {
    let okta = organization().await;
    okta.user(UserSeed::new("ann@example.com"));
    let bob = okta.user(UserSeed::new("bob@example.com").status(Status::Activating));
    okta.group(GroupSeed::new("Law").members([&bob]));
    let source = source(settings(&okta)).unwrap();
    let directory = directory_sync_testing::read_all(&source).await.unwrap();
    // Neither active nor gone: whoever this is in Bitwarden keeps what they have.
    let [undecided] = &directory.unidentified_users[..] else {
        panic!("{:?}", directory.unidentified_users);
    };
    assert!(undecided.undecided);
    assert_eq!(undecided.id.as_ref().unwrap().as_str(), bob);
    assert!(directory.groups[0].has_unidentified);
    let seen = Seen::from(directory);
    assert_eq!(seen.emails(), ["ann@example.com"]);
    let [problem] = &seen.problems[..] else {
        panic!("{:?}", seen.problems);
    };
    assert!(problem.contains("bob@example.com"), "{problem}");
    assert!(problem.contains("ACTIVATING"), "{problem}");
}

#[tokio::test]
async fn filter_and_search_say_who_is_read_and_deactivated_people_are_asked_for_within_them() {
    let okta = organization().await;
    let law = |email: &str| UserSeed::new(email).profile("department", "Law");
    okta.user(law("ann@example.com"));
    okta.user(law("bob@example.com").status(Status::Suspended));
    okta.user(law("cid@example.com").status(Status::Deprovisioned));
    okta.user(UserSeed::new("dot@example.com").status(Status::Deprovisioned));
    okta.user(UserSeed::new("eve@example.com"));

    let mut wanted = settings(&okta);
    wanted.users = UserScope::Search(r#"profile.department eq "Law""#.into());
    let seen = read(wanted.clone()).await;
    assert_eq!(
        seen.emails(),
        ["ann@example.com", "bob@example.com", "cid@example.com"]
    );
    wanted.statuses.deprovisioned = Some(AccountMeaning::Absent);
    let seen = read(wanted.clone()).await;
    assert_eq!(seen.emails(), ["ann@example.com", "bob@example.com"]);

    wanted.users =
        UserScope::Filter(r#"profile.email eq "eve@example.com" or status eq "SUSPENDED""#.into());
    let seen = read(wanted.clone()).await;
    assert_eq!(seen.emails(), ["bob@example.com", "eve@example.com"]);

    wanted.users = UserScope::Everyone;
    wanted.statuses.deprovisioned = Some(AccountMeaning::Deleted);
    let seen = read(wanted).await;
    assert_eq!(seen.users.len(), 5);
}

#[tokio::test]
async fn an_expression_that_okta_refuses_is_for_the_user_to_fix() {
    let okta = organization().await;
    let mut wrong = settings(&okta);
    wrong.users = UserScope::Search("department is Law".into());
    let error = failure(wrong).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("users.search"), "{error}");
    assert!(error.message.contains("E0000031"), "{error}");

    let mut wrong = settings(&okta);
    wrong.groups = Some(GroupScope {
        search: Some("(".into()),
        ..GroupScope::default()
    });
    let error = failure(wrong).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("groups.search"), "{error}");
}

#[tokio::test]
async fn groups_are_chosen_by_type_and_by_search_and_only_their_members_are_asked_for() {
    let okta = organization().await;
    let ann = okta.user(UserSeed::new("ann@example.com"));
    let group = |name: &str, kind| {
        okta.group(GroupSeed::new(name).kind(kind).members([ann.as_str()]));
    };
    group("eng-core", okta::GroupType::OktaGroup);
    group("eng-imported", okta::GroupType::AppGroup);
    group("sales", okta::GroupType::OktaGroup);
    group("Everyone", okta::GroupType::BuiltIn);

    let seen = read(settings(&okta)).await;
    assert_eq!(seen.group_names(), ["eng-core", "eng-imported", "sales"]);

    okta.clear_requests();
    let mut some = settings(&okta);
    some.groups = Some(GroupScope {
        search: Some(r#"profile.name sw "eng-""#.into()),
        types: vec![OktaGroupType::OktaGroup],
    });
    assert_eq!(read(some).await.group_names(), ["eng-core"]);
    let below = |request: &okta::Request| request.path.starts_with("/api/v1/groups/");
    assert_eq!(okta.requests().iter().filter(|r| below(r)).count(), 1);

    let mut built_in = settings(&okta);
    built_in.groups = Some(GroupScope {
        search: None,
        types: vec![OktaGroupType::BuiltIn],
    });
    assert_eq!(read(built_in).await.group_names(), ["Everyone"]);

    okta.clear_requests();
    let mut none = settings(&okta);
    none.groups = None;
    assert_eq!(read(none).await.group_names(), [""; 0]);
    assert_eq!(
        okta.requests().len(),
        2,
        "people alone, and those who are deactivated"
    );
}

#[tokio::test]
async fn an_application_says_who_may_come_in() {
    let okta = organization_with(Config {
        page_max: 1,
        ..Config::default()
    })
    .await;
    let person = |name: &str| okta.user(UserSeed::new(&format!("{name}@example.com")));
    let (ann, bob, cid) = (person("ann"), person("bob"), person("cid"));
    let law = okta.group(GroupSeed::new("Law").members([&ann, &cid]));
    let sales = okta.group(GroupSeed::new("Sales").members([&ann, &bob]));
    okta.group(GroupSeed::new("Other").members([&ann]));
    let former = |name: &str, status| {
        okta.user(UserSeed::new(&format!("{name}@example.com")).status(status))
    };
    let gone = former("gone", Status::Deprovisioned);
    former("suspended", Status::Suspended);
    okta.application("0oabitwarden", &[&ann, &bob, &gone], &[&law, &sales]);

    let mut assigned = settings(&okta);
    assigned.application_id = Some("0oabitwarden".into());
    let seen = read(assigned.clone()).await;
    // Whom Okta deactivated it also took out of the application: the status comes first.
    assert_eq!(
        seen.emails(),
        [
            "ann@example.com",
            "bob@example.com",
            "gone@example.com",
            "suspended@example.com"
        ]
    );
    assert_eq!(seen.users["gone@example.com"], Deleted);
    assert_eq!(seen.group_names(), ["Law", "Sales"]);
    assert_eq!(seen.groups["Law"], ["ann@example.com"]);
    assert_eq!(seen.unknown_members, 1, "cid isn't assigned");

    assigned.application_id = Some("0oanowhere".into());
    let error = failure(assigned).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("0oanowhere"), "{error}");
}

#[tokio::test]
async fn an_id_that_is_no_id_stays_one_part_of_the_address() {
    let okta = organization().await;
    let mut odd = settings(&okta);
    odd.application_id = Some("../users?x=".into());
    failure(odd).await;
    let paths: Vec<_> = okta.requests().into_iter().map(|r| r.path).collect();
    assert!(
        paths
            .iter()
            .all(|path| !path.starts_with("/api/v1/apps/../")),
        "{paths:?}"
    );
}

#[tokio::test]
async fn somebody_whom_a_filter_leaves_out_is_found_when_they_are_asked_for() {
    let okta = organization().await;
    okta.user(UserSeed::new("ann@example.com"));
    let bob = okta.user(UserSeed::new("bob@example.com").status(Status::Suspended));
    okta.user(UserSeed::new("cid@example.com").status(Status::Deprovisioned));
    let mut settings = settings(&okta);
    settings.users = UserScope::Search(r#"profile.login eq "ann@example.com""#.into());
    let source = source(settings).unwrap();
    let seen = Seen::from(directory_sync_testing::read_all(&source).await.unwrap());
    assert_eq!(seen.users.keys().collect::<Vec<_>>(), ["ann@example.com"]);
    let found = async |name: &str| directory_sync_testing::looked_up(&source, name).await;
    let disabled = ("bob@example.com".to_owned(), Some(Disabled));
    assert_eq!(
        found("bob@example.com").await,
        std::slice::from_ref(&disabled)
    );
    assert_eq!(found(&bob).await, [disabled]);
    let deleted = ("cid@example.com".to_owned(), Some(Deleted));
    assert_eq!(found("cid@example.com").await, [deleted]);
    assert_eq!(found("eve@example.com").await, []);
    for hostile in ["x\" or status eq \"ACTIVE", "\\"] {
        let looked_up = source.look_up(hostile).await.unwrap();
        assert_eq!(looked_up, Lookup::Unsupported, "{hostile}");
    }
}
