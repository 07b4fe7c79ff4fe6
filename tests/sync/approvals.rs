//! Approved changes whose run ends in the middle, and refused ones: what was made is used up, whatever it was, and
//! counts, whatever else was refused.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory_sync::directory::ExternalId;
use directory_sync::organization::OrganizationClient;
use directory_sync::organization::collection::{AccessChange, CollectionAccess, CollectionRight};
use directory_sync::organization::role::AccessRole;
use directory_sync::problem::ProblemReason;
use directory_sync::sync::checkpoint::Checkpoints;
use directory_sync::sync::guard::Approval;
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::policy::{CollectionName, CollectionRule, Glob, Limit, Policy, RoleRule};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{RunError, RunOptions, State, plan};
use futures::future::BoxFuture;
use jiff::Timestamp;
use simulators::fault::{Fault, Way};
use simulators::organization::{
    Config, GroupSeed, MemberSeed, Role, SimulatedOrganization, Status,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::history::Company;
use crate::world::{NO_RETRY, client, policy};

const INFRA: &str = "11111111-1111-4111-8111-111111111111";
const PEOPLE: usize = 12;

/// What a process keeps while it makes its changes.
#[derive(Default)]
struct Keeper(Mutex<Vec<u8>>);

impl Checkpoints for Keeper {
    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn keep(&self, ledger: Ledger) -> BoxFuture<'_, ()> {
        *self.0.lock().unwrap() = ledger.to_bytes();
        Box::pin(async {})
    }
}

/// How a run ends early.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Stopped,
    Killed,
}

struct Scene {
    organization: Arc<SimulatedOrganization>,
    client: OrganizationClient,
    company: Company,
    policy: Policy,
    state: State,
    kept: Keeper,
}

fn own(n: usize) -> String {
    format!("p{n:02}")
}

fn email(n: usize) -> String {
    format!("{}@example.com", own(n))
}

impl Scene {
    /// Twelve people, and three groups of four.
    async fn new() -> Self {
        let organization = SimulatedOrganization::start(Config {
            collections: vec![INFRA.to_owned()],
            ..Config::cloud()
        })
        .await
        .unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        for n in 0..PEOPLE {
            organization.seed_member(MemberSeed::new(&email(n)).external_id(&own(n)));
        }
        for group in 0..3 {
            let members = (4 * group..4 * group + 4).map(email);
            let seed = GroupSeed::new(&format!("eng-{group}")).external_id(&format!("g{group}"));
            organization.seed_group(seed.members(members));
        }
        let groups = (0..3).map(|group| {
            let members: BTreeSet<String> = (4 * group..4 * group + 4).map(own).collect();
            (format!("g{group}"), format!("eng-{group}"), members)
        });
        let mut scene = Self {
            client: client(&organization, NO_RETRY),
            organization: Arc::new(organization),
            company: Company {
                people: (0..PEOPLE).map(|n| (own(n), email(n), false)).collect(),
                groups: groups.collect(),
            },
            policy: policy(),
            state: State::default(),
            kept: Keeper::default(),
        };
        scene.run(None).await.unwrap();
        scene
    }

    async fn run(&mut self, approval: Option<&Approval>) -> Result<Report, RunError> {
        self.run_until(approval, std::future::pending())
            .await
            .unwrap()
    }

    /// A run that ends when `stop` does; `None`: it did, and was stopped.
    async fn run_until(
        &mut self,
        approval: Option<&Approval>,
        end: impl Future<Output = End>,
    ) -> Option<Result<Report, RunError>> {
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions {
            approval,
            checkpoints: Some(&self.kept),
            ..RunOptions::new(&progress, &stop)
        };
        let (company, client, state) = (&self.company, &self.client, &mut self.state);
        let planned = plan(company, client, &self.policy, state, &options);
        let mut planned = match planned.await {
            Ok(planned) => planned,
            Err(error) => return Some(Err(error)),
        };
        planned.invalidate(state);
        *self.kept.0.lock().unwrap() = state.ledger.to_bytes();
        let mut applied = Box::pin(planned.apply(state, &options));
        let end = tokio::select! {
            report = &mut applied => return Some(report),
            end = end => end,
        };
        if end == End::Stopped {
            stop.cancel();
            assert!(matches!(applied.await, Err(RunError::Stopped { .. })));
            return None;
        }
        // Nothing of it is heard any more, and another process goes on.
        drop(applied);
        let kept = self.kept.0.lock().unwrap().clone();
        let ledger = Ledger::load_unchecked(&kept, Timestamp::now());
        self.state = State::restored(MembershipCache::default(), ledger);
        None
    }

    /// Approves what is held, and ends the run once `done` says so while one request hangs.
    async fn end_in_the_middle(
        &mut self,
        hangs: Fault,
        end: End,
        done: impl Fn(&SimulatedOrganization) -> bool,
    ) {
        let held = self.run(None).await.unwrap();
        assert!(held.held().is_some());
        assert!(held.planned().is_empty(), "{:?}", held.planned());
        let digest = held.digest.clone();
        self.organization.faults().inject(hangs);
        let organization = Arc::clone(&self.organization);
        let until_done = async {
            while !done(&organization) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // As long as the record needs to be written again, and longer.
            tokio::time::sleep(Duration::from_millis(300)).await;
            end
        };
        let ended = self.run_until(Some(&Approval { digest }), until_done).await;
        assert!(ended.is_none(), "{:?}", ended.map(|one| one.is_ok()));
        self.organization.faults().clear();
    }

    /// A run without an approval holds all of it, and says why.
    async fn holds_what_was_undone(&mut self, case: &str) {
        let before = self.organization.snapshot();
        let report = self.run(None).await.unwrap();
        assert_eq!(self.organization.snapshot(), before, "{case}");
        assert!(report.held().is_some(), "{case}");
        let mut problems = report.problems.iter();
        let is_told = problems.any(|one| one.reason == ProblemReason::ApprovalVoid);
        assert!(is_told, "{case}");
    }

    fn member(&self, n: usize) -> Uuid {
        let id = self.organization.member_id(&email(n)).unwrap();
        id.to_string().parse().unwrap()
    }

    fn group(&self, own: &str) -> Uuid {
        let id = self.organization.group_id(own).unwrap();
        id.to_string().parse().unwrap()
    }

    fn access(&self, group: usize) -> usize {
        let after = self.organization.snapshot();
        let group = after.group(&format!("eng-{group}")).unwrap();
        group.collections.len()
    }
}

#[tokio::test]
async fn access_that_was_given_and_is_taken_back_by_hand_after_a_stop_is_not_given_again() {
    for end in [End::Stopped, End::Killed] {
        let mut scene = Scene::new().await;
        scene.policy.access.collections_limit = Limit::Count(1);
        scene.policy.access.collections = vec![CollectionRule {
            group: Glob::new("eng-*"),
            collections: vec![(
                CollectionName::Id(INFRA.parse().unwrap()),
                CollectionRight::Edit,
            )],
            exclusive: false,
        }];
        let put = format!("/api/public/groups/{}", scene.group("g2"));
        let hangs = Fault::new(Way::Hang).method("PUT").path(&put);
        let given = |organization: &SimulatedOrganization| {
            let now = organization.snapshot();
            let groups = now.groups.iter();
            groups.filter(|group| !group.collections.is_empty()).count() == 2
        };
        scene.end_in_the_middle(hangs, end, given).await;
        let first = scene.group("g0");
        let infra = CollectionAccess {
            id: INFRA.parse().unwrap(),
            ..CollectionAccess::default()
        };
        let back = AccessChange {
            id: infra.id,
            external_id: None,
            from: Some(infra),
            to: None,
        };
        scene.client.set_collections(first, &[back]).await.unwrap();
        let access = [0, 1, 2].map(|group| scene.access(group));
        assert_eq!(access, [0, 1, 0]);
        scene.holds_what_was_undone(&format!("{end:?}")).await;
    }
}

#[tokio::test]
async fn a_role_that_was_given_and_is_taken_back_by_hand_after_a_stop_is_not_given_again() {
    for end in [End::Stopped, End::Killed] {
        let mut scene = Scene::new().await;
        scene.policy.access.limit = 1;
        scene.policy.access.roles = vec![RoleRule {
            group: Glob::new("eng-0"),
            role: AccessRole::Admin,
        }];
        let put = format!("/api/public/members/{}", scene.member(2));
        let hangs = Fault::new(Way::Hang).method("PUT").path(&put);
        let given = |organization: &SimulatedOrganization| {
            let now = organization.snapshot();
            let members = now.members.values();
            members.filter(|one| one.role == Role::Admin).count() == 2
        };
        scene.end_in_the_middle(hangs, end, given).await;
        let (admin, user) = (AccessRole::Admin, AccessRole::User);
        let first = scene.member(0);
        scene.client.set_role(first, admin, user).await.unwrap();
        scene.holds_what_was_undone(&format!("{end:?}")).await;
    }
}

#[tokio::test]
async fn whoever_was_invited_and_is_removed_by_hand_after_a_stop_is_not_invited_again() {
    for end in [End::Stopped, End::Killed] {
        let mut scene = Scene::new().await;
        scene.policy.onboarding.limit = Limit::Count(1);
        for n in PEOPLE..PEOPLE + 4 {
            scene.company.people.push((own(n), email(n), false));
            scene.company.groups[0].2.insert(own(n));
        }
        let path = "/api/public/organization/import";
        // The first one invites, the second one fills the group.
        let hangs = Fault::new(Way::Hang).path(path).on_request(2);
        let invited = |organization: &SimulatedOrganization| {
            organization.snapshot().members.len() == 1 + PEOPLE + 4
        };
        scene.end_in_the_middle(hangs, end, invited).await;
        for n in [PEOPLE, PEOPLE + 1] {
            scene.client.remove(scene.member(n)).await.unwrap();
        }
        let report = scene.run(None).await.unwrap();
        assert!(report.held().is_some(), "{end:?}");
        let members = scene.organization.snapshot().members.len();
        assert_eq!(members, 1 + PEOPLE + 2, "{end:?}");
    }
}

#[tokio::test]
async fn a_refused_group_takes_nobody_with_its_id_off_a_limit_or_the_record() {
    let mut scene = Scene::new().await;
    // As where the IDs of both are numbers.
    for n in [0, 1] {
        let members = [own(6), own(7)].into();
        scene
            .company
            .groups
            .push((own(n), format!("group {n}"), members));
    }
    scene.policy.offboarding.disabled_limit = Limit::Count(1);
    scene.run(None).await.unwrap();
    let renamed = format!("/api/public/groups/{}", scene.group(&own(0)));
    let refused = Fault::new(Way::Refused).method("PUT").path(&renamed);
    scene.organization.faults().inject(refused);
    scene.company.groups[3].1 = "another name".into();
    scene.company.people[0].2 = true;
    let report = scene.run(None).await.unwrap();
    assert_eq!(scene.organization.faults().fired(), 1);
    let mut problems = report.problems.iter();
    assert!(problems.any(|one| one.reason == ProblemReason::Refused));
    let status = |scene: &Scene, n| scene.organization.snapshot().members[&email(n)].status;
    assert_eq!(status(&scene, 0), Status::Revoked);
    scene.company.people[1].2 = true;
    let held = scene.run(None).await.unwrap();
    assert!(held.held().is_some(), "a second within a day");
    assert_ne!(status(&scene, 1), Status::Revoked);
    // It was a run that revoked the first.
    let first = ExternalId::parse(&own(0)).unwrap();
    assert!(scene.state.ledger.has_revoked(&first));
}

#[tokio::test]
async fn roles_that_are_refused_at_every_run_use_up_no_limit() {
    let mut scene = Scene::new().await;
    scene.policy.access.limit = 2;
    scene.policy.access.roles = vec![RoleRule {
        group: Glob::new("eng-0"),
        role: AccessRole::Admin,
    }];
    let role = |scene: &Scene, n| scene.organization.snapshot().members[&email(n)].role;
    scene.company.groups[0].2 = [own(0), own(1)].into();
    for n in [0, 1] {
        let put = format!("/api/public/members/{}", scene.member(n));
        let refused = Fault::new(Way::Refused).method("PUT").path(&put);
        scene.organization.faults().inject(refused.from_then_on());
    }
    for _ in 0..3 {
        let report = scene.run(None).await.unwrap();
        assert!(report.held().is_none(), "{:?}", report.held());
        assert_eq!([0, 1].map(|n| role(&scene, n)), [Role::User; 2]);
    }
    // Two others may become administrators.
    scene.company.groups[0].2 = [own(4), own(5)].into();
    let report = scene.run(None).await.unwrap();
    assert!(report.held().is_none(), "{:?}", report.held());
    assert_eq!([4, 5].map(|n| role(&scene, n)), [Role::Admin; 2]);
    scene.company.groups[0].2.insert(own(6));
    assert!(scene.run(None).await.unwrap().held().is_some());
    // They are ours to take back; whoever was refused and got the role by hand keeps it.
    scene.organization.faults().clear();
    let (user, admin) = (AccessRole::User, AccessRole::Admin);
    scene
        .client
        .set_role(scene.member(0), user, admin)
        .await
        .unwrap();
    scene.policy.access.limit = 100;
    scene.company.groups[0].2.clear();
    scene.run(None).await.unwrap();
    let roles = [0, 4, 5].map(|n| role(&scene, n));
    assert_eq!(roles, [Role::Admin, Role::User, Role::User]);
}
