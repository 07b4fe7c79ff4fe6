//! Reads that end early, or nearly: everything is there, or it is an error.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory_sync::source::SourceErrorKind;
use directory_sync::source::entra_id::GroupSettings;
use serde_json::Value;
use simulators::entra_id::{Config, DeltaLoss, Limits, PageSizes, SimulatedEntra, UserSeed};
use simulators::fault::{Fault, Way};

use crate::harness::*;
use directory_sync_testing::sweep::sweep;

/// A small tenant on many pages, with a group in a group.
async fn company() -> SimulatedEntra {
    let pages = PageSizes {
        usual: 2,
        most: 999,
        delta: 2,
        delta_members: 3,
    };
    let tenant = tenant_with(Config {
        pages,
        ..Config::default()
    })
    .await;
    let people: Vec<_> = (0..5)
        .map(|number| tenant.add_user(UserSeed::new(&format!("user{number}"))))
        .collect();
    let inner = tenant.add_group("Inner", people.iter().copied());
    tenant.add_group("Outer", [people[0], inner]);
    tenant.add_group("Other", people[2..].iter().copied());
    tenant
}

/// One way by deltas, one by batches.
fn ways(tenant: &SimulatedEntra) -> [EntraSetup; 2] {
    let filtered = GroupSettings {
        filter: Some("securityEnabled eq true".into()),
        ..GroupSettings::default()
    };
    let impatient = |mut settings: EntraSetup| {
        settings.connection.idle_timeout = Duration::from_millis(300);
        settings
    };
    [
        impatient(settings(tenant)),
        impatient(with_groups(tenant, filtered)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_once_the_directory_is_the_same_or_it_is_an_error() {
    let tenant = company().await;
    for settings in ways(&tenant) {
        tenant.clear_requests();
        let whole = fingerprint(&read(settings.clone()).await);
        let requests = tenant.requests().len();
        assert!(requests >= 5);
        let again = async || {
            let directory = try_read(settings.clone()).await?;
            Ok(fingerprint(&directory))
        };
        sweep(tenant.faults(), requests, &whole, again).await;
    }
}

#[tokio::test]
async fn a_page_that_never_comes_is_an_error_and_not_the_end() {
    let tenant = company().await;
    for number in 0..2_000 {
        tenant.add_user(UserSeed::new(&format!("more{number}")));
    }
    for (path, k, says) in [
        // After where changes will be told, the AI agents, and the first page.
        ("/v1.0/users", 4, "reading users"),
        ("/v1.0/groups/delta", 2, "reading groups and their members"),
    ] {
        tenant.faults().clear();
        let fault = Fault::new(Way::Unavailable).path(path).on_request(k);
        tenant.faults().inject(fault.from_then_on());
        let refusal = refused(settings(&tenant)).await;
        refusal
            .is(SourceErrorKind::Transient { retry_after: None })
            .says(says)
            .says("503");
    }
}

#[tokio::test]
async fn a_throttled_part_of_a_batch_is_asked_again_alone() {
    let tenant = company().await;
    let [_, by_batch] = ways(&tenant);
    let whole = fingerprint(&read(by_batch.clone()).await);
    tenant.clear_requests();
    tenant.refuse_parts(2);
    assert_eq!(fingerprint(&read(by_batch.clone()).await), whole);
    // For good, it is an error with Graph's own word on when to come back.
    tenant.refuse_parts(1_000);
    let refusal = refused(by_batch).await;
    refusal
        .is(SourceErrorKind::Transient {
            retry_after: Some(Duration::ZERO),
        })
        .says("429 Too Many Requests");
}

#[tokio::test]
async fn a_tenant_at_its_limit_is_read_more_slowly_and_whole() {
    let tenant = company().await;
    let whole = fingerprint(&read(settings(&tenant)).await);
    let before = tenant.units();
    tenant.set_limits(Some(Limits {
        units: 4,
        per: Duration::from_millis(900),
    }));
    assert_eq!(fingerprint(&read(settings(&tenant)).await), whole);
    assert!(
        tenant.units() - before > 4,
        "there was nothing to wait for within the limit"
    );
}

#[tokio::test]
async fn a_delta_that_is_lost_in_the_middle_is_an_error_that_passes() {
    for loss in [DeltaLoss::Gone, DeltaLoss::SyncStateNotFound] {
        let tenant = company().await;
        tenant.lose_deltas_before("/v1.0/groups/delta", 2, loss);
        let refusal = refused(settings(&tenant)).await;
        refusal.is(SourceErrorKind::Incomplete).says("lost track");
        assert_eq!(read(settings(&tenant)).await.users.len(), 5);
    }
}

#[tokio::test]
async fn a_group_deleted_between_two_requests_makes_the_read_start_over_later() {
    let tenant = company().await;
    let doomed = tenant.add_group("Doomed", []);
    tenant.before("/v1.0/$batch", 1, move |hand| hand.delete(doomed));
    let [_, by_batch] = ways(&tenant);
    let refusal = refused(by_batch.clone()).await;
    refusal
        .is(SourceErrorKind::Incomplete)
        .says("changed while it was read");
    assert_eq!(
        group_names(&read(by_batch).await),
        ["Inner", "Other", "Outer"]
    );
}

/// A way in which an answer may be other than it should.
type Spoil = fn(&mut Value);

#[tokio::test]
async fn an_answer_that_leaves_a_doubt_is_an_error() {
    let without_value: Spoil = |body| drop(body.as_object_mut().unwrap().remove("value"));
    let without_end: Spoil = |body| {
        let body = body.as_object_mut().unwrap();
        body.remove("@odata.nextLink");
        body.remove("@odata.deltaLink");
    };
    let without_a_part: Spoil = |body| drop(body["responses"].as_array_mut().unwrap().pop());
    let page_without_value: Spoil = |body| {
        let part = &mut body["responses"][0]["body"];
        drop(part.as_object_mut().unwrap().remove("value"));
    };
    let without_id: Spoil = |body| body["value"][0]["id"] = "not-an-id".into();
    const INCOMPLETE: SourceErrorKind = SourceErrorKind::Incomplete;
    // An answer of another form isn't believed, and asked for again.
    const TRANSIENT: SourceErrorKind = SourceErrorKind::Transient { retry_after: None };
    for (way, path, spoil, says, kind) in [
        (0, "/v1.0/users", without_value, "reading users", TRANSIENT),
        (0, "/v1.0/users", without_id, "reading users", TRANSIENT),
        (
            0,
            "/v1.0/users/delta",
            without_end,
            "no delta link",
            INCOMPLETE,
        ),
        (
            0,
            "/v1.0/groups/delta",
            without_end,
            "no delta link",
            INCOMPLETE,
        ),
        (
            0,
            "/v1.0/groups/delta",
            without_value,
            "reading groups",
            TRANSIENT,
        ),
        (
            1,
            "/v1.0/groups",
            without_value,
            "reading groups",
            TRANSIENT,
        ),
        (
            1,
            "/v1.0/$batch",
            without_a_part,
            "was not answered",
            INCOMPLETE,
        ),
        (
            1,
            "/v1.0/$batch",
            page_without_value,
            "has no value",
            INCOMPLETE,
        ),
    ] {
        let tenant = company().await;
        tenant.spoil(path, 1, spoil);
        let settings = ways(&tenant)[way].clone();
        let refusal = refused(settings.clone()).await;
        refusal.is(kind).says(says);
        assert_eq!(read(settings).await.users.len(), 5);
    }
}

#[tokio::test]
async fn a_link_to_elsewhere_is_not_followed_for_our_token_would_go_with_it() {
    let elsewhere = company().await;
    let link = format!("{}/v1.0/users?$skiptoken=x", elsewhere.url());
    for (way, path) in [
        (0, "/v1.0/users"),
        (0, "/v1.0/groups/delta"),
        (1, "/v1.0/$batch"),
    ] {
        let tenant = company().await;
        let link = link.clone();
        tenant.spoil(path, 1, move |body| {
            match body["responses"].as_array_mut() {
                Some(parts) => parts[0]["body"]["@odata.nextLink"] = link.into(),
                None => body["@odata.nextLink"] = link.into(),
            }
        });
        let refusal = refused(ways(&tenant)[way].clone()).await;
        refusal
            .is(SourceErrorKind::Incomplete)
            .says("leads away from Microsoft Graph");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn pages_that_go_round_in_a_circle_end() {
    let tenant = company().await;
    let second = Arc::new(Mutex::new(Value::Null));
    let noted = second.clone();
    tenant.spoil("/v1.0/groups/delta", 1, move |body| {
        *noted.lock().unwrap() = body["@odata.nextLink"].clone();
    });
    tenant.spoil("/v1.0/groups/delta", 2, move |body| {
        body["@odata.nextLink"] = second.lock().unwrap().clone();
    });
    let refusal = refused(settings(&tenant)).await;
    refusal.is(SourceErrorKind::Incomplete).says("in a circle");
}

#[tokio::test]
async fn accounts_of_which_nobody_says_whether_they_are_blocked_are_an_error() {
    let tenant = company().await;
    tenant.spoil("/v1.0/users", 1, |body| {
        body["value"][0]["accountEnabled"] = Value::Null;
    });
    let refusal = refused(settings(&tenant)).await;
    refusal.for_entra().says("User.Read.All");
}
