//! What `check` reports before the first sync.

use std::time::Duration;

use directory_sync::source::Step;
use directory_sync::source::google_workspace::{Credentials, Tenant};
use simulators::google_workspace::Config;

use crate::harness::*;

fn lines(steps: &[Step]) -> Vec<String> {
    let text = |step: &Step| match &step.result {
        Ok(seen) => format!("{}: {seen}", step.name),
        Err(error) => format!("{} FAILED: {error}", step.name),
    };
    steps.iter().map(text).collect()
}

#[tokio::test]
async fn a_check_reports_what_was_seen_and_reads_no_more_than_the_first_pages() {
    let google = company(Config::default()).await;
    let steps = check(settings(&google)).await;
    assert_eq!(
        lines(&steps),
        [
            "get an access token: sync@directory-sync.iam.gserviceaccount.com may act for \
             admin@example.com",
            "read people of my_customer: more than 2 people, such as admin@example.com",
            "read groups of my_customer: more than 2 groups",
            "read the members of all@example.com: more than 2 members",
        ]
    );
    assert_eq!(google.requests().len(), 4);
}

#[tokio::test]
async fn a_check_goes_as_far_as_it_gets_and_reports_each_step_that_fails() {
    let google = company(Config::default()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let identity = || Credentials::WorkloadIdentity(keyless(&google, file.path()));

    let lines_of_none = lines(&check(settings_with(&google, identity(), Some(ADMIN))).await);
    assert_eq!(lines_of_none.len(), 1, "{lines_of_none:#?}");
    assert!(
        lines_of_none[0].starts_with("exchange the cluster's token FAILED: "),
        "{lines_of_none:#?}"
    );

    let token = google.cluster_token(Duration::from_secs(600));
    std::fs::write(file.path(), token).unwrap();
    google.allow_signing(false);
    let unsigned = lines(&check(settings_with(&google, identity(), Some(ADMIN))).await);
    assert_eq!(
        unsigned[0],
        "exchange the cluster's token: the workload identity provider accepts it"
    );
    assert_eq!(unsigned.len(), 2, "{unsigned:#?}");
    assert!(
        unsigned[1].contains("roles/iam.serviceAccountTokenCreator"),
        "{unsigned:#?}"
    );

    google.allow_signing(true);
    let mut some = settings_with(&google, identity(), Some(ADMIN));
    some.tenant = Tenant::Domains(vec!["example.com".into(), "nowhere.example".into()]);
    let some = lines(&check(some).await);
    assert_eq!(some.len(), 7, "{some:#?}");
    assert!(some[3].starts_with("read people of nowhere.example FAILED: "));
    assert!(some[5].starts_with("read groups of nowhere.example FAILED: "));
    assert!(some[6].starts_with("read the members of all@example.com: "));
}

#[tokio::test]
async fn a_check_notices_that_states_are_hidden() {
    let google = company(Config::default()).await;
    google.show_as_to_colleagues();
    let steps = lines(&check(settings(&google)).await);
    assert!(
        steps[1].contains("FAILED: Google doesn't tell whether"),
        "{steps:#?}"
    );
}
