//! The LDAP library panics at some bytes that aren't LDAP: which is reported as the server's fault.

use std::panic::{AssertUnwindSafe, Location};
use std::path::{Component, Path};
use std::sync::Once;

use futures::FutureExt;

/// What the library is made of.
const CRATES: [&str; 2] = ["ldap3", "lber"];

/// The outcome of `work` on a connection; `None` where the other side sent what the library can't
/// stand.
pub async fn catch_library_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.location() {
            // It is caught below, and isn't ours: no matter for standard error.
            Some(location) if is_of_the_library(location.file()) => note(location),
            _ => default_hook(panic),
        }));
    });
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// The panic's own text can quote what the server sent.
fn note(location: &Location<'_>) {
    tracing::debug!(%location, "the LDAP library gave up on what a server sent");
}

/// Whether a source file is of one of its crates, wherever their sources are kept:
/// `…/ldap3-0.12.1/src/protocol.rs`, `vendor/ldap3/src/protocol.rs`.
fn is_of_the_library(file: &str) -> bool {
    let mut folders = Path::new(file).components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    folders.any(|name| {
        CRATES.iter().any(|library| {
            let version = name.strip_prefix(library);
            version.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_library_does_is_kept_quiet() {
        for file in [
            "/somewhere/registry/src/ldap3-0.12.1/src/protocol.rs",
            "vendor/lber/src/parse.rs",
        ] {
            assert!(is_of_the_library(file), "{file}");
        }
        for file in [
            "crates/source/src/ldap/read.rs",
            "/home/ldap3er/src/main.rs",
            "",
        ] {
            assert!(!is_of_the_library(file), "{file}");
        }
    }
}
