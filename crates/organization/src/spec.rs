//! Where the organization is, and how to get in.

use secrecy::ExposeSecret;

use super::settings::{ClientId, Region, Settings};
use crate::api::spec::{OrganizationSpec, Region as RegionSpec};
use crate::checks::{Checks, web_address};
use crate::references::{KeyOf, Reference, ReferencedData, Unresolved, UnresolvedReason, both};

/// The organization's settings, without its key.
#[derive(Debug, Clone)]
pub struct ValidatedOrganization {
    /// The server that holds the organization.
    pub region: Region,
    client_id: KeyOf,
    client_secret: KeyOf,
    ca_bundle: Option<KeyOf>,
}

impl ValidatedOrganization {
    /// The Secrets and ConfigMaps with its key and the certificates of its CA.
    pub fn references(&self) -> Vec<Reference> {
        [&self.client_id, &self.client_secret]
            .into_iter()
            .chain(&self.ca_bundle)
            .map(Reference::from)
            .collect()
    }

    /// Those of them that are names and no credentials.
    pub fn names(&self) -> Vec<KeyOf> {
        match self.client_id == self.client_secret {
            true => vec![],
            false => vec![self.client_id.clone()],
        }
    }

    /// The hosts that are connected to.
    pub fn hosts(&self) -> Vec<String> {
        self.region.hosts()
    }

    /// The organization, with the key that `data` holds.
    ///
    /// # Errors
    /// Everything of it that is missing or can't be used.
    pub fn settings(&self, data: &ReferencedData) -> Result<Settings, Unresolved> {
        let id = data.text(&self.client_id).and_then(|id| {
            ClientId::parse(id.expose_secret())
                .map_err(|error| UnresolvedReason::unusable(&self.client_id, &error.to_string()))
        });
        let key = both(id, data.text(&self.client_secret));
        let ca_bundle = self.ca_bundle.as_ref().map(|key| data.bytes(key));
        let ((id, secret), ca_bundle) = both(key, ca_bundle.transpose())?;
        let mut settings = Settings::new(self.region.clone(), id, secret);
        settings.connection.ca_bundle = ca_bundle.map(<[u8]>::to_vec);
        Ok(settings)
    }
}

/// The organization that `spec` names; what is wrong is noted in `checks`.
pub fn validate(checks: &mut Checks, spec: &OrganizationSpec) -> Option<ValidatedOrganization> {
    checks.exactly_one(
        "spec.organization",
        &[
            ("region", spec.region.is_some()),
            ("serverUrl", spec.server_url.is_some()),
            ("apiUrl (with identityUrl)", spec.api_url.is_some()),
        ],
    );
    if spec.identity_url.is_some() != spec.api_url.is_some() {
        checks.refuse(
            "spec.organization",
            "write both identityUrl and apiUrl, or neither",
        );
    }
    let plaintext = spec.allow_plaintext.unwrap_or_default();
    let mut address = |field: &str, url: &Option<String>| match url {
        None => None,
        Some(url) => web_address(checks, field, url, plaintext),
    };
    let server = address("spec.organization.serverUrl", &spec.server_url);
    let identity = address("spec.organization.identityUrl", &spec.identity_url);
    let api = address("spec.organization.apiUrl", &spec.api_url);
    if let Some(url) = &server {
        let path = url.path().trim_end_matches('/');
        if path.ends_with("/api") || path.ends_with("/identity") {
            checks.refuse(
                "spec.organization.serverUrl",
                "is the address of the whole server: leave out /api and /identity at its end",
            );
            return None;
        }
    }
    let region = match (spec.region, server, identity, api) {
        (Some(RegionSpec::EU), ..) => Region::Eu,
        (Some(RegionSpec::US), ..) => Region::Us,
        (Some(RegionSpec::USGov), ..) => Region::UsGov,
        (None, Some(url), ..) => match Region::server(url.as_str()) {
            Ok(region) => region,
            Err(error) => {
                checks.refuse("spec.organization.serverUrl", error.to_string());
                return None;
            }
        },
        (None, None, Some(identity), Some(api)) => Region::Split { identity, api },
        _ => return None,
    };
    let credentials = &spec.credentials_secret_ref;
    let ca_bundle = spec.tls.as_ref().and_then(|tls| tls.ca_bundle_ref.as_ref());
    Some(ValidatedOrganization {
        region,
        client_id: KeyOf::secret(
            &credentials.name,
            credentials.client_id_key.as_deref(),
            "clientId",
        ),
        client_secret: KeyOf::secret(
            &credentials.name,
            credentials.client_secret_key.as_deref(),
            "clientSecret",
        ),
        ca_bundle: ca_bundle.map(KeyOf::ca_bundle),
    })
}
