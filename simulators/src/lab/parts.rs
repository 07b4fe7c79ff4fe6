//! Where the outside programs are: `hack/bring-tools` knows, and is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::LabError;

/// The path of a part's program, as `hack/bring-tools --list` names the parts.
///
/// # Errors
/// [`LabError::Missing`] when nobody brought it yet.
pub fn find(part: &str) -> Result<PathBuf, LabError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/bring-tools");
    let output = Command::new(&script)
        .args(["--where", part])
        .output()
        .map_err(LabError::io(format!("run {}", script.display())))?;
    if !output.status.success() {
        return Err(LabError::Missing {
            part: part.to_owned(),
            answer: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim_end(),
    ))
}

/// What runs the parts that come by npm.
///
/// # Errors
/// [`LabError::Missing`] when it isn't on `PATH`, where people have their own.
pub fn node_js() -> Result<PathBuf, LabError> {
    let found = Command::new("node").arg("--version").output();
    match found {
        Ok(output) if output.status.success() => Ok("node".into()),
        _ => Err(LabError::Missing {
            part: "node".to_owned(),
            answer: "there is no node on PATH; install it from https://nodejs.org".to_owned(),
        }),
    }
}
