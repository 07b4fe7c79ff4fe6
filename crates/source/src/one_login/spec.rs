//! A OneLogin account's part of a spec.

use std::sync::Arc;

use reqwest::Url;
use secrecy::ExposeSecret;

use super::settings::{Credentials, OneLoginSettings, region_url, subdomain_url};
use crate::api::spec::OneLoginSource;
use crate::checks::{Checks, web_address};
use crate::http::Observer;
use crate::http::egress::host_of;
use crate::references::{KeyOf, Reference, ReferencedData, Unresolved, both};
use crate::{ConnectError, Source, SourceEnvironment, SourceSettings, Validate};

const FIELD: &str = "spec.source.oneLogin";

/// What a spec says of an account.
#[derive(Debug, Clone)]
struct Configured {
    settings: OneLoginSettings,
    credentials: CredentialsRef,
}

/// Where the API credentials are.
#[derive(Debug, Clone)]
struct CredentialsRef {
    client_id: KeyOf,
    client_secret: KeyOf,
}

impl Validate for OneLoginSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        let CredentialsRef {
            client_id,
            client_secret,
        } = &self.credentials;
        vec![Reference::from(client_id), Reference::from(client_secret)]
    }

    fn hosts(&self) -> Vec<String> {
        vec![host_of(&self.settings.url)]
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        _: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let credentials = self.credentials.read(data)?;
        let settings = OneLoginSettings {
            observer,
            ..self.settings.clone()
        };
        Ok(Box::new(super::OneLoginSource::new(
            settings,
            &credentials,
        )?))
    }
}

impl CredentialsRef {
    fn read(&self, data: &ReferencedData) -> Result<Credentials, Unresolved> {
        let (id, secret) = both(data.text(&self.client_id), data.text(&self.client_secret))?;
        Ok(Credentials {
            client_id: id.expose_secret().to_owned(),
            client_secret: secret,
        })
    }
}

fn configured(
    checks: &mut Checks,
    spec: &OneLoginSource,
    reads_groups: bool,
) -> Option<Configured> {
    let url = address(checks, spec);
    let share = checks.share(&format!("{FIELD}.rateLimitShare"), spec.rate_limit_share);
    let users = spec.users.clone().unwrap_or_default();
    let groups = spec.groups.clone().unwrap_or_default();
    let secret = &spec.credentials_secret_ref;
    let key = |key: &Option<String>, default| KeyOf::secret(&secret.name, key.as_deref(), default);
    Some(Configured {
        settings: OneLoginSettings {
            rate_limit_share: share?,
            attributes: users.attributes.unwrap_or_default(),
            email_suffix: users.email_suffix,
            statuses: users.statuses.unwrap_or_default(),
            states: users.states.unwrap_or_default(),
            groups: reads_groups.then(|| groups.from.unwrap_or_default()),
            ..OneLoginSettings::new(url?)
        },
        credentials: CredentialsRef {
            client_id: key(&secret.client_id_key, "clientId"),
            client_secret: key(&secret.client_secret_key, "clientSecret"),
        },
    })
}

fn address(checks: &mut Checks, spec: &OneLoginSource) -> Option<Url> {
    checks.exactly_one(
        FIELD,
        &[
            ("region", spec.region.is_some()),
            ("subdomain", spec.subdomain.is_some()),
            ("apiUrl", spec.api_url.is_some()),
        ],
    );
    match (spec.region, &spec.subdomain, &spec.api_url) {
        (Some(region), ..) => Some(region_url(region)),
        (None, Some(subdomain), _) => checks.noted(
            &format!("{FIELD}.subdomain"),
            subdomain_url(subdomain).ok_or("write the part before .onelogin.com: example"),
        ),
        (None, None, Some(url)) => web_address(checks, &format!("{FIELD}.apiUrl"), url, false),
        (None, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::settings::{state_meaning, status_meaning};
    use super::*;
    use crate::api::conditions::Blocker;
    use crate::api::spec::{OneLoginAttribute, OneLoginGroupsFrom};
    use crate::directory::AccountState;
    use crate::fixtures::{data, data_with, unresolved, validated, with_source};

    /// A spec that reads a OneLogin account, with these fields of `spec.source.oneLogin`.
    fn one_login(mut account: Value) -> Value {
        account["credentialsSecretRef"] = json!({"name": "onelogin", "clientIdKey": "id"});
        with_source("oneLogin", &account)
    }

    fn resolved(spec: &Value) -> (OneLoginSettings, Credentials) {
        let data = data_with(
            "onelogin",
            &json!({
                "id": "the-client\n",
                "clientSecret": "the-secret-of-the-client\n",
            }),
        );
        let part = serde_json::from_value(spec["source"]["oneLogin"].clone()).unwrap();
        let account = configured(&mut Checks::default(), &part, true).unwrap();
        (account.settings, account.credentials.read(&data).unwrap())
    }

    fn settings(spec: &Value) -> OneLoginSettings {
        resolved(spec).0
    }

    #[test]
    fn onelogin_is_read_as_the_spec_describes_it() {
        let (default, credentials) = resolved(&one_login(json!({"region": "EU"})));
        assert_eq!(default.url.as_str(), "https://api.eu.onelogin.com/");
        assert_eq!(credentials.client_id, "the-client");
        let secret = credentials.client_secret.expose_secret();
        assert_eq!(secret, "the-secret-of-the-client");
        assert!(!format!("{default:?} {credentials:?}").contains("the-secret"));
        assert_eq!(default.rate_limit_share, 50);
        assert_eq!(default.attributes, []);
        assert_eq!(default.email_suffix, None);
        let (active, disabled) = (Some(AccountState::Active), Some(AccountState::Disabled));
        let statuses = |settings: &OneLoginSettings| {
            [0, 1, 2, 3, 4, 5, 7, 8]
                .map(|status| status_meaning(&settings.statuses, status).unwrap())
        };
        let states = |settings: &OneLoginSettings| {
            [0, 1, 2, 3].map(|state| state_meaning(&settings.states, state).unwrap())
        };
        assert_eq!(
            statuses(&default),
            [
                active, active, disabled, active, active, active, active, active
            ]
        );
        assert_eq!(states(&default), [active; 4]);
        assert_eq!(default.groups, Some(OneLoginGroupsFrom::Roles));

        let url = |account| settings(&one_login(account)).url;
        let address = url(json!({"region": "US"}));
        assert_eq!(address.as_str(), "https://api.us.onelogin.com/");
        let address = url(json!({"subdomain": "Example-1"}));
        assert_eq!(address.as_str(), "https://example-1.onelogin.com/");
        let address = url(json!({"apiUrl": "https://proxy.example.com/onelogin"}));
        assert_eq!(address.as_str(), "https://proxy.example.com/onelogin");

        let chosen = one_login(json!({
            "subdomain": "example",
            "rateLimitShare": 30,
            "users": {
                "attributes": [{"attribute": "department", "value": "Eng*"}],
                "emailSuffix": "@example.com",
                "statuses": {
                    "unactivated": "Absent",
                    "active": "Disabled",
                    "suspended": "Active",
                    "locked": "Absent",
                    "passwordExpired": "Disabled",
                    "awaitingPasswordReset": "Disabled",
                    "pending": "Absent",
                    "securityQuestionsRequired": "Disabled",
                },
                "states": {
                    "unapproved": "Absent",
                    "approved": "Disabled",
                    "rejected": "Disabled",
                    "unlicensed": "Absent",
                },
            },
            "groups": {"from": "Groups"},
        }));
        let settings = settings(&chosen);
        assert_eq!(settings.rate_limit_share, 30);
        let attribute = OneLoginAttribute {
            attribute: "department".into(),
            value: "Eng*".into(),
        };
        assert_eq!(settings.attributes, [attribute]);
        assert_eq!(settings.email_suffix.as_deref(), Some("@example.com"));
        let absent = None;
        assert_eq!(
            statuses(&settings),
            [
                absent, disabled, active, absent, disabled, disabled, absent, disabled
            ]
        );
        assert_eq!(states(&settings), [absent, disabled, disabled, absent]);
        assert_eq!(settings.groups, Some(OneLoginGroupsFrom::Groups));

        let part = serde_json::from_value(chosen["source"]["oneLogin"].clone()).unwrap();
        let without = configured(&mut Checks::default(), &part, false).unwrap();
        assert_eq!(without.settings.groups, None);
    }

    #[test]
    fn what_onelogin_could_never_do_is_refused_before_it_is_asked() {
        let refused = |account| validated(&one_login(account)).unwrap_err().to_string();
        assert!(refused(json!({})).contains("exactly one of region, subdomain, apiUrl"));
        assert!(refused(json!({"region": "EU", "subdomain": "a"})).contains("exactly one"));
        assert!(refused(json!({"apiUrl": "http://onelogin.example.com"})).contains("unencrypted"));
        assert!(refused(json!({"region": "EU", "rateLimitShare": 0})).contains("from 1 to 100"));
        for subdomain in ["example.onelogin.com", "a/b", "-a", "a@evil.example", ""] {
            let error = refused(json!({"subdomain": subdomain}));
            assert!(error.contains("before .onelogin.com"), "{error}");
        }
        let error = unresolved(&one_login(json!({"region": "EU"})), &data());
        assert_eq!(error.blocker(), Blocker::ReferenceNotFound);
        let command =
            "create secret generic onelogin --from-file=id=FILE --from-file=clientSecret=FILE";
        assert!(error.to_string().contains(command), "{error}");
    }
}
