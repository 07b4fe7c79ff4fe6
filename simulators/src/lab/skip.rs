//! How a test says that it could not run, loudly enough to be counted.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that `test` could not run and why, then the test returns.
///
/// cargo hides what a passing test prints, so the line also goes to the file that `TEST_SKIP_LOG`
/// names; `hack/test` lists and counts those lines, and with `CI=true` fails for each unless `why`
/// carries `(allowed in CI: <reason>)`.
///
/// # Panics
/// When that file can't be written: a skip that nobody sees would be worse.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}");
    println!("{line}");
    if let Some(path) = std::env::var_os("TEST_SKIP_LOG") {
        // One write of one line: several test processes append to the same file.
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .unwrap_or_else(|error| {
                panic!("could not note the skip in {}: {error}", path.display())
            });
    }
}
