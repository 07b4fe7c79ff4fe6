//! Why there is no token: at each of the steps to one, in the words of whoever set it up.

use reqwest::StatusCode;

use super::error::{body, said};
use super::federation::SIGN;
use super::token::{GROUPS_SCOPE, USERS_SCOPE};
use super::wire::TokenError;
use crate::http::{Answer, Failure, HttpError};
use crate::text::shorten;

/// Where somebody has to mend something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// In the spec or a Secret, which is noticed.
    Here,
    /// At Google or in the cluster, of which we hear nothing: tried again now and then.
    Elsewhere,
}

/// What was refused, and what to do.
#[derive(Debug)]
pub(super) struct Refused {
    pub tried: String,
    pub answer: String,
    pub advice: String,
    pub mended: Mended,
}

/// What a failed call to sign or for a token means; `None` where it was no refusal.
pub(super) fn of(error: &HttpError) -> Option<Refused> {
    let tried = error.call.to_string();
    let (answer, (advice, mended)) = match &error.failure {
        Failure::Status(answer) if is_refusal(answer) && tried.ends_with(SIGN) => {
            let body = body(answer);
            let reasons: Vec<_> = body.reasons().collect();
            (said(&body, answer), signing(answer.status, &reasons))
        }
        Failure::Status(answer) if is_refusal(answer) => {
            let error = token_error(answer);
            (told(&error, answer), assertion(&error))
        }
        _ => return None,
    };
    Some(Refused {
        tried,
        answer,
        advice,
        mended,
    })
}

const MOUNT: &str = "see that the token's file is mounted: a projected service account token with \
                     the provider's audience";

fn is_refusal(answer: &Answer) -> bool {
    let status = answer.status;
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS && !answer.is_html()
}

fn token_error(answer: &Answer) -> TokenError {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn told(error: &TokenError, answer: &Answer) -> String {
    match error.error.as_str() {
        "" => answer.to_string(),
        code => format!(
            "{} {}: {}",
            answer.status.as_u16(),
            shorten(code),
            shorten(error.error_description.trim()).trim_end_matches('.')
        ),
    }
}

/// Of the token endpoint (Google: "Using OAuth 2.0 for server to server applications", error codes).
fn assertion(error: &TokenError) -> (String, Mended) {
    let says = |part: &str| error.error_description.to_lowercase().contains(part);
    match error.error.as_str() {
        "unauthorized_client" | "access_denied" | "invalid_scope" => (
            format!(
                "in the Admin console under Security, Access and data control, API controls, \
                 Domain-wide delegation, allow the service account's client id the scopes \
                 {USERS_SCOPE} and {GROUPS_SCOPE}"
            ),
            Mended::Elsewhere,
        ),
        "invalid_grant" if says("signature") => (
            "the key isn't the service account's any more: make a new one and store its JSON file \
             in the Secret"
                .to_owned(),
            Mended::Here,
        ),
        "invalid_grant" if says("email") || says("user id") => (
            "adminEmail must be the address of a user of this customer who isn't suspended"
                .to_owned(),
            Mended::Here,
        ),
        "invalid_grant" if says("account not found") => (
            "the service account isn't there any more, or is disabled".to_owned(),
            Mended::Elsewhere,
        ),
        "invalid_grant" if says("audience") => (
            "tokenUrl isn't the address that Google itself goes by".to_owned(),
            Mended::Here,
        ),
        "invalid_grant" if says("timeframe") || says("iat") || says("expired") => (
            "check the clock of this machine".to_owned(),
            Mended::Elsewhere,
        ),
        _ => (
            "check credentials, adminEmail and tokenUrl".to_owned(),
            Mended::Here,
        ),
    }
}

/// Of the IAM Service Account Credentials API.
fn signing(status: StatusCode, reasons: &[&str]) -> (String, Mended) {
    let off = ["accessNotConfigured", "SERVICE_DISABLED"];
    let advice = match status {
        StatusCode::FORBIDDEN if reasons.iter().any(|reason| off.contains(reason)) => {
            "enable the IAM Service Account Credentials API (iamcredentials.googleapis.com) in the \
             service account's project"
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            "check serviceAccountEmail, and give the cluster's principal the role Service Account \
             Token Creator (roles/iam.serviceAccountTokenCreator) on that service account: \
             Workload Identity User isn't enough to sign"
        }
        _ => "check serviceAccountEmail, stsUrl and iamUrl",
    };
    (advice.to_owned(), Mended::Elsewhere)
}

/// Of the Security Token Service.
pub(super) fn of_exchange(error: &HttpError) -> Option<Refused> {
    let tried = error.call.to_string();
    let (answer, advice, mended) = match &error.failure {
        Failure::Request(why) => (why.clone(), MOUNT, Mended::Elsewhere),
        Failure::Status(answer) if is_refusal(answer) => {
            let error = token_error(answer);
            let (advice, mended) = match error.error.as_str() {
                "invalid_target" => (
                    "check audience: it must name a workload identity provider that is there and \
                     enabled",
                    Mended::Here,
                ),
                _ => (
                    "issuer, audience and subject of the cluster's token must be what the \
                     provider, with its attribute condition, expects; a cluster that Google can't \
                     reach must have its keys (JWKS) uploaded to the provider",
                    Mended::Elsewhere,
                ),
            };
            (told(&error, answer), advice, mended)
        }
        _ => return None,
    };
    Some(Refused {
        tried,
        answer,
        advice: advice.to_owned(),
        mended,
    })
}
