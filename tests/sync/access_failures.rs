//! `access` and `onboarding.reinvite` on servers that haven't got a call, and where answers are lost.

use directory_sync::history::parse;
use directory_sync::organization::collection::CollectionRight;
use directory_sync::organization::role::AccessRole;
use directory_sync::problem::ProblemReason;
use directory_sync::sync::history::{Outcome, Record};
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{
    CollectionName, CollectionRule, Glob, Limit, Reinvite, RoleRule,
};
use directory_sync::sync::report::Report;
use jiff::SignedDuration;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    Config, GroupSeed, MemberSeed, Role, SimulatedOrganization, Status,
};

use crate::scene::{Scene, company, email, people};

pub const INFRA: &str = "11111111-1111-4111-8111-111111111111";

/// Five confirmed members, of whom Ann is to be an admin and eng to see a collection.
pub async fn scene() -> Scene {
    let organization = SimulatedOrganization::start(Config {
        collections: vec![INFRA.to_owned()],
        ..Config::cloud()
    });
    let organization = organization.await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    let ids = ["ann", "bob", "cid", "dan", "eve"];
    for id in ids {
        organization.seed_member(MemberSeed::new(&email(id)).external_id(id));
    }
    let groups: [(&str, &str, &[&str]); 3] = [
        ("admins", "bw-admins", &["ann"]),
        ("eng", "eng", &["bob"]),
        ("ops", "ops", &["cid"]),
    ];
    for (id, name, members) in groups {
        let members = members.iter().map(|id| email(id));
        organization.seed_group(GroupSeed::new(name).external_id(id).members(members));
    }
    let mut scene = Scene::new(organization, company(&ids, &groups));
    scene.run().await.unwrap();
    scene.organization.clear_history();
    scene
}

pub fn admins() -> RoleRule {
    RoleRule {
        group: Glob::new("bw-admins"),
        role: AccessRole::Admin,
    }
}

pub fn view(group: &str) -> CollectionRule {
    CollectionRule {
        group: Glob::new(group),
        collections: vec![(
            CollectionName::Id(INFRA.parse().unwrap()),
            CollectionRight::View,
        )],
        exclusive: false,
    }
}

impl Scene {
    pub fn collections_of(&self, group: &str) -> usize {
        let snapshot = self.organization.snapshot();
        snapshot.group(group).unwrap().collections.len()
    }

    pub fn role_of(&self, id: &str) -> Role {
        self.organization.snapshot().members[&email(id)].role
    }

    fn done(&self, kind: Kind) -> Vec<Record> {
        let records = parse(&self.kept.history).records.into_iter();
        let records = records.filter(|one| one.action == kind && one.result == Outcome::Done);
        records.collect()
    }
}

/// The call of a server that hasn't got it: the first so many to the path are other ones.
struct Missing {
    method: &'static str,
    path: String,
    others: u64,
    /// What is said of it.
    field: &'static str,
    /// What isn't done because of it.
    kind: Kind,
}

fn all_refused(scene: &Scene, missing: &Missing, report: &Report, case: &str) {
    let problems: Vec<_> = report.problems.iter().collect();
    let told = problems.iter().find(|one| {
        let reasons = [ProblemReason::Refused, ProblemReason::Unsupported];
        reasons.contains(&one.reason) && one.message.contains(missing.field)
    });
    assert!(told.is_some(), "{case}: {problems:?}");
    assert_eq!(report.applied.get(missing.kind), 0, "{case}");
    // And all the rest is.
    for kind in [
        Kind::SetRole,
        Kind::SetCollections,
        Kind::Reinvite,
        Kind::Invite,
        Kind::Revoke,
        Kind::UpdateGroup,
    ] {
        let expected = usize::from(kind != missing.kind);
        assert_eq!(
            report.applied.get(kind),
            expected,
            "{case}: {}",
            kind.name()
        );
    }
    let members = scene.organization.snapshot().members;
    assert_eq!(members[&email("eve")].status, Status::Revoked, "{case}");
    assert!(members.contains_key(&email("new")), "{case}");
    let losses = scene.organization.losses();
    // Eve, who is disabled.
    assert_eq!(losses.len(), 1, "{case}: {losses:?}");
}

#[tokio::test]
async fn a_server_without_a_call_refuses_what_needs_it_with_the_reason_and_the_rest_is_done() {
    for status in [400, 404, 405, 501] {
        for which in 0..6 {
            let mut scene = scene().await;
            // Fay is invited already, and due for another mail.
            scene
                .company
                .people
                .push(("fay".into(), email("fay"), false));
            scene.run().await.unwrap();
            scene.organization.clear_history();
            let ann = scene.organization.member_id(&email("ann")).unwrap();
            let fay = scene.organization.member_id(&email("fay")).unwrap();
            let eng = scene.organization.group_id("eng").unwrap();
            let missing = |method, path: String, others, field, kind| Missing {
                method,
                path,
                others,
                field,
                kind,
            };
            let missing = match which {
                0 => missing(
                    "GET",
                    "/api/public/collections".into(),
                    0,
                    "access.collections",
                    Kind::SetCollections,
                ),
                // Who is in the group is read first.
                1 => missing(
                    "GET",
                    format!("/api/public/groups/{eng}"),
                    1,
                    "SetCollections eng",
                    Kind::SetCollections,
                ),
                2 => missing(
                    "PUT",
                    format!("/api/public/groups/{eng}"),
                    0,
                    "SetCollections eng",
                    Kind::SetCollections,
                ),
                3 => missing(
                    "GET",
                    format!("/api/public/members/{ann}"),
                    0,
                    "SetRole ann",
                    Kind::SetRole,
                ),
                4 => missing(
                    "PUT",
                    format!("/api/public/members/{ann}"),
                    0,
                    "SetRole ann",
                    Kind::SetRole,
                ),
                _ => missing(
                    "POST",
                    format!("/api/public/members/{fay}/reinvite"),
                    0,
                    "Reinvite fay",
                    Kind::Reinvite,
                ),
            };
            let case = format!("{} {} answers {status}", missing.method, missing.path);
            scene.policy.access.roles.push(admins());
            scene.policy.access.collections.push(view("eng"));
            scene.policy.onboarding.reinvite = Some(Reinvite {
                after: SignedDuration::ZERO,
                times: 1,
            });
            scene.policy.offboarding.disabled_limit = Limit::Percent(100.0);
            scene
                .company
                .people
                .push(("new".into(), email("new"), false));
            scene.company.people[4].2 = true;
            scene.company.groups[2].2 = people(&["cid", "dan"]);
            let fault = Fault::new(Way::Status(status)).method(missing.method);
            let fault = fault.path(&missing.path).on_request(missing.others + 1);
            scene.organization.faults().inject(fault.from_then_on());
            let report = scene
                .run()
                .await
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            all_refused(&scene, &missing, &report, &case);
            // And it is done once the server can.
            scene.organization.faults().clear();
            let report = scene
                .run()
                .await
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(report.applied.get(missing.kind), 1, "{case}");
            if missing.kind == Kind::Reinvite {
                // It is the newcomer's: a refused mail counts as one that was sent.
                let mails = scene.organization.invitations();
                assert_eq!(
                    (mails.get(&email("fay")), mails[&email("new")]),
                    (None, 2),
                    "{case}"
                );
            }
        }
    }
}

/// Who keeps what a run may have given.
pub fn kept(report: &Report) -> Vec<String> {
    let kept = report.problems.iter();
    let kept = kept.filter(|one| one.reason == ProblemReason::AccessKept);
    let kept = kept.flat_map(|one| &one.external_ids);
    kept.map(|id| id.as_str().to_owned()).collect()
}

/// A lost answer, and whether another process goes on.
const LOST: [(Way, bool); 4] = [
    (Way::CutConnection, false),
    (Way::CutConnection, true),
    (Way::Garbage, false),
    (Way::Garbage, true),
];

#[tokio::test]
async fn a_role_whose_answer_is_lost_counts_once_and_is_in_the_history_once() {
    for (way, killed) in LOST {
        let case = format!("{way:?}, killed {killed}");
        let mut scene = scene().await;
        scene.policy.access.roles.push(admins());
        scene.policy.access.limit = 2;
        let ann = scene.organization.member_id(&email("ann")).unwrap();
        let fault = Fault::new(way).work(Work::Done).method("PUT");
        let fault = fault.path(&format!("/api/public/members/{ann}"));
        scene.organization.faults().inject(fault);
        assert!(scene.try_run(None).await.is_err(), "{case}");
        assert_eq!(scene.role_of("ann"), Role::Admin, "{case}");
        if killed {
            scene.kill();
        } else {
            let Scene { kept, state, .. } = &mut scene;
            kept.keep(state);
        }
        let report = scene.run().await.unwrap();
        assert!(
            report.planned().is_empty(),
            "{case}: {:?}",
            report.planned()
        );
        let records = scene.done(Kind::SetRole);
        assert_eq!(records.len(), 1, "{case}: {records:?}");
        // Two within the day: one more, and not two.
        scene.company.groups[0].2 = people(&["ann", "bob", "cid"]);
        let held = scene.run().await.unwrap();
        assert_eq!(
            held.held().map(|held| held.changes.len()),
            Some(2),
            "{case}"
        );
        scene.company.groups[0].2 = people(&["ann", "bob"]);
        let report = scene.run().await.unwrap();
        assert!(report.held().is_none(), "{case}");
        assert_eq!(scene.role_of("bob"), Role::Admin, "{case}");
        // Nobody can tell it from one that somebody gave by hand meanwhile: it stays, and is told.
        scene.policy.access.limit = 100;
        scene.company.groups[0].2 = people(&[]);
        let report = scene.run().await.unwrap();
        let roles = ["ann", "bob"].map(|id| scene.role_of(id));
        assert_eq!(roles, [Role::Admin, Role::User], "{case}");
        assert_eq!(kept(&report), ["ann"], "{case}");
    }
}

#[tokio::test]
async fn access_whose_answer_is_lost_counts_once_and_is_in_the_history_once() {
    for (way, killed) in LOST {
        let case = format!("{way:?}, killed {killed}");
        let mut scene = scene().await;
        scene.policy.access.collections.push(view("eng"));
        scene.policy.access.collections_limit = Limit::Count(2);
        let eng = scene.organization.group_id("eng").unwrap();
        let fault = Fault::new(way).work(Work::Done).method("PUT");
        let fault = fault.path(&format!("/api/public/groups/{eng}"));
        scene.organization.faults().inject(fault);
        assert!(scene.try_run(None).await.is_err(), "{case}");
        assert_eq!(scene.collections_of("eng"), 1, "{case}");
        if killed {
            scene.kill();
        } else {
            let Scene { kept, state, .. } = &mut scene;
            kept.keep(state);
        }
        let report = scene.run().await.unwrap();
        assert!(
            report.planned().is_empty(),
            "{case}: {:?}",
            report.planned()
        );
        let records = scene.done(Kind::SetCollections);
        assert_eq!(records.len(), 1, "{case}: {records:?}");
        // Two within the day: Bob has, and Cid and Ann would.
        scene.policy.access.collections.push(view("*s*"));
        let held = scene.run().await.unwrap();
        assert_eq!(
            held.held().map(|held| held.changes.len()),
            Some(2),
            "{case}"
        );
        scene.policy.access.collections[1] = view("ops");
        let report = scene.run().await.unwrap();
        assert!(report.held().is_none(), "{case}: {:?}", report.held());
        assert_eq!(scene.collections_of("ops"), 1, "{case}");
        scene.policy.access.collections.clear();
        let report = scene.run().await.unwrap();
        let left = ["eng", "ops"].map(|group| scene.collections_of(group));
        assert_eq!(left, [1, 0], "{case}");
        assert_eq!(kept(&report), ["eng"], "{case}");
    }
}
