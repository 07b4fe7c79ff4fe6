//! How OneLogin's errors are recognised, and what to do about them.

use reqwest::StatusCode;

use super::settings::InvalidSettings;
use super::wire::ErrorBody;
use crate::http::{Answer, ApiError, FailureClass, HttpError, Refusal, Vendor};

static ONE_LOGIN: Vendor = Vendor {
    name: "OneLogin",
    address: "region, subdomain or apiUrl",
    throttled: THROTTLED,
    said,
};

const THROTTLED: &str = "the account's requests for this hour are used up, by other clients, too";

/// What a call is for: decides what its refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The request for an access token.
    Token,
    /// A list of people with these attributes.
    Query,
    /// Any other list: groups, roles and their members.
    List,
}

impl From<InvalidSettings> for ApiError {
    fn from(invalid: InvalidSettings) -> Self {
        Self::new(FailureClass::Settings, invalid.to_string())
    }
}

/// What a failed call means.
pub(super) fn failure(error: HttpError, purpose: Purpose) -> ApiError {
    let (error, for_token) = error.into_token_failure();
    let purpose = if for_token { Purpose::Token } else { purpose };
    let failed = error.failure.answer().map(|answer| answer.status);
    let mut failure = ApiError::of(error, &ONE_LOGIN, |refusal| recognise(refusal, purpose));
    if purpose == Purpose::Token && failed == Some(StatusCode::INTERNAL_SERVER_ERROR) {
        failure.message = format!(
            "{failure}; if it stays so, whoever made the API credentials was deleted, with whom \
             they ended: make new ones and store them in the Secret"
        )
        .into();
    }
    failure
}

fn recognise(refusal: &Refusal<'_>, purpose: Purpose) -> Option<ApiError> {
    let Refusal {
        tried,
        answer,
        said,
    } = refusal;
    let status = answer.status;
    let says = |part: &str| said.to_lowercase().contains(part);
    // Some refusals of the limit have another status than 429.
    if status.is_client_error() && says("rate limit") {
        let retry_after = answer.retry_after;
        return Some(ApiError::new(
            FailureClass::Throttled { retry_after },
            format!("{tried}: the answer is {status}: {said}; {THROTTLED}"),
        ));
    }
    let credentials = || {
        ApiError::new(
            FailureClass::Credentials,
            format!(
                "{tried}: OneLogin refuses the credentials ({said}); check clientId and \
                 clientSecret in the Secret, that they were made in this account (Developers, API \
                 Credentials), and that region or subdomain is the account's"
            ),
        )
    };
    Some(match (status, purpose) {
        (
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            Purpose::Token,
        ) => credentials(),
        (StatusCode::FORBIDDEN, _) => forbidden(refusal),
        // OneLogin refuses a missing scope by 401 as well.
        (StatusCode::UNAUTHORIZED, _) if says("permission") => forbidden(refusal),
        (StatusCode::UNAUTHORIZED, _) => credentials(),
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Purpose::Query) => {
            ApiError::new(
                FailureClass::Request,
                format!(
                    "{tried}: OneLogin refuses the query in users.attributes ({said}); correct it"
                ),
            )
        }
        (StatusCode::NOT_FOUND, _) => ApiError::new(
            FailureClass::WrongServer,
            format!(
                "{tried}: the answer is {status}: {said}; this isn't OneLogin's answer: check \
                 region, subdomain or apiUrl, and proxies in between"
            ),
        ),
        _ => return None,
    })
}

fn forbidden(refusal: &Refusal<'_>) -> ApiError {
    ApiError::new(
        FailureClass::Permission,
        format!(
            "{}: OneLogin doesn't allow it ({}); make API credentials with the scope Read Users \
             and store them in the Secret",
            refusal.tried, refusal.said
        ),
    )
}

/// People are shown without an attribute that must have a value.
pub(super) fn unknown_attribute(account: &str, attribute: &str) -> ApiError {
    ApiError::new(
        FailureClass::Settings,
        format!(
            "users.attributes: OneLogin shows the account {account} without {attribute:?}, so \
             nobody can say whether it has the value; write the name as in OneLogin's API \
             (custom_attributes.NAME for attributes of your own)"
        ),
    )
}

/// Whether OneLogin says that what was asked for isn't there.
pub(super) fn is_gone(error: &HttpError) -> bool {
    let answer = error.failure.answer();
    answer.is_some_and(|answer| answer.status == StatusCode::NOT_FOUND && said(answer).is_some())
}

/// Whether OneLogin refuses what was asked for as it was asked.
pub(super) fn is_malformed(error: &HttpError) -> bool {
    let answer = error.failure.answer();
    answer.is_some_and(|answer| matches!(answer.status.as_u16(), 400 | 422))
}

fn said(answer: &Answer) -> Option<String> {
    let body: ErrorBody = answer.fields();
    body.is_there().then(|| body.text().to_string())
}
