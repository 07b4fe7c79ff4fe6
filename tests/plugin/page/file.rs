//! A plan as one file, in a real Chromium: opened from a disk, with JavaScript and without.

use directory_sync::sync::policy::{Limit, OffboardingAction};
use directory_sync::sync::render::{PlanDocument, Sides, html};
use directory_sync_testing::{directory, organization, policy, sync};
use fantoccini::Locator;
use serde_json::json;
use simulators::lab::WebDriver;

use super::browser::{Browser, browser, browser_with};
use super::shown::HOSTILE;

/// 2,000 members who left, whose removal is held, ten newcomers, and groups with names that harm whoever
/// takes them for more than text.
fn plan() -> String {
    let mut directory = directory();
    for number in 0..10 {
        let id = format!("p{number}");
        directory = directory.person(&id, &format!("{id}@example.com"));
    }
    let long = "W".repeat(100);
    for (number, name) in HOSTILE.iter().copied().chain([long.as_str()]).enumerate() {
        directory = directory.group(&format!("g{number}"), name, &["p0", "p1"]);
    }
    let mut before = organization();
    for number in 0..2_000 {
        let email = format!("leaver{number}@example.com");
        before = before.member(&format!("gone-{number}"), &email);
    }
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(0);
    let plan = sync(&directory, &mut before, &policy);
    let sides = Sides {
        source: HOSTILE[0],
        organization: HOSTILE[1],
    };
    html(&PlanDocument::of(&plan, &sides), HOSTILE[3])
}

/// The first cells of the rows that are shown.
const SHOWN: &str = "return [...document.querySelectorAll('tr[data-kind]')].filter(row => row.offsetParent) \
                     .map(row => row.cells[0].innerText)";

async fn opened(browser: &Browser, folder: &tempfile::TempDir) {
    let file = folder.path().join("plan.html");
    std::fs::write(&file, plan()).unwrap();
    browser.open(&format!("file://{}", file.display())).await;
    browser.is_unharmed().await;
    let text = browser.text().await;
    for name in [HOSTILE[0], HOSTILE[1], "adminmoc.elpmaxe@", HOSTILE[3]] {
        assert!(text.contains(name), "{name} isn't in {text:.3000}");
    }
    // Nothing was asked for elsewhere.
    let loaded = "return performance.getEntriesByType('resource').length";
    assert_eq!(browser.run(loaded).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_a_file_is_searched_filtered_and_sorted() {
    let Some(browser) = browser("plan in a file", WebDriver::start(), false).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    opened(&browser, &folder).await;
    browser.until_count("2015 of 2015 changes").await;

    let search = browser.client.find(Locator::Id("search")).await.unwrap();
    search.send_keys("LEAVER1999@").await.unwrap();
    browser.until_count("1 of 2015 changes").await;
    assert_eq!(browser.run(SHOWN).await, json!(["leaver1999@example.com"]));
    search.clear().await.unwrap();

    let choose = async |id: &str, value: &str| {
        let select = browser.client.find(Locator::Id(id)).await.unwrap();
        select.select_by_value(value).await.unwrap();
    };
    choose("kind", "Invite").await;
    browser.until_count("10 of 2015 changes").await;
    choose("kind", "").await;
    choose("group", HOSTILE[0]).await;
    browser.until_count("1 of 2015 changes").await;
    assert_eq!(browser.run(SHOWN).await, json!([HOSTILE[0]]));
    choose("group", "").await;
    choose("reason", "gone from the directory").await;
    browser.until_count("2000 of 2015 changes").await;

    let first = "return document.querySelector('#held tbody').rows[0].cells[0].innerText";
    assert_eq!(browser.run(first).await, "leaver0@example.com");
    let sort = "document.querySelector('#held thead button').click()";
    browser.run(sort).await;
    browser.run(sort).await;
    assert_eq!(browser.run(first).await, "leaver1999@example.com");
    browser.is_unharmed().await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_a_file_has_every_row_where_javascript_is_off() {
    let off = json!({"profile.managed_default_content_settings.javascript": 2});
    let started = browser_with("plan without JavaScript", WebDriver::start(), false, off).await;
    let Some(browser) = started else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    opened(&browser, &folder).await;
    let hidden = "return document.getElementById('controls').hidden";
    assert_eq!(
        browser.run(hidden).await,
        true,
        "what needs the script isn't offered"
    );
    let rows = browser.run(SHOWN).await;
    assert_eq!(rows.as_array().unwrap().len(), 2_015);
    browser.client.close().await.unwrap();
}
