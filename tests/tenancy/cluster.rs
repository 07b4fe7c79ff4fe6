//! The same misuse in a cluster: whatever is wrong, nothing that anybody can read there has a value of a
//! Secret.

use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use directory_sync::api::DirectorySync;
use directory_sync::api::conditions::{ConditionType, find};
use directory_sync_testing::command::program;
use directory_sync_testing::hostile::{self, Harm, LdapHarm};
use directory_sync_testing::manifests::secret;
use directory_sync_testing::world::{World, eventually, operator_kubeconfig};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use simulators::lab::free_port;
use tokio::net::TcpListener;

use crate::attacks::unpacked;
use crate::canary::{
    ACCOUNT, ENCODINGS, KEY, PASSWORD, TRACE, assert_reveals_nothing, find as find_value, manifests,
};
use crate::echo::{Refuses, server, sources};
use crate::misuse::attacks;
use crate::operator::Operator;

/// The organization of [`manifests`], which each resource here replaces by one of its own.
const ORGANIZATION: &str = "0c5e3f8e-6ac9-4a7b-9d6c-0dd0ca4a0e11";

/// A tenant of Entra ID that gets no tokens.
const REFUSED_TENANT: &str = "33333333-3333-3333-3333-333333333333";
/// The private key of Google's service account.
const GOOGLE_KEY: &str =
    include_str!("../../simulators/src/google_workspace/keys/service-account.pem");

/// A namespace with resources that are all wrong in some way, and an operator that logs all it can.
struct Cluster {
    world: World,
    count: u32,
    /// What the API server said to manifests that it refused.
    refused: Vec<String>,
}

impl Cluster {
    /// Applies a resource under a name of its own, with its objects.
    fn apply(&mut self, organization: &str, source: &str, objects: &str) {
        self.count += 1;
        let number = self.count;
        let mut all = manifests(organization, source, objects)
            .replace(
                "namespace: identity",
                &format!("namespace: {}", self.world.namespace),
            )
            .replace(
                ORGANIZATION,
                &format!("0c5e3f8e-6ac9-4a7b-9d6c-{number:012x}"),
            );
        for name in ["staff", "payroll", "directory", "bitwarden"] {
            all = all.replace(&format!("name: {name}"), &format!("name: {name}-{number}"));
        }
        if let Err(refused) = self.world.server().apply(&all) {
            self.refused.push(refused.to_string());
        }
    }

    /// Every object in the namespace that somebody without a right on Secrets can read, described, too,
    /// and what the plugin shows.
    fn objects(&self) -> String {
        // Those of the tests themselves hold what is looked for.
        let ours = self.world.kubectl(&["get", "configmaps", "-o", "name"]);
        for name in ours.lines().filter(|name| name.contains("/payroll-")) {
            self.world.kubectl(&["delete", name]);
        }
        let kinds =
            "dsync,events,events.events.k8s.io,configmaps,leases,serviceaccounts,pods,roles";
        let mut all = self.world.kubectl(&["get", kinds, "-o", "yaml"]);
        all.push_str(&self.world.kubectl(&["get", "dsync", "-o", "wide"]));
        let packed = r#"jsonpath={range .items[*]}{.binaryData.history\.jsonl\.gz}{"\n"}{end}"#;
        let packed = self.world.kubectl(&["get", "configmaps", "-o", packed]);
        for line in packed.lines().filter(|line| !line.is_empty()) {
            all.push_str(&unpacked(line));
        }
        all.push_str(&self.world.kubectl(&["describe", "dsync"]));
        let plugin = tempfile::tempdir().unwrap();
        symlink(program(), plugin.path().join("kubectl-directorysync")).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", plugin.path().display());
        let mut commands = vec!["status -o wide".to_owned(), "status -o json".to_owned()];
        for number in (1..=self.count).step_by(5) {
            commands.push(format!("status staff-{number}"));
            commands.push(format!("plan staff-{number}"));
            commands.push(format!("history staff-{number}"));
        }
        for words in commands {
            let mut kubectl = self.world.server().kubectl();
            kubectl.arg("directorysync").args(words.split(' '));
            let output = kubectl
                .args(["-n", &self.world.namespace])
                .env("PATH", &path);
            let output = output.output().unwrap();
            all.push_str(&String::from_utf8_lossy(&output.stdout));
            all.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        all
    }

    /// Asks about somebody at each resource, and waits for the answers.
    async fn each_is_asked(&self) {
        let question = "directorysync.dev/explain=canary ada@example.com";
        self.world
            .kubectl(&["annotate", "dsync", "--all", question]);
        let api: Api<DirectorySync> = self.world.api();
        let all = api.list(&ListParams::default()).await.unwrap().items.len();
        let mut answered = 0;
        for _ in 0..600 {
            let maps = self.world.kubectl(&["get", "configmaps", "-o", "yaml"]);
            answered = maps.matches("\n    answer.json: ").count();
            if answered == all {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{answered} of {all} answered");
    }

    /// Waits until each resource was tried.
    async fn each_is_tried(&self) {
        let api: Api<DirectorySync> = self.world.api();
        let waiting = || async {
            let all = api.list(&ListParams::default()).await.unwrap().items;
            let untried = all.into_iter().filter(|object| {
                let conditions = object.status.as_ref().map(|status| &status.conditions);
                conditions
                    .and_then(|all| find(all, ConditionType::Ready))
                    .is_none_or(|ready| ready.status == "Unknown")
            });
            let names = untried.map(|object| object.metadata.name.unwrap());
            names.collect::<Vec<_>>()
        };
        for _ in 0..600 {
            if waiting().await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("never tried: {:?}", waiting().await);
    }
}

/// Everything that is sent there as traces.
async fn traces() -> (String, Arc<Mutex<Vec<u8>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let keep = received.clone();
    let take = move |body: Bytes| async move { keep.lock().unwrap().extend_from_slice(&body) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    (url, received)
}

/// Entra ID and Google, which refuse tokens, Active Directory, and an organization that can't be read.
async fn other_sources(cluster: &mut Cluster, open: &str) {
    let [_, _, (_, entra, client_secret), _] = sources(open);
    let refused = entra.replace("11111111-1111-1111-1111-111111111111", REFUSED_TENANT);
    cluster.apply(open, &refused, &client_secret);
    let google = "googleWorkspace: {domains: [example.com], adminEmail: a@example.com, \
                  credentials: {serviceAccountKeySecretRef: {name: directory, key: file}}}";
    let file = json!({
        "type": "service_account", "client_email": "sync@example.iam.gserviceaccount.com",
        "private_key": GOOGLE_KEY, "private_key_id": KEY, "client_id": PASSWORD,
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    cluster.apply(
        open,
        google,
        &secret("directory", &[("file", &file.to_string())]),
    );
    let account = format!("{ACCOUNT}@example.com");
    let bind = secret(
        "directory",
        &[("username", &account), ("password", PASSWORD)],
    );
    for (_, encode) in ENCODINGS {
        let message = format!("{} {}", encode(PASSWORD), encode(ACCOUNT));
        let url = hostile::ldap_server(LdapHarm::Refuse(message)).await;
        let controller = url.trim_start_matches("ldap://");
        let domain = format!(
            "activeDirectory: {{controllers: [\"{controller}\"], security: Plaintext, \
             bindSecretRef: {{name: directory}}}}"
        );
        cluster.apply(open, &domain, &bind);
        for refuses in [Refuses::Tokens, Refuses::Lists] {
            let url = server(refuses, encode).await;
            // The rest of the field, in quotes.
            let profile = format!("{url}\", vaultwarden: {{}}, externalIdPrefix: \"v:");
            let [(_, okta, token), ..] = sources(open);
            cluster.apply(&profile, &okta, &token);
        }
    }
}

async fn everything_wrong(cluster: &mut Cluster) {
    // An organization that lets everybody in, so that the directory is read.
    let open = hostile::server(Harm::EndlessMembers(0)).await;
    for (_, source, objects, _) in attacks() {
        cluster.apply(&open, &source.replace("URL", &open), &objects);
    }
    for refuses in [Refuses::Tokens, Refuses::Lists, Refuses::Redirects] {
        for (_, encode) in ENCODINGS {
            let url = server(refuses, encode).await;
            let sources = sources(&url);
            cluster.apply(&url, &sources[0].1, &sources[0].2);
            for (name, source, objects) in sources {
                if name != "ldap" {
                    cluster.apply(&open, &source, &objects);
                }
            }
        }
    }
    let bind = secret(
        "directory",
        &[
            ("bindDn", &format!("cn={ACCOUNT},dc=example")),
            ("password", PASSWORD),
        ],
    );
    let ldap = |url: &str| {
        format!(
            "ldap: {{url: \"{url}\", baseDn: \"dc=example,dc=com\", allowPlaintext: true, \
             bindSecretRef: {{name: directory}}}}"
        )
    };
    for (_, encode) in ENCODINGS {
        let message = format!("{} {}", encode(PASSWORD), encode(ACCOUNT));
        let url = hostile::ldap_server(LdapHarm::Refuse(message)).await;
        cluster.apply(&open, &ldap(&url), &bind);
    }
    other_sources(cluster, &open).await;
    // TLS where there is none, for both sides, and the wrong password for a real directory.
    let encrypted = open.replace("http", "https");
    let [(_, okta, token), ..] = sources(&encrypted);
    cluster.apply(&encrypted, &okta, &token);
    cluster.apply(&open, &okta, &token);
    let real = cluster.world.slapd.url().to_owned();
    for url in [open.replace("http", "ldaps"), real] {
        cluster.apply(&open, &ldap(&url), &bind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_can_be_read_in_the_cluster_has_a_value_of_a_secret() {
    let mut cluster = Cluster {
        world: World::new("canary").await,
        count: 0,
        refused: vec![],
    };
    everything_wrong(&mut cluster).await;
    let world = &cluster.world;
    // One that works has a plan, whose organization's key is looked for as well.
    world.resource("works", json!({}));
    let secrets = || world.kubectl(&["get", "secrets", "-o", "name"]);
    let written_by_us = secrets();

    let entra = server(Refuses::TokensOf(REFUSED_TENANT), str::to_owned).await;
    let google = server(Refuses::Tokens, str::to_owned).await;
    let (collector, traced) = traces().await;
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let vendors = format!(
        "entra-authority={entra},entra-graph={entra},google-token={google}/token,\
         google-directory={google}"
    );
    let operator = Operator::start(&[&world.namespace], |command| {
        command
            .args(["--listen", &address, "--concurrency", "16"])
            .env(TRACE.0, TRACE.1)
            .env("DIRECTORY_SYNC_VENDOR_URLS", vendors)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    });
    cluster.each_is_tried().await;
    world.until_ready("works", "Succeeded").await;
    cluster.each_is_asked().await;
    eventually("traces", || !traced.lock().unwrap().is_empty()).await;

    let metrics = reqwest::get(format!("http://{address}/metrics"))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let objects = cluster.objects();
    let log = operator.log();
    drop(operator);
    let traces = String::from_utf8_lossy(&traced.lock().unwrap()).into_owned();

    // They are what they should be.
    assert!(metrics.contains("directory_sync_runs_total"), "{metrics}");
    assert!(log.contains("TRACE"), "no logs at trace");
    assert!(traces.contains("read_directory"), "no traces");
    assert!(objects.contains("works-plan"));
    assert!(objects.contains("works-explain"));
    assert!(objects.contains("works-history"));
    assert!(
        objects.contains(r#""action":"Invite""#),
        "what is in it is looked at"
    );
    for said in [
        "302 Found",
        "400 Bad Request",
        "binding to ldap://",
        "TLS with ldaps://",
        "/api/v1/users",
        "/api/2/users",
        "reading what changed about users",
        &format!("{REFUSED_TENANT}/oauth2/v2.0/token: the answer is 400"),
        &format!("{google}/token"),
        "holds no private key",
    ] {
        assert!(objects.contains(said), "{said}");
    }
    assert!(cluster.refused.len() < 10, "{:?}", cluster.refused);
    for (name, said) in [
        ("status, events and plans", &objects),
        ("the log", &log),
        ("metrics", &metrics),
        ("traces", &traces),
    ] {
        assert_reveals_nothing(said, name);
        let said = said.to_lowercase();
        let key = world.organization.client_secret();
        assert_eq!(find_value(&said, &key), None, "{name}");
        let line = GOOGLE_KEY.lines().nth(5).unwrap();
        assert_eq!(find_value(&said, line), None, "{name}");
        let token = std::fs::read_to_string(operator_kubeconfig()).unwrap();
        let token = token
            .split("\"token\":")
            .nth(1)
            .or(token.split("token:").nth(1));
        let token = token.unwrap().trim_matches(|c: char| " \"}]\n".contains(c));
        let token = token.split(['"', '\n']).next().unwrap();
        assert!(token.len() > 100, "{token}");
        assert_eq!(find_value(&said, token), None, "{name}");
    }
    // No Secret is written by the operator.
    assert_eq!(secrets(), written_by_us);
    // And they would have been found.
    for value in [PASSWORD, KEY, ACCOUNT] {
        for (name, encode) in ENCODINGS {
            let found = find_value(&encode(value).replace('\u{ad}', "").to_lowercase(), value);
            assert!(found.is_some(), "{name}");
        }
    }
}
