//! Directories and organizations in a few words, in memory, for the tests of the core.
//!
//! ```
//! use directory_sync_core_testing::{directory, organization, policy, sync};
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

mod directory;
mod organization;
mod run;

pub use directory::{TestDirectory, directory, id};
pub use organization::{ModelOrganization, organization};
pub use run::{Run, failed, policy, sync};
