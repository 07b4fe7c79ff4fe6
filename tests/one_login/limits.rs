//! Requests within our share of the account's limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::directory::ExternalId;
use directory_sync::source::{LeaverCheck, ReadProgress, Reading, Source};
use directory_sync_testing::Refusal;
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::one_login::{
    Config, LimitHeaders, RateLimit, RoleSeed, SimulatedOneLogin, UserSeed,
};

use crate::harness::*;

/// Windows of four seconds, so that a test sees several.
const LIMIT: RateLimit = RateLimit {
    requests: 40,
    window_seconds: 4,
    headers: LimitHeaders::Everywhere,
};

/// Twenty-five roles of one: two lists and twenty-five requests, of which twenty may go in a window.
async fn many_roles(limit: Option<RateLimit>) -> SimulatedOneLogin {
    let one_login = account_with(Config {
        rate_limit: limit,
        ..Config::default()
    })
    .await;
    for number in 0..25 {
        let id = one_login.user(UserSeed::new(&format!("user{number}@example.com")));
        one_login.role(RoleSeed::new(&format!("role{number}")).members([id]));
    }
    one_login
}

fn most(one_login: &SimulatedOneLogin) -> u32 {
    let spent = one_login.spent();
    spent.iter().map(|spent| spent.requests).max().unwrap_or(0)
}

fn refused(one_login: &SimulatedOneLogin) -> u32 {
    one_login.spent().iter().map(|spent| spent.refused).sum()
}

fn is_whole(seen: &Seen) -> bool {
    seen.users.len() == 25
        && seen.groups.len() == 25
        && seen.groups.values().all(|members| members.len() == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_spent_in_the_middle_is_waited_for_and_nothing_is_lost() {
    let one_login = many_roles(Some(LIMIT)).await;
    let source = source(settings(&one_login)).unwrap();
    let progress = Arc::new(ReadProgress::default());
    let watched = progress.clone();
    let waits = tokio::spawn(async move {
        while watched.waits_until().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let reading = source.read(None, &progress).await.unwrap();
    assert!(matches!(
        &reading,
        Reading::Full { directory, .. }
            if directory.users.len() == 25
                && directory.groups.iter().all(|group| group.users.len() == 1)
                && directory.groups.len() == 25
    ));
    assert!(most(&one_login) <= 20, "{:?}", one_login.spent());
    assert_eq!(refused(&one_login), 0);
    tokio::time::timeout(Duration::from_secs(1), waits)
        .await
        .expect("while it waited, it said so")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_waits_leaves_something_for_whoever_leaves_meanwhile() {
    let one_login = many_roles(Some(RateLimit {
        window_seconds: 600,
        ..LIMIT
    }))
    .await;
    let id = one_login.user(UserSeed::new("ann@example.com"));
    let id = ExternalId::parse(&id.to_string()).unwrap();
    let source = source(settings(&one_login)).unwrap();
    let progress = ReadProgress::default();
    let asks = async {
        while progress.waits_until().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(most(&one_login), 16, "four fifths of the share");
        for requests in 17..=20 {
            let check = source.check_leaver(&id);
            let check = tokio::time::timeout(Duration::from_secs(5), check).await;
            let LeaverCheck::Uncertain(why) = check.expect("it doesn't wait").unwrap() else {
                panic!("she may log in");
            };
            assert!(why.contains("may be used"), "{why}");
            assert_eq!(most(&one_login), requests);
        }
    };
    tokio::select! {
        read = source.read(None, &progress) => panic!("it should wait: {read:?}"),
        () = asks => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_not_due_yet_waits_where_the_limit_has_no_room_for_it() {
    let hour = RateLimit {
        requests: 150,
        window_seconds: 3_600,
        ..LIMIT
    };
    let one_login = many_roles(Some(hour)).await;
    let source = source(settings(&one_login)).unwrap();
    assert_eq!(source.early_read_from(), None, "nothing is known yet");
    assert!(is_whole(&read_by(&source).await.unwrap()));
    // With the next read 54 of the 60 requests that reads may send would be used: too many for most of the hour.
    let from = source.early_read_from().expect("it waits");
    let wait = from.duration_since(Timestamp::now()).as_secs();
    assert!((2_800..=3_300).contains(&wait), "{wait}");

    let one_login = many_roles(Some(RateLimit::DEFAULT)).await;
    let source = crate::harness::source(settings(&one_login)).unwrap();
    assert!(is_whole(&read_by(&source).await.unwrap()));
    assert_eq!(source.early_read_from(), None, "27 of 2,000");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_of_one_account_share_one_share() {
    let one_login = many_roles(Some(LIMIT)).await;
    let (one, other) = tokio::join!(read(settings(&one_login)), read(settings(&one_login)));
    assert!(is_whole(&one) && is_whole(&other));
    assert!(most(&one_login) <= 20, "{:?}", one_login.spent());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_answers_are_lost_count_as_spent() {
    let one_login = many_roles(Some(LIMIT)).await;
    for k in [2, 5, 7] {
        let fault = Fault::new(Way::CutConnection).work(Work::Done);
        one_login
            .faults()
            .inject(fault.on_request(k).path("/api/2/roles/"));
    }
    assert!(is_whole(&read(settings(&one_login)).await));
    assert_eq!(one_login.faults().fired(), 3);
    assert!(most(&one_login) <= 20, "{:?}", one_login.spent());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_share_can_be_set() {
    let one_login = many_roles(Some(RateLimit {
        window_seconds: 600,
        ..LIMIT
    }))
    .await;
    let mut greedy = settings(&one_login);
    greedy.rate_limit_share = 100;
    assert!(is_whole(&read(greedy).await));
    assert_eq!(most(&one_login), 27, "{:?}", one_login.spent());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_have_used_the_limit_up_reading_waits_for_the_next_window() {
    let one_login = many_roles(Some(LIMIT)).await;
    one_login.others_spend(40);
    assert!(is_whole(&read(settings(&one_login)).await));
    assert!(
        refused(&one_login) < 5,
        "the first request can't know, nor can one that waits a second for its answer: {:?}",
        one_login.spent()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limit_headers_in_version_two_everything_is_read_all_the_same() {
    for limit in [
        None,
        Some(RateLimit {
            headers: LimitHeaders::InVersionOne,
            ..RateLimit::DEFAULT
        }),
    ] {
        let one_login = many_roles(limit).await;
        let started = Instant::now();
        assert!(is_whole(&read(settings(&one_login)).await));
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "twenty-seven requests aren't half of five thousand"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_stays_spent_ends_in_an_error_that_passes() {
    let one_login = many_roles(Some(RateLimit::DEFAULT)).await;
    let spent = Fault::new(Way::TooManyRequests { retry_after: 3_000 });
    one_login
        .faults()
        .inject(spent.path("/api/").from_then_on());
    let error = try_read(settings(&one_login)).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(3_000));
    Refusal(error)
        .is(directory_sync::source::SourceErrorKind::Transient { retry_after })
        .says("429")
        .says("used up");
}
