//! Requests and answers against the API's description that Okta publishes: Prism stands between the
//! two and refuses what doesn't fit.

use directory_sync::api::spec::AccountMeaning;
use directory_sync::source::okta::UserScope;
use directory_sync_testing::client;
use simulators::lab::{Prism, find, or_skip};
use simulators::okta::{Config, Status, UserSeed};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_fit_the_description_that_okta_publishes() {
    let okta = company(Config::default()).await;
    let test = "requests_and_answers_fit_the_description_that_okta_publishes";
    let prism = find("okta-openapi")
        .and_then(|description| Prism::before(&okta.listens_at(), &description));
    let Some(prism) = or_skip(test, prism) else {
        return;
    };
    okta.set_public_url(prism.url());
    for status in Status::ALL {
        let email = format!("{}@example.com", status.name().to_lowercase());
        let id = okta.user(UserSeed::new(&email).status(status));
        okta.application("0oabitwarden", &[&id], &["00g00000000000000009"]);
    }

    // Everything that a read asks for: both lists of users, groups, members, assignments.
    let mut settings = settings(&okta);
    settings.statuses.deprovisioned = Some(AccountMeaning::Disabled);
    let all = read(settings.clone()).await;
    assert_eq!(all.users.len(), 15);
    assert_eq!(all.groups.len(), 4);
    settings.users = UserScope::Search(r#"profile.email sw "d""#.into());
    settings.application_id = Some("0oabitwarden".into());
    let some = read(settings.clone()).await;
    assert_eq!(some.emails(), ["deprovisioned@example.com"]);
    assert_eq!(some.group_names(), ["Law"]);

    // What Okta refuses has the form that Okta describes.
    settings.users = UserScope::Search("(".into());
    let refused = failure(settings).await;
    assert!(refused.message.contains("E0000031"), "{refused}");

    // And the proxy does look: a page size that is no number isn't one of Okta's.
    let answer = client()
        .get(format!("{}/api/v1/users?limit=many", prism.url()))
        .header("Authorization", format!("SSWS {TOKEN}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 422);
}
