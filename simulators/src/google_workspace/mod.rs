//! A Google Workspace customer, as far as a directory sync sees it: the token endpoint with its
//! assertions, token exchange and signing without a key, and the Directory API's lists of users,
//! groups and members.
//!
//! [`SimulatedGoogle`] is what a test holds: it starts the server on loopback, fills it, looks into
//! it, and turns its dials.

mod answers;
mod api;
mod config;
mod jwt;
mod mask;
mod model;
mod paging;
mod query;
mod server;
mod token;

use std::io;
use std::ops::Deref;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

pub use answers::Spent;
pub use config::{Config, Federation, Quota, ServiceAccount};
pub use jwt::KeyPair;
pub use model::{GroupSeed, Member, UserSeed};
pub use paging::Pages;

pub use crate::request_log::Request;

use crate::front::Running;
use server::{Scene, Server, Shared};

/// What happens to a customer in the middle of something else: see [`SimulatedGoogle::before`].
pub struct AdminActions<'s>(&'s Shared);

impl AdminActions<'_> {
    /// Deletes a group. Groups that had it as a member still list it.
    pub fn delete_group(&self, id: &str) {
        self.0.store.lock().groups.remove(id);
    }

    /// Page tokens given out so far are good no more.
    pub fn expire_page_tokens(&self) {
        self.0.dials.lock().token_generation += 1;
    }
}

/// A running customer with its project, until dropped.
pub struct SimulatedGoogle {
    shared: Shared,
    running: Running,
}

impl SimulatedGoogle {
    /// Starts a customer without anybody.
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

    /// The address it takes for its own: `/token` below it is the audience of assertions.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.dials.lock().public_url.clone()
    }

    /// Has it stand behind a proxy with this address.
    pub fn set_public_url(&self, url: &str) {
        url.clone_into(&mut self.shared.dials.lock().public_url);
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The JSON file of the service account's first key, as Google gives it.
    #[must_use]
    pub fn key_file(&self) -> String {
        let account = &self.shared.config.service_account;
        let (id, key) = &account.keys[0];
        let file = json!({
            "type": "service_account",
            "project_id": "directory-sync",
            "private_key_id": id,
            "private_key": key.pem(),
            "client_email": account.email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "universe_domain": "googleapis.com",
        });
        format!("{file:#}")
    }

    /// A token of the cluster's that the provider accepts, good for so long.
    #[must_use]
    pub fn cluster_token(&self, lifetime: Duration) -> String {
        let federation = &self.shared.config.federation;
        self.cluster_token_for(&federation.token_audience, &federation.subject, lifetime)
    }

    /// The same for another audience or subject.
    #[must_use]
    pub fn cluster_token_for(&self, audience: &str, subject: &str, lifetime: Duration) -> String {
        let federation = &self.shared.config.federation;
        let now = Timestamp::now().as_second();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "iss": federation.issuer,
            "sub": subject,
            "aud": [audience],
            "iat": now,
            "exp": now.saturating_add(lifetime),
        });
        federation.cluster_key.sign("cluster", &claims)
    }

    /// Adds a person, or replaces the one with the same id; the id.
    pub fn user(&self, seed: UserSeed) -> String {
        self.shared.store.lock().add_user(seed)
    }

    /// Deletes a person, who is among the deleted from then on, and in no group.
    pub fn delete_user(&self, id: &str) {
        self.shared.store.lock().delete_user(id);
    }

    /// Adds a group, or replaces the one with the same id; the id.
    pub fn group(&self, seed: GroupSeed) -> String {
        self.shared.store.lock().add_group(seed)
    }

    /// Just before the first request with this text in its path or query, `act` happens.
    pub fn before(&self, part: &str, act: impl FnOnce(&AdminActions<'_>) + Send + 'static) {
        self.shared.scenes.lock().push(Scene {
            part: part.to_owned(),
            act: Box::new(|shared| act(&AdminActions(shared))),
        });
    }

    /// Switches the Admin SDK API of the project on or off.
    pub fn enable_admin_sdk(&self, enabled: bool) {
        self.shared.dials.lock().admin_sdk_enabled = enabled;
    }

    /// Switches the IAM Service Account Credentials API of the project on or off.
    pub fn enable_iam(&self, enabled: bool) {
        self.shared.dials.lock().iam_enabled = enabled;
    }

    /// Whether the customer lets anybody use its APIs.
    pub fn allow_apis(&self, allowed: bool) {
        self.shared.dials.lock().apis_allowed = allowed;
    }

    /// Whether the cluster's principal is a token creator of the service account.
    pub fn allow_signing(&self, allowed: bool) {
        self.shared.dials.lock().may_sign = allowed;
    }

    /// What domain-wide delegation lets the service account do, from now on.
    pub fn delegate(&self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|&scope| scope.to_owned());
        self.shared.dials.lock().delegated_scopes = scopes.collect();
    }

    /// Whether the service account has an administrator's role itself.
    pub fn assign_role(&self, has: bool) {
        self.shared.dials.lock().has_role = has;
    }

    /// From now on administrators are shown no more of users than colleagues are.
    pub fn show_as_to_colleagues(&self) {
        self.shared.dials.lock().shown_as_to_colleagues = true;
    }

    /// From now on, 401 to every token given out so far.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.lock().revoke_all();
    }

    /// Tokens are good for these scopes alone, whatever was asked for.
    pub fn issue_only(&self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|&scope| scope.to_owned());
        self.shared.dials.lock().issued_scopes = Some(scopes.collect());
    }

    /// How pages go wrong, from now on.
    pub fn set_pages(&self, pages: Pages) {
        self.shared.dials.lock().pages = pages;
    }

    /// The `k`-th request to the Directory API from now, counted from 1, and those after it,
    /// `times` in all, are refused as if this limit were spent.
    pub fn refuse(&self, spent: Spent, k: u64, times: u64) {
        self.shared.counter.lock().refuse(spent, k, times);
    }

    /// A new window of the quota begins.
    pub fn next_window(&self) {
        self.shared.counter.lock().next_window();
    }

    /// The most requests that were under way at once.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        self.shared.concurrency.most()
    }
}

/// What all simulated servers have: where it listens, requests, faults, latency.
impl Deref for SimulatedGoogle {
    type Target = Running;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
