//! The tenant in the hands of a test.

use std::collections::BTreeSet;
use std::io;
use std::ops::Deref;
use std::time::Duration;

use serde_json::Value;

use super::config::{Config, Limits, PageSizes, Secret};
use super::delta::DeltaLoss;
use super::model::{GroupSeed, Id, Kind, ServicePrincipal, UserSeed};
use super::server::{self, Scene, Server, Shared, Spoil};
use super::store::{Change, Store};
use crate::front::Running;
use crate::lab::Company;

/// A running tenant, until dropped.
pub struct SimulatedEntra {
    shared: Shared,
    running: Running,
}

/// What happens to a tenant in the middle of something else: see [`SimulatedEntra::before`].
pub struct AdminActions<'s>(&'s mut Store);

impl AdminActions<'_> {
    /// Puts somebody into a group.
    pub fn add_member(&mut self, group: Id, member: Id) {
        self.0.set_member(group, member, true);
    }

    /// Takes somebody out of a group.
    pub fn remove_member(&mut self, group: Id, member: Id) {
        self.0.set_member(group, member, false);
    }

    /// Deletes a user or group, softly: it can be brought back, and deleted users are listed among
    /// the deleted items.
    pub fn delete(&mut self, id: Id) {
        self.0.delete(id);
    }

    /// Disables an account (`accountEnabled: false`).
    pub fn disable(&mut self, user: Id) {
        if let Some(entry) = self.0.users.get_mut(&user) {
            entry.enabled = false;
            self.0.log.push(Change::Property(user, "accountEnabled"));
        }
    }

    /// Enables an account.
    pub fn enable(&mut self, user: Id) {
        if let Some(entry) = self.0.users.get_mut(&user) {
            entry.enabled = true;
            self.0.log.push(Change::Property(user, "accountEnabled"));
        }
    }

    /// Gives a user another `mail`, or none.
    pub fn set_mail(&mut self, user: Id, mail: Option<&str>) {
        if let Some(entry) = self.0.users.get_mut(&user) {
            entry.mail = mail.map(str::to_owned);
            self.0.log.push(Change::Property(user, "mail"));
        }
    }

    /// Makes a guest of a member of the tenant, or the other way round.
    pub fn set_guest(&mut self, user: Id, is_guest: bool) {
        if let Some(entry) = self.0.users.get_mut(&user) {
            entry.user_type = Some(if is_guest { "Guest" } else { "Member" });
            self.0.log.push(Change::Property(user, "userType"));
        }
    }

    /// Brings back a user or a Microsoft 365 group that was deleted, into the groups in which they were.
    pub fn restore(&mut self, id: Id) {
        self.0.restore(id);
    }

    /// Adds a user.
    pub fn add_user(&mut self, seed: UserSeed) -> Id {
        self.0.add_user(seed.user)
    }

    /// Adds a group.
    pub fn add_group(&mut self, seed: GroupSeed) -> Id {
        self.0.add_group(seed.group)
    }

    /// Gives a user another department.
    pub fn set_department(&mut self, user: Id, department: &str) {
        if let Some(entry) = self.0.users.get_mut(&user) {
            entry.department = Some(department.to_owned());
            self.0.log.push(Change::Property(user, "department"));
        }
    }

    /// Gives a group another name.
    pub fn rename(&mut self, group: Id, name: &str) {
        if let Some(entry) = self.0.groups.get_mut(&group) {
            name.clone_into(&mut entry.name);
            self.0.log.push(Change::Property(group, "displayName"));
        }
    }
}

impl SimulatedEntra {
    /// Starts an empty tenant.
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

    /// The address of both the token endpoint and Graph.
    #[must_use]
    pub fn url(&self) -> String {
        self.running.listens_at()
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Adds a user and logs the change for deltas.
    pub fn add_user(&self, seed: UserSeed) -> Id {
        self.shared.store.lock().add_user(seed.user)
    }

    /// Adds a security group.
    pub fn add_group(&self, name: &str, members: impl IntoIterator<Item = Id>) -> Id {
        self.seed_group(GroupSeed::new(name, members))
    }

    /// Adds a group of any kind.
    pub fn seed_group(&self, seed: GroupSeed) -> Id {
        self.shared.store.lock().add_group(seed.group)
    }

    /// Adds a computer, which may be in groups too.
    pub fn add_device(&self) -> Id {
        self.shared.store.lock().new_id(Kind::Device)
    }

    /// Adds an administrative unit.
    pub fn add_unit(&self, members: impl IntoIterator<Item = Id>) -> Id {
        let mut store = self.shared.store.lock();
        let id = store.new_id(Kind::AdministrativeUnit);
        store.units.insert(id, members.into_iter().collect());
        id
    }

    /// Adds an administrative unit that shows its members only to some (`HiddenMembership`).
    pub fn add_hidden_unit(&self, members: impl IntoIterator<Item = Id>) -> Id {
        let id = self.add_unit(members);
        self.shared.store.lock().hidden_units.insert(id);
        id
    }

    /// Puts others in place of an administrative unit's members.
    pub fn set_unit(&self, unit: Id, members: impl IntoIterator<Item = Id>) {
        let members = members.into_iter().collect();
        self.shared.store.lock().units.insert(unit, members);
    }

    /// Adds an enterprise application with those it is assigned to.
    pub fn add_application(&self, app_id: &str, assigned: impl IntoIterator<Item = Id>) -> Id {
        let mut store = self.shared.store.lock();
        let id = store.new_id(Kind::ServicePrincipal);
        let application = ServicePrincipal {
            app_id: app_id.to_owned(),
            assigned: assigned.into_iter().collect(),
        };
        store.applications.insert(id, application);
        id
    }

    /// Assigns an application to others in place of those it was assigned to.
    pub fn set_assigned(&self, application: Id, assigned: impl IntoIterator<Item = Id>) {
        let mut store = self.shared.store.lock();
        if let Some(entry) = store.applications.get_mut(&application) {
            entry.assigned = assigned.into_iter().collect();
        }
    }

    /// Adds everyone of a company and its teams; the ids of the users and groups by their numbers.
    pub fn add_company(&self, company: &Company) -> (Vec<Id>, Vec<Id>) {
        let mut store = self.shared.store.lock();
        let users: Vec<Id> = company
            .employees()
            .map(|employee| {
                let seed = UserSeed::new(&employee.person.uid);
                let seed = seed.mail(employee.person.mail.as_deref());
                store.add_user(seed.department(employee.department).user)
            })
            .collect();
        let teams = company.all_teams();
        let groups: Vec<Id> = teams
            .iter()
            .map(|team| {
                let people = team.people.iter().map(|&number| users[number as usize]);
                store.add_group(GroupSeed::new(&team.name, people).group)
            })
            .collect();
        for (team, &id) in teams.iter().zip(&groups) {
            for &inner in &team.teams {
                store.set_member(id, groups[inner as usize], true);
            }
        }
        (users, groups)
    }

    /// Changes the tenant now.
    pub fn change<T>(&self, change: impl FnOnce(&mut AdminActions<'_>) -> T) -> T {
        change(&mut AdminActions(&mut self.shared.store.lock()))
    }

    /// Changes the tenant right before the `k`-th request to `path` from now (counted from 1) is
    /// answered.
    ///
    /// # Panics
    /// At 0.
    pub fn before(
        &self,
        path: &str,
        k: u64,
        change: impl FnOnce(&mut AdminActions<'_>) + Send + 'static,
    ) {
        let scene = Scene {
            path: path.to_owned(),
            skip: k.checked_sub(1).expect("requests are counted from 1"),
            change: Box::new(move |server| change(&mut AdminActions(&mut server.store.lock()))),
        };
        self.shared.script.lock().push(scene);
    }

    /// Revokes all tokens right before the `k`-th request to `path` from now (counted from 1) is
    /// answered.
    ///
    /// # Panics
    /// At 0.
    pub fn revoke_tokens_before(&self, path: &str, k: u64) {
        self.shared.script.lock().push(Scene {
            path: path.to_owned(),
            skip: k.checked_sub(1).expect("requests are counted from 1"),
            change: Box::new(Server::revoke_all),
        });
    }

    /// The delta links given out so far fail from the `k`-th request to `path` on (counted from
    /// 1): Graph loses track in the middle of a run.
    ///
    /// # Panics
    /// At 0.
    pub fn lose_deltas_before(&self, path: &str, k: u64, loss: DeltaLoss) {
        self.shared.script.lock().push(Scene {
            path: path.to_owned(),
            skip: k.checked_sub(1).expect("requests are counted from 1"),
            change: Box::new(move |server| server.lose_deltas(loss)),
        });
    }

    /// Makes the answer to the `k`-th request to `path` from now (counted from 1) another than it
    /// would be.
    ///
    /// # Panics
    /// At 0.
    pub fn spoil(&self, path: &str, k: u64, change: impl FnOnce(&mut Value) + Send + 'static) {
        self.shared.spoils.lock().push(Spoil {
            path: path.to_owned(),
            skip: k.checked_sub(1).expect("requests are counted from 1"),
            change: Some(Box::new(change)),
        });
    }

    /// Puts somebody into a group.
    pub fn add_member(&self, group: Id, member: Id) {
        self.change(|hand| hand.add_member(group, member));
    }

    /// Takes somebody out of a group.
    pub fn remove_member(&self, group: Id, member: Id) {
        self.change(|hand| hand.remove_member(group, member));
    }

    /// Replaces the client secret.
    pub fn set_secret(&self, secret: Option<Secret>) {
        self.shared.dials.lock().secret = secret;
    }

    /// Replaces what was granted to the application.
    pub fn set_permissions(&self, permissions: impl IntoIterator<Item = &'static str>) {
        self.shared.dials.lock().permissions = BTreeSet::from_iter(permissions);
    }

    /// From now on, 401 to every token given out so far.
    pub fn revoke_all_tokens(&self) {
        self.shared.revoke_all();
    }

    /// How long tokens given out from now on are good.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared.dials.lock().token_lifetime = lifetime;
    }

    /// The limit from now on.
    pub fn set_limits(&self, limits: Option<Limits>) {
        self.shared.dials.lock().limits = limits;
    }

    /// How much comes in one answer, from now on.
    pub fn set_pages(&self, pages: PageSizes) {
        self.shared.dials.lock().pages = pages;
    }

    /// All but the deltas answer from a replica that knows nothing of what happens from now on, until
    /// [`catch_up`](Self::catch_up).
    pub fn fall_behind(&self) {
        let now = self.shared.store.lock().clone();
        *self.shared.replica.lock() = now;
        self.shared.dials.lock().is_behind = true;
    }

    /// Every replica knows everything again.
    pub fn catch_up(&self) {
        self.shared.dials.lock().is_behind = false;
    }

    /// Whether deltas repeat themselves, tell a group in pieces, and send empty pages.
    pub fn set_noisy(&self, noisy: bool) {
        self.shared.dials.lock().noisy = noisy;
    }

    /// Refuses the next `count` parts of batches with 429, whatever was used.
    pub fn refuse_parts(&self, count: u32) {
        self.shared.throttle.lock().refuse_parts = count;
    }

    /// From now on, every delta link given out so far fails in this way.
    pub fn lose_deltas(&self, loss: DeltaLoss) {
        self.shared.lose_deltas(loss);
    }

    /// The resource units used since the start.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.shared.throttle.lock().total
    }
}

/// What all simulated servers have: where it listens, requests, faults, latency.
impl Deref for SimulatedEntra {
    type Target = Running;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
