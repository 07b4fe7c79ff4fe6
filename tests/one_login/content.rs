//! Which people and groups are read, and as what.

use directory_sync::api::spec::{
    AccountMeaning, OneLoginAttribute, OneLoginGroupsFrom, OneLoginStates, OneLoginStatuses,
};
use directory_sync::directory::AccountState::{self, Active, Disabled};
use directory_sync::directory::Lookup;
use directory_sync::source::Source as _;
use simulators::one_login::{
    Config, PageMax, RoleSeed, STATES, STATUSES, SimulatedOneLogin, UserSeed,
};

use crate::harness::*;

#[tokio::test]
async fn people_and_roles_come_whole_whatever_the_pages() {
    let (one_login, _) = company(Config::default()).await;
    let seen = read(settings(&one_login)).await;
    assert_eq!(seen.users.len(), 7);
    assert_eq!(seen.groups["All"].len(), 7);
    assert_eq!(
        seen.groups["Sellers"],
        ["eve@example.com", "fay@example.com", "gus@example.com"]
    );
    assert_eq!(seen.groups["Empty"], [""; 0]);
    assert_eq!(seen.unknown_members, 0);
    assert_eq!(asked(&one_login, USERS), 4, "seven people, two a page");
    assert_eq!(asked(&one_login, ROLES), 2);
    assert_eq!(asked(&one_login, "/api/1/groups"), 0);
}

#[tokio::test]
async fn groups_or_roles_or_neither_become_groups_as_the_setting_says() {
    let (one_login, _) = company(Config::default()).await;
    let mut by_groups = settings(&one_login);
    by_groups.groups = Some(OneLoginGroupsFrom::Groups);
    let seen = read(by_groups).await;
    assert_eq!(seen.group_names(), ["Law", "Nobody", "Sales"]);
    assert_eq!(
        seen.groups["Law"],
        ["ann@example.com", "bob@example.com", "cid@example.com"]
    );
    assert_eq!(seen.groups["Nobody"], [""; 0]);
    assert_eq!(seen.unknown_members, 0);
    assert_eq!(asked(&one_login, "/api/1/groups"), 2, "three groups");
    assert_eq!(asked(&one_login, ROLES), 0);

    one_login.clear_requests();
    let mut none = settings(&one_login);
    none.groups = None;
    let seen = read(none).await;
    assert_eq!(seen.group_names(), [""; 0]);
    assert_eq!(seen.users.len(), 7);
    assert_eq!(one_login.requests().len(), 5, "the token and the people");
}

#[tokio::test]
async fn a_person_and_a_role_with_one_number_are_two_things() {
    let one_login = account().await;
    let ann = one_login.user(UserSeed::new("ann@example.com").id(7));
    one_login.role(RoleSeed::new("Law").id(7).members([ann]));
    one_login.role(RoleSeed::new("Sales").id(8).members([ann]));
    let seen = read(settings(&one_login)).await;
    assert_eq!(seen.ids["ann@example.com"], "7");
    assert_eq!(seen.groups["Law"], ["ann@example.com"]);
    assert_eq!(seen.groups["Sales"], ["ann@example.com"]);
}

/// Everyone's state by status (down) and state of approval (across); a dot for who isn't there.
fn table(seen: &Seen) -> Vec<String> {
    let line = |status: &i64| {
        let cell = |state: &i64| match seen.users.get(&format!("{status}-{state}@example.com")) {
            None => '.',
            Some(Active) => 'A',
            Some(Disabled) => 'D',
            Some(AccountState::Deleted) => 'X',
        };
        STATES.iter().map(cell).collect()
    };
    STATUSES.iter().map(line).collect()
}

async fn one_of_each() -> SimulatedOneLogin {
    let one_login = account().await;
    for status in STATUSES {
        for state in STATES {
            let seed = UserSeed::new(&format!("{status}-{state}@example.com"));
            one_login.user(seed.with("status", status).with("state", state));
        }
    }
    one_login
}

#[tokio::test]
async fn every_status_and_state_means_what_the_table_says_and_the_more_restrictive_counts() {
    let one_login = one_of_each().await;
    let defaults = read(settings(&one_login)).await;
    assert_eq!(
        table(&defaults),
        [
            "AAAA", "AAAA", "DDDD", "AAAA", "AAAA", "AAAA", "AAAA", "AAAA"
        ],
        "suspended people alone are disabled"
    );

    let mut changed = settings(&one_login);
    changed.statuses = OneLoginStatuses {
        unactivated: Some(AccountMeaning::Absent),
        suspended: Some(AccountMeaning::Active),
        locked: Some(AccountMeaning::Disabled),
        pending: Some(AccountMeaning::Absent),
        ..OneLoginStatuses::default()
    };
    changed.states = OneLoginStates {
        rejected: Some(AccountMeaning::Disabled),
        unlicensed: Some(AccountMeaning::Absent),
        ..OneLoginStates::default()
    };
    let seen = read(changed).await;
    assert_eq!(
        table(&seen),
        [
            "....", "AAD.", "AAD.", "DDD.", "AAD.", "AAD.", "....", "AAD."
        ]
    );

    let mut others = settings(&one_login);
    others.statuses = OneLoginStatuses {
        active: Some(AccountMeaning::Disabled),
        suspended: Some(AccountMeaning::Absent),
        password_expired: Some(AccountMeaning::Disabled),
        awaiting_password_reset: Some(AccountMeaning::Absent),
        security_questions_required: Some(AccountMeaning::Disabled),
        ..OneLoginStatuses::default()
    };
    others.states = OneLoginStates {
        unapproved: Some(AccountMeaning::Disabled),
        approved: Some(AccountMeaning::Absent),
        ..OneLoginStates::default()
    };
    let seen = read(others).await;
    assert_eq!(
        table(&seen),
        [
            "D.AA", "D.DD", "....", "D.AA", "D.DD", "....", "D.AA", "D.DD"
        ]
    );
}

#[tokio::test]
async fn an_unknown_status_or_state_is_reported_and_takes_nothing_from_anybody() {
    for (what, number) in [("status", 6), ("state", 4)] {
        let one_login = account().await;
        one_login.user(UserSeed::new("ann@example.com"));
        one_login.user(UserSeed::new("bob@example.com").with(what, number));
        let reported = async |says: String| {
            let source = source(settings(&one_login)).unwrap();
            let directory = directory_sync_testing::read_all(&source).await.unwrap();
            let [bob] = &directory.unidentified_users[..] else {
                panic!("{:?}", directory.unidentified_users);
            };
            assert!(bob.undecided);
            let seen = Seen::from(directory);
            assert_eq!(seen.emails(), ["ann@example.com"]);
            assert!(seen.problems[0].contains("bob@example.com"), "{seen:?}");
            assert!(seen.problems[0].contains(&says), "{seen:?}");
        };
        reported(format!("the {what} {number}")).await;
        one_login.user(UserSeed::new("bob@example.com").id(2).with(what, ()));
        reported(format!("the {what} (none)")).await;
    }
}

#[tokio::test]
async fn the_email_is_the_email_else_the_username_as_an_address_or_with_the_suffix() {
    let one_login = account().await;
    one_login.user(UserSeed::new("Ann@Example.com").with("username", "other@example.com"));
    one_login.user(UserSeed::named("Bob@example.com"));
    one_login.user(UserSeed::named("cid"));
    one_login.user(UserSeed::named("dot@example.com").with("email", "no address"));
    one_login.user(UserSeed::named("eve").with("email", "no address"));
    one_login.user(UserSeed::named("fay").with("username", ()).id(77));

    let seen = read(settings(&one_login)).await;
    assert_eq!(
        seen.emails(),
        [
            "Empty of 77",
            "Malformed of cid",
            "Malformed of eve",
            "ann@example.com",
            "bob@example.com",
            "dot@example.com",
        ]
    );
    let mut suffixed = settings(&one_login);
    suffixed.email_suffix = Some("@Corp.example.com".into());
    let seen = read(suffixed).await;
    assert_eq!(
        seen.emails(),
        [
            "Empty of 77",
            "ann@example.com",
            "bob@example.com",
            "cid@corp.example.com",
            "dot@example.com",
            "eve@corp.example.com",
        ]
    );
}

#[tokio::test]
async fn where_large_pages_are_refused_small_ones_are_asked_for() {
    let one_login = account_with(Config {
        page_max: PageMax {
            members: 1_000,
            ..PageMax::all(100)
        },
        refuses_large_pages: true,
        ..Config::default()
    })
    .await;
    let people: Vec<u64> = (0..120)
        .map(|number| one_login.user(UserSeed::new(&format!("user{number}@example.com"))))
        .collect();
    for number in 0..6 {
        one_login.role(RoleSeed::new(&format!("role{number}")).members(people.clone()));
    }
    let seen = read(settings(&one_login)).await;
    assert_eq!(seen.users.len(), 120);
    assert!(seen.groups.values().all(|members| members.len() == 120));
    let requests = one_login.requests();
    let refused = requests.iter().filter(|asked| asked.status == Some(400));
    assert_eq!(
        refused.count(),
        2,
        "both lists begin at once: {requests:#?}"
    );
}

#[tokio::test]
async fn only_what_is_needed_is_asked_for() {
    let one_login = account().await;
    one_login.user(UserSeed::new("ann@example.com"));
    read(settings(&one_login)).await;
    let requests = one_login.requests();
    let asked = requests.iter().find(|asked| asked.path == USERS).unwrap();
    assert!(
        asked
            .query
            .contains("fields=id%2Cemail%2Cusername%2Cstatus%2Cstate%2Cgroup_id"),
        "{}",
        asked.query
    );
}

#[tokio::test]
async fn somebody_whom_a_filter_leaves_out_is_found_when_they_are_asked_for() {
    let one_login = account().await;
    one_login.user(UserSeed::new("ann@example.com"));
    let bob = one_login.user(UserSeed::new("bob@example.com"));
    let mut settings = settings(&one_login);
    settings.attributes = vec![OneLoginAttribute {
        attribute: "email".into(),
        value: "ann*".into(),
    }];
    let source = source(settings).unwrap();
    let seen = read_by(&source).await.unwrap();
    assert_eq!(seen.users.keys().collect::<Vec<_>>(), ["ann@example.com"]);
    let found = async |name: &str| directory_sync_testing::looked_up(&source, name).await;
    let active = ("bob@example.com".to_owned(), Some(Active));
    assert_eq!(
        found("BOB@example.com").await,
        std::slice::from_ref(&active)
    );
    assert_eq!(found(&bob.to_string()).await, [active]);
    assert_eq!(found("eve@example.com").await, []);
    // It stands for any text: nobody is found by chance, and the answer says that it can't tell.
    let stars = source.look_up("*@example.com").await.unwrap();
    assert_eq!(stars, Lookup::Unsupported);
}
