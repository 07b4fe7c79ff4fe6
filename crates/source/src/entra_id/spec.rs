//! An Entra ID tenant's part of a spec.

use std::sync::Arc;

use secrecy::SecretString;
use uuid::Uuid;

use super::settings::{
    Addresses, Credentials, EntraIdSettings, GroupSelection, GroupSettings, GroupTypes,
    UserSettings, UserTypes,
};
use crate::api::spec::{
    EntraIdCloud, EntraIdCredentials, EntraIdGroupSelection, EntraIdGroupType, EntraIdGroups,
    EntraIdSource, EntraIdUserType, EntraIdUsers,
};
use crate::checks::{Checks, mentions};
use crate::http::Observer;
use crate::http::egress::host_of;
use crate::references::{
    KeyOf, Reference, ReferencedData, Unresolved, UnresolvedReason, both, is_object_name,
};
use crate::{
    ConnectError, Identities, IdentityRequest, OwnTokenFile, Source, SourceEnvironment,
    SourceSettings, Validate, VendorAddress,
};

const FIELD: &str = "spec.source.entraId";

/// What a spec says of a tenant.
#[derive(Debug, Clone)]
struct Configured {
    settings: EntraIdSettings,
    credentials: CredentialsRef,
}

/// Where the application's credentials are.
#[derive(Debug, Clone)]
enum CredentialsRef {
    Secret(KeyOf),
    Certificate { certificate: KeyOf, key: KeyOf },
    WorkloadIdentity(IdentityRequest),
}

impl Validate for EntraIdSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        let keys = match &self.credentials {
            CredentialsRef::Secret(secret) => vec![secret],
            CredentialsRef::Certificate { certificate, key } => vec![certificate, key],
            CredentialsRef::WorkloadIdentity(_) => vec![],
        };
        keys.into_iter().map(Reference::from).collect()
    }

    fn hosts(&self) -> Vec<String> {
        let Addresses { authority, graph } = &self.settings.addresses;
        [authority, graph].map(host_of).into()
    }

    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        let filter = self.settings.users.filter.as_deref();
        match mentions(filter, &["accountEnabled"]) {
            true => vec!["users.filter"],
            false => vec![],
        }
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        environment: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let credentials = self.credentials.read(data, &*environment.identities)?;
        let mut settings = EntraIdSettings {
            observer,
            ..self.settings.clone()
        };
        let Addresses { authority, graph } = &mut settings.addresses;
        let urls = &environment.urls;
        urls.replace(VendorAddress::EntraAuthority, authority);
        urls.replace(VendorAddress::EntraGraph, graph);
        let source = super::EntraIdSource::new(settings, &credentials)?;
        Ok(Box::new(source.keeping(&environment.kept)))
    }
}

impl CredentialsRef {
    fn read(
        &self,
        data: &ReferencedData,
        identities: &dyn Identities,
    ) -> Result<Credentials, Unresolved> {
        Ok(match self {
            Self::Secret(key) => Credentials::Secret(data.text(key)?),
            Self::Certificate { certificate, key } => {
                let (certificate, key) = both(pem(data, certificate), pem(data, key))?;
                Credentials::Certificate {
                    certificate: certificate.into_bytes(),
                    key: SecretString::from(key),
                }
            }
            Self::WorkloadIdentity(request) => {
                Credentials::FederatedToken(identities.token(request))
            }
        })
    }
}

fn pem(data: &ReferencedData, key: &KeyOf) -> Result<String, UnresolvedReason> {
    String::from_utf8(data.bytes(key)?.to_vec())
        .map_err(|_| UnresolvedReason::unusable(key, "isn't text; store it as PEM"))
}

fn configured(checks: &mut Checks, spec: &EntraIdSource, reads_groups: bool) -> Option<Configured> {
    let cloud = spec.cloud.unwrap_or_default();
    let credentials = credentials(checks, &spec.credentials, cloud)?;
    let groups = spec.groups.clone().unwrap_or_default();
    let settings = EntraIdSettings {
        addresses: addresses(cloud),
        users: users(checks, spec.users.clone().unwrap_or_default()),
        groups: reads_groups.then(|| group_settings(groups)),
        ..EntraIdSettings::new(&spec.tenant_id, &spec.client_id)
    };
    if let Err(error) = settings.validate() {
        checks.refuse(FIELD, error.to_string());
    }
    Some(Configured {
        settings,
        credentials,
    })
}

fn credentials(
    checks: &mut Checks,
    spec: &EntraIdCredentials,
    cloud: EntraIdCloud,
) -> Option<CredentialsRef> {
    checks.exactly_one(
        &format!("{FIELD}.credentials"),
        &[
            ("clientSecretRef", spec.client_secret_ref.is_some()),
            (
                "certificateSecretRef",
                spec.certificate_secret_ref.is_some(),
            ),
            ("workloadIdentity", spec.workload_identity.is_some()),
        ],
    );
    if let Some(secret) = &spec.client_secret_ref {
        let key = KeyOf::secret(&secret.name, secret.key.as_deref(), "clientSecret");
        return Some(CredentialsRef::Secret(key));
    }
    if let Some(secret) = &spec.certificate_secret_ref {
        let key =
            |key: &Option<String>, default| KeyOf::secret(&secret.name, key.as_deref(), default);
        return Some(CredentialsRef::Certificate {
            certificate: key(&secret.certificate_key, "tls.crt"),
            key: key(&secret.private_key_key, "tls.key"),
        });
    }
    let identity = spec.workload_identity.as_ref()?;
    if let Some(account) = &identity.service_account_name
        && !is_object_name(account)
    {
        checks.refuse(
            format!("{FIELD}.credentials.workloadIdentity.serviceAccountName"),
            "write the name of a ServiceAccount in this namespace",
        );
    }
    Some(CredentialsRef::WorkloadIdentity(IdentityRequest {
        service_account: identity.service_account_name.clone(),
        audience: token_exchange(cloud).to_owned(),
        own: OwnTokenFile::Entra,
    }))
}

fn addresses(cloud: EntraIdCloud) -> Addresses {
    match cloud {
        EntraIdCloud::Public => Addresses::public(),
        EntraIdCloud::USGovernment => Addresses::us_government(),
        EntraIdCloud::China => Addresses::china(),
    }
}

/// The audience of a federated credential (Microsoft Graph, "federatedIdentityCredential").
fn token_exchange(cloud: EntraIdCloud) -> &'static str {
    match cloud {
        EntraIdCloud::Public => "api://AzureADTokenExchange",
        EntraIdCloud::USGovernment => "api://AzureADTokenExchangeUSGov",
        EntraIdCloud::China => "api://AzureADTokenExchangeChina",
    }
}

fn users(checks: &mut Checks, spec: EntraIdUsers) -> UserSettings {
    let mut assigned_licenses = vec![];
    for sku in spec.assigned_licenses.iter().flatten() {
        let field = format!("{FIELD}.users.assignedLicenses");
        let id = Uuid::try_parse(sku).map_err(|_| "write the ids of SKUs, which are GUIDs");
        assigned_licenses.extend(checks.noted(&field, id));
    }
    UserSettings {
        filter: spec.filter,
        types: spec
            .types
            .map_or_else(UserTypes::default, |types| UserTypes {
                members: types.contains(&EntraIdUserType::Member),
                guests: types.contains(&EntraIdUserType::Guest),
                agents: types.contains(&EntraIdUserType::Agent),
            }),
        member_of: spec.member_of.map(selection),
        not_member_of: spec.not_member_of.map(selection),
        administrative_units: spec.administrative_units.unwrap_or_default(),
        assigned_to_application: spec.assigned_to_application,
        assigned_licenses,
        email: spec.email.unwrap_or_default(),
    }
}

fn selection(spec: EntraIdGroupSelection) -> GroupSelection {
    GroupSelection {
        ids: spec.ids.unwrap_or_default(),
        names: spec.names.unwrap_or_default(),
    }
}

fn group_settings(spec: EntraIdGroups) -> GroupSettings {
    GroupSettings {
        filter: spec.filter,
        ids: spec.ids.unwrap_or_default(),
        types: spec.types.map(|types| GroupTypes {
            security: types.contains(&EntraIdGroupType::Security),
            microsoft_365: types.contains(&EntraIdGroupType::Microsoft365),
        }),
        administrative_units: spec.administrative_units.unwrap_or_default(),
        not_administrative_units: spec.not_administrative_units.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;
    use crate::OwnIdentity;
    use crate::api::spec::EntraIdEmail;
    use crate::fixtures::{data_with, validated, with_source};

    const GUID: &str = "22222222-2222-4222-8222-222222222222";

    /// A spec whose source is this tenant.
    fn entra(changes: Value) -> Value {
        let mut tenant = json!({
            "tenantId": "example.onmicrosoft.com",
            "clientId": GUID,
            "credentials": {"clientSecretRef": {"name": "entra"}},
        });
        for (field, value) in changes.as_object().unwrap() {
            tenant[field] = value.clone();
        }
        with_source("entraId", &tenant)
    }

    fn resolved(changes: Value) -> (EntraIdSettings, Credentials) {
        let data = data_with(
            "entra",
            &json!({
                "clientSecret": "the-client-secret\n", "tls.crt": "CERTIFICATE", "tls.key": "KEY",
            }),
        );
        let spec = entra(changes);
        let part = serde_json::from_value(spec["source"]["entraId"].clone()).unwrap();
        let checks = &mut Checks::default();
        let tenant = configured(checks, &part, true).unwrap();
        assert!(!format!("{tenant:?}").contains("the-client-secret"));
        let credentials = tenant.credentials.read(&data, &OwnIdentity).unwrap();
        assert!(!format!("{credentials:?}").contains("the-client-secret"));
        (tenant.settings, credentials)
    }

    #[test]
    fn a_tenant_is_read_as_the_spec_describes_it() {
        let (default, credentials) = resolved(json!({}));
        assert_eq!(default.addresses, Addresses::public());
        assert!(default.users.types.members && !default.users.types.guests);
        let Credentials::Secret(secret) = &credentials else {
            panic!("{credentials:?}");
        };
        assert_eq!(secret.expose_secret(), "the-client-secret");

        let (chosen, credentials) = resolved(json!({
            "cloud": "USGovernment",
            "credentials": {"certificateSecretRef": {"name": "entra"}},
            "users": {
                "filter": "department eq 'R&D'", "types": ["Guest"], "email": "Mail",
                "memberOf": {"names": ["Staff"]}, "notMemberOf": {"ids": [GUID]},
                "administrativeUnits": [GUID], "assignedToApplication": GUID,
                "assignedLicenses": [GUID],
            },
            "groups": {
                "filter": "securityEnabled eq true", "ids": [GUID], "types": ["Microsoft365"],
                "administrativeUnits": [GUID], "notAdministrativeUnits": [GUID],
            },
        }));
        assert_eq!(chosen.addresses, Addresses::us_government());
        assert!(matches!(
            &credentials,
            Credentials::Certificate { certificate, key }
                if certificate == b"CERTIFICATE" && key.expose_secret() == "KEY"
        ));
        let users = &chosen.users;
        assert_eq!(users.filter.as_deref(), Some("department eq 'R&D'"));
        assert!(users.types.guests && !users.types.members);
        assert_eq!(users.email, EntraIdEmail::Mail);
        assert_eq!(users.member_of.as_ref().unwrap().names, ["Staff"]);
        assert_eq!(users.not_member_of.as_ref().unwrap().ids, [GUID]);
        assert_eq!(users.administrative_units, [GUID]);
        assert_eq!(users.assigned_to_application.as_deref(), Some(GUID));
        assert_eq!(users.assigned_licenses.len(), 1);
        let groups = chosen.groups.unwrap();
        assert_eq!(groups.filter.as_deref(), Some("securityEnabled eq true"));
        assert_eq!(groups.ids, [GUID]);
        let types = groups.types.unwrap();
        assert!(types.microsoft_365 && !types.security);
        assert_eq!(groups.administrative_units, [GUID]);
        assert_eq!(groups.not_administrative_units, [GUID]);

        let (keyless, _) =
            resolved(json!({"credentials": {"workloadIdentity": {}}, "cloud": "China"}));
        assert_eq!(keyless.addresses, Addresses::china());
    }

    #[test]
    fn a_token_of_the_cluster_is_for_the_cloud_alone() {
        for (cloud, audience) in [
            ("Public", "api://AzureADTokenExchange"),
            ("USGovernment", "api://AzureADTokenExchangeUSGov"),
            ("China", "api://AzureADTokenExchangeChina"),
        ] {
            let spec = entra(json!({
                "credentials": {"workloadIdentity": {"serviceAccountName": "sync"}}, "cloud": cloud,
            }));
            let part = serde_json::from_value(spec["source"]["entraId"].clone()).unwrap();
            let tenant = configured(&mut Checks::default(), &part, true).unwrap();
            let CredentialsRef::WorkloadIdentity(request) = tenant.credentials else {
                panic!("{tenant:?}");
            };
            assert_eq!(request.audience, audience);
            assert_eq!(request.service_account.as_deref(), Some("sync"));
        }
    }

    #[test]
    fn a_tenant_that_cannot_work_is_refused_with_what_to_write() {
        for (changes, says) in [
            (json!({"clientId": "bitwarden"}), "clientId"),
            (json!({"tenantId": "a/b"}), "tenantId"),
            (
                json!({"credentials": {}}),
                "write exactly one of clientSecretRef",
            ),
            (
                json!({"credentials": {"workloadIdentity": {"serviceAccountName": "../../other/x"}}}),
                "serviceAccountName",
            ),
            (
                json!({"users": {"memberOf": {}}}),
                "users.memberOf selects nothing",
            ),
            (
                json!({"users": {"assignedLicenses": ["E5"]}}),
                "assignedLicenses",
            ),
            (json!({"groups": {"ids": ["Staff"]}}), "groups.ids"),
            (
                json!({"groups": {"administrativeUnits": ["Berlin"]}}),
                "groups.administrativeUnits",
            ),
        ] {
            let error = validated(&entra(changes)).unwrap_err().to_string();
            assert!(error.contains(says), "{says:?} isn't in: {error}");
        }
    }
}
