//! Packs the relocations of the released program, where what it runs on can read them packed: a few
//! kilobytes instead of 1.4 MB.

use std::env::var;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|it| it == value);
    // What is linked with musl brings its own reader; musl has one since 1.2.4, and Rust that since 1.93.
    let readable = is("CARGO_CFG_TARGET_ENV", "musl")
        || is("CARGO_CFG_TARGET_ENV", "gnu") && var("HOST") == var("TARGET") && glibc_unpacks();
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && readable {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether this machine's glibc is 2.36 or newer: an older one refuses the program.
fn glibc_unpacks() -> bool {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let answer = answer.map(|output| output.stdout).unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer);
    let version = answer.trim().strip_prefix("glibc 2.");
    version.is_some_and(|minor| minor.parse::<u32>().is_ok_and(|minor| minor >= 36))
}
