//! What the tests share: directories and organizations in a few words, and an organization that changes as
//! Bitwarden's would.
//!
//! ```
//! use directory_sync_testing::{directory, organization, policy, sync};
//!
//! let directory = directory().person("ann", "ann@example.com").group("eng", "Engineering", &["ann"]);
//! let mut organization = organization().owner("root@example.com");
//! sync(&directory, &mut organization, &policy());
//! assert_eq!(organization.show(), [
//!     "ann@example.com (ann) invited",
//!     "root@example.com confirmed owner",
//!     "group Engineering (eng): ann@example.com",
//! ]);
//! ```

#![allow(clippy::unwrap_used, reason = "a test may fail")]

pub mod command;
mod directory;
mod http;
pub mod manifests;
mod organization;
pub mod ran;
mod run;
mod seen;
mod setup;
mod source;
pub mod sweep;
pub mod world;

pub use directory::{TestDirectory, directory, id};
pub use http::{client, hurried};
pub use organization::{ModelOrganization, organization};
pub use run::{Run, policy, sync};
pub use seen::Seen;
pub use setup::Setup;
pub use source::{Refusal, emails, group_names, members, people, read_all};
