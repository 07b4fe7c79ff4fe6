//! The page in a real Chromium.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use data_encoding::BASE64;
use directory_sync_testing::world::*;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use simulators::lab::{LabError, WebDriver, escape_rdn, or_skip};
use simulators::organization::GroupSeed;

use super::Page;
use super::shown::HOSTILE;

/// A browser; `None`, after saying so, where there is none.
pub async fn browser(
    test: &str,
    driver: Result<WebDriver, LabError>,
    dark: bool,
) -> Option<Browser> {
    browser_with(test, driver, dark, json!({})).await
}

/// The same with these preferences.
pub async fn browser_with(
    test: &str,
    driver: Result<WebDriver, LabError>,
    dark: bool,
    preferences: Value,
) -> Option<Browser> {
    let driver = or_skip(test, driver)?;
    let mut arguments = WebDriver::arguments();
    arguments.push("--blink-settings=preferredColorScheme=1");
    if dark {
        arguments.pop();
        arguments.push("--blink-settings=preferredColorScheme=0");
    }
    let capabilities = json!({"goog:chromeOptions": {"args": arguments, "prefs": preferences}});
    let capabilities = capabilities.as_object().unwrap().clone();
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(driver.url())
        .await
        .unwrap();
    client.set_window_size(1000, 800).await.unwrap();
    Some(Browser {
        client,
        _driver: driver,
    })
}

/// A browser with one page.
pub struct Browser {
    pub client: Client,
    _driver: WebDriver,
}

impl Browser {
    pub async fn open(&self, address: &str) {
        self.client.goto(address).await.unwrap();
    }

    pub async fn click(&self, text: &str) {
        let link = format!("//*[self::a or self::button][contains(normalize-space(.), '{text}')]");
        let found = self.client.wait().for_element(Locator::XPath(&link)).await;
        found.unwrap().click().await.unwrap();
    }

    pub async fn text(&self) -> String {
        // Between two pages there is none.
        let script = "return document.body ? document.body.innerText : ''";
        let text = self.client.execute(script, vec![]).await;
        text.ok()
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    pub async fn until(&self, part: &str) {
        let waiting = async {
            while !self.text().await.contains(part) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(WAIT_TIMEOUT, waiting).await.is_err() {
            panic!("{part:?} never came: {}", self.text().await);
        }
    }

    /// Waits until the filter says so many.
    pub async fn until_count(&self, count: &str) {
        let script = "return document.getElementById('count').textContent";
        let waiting = async {
            while self.run(script).await != count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(WAIT_TIMEOUT, waiting).await.is_err() {
            panic!("{count:?} never came: {}", self.run(script).await);
        }
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// Nothing that came from elsewhere ran, and nothing sticks out to the side.
    pub async fn is_unharmed(&self) {
        assert_eq!(self.run("return window.harmed === undefined").await, true);
        let wider =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.run(wider).await, 0, "{}", self.text().await);
    }

    /// Kept for the documents where somebody asks for that.
    pub async fn screenshot(&self, world: &World, name: &str) {
        let shown = "const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); \
                     for (let node; (node = walk.nextNode());) \
                     node.data = node.data.replaceAll(arguments[0], 'identity')";
        let namespace = vec![json!(world.namespace)];
        self.client.execute(shown, namespace).await.unwrap();
        let image = self.client.screenshot().await.unwrap();
        if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), image).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_looked_up_in_a_plan_of_2000_changes() {
    let Some(browser) = browser("page: look up", WebDriver::start(), false).await else {
        return;
    };
    let world = World::new("page-large").await;
    world.seed_leavers(2_000);
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "RemovalsHeld").await;
    let mut page = Page::open(&world).await;

    // No address with the link's token stays behind.
    browser.open(&page.another_link().await).await;
    let address = browser.client.current_url().await.unwrap();
    assert_eq!(address.as_str(), format!("{}{}/", page.origin, page.base));
    browser.until("changes held").await;
    browser.client.set_window_size(1000, 420).await.unwrap();
    browser.screenshot(&world, "page-list.png").await;
    browser.client.set_window_size(1000, 800).await.unwrap();
    browser.click("/staff").await;
    browser.until("Held, waiting for approval (2000)").await;
    browser.is_unharmed().await;
    browser.screenshot(&world, "page-detail.png").await;

    browser.click("The plan of the last run").await;
    browser.until("2011 of 2011 changes").await;
    let search = browser.client.find(Locator::Id("search")).await.unwrap();
    search.send_keys("LEAVER1999@example").await.unwrap();
    browser.until_count("1 of 2011 changes").await;
    let shown = "return [...document.querySelectorAll('tr[data-kind]')].filter(row => row.offsetParent) \
                 .map(row => row.cells[0].innerText)";
    assert_eq!(browser.run(shown).await, json!(["leaver1999@example.com"]));
    browser
        .run("document.getElementById('controls').scrollIntoView()")
        .await;
    browser.screenshot(&world, "page-plan.png").await;
    search.clear().await.unwrap();
    let kind = browser.client.find(Locator::Id("kind")).await.unwrap();
    kind.select_by_value("Invite").await.unwrap();
    browser.until_count("10 of 2011 changes").await;
    browser.is_unharmed().await;

    browser.client.close().await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_approved_by_keyboard_on_a_small_dark_screen() {
    let Some(browser) = browser("page: approve", WebDriver::start(), true).await else {
        return;
    };
    let (world, operator) = World::synced("page-keyboard").await;
    world.leave(0..7);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(3);
    let words = format!("-n {}", world.namespace);
    let page = Page::serve(&world, &words, world.server().kubeconfig()).await;
    browser.client.set_window_size(360, 740).await.unwrap();

    browser.open(&page.link).await;
    browser.is_unharmed().await;
    browser.click("/staff").await;
    browser.until("Approve held changes").await;
    browser.is_unharmed().await;
    browser.screenshot(&world, "page-small.png").await;
    browser.click("Approve held changes").await;
    browser.until("Let these 7 held changes go ahead").await;
    browser.is_unharmed().await;
    // Tab leads to the button, and it shows where the focus is.
    let reached = async {
        for _ in 0..60 {
            let active = browser.client.active_element().await.unwrap();
            if active.tag_name().await.unwrap() == "button"
                && active.text().await.unwrap().contains("Let these 7")
            {
                return active;
            }
            active.send_keys("\u{e004}").await.unwrap();
        }
        panic!("Tab never reached the button");
    };
    let button = reached.await;
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_ne!(browser.run(outline).await, "none");
    assert_eq!(world.revoked(), 0);
    button.send_keys("\u{e007}").await.unwrap();
    browser.until("Approved.").await;
    eventually("the revocations", || world.revoked() == 7).await;
    // The script tells that there is something new; the reader loads it.
    browser.until("This page has changed.").await;
    world.until_ready("staff", "Succeeded").await;
    browser.click("Load it again").await;
    browser.until("7 revoked").await;

    browser.client.close().await.unwrap();
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_of_both_sides_are_text_and_another_pages_forms_do_nothing() {
    let Some(browser) = browser("page: hostile", WebDriver::start(), false).await else {
        return;
    };
    let world = World::new("page-attack").await;
    let long = "W".repeat(100);
    for (number, name) in HOSTILE.iter().copied().chain([long.as_str()]).enumerate() {
        let member = dn(u32::try_from(number).unwrap());
        let group = format!("cn={},ou=groups,{SUFFIX}", escape_rdn(name));
        let group = format!(
            "dn:: {}\nchangetype: add\nobjectClass: groupOfNames\nmember: {member}\n",
            BASE64.encode(group.as_bytes())
        );
        world.slapd.modify(&group).unwrap();
        let gone = GroupSeed::new(&format!("{name} of old"));
        world
            .organization
            .seed_group(gone.external_id(&format!("gone-{number}")));
    }
    let operator = world.operator();
    world.resource(
        "staff",
        json!({"mode": "Preview", "groups": {"prune": true}}),
    );
    world.until_ready("staff", "RemovalsHeld").await;
    let mut page = Page::open(&world).await;
    browser.open(&page.another_link().await).await;
    let staff = format!("{}{}/{}/staff", page.origin, page.base, world.namespace);
    for address in [staff.clone(), format!("{staff}/plan")] {
        browser.open(&address).await;
        browser.is_unharmed().await;
    }
    let text = browser.text().await;
    for name in [HOSTILE[0], HOSTILE[1], "adminmoc.elpmaxe@", HOSTILE[3]] {
        assert!(text.contains(name), "{name} isn't in {text}");
        assert!(
            text.contains(&format!("{name} of old")),
            "{name} isn't in {text}"
        );
    }

    // The worst case: the other page knows every address, and runs on this machine.
    let action = format!("{staff}/do/suspend");
    let attack = format!(
        "<!doctype html><title>other</title><form method=post action='{action}'><input name=token value=x>\
         <button>Win a prize</button></form><iframe src='{staff}'></iframe><script>\
         fetch('{staff}', {{credentials: 'include'}}).then(a => a.text()).then(t => window.stolen = t, \
         e => window.stolen = 'nothing');\
         fetch('{action}', {{method: 'POST', mode: 'no-cors', credentials: 'include', \
         body: new URLSearchParams('token=x')}}).finally(() => window.tried = true);</script>"
    );
    let other = Router::new().fallback(get(async move || Html(attack)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move { axum::serve(listener, other).await });
    // By this name it is another site, by the number the same.
    for host in ["localhost", "127.0.0.1"] {
        browser.open(&format!("http://{host}:{port}/")).await;
        let waiting = async {
            while browser.run("return [window.stolen, window.tried]").await
                != json!(["nothing", true])
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ended = tokio::time::timeout(WAIT_TIMEOUT, waiting).await;
        assert!(
            ended.is_ok(),
            "{}",
            browser.run("return window.stolen").await
        );
        browser.click("Win a prize").await;
        browser.until("Not answered").await;
        assert_eq!(world.get("staff").await.spec.suspend, None, "{host}");
    }
    // And the page itself still works.
    browser.open(&action).await;
    browser.click("Suspend").await;
    browser.until("Suspended: the operator does nothing").await;
    assert_eq!(world.get("staff").await.spec.suspend, Some(true));

    serving.abort();
    browser.client.close().await.unwrap();
    operator.stop().await.unwrap();
}
