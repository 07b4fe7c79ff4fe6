//! What the page's buttons do.

use directory_sync_testing::world::*;

use super::{Document, Page};

async fn held(purpose: &str) -> (World, Operator, Page) {
    let (world, operator) = World::synced(purpose).await;
    world.leave(0..7);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(3);
    let page = Page::open(&world).await;
    (world, operator, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn held_changes_are_shown_whole_and_only_those_that_were_shown_are_approved() {
    let (world, operator, page) = held("page-approve").await;
    let path = format!("/{}/staff/do/approve", world.namespace);
    let shown = page.get(&path).await;
    shown.is(200).says("Let these 7 held changes go ahead");
    for number in 0..7 {
        shown.says(&format!("p{number:02}@example.com"));
    }

    // Between look and button one more leaves.
    world.leave(7..8);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(3);
    page.pressed(&shown)
        .await
        .is(409)
        .says("isn't the digest of what is held");
    assert_eq!(world.revoked(), 0);

    let shown = page.get(&path).await;
    shown.says("p07@example.com");
    let done = page.press(&shown).await;
    assert_eq!(done.status(), 303);
    let next = done.headers()["location"].to_str().unwrap().to_owned();
    page.get(next.strip_prefix(&page.base).unwrap())
        .await
        .is(200)
        .says("Approved.");
    eventually("the revocations", || world.revoked() == 8).await;
    world.until_ready("staff", "Succeeded").await;
    page.get(&path).await.is(409).says("wait for approval");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_may_not_see_all_that_is_held_cant_approve_it_here() {
    let (world, operator) = World::synced("page-sample").await;
    world.seed_leavers(20);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(3);
    let approver = crate::refusals::user(&world, "page-approver", "get,list,patch");
    let words = format!("-n {}", world.namespace);
    let mut page = Page::serve(&world, &words, &approver).await;
    page.sign_in().await;

    let shown = page
        .get(&format!("/{}/staff/do/approve", world.namespace))
        .await;
    shown
        .is(200)
        .says("… and 10 more")
        .says("may not get configmaps")
        .says("nothing is approved that wasn't seen")
        .says("kubectl directorysync approve staff");
    assert!(shown.texts("form").is_empty());
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_requested_and_a_resource_suspended_and_resumed() {
    let (world, operator) = World::synced("page-buttons").await;
    let page = Page::open(&world).await;
    let staff = format!("/{}/staff", world.namespace);
    let press = async |action: &str| {
        let ask = page.get(&format!("{staff}/do/{action}")).await;
        assert_eq!(ask.is(200).texts("form button").len(), 1);
        let done = page.press(&ask).await;
        assert_eq!(done.status(), 303, "{action}");
        let next = done.headers()["location"].to_str().unwrap().to_owned();
        page.get(next.strip_prefix(&page.base).unwrap()).await
    };

    let runs = operator.runs("staff");
    press("sync").await.says("A run was requested.");
    eventually("another run", || operator.runs("staff") > runs).await;

    let suspended: Document = press("suspend").await;
    suspended.says("Suspended: the operator does nothing");
    assert_eq!(world.get("staff").await.spec.suspend, Some(true));
    world.until_ready("staff", "Suspended").await;
    let buttons = page.get(&staff).await.texts("nav .button");
    assert_eq!(buttons, ["Resume…"]);
    let ask = page.get(&format!("{staff}/do/sync")).await;
    page.pressed(&ask).await.is(409).says("it is suspended");

    press("resume").await.says("Resumed.");
    world.until_ready("staff", "Succeeded").await;
    page.get(&format!("{staff}/do/erase")).await.is(409);
    operator.stop().await.unwrap();
}
