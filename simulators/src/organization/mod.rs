//! A Bitwarden organization's server, as far as a directory sync sees it: the token call of
//! identity and the public API, in the manner of the official server or of Vaultwarden.
//!
//! [`SimulatedOrganization`] is what a test holds: it starts the server on loopback, fills it,
//! looks into it, and turns its dials.
//!
//! ```no_run
//! # async fn story() -> std::io::Result<()> {
//! use simulators::fault::{Fault, Way, Work};
//! use simulators::organization::{Config, GroupSeed, MemberSeed, SimulatedOrganization};
//!
//! let organization = SimulatedOrganization::start(Config::cloud()).await?;
//! organization.seed_member(MemberSeed::new("owner@example.com").owner());
//! organization.seed_member(MemberSeed::new("ada@example.com").external_id("1"));
//! organization.seed_group(GroupSeed::new("Staff").members(["ada@example.com"]));
//! // The third request from now does its work, but its answer never arrives.
//! let fault = Fault::new(Way::CutConnection).work(Work::Done).on_request(3);
//! organization.faults().inject(fault);
//! // … a sync against organization.url() …
//! assert!(organization.losses().is_empty());
//! assert!(organization.invitations().values().all(|mails| *mails == 1));
//! # Ok(())
//! # }
//! ```

mod admin;
mod answers;
mod api;
mod collections;
mod config;
mod groups;
mod history;
mod identity;
mod import;
mod journal;
mod limits;
mod members;
mod model;
mod seats;
mod seed;
mod server;
mod snapshot;
mod store;
mod vaultwarden;

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::time::Duration;

pub use config::{Config, Plan, Profile, RateLimits, Seats};
pub use history::Event;
pub use journal::Request;
pub use model::{CollectionAccess, GroupId, MemberId, Role, Status};
pub use seed::{GroupSeed, MemberSeed, Seed, SeedError};
pub use snapshot::{GroupSnapshot, MemberSnapshot, Snapshot};

use crate::front::Running;
use server::{Server, Shared};

/// A running server with one organization, until dropped.
pub struct SimulatedOrganization {
    shared: Shared,
    running: Running<Request>,
}

impl SimulatedOrganization {
    /// Starts an empty organization (without even an owner: see [`Self::seed_member`]).
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

    /// The server's address: what a self-hosted server's `serverUrl` is. Identity and API are
    /// below it.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.listens_at()
    }

    /// The identity server's address.
    #[must_use]
    pub fn identity_url(&self) -> String {
        format!("{}/identity", self.url())
    }

    /// The base address of the API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url())
    }

    /// The organization's GUID, which its client id holds.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.shared.config.organization_id
    }

    /// What signs in: `organization.` and the GUID.
    #[must_use]
    pub fn client_id(&self) -> String {
        format!("organization.{}", self.organization_id())
    }

    /// The secret in force.
    #[must_use]
    pub fn client_secret(&self) -> String {
        self.shared.dials.lock().client_secret.clone()
    }

    /// Replaces the secret. Tokens that were given out for the old one stay good.
    pub fn rotate_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.dials.lock().client_secret);
    }

    /// From now on, 401 to every token given out so far.
    pub fn revoke_all_tokens(&self) {
        self.shared.tokens.lock().revoke_all();
    }

    /// How long tokens given out from now on are good.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared.dials.lock().token_lifetime = lifetime;
    }

    /// Switches rate limits on or off, counting from zero.
    pub fn set_rate_limits(&self, limits: Option<RateLimits>) {
        self.shared.dials.lock().rate_limits = limits;
        *self.shared.limiter.lock() = limits::Limiter::default();
    }

    /// Buys or gives back seats.
    pub fn set_seats(&self, seats: Seats) {
        self.shared.store.lock().seats = seats;
    }

    /// The seats as they are now, autoscaling considered.
    #[must_use]
    pub fn seats(&self) -> Seats {
        self.shared.store.lock().seats
    }

    /// Members who are invited, accepted or confirmed.
    #[must_use]
    pub fn seats_in_use(&self) -> u32 {
        self.shared.store.lock().seats_in_use()
    }

    /// Adds a member as it is: no invitation, no history.
    ///
    /// # Panics
    /// The email is a member's already.
    pub fn seed_member(&self, seed: MemberSeed) -> MemberId {
        let added = self.shared.store.lock().add_member(seed.build());
        added.expect("each seeded member has an email of its own")
    }

    /// Adds a group as it is.
    ///
    /// # Panics
    /// One of its members isn't in the organization.
    pub fn seed_group(&self, seed: GroupSeed) -> GroupId {
        let mut store = self.shared.store.lock();
        match seed.build(&store) {
            Ok(group) => store.add_group(group),
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a whole organization.
    ///
    /// # Errors
    /// It contradicts itself. What came before the contradiction is there.
    pub fn seed(&self, seed: Seed) -> Result<(), SeedError> {
        seed.plant(&mut self.shared.store.lock())
    }

    /// Moves the organization's clock: links in invitations expire 120 hours after they were sent.
    pub fn pass(&self, time: Duration) {
        self.shared.store.lock().pass(time);
    }

    /// An invited member takes the invitation and is confirmed, as people do between two syncs.
    /// False where there is no such invitation, or its link has expired.
    #[must_use]
    pub fn accept_and_confirm(&self, email: &str) -> bool {
        self.shared.store.lock().accept_and_confirm(email)
    }

    /// Gives a revoked member their access back, as an administrator does by hand.
    pub fn restore(&self, email: &str) {
        let mut store = self.shared.store.lock();
        if let Some(id) = store.by_email.get(email) {
            store.restore(id);
        }
    }

    /// Takes a member's access, as an administrator does by hand.
    pub fn revoke(&self, email: &str) {
        let mut store = self.shared.store.lock();
        if let Some(id) = store.by_email.get(email) {
            store.revoke(id);
        }
    }

    /// Gives a group exactly these members, as an administrator does by hand.
    ///
    /// # Panics
    /// There is no such group, or one of them isn't in the organization.
    pub fn set_group_members(&self, name: &str, emails: &[&str]) {
        let mut store = self.shared.store.lock();
        let group = group_named(&store, name);
        let member = |email: &&str| {
            let id = store.by_email.get(email);
            id.expect("each of them is a member")
        };
        let members = emails.iter().map(member).collect();
        store.set_group_members(group, &members);
    }

    /// Deletes a group, as an administrator does by hand.
    ///
    /// # Panics
    /// There is no such group.
    pub fn delete_group(&self, name: &str) {
        let mut store = self.shared.store.lock();
        let group = group_named(&store, name);
        store.delete_group(group);
    }

    /// The id of the member with this email.
    #[must_use]
    pub fn member_id(&self, email: &str) -> Option<MemberId> {
        self.shared.store.lock().by_email.get(email)
    }

    /// The id of the group with this external id.
    #[must_use]
    pub fn group_id(&self, external_id: &str) -> Option<GroupId> {
        self.shared
            .store
            .lock()
            .groups_by_external_id
            .get(external_id)
    }

    /// Every group's name and id.
    #[must_use]
    pub fn group_ids(&self) -> Vec<(String, GroupId)> {
        let store = self.shared.store.lock();
        let groups = store.groups.iter();
        groups
            .map(|(id, group)| (group.name.clone(), *id))
            .collect()
    }

    /// Members, groups and memberships as they are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.shared.store.lock())
    }

    /// Everything that was done, in order, whatever came of it later. Seeding isn't in it.
    #[must_use]
    pub fn history(&self) -> Vec<Event> {
        self.shared.store.lock().history.clone()
    }

    /// [`Self::history`] since this was last asked, which is forgotten by that.
    #[must_use]
    pub fn take_history(&self) -> Vec<Event> {
        std::mem::take(&mut self.shared.store.lock().history)
    }

    /// Those of [`Self::history`] by which someone lost something.
    #[must_use]
    pub fn losses(&self) -> Vec<Event> {
        let mut history = self.history();
        history.retain(Event::is_loss);
        history
    }

    /// How many invitation mails each address has been sent, ever.
    #[must_use]
    pub fn invitations(&self) -> BTreeMap<String, u32> {
        self.shared.store.lock().invitations.clone()
    }

    /// Forgets history and invitations: what follows is a new story.
    pub fn clear_history(&self) {
        let mut store = self.shared.store.lock();
        store.history.clear();
        store.invitations.clear();
    }
}

fn group_named(store: &store::Store, name: &str) -> GroupId {
    let mut groups = store.groups.iter();
    let found = groups.find(|(_, group)| group.name == name);
    *found.expect("there is a group of this name").0
}

/// What all simulated servers have: where it listens, requests, faults, latency.
impl Deref for SimulatedOrganization {
    type Target = Running<Request>;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
