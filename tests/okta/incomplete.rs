//! Reads that end early, or nearly: everything is there, or it is an error.

use std::time::Duration;

use directory_sync::http::Retry;
use directory_sync::source::SourceErrorKind;
use simulators::fault::{Fault, Way};
use simulators::okta::{Config, LinkStyle};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_once_the_directory_is_the_same_or_it_is_an_error() {
    let okta = company(Config::default()).await;
    let mut settings = settings(&okta);
    settings.connection.idle_timeout = Duration::from_millis(300);
    settings.retry = Retry {
        first_delay: Duration::from_millis(2),
        ..settings.retry
    };
    // The limiter would see each cut request as under way for minutes.
    okta.set_rate_limits(None);
    let whole = read(settings.clone()).await;
    let requests = okta.requests().len() as u64;
    assert!(requests >= 12);
    let (mut healed, mut failed) = (0, 0);
    for way in Way::ALL {
        let way = match way {
            Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
            way => way,
        };
        for k in 1..=requests {
            okta.faults().clear();
            okta.faults().inject(Fault::new(way).on_request(k));
            match try_read(settings.clone()).await {
                Ok(seen) => {
                    assert_eq!(seen, whole, "{way:?} at {k}");
                    healed += 1;
                }
                Err(error) => {
                    assert_eq!(way, Way::Garbage, "{error}");
                    failed += 1;
                }
            }
            assert_eq!(okta.faults().fired(), 1, "{way:?} at {k}");
        }
    }
    assert_eq!(failed, requests, "only garbage can't be asked for again");
    assert_eq!(healed, 7 * requests);
}

#[tokio::test]
async fn a_list_whose_end_cannot_be_known_is_no_list() {
    let okta = company(Config::default()).await;
    for (links, why) in [
        (LinkStyle::Stripped, "Link header"),
        (LinkStyle::Elsewhere, "https://other.example.com/api/v1/"),
        (LinkStyle::Loop, "circle"),
    ] {
        okta.set_links(links);
        let error = failure(settings(&okta)).await;
        assert_eq!(error.kind, SourceErrorKind::Incomplete, "{error}");
        assert!(error.message.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_group_that_is_deleted_while_it_is_read_is_gone_and_the_rest_is_whole() {
    let okta = company(Config::default()).await;
    okta.set_latency(Duration::from_millis(40));
    let reading = tokio::spawn(try_read(settings(&okta)));
    // Its page of the list is out; its members aren't asked for yet.
    while !okta.requests().iter().any(|r| r.path == "/api/v1/groups") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while okta
        .requests()
        .iter()
        .filter(|r| r.path == "/api/v1/groups")
        .count()
        < 2
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    okta.delete_group("00g00000000000000008");
    let seen = reading.await.unwrap().unwrap();
    assert_eq!(seen.group_names(), ["Empty", "Law", "Sales"]);
    assert_eq!(seen.users.len(), 7);
    let gone = |r: &simulators::okta::Request| r.status == Some(404);
    assert_eq!(okta.requests().iter().filter(|r| gone(r)).count(), 1);
}

#[tokio::test]
async fn what_is_not_okta_is_not_taken_for_an_empty_organization() {
    let okta = company(Config::default()).await;
    let mut wrong = settings(&okta);
    // A server of another make, whose 404 has no code of Okta's.
    let other = simulators::organization::SimulatedOrganization::start(
        simulators::organization::Config::cloud(),
    )
    .await
    .unwrap();
    wrong.org_url = other.url().parse().unwrap();
    let error = failure(wrong).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("orgUrl"), "{error}");
}
