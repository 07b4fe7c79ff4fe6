//! Where the organization is, and how to get in.

use reqwest::Url;
use secrecy::ExposeSecret;

use super::check::Checks;
use super::references::{KeyOf, Reference, ReferencedData};
use super::unresolved::{Unresolved, UnresolvedReason, both};
use crate::api::spec::{OrganizationSpec, Region as RegionSpec};
use crate::organization::{ClientId, Region, Settings};

/// The organization's settings, without its key.
#[derive(Debug, Clone)]
pub struct ValidatedOrganization {
    /// Which server.
    pub region: Region,
    client_id: KeyOf,
    client_secret: KeyOf,
    ca_bundle: Option<KeyOf>,
}

impl ValidatedOrganization {
    pub(super) fn references(&self) -> Vec<Reference> {
        [&self.client_id, &self.client_secret]
            .into_iter()
            .chain(&self.ca_bundle)
            .map(Reference::from)
            .collect()
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

pub(super) fn validate(
    checks: &mut Checks,
    spec: &OrganizationSpec,
) -> Option<ValidatedOrganization> {
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

/// An address without user, query or fragment; `https`, unless it stays on the machine or
/// `plaintext` is accepted.
pub fn web_address(checks: &mut Checks, field: &str, text: &str, plaintext: bool) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let Some(url) = url else {
        checks.refuse(
            field,
            "must be an address such as https://example.com, without user, query or fragment",
        );
        return None;
    };
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "http" && !plaintext && !is_loopback(host) {
        checks.refuse(
            field,
            "would send credentials unencrypted: write https://, or accept it with allowPlaintext: true",
        );
        return None;
    }
    Some(url)
}

/// Whether a host is the machine itself.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
