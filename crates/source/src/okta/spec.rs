//! An Okta organization's part of a spec.

use std::sync::Arc;

use secrecy::SecretString;

use super::settings::{Credentials, GroupScope, OktaSettings, UserScope};
use crate::api::spec::{OktaCredentials, OktaGroups, OktaSource};
use crate::checks::{Checks, mentions, web_address};
use crate::http::egress::host_of;
use crate::http::{JwtSigner, Observer};
use crate::references::{KeyOf, Reference, ReferencedData, Unresolved, UnresolvedReason};
use crate::{ConnectError, Source, SourceEnvironment, SourceSettings, Validate};

const FIELD: &str = "spec.source.okta";

/// What a spec says of an organization.
#[derive(Debug, Clone)]
struct Configured {
    settings: OktaSettings,
    credentials: CredentialsRef,
}

/// Where the credentials are.
#[derive(Debug, Clone)]
enum CredentialsRef {
    ApiToken(KeyOf),
    ServiceApp {
        client_id: String,
        private_key: KeyOf,
        key_id: Option<String>,
    },
}

impl Validate for OktaSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        let (CredentialsRef::ApiToken(key)
        | CredentialsRef::ServiceApp {
            private_key: key, ..
        }) = &self.credentials;
        vec![Reference::from(key)]
    }

    fn hosts(&self) -> Vec<String> {
        vec![host_of(&self.settings.org_url)]
    }

    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        let (field, expression) = match &self.settings.users {
            UserScope::Everyone => return vec![],
            UserScope::Filter(text) => ("users.filter", text),
            UserScope::Search(text) => ("users.search", text),
        };
        match mentions(Some(expression), &["status"]) {
            true => vec![field],
            false => vec![],
        }
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        _: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let credentials = self.credentials.read(data)?;
        let settings = OktaSettings {
            observer,
            ..self.settings.clone()
        };
        Ok(Box::new(super::OktaSource::new(settings, &credentials)?))
    }
}

impl CredentialsRef {
    fn read(&self, data: &ReferencedData) -> Result<Credentials, Unresolved> {
        Ok(match self {
            Self::ApiToken(key) => Credentials::ApiToken(data.text(key)?),
            Self::ServiceApp {
                client_id,
                private_key,
                key_id,
            } => Credentials::ServiceApp {
                client_id: client_id.clone(),
                private_key: signing_key(data, private_key)?,
                key_id: key_id.clone(),
            },
        })
    }
}

/// A private key that can sign: somebody who stored another one hears of it by the Secret's name.
fn signing_key(data: &ReferencedData, key: &KeyOf) -> Result<SecretString, UnresolvedReason> {
    let text = std::str::from_utf8(data.bytes(key)?)
        .map_err(|_| UnresolvedReason::unusable(key, "isn't text; store PEM or JWK"))?;
    JwtSigner::parse(text).map_err(|error| UnresolvedReason::unusable(key, &error.to_string()))?;
    Ok(text.into())
}

fn configured(checks: &mut Checks, spec: &OktaSource, reads_groups: bool) -> Option<Configured> {
    let org_url = web_address(checks, &format!("{FIELD}.orgUrl"), &spec.org_url, false);
    let credentials = credentials(checks, &spec.credentials);
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
    Some(Configured {
        settings: OktaSettings {
            application_id: spec.application_id.clone(),
            rate_limit_share: share?,
            users: scope,
            statuses: users.statuses.unwrap_or_default(),
            groups: reads_groups.then(|| group_scope(groups)),
            ..OktaSettings::new(org_url?)
        },
        credentials: credentials?,
    })
}

fn credentials(checks: &mut Checks, spec: &OktaCredentials) -> Option<CredentialsRef> {
    match (&spec.api_token_secret_ref, &spec.oauth) {
        (Some(token), None) => Some(CredentialsRef::ApiToken(KeyOf::secret(
            &token.name,
            token.key.as_deref(),
            "token",
        ))),
        (None, Some(oauth)) => Some(CredentialsRef::ServiceApp {
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

fn group_scope(spec: OktaGroups) -> GroupScope {
    GroupScope {
        search: spec.search,
        types: spec.types.unwrap_or_else(|| GroupScope::default().types),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::super::wire::meaning;
    use super::*;
    use crate::api::conditions::Blocker;
    use crate::api::spec::OktaGroupType;
    use crate::directory::AccountState;
    use crate::fixtures::{connected, data_with, validated, with_source};

    /// A spec that reads an Okta organization, with these fields of `spec.source.okta`.
    fn okta(changes: Value) -> Value {
        let mut organization = json!({
            "orgUrl": "https://example.okta.com",
            "credentials": {"apiTokenSecretRef": {"name": "okta"}},
        });
        for (name, value) in changes.as_object().unwrap() {
            organization[name] = value.clone();
        }
        with_source("okta", &organization)
    }

    fn data() -> ReferencedData {
        data_with(
            "okta",
            &json!({
                "token": "the-api-token\n",
                "privateKey": include_str!("../../../../tests/okta/keys/p256.pem"),
                "nonsense": "the-secret-that-is-no-key",
            }),
        )
    }

    fn resolved(changes: Value) -> Result<(OktaSettings, Credentials), Unresolved> {
        let spec = okta(changes);
        let part = serde_json::from_value(spec["source"]["okta"].clone()).unwrap();
        let okta = configured(&mut Checks::default(), &part, true).unwrap();
        Ok((okta.settings, okta.credentials.read(&data())?))
    }

    #[test]
    fn okta_is_read_as_the_spec_describes_it() {
        let (defaults, credentials) = resolved(json!({})).unwrap();
        assert!(matches!(
            &credentials,
            Credentials::ApiToken(token) if token.expose_secret() == "the-api-token"
        ));
        assert_eq!(defaults.rate_limit_share, 50);
        assert_eq!(defaults.users, UserScope::Everyone);
        let means = |settings: &OktaSettings, statuses: [&str; 4]| {
            statuses.map(|status| meaning(&settings.statuses, status).unwrap())
        };
        let (active, disabled) = (Some(AccountState::Active), Some(AccountState::Disabled));
        let statuses = ["STAGED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"];
        assert_eq!(
            means(&defaults, statuses),
            [active, active, disabled, Some(AccountState::Deleted)]
        );
        assert_eq!(defaults.groups, Some(GroupScope::default()));
        assert_eq!(defaults.application_id, None);

        let (chosen, credentials) = resolved(json!({
            "credentials": {"oauth": {
                "clientId": "0oaserviceapp",
                "privateKeySecretRef": {"name": "okta"},
                "keyId": "k1",
            }},
            "applicationId": "0oabitwarden",
            "rateLimitShare": 30,
            "users": {
                "search": "profile.department eq \"Law\"",
                "statuses": {
                    "staged": "Absent",
                    "lockedOut": "Disabled",
                    "suspended": "Active",
                    "deprovisioned": "Disabled",
                },
            },
            "groups": {"search": "profile.name sw \"eng-\"", "types": ["BuiltIn", "OktaGroup"]},
        }))
        .unwrap();
        assert!(matches!(
            &credentials,
            Credentials::ServiceApp { client_id, key_id: Some(key_id), private_key }
                if client_id == "0oaserviceapp"
                    && key_id == "k1"
                    && private_key.expose_secret().contains("PRIVATE KEY")
        ));
        assert_eq!(chosen.rate_limit_share, 30);
        assert_eq!(chosen.application_id.as_deref(), Some("0oabitwarden"));
        let search = "profile.department eq \"Law\"".to_owned();
        assert_eq!(chosen.users, UserScope::Search(search));
        assert_eq!(means(&chosen, statuses), [None, disabled, active, disabled]);
        let groups = chosen.groups.unwrap();
        assert_eq!(groups.search.as_deref(), Some("profile.name sw \"eng-\""));
        let kinds = [OktaGroupType::BuiltIn, OktaGroupType::OktaGroup];
        assert_eq!(groups.types, kinds);
    }

    #[test]
    fn what_okta_could_never_do_is_refused_before_it_is_asked() {
        let refused = |changes: Value| validated(&okta(changes)).unwrap_err().to_string();
        assert!(refused(json!({"orgUrl": "http://example.okta.com"})).contains("unencrypted"));
        assert!(refused(json!({"rateLimitShare": 0})).contains("from 1 to 100"));
        assert!(refused(json!({"users": {"filter": "a", "search": "b"}})).contains("not both"));
        assert!(refused(json!({"credentials": {}})).contains("exactly one"));

        let oauth = |key: &str| {
            resolved(json!({"credentials": {"oauth": {
                "clientId": "0oaserviceapp",
                "privateKeySecretRef": {"name": "okta", "key": key},
            }}}))
        };
        let error = oauth("nonsense").unwrap_err();
        assert_eq!(error.blocker(), Blocker::InvalidReference);
        assert!(error.to_string().contains("key \"nonsense\""), "{error}");
        assert!(!error.to_string().contains("the-secret"), "{error}");
        assert_eq!(
            oauth("gone").unwrap_err().blocker(),
            Blocker::ReferenceNotFound
        );

        // Settings that only the source itself judges.
        let admin = okta(json!({"orgUrl": "https://example-admin.okta.com"}));
        let error = match connected(&admin, &data()) {
            Err(ConnectError::Source(error)) => error,
            other => panic!("{:?}", other.err()),
        };
        assert_eq!(error.kind, crate::SourceErrorKind::Configuration);
        assert!(
            error.to_string().contains("leave out \"-admin\""),
            "{error}"
        );
    }
}
