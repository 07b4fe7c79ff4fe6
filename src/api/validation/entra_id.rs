//! A Microsoft Entra ID tenant.

use secrecy::SecretString;
use uuid::Uuid;

use std::sync::Arc;

use super::check::Checks;
use super::organization::web_address;
use super::references::{KeyOf, Reference, ReferencedData};
use super::unresolved::{Unresolved, UnresolvedReason};
use crate::api::spec::{
    EntraIdCloud, EntraIdCredentials, EntraIdEmail, EntraIdGroupSelection, EntraIdGroupType,
    EntraIdGroups, EntraIdSource, EntraIdUserType, EntraIdUsers,
};
use crate::http::Observer;
use crate::source::entra_id::{
    Addresses, Credentials, EmailRule, EntraIdSettings, GroupSelection, GroupSettings, GroupTypes,
    UserSettings, UserTypes,
};
use crate::source::{ConnectError, Source, SourceSettings, Validate};

const FIELD: &str = "spec.source.entraId";

/// A tenant's settings, without secrets.
#[derive(Debug, Clone)]
pub struct ValidatedEntraId {
    settings: EntraIdSettings,
    proof: Proof,
}

#[derive(Debug, Clone)]
enum Proof {
    Secret(KeyOf),
    Certificate {
        certificate: KeyOf,
        key: KeyOf,
    },
    /// The settings have it already.
    FederatedToken,
}

impl SourceSettings for ValidatedEntraId {
    fn references(&self) -> Vec<Reference> {
        let keys = match &self.proof {
            Proof::Secret(secret) => vec![secret],
            Proof::Certificate { certificate, key } => vec![certificate, key],
            Proof::FederatedToken => vec![],
        };
        keys.into_iter().map(Reference::from).collect()
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let mut problems = vec![];
        let settings = self.resolve(data, &mut problems);
        let mut settings = settings.ok_or(Unresolved(problems))?;
        settings.observer = observer;
        Ok(Box::new(crate::source::entra_id::EntraIdSource::new(
            settings,
        )?))
    }
}

impl ValidatedEntraId {
    pub(super) fn resolve(
        &self,
        data: &ReferencedData,
        problems: &mut Vec<UnresolvedReason>,
    ) -> Option<EntraIdSettings> {
        let before = problems.len();
        let mut settings = self.settings.clone();
        let mut noted = |problem| problems.push(problem);
        match &self.proof {
            Proof::FederatedToken => {}
            Proof::Secret(key) => match data.text(key) {
                Ok(secret) => settings.credentials = Credentials::Secret(secret),
                Err(problem) => noted(problem),
            },
            Proof::Certificate { certificate, key } => {
                let text = |of: &KeyOf| {
                    let bytes = data.bytes(of)?.to_vec();
                    let why = "isn't text; store it as PEM";
                    String::from_utf8(bytes).map_err(|_| UnresolvedReason::unusable(of, why))
                };
                match (text(certificate), text(key)) {
                    (Ok(certificate), Ok(key)) => {
                        settings.credentials = Credentials::Certificate {
                            certificate: certificate.into_bytes(),
                            key: SecretString::from(key),
                        };
                    }
                    (certificate, key) => {
                        certificate
                            .err()
                            .into_iter()
                            .chain(key.err())
                            .for_each(noted);
                    }
                }
            }
        }
        (problems.len() == before).then_some(settings)
    }
}

impl Validate for EntraIdSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(validate(checks, self, reads_groups)?))
    }
}

pub(super) fn validate(
    checks: &mut Checks,
    spec: &EntraIdSource,
    reads_groups: bool,
) -> Option<ValidatedEntraId> {
    let (credentials, proof) = proof(checks, &spec.credentials)?;
    let mut settings = EntraIdSettings::new(&spec.tenant_id, &spec.client_id, credentials);
    settings.addresses = addresses(checks, spec)?;
    settings.users = users(checks, spec.users.clone().unwrap_or_default());
    let groups = spec.groups.clone().unwrap_or_default();
    settings.groups = reads_groups.then(|| group_settings(groups));
    if let Err(error) = settings.validate() {
        checks.refuse(FIELD, error.to_string());
    }
    Some(ValidatedEntraId { settings, proof })
}

fn proof(checks: &mut Checks, spec: &EntraIdCredentials) -> Option<(Credentials, Proof)> {
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
    // Takes the place of what a Secret holds, until it is read.
    let unknown = || Credentials::Secret(SecretString::from("unknown yet"));
    if let Some(secret) = &spec.client_secret_ref {
        let key = KeyOf::secret(&secret.name, secret.key.as_deref(), "clientSecret");
        return Some((unknown(), Proof::Secret(key)));
    }
    if let Some(secret) = &spec.certificate_secret_ref {
        let key = |key: &Option<String>, usual| KeyOf::secret(&secret.name, key.as_deref(), usual);
        let proof = Proof::Certificate {
            certificate: key(&secret.certificate_key, "tls.crt"),
            key: key(&secret.private_key_key, "tls.key"),
        };
        return Some((unknown(), proof));
    }
    let identity = spec.workload_identity.as_ref()?;
    let file = identity.token_file.as_ref().map(Into::into);
    Some((Credentials::FederatedToken { file }, Proof::FederatedToken))
}

fn addresses(checks: &mut Checks, spec: &EntraIdSource) -> Option<Addresses> {
    match (&spec.authority_url, &spec.graph_url) {
        (None, None) => Some(match spec.cloud.unwrap_or_default() {
            EntraIdCloud::Public => Addresses::public(),
            EntraIdCloud::USGovernment => Addresses::us_government(),
            EntraIdCloud::China => Addresses::china(),
        }),
        (Some(authority), Some(graph)) => {
            let mut address =
                |name: &str, url: &str| web_address(checks, &format!("{FIELD}.{name}"), url, false);
            let authority = address("authorityUrl", authority);
            let graph = address("graphUrl", graph);
            Some(Addresses {
                authority: authority?,
                graph: graph?,
            })
        }
        _ => {
            checks.refuse(FIELD, "write both authorityUrl and graphUrl, or neither");
            None
        }
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
            }),
        member_of: spec.member_of.map(selection),
        not_member_of: spec.not_member_of.map(selection),
        administrative_units: spec.administrative_units.unwrap_or_default(),
        assigned_to_application: spec.assigned_to_application,
        assigned_licenses,
        email: match spec.email.unwrap_or_default() {
            EntraIdEmail::MailOrUserPrincipalName => EmailRule::MailOrPrincipalName,
            EntraIdEmail::Mail => EmailRule::Mail,
            EntraIdEmail::UserPrincipalName => EmailRule::PrincipalName,
        },
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
