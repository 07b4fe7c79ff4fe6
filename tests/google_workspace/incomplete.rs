//! Reads that end early, or nearly: everything is there, or it is an error.

use std::time::Duration;

use directory_sync::source::SourceErrorKind;
use directory_sync::source::google_workspace::Credentials;
use simulators::google_workspace::{Config, Pages, Request, SimulatedGoogle, Spent};

use crate::harness::*;
use directory_sync_testing::sweep::sweep;

/// Whichever request of a read with these settings fails once: the read is whole, or an error.
async fn fails_once(google: &SimulatedGoogle, mut settings: GoogleSetup) {
    settings.connection.idle_timeout = Duration::from_millis(300);
    google.clear_requests();
    let whole = read(settings.clone()).await;
    assert_eq!(whole.users.len(), 8);
    let requests = google.requests().len();
    let again = async || {
        let read = try_read(settings.clone()).await;
        read.inspect_err(|error| {
            let kind = error.kind;
            assert_ne!(kind, SourceErrorKind::Configuration, "{error}");
        })
    };
    sweep(google.faults(), requests, &whole, again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_once_the_directory_is_the_same_or_it_is_an_error() {
    let google = company(Config::default()).await;
    fails_once(&google, settings(&google)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_it_is_the_same_at_every_step_to_the_token() {
    let google = company(Config::default()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let token = google.cluster_token(Duration::from_secs(600));
    std::fs::write(file.path(), token).unwrap();
    let credentials = Credentials::WorkloadIdentity(keyless(&google, file.path()));
    let mut people = settings_with(&google, credentials, Some(ADMIN));
    people.groups = None;
    fails_once(&google, people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_spent_at_any_request_is_waited_for() {
    let google = company(Config::default()).await;
    let whole = read(settings(&google)).await;
    let token = asked(&google, "/token");
    let requests = google.requests().len() - token;
    for spent in Spent::ALL {
        for k in 1..=requests as u64 {
            google.clear_requests();
            google.refuse(spent, k, 3);
            let seen = read(settings(&google)).await;
            assert_eq!(seen, whole, "{spent:?} at {k}");
            let refused = google.requests();
            let refused = refused.iter().filter(|r| r.status != Some(200)).count();
            assert!((1..=3).contains(&refused), "{spent:?} at {k}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_list_whose_end_cannot_be_known_is_no_list() {
    let google = company(Config::default()).await;
    google.set_pages(Pages::Loop);
    let refused = refusal(settings(&google)).await;
    refused.ended_early().says("circle");
    // What a captive portal or a wrong server may answer to anything.
    google.set_pages(Pages::Nameless);
    let refused = refusal(settings(&google)).await;
    refused.ended_early().says("--vendor-urls");
}

#[tokio::test]
async fn page_tokens_that_google_forgets_are_one_more_read_from_the_beginning() {
    let google = company(Config::default()).await;
    let whole = read(settings(&google)).await;
    google.clear_requests();
    // Given out with the first page, good no more when the second is asked for.
    google.before("pageToken", |hand| hand.expire_page_tokens());
    assert_eq!(read(settings(&google)).await, whole);
    let refused = |r: &Request| r.status == Some(400);
    assert!(google.requests().iter().any(refused));
}

#[tokio::test]
async fn page_tokens_that_google_forgets_again_and_again_are_an_error_and_never_half_a_list() {
    let google = company(Config::default()).await;
    google.set_pages(Pages::Forgotten);
    let refused = refusal(settings(&google)).await;
    refused.ended_early().says("lost the place");
}

#[tokio::test]
async fn a_group_that_is_deleted_while_it_is_read_is_gone_and_the_rest_is_whole() {
    let google = company(Config::default()).await;
    google.before("/groups/law/members", |hand| hand.delete_group("law"));
    let seen = read(settings(&google)).await;
    assert_eq!(seen.users.len(), 8);
    assert_eq!(seen.groups["All"].len(), 7);
    assert!(!seen.groups.contains_key("Law"), "{seen:?}");
    // In the middle of it, the same.
    let google = company(Config::default()).await;
    let second_page = "/groups/law/members?maxResults=200\
                       &fields=kind%2CnextPageToken%2Cmembers%28id%2Cemail%2Ctype%29&pageToken=";
    google.before(second_page, |hand| hand.delete_group("law"));
    assert_eq!(read(settings(&google)).await, seen);
}

#[tokio::test]
async fn what_is_not_google_is_not_taken_for_an_empty_customer() {
    let google = company(Config::default()).await;
    let mut wrong = settings(&google);
    // A server of another make, whose 404 isn't of Google's form.
    let other = simulators::organization::SimulatedOrganization::start(
        simulators::organization::Config::cloud(),
    )
    .await
    .unwrap();
    wrong.addresses.directory = other.url().parse().unwrap();
    let refused = refusal(wrong).await.is_configuration();
    refused.says("--vendor-urls");
}
