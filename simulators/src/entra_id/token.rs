//! `POST /{tenant}/oauth2/v2.0/token`: proof of who the application is, against a token.

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use serde_json::json;

use super::answers::Reply;
use super::assertion::{self, Expected, Flaw};
use super::server::Server;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) fn answer(server: &Server, base: &str, path: &str, body: &[u8]) -> Reply {
    match issued(server, base, path, body) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn issued(server: &Server, base: &str, path: &str, body: &[u8]) -> Result<Reply, Reply> {
    let config = &server.config;
    let tenant = path.trim_start_matches('/').split('/').next().unwrap_or("");
    if tenant != config.tenant_id {
        let why = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return Err(denied("invalid_request", 90_002, &why));
    }
    let form = form(body).ok_or_else(|| {
        denied(
            "invalid_request",
            900_144,
            "The request body must contain the following parameter: 'grant_type'.",
        )
    })?;
    let field = |name: &str| form.get(name).map(String::as_str);
    if field("grant_type") != Some("client_credentials") {
        return Err(denied(
            "unsupported_grant_type",
            70_003,
            "The app requested an unsupported grant type.",
        ));
    }
    if field("client_id") != Some(&config.client_id) {
        let why = format!(
            "Application with identifier '{}' was not found in the directory.",
            field("client_id").unwrap_or("")
        );
        return Err(denied("unauthorized_client", 700_016, &why));
    }
    match (field("client_secret"), field("client_assertion")) {
        (Some(secret), None) => check_secret(server, secret)?,
        (None, Some(assertion)) => {
            if field("client_assertion_type") != Some(JWT_BEARER) {
                return Err(denied(
                    "invalid_request",
                    90_014,
                    "The required field 'client_assertion_type' is missing.",
                ));
            }
            check_assertion(server, base, path, assertion)?;
        }
        _ => {
            return Err(denied(
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            ));
        }
    }
    let scope = field("scope").unwrap_or("");
    let Some(audience) = scope.strip_suffix("/.default") else {
        return Err(denied(
            "invalid_scope",
            70_011,
            "The provided value for the input parameter 'scope' is not valid.",
        ));
    };
    // Graph is where the token endpoint is.
    if audience != base {
        let why = format!("The resource principal named {audience} was not found in the tenant.");
        return Err(denied("invalid_resource", 500_011, &why));
    }
    let audience = match config.other_audience {
        true => "https://graph.example.com",
        false => audience,
    };
    Ok(Reply::ok(json!({
        "token_type": "Bearer",
        "expires_in": server.dials.lock().token_lifetime.as_secs(),
        "ext_expires_in": server.dials.lock().token_lifetime.as_secs(),
        "access_token": server.issue(audience),
    })))
}

fn check_secret(server: &Server, sent: &str) -> Result<(), Reply> {
    match &server.dials.lock().secret {
        Some(secret) if secret.value == sent && secret.expired => {
            let why = "The provided client secret keys for app are expired. Visit the Azure portal to create new keys for your app.";
            Err(denied("invalid_client", 7_000_222, why))
        }
        Some(secret) if secret.value == sent => Ok(()),
        _ => {
            let why = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                server.config.client_id
            );
            Err(denied("invalid_client", 7_000_215, &why))
        }
    }
}

fn check_assertion(server: &Server, base: &str, path: &str, assertion: &str) -> Result<(), Reply> {
    let config = &server.config;
    let invalid = |code, why: &str| denied("invalid_client", code, why);
    let flawed = |flaw| match flaw {
        Flaw::Malformed => invalid(50_027, "JWT token is invalid or malformed."),
        Flaw::UnknownKey => invalid(
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        ),
        Flaw::Signature => invalid(700_027, "Client assertion failed signature validation."),
        Flaw::Expired => invalid(
            700_024,
            "Client assertion is not within its valid time range.",
        ),
        Flaw::Audience => invalid(
            700_023,
            "Client assertion audience claim does not match Realm issuer.",
        ),
        Flaw::Issuer | Flaw::Subject => invalid(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ),
    };
    let claims = assertion::claims(assertion).map_err(flawed)?;
    if claims["iss"] == config.client_id.as_str() {
        let audience = format!("{base}{path}");
        let expected = Expected {
            issuer: &config.client_id,
            subject: &config.client_id,
            audience: &audience,
        };
        assertion::check_certificate(assertion, &config.certificates, &expected).map_err(flawed)?;
        let id = claims["jti"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || !server.used_assertions.lock().insert(id) {
            return Err(invalid(
                50_027,
                "JWT token is invalid: its jti is missing or was used before.",
            ));
        }
        return Ok(());
    }
    // Whose token it is says the credential; the parts that don't fit decide the answer.
    let same_issuer = |issuer: &str| claims["iss"] == issuer;
    let Some(credential) = config.federated.iter().find(|c| same_issuer(&c.issuer)) else {
        return Err(invalid(
            700_211,
            "No matching federated identity record found for presented assertion issuer. Please note that the matching is done using a case-sensitive comparison.",
        ));
    };
    let expected = Expected {
        issuer: &credential.issuer,
        subject: &credential.subject,
        audience: &credential.audience,
    };
    assertion::check_keys(assertion, &credential.keys, &expected).map_err(|flaw| match flaw {
        Flaw::Audience => invalid(
            700_212,
            "No matching federated identity record found for presented assertion audience.",
        ),
        Flaw::Subject => invalid(
            700_213,
            "No matching federated identity record found for presented assertion subject.",
        ),
        other => flawed(other),
    })
}

fn form(body: &[u8]) -> Option<HashMap<String, String>> {
    let text = std::str::from_utf8(body).ok()?;
    let uri: Uri = format!("/?{text}").parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(form)| form)
}

fn denied(error: &str, code: u32, why: &str) -> Reply {
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let trace = "0f0f0f0f-1111-2222-3333-444444444444";
    Reply {
        status,
        headers: vec![],
        body: json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {why} Trace ID: {trace} Correlation ID: {trace} Timestamp: 2026-01-01 00:00:00Z"),
            "error_codes": [code],
            "timestamp": "2026-01-01 00:00:00Z",
            "trace_id": trace,
            "correlation_id": trace,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    }
}
