//! Programs that take it to be later than it is.

use std::process::Command;

use super::{LabError, find};

/// Variables for a program whose clock shall be so many hours ahead. How long something takes is told as it is.
///
/// # Errors
/// `faketime` isn't on this machine.
pub fn ahead(hours: u32) -> Result<Vec<(String, String)>, LabError> {
    let faketime = find("faketime")?;
    // It knows where its library is.
    let told = Command::new(&faketime)
        .args(["-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .map_err(LabError::io(format!("run {}", faketime.display())))?;
    let library = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    Ok(vec![
        ("LD_PRELOAD".to_owned(), library),
        ("FAKETIME".to_owned(), format!("+{hours}h")),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
        ("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ])
}
