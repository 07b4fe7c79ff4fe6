//! Why there is no token: at each of the steps to one, in the words of whoever set it up.

use reqwest::StatusCode;

use super::error::directory_said;
use super::federation::SIGN;
use super::token::{GROUPS_SCOPE, USERS_SCOPE};
use super::wire::{ErrorBody, TokenError};
use crate::http::{Answer, ApiError, Failure, FailureClass, HttpError, Refusal, Vendor};

static TOKENS: Vendor = Vendor {
    name: "Google",
    address: "the flag --vendor-urls",
    throttled: "Google limits requests for tokens",
    said: token_said,
};

/// The IAM Service Account Credentials API.
static SIGNING: Vendor = Vendor {
    name: "Google",
    address: "the flag --vendor-urls",
    throttled: "Google limits requests for signatures",
    said: directory_said,
};

/// What a failed call to sign or for a token means.
pub(super) fn token(error: HttpError) -> ApiError {
    if error.call.to_string().ends_with(SIGN) {
        return ApiError::of(error, &SIGNING, |refusal| {
            let body: ErrorBody = refusal.answer.fields();
            let reasons: Vec<_> = body.reasons().collect();
            refused(refusal, &signing(refusal.answer.status, &reasons))
        });
    }
    ApiError::of(error, &TOKENS, |refusal| {
        refused(refusal, &assertion(&refusal.answer.fields()))
    })
}

/// What it means that the Security Token Service doesn't exchange the cluster's token.
pub(super) fn exchange(error: HttpError) -> ApiError {
    if let Failure::Request(why) = &error.failure {
        let advice = "workload identity needs a token of the cluster, for a ServiceAccount that the \
                      provider trusts, with the provider's audience";
        return no_token(&error.call.to_string(), why, advice);
    }
    ApiError::of(error, &TOKENS, |refusal| {
        let error: TokenError = refusal.answer.fields();
        let advice = match error.error.raw() {
            "invalid_target" => {
                "check audience: it must name a workload identity provider that is there and \
                 enabled"
            }
            _ => {
                "issuer, audience and subject of the cluster's token must be what the provider, \
                 with its attribute condition, expects; a cluster that Google can't reach must \
                 have its keys (JWKS) uploaded to the provider"
            }
        };
        refused(refusal, advice)
    })
}

fn refused(refusal: &Refusal<'_>, advice: &str) -> Option<ApiError> {
    let status = refusal.answer.status;
    let refused = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
    refused.then(|| no_token(&refusal.tried, &refusal.said, advice))
}

fn no_token(tried: &str, answer: &str, advice: &str) -> ApiError {
    ApiError::new(
        FailureClass::Credentials,
        format!("no access token for Google Workspace: {tried}: {answer}; {advice}"),
    )
}

fn token_said(answer: &Answer) -> Option<String> {
    let error: TokenError = answer.fields();
    (!error.error.is_empty()).then(|| {
        format!(
            "{} {}: {}",
            answer.status.as_u16(),
            error.error,
            error.error_description.to_string().trim_end_matches('.')
        )
    })
}

/// Of the token endpoint (Google: "Using OAuth 2.0 for server to server applications", error codes).
fn assertion(error: &TokenError) -> String {
    let says = |part: &str| error.error_description.raw().to_lowercase().contains(part);
    match error.error.raw() {
        "unauthorized_client" | "access_denied" | "invalid_scope" => format!(
            "in the Admin console under Security, Access and data control, API controls, \
                 Domain-wide delegation, allow the service account's client id the scopes \
                 {USERS_SCOPE} and {GROUPS_SCOPE}"
        ),
        "invalid_grant" if says("signature") => {
            "the key isn't the service account's any more: make a new one and store its JSON file \
             in the Secret"
                .to_owned()
        }
        "invalid_grant" if says("email") || says("user id") => {
            "adminEmail must be the address of a user of this customer who isn't suspended"
                .to_owned()
        }
        "invalid_grant" if says("account not found") => {
            "the service account isn't there any more, or is disabled".to_owned()
        }
        "invalid_grant" if says("audience") => {
            "the address of google-token (--vendor-urls) isn't the one that Google itself goes by"
                .to_owned()
        }
        "invalid_grant" if says("timeframe") || says("iat") || says("expired") => {
            "check the clock of this machine".to_owned()
        }
        _ => "check credentials and adminEmail".to_owned(),
    }
}

/// Of the IAM Service Account Credentials API.
fn signing(status: StatusCode, reasons: &[&str]) -> String {
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
        _ => "check serviceAccountEmail, and the addresses in --vendor-urls if that flag is set",
    };
    advice.to_owned()
}
