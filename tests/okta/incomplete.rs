//! Reads that end early, or nearly: everything is there, or it is an error.

use std::time::Duration;

use directory_sync::source::SourceErrorKind;
use simulators::okta::{Config, LinkStyle};

use crate::harness::*;
use directory_sync_testing::sweep::sweep;

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_once_the_directory_is_the_same_or_it_is_an_error() {
    let okta = company(Config::default()).await;
    let mut settings = settings(&okta);
    settings.connection.idle_timeout = Duration::from_millis(300);
    // The limiter would see each cut request as under way for minutes.
    okta.set_rate_limits(None);
    let whole = read(settings.clone()).await;
    let requests = okta.requests().len();
    assert!(requests >= 12);
    let again = async || try_read(settings.clone()).await;
    sweep(okta.faults(), requests, &whole, again).await;
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
