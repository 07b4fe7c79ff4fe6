//! Servers that say what they were sent, in every field and every encoding.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use data_encoding::BASE64;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::secret;
use serde_json::json;

use crate::canary::{
    ACCOUNT, ENCODINGS, Encoding, KEY, PASSWORD, TRACE, assert_reveals_nothing,
    run_traced_with_entra_at, write,
};

/// Which requests the server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// The request for a token, and everything else.
    Tokens,
    /// Everything but the request for a token.
    Lists,
    /// Requests for a token whose path has this, and lists.
    TokensOf(&'static str),
    /// Everything, by sending the client elsewhere.
    Redirects,
}

/// A server of any vendor, that refuses with the values in all fields of all vendors' errors.
pub async fn server(refuses: Refuses, encode: fn(&str) -> String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |uri: Uri, request: HeaderMap| async move {
        let grants = match refuses {
            Refuses::Lists => true,
            Refuses::TokensOf(tenant) => !uri.path().contains(tenant),
            Refuses::Tokens | Refuses::Redirects => false,
        };
        if grants && uri.path().contains("token") {
            let token = json!({"access_token": "a-token-of-this-test", "token_type": "Bearer",
                "expires_in": 3600, "scope": "api.organization"});
            return axum::Json(token).into_response();
        }
        let mut said = format!("no: {} and {}", encode(PASSWORD), encode(KEY));
        // Not every source's Secret has it.
        if format!("{request:?}").contains(ACCOUNT) {
            said = format!("{said} of {}", encode(ACCOUNT));
        }
        let body = json!({
            "error": said, "error_description": said, "error_uri": said, "error_codes": [said],
            "message": said, "title": said, "detail": said, "errors": {(said.clone()): [said]},
            "errorCode": said, "errorSummary": said, "errorCauses": [{"errorSummary": said}],
            "name": said, "description": said, "statusCode": 400,
            "status": {"error": true, "code": 400, "type": said, "message": said},
        });
        let headers = [
            (
                header::LOCATION,
                format!("https://{}.example", BASE64.encode(KEY.as_bytes())),
            ),
            (header::WWW_AUTHENTICATE, format!("Bearer error=\"{KEY}\"")),
        ];
        let status = match refuses {
            Refuses::Tokens | Refuses::Lists | Refuses::TokensOf(_) => StatusCode::BAD_REQUEST,
            Refuses::Redirects => StatusCode::FOUND,
        };
        (status, headers, axum::Json(body)).into_response()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// The source of a spec that reads from `url` with the values, and its Secret.
pub fn sources(url: &str) -> [(&'static str, String, String); 4] {
    [
        (
            "okta",
            format!(
                "okta: {{orgUrl: \"{url}\", credentials: {{apiTokenSecretRef: {{name: directory}}}}}}"
            ),
            secret("directory", &[("token", PASSWORD)]),
        ),
        (
            "oneLogin",
            format!("oneLogin: {{apiUrl: \"{url}\", credentialsSecretRef: {{name: directory}}}}"),
            secret(
                "directory",
                &[("clientId", ACCOUNT), ("clientSecret", PASSWORD)],
            ),
        ),
        (
            "entraId",
            "entraId: {tenantId: 11111111-1111-1111-1111-111111111111, \
             clientId: 22222222-2222-2222-2222-222222222222, \
             credentials: {clientSecretRef: {name: directory}}}"
                .to_owned(),
            secret("directory", &[("clientSecret", PASSWORD)]),
        ),
        (
            "ldap",
            // Nothing listens there: the organization's answer is what matters.
            "ldap: {url: \"ldap://127.0.0.1:9\", baseDn: \"dc=example,dc=com\", \
             bindSecretRef: {name: directory}}"
                .to_owned(),
            secret(
                "directory",
                &[
                    ("bindDn", &format!("cn={ACCOUNT},dc=example")),
                    ("password", PASSWORD),
                ],
            ),
        ),
    ]
}

async fn reveals_nothing(refuses: Refuses, (name, encode): Encoding) {
    let url = server(refuses, encode).await;
    for (source, spec, secrets) in sources(&url) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &url, &spec, &secrets);
        for words in ["check -f .", "plan -f . -o json"] {
            let ran = run_traced_with_entra_at(folder.path(), words, &url).await;
            let attack = format!("{words} of {source}, {refuses:?} refused in {name}");
            assert_ne!(ran.code, 0, "{attack}: {ran}");
            // The server was asked, and its refusal is told.
            if words.starts_with("check") {
                let status = if refuses == Refuses::Redirects {
                    "302"
                } else {
                    "400"
                };
                assert!(ran.to_string().contains(status), "{attack}: {ran}");
            }
            assert_reveals_nothing(&ran.to_string(), &attack);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_credentials_when_it_refuses_a_token_shows_none() {
    let all = ENCODINGS.map(|encoding| reveals_nothing(Refuses::Tokens, encoding));
    futures::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_credentials_when_it_refuses_a_list_shows_none() {
    let all = ENCODINGS.map(|encoding| reveals_nothing(Refuses::Lists, encoding));
    futures::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_redirects_to_a_host_made_of_credentials_shows_none_and_gets_no_followers() {
    let all = ENCODINGS.map(|encoding| reveals_nothing(Refuses::Redirects, encoding));
    futures::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_with_its_own_password_does_not_show_it() {
    let proxy = server(Refuses::Lists, str::to_owned).await;
    let proxy = proxy.replace("http://", &format!("http://{ACCOUNT}:{KEY}@"));
    let [(_, okta, secrets), ..] = sources("https://okta.example.com");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "https://vault.example.com", &okta, &secrets);
    for words in ["check -f .", "plan -f . -o json"] {
        let variables = [TRACE, ("HTTPS_PROXY", &proxy), ("NO_PROXY", "")];
        let ran = run(folder.path(), words, &variables).await;
        assert_ne!(ran.code, 0, "{ran}");
        assert_reveals_nothing(&ran.to_string(), "a proxy");
    }
}
