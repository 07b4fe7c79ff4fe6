//! How a test says that it could not run, loudly enough to be counted.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::LabError;

/// Says that `test` could not run and why, then the test returns.
///
/// cargo hides what a passing test prints, so the line also goes to the file that `TEST_SKIP_LOG`
/// names; `hack/test` lists and counts those lines, and with `CI=true` fails for each unless `why`
/// carries `(allowed in CI: <reason>)`.
///
/// # Panics
/// When that file can't be written: a skip that nobody sees would be worse.
pub fn skip(test: &str, why: &str) {
    let why = why.lines().collect::<Vec<_>>().join(" ");
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

/// What `test` needs; `None`, after saying so, where a part isn't on this machine: then the test
/// returns.
///
/// # Panics
/// When everything is here and doesn't work, which is a failure of the test.
pub fn or_skip<T>(test: &str, needed: Result<T, LabError>) -> Option<T> {
    match needed {
        Ok(needed) => Some(needed),
        Err(missing @ LabError::Missing { .. }) => {
            skip(test, &missing.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs this test a second time as the process that skips.
    #[test]
    fn every_skip_is_one_line_in_the_file_that_the_runner_reads() {
        const SKIPPER: &str = "DIRECTORY_SYNC_TEST_SKIPPER";
        if std::env::var_os(SKIPPER).is_some() {
            skip("first", "no server");
            skip("second", "no network\n(allowed in CI: none there)");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("skipped");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", std::thread::current().name().unwrap()])
            .env(SKIPPER, "yes")
            .env("TEST_SKIP_LOG", &log)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(
            std::fs::read_to_string(log).unwrap(),
            "SKIPPED: first: no server\n\
             SKIPPED: second: no network (allowed in CI: none there)\n"
        );
    }
}
