//! The token endpoints: assertions against access tokens, the cluster's tokens against Google's,
//! and claims against a signature of Google's.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answers::{Denied, Refusal};
use super::config::{Federation, ServiceAccount};
use super::jwt::Token;
use super::model::Store;
use crate::entra_id::assertion::is_signed_by;

/// How long a token is good.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The longest that an assertion may be good, in seconds.
const ASSERTION_MAX: i64 = 3600;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 300;
/// The longest that what Google signs may be good, in seconds.
const SIGNED_MAX: i64 = 12 * 3600;

/// Who holds an access token, and for what.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// The service account, or the one it acts for.
    pub email: String,
    pub scopes: Vec<String>,
}

/// The tokens that were given out and are still good.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    access: HashMap<String, (Instant, Holder)>,
    federated: HashMap<String, Instant>,
    issued: u64,
}

impl Tokens {
    pub fn holder(&self, token: &str) -> Option<&Holder> {
        let (until, holder) = self.access.get(token)?;
        (*until > Instant::now()).then_some(holder)
    }

    pub fn revoke_all(&mut self) {
        self.access.clear();
        self.federated.clear();
    }

    fn next(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("ya29.simulated-{kind}-token-{}", self.issued)
    }

    /// Answers a request for an access token; `url` is the token endpoint's own address.
    pub fn grant(
        &mut self,
        account: &ServiceAccount,
        federation: &Federation,
        store: &Store,
        form: &HashMap<String, String>,
        url: &str,
    ) -> Result<Value, Denied> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            let why = "Invalid grant_type";
            return Err(Denied::bad("unsupported_grant_type", why));
        }
        let token = Token::parse(field("assertion"))
            .ok_or_else(|| Denied::bad("invalid_grant", "Bad Request"))?;
        if token.text("iss") != account.email {
            let why = "Invalid grant: account not found";
            return Err(Denied::bad("invalid_grant", why));
        }
        let keys = account.keys.iter().chain([&federation.managed_key]);
        // Without the key's ID all are tried.
        let mut named = keys.filter(|(id, _)| token.key_id.is_empty() || *id == token.key_id);
        if !named.any(|(_, key)| token.is_signed_by(key)) {
            return Err(Denied::bad("invalid_grant", "Invalid JWT Signature."));
        }
        // Google's own client names this one, wherever it sends its requests.
        const GOOGLES: &str = "https://oauth2.googleapis.com/token";
        if ![url, GOOGLES].contains(&token.text("aud")) {
            let why = format!("Invalid JWT: Failed audience check. The right audience is {url}");
            return Err(Denied::bad("invalid_grant", why));
        }
        let now = Timestamp::now().as_second();
        let (from, until) = (token.number("iat"), token.number("exp"));
        let short = until > from && until - from <= ASSERTION_MAX;
        if !short || from > now + SKEW || until < now {
            return Err(Denied::bad(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                 timeframe. Check your iat and exp values in the JWT claim.",
            ));
        }
        let scopes: Vec<String> = token
            .text("scope")
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect();
        if scopes.is_empty() {
            let why = "Invalid OAuth scope or ID token audience provided.";
            return Err(Denied::bad("invalid_scope", why));
        }
        let subject = token.text("sub");
        let delegated = !subject.is_empty() && subject != account.email;
        if delegated {
            let good = |scope: &String| account.delegated_scopes.contains(scope);
            if !scopes.iter().all(good) {
                return Err(Denied(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized_client",
                    "Client is unauthorized to retrieve access tokens using this method, or \
                     client not authorized for any of the scopes requested."
                        .to_owned(),
                ));
            }
            let known = store.user_by_email(subject);
            if known.is_none_or(|user| user.suspended) {
                return Err(Denied::bad("invalid_grant", "Invalid email or User ID"));
            }
        }
        let access = self.next("access");
        let email = if delegated { subject } else { &account.email };
        let holder = Holder {
            email: email.to_owned(),
            scopes: scopes.clone(),
        };
        let until = Instant::now() + LIFETIME;
        self.access.insert(access.clone(), (until, holder));
        Ok(json!({
            "access_token": access,
            "expires_in": LIFETIME.as_secs() - 1,
            "token_type": "Bearer",
        }))
    }

    /// Answers a request to exchange a cluster's token.
    pub fn exchange(
        &mut self,
        federation: &Federation,
        form: &HashMap<String, String>,
    ) -> Result<Value, Denied> {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let kind = "urn:ietf:params:oauth:token-type:";
        for (name, wanted) in [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange".to_owned(),
            ),
            ("requested_token_type", format!("{kind}access_token")),
            ("subject_token_type", format!("{kind}jwt")),
        ] {
            if field(name) != wanted {
                let why = format!("Invalid value for \"{name}\".");
                return Err(Denied::bad("invalid_request", why));
            }
        }
        if field("scope") != "https://www.googleapis.com/auth/cloud-platform" {
            let why = "Invalid value for \"scope\".";
            return Err(Denied::bad("invalid_request", why));
        }
        if field("audience") != federation.provider {
            return Err(Denied::bad(
                "invalid_target",
                "The target service indicated by the \"audience\" parameters is invalid. This \
                 might either be because the pool or provider is disabled or deleted or because \
                 it doesn't exist.",
            ));
        }
        let refused = |why: String| Denied::bad("invalid_grant", why);
        let token = Token::parse(field("subject_token"))
            .ok_or_else(|| refused("The ID Token could not be parsed.".to_owned()))?;
        if token.text("iss") != federation.issuer {
            let found = token.text("iss");
            return Err(refused(format!(
                "The issuer in ID Token {found} does not match the expected ones: {}.",
                federation.issuer
            )));
        }
        let signed = match &federation.uploaded_keys {
            Some(keys) => is_signed_by(field("subject_token"), keys),
            None => token.is_signed_by(&federation.cluster_key),
        };
        if !signed {
            return Err(refused(
                "Unable to verify the ID Token signature.".to_owned(),
            ));
        }
        let audiences = match &token.claims["aud"] {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => vec![one.as_str().unwrap_or_default()],
        };
        if !audiences.contains(&federation.token_audience.as_str()) {
            return Err(refused(format!(
                "The audience in ID Token {audiences:?} does not match the expected audience {}.",
                federation.token_audience
            )));
        }
        if token.number("exp") < Timestamp::now().as_second() {
            let why = "ID Token is stale to sign-in.".to_owned();
            return Err(refused(why));
        }
        if token.text("sub") != federation.subject {
            return Err(Denied(
                StatusCode::UNAUTHORIZED,
                "unauthorized_client",
                "The given credential is rejected by the attribute condition.".to_owned(),
            ));
        }
        let federated = self.next("federated");
        let until = Instant::now() + LIFETIME;
        self.federated.insert(federated.clone(), until);
        Ok(json!({
            "access_token": federated,
            "issued_token_type": format!("{kind}access_token"),
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs() - 1,
        }))
    }

    /// Answers a request to sign claims in the name of `email`; `token` is the caller's.
    pub fn sign(
        &self,
        account: &ServiceAccount,
        federation: &Federation,
        token: &str,
        email: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let until = self.federated.get(token).ok_or(Refusal::Token)?;
        if *until <= Instant::now() {
            return Err(Refusal::Token);
        }
        if email != account.email || !federation.may_sign {
            return Err(Refusal::MayNot("iam.serviceAccounts.signJwt"));
        }
        let payload = body["payload"].as_str().unwrap_or_default();
        let invalid = || Refusal::Invalid("payload".to_owned());
        let claims: Value = serde_json::from_str(payload).map_err(|_| invalid())?;
        let now = Timestamp::now().as_second();
        let until = claims["exp"].as_i64().ok_or_else(invalid)?;
        if until <= now || until > now + SIGNED_MAX {
            return Err(invalid());
        }
        let (id, key) = &federation.managed_key;
        Ok(json!({"keyId": id, "signedJwt": key.sign(id, &claims)}))
    }
}
