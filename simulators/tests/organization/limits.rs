use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use simulators::organization::{Config, RateLimits};

use crate::client::{Signed, cloud, signed};

async fn limited(limits: RateLimits) -> Signed {
    let mut config = Config::cloud();
    config.rate_limits = Some(limits);
    signed(config).await
}

/// How many requests in a row pass, and what the first refused one says of coming back.
async fn passing(signed: &Signed, method: Method, path: &str) -> (u32, u64) {
    for passed in 0..1_000 {
        let request = signed.request(method.clone(), path).json(&json!({}));
        let response = request.send().await.unwrap();
        if response.status() == 429 {
            let seconds = response.headers()["retry-after"].to_str().unwrap();
            return (passed, seconds.parse().unwrap());
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn the_cloud_answers_200_reads_in_a_minute_and_5_writes_of_each_method_in_a_second() {
    let mut limits = RateLimits::cloud();
    assert_eq!(limits.second, Duration::from_secs(1));
    // Six requests must fit into it, however busy the machine.
    limits.second = Duration::from_secs(3);
    let signed = limited(limits).await;
    let (reads, wait) = passing(&signed, Method::GET, "/members").await;
    assert_eq!(reads, 200);
    assert!((50..=60).contains(&wait), "{wait}");
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let (writes, wait) = passing(&signed, method.clone(), "/nowhere").await;
        assert_eq!(writes, 5, "{method}");
        assert!((1..=3).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn writes_are_limited_by_the_minute_too() {
    let mut limits = RateLimits::cloud();
    limits.writes_per_second = 1_000;
    let signed = limited(limits).await;
    let (writes, wait) = passing(&signed, Method::POST, "/organization/import").await;
    assert_eq!(writes, 60);
    assert!((50..=60).contains(&wait), "{wait}");
    let (reads, _) = passing(&signed, Method::GET, "/members").await;
    assert_eq!(reads, 200, "methods are counted apart");
}

#[tokio::test]
async fn after_the_wait_requests_pass_again_and_time_can_run_faster() {
    let mut limits = RateLimits::cloud().faster(40);
    limits.reads_per_minute = 3;
    let signed = limited(limits).await;
    let (reads, wait) = passing(&signed, Method::GET, "/members").await;
    assert_eq!(reads, 3);
    assert!((1..=2).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(signed.get("/members").await.status, 200);
}

#[tokio::test]
async fn a_refused_request_does_nothing_and_asking_for_a_token_is_not_limited() {
    let mut limits = RateLimits::cloud();
    limits.writes_per_second = 0;
    let mut signed = limited(limits).await;
    let rows = json!([{"email": "a@example.com", "externalId": "a"}]);
    assert_eq!(signed.import_members(rows.clone()).await.status, 429);
    assert_eq!(signed.emails(), ["owner@example.com"]);
    signed.sign_in().await;
    signed.organization.set_rate_limits(None);
    assert_eq!(signed.import_members(rows).await.status, 200);
}

#[tokio::test]
async fn latency_delays_every_request() {
    let signed = cloud().await;
    signed.organization.set_latency(Duration::from_millis(150));
    let started = Instant::now();
    assert_eq!(signed.get("/members").await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(150));
}
