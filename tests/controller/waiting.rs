//! A directory whose limit on requests is spent: the resource says that it waits, then it is ready.

use std::sync::Arc;
use std::time::Duration;

use directory_sync::api::conditions::{ConditionType, find};
use serde_json::json;
use simulators::okta::{self, GroupSeed, RateLimitBucket, RateLimits, SimulatedOkta, UserSeed};

use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_waits_for_oktas_limit_says_until_when_and_then_ends_well() {
    let limits = RateLimits {
        window_seconds: 5,
        ..RateLimits::DEFAULT
    };
    let okta = SimulatedOkta::start(okta::Config {
        rate_limits: Some(limits),
        ..okta::Config::default()
    })
    .await
    .unwrap();
    let okta = Arc::new(okta);
    let ann = okta.user(UserSeed::new("ann@example.com"));
    okta.group(GroupSeed::new("Law").members([ann]));

    let world = World::new("waiting").await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "okta", "namespace": world.namespace},
        "stringData": {"token": okta::Config::default().api_token},
    });
    world.apply(&secret);
    let operator = world.operator();
    // Others use up every window, until the operator was seen to wait.
    let others = okta.clone();
    let others = tokio::spawn(async move {
        loop {
            others.others_spend(RateLimitBucket::Groups, limits.groups);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let source = json!({"okta": {
        "orgUrl": okta.url(),
        "credentials": {"apiTokenSecretRef": {"name": "okta"}},
    }});
    world.resource("staff", json!({"source": source}));

    let waiting = world.until("staff", "waiting", |object| {
        let progress = object.status.as_ref().and_then(|s| s.progress.as_ref());
        progress.is_some_and(|progress| progress.waits_until.is_some())
    });
    let status = waiting.await.status.unwrap();
    others.abort();
    let reconciling = find(&status.conditions, ConditionType::Reconciling).unwrap();
    let message = &reconciling.message;
    assert!(message.contains("waits until"), "{message}");

    let staff = world.until_ready("staff", "Succeeded").await;
    let status = staff.status.unwrap();
    assert_eq!(status.source.unwrap().kind, "Okta");
    assert!(status.progress.is_none());
    let organization = world.organization.snapshot();
    assert_eq!(
        organization.group("Law").unwrap().members,
        ["ann@example.com"]
    );
    operator.stop().await.unwrap();
}
