//! An Okta organization, as far as a directory sync sees it: the token call of its authorization
//! server, and the lists of users, groups, members and assignments, with Okta's limits.
//!
//! [`SimulatedOkta`] is what a test holds: it starts the server on loopback, fills it, looks into
//! it, and turns its dials.

mod answers;
mod api;
mod config;
mod expression;
mod limits;
mod model;
mod paging;
mod server;
mod token;

use std::io;
use std::ops::Deref;

pub use config::{Config, LinkStyle, RateLimits, ServiceApp};
pub use limits::{RateLimitBucket, Spent};
pub use model::{GroupSeed, GroupType, Status, UserSeed};
pub use token::PublicKey;

pub use crate::request_log::Request;

use crate::front::Running;
use server::{Server, Shared};

/// A running organization, until dropped.
pub struct SimulatedOkta {
    shared: Shared,
    running: Running,
}

impl SimulatedOkta {
    /// Starts an empty organization.
    ///
    /// # Errors
    /// The port can't be bound.
    pub async fn start(config: Config) -> io::Result<Self> {
        let port = config.port;
        let shared = Server::new(config);
        let router = server::router(&shared);
        let running = shared.front.clone().serve(router, port).await?;
        let this = Self { shared, running };
        this.set_public_url(&this.running.listens_at());
        Ok(this)
    }

    /// The address it takes for its own: in links, and as the audience of assertions.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.dials.lock().public_url.clone()
    }

    /// Has it stand behind a proxy with this address.
    pub fn set_public_url(&self, url: &str) {
        url.clone_into(&mut self.shared.dials.lock().public_url);
    }

    /// Adds a person, or replaces the one with the same id; the id.
    pub fn user(&self, seed: UserSeed) -> String {
        self.shared.store.lock().add_user(seed)
    }

    /// Deletes a person for good: from groups and applications, too.
    pub fn set_status(&self, id: &str, status: Status) -> bool {
        self.shared.store.lock().set_status(id, status)
    }

    /// Deletes an account for good.
    pub fn delete_user(&self, id: &str) {
        self.shared.store.lock().delete_user(id);
    }

    /// Adds a group, or replaces the one with the same id; the id.
    pub fn group(&self, seed: GroupSeed) -> String {
        self.shared.store.lock().add_group(seed)
    }

    /// Replaces a group's members, by id, and the time at which they changed. False where there is no
    /// such group.
    #[must_use]
    pub fn set_members(&self, group: &str, members: &[&str]) -> bool {
        self.shared.store.lock().set_members(group, members, true)
    }

    /// The same, and the group doesn't tell that they changed.
    #[must_use]
    pub fn set_members_silently(&self, group: &str, members: &[&str]) -> bool {
        self.shared.store.lock().set_members(group, members, false)
    }

    /// Deletes a group by its id.
    pub fn delete_group(&self, id: &str) {
        self.shared.store.lock().delete_group(id);
    }

    /// Adds an application with the people and groups assigned to it.
    pub fn application(&self, id: &str, users: &[&str], groups: &[&str]) {
        self.shared.store.lock().add_application(id, users, groups);
    }

    /// From now on the tokens' owner has no role that shows this.
    pub fn forbid(&self, bucket: RateLimitBucket) {
        self.shared.dials.lock().forbidden = Some(bucket);
    }

    /// Replaces the API token.
    pub fn set_api_token(&self, token: &str) {
        token.clone_into(&mut self.shared.dials.lock().api_token);
    }

    /// From now on, 401 to every access token given out so far.
    pub fn revoke_access_tokens(&self) {
        self.shared.tokens.lock().revoke_all();
    }

    /// How pages are linked, from now on.
    pub fn set_links(&self, links: LinkStyle) {
        self.shared.dials.lock().links = links;
    }

    /// Switches rate limits on or off, counting from zero.
    pub fn set_rate_limits(&self, limits: Option<RateLimits>) {
        self.shared.dials.lock().rate_limits = limits;
        self.shared.limiter.lock().forget();
        self.shared.concurrency.forget();
    }

    /// Other clients of the organization use so many requests of a bucket in this window.
    pub fn others_spend(&self, bucket: RateLimitBucket, requests: u32) {
        if let Some(limits) = self.shared.dials.lock().rate_limits {
            self.shared.limiter.lock().others(&limits, bucket, requests);
        }
    }

    /// What was asked of each bucket in each window, by who asks here (not by
    /// [`Self::others_spend`]).
    #[must_use]
    pub fn spent(&self) -> Vec<Spent> {
        self.shared.limiter.lock().spent()
    }

    /// The most requests that were under way at once.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        self.shared.concurrency.most()
    }
}

/// What all simulated servers have: where it listens, requests, faults, latency.
impl Deref for SimulatedOkta {
    type Target = Running;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
