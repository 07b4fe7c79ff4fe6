//! The plugin's entry in krew's index, as krew checks it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

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

const PLATFORMS: [&str; 4] = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];

/// The manifest as a release fills it in.
fn filled() -> String {
    let archives = tempfile::tempdir().unwrap();
    for platform in PLATFORMS {
        let archive = format!("kubectl-directorysync_{platform}.tar.gz");
        std::fs::write(archives.path().join(archive), platform).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/krew-manifest");
    let mut command = Command::new(script);
    command.arg(env!("CARGO_PKG_VERSION")).arg(archives.path());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_release_leaves_nothing_to_fill_in_and_krew_would_take_it() {
    let filled = filled();
    assert!(!filled.contains('@'), "{filled}");
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
    assert_eq!(spec.platforms.len(), PLATFORMS.len());
    let sums: BTreeSet<&str> = spec.platforms.iter().map(|p| p.sha256.as_str()).collect();
    assert_eq!(sums.len(), PLATFORMS.len(), "each archive has its own");
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
