//! Programs that take it to be later than it is.

use std::process::Command;

use super::{LabError, find};

/// So often it is asked where its library is.
const TRIES: usize = 50;

/// Variables for a program whose clock shall be so many hours ahead. How long something takes is told as it is.
///
/// # Errors
/// `faketime` isn't on this machine, or doesn't tell where its library is.
pub fn ahead(hours: u32) -> Result<Vec<(String, String)>, LabError> {
    let faketime = find("faketime")?;
    // It knows where its library is. It ends with an error where another process of its number left a semaphore behind.
    let mut answer = String::new();
    for _ in 0..TRIES {
        let told = Command::new(&faketime)
            .args(["-f", "+0", "printenv", "LD_PRELOAD"])
            .output()
            .map_err(LabError::io(format!("run {}", faketime.display())))?;
        let library = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        if told.status.success() && !library.is_empty() {
            return Ok(variables(library, hours));
        }
        answer = String::from_utf8_lossy(&told.stderr).trim().to_owned();
    }
    Err(LabError::Failed {
        what: "faketime should tell where its library is".to_owned(),
        answer,
    })
}

fn variables(library: String, hours: u32) -> Vec<(String, String)> {
    vec![
        ("LD_PRELOAD".to_owned(), library),
        ("FAKETIME".to_owned(), format!("+{hours}h")),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
        ("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ]
}
