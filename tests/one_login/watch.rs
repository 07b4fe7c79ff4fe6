//! Changes that are noticed between two reads, and one person read alone.

use std::time::Duration;

use directory_sync::api::spec::OneLoginAttribute;
use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::one_login::OneLoginSource;
use directory_sync::source::{LeaverCheck, Source, WatchEnd};
use directory_sync_testing::{Told, read_all, sweep_leaver_check, sweep_watch};
use jiff::Timestamp;
use simulators::fault::{Fault, Way};
use simulators::one_login::{Config, PageMax, Search, SimulatedOneLogin, UserSeed};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_once_by_its_time_whatever_the_query_knows() {
    let account = account_with(Config::default()).await;
    let ann = account.user(UserSeed::new("ann@example.com"));
    let mut setup = settings(&account);
    setup.settings.poll_interval = Duration::from_millis(50);
    let source: OneLoginSource = source(setup).unwrap();
    let told = Told::default();
    let then = async {
        told.watching().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(told.count(), 0, "nothing has changed");
        let now = Timestamp::now().to_string();
        let changed = UserSeed::new("ann@example.com").id(ann);
        account.user(changed.with("updated_at", now.as_str()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.count(), 1);
        assert!(told.hints()[0].changed.is_some());
        assert_eq!(told.leavers(), [None], "the account may be used");
        let now = Timestamp::now().to_string();
        let disabled = UserSeed::new("ann@example.com").id(ann).with("status", 2);
        account.user(disabled.with("updated_at", now.as_str()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.leavers()[1..], [Some(ann.to_string())]);
        // What this version doesn't know is nobody's leaving.
        let now = Timestamp::now().to_string();
        let unknown = UserSeed::new("ann@example.com").id(ann).with("status", 6);
        account.user(unknown.with("updated_at", now.as_str()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.leavers()[2..], [None]);
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    account.set_client_secret("another");
    account.revoke_access_tokens();
    let end = source.watch(Timestamp::now(), &told).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
}

fn quick(account: &SimulatedOneLogin) -> OneLoginSetup {
    let mut setup = settings(account);
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    setup
}

async fn why(source: &OneLoginSource, id: &str) -> String {
    let id = ExternalId::parse(id).unwrap();
    match source.check_leaver(&id).await.unwrap() {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    }
}

async fn is_certain(source: &OneLoginSource, id: &str) -> bool {
    let id = ExternalId::parse(id).unwrap();
    match source.check_leaver(&id).await.unwrap() {
        LeaverCheck::Uncertain(_) => false,
        LeaverCheck::Left(user) => {
            assert_eq!((&user.id, user.state), (&id, AccountState::Disabled));
            assert!(user.evidence.unwrap().changed.is_some());
            true
        }
    }
}

fn ann(id: u64) -> UserSeed {
    let now = Timestamp::now().to_string();
    let ann = UserSeed::new("ann@example.com").id(id);
    ann.with("updated_at", now.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_certain_unless_another_has_its_address() {
    let account = account_with(Config::default()).await;
    let number = account.user(UserSeed::new("ann@example.com"));
    let id = number.to_string();
    let mut setup = quick(&account);
    setup.settings.email_suffix = Some("@Example.com".to_owned());
    let source = source(setup).unwrap();
    assert!(
        why(&source, &id).await.contains("may be used"),
        "a forged signal"
    );
    account.user(ann(number).with("status", 2));
    assert!(is_certain(&source, &id).await);
    // In another case, by the user name, or by a user name that becomes the address.
    for twin in [
        UserSeed::new("ANN@example.com").with("username", "twin"),
        UserSeed::named("Ann@Example.com"),
        UserSeed::named("ANN"),
        UserSeed::new("not an address").with("username", "ann"),
        UserSeed::new("ann@example.com").with("status", 2),
    ] {
        let twin = account.user(twin);
        assert!(why(&source, &id).await.contains("another account"));
        account.delete_user(twin);
        assert!(is_certain(&source, &id).await);
    }
    // An address of their own makes the user name nobody's address.
    account.user(UserSeed::new("other@example.com").with("username", "ann@example.com"));
    assert!(is_certain(&source, &id).await);
    for nobody in ["999999", "x", "*", "1,2", "-1"] {
        assert!(!is_certain(&source, nobody).await, "{nobody}");
    }
    account.user(ann(number).with("status", 6));
    assert!(why(&source, &id).await.contains("isn't known"));
    account.user(UserSeed::new("*@example.com").id(number).with("status", 2));
    assert!(why(&source, &id).await.contains("can't be searched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_on_another_page_is_no_less_a_twin() {
    let config = Config {
        page_max: PageMax::all(1),
        ..Config::default()
    };
    let account = account_with(config).await;
    let number = account.user(UserSeed::new("ann@example.com"));
    account.user(ann(number).with("status", 2));
    let (id, source) = (number.to_string(), source(quick(&account)).unwrap());
    assert!(is_certain(&source, &id).await);
    account.user(UserSeed::new("ANN@example.com"));
    assert!(why(&source, &id).await.contains("too many"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_for_is_never_certain() {
    let account = account_with(Config::default()).await;
    // Where everybody is listed, somebody else comes first.
    account.user(UserSeed::new("bob@example.com"));
    let number = account.user(UserSeed::new("ann@example.com"));
    account.user(ann(number).with("status", 2));
    let (id, source) = (number.to_string(), source(quick(&account)).unwrap());
    assert!(is_certain(&source, &id).await);
    // Then nobody sees a twin in another case, in this field.
    for field in ["email", "username"] {
        account.set_search(Search {
            exact: vec![field.to_owned()],
            ..Search::default()
        });
        let twin = account.user(UserSeed::named("Ann@example.com"));
        assert!(!is_certain(&source, &id).await, "{field}");
        account.delete_user(twin);
        let why = why(&source, &id).await;
        assert!(why.contains("can't be searched"), "{field}: {why}");
    }
    // Nothing that has another case.
    account.set_search(Search::default());
    account.user(ann(number).with("status", 2).with("username", "4711"));
    assert!(why(&source, &id).await.contains("can be proven"));
    account.user(ann(number).with("status", 2).with("username", "ANN"));
    assert!(is_certain(&source, &id).await);
    for (parameter, reason) in [
        ("user_ids", "not one account"),
        ("email", "can't be searched"),
        ("username", "can't be searched"),
    ] {
        account.set_search(Search {
            unknown: vec![parameter.to_owned()],
            ..Search::default()
        });
        let why = why(&source, &id).await;
        assert!(why.contains(reason), "{parameter}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_out_of_scope_is_left_to_a_read() {
    let account = account_with(Config::default()).await;
    let number = account.user(UserSeed::new("ann@example.com"));
    account.user(ann(number).with("status", 2).with("firstname", "Ann"));
    let mut setup = quick(&account);
    setup.settings.attributes = vec![OneLoginAttribute {
        attribute: "firstname".to_owned(),
        value: "Bob".to_owned(),
    }];
    let narrow = source(setup).unwrap();
    let reason = why(&narrow, &number.to_string()).await;
    assert!(reason.contains("not one account"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_fails_nobody_is_certain() {
    let account = account_with(Config {
        rate_limit: None,
        ..Config::default()
    })
    .await;
    let number = account.user(UserSeed::new("ann@example.com"));
    account.user(ann(number).with("status", 2));
    let source = source(quick(&account)).unwrap();
    let id = ExternalId::parse(&number.to_string()).unwrap();
    assert!(is_certain(&source, id.as_str()).await);
    sweep_leaver_check(&source, &id, account.faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_the_watch_is_lost_is_named_by_the_next() {
    let account = account_with(Config {
        rate_limit: None,
        ..Config::default()
    })
    .await;
    let mut setup = quick(&account);
    setup.settings.poll_interval = Duration::from_millis(50);
    let leave = |number: usize| {
        let email = format!("u{number}@example.com");
        let now = Timestamp::now().to_string();
        let user = UserSeed::new(&email).with("status", 2);
        account
            .user(user.with("updated_at", now.as_str()))
            .to_string()
    };
    sweep_watch(&source(setup).unwrap(), account.faults(), leave).await;
}

/// An account with people `u0` to `u11`, and their ids.
async fn twelve(config: Config) -> (SimulatedOneLogin, Vec<u64>) {
    let account = account_with(config).await;
    let ids = (0..12).map(|number| account.user(UserSeed::new(&format!("u{number}@example.com"))));
    let ids = ids.collect();
    (account, ids)
}

fn changed(number: usize, id: u64) -> UserSeed {
    let now = Timestamp::now().to_string();
    let user = UserSeed::new(&format!("u{number}@example.com")).id(id);
    user.with("updated_at", now.as_str())
}

async fn soon() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_no_signal_and_neither_is_an_account_that_was_disabled_before() {
    let (account, ids) = twelve(Config::default()).await;
    account.user(changed(1, ids[1]).with("status", 2));
    account.user(changed(2, ids[2]).with("status", 2));
    let mut setup = quick(&account);
    setup.settings.poll_interval = Duration::from_millis(50);
    let (source, told) = (source(setup).unwrap(), Told::default());
    let began = Timestamp::now();
    read_all(&source).await.unwrap();
    let then = async {
        told.watching().await;
        account.user(changed(0, ids[0]).with("comment", "has logged in"));
        account.user(
            changed(1, ids[1])
                .with("status", 2)
                .with("comment", "again"),
        );
        let stranger = changed(20, 4_000_020).with("status", 2);
        account.user(stranger);
        soon().await;
        assert_eq!(told.hints(), [], "nothing that matters to a run");
        account.user(changed(3, ids[3]).with("status", 2));
        soon().await;
        assert_eq!(told.leavers(), [Some(ids[3].to_string())], "once");
        account.user(changed(2, ids[2]));
        soon().await;
        assert_eq!(told.leavers()[1..], [None], "a run gives access back");
        account.user(changed(4, ids[4]).with("email", "other@example.com"));
        account.user(changed(21, 4_000_021));
        soon().await;
        assert_eq!(
            told.leavers()[2..],
            [None, None],
            "another address, and somebody new"
        );
        // A run that read before somebody left says nothing of that.
        account.user(changed(3, ids[3]));
        soon().await;
        read_all(&source).await.unwrap();
        account.user(changed(3, ids[3]).with("status", 2));
        soon().await;
        let back_and_gone = [None, Some(ids[3].to_string())];
        assert_eq!(told.leavers()[4..], back_and_gone);
    };
    tokio::select! {
        end = source.watch(began, &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_on_several_pages_are_all_told_and_more_than_that_wake_a_run() {
    let (account, ids) = twelve(Config {
        page_max: PageMax::all(1),
        ..Config::default()
    })
    .await;
    let mut setup = quick(&account);
    setup.settings.poll_interval = Duration::from_millis(50);
    let (source, told) = (source(setup).unwrap(), Told::default());
    let began = Timestamp::now();
    read_all(&source).await.unwrap();
    for (number, &id) in ids.iter().enumerate().take(8) {
        account.user(changed(number, id).with("status", 2));
    }
    tokio::select! {
        end = source.watch(began, &told) => panic!("the watch ended: {end:?}"),
        () = told.watching() => {}
    }
    let named: Vec<_> = ids[..8].iter().map(|id| Some(id.to_string())).collect();
    assert_eq!(told.leavers(), named);
    for (number, &id) in ids.iter().enumerate().skip(8) {
        account.user(changed(number, id).with("status", 2));
    }
    let told = Told::default();
    tokio::select! {
        end = source.watch(began, &told) => panic!("the watch ended: {end:?}"),
        () = told.watching() => {}
    }
    assert!(told.leavers().contains(&None), "{:?}", told.leavers());
}

fn parsed(ids: &[u64]) -> Vec<ExternalId> {
    let ids = ids.iter().map(|id| ExternalId::parse(&id.to_string()));
    ids.collect::<Result<_, _>>().unwrap()
}

/// Who certainly left, by number.
async fn certain(source: &OneLoginSource, ids: &[u64]) -> Vec<usize> {
    let checked = source.check_leavers(&parsed(ids)).await.unwrap();
    assert_eq!(checked.len(), ids.len());
    let left = checked.iter().enumerate().filter_map(|(number, one)| {
        let LeaverCheck::Left(user) = one else {
            return None;
        };
        assert_eq!(user.id.as_str(), ids[number].to_string());
        assert_eq!(user.state, AccountState::Disabled);
        Some(number)
    });
    left.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_leave_are_certain_by_one_list_but_for_those_who_have_a_twin() {
    let (account, ids) = twelve(Config::default()).await;
    // One that was there before, under an address that isn't read from the email.
    let twin = account.user(UserSeed::named("U9@example.com"));
    let source = source(quick(&account)).unwrap();
    read_all(&source).await.unwrap();
    for (number, &id) in ids.iter().enumerate().skip(2) {
        account.user(changed(number, id).with("status", 2));
    }
    let leavers = &ids[2..];
    let before = asked(&account, USERS);
    let all_but_the_twin = certain(&source, &leavers[..7]).await;
    assert_eq!(all_but_the_twin, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(asked(&account, USERS) - before, 1, "one request for all");
    assert_eq!(certain(&source, leavers).await, [0, 1, 2, 3, 4, 5, 6, 8, 9]);
    account.delete_user(twin);
    assert_eq!(certain(&source, leavers).await.len(), 10, "asked for alone");
    // One that came since, in another case.
    let new = account.user(changed(30, 4_000_030).with("email", "U5@Example.com"));
    assert_eq!(certain(&source, leavers).await, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    account.delete_user(new);
    // Whoever may be used again, and whoever has another address by now that isn't theirs alone.
    account.user(changed(2, ids[2]));
    account.user(
        changed(3, ids[3])
            .with("status", 2)
            .with("email", "u0@example.com"),
    );
    assert_eq!(certain(&source, leavers).await, [2, 3, 4, 5, 6, 7, 8, 9]);
    // Where the list holds what wasn't asked for, each is asked for alone.
    account.set_search(Search {
        unknown: vec!["updated_since".to_owned()],
        ..Search::default()
    });
    let before = asked(&account, USERS);
    assert_eq!(certain(&source, leavers).await, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(asked(&account, USERS) - before > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_in_part_makes_nobody_certain() {
    let (account, ids) = twelve(Config {
        page_max: PageMax::all(2),
        ..Config::default()
    })
    .await;
    let source = source(quick(&account)).unwrap();
    read_all(&source).await.unwrap();
    for (number, &id) in ids.iter().enumerate() {
        account.user(changed(number, id).with("status", 2));
    }
    // The twin of the first is on a page that isn't looked at any more.
    let twin = account.user(changed(31, 4_000_031).with("email", "U0@example.com"));
    let found = certain(&source, &ids[..4]).await;
    assert_eq!(found, [1, 2, 3], "asked for alone");
    account.delete_user(twin);
    // Whoever goes while the list is read moves all others up.
    let pages = asked(&account, USERS);
    account.delete_user_after(USERS, pages + 1, ids[11]);
    assert_eq!(certain(&source, &ids[..3]).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_fails_none_of_many_is_certain() {
    let (account, ids) = twelve(Config {
        rate_limit: None,
        ..Config::default()
    })
    .await;
    let source = source(quick(&account)).unwrap();
    read_all(&source).await.unwrap();
    for (number, &id) in ids.iter().enumerate() {
        account.user(changed(number, id).with("status", 2));
    }
    let ids = parsed(&ids);
    for way in Way::ALL {
        account.faults().clear();
        account.faults().inject(Fault::new(way).from_then_on());
        let checked = source.check_leavers(&ids).await;
        let nobody = checked.is_err()
            || checked.is_ok_and(|all| !all.iter().any(|one| matches!(one, LeaverCheck::Left(_))));
        assert!(nobody && account.faults().fired() > 0, "{way:?}");
    }
    account.faults().clear();
    assert_eq!(source.check_leavers(&ids).await.unwrap().len(), 12);
}
