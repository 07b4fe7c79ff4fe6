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
use std::ops::Deref;

pub use config::{Config, LimitHeaders, PageMax, RateLimit};
pub use limits::Spent;
pub use model::{RoleSeed, STATES, STATUSES, UserSeed};
pub use paging::Paging;
pub use query::Search;

pub use crate::request_log::Request;

use crate::front::Running;
use server::{Server, Shared};

/// A running account, until dropped.
pub struct SimulatedOneLogin {
    shared: Shared,
    running: Running,
}

impl SimulatedOneLogin {
    /// Starts an empty account.
    ///
    /// # Errors
    /// The port can't be bound.
    pub async fn start(config: Config) -> io::Result<Self> {
        let port = config.port;
        let shared = Server::new(config);
        let router = server::router(&shared);
        let running = shared.front.clone().serve(router, port).await?;
        Ok(Self { shared, running })
    }

    /// The URL at which the simulator listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.listens_at()
    }

    /// Adds a person, or replaces the one with the same id; the id.
    pub fn user(&self, seed: UserSeed) -> u64 {
        self.shared.store.lock().add_user(seed)
    }

    /// Deletes a person, from roles, too.
    pub fn delete_user(&self, id: u64) {
        self.shared.store.lock().delete_user(id);
    }

    /// Adds a role, or replaces the one with the same id; the id.
    pub fn role(&self, seed: RoleSeed) -> u64 {
        self.shared.store.lock().add_role(seed)
    }

    /// Adds a group; the id, for people's `group_id`.
    pub fn group(&self, name: &str) -> u64 {
        self.shared.store.lock().add_group(name)
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
        self.shared.dials.lock().scope_is_too_small = true;
    }

    /// Deletes whoever made the credentials.
    pub fn delete_owner(&self) {
        self.shared.dials.lock().owner_is_gone = true;
    }

    /// Replaces the secret of the credentials.
    pub fn set_client_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.dials.lock().client_secret);
    }

    /// From now on, 401 to every access token given out so far.
    pub fn revoke_access_tokens(&self) {
        self.shared.tokens.lock().revoke();
    }

    /// How a page names the next one, from now on.
    pub fn set_paging(&self, paging: Paging) {
        self.shared.dials.lock().paging = paging;
    }

    /// How it searches, from now on.
    pub fn set_search(&self, search: Search) {
        self.shared.dials.lock().search = search;
    }

    /// Switches the limit on or off, counting from zero.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.dials.lock().rate_limit = limit;
        *self.shared.limiter.lock() = limits::Limiter::default();
    }

    /// Other clients of the account use so many requests in this window.
    pub fn others_spend(&self, requests: u32) {
        if let Some(limit) = self.shared.dials.lock().rate_limit {
            self.shared.limiter.lock().others(&limit, requests);
        }
    }

    /// What was asked in each window, by who asks here (not by [`Self::others_spend`]).
    #[must_use]
    pub fn spent(&self) -> Vec<Spent> {
        self.shared.limiter.lock().spent()
    }
}

/// What all simulated servers have: where it listens, requests, faults, latency.
impl Deref for SimulatedOneLogin {
    type Target = Running;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
