//! An organization to be filled, and the manifests that say so.

use simulators::organization::{Config, MemberSeed, SimulatedOrganization};

/// A self-hosted organization with nobody but its owner.
pub async fn bitwarden() -> SimulatedOrganization {
    let config = Config::self_hosted();
    let organization = SimulatedOrganization::start(config).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    organization
}

/// A DirectorySync to this organization; `spec` is the rest of its spec: `source` and so on,
/// indented by two.
pub fn resource(organization: &SimulatedOrganization, spec: &str) -> String {
    format!(
        "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
{spec}",
        organization.url()
    )
}

/// The Secret with the organization's API key.
pub fn api_key(organization: &SimulatedOrganization) -> String {
    let (id, key) = (organization.client_id(), organization.client_secret());
    secret("bitwarden", &[("clientId", &id), ("clientSecret", &key)])
}

/// A Secret with these texts.
pub fn secret(name: &str, texts: &[(&str, &str)]) -> String {
    object("Secret", name, "stringData", texts)
}

/// A ConfigMap with these texts.
pub fn config_map(name: &str, texts: &[(&str, &str)]) -> String {
    object("ConfigMap", name, "data", texts)
}

fn object(kind: &str, name: &str, field: &str, texts: &[(&str, &str)]) -> String {
    let texts = texts.iter().map(|&(key, text)| {
        if text.contains('\n') {
            let lines = text.lines().map(|line| format!("    {line}\n"));
            format!("  {key}: |\n{}", lines.collect::<String>())
        } else {
            // JSON is YAML, but for a character that YAML wants to be escaped.
            let quoted = serde_json::Value::from(text).to_string();
            format!("  {key}: {}\n", quoted.replace('\u{7f}', "\\x7f"))
        }
    });
    format!(
        "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: identity}}\n{field}:\n{}",
        texts.collect::<String>()
    )
}
