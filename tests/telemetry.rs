//! Health and metrics over HTTP, as those who ask see them.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use directory_sync::telemetry::{Health, Metrics, Object, RunResult, serve};

#[tokio::test]
async fn ready_is_what_the_process_says_and_alive_what_its_loops_show() {
    let health = Health::new();
    let address = serve(
        "127.0.0.1:0".parse().unwrap(),
        health.clone(),
        Metrics::new(),
        std::future::pending(),
    )
    .await
    .unwrap();
    let status = async |path: &str| {
        let answer = get(&format!("http://{address}{path}"), "*/*").await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    assert_eq!(status("/readyz").await.0, 503);
    health.set_ready(true);
    assert_eq!(status("/readyz").await.0, 200);

    assert_eq!(status("/healthz").await.0, 200);
    let hung = health.look_after("controller", Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (code, text) = status("/healthz").await;
    assert_eq!(code, 503);
    assert!(text.contains("controller"), "{text}");
    drop(hung);
    assert_eq!(status("/healthz").await.0, 200);
}

#[tokio::test]
async fn scrapers_get_the_text_form_they_ask_for() {
    let metrics = Metrics::new();
    metrics.run_finished(
        &Object::new("identity", "staff"),
        RunResult::Succeeded,
        Duration::ZERO,
        [],
    );
    let address = serve(
        "127.0.0.1:0".parse().unwrap(),
        Health::new(),
        metrics,
        std::future::pending(),
    )
    .await
    .unwrap();
    let url = format!("http://{address}/metrics");

    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1";
    let openmetrics = get(&url, accept).await;
    let kind = openmetrics.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(openmetrics.text().await.unwrap().ends_with("# EOF\n"));

    let older = get(&url, "*/*").await;
    let kind = older.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = older.text().await.unwrap();
    let counted =
        r#"directory_sync_runs_total{namespace="identity",name="staff",result="Succeeded"} 1"#;
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_says_what_to_do() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();

    let error = serve(
        address,
        Health::new(),
        Metrics::new(),
        std::future::pending(),
    )
    .await
    .unwrap_err()
    .to_string();

    assert!(
        error.contains(&address.to_string()) && error.contains("--listen"),
        "{error}"
    );
}

async fn get(url: &str, accept: &str) -> reqwest::Response {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client
        .get(url)
        .header("accept", accept)
        .send()
        .await
        .unwrap()
}
