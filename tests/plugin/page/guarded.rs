//! Who gets an answer.

use directory_sync_testing::world::*;
use reqwest::header::{COOKIE, ORIGIN};
use serde_json::{Value, json};

use super::{Document, Page};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_opened_the_link_is_answered_under_the_pages_own_address() {
    let world = World::new("page-strangers").await;
    world.resource("staff", json!({}));
    let mut page = Page::open(&world).await;
    page.get("/").await.is(200).says("staff");

    // The link is used up; the terminal gives another one.
    let again = reqwest::get(&page.link).await.unwrap();
    Document::of(again).await.is(403).says("used before");
    let unknown = format!("{}/open?token=guessed", page.origin);
    assert_eq!(reqwest::get(&unknown).await.unwrap().status(), 403);
    page.link = page.another_link().await;
    page.sign_in().await;
    page.get("/").await.is(200);

    let staff = format!("/{}/staff", world.namespace);
    for path in ["/", "/state", "/page.js", &staff] {
        let stranger = Document::of(page.bare("GET", path).send().await.unwrap()).await;
        stranger.is(403);
        for secret in [&page.base, "staff", &world.namespace] {
            assert!(!stranger.text.contains(secret), "{}", stranger.text);
        }
        let rebound = page.with_host(page.request("GET", path), "evil.example");
        let rebound = Document::of(rebound.send().await.unwrap()).await;
        rebound.is(421);
        assert!(!rebound.text.contains("staff"), "{}", rebound.text);
        // Another port of this machine is the same site, and not the same origin.
        for site in ["cross-site", "same-site"] {
            let framed = page.request("GET", path).header("sec-fetch-site", site);
            assert_eq!(framed.send().await.unwrap().status(), 403, "{site}");
        }
    }
    let rebound = format!("{}/open?token=x", page.origin);
    let client = reqwest::Client::new().get(rebound);
    let rebound = page.with_host(client, "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_the_browser_to_keep_others_out_and_to_keep_nothing() {
    let world = World::new("page-headers").await;
    world.resource("staff", json!({}));
    let page = Page::open(&world).await;
    let kubeconfig = std::fs::read(world.server().kubeconfig()).unwrap();
    let kubeconfig: Value = serde_json::from_slice(&kubeconfig).unwrap();
    let user = kubeconfig.pointer("/users/0/user").unwrap();
    let secrets = ["client-key-data", "client-certificate-data"];
    let credentials = secrets.map(|name| user[name].as_str().unwrap());

    let staff = format!("/{}/staff", world.namespace);
    let paths = ["/", "/page.css", "/page.js", "/nothing", "/state", &staff];
    for path in paths {
        for request in [page.request("GET", path), page.bare("GET", path)] {
            let answer = request.send().await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap();
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "same-origin");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
            let text = answer.text().await.unwrap();
            for secret in credentials {
                assert!(!text.contains(secret), "{text}");
            }
            assert!(!text.contains(page.cookie.split_once('=').unwrap().1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_is_done_for_the_pages_own_forms_alone() {
    let world = World::new("page-forms").await;
    world.resource("staff", json!({}));
    let page = Page::open(&world).await;
    let path = format!("/{}/staff/do/suspend", world.namespace);
    let form = page.get(&path).await;
    form.is(200).says("A run in progress stops");
    let right = form.fields();
    assert!(right.iter().any(|(name, _)| name == "token"));

    let refused = async |what: &str, request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{what}: {answer:?}");
        assert_eq!(world.get("staff").await.spec.suspend, None, "{what}");
    };
    let post = || page.bare("POST", &path).header(COOKIE, &page.cookie);
    let own = || post().header(ORIGIN, &page.origin);
    refused("no origin", post().form(&right)).await;
    let nobody = page.bare("POST", &path).header(ORIGIN, &page.origin);
    refused("no cookie", nobody.form(&right)).await;
    for origin in ["null", "http://evil.example", "http://127.0.0.1:1"] {
        refused(origin, post().header(ORIGIN, origin).form(&right)).await;
    }
    for site in ["cross-site", "same-site", "none"] {
        let request = own().header("sec-fetch-site", site);
        refused(site, request.form(&right)).await;
    }
    refused("no token", own().form(&[("digest", "")])).await;
    refused("another token", own().form(&[("token", "guessed")])).await;
    let rebound = page.with_host(own(), "evil.example");
    refused("another host", rebound.form(&right)).await;
    refused("JSON", own().json(&json!({"token": right[0].1}))).await;
    refused("not a form", page.request("PUT", &path).form(&right)).await;
    let in_address = format!("{path}?token={}", right[0].1);
    refused("read", page.request("DELETE", &in_address)).await;
    page.get(&in_address).await.is(200);
    assert_eq!(world.get("staff").await.spec.suspend, None, "a GET");

    let done = page.press(&form).await;
    assert_eq!(done.status(), 303);
    assert_eq!(world.get("staff").await.spec.suspend, Some(true));
}
