//! What the page shows.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use directory_sync::history::{PACKED_MAX, pack, unpack};
use directory_sync_testing::world::*;

use super::Page;
use crate::refusals::user;

/// What somebody could write into a directory to harm who looks at it.
pub const HOSTILE: [&str; 4] = [
    "<script>window.harmed = true</script>",
    "\"><img src=x onerror=\"window.harmed = true\">",
    "admin\u{202e}moc.elpmaxe@",
    "</title><a href=javascript:harm()>&lt;ok",
];

#[tokio::test(flavor = "multi_thread")]
async fn resources_and_their_state_in_words_are_listed_and_shown() {
    let (world, operator) = World::synced("page-list").await;
    let page = Page::open(&world).await;

    let list = page.get("/").await;
    list.is(200)
        .says(&format!("Namespace {}.", world.namespace));
    let row = list.texts("tbody tr").remove(0);
    assert!(row.contains("staff") && row.contains("in sync") && row.contains("10"));
    assert_eq!(list.attributes("tbody th a", "href").len(), 1);

    let staff = format!("/{}/staff", world.namespace);
    let detail = page.get(&staff).await;
    detail
        .is(200)
        .says("Ready is True (Succeeded)")
        .says("10 people, 1 groups")
        .says("every 1h")
        .says("10 invited, 1 group created");
    page.get(&format!("{staff}/plan"))
        .await
        .is(200)
        .says("Invite (10)")
        .says("p09@example.com");

    // What the script asks: the same version until something changes.
    let version = detail.attributes("body", "data-version").remove(0);
    let state = format!("{staff}/state");
    let asked = page.get(&state).await.text;
    assert!(asked.contains(&version), "{asked}");
    world.annotate("staff", "example.com/a", "b").await;
    let asked = page.get(&state).await.text;
    assert!(!asked.contains(&version), "{asked}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text() {
    let world = World::new("page-hostile").await;
    world.resource("staff", json!({}));
    let long = "W".repeat(300);
    let sample: Vec<&str> = HOSTILE.iter().copied().chain([long.as_str()]).collect();
    let condition = json!({
        "type": "Ready", "status": "False", "reason": "SourceUnavailable", "message": HOSTILE[0],
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    });
    let status = json!({"status": {
        "observedGeneration": 1,
        "conditions": [condition],
        "source": {"type": HOSTILE[0][..32]},
        "problems": [{"reason": "NoEmail", "count": 9, "sample": sample}],
        "heldRemovals": {"digest": "abc\"><script>", "total": 5, "members": 5, "groups": 0,
            "why": HOSTILE[1], "sample": sample},
    }});
    world.kubectl(&[
        "patch",
        "dsync",
        "staff",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
    let page = Page::open(&world).await;
    let staff = format!("/{}/staff", world.namespace);
    for path in ["/", &staff, &format!("{staff}/do/approve")] {
        let document = page.get(path).await;
        document.is(200);
        let scripts = document.attributes("script", "src");
        assert_eq!(document.texts("script").len(), scripts.len(), "{path}");
        assert!(scripts.iter().all(|src| src.starts_with(&page.base)));
        for none in ["img", "[onerror]", "iframe", "style", "[style]"] {
            assert!(document.texts(none).is_empty(), "{none} in {path}");
        }
        let links = document.attributes("a", "href");
        let own = |link: &String| link.starts_with(&page.base) || link.starts_with('#');
        assert!(links.iter().all(own), "{links:?}");
        assert!(!document.text.contains('\u{202e}'), "{path}");
        if path != "/" {
            document.says(&long).says("adminmoc.elpmaxe@");
            let isolated = document.texts("bdi");
            assert!(isolated.iter().any(|text| text == HOSTILE[1]), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_one_namespace_sees_that_and_is_told_what_they_lack() {
    let world = World::new("page-viewer").await;
    world.resource("staff", json!({}));
    let viewer = user(&world, "page-viewer", "get,list");
    // The namespace of the context, as most people have it.
    let kubeconfig = std::fs::read(&viewer).unwrap();
    let mut kubeconfig: Value = serde_json::from_slice(&kubeconfig).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(world.namespace);
    std::fs::write(&viewer, kubeconfig.to_string()).unwrap();
    let mut page = Page::serve(&world, "", &viewer).await;
    page.sign_in().await;

    page.get("/")
        .await
        .is(200)
        .says("staff")
        .says("your kubeconfig may not list DirectorySyncs in all namespaces");
    let staff = format!("/{}/staff", world.namespace);
    page.get(&staff)
        .await
        .is(200)
        .says("not seen yet")
        .says("They can't be shown: may not get configmaps");
    page.get(&format!("{staff}/plan"))
        .await
        .is(403)
        .says("may not get configmaps in namespace");
    let ask = page.get(&format!("{staff}/do/sync")).await;
    page.pressed(&ask)
        .await
        .is(403)
        .says("may not patch directorysyncs.directorysync.dev in namespace")
        .says("changing them to edit");
    page.get(&format!("/{}/nobody", world.namespace))
        .await
        .is(404)
        .says("there is no DirectorySync \"nobody\"");
    // Never another address of the API server.
    for path in ["/..%2F..%2Fapi/v1", "/x%2Fy/staff", "/a%3Fb/staff"] {
        page.get(path).await.is(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_shown_and_searched() {
    let (world, operator) = World::synced("page-history").await;
    world.leave(3..4);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(0);
    let page = Page::open(&world).await;
    let staff = format!("/{}/staff", world.namespace);

    let detail = page.get(&staff).await;
    let runs = detail.texts(".timeline li");
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0].contains("requested: 1 lost access"), "{runs:?}");
    assert!(
        runs[1].contains("first sync: 10 invited or restored"),
        "{runs:?}"
    );
    assert_eq!(detail.attributes("svg", "role"), ["img"]);

    let history = format!("{staff}/history");
    let all = page.get(&history).await;
    let count = all.texts(".records > li").len();
    assert!(count >= 12, "{count}");
    let found = page.get(&format!("{history}?person=P03@example")).await;
    found.says(&format!("of {count} records"));
    let records = found.texts(".records > li");
    let of_p03 = |record: &String| record.contains("p03@example.com");
    assert!(records.iter().any(of_p03), "{records:?}");
    assert!(!found.read().contains("p04@example.com"), "{records:?}");
    let revoked = |record: &&String| record.starts_with("Revoked p03@example.com");
    assert_eq!(records.iter().filter(revoked).count(), 1, "{records:?}");
    let hostile = page.get(&format!("{history}?person=%3Cscript%3E")).await;
    hostile.says(&format!("0 of {count} records"));
    assert_eq!(hostile.attributes("#person", "value"), ["<script>"]);
    operator.stop().await.unwrap();

    // A later version's operator wrote one more.
    assert!(all.texts(".unreadable").is_empty());
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let kept = api.get("staff-history").await.unwrap();
    let text = unpack(&kept.binary_data.unwrap()["history.jsonl.gz"].0).unwrap();
    let text = format!("{text}{{\"later\": 1}}\n");
    let packed = ByteString(pack(&text, PACKED_MAX).0);
    let patch = Patch::Merge(json!({"binaryData": {"history.jsonl.gz": packed}}));
    let params = PatchParams::default();
    api.patch("staff-history", &params, &patch).await.unwrap();
    for address in [&staff, &history] {
        let told = page.get(address).await.texts(".unreadable");
        assert!(
            told[0].starts_with("1 records of another version"),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_explained_by_the_operator() {
    let (world, operator) = World::synced("page-explain").await;
    world.leave(3..4);
    crate::kubectl::plugin(&world, "sync staff --wait")
        .await
        .ends_with(0);
    let page = Page::open(&world).await;
    let staff = format!("/{}/staff", world.namespace);
    page.get(&staff)
        .await
        .is(200)
        .says("Why is somebody a member, or isn't?");

    let explain = format!("{staff}/explain");
    let ask = page.get(&explain).await;
    let token = ask.attributes("form input[name=token]", "value").remove(0);
    let about = async |about: &str| {
        let form = [("token", token.as_str()), ("about", about)];
        let request = page.request("POST", &explain).form(&form);
        request.send().await.unwrap()
    };
    let answer = about("p03@example.com").await;
    assert_eq!(answer.status(), 303);
    let next = answer.headers()["location"].to_str().unwrap().to_owned();
    let shown = page.get(next.strip_prefix(&page.base).unwrap()).await;
    let text = shown.is(200).texts("pre").remove(0);
    assert!(
        text.contains("p03@example.com") && text.contains("revoked"),
        "{text}"
    );
    let refused = about("").await;
    assert_eq!(refused.status(), 409);
    let back = format!("<a href=\"{}{staff}\">Back to ", page.base);
    let refused = refused.text().await.unwrap();
    assert!(refused.contains(&back), "{refused}");
    let foreign = [("token", "guessed"), ("about", "p04@example.com")];
    let foreign = page.request("POST", &explain).form(&foreign);
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    operator.stop().await.unwrap();
}
