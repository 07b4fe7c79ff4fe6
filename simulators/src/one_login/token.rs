//! `POST /auth/oauth2/v2/token`: API credentials against an access token, in each form that OneLogin
//! documents, and which tokens are good.

use std::collections::HashMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::Uri;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::answers::{Refusal, Version};
use super::server::Shared;

/// How long a token is good, in seconds.
const LIFETIME: u32 = 36_000;

/// The tokens of the account: one that is given to whoever asks, until it is revoked.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    revoked: u32,
}

impl Tokens {
    fn current(&self) -> String {
        format!("{:0>64}", format!("5imulated{}", self.revoked))
    }

    pub fn is_good(&self, token: &str) -> bool {
        token == self.current()
    }

    pub fn revoke(&mut self) {
        self.revoked += 1;
    }
}

pub(super) async fn generate(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = granted(&shared, &headers, &body);
    answer.map_or_else(|refusal| refusal.answer(Version::One), Json::into_response)
}

fn granted(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Json<Value>, Refusal> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let form = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("x-www-form-urlencoded"));
    let mut parameters: HashMap<String, String> = if form {
        fields(body).unwrap_or_default()
    } else {
        serde_json::from_slice(body).unwrap_or_default()
    };
    if let Some((id, secret)) = header(AUTHORIZATION).and_then(credentials) {
        parameters.insert("client_id".to_owned(), id);
        parameters.insert("client_secret".to_owned(), secret);
    }
    if parameters.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return Err(Refusal::Grant);
    }
    let dials = shared.dials.lock();
    let is = |name: &str, value: &str| parameters.get(name).is_some_and(|given| given == value);
    if !is("client_id", &dials.client_id) || !is("client_secret", &dials.client_secret) {
        return Err(Refusal::Unauthorized);
    }
    if dials.owner_is_gone {
        return Err(Refusal::Owner);
    }
    Ok(Json(json!({
        "access_token": shared.tokens.lock().current(),
        "created_at": "2024-05-17T08:30:00.000Z",
        "expires_in": LIFETIME,
        "refresh_token": "628x9x0xx447xx4x421x517x4x474x33x2065x4x1xx523xxxxx6x7x20",
        "token_type": "bearer",
        "account_id": 555_555,
    })))
}

/// `Basic …`, or OneLogin's own `client_id:…, client_secret:…`.
fn credentials(header: &str) -> Option<(String, String)> {
    if let Some(pair) = header.strip_prefix("Basic ") {
        let text = String::from_utf8(BASE64_STANDARD.decode(pair).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        return Some((id.to_owned(), secret.to_owned()));
    }
    let (id, secret) = header.split_once(',')?;
    let id = id.trim().strip_prefix("client_id:")?;
    let secret = secret.trim().strip_prefix("client_secret:")?;
    Some((id.trim().to_owned(), secret.trim().to_owned()))
}

/// The fields of a form: written as a query is.
fn fields(body: &[u8]) -> Option<HashMap<String, String>> {
    let uri = format!("/?{}", std::str::from_utf8(body).ok()?);
    let Query(fields) = Query::try_from_uri(&uri.parse::<Uri>().ok()?).ok()?;
    Some(fields)
}
