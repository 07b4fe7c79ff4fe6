//! Servers of vendors, and of an organization, whose lists have no end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use directory_sync::http::RateLimiter;
use directory_sync::organization::{ClientId, OrganizationClient, Region, Settings};
use directory_sync::source::{
    ReadProgress, Source, SourceErrorKind, entra_id, google_workspace, okta, one_login,
};
use directory_sync_testing::hurried;
use futures::stream;
use secrecy::SecretString;
use serde_json::{Value, json};
use simulators::google_workspace::{Config, SimulatedGoogle, UserSeed};
use tokio::net::TcpListener;

use crate::{MOST_BYTES, MOST_ITEMS, set_limits};

/// For whom Google Workspace is read.
const ADMIN: &str = "admin@example.com";
/// Entries of a page.
const PAGE: u64 = 100;

/// A page of a list in the words of a vendor: its entries, its number where there is another one, the
/// list's address and its path.
type Page = fn(entries: Vec<Value>, next: Option<u64>, url: &str, path: &str) -> Response;

/// A server whose list at `endless` has always another page of new entries, and whose other lists are
/// empty; its URL, and how many pages of that list it was asked for.
async fn server(endless: &'static str, page: Page) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (address, pages) = (url.clone(), Arc::new(AtomicU64::new(0)));
    let counted = pages.clone();
    let answer = move |uri: Uri| {
        let (address, pages) = (address.clone(), counted.clone());
        async move {
            let path = uri.path();
            if path.contains("token") {
                let token = json!({
                    "access_token": "a-token-of-this-test", "token_type": "Bearer",
                    "expires_in": 3600, "scope": "api.organization",
                });
                return axum::Json(token).into_response();
            }
            let url = format!("{address}{path}");
            if !path.ends_with(endless) || uri.query().is_some_and(|query| query.contains("latest"))
            {
                return page(vec![], None, &url, path);
            }
            let number = pages.fetch_add(1, Ordering::Relaxed);
            let entries = (number * PAGE..(number + 1) * PAGE).map(entry).collect();
            page(entries, Some(number), &url, path)
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, pages)
}

/// Somebody or a group, as all of these vendors would know them.
fn entry(number: u64) -> Value {
    let email = format!("p{number}@example.com");
    json!({
        "id": number, "mail": email, "email": email, "primaryEmail": email, "name": email,
        "username": email, "userPrincipalName": email, "displayName": email, "accountEnabled": true,
        "suspended": false, "status": 1, "state": 1,
        "profile": {"login": email, "email": email, "name": email},
    })
}

/// The ids as texts, made by `id`, and these fields.
fn with(mut entries: Vec<Value>, id: fn(u64) -> String, fields: &Value) -> Vec<Value> {
    for entry in &mut entries {
        entry["id"] = id(entry["id"].as_u64().unwrap()).into();
        let fields = fields.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(fields);
    }
    entries
}

fn okta(entries: Vec<Value>, next: Option<u64>, url: &str, _: &str) -> Response {
    let more = next.map(|next| format!(", <{url}?after={next}>; rel=\"next\""));
    let links = format!("<{url}>; rel=\"self\"{}", more.unwrap_or_default());
    let fields = json!({"status": "ACTIVE", "type": "OKTA_GROUP"});
    let entries = with(entries, |number| format!("00u{number}"), &fields);
    ([(header::LINK, links)], axum::Json(entries)).into_response()
}

fn graph(entries: Vec<Value>, next: Option<u64>, url: &str, _: &str) -> Response {
    let id = |number| format!("00000000-0000-4000-8000-{number:012x}");
    let (link, at) = match next {
        Some(next) => ("@odata.nextLink", format!("{url}?$skiptoken={next}")),
        None => ("@odata.deltaLink", format!("{url}?$deltatoken=end")),
    };
    axum::Json(json!({"value": with(entries, id, &json!({})), link: at})).into_response()
}

fn google(entries: Vec<Value>, next: Option<u64>, _: &str, path: &str) -> Response {
    let list = path.rsplit('/').next().unwrap();
    let kind = format!("admin#directory#{list}");
    let entries = with(entries, |number| number.to_string(), &json!({}));
    let next = next.map(|next| format!("token{next}"));
    axum::Json(json!({"kind": kind, list: entries, "nextPageToken": next})).into_response()
}

fn one_login(entries: Vec<Value>, next: Option<u64>, _: &str, _: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("current-page", "1".parse().unwrap());
    if let Some(next) = next {
        headers.insert("after-cursor", format!("c{next}").parse().unwrap());
    }
    (headers, axum::Json(entries)).into_response()
}

fn secret() -> SecretString {
    "made-up".into()
}

fn okta_at(url: &str) -> Box<dyn Source> {
    let mut settings = okta::OktaSettings::new(url.parse().unwrap());
    settings.retry = hurried();
    let credentials = okta::Credentials::ApiToken(secret());
    Box::new(okta::OktaSource::new(settings, &credentials).unwrap())
}

fn entra_id_at(url: &str) -> Box<dyn Source> {
    let [tenant, client] =
        [1, 2].map(|number| format!("00000000-0000-4000-8000-00000000000{number}"));
    let mut settings = entra_id::EntraIdSettings::new(&tenant, &client);
    settings.addresses = entra_id::Addresses {
        authority: url.parse().unwrap(),
        graph: url.parse().unwrap(),
    };
    settings.retry = hurried();
    let credentials = entra_id::Credentials::Secret(secret());
    Box::new(entra_id::EntraIdSource::new(settings, &credentials).unwrap())
}

fn one_login_at(url: &str) -> Box<dyn Source> {
    let mut settings = one_login::OneLoginSettings::new(url.parse().unwrap());
    settings.retry = hurried();
    let credentials = one_login::Credentials {
        client_id: "made-up".into(),
        client_secret: secret(),
    };
    Box::new(one_login::OneLoginSource::new(settings, &credentials).unwrap())
}

/// With the key and the tokens of `customer`.
fn google_at(url: &str, customer: &SimulatedGoogle) -> Box<dyn Source> {
    let admin = Some(ADMIN.to_owned());
    let mut settings = google_workspace::GoogleWorkspaceSettings::new(admin);
    settings.addresses = google_workspace::Addresses {
        token: format!("{}/token", customer.url()).parse().unwrap(),
        directory: url.parse().unwrap(),
    };
    settings.retry = hurried();
    let key = google_workspace::ServiceAccountKey::parse(&customer.key_file()).unwrap();
    let credentials = google_workspace::Credentials::Key(key);
    Box::new(google_workspace::GoogleWorkspaceSource::new(settings, &credentials).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_without_end_of_every_vendor_are_given_up_by_their_number() {
    set_limits();
    let customer = SimulatedGoogle::start(Config::default()).await.unwrap();
    customer.user(UserSeed::new(ADMIN).admin());
    type At<'a> = &'a dyn Fn(&str) -> Box<dyn Source>;
    let google_at = |url: &str| google_at(url, &customer);
    let lists: [(&str, Page, At); 10] = [
        ("/api/v1/users", okta, &okta_at),
        ("/api/v1/groups", okta, &okta_at),
        ("/v1.0/users", graph, &entra_id_at),
        ("/v1.0/groups/delta", graph, &entra_id_at),
        (
            "/v1.0/directory/deletedItems/microsoft.graph.user",
            graph,
            &entra_id_at,
        ),
        ("/users", google, &google_at),
        ("/groups", google, &google_at),
        ("/api/2/users", one_login, &one_login_at),
        ("/api/2/roles", one_login, &one_login_at),
        ("/users/microsoft.graph.agentUser", graph, &entra_id_at),
    ];
    for (endless, page, source) in lists {
        let (url, pages) = server(endless, page).await;
        let source = source(&url);
        let started = Instant::now();
        let read = source.read(None, &ReadProgress::default()).await;
        let error = read.err().unwrap_or_else(|| panic!("{endless} was read"));
        assert!(started.elapsed() < Duration::from_secs(30), "{endless}");
        assert_eq!(
            error.kind,
            SourceErrorKind::Incomplete,
            "{endless}: {error}"
        );
        assert!(
            error.message.contains("--max-list-items"),
            "{endless}: {error}"
        );
        // Deleted people of Google Workspace are at the same address, and are read side by side.
        let (pages, most) = (pages.load(Ordering::Relaxed), MOST_ITEMS as u64 / PAGE + 1);
        assert!(
            (most..=2 * most).contains(&pages),
            "{endless}: {pages}, {error}"
        );
    }
}

/// An organization whose answers consist of `part` without end, and how many bytes it got rid of.
async fn organization(part: &'static str) -> (OrganizationClient, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let answer = move |uri: Uri| async move {
        if uri.path().contains("token") {
            let token = json!({
                "access_token": "made-up", "token_type": "Bearer", "expires_in": 3600,
                "scope": "api.organization",
            });
            return axum::Json(token).into_response();
        }
        let part = Bytes::from(part.repeat((64 << 10) / part.len()));
        let parts = stream::once(async { Bytes::from_static(b"{\"data\":[") });
        let all = futures::StreamExt::chain(
            parts,
            stream::repeat_with(move || {
                counted.fetch_add(part.len() as u64, Ordering::Relaxed);
                part.clone()
            }),
        );
        let all = futures::StreamExt::map(all, Ok::<_, std::io::Error>);
        let is_json = [(header::CONTENT_TYPE, "application/json")];
        (is_json, Body::from_stream(all)).into_response()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let id = ClientId::parse("organization.00000000-0000-4000-8000-000000000001").unwrap();
    let mut settings = Settings::new(Region::server(&url).unwrap(), id, secret());
    settings.limit = Some(Arc::new(RateLimiter::unlimited()));
    settings.retry = hurried();
    (OrganizationClient::new(settings).unwrap(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_whose_members_have_no_end_is_given_up() {
    set_limits();
    let member =
        r#"{"id":"7d1f5b0e-0000-4000-8000-000000000000","email":"a@b.de","status":2,"type":2},"#;
    for (part, flag) in [(member, "--max-list-items"), (" ", "--max-response-size")] {
        let (client, sent) = organization(part).await;
        let started = Instant::now();
        let error = client.read().await.unwrap_err().to_string();
        assert!(started.elapsed() < Duration::from_secs(30), "{error}");
        assert!(error.contains(flag), "{error}");
        // More than the limit may be on its way, of two lists, and in the buffers of both sides.
        let sent = sent.load(Ordering::Relaxed);
        assert!(
            sent < 2 * MOST_BYTES + (32 << 20),
            "{sent} bytes were taken"
        );
    }
}
