//! A Microsoft Entra ID tenant, as far as a reader of it sees: the token endpoint and the part of
//! Microsoft Graph v1.0 that tells users, groups and who is in what.
//!
//! [`SimulatedEntra`] is what a test holds: it starts the server on loopback, fills the tenant,
//! changes it while it is read, and turns its dials.
//!
//! ```no_run
//! # async fn story() -> std::io::Result<()> {
//! use simulators::entra_id::{Config, SimulatedEntra, UserSeed};
//! use simulators::fault::{Fault, Way};
//!
//! let entra = SimulatedEntra::start(Config::default()).await?;
//! let ada = entra.add_user(UserSeed::new("ada"));
//! let staff = entra.add_group("Staff", [ada]);
//! // The second page of users never ends.
//! let fault = Fault::new(Way::CutConnection).path("/v1.0/users").on_request(2);
//! entra.faults().inject(fault);
//! // … a read of entra.url() …
//! entra.remove_member(staff, ada);
//! # Ok(())
//! # }
//! ```

mod admin;
mod answers;
pub(crate) mod assertion;
mod batch;
mod config;
mod delta;
mod filter;
mod graph;
mod metadata;
mod model;
mod render;
mod server;
mod store;
mod throttle;
mod token;

pub use admin::SimulatedEntra;
pub use config::{Config, FederatedCredential, Limits, PageSizes, Secret, permission};
pub use delta::DeltaLoss;
pub use model::{GroupSeed, Id, Kind, UserSeed};

pub use crate::request_log::Request;
