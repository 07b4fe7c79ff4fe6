//! `access.roles` on a server that behaves as Bitwarden's: what is sent, what stays, and that failures and
//! kills take nothing.

use std::collections::BTreeSet;

use directory_sync::history::parse;
use directory_sync::organization::role::{AccessRole, Permissions};
use directory_sync::problem::ProblemReason;
use directory_sync::sync::guard::Approval;
use directory_sync::sync::history::{Outcome, table};
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{Glob, RoleRule};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::run::RunOptions;
use directory_sync::sync::run_undo::{UndoRequest, plan_undo};
use directory_sync::sync::undo::{RunChoice, Scope};
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, Plan, Role, SimulatedOrganization,
};
use tokio_util::sync::CancellationToken;

use crate::access_failures::kept;
use crate::scene::{Scene, company, email, people};

const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";
const OTHER: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e11";

impl Scene {
    /// Ann, Bob and Cid, each with access to two collections, and a group of admins.
    async fn with(config: Config) -> Self {
        let organization = SimulatedOrganization::start(config).await.unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        let ids = ["ann", "bob", "cid"];
        for id in ids {
            let member = MemberSeed::new(&email(id)).external_id(id);
            let member = member.collection(CollectionAccess::to(VAULT));
            organization.seed_member(member.collection(CollectionAccess::to(OTHER)));
        }
        let admins = GroupSeed::new("bw-admins").external_id("admins");
        organization.seed_group(admins.collection(CollectionAccess::to(VAULT)));
        organization.seed_group(GroupSeed::new("By hand").members(["ann@example.com"]));
        let groups: [(&str, &str, &[&str]); 2] =
            [("admins", "bw-admins", &[]), ("helpdesk", "helpdesk", &[])];
        let mut scene = Self::new(organization, company(&ids, &groups));
        scene.policy.access.limit = 100;
        let custom = Permissions::of(["manageUsers", "accessReports"]);
        for (group, role) in [
            ("bw-admins", AccessRole::Admin),
            ("helpdesk", AccessRole::Custom(custom)),
        ] {
            let group = Glob::new(group);
            scene.policy.access.roles.push(RoleRule { group, role });
        }
        scene
    }

    async fn in_sync() -> Self {
        let mut scene = Self::with(Config::cloud()).await;
        scene.run().await.unwrap();
        scene
    }

    fn put(&mut self, admins: &[&str], helpdesk: &[&str]) {
        self.company.groups[0].2 = people(admins);
        self.company.groups[1].2 = people(helpdesk);
    }

    fn role(&self, id: &str) -> Role {
        self.organization.snapshot().members[&email(id)].role
    }
}

#[tokio::test]
async fn a_role_takes_one_put_and_everything_else_stays_as_it_was() {
    // Older servers tell collections only of single members.
    for lists_collections in [true, false] {
        let mut scene = Scene::with(Config {
            lists_collections,
            ..Config::cloud()
        })
        .await;
        scene.run().await.unwrap();
        scene.put(&["ann"], &["bob"]);
        let before = scene.organization.snapshot();
        scene.organization.clear_requests();
        let report = scene.run().await.unwrap();
        assert_eq!(report.applied.get(Kind::SetRole), 2);
        let after = scene.organization.snapshot();
        let mut expected = before.members.clone();
        expected.get_mut("ann@example.com").unwrap().role = Role::Admin;
        expected.get_mut("bob@example.com").unwrap().role = Role::Custom;
        assert_eq!(after.members, expected);
        assert!(scene.organization.losses().is_empty());
        let puts = scene.organization.requests();
        let puts: Vec<_> = puts
            .iter()
            .filter(|one| one.method == "PUT" && one.path.contains("/members/"))
            .collect();
        assert_eq!(puts.len(), 2, "{puts:?}");
        let custom = puts.iter().find(|one| one.json()["type"] == 4).unwrap();
        let permissions = &custom.json()["permissions"];
        assert_eq!(permissions["manageUsers"], true);
        assert_eq!(permissions["manageSso"], false);

        // And nothing more.
        scene.organization.clear_requests();
        let again = scene.run().await.unwrap();
        assert!(again.in_sync(), "{:?}", again.planned());
        assert!(
            !scene
                .organization
                .requests()
                .iter()
                .any(simulators::organization::Request::is_write)
        );
        // Who leaves the group has no role by it any more, and all the rest.
        scene.put(&[], &[]);
        scene.run().await.unwrap();
        assert_eq!(scene.organization.snapshot().members, before.members);
    }
}

#[tokio::test]
async fn the_history_says_who_got_which_role_through_what() {
    let mut scene = Scene::in_sync().await;
    scene.put(&["ann"], &[]);
    scene.run().await.unwrap();
    scene.put(&[], &["ann"]);
    scene.run().await.unwrap();
    let records = parse(&scene.kept.history).records;
    let roles: Vec<_> = records
        .into_iter()
        .filter(|record| record.action == Kind::SetRole)
        .collect();
    assert!(roles.iter().all(|one| one.result == Outcome::Done));
    let text = table(&roles, &[].into(), true);
    assert!(
        text.contains("ann@example.com: Admin through bw-admins, was User"),
        "{text}"
    );
    assert!(
        text.contains("ann@example.com: Custom (accessReports, manageUsers) through"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_role_takes_nothing_and_is_told() {
    let mut scene = Scene::with(Config {
        plan: Plan {
            custom_permissions: false,
            ..Config::cloud().plan
        },
        ..Config::cloud()
    })
    .await;
    scene.run().await.unwrap();
    scene.put(&["bob"], &["ann"]);
    let before = scene.organization.snapshot();
    let report = scene.run().await.unwrap();
    assert_eq!(scene.role("ann"), Role::User);
    assert_eq!(scene.role("bob"), Role::Admin);
    let refused: Vec<_> = report
        .problems
        .iter()
        .filter(|problem| problem.reason == ProblemReason::Refused)
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].message.contains("Enterprise"), "{refused:?}");
    let ann =
        |snapshot: &simulators::organization::Snapshot| snapshot.members["ann@example.com"].clone();
    assert_eq!(ann(&scene.organization.snapshot()), ann(&before));
}

#[tokio::test]
async fn a_role_is_taken_back_by_an_undo_and_not_given_again() {
    let mut scene = Scene::in_sync().await;
    scene.put(&["ann"], &[]);
    scene.run().await.unwrap();
    let records = parse(&scene.kept.history).records;
    let run = records
        .iter()
        .find(|record| record.action == Kind::SetRole)
        .map(|record| record.run.clone())
        .unwrap();
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let options = RunOptions::new(&progress, &stop);
    let request = UndoRequest {
        run: RunChoice::Id(run.to_string()),
        scope: Scope {
            person: Some("ann@example.com".into()),
            ..Scope::default()
        },
    };
    let (client, state) = (&scene.client, &mut scene.state);
    let records = (records.as_slice(), None);
    let undo = plan_undo(client, &scene.policy, state, &options, records, &request)
        .await
        .unwrap();
    undo.planned
        .apply(&mut scene.state, &options)
        .await
        .unwrap();
    assert_eq!(scene.role("ann"), Role::User);

    // She is still in the directory's group: it is held until somebody approves it.
    let held = scene.run().await.unwrap();
    assert_eq!(scene.role("ann"), Role::User);
    let digest = held.held().unwrap().hold.id.clone();
    let approval = Approval { digest };
    scene.try_run(Some(&approval)).await.unwrap();
    assert_eq!(scene.role("ann"), Role::Admin);
}

#[tokio::test]
async fn whatever_fails_or_is_killed_the_next_run_ends_as_declared() {
    let undisturbed = {
        let mut scene = Scene::in_sync().await;
        scene.put(&["bob", "cid"], &["ann"]);
        scene.run().await.unwrap();
        scene.organization.clear_requests();
        scene.put(&["ann"], &["bob"]);
        scene.run().await.unwrap();
        (
            scene.organization.snapshot(),
            scene.organization.requests().len() as u64,
        )
    };
    let (wanted, requests) = undisturbed;
    assert!(requests >= 8, "{requests}");
    // Of whom it wasn't known, by the request that was disturbed: of each its own alone.
    let mut unclear = BTreeSet::new();
    for number in 1..=requests {
        for way in [Way::Refused, Way::InternalError, Way::CutConnection] {
            for work in Work::BOTH {
                // A refusal is an answer: what was refused wasn't done.
                if way == Way::Refused && work == Work::Done {
                    continue;
                }
                for killed in [false, true] {
                    let case = format!("request {number}, {way:?}, {work:?}, killed {killed}");
                    let mut scene = Scene::in_sync().await;
                    scene.put(&["bob", "cid"], &["ann"]);
                    scene.run().await.unwrap();
                    scene.put(&["ann"], &["bob"]);
                    let before = scene.organization.snapshot();
                    scene.organization.clear_requests();
                    let fault = Fault::new(way).work(work).on_request(number);
                    scene.organization.faults().inject(fault);
                    let _ = scene.try_run(None).await;
                    if killed {
                        scene.kill();
                    }
                    let between = scene.organization.snapshot();
                    for (email, member) in &between.members {
                        let collections = &before.members[email].collections;
                        assert_eq!(&member.collections, collections, "{case}: {email}");
                        assert_eq!(member.external_id, before.members[email].external_id);
                    }
                    scene.organization.faults().clear();
                    let report = scene
                        .run()
                        .await
                        .unwrap_or_else(|error| panic!("{case}: {error}"));
                    // Cid's role was given by a run before: it is gone, unless its request had no answer. It may
                    // have been given by hand since.
                    let mut wanted = wanted.clone();
                    if scene.role("cid") == Role::Admin {
                        wanted.members.get_mut("cid@example.com").unwrap().role = Role::Admin;
                        assert_eq!(kept(&report), ["cid"], "{case}");
                        unclear.insert((number, "cid"));
                    }
                    assert_eq!(scene.organization.snapshot(), wanted, "{case}");
                    // And so is the rest, once asked for.
                    scene.put(&[], &[]);
                    let report = scene.run().await.unwrap();
                    let left = ["ann", "bob", "cid"].into_iter();
                    let left: Vec<&str> = left.filter(|id| scene.role(id) != Role::User).collect();
                    assert_eq!(kept(&report), left, "{case}");
                    assert!(left.len() <= 1, "{case}: {left:?}");
                    unclear.extend(left.into_iter().map(|id| (number, id)));
                }
            }
        }
    }
    let numbers: BTreeSet<u64> = unclear.iter().map(|(number, _)| *number).collect();
    assert_eq!(unclear.len(), numbers.len(), "{unclear:?}");
    let people: BTreeSet<&str> = unclear.iter().map(|(_, id)| *id).collect();
    assert_eq!(people, ["ann", "bob", "cid"].into(), "{unclear:?}");
}
