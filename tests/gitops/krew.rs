//! The plugin's entry in krew's index, as krew checks it.

use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Plugin {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    version: String,
    homepage: String,
    short_description: String,
    description: String,
    caveats: String,
    platforms: Vec<Platform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Platform {
    selector: Selector,
    uri: String,
    sha256: String,
    bin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: MatchLabels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchLabels {
    os: String,
    arch: String,
}

/// The manifest as a release fills it in.
fn filled() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/krew/directorysync.yaml");
    let manifest = std::fs::read_to_string(path).unwrap();
    let sum = "0123456789abcdef".repeat(4);
    let filled = manifest.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    ["AMD64", "ARM64"].iter().fold(filled, |text, arch| {
        text.replace(&format!("@SHA256_LINUX_{arch}@"), &sum)
    })
}

#[test]
fn a_release_leaves_nothing_to_fill_in_and_krew_would_take_it() {
    let filled = filled();
    let body = filled.lines().filter(|line| !line.starts_with('#'));
    assert!(!body.into_iter().any(|line| line.contains('@')), "{filled}");
    let plugin: Plugin = serde_saphyr::from_str(&filled).unwrap();

    assert_eq!(
        plugin.api_version,
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(
        (plugin.kind.as_str(), plugin.metadata.name.as_str()),
        ("Plugin", "directorysync")
    );
    let spec = plugin.spec;
    assert_eq!(spec.version, format!("v{}", env!("CARGO_PKG_VERSION")));
    assert!(spec.homepage.starts_with(env!("CARGO_PKG_REPOSITORY")));
    // krew's guide for authors: under 50 characters, without a full stop.
    assert!(spec.short_description.len() < 50 && !spec.short_description.ends_with('.'));
    assert!(!spec.description.is_empty() && !spec.caveats.is_empty());
    assert_eq!(spec.platforms.len(), 2);
    for platform in spec.platforms {
        let MatchLabels { os, arch } = platform.selector.match_labels;
        let archive = format!(
            "/v{}/kubectl-directorysync_{os}_{arch}.tar.gz",
            env!("CARGO_PKG_VERSION")
        );
        assert!(platform.uri.ends_with(&archive), "{}", platform.uri);
        assert!(platform.uri.starts_with("https://"));
        assert_eq!(platform.sha256.len(), 64);
        // Under this name the program is the plugin.
        assert_eq!(platform.bin, "kubectl-directorysync");
    }
}
