//! Changes that are noticed between two reads, and one person read alone.

use std::time::{Duration, Instant};

use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::google_workspace::{GoogleWorkspaceSource, Tenant};
use directory_sync::source::{LeaverCheck, Source, WatchEnd, WatchMethod};
use directory_sync_testing::{Told, read_all, sweep_leaver_check, sweep_watch};
use jiff::Timestamp;
use simulators::fault::{Fault, Way};
use simulators::google_workspace::{Config, SimulatedGoogle, Spent, UserSeed};

use crate::harness::*;

const POLL: Duration = Duration::from_millis(20);

async fn soon() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

fn watched(google: &SimulatedGoogle) -> GoogleWorkspaceSource {
    source(quick(google)).unwrap()
}

fn quick(google: &SimulatedGoogle) -> GoogleSetup {
    let mut setup = settings(google);
    setup.settings.poll_interval = POLL;
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    setup
}

/// Ann, Bob and Eve in one unit, and Zoe in another.
async fn four(config: Config) -> (SimulatedGoogle, [String; 4]) {
    let google = customer_with(config).await;
    let person = |name: &str, unit: &str| {
        google.user(UserSeed::new(&format!("{name}@example.com")).unit(unit))
    };
    let ids = [
        person("ann", "/Staff"),
        person("bob", "/Staff"),
        person("eve", "/Staff"),
        person("zoe", "/Guests"),
    ];
    (google, ids)
}

fn again(name: &str, id: &str) -> UserSeed {
    UserSeed::new(&format!("{name}@example.com"))
        .id(id)
        .unit("/Staff")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_suspended_archived_or_deleted_is_named_once_and_nobody_who_was_never_read() {
    let (google, [ann, bob, eve, zoe]) = four(Config::default()).await;
    // As they were before the read.
    google.user(UserSeed::new("old@example.com").suspended());
    google.delete_user(&google.user(UserSeed::new("gone@example.com")));
    let mut setup = quick(&google);
    setup.settings.users.organizational_units = vec!["/Staff".to_owned()];
    let (source, told) = (source(setup).unwrap(), Told::default());
    read_all(&source).await.unwrap();
    let then = async {
        told.watching().await;
        soon().await;
        assert_eq!(told.leavers(), [], "nothing has changed since the read");
        google.user(again("ann", &ann).suspended());
        soon().await;
        assert_eq!(told.leavers(), [Some(ann.clone())], "once");
        google.user(again("bob", &bob).archived());
        soon().await;
        assert_eq!(told.leavers()[1..], [Some(bob.clone())]);
        google.delete_user(&eve);
        soon().await;
        assert_eq!(told.leavers()[2..], [None], "a run looks for a new account");
        assert!(told.hints()[2].changed.is_some(), "Google tells when");
        google.user(again("zoe", &zoe).unit("/Guests").suspended());
        soon().await;
        assert_eq!(told.count(), 3, "nobody whom the read didn't see");
        // A run reads them. A search that leaves somebody out once is no leaver's, when it is whole again.
        read_all(&source).await.unwrap();
        google.user(again("ann", &ann));
        soon().await;
        assert_eq!(told.leavers()[3..], [None], "a run gives access back");
        google.user(again("ann", &ann).suspended());
        soon().await;
        assert_eq!(told.count(), 4, "as the last read saw it");
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    assert_eq!(told.methods(), [WatchMethod::Poll(POLL * 3)]);
    // Begun again, it compares with the last read.
    google.user(again("ann", &ann));
    read_all(&source).await.unwrap();
    let told = Told::default();
    google.user(again("ann", &ann).suspended());
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = told.watching() => {}
    }
    assert_eq!(told.leavers(), [Some(ann)]);
    google.refuse(Spent::User, 1, 100);
    google.allow_apis(false);
    let end = source.watch(Timestamp::now(), &told).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_shows_changes_late_delays_the_signal_and_loses_none() {
    let config = Config {
        search_lag: Duration::from_secs(1),
        ..Config::default()
    };
    let (google, [ann, ..]) = four(config).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (source, told) = (watched(&google), Told::default());
    read_all(&source).await.unwrap();
    let then = async {
        told.watching().await;
        google.user(again("ann", &ann).suspended());
        soon().await;
        assert_eq!(told.leavers(), [], "the search doesn't show it yet");
        told.until("named", |told| told.leavers() == [Some(ann.clone())])
            .await;
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_many_pages_are_looked_at_more_rarely_and_not_at_all_where_they_have_too_many() {
    let config = Config {
        page_max: 2,
        ..Config::default()
    };
    let (google, _) = four(config).await;
    for number in 0..10 {
        google.user(UserSeed::new(&format!("old{number}@example.com")).suspended());
    }
    let (source, told) = (watched(&google), Told::default());
    read_all(&source).await.unwrap();
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = told.watching() => {}
    }
    // Five pages of suspended accounts, and one of each other list.
    assert_eq!(told.methods(), [WatchMethod::Poll(POLL * 7)]);
    let mut setup = quick(&google);
    setup.settings.poll_interval = Duration::from_secs(100);
    let source = crate::harness::source(setup).unwrap();
    let end = source.watch(Timestamp::now(), &told).await;
    let WatchEnd::Unsupported(why) = end else {
        panic!("{end:?}");
    };
    assert!(why.contains("so many"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_after_somebody_else_is_found_sooner_than_while_nothing_happens() {
    let config = Config {
        page_max: 2,
        ..Config::default()
    };
    let (google, [ann, bob, ..]) = four(config).await;
    for number in 0..10 {
        google.user(UserSeed::new(&format!("old{number}@example.com")).suspended());
    }
    let mut setup = quick(&google);
    let interval = Duration::from_millis(300);
    setup.settings.poll_interval = interval;
    let (source, told) = (source(setup).unwrap(), Told::default());
    read_all(&source).await.unwrap();
    let then = async {
        told.watching().await;
        assert_eq!(told.methods(), [WatchMethod::Poll(interval * 7)]);
        google.user(again("ann", &ann).suspended());
        told.until("ann", |told| told.leavers() == [Some(ann.clone())])
            .await;
        let named = Instant::now();
        google.user(again("bob", &bob).suspended());
        told.until("bob", |told| told.count() == 2).await;
        let took = named.elapsed();
        assert!(took < interval * 5, "{took:?}");
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
}

async fn why(source: &GoogleWorkspaceSource, id: &ExternalId) -> String {
    match source.check_leaver(id).await.unwrap() {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    }
}

async fn state(source: &GoogleWorkspaceSource, id: &ExternalId) -> AccountState {
    match source.check_leaver(id).await.unwrap() {
        LeaverCheck::Uncertain(why) => panic!("it isn't certain: {why}"),
        LeaverCheck::Left(user) => {
            assert_eq!(user.id, *id);
            assert!(user.evidence.is_some());
            user.state
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_is_certain_unless_another_has_its_address() {
    let (google, [ann, bob, ..]) = four(Config::default()).await;
    let id = ExternalId::parse(&ann).unwrap();
    let source = watched(&google);
    assert!(
        why(&source, &id).await.contains("may be used"),
        "a forged signal"
    );
    for seed in [
        again("ann", &ann).suspended(),
        again("ann", &ann).archived(),
    ] {
        google.user(seed);
        assert_eq!(state(&source, &id).await, AccountState::Disabled);
    }
    // An alias, which may be a domain's own: Google would refuse it, and an import hides such a thing.
    for alias in ["ann@example.com", "ANN@example.com"] {
        google.user(again("bob", &bob).alias(alias));
        assert!(
            why(&source, &id).await.contains("another account"),
            "{alias}"
        );
        google.user(again("bob", &bob).other_alias(alias));
        assert!(
            why(&source, &id).await.contains("another account"),
            "{alias}"
        );
        google.user(again("bob", &bob));
    }
    assert_eq!(state(&source, &id).await, AccountState::Disabled);
    // Another address than the last read saw is no matter of the source: the core compares it with the member's.
    for nobody in ["999", "ann@example.com", "a/b", "x' isAdmin=true"] {
        let nobody = ExternalId::parse(nobody).unwrap();
        assert!(!why(&source, &nobody).await.is_empty());
    }
    google.user(again("ann", &ann).suspended().guest());
    assert!(why(&source, &id).await.contains("guest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deleted_is_left_to_a_run() {
    let (google, [ann, ..]) = four(Config::default()).await;
    let id = ExternalId::parse(&ann).unwrap();
    let source = watched(&google);
    google.delete_user(&ann);
    assert!(why(&source, &id).await.contains("no account has this ID"));
    // A proxy that hides it doesn't speak for Google.
    google.faults().inject(Fault::new(Way::Status(404)));
    let checked = source.check_leaver(&id).await;
    assert!(
        checked.is_err() && google.faults().fired() == 1,
        "{checked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_on_another_page_is_no_less_a_twin() {
    let config = Config {
        page_max: 1,
        ..Config::default()
    };
    let (google, [ann, bob, ..]) = four(config).await;
    let id = ExternalId::parse(&ann).unwrap();
    let source = watched(&google);
    google.user(again("ann", &ann).suspended());
    assert_eq!(state(&source, &id).await, AccountState::Disabled);
    google.user(again("bob", &bob).other_alias("ann@example.com"));
    assert!(why(&source, &id).await.contains("another account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_out_of_scope_or_hidden_is_left_to_a_read() {
    let (google, [ann, ..]) = four(Config::default()).await;
    let id = ExternalId::parse(&ann).unwrap();
    google.user(again("ann", &ann).suspended());
    let mut queried = quick(&google);
    queried.settings.users.query = Some("orgUnitPath=/Staff".to_owned());
    let queried = source(queried).unwrap();
    assert!(why(&queried, &id).await.contains("users.query"));
    let mut absent = quick(&google);
    absent.settings.users.suspended = None;
    let absent = source(absent).unwrap();
    assert!(why(&absent, &id).await.contains("absent"));
    let mut elsewhere = quick(&google);
    elsewhere.settings.tenant = Tenant::Domains(vec!["other.example".to_owned()]);
    let elsewhere = source(elsewhere).unwrap();
    assert!(why(&elsewhere, &id).await.contains("domains"));
    let mut domain = quick(&google);
    domain.settings.tenant = Tenant::Domains(vec!["Example.com".to_owned()]);
    let domain = source(domain).unwrap();
    // Google takes a domain in any case; this one doesn't, and then nobody is certain.
    assert!(domain.check_leaver(&id).await.is_err());
    // An address that Google knows nobody by is one that it can't be asked about.
    google.user(
        again("ann", &ann)
            .suspended()
            .other_alias("ann@corp.example"),
    );
    let mut aliased = quick(&google);
    aliased.settings.users.email_domain = Some("corp.example".to_owned());
    let aliased = source(aliased).unwrap();
    assert!(why(&aliased, &id).await.contains("can't be searched"));
    let source = watched(&google);
    google.show_as_to_colleagues();
    assert!(why(&source, &id).await.contains("doesn't say"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_fails_nobody_is_certain() {
    let (google, [ann, ..]) = four(Config::default()).await;
    let source = watched(&google);
    google.user(again("ann", &ann).suspended());
    let id = ExternalId::parse(&ann).unwrap();
    assert_eq!(state(&source, &id).await, AccountState::Disabled);
    sweep_leaver_check(&source, &id, google.faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_the_watch_is_lost_is_named_by_the_next() {
    let (google, _) = four(Config::default()).await;
    let email = |number: usize| format!("u{number}@example.com");
    let ids: Vec<String> = (0..12)
        .map(|number| google.user(UserSeed::new(&email(number))))
        .collect();
    let source = watched(&google);
    read_all(&source).await.unwrap();
    let leave = |number: usize| {
        let user = UserSeed::new(&email(number)).id(&ids[number]);
        match number % 2 {
            0 => google.user(user.archived()),
            _ => google.user(user.suspended()),
        };
        ids[number].clone()
    };
    sweep_watch(&source, google.faults(), leave).await;
}
