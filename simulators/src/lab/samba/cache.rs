//! Domains that took long to make, kept for the next time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use super::{Crowd, TEMPLATE, database, provision};
use crate::lab::{LabError, run};

/// All that decides what a domain holds, besides its options and Samba itself.
const MADE_BY: [&str; 3] = [
    include_str!("../samba.rs"),
    include_str!("crowd.rs"),
    include_str!("options.rs"),
];

/// The folder of a domain with the entries of `ldif` and everybody of `crowd`; made, where it
/// isn't there.
pub fn filled(crowd: Crowd, ldif: &str) -> Result<PathBuf, LabError> {
    let version = run(
        "ask Samba its version",
        Command::new("samba").arg("--version"),
        None,
    )?;
    let mut content = DefaultHasher::new();
    (crowd, ldif, version, MADE_BY).hash(&mut content);
    let all = folder()?;
    let kept = all.join(format!("samba-{}-{:016x}", crowd.people, content.finish()));
    if !kept.exists() {
        std::fs::create_dir_all(&all).map_err(LabError::io("make the folder of kept domains"))?;
        let making = tempfile::tempdir_in(&all).map_err(LabError::io("make a domain's folder"))?;
        let template = making.path().join(TEMPLATE);
        provision(&template)?;
        database("ldbadd", &template, ldif)?;
        crowd.fill(&template)?;
        // Only what is whole has the name that is looked for.
        std::fs::rename(making.path(), &kept).map_err(LabError::io("keep the domain"))?;
        // Its folder isn't there any more.
        let _moved = making.keep();
    }
    Ok(kept.join(TEMPLATE))
}

/// Beside the tools that `hack/bring-tools` brings.
fn folder() -> Result<PathBuf, LabError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    let cache = cache.ok_or_else(|| LabError::Failed {
        what: "find the cache".to_owned(),
        answer: "neither XDG_CACHE_HOME nor HOME is set".to_owned(),
    })?;
    Ok(cache.join("directory-sync-operator/domains"))
}
