//! Cases that users of directory syncs reported, by their files: the built program reads a real slapd
//! and writes to a simulated organization. Each folder holds a directory, an organization and a
//! manifest; each test says what is right, and which reports it comes from.

#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

mod connection;
mod groups;
mod identity;
mod people;
