//! A run is undone on the page.

use data_encoding::BASE64;
use directory_sync_testing::world::*;
use reqwest::header::{COOKIE, ORIGIN};
use serde_json::json;
use simulators::lab::{WebDriver, escape_rdn};
use simulators::organization::Status;

use super::browser::browser_with;
use super::shown::HOSTILE;
use super::{Document, Page};
use crate::kubectl::plugin;
use crate::refusals::user;

fn email(number: u32) -> String {
    format!("p{number:02}@example.com")
}

fn status(world: &World, number: u32) -> Status {
    world.organization.snapshot().members[&email(number)].status
}

/// Confirmed members, of whom a run has revoked two.
async fn revoked(purpose: &str) -> (World, Operator) {
    let world = World::new(purpose).await;
    let operator = world.operator();
    let spec = json!({
        "offboarding": {"absent": "Revoke", "limit": "100%"}, "groups": {"limit": "100%", "prune": true},
    });
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    for number in 0..10 {
        let _ = world.organization.accept_and_confirm(&email(number));
    }
    world.leave(3..5);
    plugin(&world, "sync staff --wait").await.ends_with(0);
    assert_eq!(
        [3, 4, 5].map(|number| status(&world, number)),
        [Status::Revoked, Status::Revoked, Status::Confirmed]
    );
    (world, operator)
}

/// The page that a link of the history leads to.
async fn asked(page: &Page, world: &World, link: usize) -> Document {
    let history = page
        .get(&format!("/{}/staff/history", world.namespace))
        .await;
    let mut links = history.is(200).attributes("a", "href");
    links.retain(|link| link.contains("/undo?run="));
    page.get(links[link].strip_prefix(&page.base).unwrap())
        .await
}

/// Presses a page's button; the page that follows.
async fn pressed(page: &Page, document: &Document) -> Document {
    let answer = page.press(document).await;
    assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
    let next = answer.headers()["location"].to_str().unwrap().to_owned();
    page.get(next.strip_prefix(&page.base).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_undo_would_do_is_shown_and_exactly_that_is_done() {
    let (world, operator) = revoked("page-undo").await;
    let page = Page::open(&world).await;

    let ask = asked(&page, &world, 0).await;
    ask.is(200).says("Nothing is changed by that");
    let shown = pressed(&page, &ask).await;
    shown
        .is(200)
        .says("Would change (2)")
        .says("restore p03@example.com")
        .says("restore p04@example.com")
        .says("2 people get access");
    assert_eq!(status(&world, 3), Status::Revoked, "it was only shown");

    // Between look and button somebody else restores one of them.
    world.organization.restore(&email(4));
    let changed = pressed(&page, &shown).await;
    changed
        .is(200)
        .says("Something has changed since this was shown, so nothing was done")
        .says("Would change (1)")
        .says("Stays as it is (1)");
    assert_eq!(status(&world, 3), Status::Revoked, "nothing was done");
    let done = pressed(&page, &changed).await;
    done.is(200).says("Undone.").says("1 Restore");
    assert_eq!(status(&world, 3), Status::Confirmed);
    assert!(done.texts("form").is_empty());

    // It is a run like any other, and what it took back is held.
    world.until_ready("staff", "RemovalsHeld").await;
    page.get(&format!("/{}/staff", world.namespace))
        .await
        .says("undo: 1 invited or restored")
        .says("taken back by an undo");
    // The newest run revoked the other one again; before it comes the undo.
    let again = pressed(&page, &asked(&page, &world, 1).await).await;
    again.says("revoke p03@example.com");

    // Suspended, it is only shown.
    plugin(&world, "suspend staff").await.ends_with(0);
    world.until_ready("staff", "Suspended").await;
    let shown = pressed(&page, &asked(&page, &world, 0).await).await;
    shown.is(200).says("resume it, and undo then");
    assert!(shown.texts("form").is_empty());
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_run_and_what_limits_hold_back_are_undone_once_they_were_shown() {
    let (world, operator) = World::synced("page-undo-held").await;
    let page = Page::open(&world).await;
    let ask = asked(&page, &world, 0).await;
    let run = ask.attributes("#run", "value").remove(0);
    let token = ask.attributes("input[name=token]", "value").remove(0);
    let undo = format!("/{}/staff/undo", world.namespace);
    let sent = async |fields: &[(&str, &str)]| {
        let request = page.request("POST", &undo).form(fields);
        Document::of(request.send().await.unwrap()).await
    };
    let (of_person, of_group) = (("person", "p01@example.com"), ("group", "everyone"));
    let (with_token, of_run) = (("token", token.as_str()), ("run", run.as_str()));
    sent(&[with_token, of_run, of_person, of_group])
        .await
        .is(409)
        .says("a person or a group, not both");
    sent(&[with_token, ("run", " ")])
        .await
        .is(409)
        .says("write which run to undo");
    sent(&[with_token, ("run", "ffffffffff")])
        .await
        .is(409)
        .says("the history has no run ffffffffff");

    let fields = [with_token, of_run, of_person];
    let request = page.request("POST", &undo).form(&fields);
    let answer = request.send().await.unwrap();
    let next = answer.headers()["location"].to_str().unwrap().to_owned();
    let of_one = page.get(next.strip_prefix(&page.base).unwrap()).await;
    of_one
        .is(200)
        .says("only what it did to p01@example.com")
        .says("remove p01@example.com");
    assert!(
        !of_one.read().contains("p02@example.com"),
        "{}",
        of_one.text
    );

    // The whole run is more than the limit allows.
    let held = pressed(&page, &ask).await;
    held.is(200)
        .says("Held back (")
        .says("remove p02@example.com");
    let whole = pressed(&page, &held).await;
    whole.is(200).says("Would change (");
    assert!(!whole.read().contains("Held back"), "{}", whole.text);
    assert!(
        world
            .organization
            .snapshot()
            .members
            .contains_key(&email(2))
    );
    pressed(&page, &whole).await.is(200).says("Undone.");
    let members = world.organization.snapshot().members;
    assert_eq!(members.keys().collect::<Vec<_>>(), ["owner@example.com"]);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_undone_for_the_pages_own_forms_alone_and_on_ones_own_rights() {
    let (world, operator) = revoked("page-undo-refused").await;
    let page = Page::open(&world).await;
    let shown = pressed(&page, &asked(&page, &world, 0).await).await;
    let right = shown.fields();
    assert!(right.iter().any(|(name, _)| name == "digest"));
    let path = format!("/{}/staff/undo", world.namespace);
    let refused = async |what: &str, request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{what}: {answer:?}");
        assert_eq!(status(&world, 3), Status::Revoked, "{what}");
    };
    let post = || page.bare("POST", &path).header(COOKIE, &page.cookie);
    let own = || post().header(ORIGIN, &page.origin);
    let without = |name: &str| -> Vec<_> {
        let fields = right.iter().filter(|(field, _)| field != name);
        fields.cloned().collect()
    };
    refused("no origin", post().form(&right)).await;
    let foreign = post().header(ORIGIN, "http://evil.example");
    refused("another origin", foreign.form(&right)).await;
    let framed = own().header("sec-fetch-site", "cross-site");
    refused("another site", framed.form(&right)).await;
    let nobody = page.bare("POST", &path).header(ORIGIN, &page.origin);
    refused("no cookie", nobody.form(&right)).await;
    refused("no token", own().form(&without("token"))).await;
    let rebound = page.with_host(own(), "evil.example");
    refused("another host", rebound.form(&right)).await;

    // Whoever may only look is told what they lack.
    let viewer = user(&world, "page-undo-viewer", "get,list");
    let words = format!("-n {}", world.namespace);
    let mut theirs = Page::serve(&world, &words, &viewer).await;
    theirs.sign_in().await;
    let run = right.iter().find(|(name, _)| name == "run").unwrap();
    let ask = theirs.get(&format!("{path}?run={}", run.1)).await;
    let answer = theirs.pressed(&ask).await;
    answer.is(403).says("may not patch");

    pressed(&page, &shown).await.says("Undone.");
    assert_eq!(status(&world, 3), Status::Confirmed);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_undone_in_a_browser_without_javascript_whatever_the_names_are() {
    let off = json!({"profile.managed_default_content_settings.javascript": 2});
    let driver = WebDriver::start();
    let Some(browser) = browser_with("page: undo", driver, false, off).await else {
        return;
    };
    let (world, operator) = revoked("page-undo-browser").await;
    let long = "W".repeat(100);
    let names: Vec<&str> = HOSTILE.iter().copied().chain([long.as_str()]).collect();
    let dns: Vec<String> = names
        .iter()
        .map(|name| format!("cn={},ou=groups,{SUFFIX}", escape_rdn(name)))
        .collect();
    for (number, group) in dns.iter().enumerate() {
        let member = dn(u32::try_from(number).unwrap() + 5);
        let group = format!(
            "dn:: {}\nchangetype: add\nobjectClass: groupOfNames\nmember: {member}\n",
            BASE64.encode(group.as_bytes())
        );
        world.slapd.modify(&group).unwrap();
    }
    plugin(&world, "sync staff --wait").await.ends_with(0);
    world.slapd.delete(&dns).unwrap();
    plugin(&world, "sync staff --wait").await.ends_with(0);
    let groups = || world.organization.snapshot().groups.len();
    assert_eq!(groups(), 1, "the run deleted the others");

    let mut page = Page::open(&world).await;
    browser.open(&page.another_link().await).await;
    browser.click("/staff").await;
    browser.click("The whole history").await;
    browser.is_unharmed().await;
    browser.click("Undo…").await;
    browser.until("Nothing is changed by that").await;
    browser.is_unharmed().await;
    browser.click("Show what it would do").await;
    browser.until("Would change (5)").await;
    browser.is_unharmed().await;
    let text = browser.text().await;
    for name in [HOSTILE[0], HOSTILE[1], "adminmoc.elpmaxe@", HOSTILE[3]] {
        assert!(text.contains(name), "{name} isn't in {text}");
    }
    assert!(text.contains("+p05@example.com"), "{text}");
    assert_eq!(groups(), 1, "it was only shown");
    browser.screenshot(&world, "page-undo.png").await;
    browser.client.set_window_size(360, 740).await.unwrap();
    browser.is_unharmed().await;
    browser.click("Make these 5 changes").await;
    browser.until("Undone.").await;
    browser.is_unharmed().await;
    assert_eq!(groups(), 6);
    browser.client.close().await.unwrap();
    operator.stop().await.unwrap();
}
