//! Requests within our share of the organization's limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::source::{ReadProgress, Source, SourceErrorKind};
use simulators::fault::{Fault, Way, Work};
use simulators::okta::{
    Config, GroupSeed, RateLimitBucket, RateLimits, SimulatedOkta, Spent, UserSeed,
};

use crate::harness::*;

/// Windows of two seconds, so that a test sees several.
const LIMITS: RateLimits = RateLimits {
    users: 10,
    groups: 20,
    apps: 10,
    concurrent: 75,
    window_seconds: 2,
};

/// Twenty-five groups of one: a list and twenty-five requests, of which ten may go in a window: nine, as
/// one is left for whoever leaves meanwhile.
async fn many_groups(limits: RateLimits) -> SimulatedOkta {
    let okta = organization_with(Config {
        rate_limits: Some(limits),
        ..Config::default()
    })
    .await;
    for number in 0..25 {
        let id = okta.user(UserSeed::new(&format!("user{number}@example.com")));
        okta.group(GroupSeed::new(&format!("group{number}")).members([id]));
    }
    okta
}

fn most(okta: &SimulatedOkta, bucket: RateLimitBucket) -> u32 {
    let spent = okta.spent();
    let of_bucket = spent.iter().filter(|spent| spent.bucket == bucket);
    of_bucket.map(|spent| spent.requests).max().unwrap_or(0)
}

fn refused(okta: &SimulatedOkta) -> u32 {
    okta.spent().iter().map(|spent: &Spent| spent.refused).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_spent_in_the_middle_is_waited_for_and_nothing_is_lost() {
    let okta = many_groups(LIMITS).await;
    let source = source(settings(&okta)).unwrap();
    let progress = Arc::new(ReadProgress::default());
    let watched = progress.clone();
    let waits = tokio::spawn(async move {
        while watched.waits_until().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let started = Instant::now();
    let reading = source.read(None, &progress).await.unwrap();
    assert!(matches!(
        &reading,
        directory_sync::source::Reading::Full { directory, .. }
            if directory.users.len() == 25
                && directory.groups.len() == 25
                && directory.groups.iter().all(|group| group.users.len() == 1)
    ));
    assert!(
        started.elapsed() > Duration::from_secs(2),
        "twenty-six requests at nine in a window end in the third"
    );
    assert_eq!(
        most(&okta, RateLimitBucket::Groups),
        9,
        "{:?}",
        okta.spent()
    );
    assert_eq!(refused(&okta), 0);
    tokio::time::timeout(Duration::from_secs(1), waits)
        .await
        .expect("while it waited, it said so")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_answers_are_lost_count_as_spent() {
    let okta = many_groups(LIMITS).await;
    for k in [2, 5, 7] {
        let fault = Fault::new(Way::CutConnection)
            .work(Work::Done)
            .on_request(k);
        okta.faults().inject(fault.path("/api/v1/groups"));
    }
    let seen = read(settings(&okta)).await;
    assert_eq!(seen.groups.len(), 25);
    assert!(seen.groups.values().all(|members| members.len() == 1));
    assert_eq!(okta.faults().fired(), 3);
    assert!(
        most(&okta, RateLimitBucket::Groups) <= 9,
        "{:?}",
        okta.spent()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_of_one_organization_share_one_share() {
    let okta = many_groups(LIMITS).await;
    let (one, other) = tokio::join!(read(settings(&okta)), read(settings(&okta)));
    assert_eq!(one, other);
    assert_eq!(one.groups.len(), 25);
    assert!(
        most(&okta, RateLimitBucket::Groups) <= 10,
        "{:?}",
        okta.spent()
    );
    assert!(
        most(&okta, RateLimitBucket::Users) <= 5,
        "{:?}",
        okta.spent()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_share_can_be_set() {
    let okta = many_groups(LIMITS).await;
    let mut greedy = settings(&okta);
    greedy.rate_limit_share = 100;
    let seen = read(greedy).await;
    assert_eq!(seen.groups.len(), 25);
    assert_eq!(
        most(&okta, RateLimitBucket::Groups),
        18,
        "{:?}",
        okta.spent()
    );
    assert_eq!(refused(&okta), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_have_used_the_limit_up_reading_waits_for_the_next_window() {
    let okta = many_groups(LIMITS).await;
    okta.others_spend(RateLimitBucket::Groups, 20);
    let seen = read(settings(&okta)).await;
    assert_eq!(seen.groups.len(), 25);
    assert_eq!(
        refused(&okta),
        1,
        "the first request can't know, and no other is sent into a spent window: {:?}",
        okta.spent()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_is_not_taken_for_a_spent_window() {
    let okta = many_groups(RateLimits {
        concurrent: 3,
        groups: 1000,
        users: 1000,
        window_seconds: 60,
        ..LIMITS
    })
    .await;
    okta.set_latency(Duration::from_millis(20));
    let mut patient = settings(&okta);
    patient.retry.times = 8;
    let started = Instant::now();
    let seen = read(patient).await;
    assert_eq!(seen.groups.len(), 25);
    assert!(okta.requests().iter().any(|r| r.status == Some(429)));
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "not a window's length"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_stays_spent_ends_in_an_error_that_passes() {
    let okta = many_groups(RateLimits {
        groups: 0,
        window_seconds: 1,
        ..LIMITS
    })
    .await;
    let mut hasty = settings(&okta);
    hasty.retry.times = 1;
    let error = failure(hasty).await;
    assert!(
        matches!(error.kind, SourceErrorKind::Transient { .. }),
        "{error}"
    );
    assert!(error.message.contains("429"), "{error}");
}
