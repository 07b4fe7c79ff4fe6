//! A OneLogin account, as far as a directory sync sees it: the token call, the lists of users, roles
//! and role members of version 2 and of groups of version 1, with OneLogin's limit.
//!
//! [`SimulatedOneLogin`] is what a test holds: it starts the server on loopback, fills it, looks into
//! it, and turns its dials.

mod answers;
mod api;
mod config;
mod limits;
mod model;
mod paging;
mod query;
mod server;
mod token;

use std::io;
use std::time::Duration;

use tokio::sync::watch;

pub use config::{Config, PageMax, RateLimit, Told};
pub use limits::Spent;
pub use model::{RoleSeed, STATES, STATUSES, UserSeed};
pub use paging::Paging;
pub use server::Request;

use crate::fault::Faults;
use crate::wire::Served;
use server::{Server, Shared};

/// A running account, until dropped.
pub struct SimulatedOneLogin {
    shared: Shared,
    served: Served,
}

impl SimulatedOneLogin {
    /// Starts an empty account.
    ///
    /// # Errors
    /// The port can't be bound.
    pub async fn start(config: Config) -> io::Result<Self> {
        let (stopping, _) = watch::channel(false);
        let port = config.port;
        let shared = Server::new(config, Faults::new(stopping.clone()));
        let served = Served::start(server::router(&shared), port, stopping).await?;
        Ok(Self { shared, served })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.served.address())
    }

    /// Adds a person, or replaces the one with the same id; the id.
    pub fn user(&self, seed: UserSeed) -> u64 {
        self.shared.store().add_user(seed)
    }

    /// Deletes a person, from roles, too.
    pub fn delete_user(&self, id: u64) {
        self.shared.store().delete_user(id);
    }

    /// Adds a role, or replaces the one with the same id; the id.
    pub fn role(&self, seed: RoleSeed) -> u64 {
        self.shared.store().add_role(seed)
    }

    /// Adds a group; the id, for people's `group_id`.
    pub fn group(&self, name: &str) -> u64 {
        self.shared.store().add_group(name)
    }

    /// A person is deleted right after the answer to the `nth` request from now to `path`.
    pub fn delete_user_after(&self, path: &str, nth: usize, id: u64) {
        let change = move |store: &mut model::Store| store.delete_user(id);
        self.shared.change_after(path, nth, Box::new(change));
    }

    /// A role is deleted right after the answer to the `nth` request from now to `path`.
    pub fn delete_role_after(&self, path: &str, nth: usize, id: u64) {
        let change = move |store: &mut model::Store| {
            store.roles.remove(&id);
        };
        self.shared.change_after(path, nth, Box::new(change));
    }

    /// From now on the credentials' scope doesn't allow anything.
    pub fn take_scope(&self) {
        self.shared.dials().scope_is_too_small = true;
    }

    /// Deletes whoever made the credentials.
    pub fn delete_owner(&self) {
        self.shared.dials().owner_is_gone = true;
    }

    /// Replaces the secret of the credentials.
    pub fn set_client_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.dials().client_secret);
    }

    /// From now on, 401 to every access token given out so far.
    pub fn revoke_access_tokens(&self) {
        self.shared.tokens().revoke();
    }

    /// How long every request takes on top, from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.dials().latency = latency;
    }

    /// How a page tells of the next one, from now on.
    pub fn set_paging(&self, paging: Paging) {
        self.shared.dials().paging = paging;
    }

    /// Switches the limit on or off, counting from zero.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.dials().rate_limit = limit;
        *self.shared.limiter() = limits::Limiter::default();
    }

    /// Other clients of the account use so many requests in this window.
    pub fn others_spend(&self, requests: u32) {
        if let Some(limit) = self.shared.dials().rate_limit {
            self.shared.limiter().others(&limit, requests);
        }
    }

    /// What was asked in each window, by who asks here (not by [`Self::others_spend`]).
    #[must_use]
    pub fn spent(&self) -> Vec<Spent> {
        self.shared.limiter().spent()
    }

    /// The requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.journal().clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.journal().clear();
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }
}
