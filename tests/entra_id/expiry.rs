//! When the client secret expires, as far as Graph tells, and that no read depends on the answer.

use std::time::{Duration, Instant};

use directory_sync::http::{Credential, Expiry};
use directory_sync::source::Source;
use directory_sync::source::entra_id::EntraIdSource;
use directory_sync_testing::read_all;
use simulators::entra_id::{Config, Secret, SimulatedEntra, UserSeed};
use simulators::fault::{Fault, Way};

use crate::harness::*;

const APPLICATION: &str = "/v1.0/applications";

async fn ending(ends: &str) -> SimulatedEntra {
    tenant_with(Config {
        secret: Some(Secret {
            value: "abc~secret".to_owned(),
            expired: false,
            ends: ends.to_owned(),
        }),
        ..Config::default()
    })
    .await
}

fn reader(tenant: &SimulatedEntra) -> EntraIdSource {
    source(settings(tenant)).unwrap()
}

/// How often the tenant was asked for the application.
fn asked(tenant: &SimulatedEntra) -> usize {
    let requests = tenant.requests().into_iter();
    requests
        .filter(|request| request.path.starts_with(APPLICATION))
        .count()
}

/// Lets time pass for the source, and none for its connections.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_is_told_without_any_permission_and_asked_for_once_a_day() {
    let tenant = ending("2026-12-20T10:00:00.1234567Z").await;
    tenant.set_permissions([]);
    let reader = reader(&tenant);
    assert_eq!(reader.expiries(), []);
    reader.ask_expiries().await;
    reader.ask_expiries().await;
    let told: Vec<String> = reader.expiries().iter().map(Expiry::describe).collect();
    assert_eq!(
        told,
        [
            "the client secret for logging in to the directory expires on 2026-12-20 10:00 UTC: make a new one in \
             the app registration, and write its value into its Secret"
        ]
    );
    assert_eq!(reader.expiries()[0].credential, Credential::DirectorySecret);
    pass(HOUR * 23).await;
    reader.ask_expiries().await;
    assert_eq!(asked(&tenant), 1);
    pass(HOUR).await;
    reader.ask_expiries().await;
    assert_eq!(asked(&tenant), 2);
}

#[tokio::test]
async fn a_refusal_is_left_at_that_for_a_day_and_trouble_for_an_hour() {
    for (way, again) in [
        (Way::Status(403), 24),
        (Way::Status(404), 24),
        (Way::Garbage, 1),
        (Way::Unavailable, 1),
        (Way::CutConnection, 1),
    ] {
        let tenant = ending("2026-12-20T10:00:00Z").await;
        tenant.add_user(UserSeed::new("ada"));
        let reader = reader(&tenant);
        let fault = Fault::new(way).path(APPLICATION).from_then_on();
        tenant.faults().inject(fault);
        reader.ask_expiries().await;
        assert_eq!(reader.expiries(), [], "{way:?}");
        assert_eq!(names(&read_all(&reader).await.unwrap()), ["ada"]);
        let once = asked(&tenant);
        assert_eq!(once, 1, "{way:?} is tried again at once");
        pass(HOUR * (again - 1) + HOUR / 2).await;
        reader.ask_expiries().await;
        assert_eq!(asked(&tenant), once, "{way:?}");
        tenant.faults().clear();
        pass(HOUR / 2).await;
        reader.ask_expiries().await;
        assert_eq!(reader.expiries().len(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn what_was_told_stays_where_it_is_not_told_any_more() {
    let tenant = ending("2026-12-20T10:00:00Z").await;
    let reader = reader(&tenant);
    reader.ask_expiries().await;
    let fault = Fault::new(Way::Status(403)).path(APPLICATION);
    tenant.faults().inject(fault.from_then_on());
    pass(HOUR * 24).await;
    reader.ask_expiries().await;
    assert_eq!(asked(&tenant), 2);
    assert_eq!(reader.expiries().len(), 1);
}

#[tokio::test]
async fn no_read_waits_for_an_answer_or_for_a_limit_that_it_tells() {
    let tenant = ending("2026-12-20T10:00:00Z").await;
    tenant.add_user(UserSeed::new("ada"));
    let reader = reader(&tenant);
    let limited = Way::TooManyRequests { retry_after: 60 };
    tenant
        .faults()
        .inject(Fault::new(limited).path(APPLICATION));
    let started = Instant::now();
    reader.ask_expiries().await;
    assert_eq!(names(&read_all(&reader).await.unwrap()), ["ada"]);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(asked(&tenant), 1);

    tenant
        .faults()
        .inject(Fault::new(Way::Hang).path(APPLICATION));
    pass(HOUR).await;
    tokio::select! {
        () = reader.ask_expiries() => panic!("nobody answered"),
        read = read_all(&reader) => assert_eq!(names(&read.unwrap()), ["ada"]),
    }
    assert_eq!(asked(&tenant), 2);
}

#[tokio::test]
async fn a_check_says_when_or_why_that_is_not_known() {
    let tenant = ending("2026-12-20T10:00:00Z").await;
    let told = async || {
        let steps = reader(&tenant).check().await;
        let last = steps.into_iter().next_back().unwrap();
        assert_eq!(last.name, "see when the client secret expires");
        last.result.unwrap()
    };
    assert_eq!(told().await, "on 2026-12-20 10:00 UTC");
    let fault = Fault::new(Way::Status(403)).path(APPLICATION);
    tenant.faults().inject(fault);
    let refused = told().await;
    assert!(
        refused.contains("not known") && refused.contains("403"),
        "{refused}"
    );
    tenant.set_secret(Some(Secret {
        value: "abc~secret".to_owned(),
        expired: false,
        ends: "9999-12-31T23:59:59Z".to_owned(),
    }));
    let endless = told().await;
    assert!(endless.contains("no secret that is certainly"), "{endless}");
}
