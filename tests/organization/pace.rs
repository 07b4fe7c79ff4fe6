//! The server's limits are kept, and learned where they aren't known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::http::{RateLimiter, Window};
use directory_sync::organization::{OrganizationClient, cloud_rate_limiter};
use reqwest::Method;
use simulators::organization::{Config, GroupSeed, MemberSeed, RateLimits, SimulatedOrganization};
use uuid::Uuid;

use super::{client, group, member, settings, start};

async fn with_groups(groups: usize, rate_limits: RateLimits) -> (SimulatedOrganization, Vec<Uuid>) {
    let config = Config {
        rate_limits: Some(rate_limits),
        ..Config::cloud()
    };
    let server = start(config).await;
    for n in 0..groups {
        let seed = GroupSeed::new(&format!("Group {n}"));
        server.seed_group(seed.external_id(&format!("g{n}")));
    }
    let ids = (0..groups)
        .map(|n| group(&server, &format!("g{n}")))
        .collect();
    (server, ids)
}

fn throttled(server: &SimulatedOrganization) -> usize {
    let requests = server.requests();
    requests.iter().filter(|r| r.status == Some(429)).count()
}

#[tokio::test]
async fn known_limits_are_kept_so_that_nothing_is_refused() {
    let limits = RateLimits {
        reads_per_minute: 50,
        minute: Duration::from_secs(1),
        second: Duration::from_millis(200),
        ..RateLimits::cloud()
    };
    let (server, groups) = with_groups(70, limits).await;
    for n in 0..12 {
        server.seed_member(MemberSeed::new(&format!("m{n}@example.com")));
    }
    let mut settings = settings(&server);
    // Longer than the server's, for a machine that is busy.
    let minute = Duration::from_millis(1_700);
    let write = [
        Window::new(60, minute),
        Window::new(5, Duration::from_millis(600)),
    ];
    let pace = RateLimiter::unlimited()
        .with(Method::GET, [Window::new(50, minute)])
        .with(Method::POST, write);
    settings.limit = Some(Arc::new(pace));
    let client = OrganizationClient::new(settings).unwrap();

    let started = Instant::now();
    let memberships = client.memberships(&groups, &|_| {}).await.unwrap();
    for n in 0..12 {
        let member = member(&server, &format!("m{n}@example.com"));
        client.revoke(member).await.unwrap();
    }
    assert_eq!(memberships.len(), 70);
    assert_eq!(throttled(&server), 0);
    let elapsed = started.elapsed();
    assert!(
        elapsed >= minute + Duration::from_millis(1_200),
        "70 reads and 12 writes took {elapsed:?}"
    );
}

#[tokio::test]
async fn unknown_limits_are_learned_from_the_first_refusal() {
    let limits = RateLimits {
        reads_per_minute: 20,
        ..RateLimits::cloud().faster(60)
    };
    // The server counts each path for itself: the members of other groups are no second request.
    let (server, groups) = with_groups(50, limits).await;
    let client = client(&server);
    let memberships = client.memberships(&groups, &|_| {}).await.unwrap();
    assert_eq!(memberships.len(), 50);
    assert_eq!(throttled(&server), 0);

    let one = &groups[..1];
    futures::future::join_all((0..50).map(|_| client.memberships(one, &|_| {}))).await;
    let throttled = throttled(&server);
    assert!(
        (1..=50 + 8).contains(&throttled),
        "many are refused at first, and few once the limit is known: {throttled}"
    );
}

#[tokio::test]
async fn many_leavers_are_revoked_in_seconds_within_the_clouds_limits() {
    let leavers = 100;
    let config = Config {
        rate_limits: Some(RateLimits::cloud()),
        ..Config::cloud()
    };
    let server = start(config).await;
    let emails: Vec<String> = (0..leavers).map(|n| format!("m{n}@example.com")).collect();
    for email in &emails {
        server.seed_member(MemberSeed::new(email));
    }
    let mut settings = settings(&server);
    settings.limit = Some(Arc::new(cloud_rate_limiter()));
    let client = OrganizationClient::new(settings).unwrap();

    let started = Instant::now();
    for email in &emails {
        client.revoke(member(&server, email)).await.unwrap();
    }
    // Counted by method alone the cloud's limits would take more than a minute.
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    assert!(
        elapsed > Duration::from_secs(2),
        "{elapsed:?}: there is a common pace"
    );
    assert_eq!(throttled(&server), 0);

    // One path stays within the limits for it.
    let again = (0..8).map(|_| client.revoke(member(&server, &emails[0])));
    futures::future::join_all(again).await;
    assert_eq!(throttled(&server), 0);
}
