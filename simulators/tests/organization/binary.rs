use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

struct Running {
    child: Child,
    line: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulate-organization"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.line.split(' ').next().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn the_program_says_where_it_is_and_shows_the_organization_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seed.json");
    let seed = json!({
        "members": [
            {"email": "boss@example.com", "role": "owner"},
            {"email": "ada@example.com", "externalId": "1", "status": "invited"},
        ],
        "groups": [{"name": "Staff", "externalId": "g", "members": ["ada@example.com"]}],
    });
    std::fs::write(&file, seed.to_string()).unwrap();
    let running = Running::start(&["--seats", "5", "--seed", file.to_str().unwrap()]);
    assert!(
        running.line.contains("client id organization."),
        "{}",
        running.line
    );
    assert!(!running.line.contains("simulated-organization-key"));

    let http = client();
    let state = http
        .get(running.url("/simulator/state"))
        .send()
        .await
        .unwrap();
    let state: Value = state.json().await.unwrap();
    assert_eq!(state["seats"]["bought"], 5);
    assert_eq!(state["seats"]["inUse"], 2);
    let ada = &state["organization"]["members"]["ada@example.com"];
    assert_eq!(ada["status"], "invited");
    let table = http.get(running.url("/simulator/state.txt")).send().await;
    let table = table.unwrap().text().await.unwrap();
    assert!(
        table.contains("ada@example.com   Invited    User    1"),
        "{table}"
    );
}

#[tokio::test]
async fn a_script_can_rotate_the_secret_and_make_requests_fail() {
    let running = Running::start(&["--client-secret", "first"]);
    let http = client();
    let sign_in = async |secret: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            (
                "client_id",
                "organization.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27",
            ),
            ("client_secret", secret),
            ("scope", "api.organization"),
        ];
        let url = running.url("/identity/connect/token");
        http.post(url)
            .form(&form)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let admin = async |path: &str, body: Value| {
        let request = http.post(running.url(path)).json(&body);
        assert!(
            request.send().await.unwrap().status().is_success(),
            "{path}"
        );
    };
    assert_eq!(sign_in("first").await, 200);
    admin("/simulator/secret", json!({"clientSecret": "second"})).await;
    assert_eq!(sign_in("first").await, 400);
    assert_eq!(sign_in("second").await, 200);
    admin(
        "/simulator/faults",
        json!({"way": "unavailable", "times": 2}),
    )
    .await;
    assert_eq!(sign_in("second").await, 503);
    let slowly = json!({"way": {"tooManyRequests": {"retryAfter": 1}}, "pathPrefix": "/identity/"});
    admin("/simulator/faults", slowly).await;
    assert_eq!(sign_in("second").await, 503);
    assert_eq!(sign_in("second").await, 200, "the 429's turn passed unseen");
}
