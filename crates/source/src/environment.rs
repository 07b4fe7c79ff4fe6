//! What whoever runs the process decides about sources, and no resource can: other addresses of the
//! vendors, and whose identity is used.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;

use crate::KeptDirectories;
use crate::checks::is_loopback;
use crate::http::oauth::{IdentityToken, NoIdentity, ProjectedToken};

/// What whoever runs the process decides about sources.
#[derive(Debug, Clone)]
pub struct SourceEnvironment {
    /// Addresses in place of the vendors' own.
    pub urls: VendorUrls,
    /// Whose tokens of the cluster prove to a vendor who is asking.
    pub identities: Arc<dyn Identities>,
    /// The memory for directories that are kept between two reads.
    pub kept: Arc<KeptDirectories>,
}

/// A vendor's address that can be replaced. There is no field of a resource for any of them:
/// credentials and tokens go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VendorAddress {
    /// Where Entra ID issues tokens; the tenant follows in the path.
    EntraAuthority,
    /// Microsoft Graph; `/v1.0` follows in the path.
    EntraGraph,
    /// Where Google issues tokens: the whole address.
    GoogleToken,
    /// Google's Directory API; `/admin/directory/v1` follows in the path.
    GoogleDirectory,
    /// Google's Security Token Service; `/v1/token` follows in the path.
    GoogleSts,
    /// Google's IAM Credentials API; `/v1/projects` follows in the path.
    GoogleIam,
}

const NAMES: [(&str, VendorAddress); 6] = [
    ("entra-authority", VendorAddress::EntraAuthority),
    ("entra-graph", VendorAddress::EntraGraph),
    ("google-token", VendorAddress::GoogleToken),
    ("google-directory", VendorAddress::GoogleDirectory),
    ("google-sts", VendorAddress::GoogleSts),
    ("google-iam", VendorAddress::GoogleIam),
];

/// One address in place of a vendor's own, as a flag has it: `google-sts=https://sts.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorUrl(VendorAddress, Url);

/// Addresses in place of the vendors' own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorUrls(BTreeMap<VendorAddress, Url>);

impl FromStr for VendorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || NAMES.map(|(name, _)| name).join(", ");
        let wrong = || format!("write NAME=URL, where NAME is one of {}", names());
        let (name, url) = text.trim().split_once('=').ok_or_else(wrong)?;
        let address = NAMES.iter().find(|(known, _)| *known == name);
        let (_, address) = address.ok_or_else(wrong)?;
        let url = Url::parse(url).map_err(|error| format!("{name}: {error}"))?;
        let host = url.host_str().unwrap_or_default();
        let encrypted = url.scheme() == "https" || url.scheme() == "http" && is_loopback(host);
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match encrypted && plain && !host.is_empty() {
            true => Ok(Self(*address, url)),
            false => Err(format!(
                "{name}: write an address such as https://example.com, without user, query or fragment"
            )),
        }
    }
}

impl FromIterator<VendorUrl> for VendorUrls {
    fn from_iter<I: IntoIterator<Item = VendorUrl>>(urls: I) -> Self {
        Self(
            urls.into_iter()
                .map(|VendorUrl(of, url)| (of, url))
                .collect(),
        )
    }
}

impl VendorUrls {
    /// The address in place of the vendor's own, where there is one.
    pub fn get(&self, address: VendorAddress) -> Option<&Url> {
        self.0.get(&address)
    }

    /// Puts the address in place of the vendor's own into `url`, where there is one.
    pub fn replace(&self, address: VendorAddress, url: &mut Url) {
        if let Some(other) = self.get(address) {
            url.clone_from(other);
        }
    }
}

/// What a source needs a token of the cluster for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRequest {
    /// The ServiceAccount in the resource's namespace; `None`: the process's own identity.
    pub service_account: Option<String>,
    /// For whom the token is good: the vendor, and nobody else.
    pub audience: String,
    /// Where the process finds its own token for this vendor.
    pub own: OwnTokenFile,
}

/// The process's own token for a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnTokenFile {
    /// The file that `AZURE_FEDERATED_TOKEN_FILE` names, as Azure's workload identity webhook sets it.
    Entra,
    /// The file that `DIRECTORY_SYNC_GOOGLE_TOKEN_FILE` names, or where the documentation has the
    /// deployment mount it.
    Google,
}

/// Where Google's token is mounted unless the environment says otherwise.
const GOOGLE_TOKEN_FILE: &str = "/var/run/secrets/directorysync.dev/google/token";

impl OwnTokenFile {
    /// The token, read each time it is needed.
    pub fn token(self) -> Arc<dyn IdentityToken> {
        let (variable, default) = match self {
            Self::Entra => ("AZURE_FEDERATED_TOKEN_FILE", None),
            Self::Google => ("DIRECTORY_SYNC_GOOGLE_TOKEN_FILE", Some(GOOGLE_TOKEN_FILE)),
        };
        let file = std::env::var_os(variable).filter(|file| !file.is_empty());
        match file.map(PathBuf::from).or(default.map(PathBuf::from)) {
            Some(file) => Arc::new(ProjectedToken(file)),
            None => Arc::new(NoIdentity(format!(
                "there is no token of the cluster: the environment variable {variable} names no file"
            ))),
        }
    }
}

/// Whose tokens of the cluster prove to a vendor who is asking.
pub trait Identities: fmt::Debug + Send + Sync {
    /// The token that `request` asks for. Nothing is read or requested before it is needed; what
    /// isn't allowed is told then.
    fn token(&self, request: &IdentityRequest) -> Arc<dyn IdentityToken>;
}

/// The identity of whoever runs the process, for a command line without a cluster. It stands for
/// every ServiceAccount: a plan in a pipeline is made with the pipeline's own identity.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnIdentity;

impl Identities for OwnIdentity {
    fn token(&self, request: &IdentityRequest) -> Arc<dyn IdentityToken> {
        request.own.token()
    }
}

impl Default for SourceEnvironment {
    /// The vendors' own addresses, and the identity of whoever runs the process. Nothing is kept.
    fn default() -> Self {
        Self {
            urls: VendorUrls::default(),
            identities: Arc::new(OwnIdentity),
            kept: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_by_its_vendor_and_encrypted() {
        let urls: VendorUrls = [
            "google-sts=https://sts.example.com",
            "entra-graph=http://127.0.0.1:1",
        ]
        .iter()
        .map(|text| text.parse::<VendorUrl>().unwrap())
        .collect();
        let sts = urls.get(VendorAddress::GoogleSts).unwrap();
        assert_eq!(sts.as_str(), "https://sts.example.com/");
        assert!(urls.get(VendorAddress::GoogleIam).is_none());
        for (text, says) in [
            ("https://sts.example.com", "NAME=URL"),
            ("okta=https://example.com", "google-sts"),
            ("google-sts=http://sts.example.com", "https://"),
            ("google-sts=https://user@sts.example.com", "without user"),
            ("google-sts=ftp://sts.example.com", "https://"),
            ("google-sts=sts", "google-sts"),
        ] {
            let error = text.parse::<VendorUrl>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
