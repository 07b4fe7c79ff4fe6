//! What `check` reports before the first sync.

use directory_sync::api::spec::OneLoginGroupsFrom;
use directory_sync::source::Step;
use simulators::one_login::Config;

use crate::harness::*;

fn lines(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| {
        let result = step.result.as_ref().unwrap_or_else(|error| error);
        format!("{}: {result}", step.name)
    };
    steps.iter().map(line).collect()
}

#[tokio::test]
async fn a_check_reports_what_was_seen_and_reads_no_more_than_the_first_pages() {
    let (one_login, _) = company(Config::default()).await;
    let url = one_login.url();
    let steps = check(settings(&one_login)).await;
    assert_eq!(
        lines(&steps),
        [
            "get an access token: the API credentials are accepted".to_owned(),
            format!("read people from GET {url}/api/2/users: 7 people, such as ann@example.com"),
            "read roles: 4 roles".to_owned(),
            "read who is in the role All: 7 people".to_owned(),
        ]
    );
    assert_eq!(one_login.requests().len(), 4);

    let mut by_groups = settings(&one_login);
    by_groups.groups = Some(OneLoginGroupsFrom::Groups);
    let steps = check(by_groups).await;
    assert_eq!(lines(&steps)[2], "read groups: more than 2 groups");
}

#[tokio::test]
async fn a_check_ends_at_credentials_that_are_refused_and_goes_on_past_other_refusals() {
    let (one_login, _) = company(Config::default()).await;
    one_login.take_scope();
    let steps = check(settings(&one_login)).await;
    let good: Vec<_> = steps.iter().map(|step| step.result.is_ok()).collect();
    assert_eq!(good, [true, false, false], "{:#?}", lines(&steps));
    assert!(
        lines(&steps)[1].contains("Read Users"),
        "{:#?}",
        lines(&steps)
    );

    one_login.set_client_secret("another");
    let steps = check(settings(&one_login)).await;
    assert_eq!(steps.len(), 1);
    assert!(steps[0].result.is_err());
}
