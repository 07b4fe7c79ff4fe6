use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::cloud;

/// A square amount of work anywhere would take minutes; this takes seconds even unoptimized.
#[tokio::test]
async fn a_hundred_thousand_members_and_400_000_memberships_are_served_in_seconds() {
    const MEMBERS: usize = 100_000;
    let signed = cloud().await;
    let started = Instant::now();
    let members: Vec<usize> = (0..MEMBERS).collect();
    for batch in members.chunks(2_000) {
        let row =
            |n: &usize| json!({"email": format!("{n}@example.com"), "externalId": format!("{n}")});
        let rows: Vec<Value> = batch.iter().map(row).collect();
        assert_eq!(signed.import_members(json!(rows)).await.status, 200);
    }
    let groups: Vec<usize> = (0..5_000).collect();
    for batch in groups.chunks(1_000) {
        let row = |n: &usize| {
            let members: Vec<String> = (0..80)
                .map(|k| ((n * 80 + k) % MEMBERS).to_string())
                .collect();
            json!({"name": format!("Group {n}"), "externalId": n.to_string(), "memberExternalIds": members})
        };
        let rows: Vec<Value> = batch.iter().map(row).collect();
        assert_eq!(signed.import_groups(json!(rows)).await.status, 200);
    }
    let list = signed.request(Method::GET, "/members").send().await;
    let list = list.unwrap().text().await.unwrap();
    let listed = list.matches(r#"{"object":"member","id":"#).count();
    assert_eq!(listed, MEMBERS + 1);
    let snapshot = signed.organization.snapshot();
    let memberships: usize = snapshot
        .groups
        .iter()
        .map(|group| group.members.len())
        .sum();
    assert_eq!(memberships, 400_000);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}
