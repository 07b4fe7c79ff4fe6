//! Changes that are noticed between two reads, and one person read alone.

use std::time::Duration;

use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::okta::{OktaSource, UserScope};
use directory_sync::source::{LeaverCheck, Source, WatchEnd};
use directory_sync_testing::{Told, sweep_leaver_check, sweep_watch};
use jiff::Timestamp;
use simulators::okta::{Config, GroupSeed, RateLimitBucket, SimulatedOkta, Status, UserSeed};

use crate::harness::*;

async fn soon() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn watched(okta: &SimulatedOkta) -> OktaSource {
    let mut setup = settings(okta);
    setup.settings.poll_interval = Duration::from_millis(50);
    source(setup).unwrap()
}

async fn three() -> (SimulatedOkta, [String; 3]) {
    let okta = organization_with(Config::default()).await;
    let ids = ["ann", "bob", "eve"].map(|name| {
        let email = format!("{name}@example.com");
        okta.user(UserSeed::new(&email).profile("department", "Sales"))
    });
    (okta, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_by_its_time_and_whoever_may_not_log_on_is_named() {
    let (okta, [ann, bob, eve]) = three().await;
    let group = okta.group(GroupSeed::new("law").members([&*ann]));
    let (source, told) = (watched(&okta), Told::default());
    let then = async {
        told.watching().await;
        soon().await;
        assert_eq!(told.leavers(), [], "nothing has changed");
        okta.set_status(&ann, Status::Suspended);
        soon().await;
        assert_eq!(told.leavers(), [Some(ann.clone())], "once");
        okta.set_status(&bob, Status::Deprovisioned);
        soon().await;
        assert_eq!(told.leavers()[1..], [Some(bob.clone())]);
        okta.set_status(&eve, Status::LockedOut);
        soon().await;
        assert_eq!(told.leavers()[2..], [None], "a lockout passes");
        // The signal of what is lost comes again with the next change or run.
        assert!(okta.set_members(&group, &[&bob]));
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    // What changed since the last read began is told at the start.
    let told = Told::default();
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = told.watching() => {}
    }
    assert_eq!(told.leavers().len(), 3);
    okta.forbid(RateLimitBucket::Users);
    let end = source.watch(Timestamp::now(), &told).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_is_certain_unless_another_has_its_address() {
    let (okta, [ann, ..]) = three().await;
    let id = ExternalId::parse(&ann).unwrap();
    let why = async |source: &OktaSource| match source.check_leaver(&id).await.unwrap() {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    };
    let source = watched(&okta);
    assert!(why(&source).await.contains("may be used"));
    for (status, state) in [
        (Status::Suspended, AccountState::Disabled),
        (Status::Deprovisioned, AccountState::Deleted),
    ] {
        okta.set_status(&ann, status);
        let LeaverCheck::Left(user) = source.check_leaver(&id).await.unwrap() else {
            panic!("it isn't certain");
        };
        assert_eq!((user.id.as_str(), user.state), (&*ann, state));
        assert!(user.evidence.unwrap().changed.is_some());
    }
    let mut narrow = settings(&okta);
    narrow.settings.users = UserScope::Search(r#"profile.department eq "Law""#.into());
    assert!(
        why(&crate::harness::source(narrow).unwrap())
            .await
            .contains("within the filter")
    );
    // Whatever the state of the other account is.
    let twin = UserSeed::new("ANN@example.com").status(Status::Deprovisioned);
    let twin = okta.user(twin.profile("login", "twin"));
    assert!(why(&source).await.contains("another account"));
    okta.delete_user(&twin);
    assert!(matches!(
        source.check_leaver(&id).await.unwrap(),
        LeaverCheck::Left(_)
    ));
    okta.delete_user(&ann);
    assert!(why(&source).await.contains("not one account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_fails_nobody_is_certain() {
    let (okta, [ann, ..]) = three().await;
    okta.set_status(&ann, Status::Suspended);
    let mut setup = settings(&okta);
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    let source = source(setup).unwrap();
    let id = ExternalId::parse(&ann).unwrap();
    assert!(matches!(
        source.check_leaver(&id).await.unwrap(),
        LeaverCheck::Left(_)
    ));
    sweep_leaver_check(&source, &id, okta.faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_the_watch_is_lost_is_named_by_the_next() {
    let okta = organization_with(Config::default()).await;
    let person = |number| okta.user(UserSeed::new(&format!("u{number}@example.com")));
    let ids: Vec<String> = (0..12).map(person).collect();
    let mut setup = settings(&okta);
    setup.settings.poll_interval = Duration::from_millis(50);
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    let leave = |number: usize| {
        okta.set_status(&ids[number], Status::Suspended);
        ids[number].clone()
    };
    sweep_watch(&source(setup).unwrap(), okta.faults(), leave).await;
}
