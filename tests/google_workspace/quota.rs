//! Requests within Google's quota, and beside others who use it up.

use std::sync::Arc;
use std::time::Duration;

use directory_sync::source::{ReadProgress, Source};
use simulators::google_workspace::{Config, GroupSeed, Quota, SimulatedGoogle, Spent, UserSeed};

use crate::harness::*;

async fn many_groups(quota: Option<Quota>) -> SimulatedGoogle {
    let google = customer_with(Config {
        quota,
        ..Config::default()
    })
    .await;
    for number in 0..60 {
        let id = google.user(UserSeed::new(&format!("user{number}@example.com")));
        let email = format!("group{number}@example.com");
        google.group(GroupSeed::new(&email, &email).users([id]));
    }
    google
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_spent_in_the_middle_is_waited_for_and_nothing_is_lost() {
    // A read of sixty-two requests at forty in a window, which ends when we say so.
    let google = many_groups(Some(Quota {
        queries: 40,
        window: Duration::from_secs(3600),
        concurrent: 100,
    }))
    .await;
    let google = Arc::new(google);
    let mut patient = settings(&google);
    patient.retry.longest_delay = Duration::from_secs(8);
    patient.retry.first_delay = Duration::from_millis(50);
    let reading = tokio::spawn(try_read(patient));
    let refused = || {
        let requests = google.requests();
        requests.iter().filter(|r| r.status == Some(403)).count()
    };
    while refused() == 0 {
        assert!(!reading.is_finished(), "sixty-two are more than forty");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    google.next_window();
    let seen = reading.await.unwrap().unwrap();
    assert_eq!(seen.groups.len(), 60);
    assert!(seen.groups.values().all(|members| members.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_is_waited_for_too_and_no_more_than_a_few_are() {
    let google = many_groups(Some(Quota {
        queries: 10_000,
        window: Duration::from_secs(60),
        concurrent: 8,
    }))
    .await;
    google.set_latency(Duration::from_millis(5));
    let seen = read(settings(&google)).await;
    assert_eq!(seen.groups.len(), 60);
    assert!(google.most_at_once() <= 13, "{}", google.most_at_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_limit_a_minute_is_waited_for_progress_says_until_when_for_every_source_of_it() {
    let google = many_groups(None).await;
    let mut slow = settings(&google);
    slow.requests_per_minute = 60;
    let (one, other) = (source(slow.clone()).unwrap(), source(slow).unwrap());
    let progress = [Arc::new(ReadProgress::default()), Arc::default()];
    let watched = progress.clone();
    let both_wait = async move {
        while watched
            .iter()
            .any(|progress| progress.waits_until().is_none())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ = one.read(None, &progress[0]) => panic!("sixty a minute aren't enough for one"),
        _ = other.read(None, &progress[1]) => panic!("nor for the other"),
        waited = tokio::time::timeout(Duration::from_secs(50), both_wait) => waited.unwrap(),
    }
    let sent = google
        .requests()
        .iter()
        .filter(|r| r.method == "GET")
        .count();
    assert!(sent <= 60, "{sent}: both share one limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_read_that_waits_for_the_next_minute_leaves_room_for_a_question_about_one_person() {
    let google = many_groups(None).await;
    let mut slow = settings(&google);
    slow.requests_per_minute = 60;
    let source = source(slow).unwrap();
    let progress = ReadProgress::default();
    let asked = async {
        while progress.waits_until().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        source.look_up("ada@example.com").await
    };
    tokio::select! {
        _ = source.read(None, &progress) => panic!("sixty a minute aren't enough"),
        asked = tokio::time::timeout(Duration::from_secs(20), asked) => {
            asked.expect("it doesn't wait for the read").unwrap();
        }
    }
    let sent = google.requests();
    let sent = sent.iter().filter(|r| r.method == "GET").count();
    assert!(sent <= 60, "{sent}: both share one limit");
}

#[tokio::test]
async fn quotas_that_stay_spent_end_in_an_error_that_passes() {
    for (spent, reason) in [
        (Spent::User, "403 Forbidden"),
        (Spent::Concurrent, "quotaExceeded"),
        (Spent::Customer, "429"),
    ] {
        let google = many_groups(None).await;
        google.refuse(spent, 1, 10_000);
        let refused = refusal(settings(&google)).await.is_transient();
        refused.says(reason).says("quota is used up").says(ADMIN);
    }
    let google = many_groups(None).await;
    google.refuse(Spent::Backend, 1, 10_000);
    refusal(settings(&google)).await.is_transient().says("503");
}
