//! The server and the organization's API key.

use serde_json::json;

use super::Translator;
use crate::cli::adopt::settings::Kept;

/// Addresses of Bitwarden's cloud, by region.
const REGIONS: [(&str, &[&str]); 3] = [
    (
        "US",
        &["bitwarden.com", "vault.bitwarden.com", "api.bitwarden.com"],
    ),
    (
        "EU",
        &["bitwarden.eu", "vault.bitwarden.eu", "api.bitwarden.eu"],
    ),
    (
        "USGov",
        &[
            "bitwarden-gov.com",
            "vault.bitwarden-gov.com",
            "api.bitwarden-gov.com",
        ],
    ),
];

impl Translator<'_> {
    pub(super) fn organization(&mut self) {
        let urls = &self.from.urls;
        urls.pass_over(&[
            "icons",
            "notifications",
            "events",
            "webVault",
            "keyConnector",
            "scim",
            "send",
        ]);
        let trimmed = |key| {
            let url = urls.text(key)?;
            Some(url.trim_end_matches('/').to_owned())
        };
        let (base, api, identity) = (trimmed("base"), trimmed("api"), trimmed("identity"));
        match (base, api, identity) {
            (_, Some(api), Some(identity)) => match region(&api) {
                Some(region) => self.put(urls.name("api"), "organization.region", region, ""),
                None => {
                    self.plaintext(&[&api, &identity]);
                    self.put(urls.name("api"), "organization.apiUrl", api, "");
                    self.put(
                        urls.name("identity"),
                        "organization.identityUrl",
                        identity,
                        "",
                    );
                }
            },
            (_, api, identity) if api.is_some() != identity.is_some() => self.refuse(
                urls.name("api"),
                &api.or(identity).unwrap_or_default(),
                "the addresses of API and identity service are set only both or neither",
            ),
            (Some(base), ..) => match region(&base) {
                Some(region) => self.put(urls.name("base"), "organization.region", region, ""),
                None => {
                    self.plaintext(&[&base]);
                    let remark = "the key's server: a Vaultwarden server needs `organization.vaultwarden`, too";
                    self.put(urls.name("base"), "organization.serverUrl", base, remark);
                }
            },
            (None, ..) => {
                self.row(
                    urls.name("base"),
                    "",
                    "`organization.region: US`",
                    "the connector's default: Bitwarden's cloud in the US",
                );
                self.set("organization.region", "US");
            }
        }
        let client_id = self.from.client_id.clone().or_else(|| {
            let id = self.from.organization.as_ref()?;
            Some(format!("organization.{id}"))
        });
        self.row(
            "organization's API key",
            client_id.as_deref().unwrap_or("not in the file"),
            "`organization.credentialsSecretRef`",
            "the key that the connector was logged in with; the admin console shows it",
        );
        let client_id = client_id.map_or(Kept::Nowhere, Kept::Here);
        let name = self.secret_name("organization");
        self.set("organization.credentialsSecretRef", json!({"name": name}));
        self.secret(
            "organization",
            vec![
                (
                    "clientId",
                    client_id,
                    "organization-id",
                    "organization.… of the organization's API key",
                ),
                (
                    "clientSecret",
                    self.from.client_secret.clone(),
                    "organization",
                    "the secret of the organization's API key (BW_CLIENTSECRET)",
                ),
            ],
        );
    }

    fn plaintext(&mut self, urls: &[&str]) {
        let is_plain = |url: &&str| url.starts_with("http://");
        if urls.iter().any(is_plain) {
            self.set("organization.allowPlaintext", true);
            self.row(
                "http://",
                "",
                "`organization.allowPlaintext`",
                "the organization's key travels unencrypted, as it did: use https:// where you can",
            );
        }
    }
}

fn region(url: &str) -> Option<&'static str> {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    let host = host.to_ascii_lowercase();
    let mut regions = REGIONS.iter();
    let found = regions.find(|(_, hosts)| hosts.contains(&host.as_str()));
    found.map(|(region, _)| *region)
}
