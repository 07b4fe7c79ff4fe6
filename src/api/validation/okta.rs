//! An Okta organization.

use reqwest::Url;
use secrecy::SecretString;

use super::check::{Checks, state};
use super::organization::web_address;
use super::references::{KeyOf, Reference, ReferencedData};
use super::resolve::UnresolvedReason;
use crate::api::spec::{
    OktaCredentials, OktaGroupType, OktaGroups, OktaSource as Spec, OktaStatuses,
};
use crate::http::JwtSigner;
use crate::source::okta::{
    Credentials, GroupScope, GroupType, OktaSettings, StatusTable, UserScope,
};

const FIELD: &str = "spec.source.okta";

/// An Okta organization's settings, without tokens and keys.
#[derive(Debug, Clone)]
pub struct ValidatedOkta {
    org_url: Url,
    account: Account,
    application_id: Option<String>,
    rate_limit_share: u8,
    users: UserScope,
    statuses: StatusTable,
    groups: Option<GroupScope>,
}

#[derive(Debug, Clone)]
enum Account {
    ApiToken(KeyOf),
    ServiceApp {
        client_id: String,
        private_key: KeyOf,
        key_id: Option<String>,
    },
}

impl ValidatedOkta {
    pub(super) fn references(&self) -> Vec<Reference> {
        let (Account::ApiToken(key)
        | Account::ServiceApp {
            private_key: key, ..
        }) = &self.account;
        vec![Reference::from(key)]
    }

    pub(super) fn resolve(
        &self,
        data: &ReferencedData,
        problems: &mut Vec<UnresolvedReason>,
    ) -> Option<OktaSettings> {
        let credentials = match &self.account {
            Account::ApiToken(key) => data.text(key).map(Credentials::ApiToken),
            Account::ServiceApp {
                client_id,
                private_key,
                key_id,
            } => signing_key(data, private_key).map(|private_key| Credentials::ServiceApp {
                client_id: client_id.clone(),
                private_key,
                key_id: key_id.clone(),
            }),
        };
        let credentials = credentials.map_err(|problem| problems.push(problem)).ok()?;
        let mut settings = OktaSettings::new(self.org_url.clone(), credentials);
        settings.application_id.clone_from(&self.application_id);
        settings.rate_limit_share = self.rate_limit_share;
        settings.users = self.users.clone();
        settings.statuses = self.statuses;
        settings.groups.clone_from(&self.groups);
        Some(settings)
    }
}

/// A private key that can sign: somebody who stored another one hears of it by the Secret's name.
fn signing_key(data: &ReferencedData, key: &KeyOf) -> Result<SecretString, UnresolvedReason> {
    let text = std::str::from_utf8(data.bytes(key)?)
        .map_err(|_| UnresolvedReason::unusable(key, "isn't text; store PEM or JWK"))?;
    JwtSigner::parse(text).map_err(|error| UnresolvedReason::unusable(key, &error.to_string()))?;
    Ok(text.into())
}

pub(super) fn validate(
    checks: &mut Checks,
    spec: &Spec,
    reads_groups: bool,
) -> Option<ValidatedOkta> {
    let org_url = web_address(checks, &format!("{FIELD}.orgUrl"), &spec.org_url, false);
    let account = account(checks, &spec.credentials);
    let share = checks.share(&format!("{FIELD}.rateLimitShare"), spec.rate_limit_share);
    let users = spec.users.clone().unwrap_or_default();
    let scope = match (users.filter, users.search) {
        (None, None) => UserScope::Everyone,
        (Some(filter), None) => UserScope::Filter(filter),
        (None, Some(search)) => UserScope::Search(search),
        (Some(_), Some(_)) => {
            checks.refuse(
                format!("{FIELD}.users"),
                "write either filter or search, not both",
            );
            return None;
        }
    };
    let groups = spec.groups.clone().unwrap_or_default();
    Some(ValidatedOkta {
        org_url: org_url?,
        account: account?,
        application_id: spec.application_id.clone(),
        rate_limit_share: share?,
        users: scope,
        statuses: statuses(&users.statuses.unwrap_or_default()),
        groups: reads_groups.then(|| group_scope(groups)),
    })
}

fn account(checks: &mut Checks, spec: &OktaCredentials) -> Option<Account> {
    match (&spec.api_token_secret_ref, &spec.oauth) {
        (Some(token), None) => Some(Account::ApiToken(KeyOf::secret(
            &token.name,
            token.key.as_deref(),
            "token",
        ))),
        (None, Some(oauth)) => Some(Account::ServiceApp {
            client_id: oauth.client_id.clone(),
            private_key: KeyOf::secret(
                &oauth.private_key_secret_ref.name,
                oauth.private_key_secret_ref.key.as_deref(),
                "privateKey",
            ),
            key_id: oauth.key_id.clone(),
        }),
        _ => {
            checks.refuse(
                format!("{FIELD}.credentials"),
                "write exactly one of apiTokenSecretRef and oauth",
            );
            None
        }
    }
}

fn statuses(spec: &OktaStatuses) -> StatusTable {
    let usual = StatusTable::default();
    StatusTable {
        staged: state(spec.staged, usual.staged),
        provisioned: state(spec.provisioned, usual.provisioned),
        active: state(spec.active, usual.active),
        recovery: state(spec.recovery, usual.recovery),
        password_expired: state(spec.password_expired, usual.password_expired),
        locked_out: state(spec.locked_out, usual.locked_out),
        suspended: state(spec.suspended, usual.suspended),
        deprovisioned: state(spec.deprovisioned, usual.deprovisioned),
    }
}

fn group_scope(spec: OktaGroups) -> GroupScope {
    let types = spec.types.map(|types| {
        let types = types.into_iter().map(|kind| match kind {
            OktaGroupType::OktaGroup => GroupType::OktaGroup,
            OktaGroupType::AppGroup => GroupType::AppGroup,
            OktaGroupType::BuiltIn => GroupType::BuiltIn,
        });
        types.collect()
    });
    GroupScope {
        search: spec.search,
        types: types.unwrap_or_else(|| GroupScope::default().types),
    }
}
