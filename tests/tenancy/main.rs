//! Manifests and servers of somebody who means harm, against the program as people run it.
//!
//! docs/attacks.md lists the attacks; each of them names its test.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod attacks;
mod canary;
mod cluster;
mod echo;
mod listed;
mod memory;
mod misuse;
mod operator;
mod stopping;
