//! How Google's errors are recognised, and what to do about them.

use reqwest::{Method, StatusCode};

use super::api::List;
use super::settings::InvalidSettings;
use super::token_error;
use super::wire::ErrorBody;
use crate::http::{Answer, ApiError, CallName, FailureClass, HttpError, Refusal, Vendor};
use crate::text::sanitize;

/// The Directory API of the Admin SDK in messages.
static DIRECTORY: Vendor = Vendor {
    name: "Google",
    address: "the flag --vendor-urls",
    throttled: "Google's quota is used up",
    said: directory_said,
};

/// As whom we come.
#[derive(Debug, Clone)]
pub struct Account {
    /// The email of the service account, which messages name.
    pub service_account: String,
    /// The administrator it acts for.
    pub admin: Option<String>,
}

impl Account {
    /// Whose rights count, and whose quota.
    pub fn acts_as(&self) -> &str {
        self.admin.as_deref().unwrap_or(&self.service_account)
    }

    fn role_advice(&self, privilege: &str) -> String {
        match &self.admin {
            Some(admin) => format!(
                "give {} an administrator role with the Admin API privilege \"{privilege}\"",
                sanitize(admin)
            ),
            None => format!(
                "assign the service account {} an administrator role with the Admin API privilege \
                 \"{privilege}\" and write customer (its id, in the Admin console's account \
                 settings), or write adminEmail to act for somebody who has one",
                sanitize(&self.service_account)
            ),
        }
    }
}

impl From<InvalidSettings> for ApiError {
    fn from(invalid: InvalidSettings) -> Self {
        Self::new(FailureClass::Settings, invalid.to_string())
    }
}

/// A list that may not be whole.
pub(super) fn incomplete(list: &List, why: &str) -> ApiError {
    let tried = CallName::new(&Method::GET, &list.url);
    ApiError::incomplete(format!("{tried}: the list may not be complete: {why}"))
}

/// Nobody says whether people are suspended.
pub(super) fn accounts_hidden(user: &str, account: &Account) -> ApiError {
    ApiError::new(
        FailureClass::Permission,
        format!(
            "Google doesn't tell whether the account of {} is suspended; {}, which sees more than \
             colleagues do",
            sanitize(user),
            account.role_advice("Users: Read")
        ),
    )
}

/// What a failed call means; `further`: it asked for a page after the first.
pub(super) fn failure(error: HttpError, list: &List, further: bool, account: &Account) -> ApiError {
    let (error, for_token) = error.into_token_failure();
    if for_token {
        return token_failure(error);
    }
    let retry_after = error.failure.answer().and_then(|answer| answer.retry_after);
    let spent = is_quota(&error);
    ApiError::of(error, &DIRECTORY, |refusal| match spent {
        true => Some(ApiError::new(
            FailureClass::Throttled { retry_after },
            format!(
                "{}: the answer is {}: {}; Google's quota is used up, by others who act as {} or read this \
                 customer, too: read less often, or lower requestsPerMinute",
                refusal.tried,
                refusal.answer.status,
                refusal.said,
                sanitize(account.acts_as())
            ),
        )),
        false => recognise(refusal, list, further, account),
    })
}

fn recognise(
    refusal: &Refusal<'_>,
    list: &List,
    further: bool,
    account: &Account,
) -> Option<ApiError> {
    let Refusal {
        tried,
        answer,
        said,
    } = refusal;
    let body: ErrorBody = answer.fields();
    let is = |reasons: &[&str]| body.reasons().any(|found| reasons.contains(&found));
    let service_account = sanitize(&account.service_account);
    let permission = |message: String| ApiError::new(FailureClass::Permission, message);
    Some(match answer.status {
        StatusCode::UNAUTHORIZED => ApiError::new(
            FailureClass::Credentials,
            format!("{tried}: Google refuses a token that was just issued ({said})"),
        ),
        StatusCode::FORBIDDEN if is(&NOT_ENABLED) => permission(format!(
            "{tried}: the Admin SDK API isn't enabled ({said}); enable admin.googleapis.com in the \
             Google Cloud project of the service account {service_account}"
        )),
        StatusCode::FORBIDDEN if is(&NOT_IN_SCOPE) => permission(format!(
            "{tried}: the token's scopes don't allow it ({said}); allow the service account \
             {service_account} the scope {}",
            list.resource.scope
        )),
        StatusCode::FORBIDDEN if is(&["domainCannotUseApis"]) => permission(format!(
            "{tried}: the customer doesn't let anybody use its APIs ({said}); turn API access on \
             in the Admin console under Security, Access and data control, API controls"
        )),
        StatusCode::FORBIDDEN => permission(format!(
            "{tried}: {} may not read {} ({said}); {}; and check that customer or domains are its \
             own",
            sanitize(account.acts_as()),
            list.resource.what,
            account.role_advice(list.resource.privilege)
        )),
        StatusCode::BAD_REQUEST | StatusCode::GONE if further => ApiError::new(
            FailureClass::Restart,
            format!(
                "{tried}: Google lost the place in the list ({said}); nothing is changed, and the \
                 next run reads anew"
            ),
        ),
        StatusCode::BAD_REQUEST if list.queried => ApiError::new(
            FailureClass::Request,
            format!(
                "{tried}: Google refuses the query in {} ({said}); correct it",
                list.resource.query
            ),
        ),
        StatusCode::NOT_FOUND if list.is_of_members() => ApiError::new(
            FailureClass::Vanished,
            format!("{tried}: there is no such group ({said})"),
        ),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if !list.is_of_members() => ApiError::new(
            FailureClass::NotFound,
            format!(
                "{tried}: Google knows no such customer or domain ({said}); check customer or \
                 domains"
            ),
        ),
        _ => return None,
    })
}

/// Whether a group's members aren't shown to us because it isn't ours, or is gone.
pub(super) fn is_hidden_or_gone(error: &ApiError) -> bool {
    matches!(
        error.class,
        FailureClass::Vanished | FailureClass::Permission
    )
}

/// What it means that there is no token.
pub(super) fn token_failure(error: HttpError) -> ApiError {
    // The call to sign needs a token itself.
    match error.into_token_failure() {
        (exchange, true) => exchange_failure(exchange),
        (error, false) => token_error::token(error),
    }
}

/// What it means that the cluster's token isn't exchanged.
pub(super) fn exchange_failure(error: HttpError) -> ApiError {
    token_error::exchange(error)
}

/// Reasons of a 403 that pass (Directory API, "Limits and quotas"); in both forms of errors.
const QUOTA: [&str; 4] = [
    "quotaExceeded",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
];
const NOT_ENABLED: [&str; 2] = ["accessNotConfigured", "SERVICE_DISABLED"];
const NOT_IN_SCOPE: [&str; 2] = ["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"];

/// Whether a quota is spent, which passes within a minute.
pub(super) fn is_quota(error: &HttpError) -> bool {
    error
        .failure
        .answer()
        .is_some_and(|answer| match answer.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => {
                let body: ErrorBody = answer.fields();
                body.reasons().any(|found| QUOTA.contains(&found))
            }
            _ => false,
        })
}

/// Whether Google itself says that there is no such thing. A proxy in between may answer 404 as well.
pub(super) fn is_unknown(error: &HttpError) -> bool {
    error.failure.answer().is_some_and(|answer| {
        let body: ErrorBody = answer.fields();
        answer.status == StatusCode::NOT_FOUND && body.reasons().any(|found| found == "notFound")
    })
}

/// What an API's refusal says: its reason and message.
pub(super) fn directory_said(answer: &Answer) -> Option<String> {
    let body: ErrorBody = answer.fields();
    let status = answer.status.as_u16();
    let message = &body.error.message;
    if message.is_empty() {
        return None;
    }
    Some(match body.reason_texts().next() {
        None => format!("{status}: {message}"),
        Some(reason) => format!("{status} {reason}: {message}"),
    })
}
