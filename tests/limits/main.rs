//! Limits of the process that are set once, here to little.

#![allow(clippy::unwrap_used, missing_docs)]

mod ldap;
