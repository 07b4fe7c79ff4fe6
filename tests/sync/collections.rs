//! `access.collections` on a server that behaves as Bitwarden's: what is sent, what stays, and that failures
//! and kills take nothing.

use std::collections::BTreeSet;

use directory_sync::history::parse;
use directory_sync::organization::collection::CollectionRight;
use directory_sync::sync::history::table;
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{CollectionName, CollectionRule, Glob};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::run::RunOptions;
use directory_sync::sync::run_undo::{UndoRequest, plan_undo};
use directory_sync::sync::undo::{RunChoice, Scope};
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, SimulatedOrganization,
};
use tokio_util::sync::CancellationToken;

use crate::access_failures::kept;
use crate::scene::{Scene, company, email, people};

const INFRA: &str = "11111111-1111-4111-8111-111111111111";
const WEB: &str = "22222222-2222-4222-8222-222222222222";
const WIKI: &str = "33333333-3333-4333-8333-333333333333";

fn rule(group: &str, exclusive: bool, access: &[(&str, CollectionRight)]) -> CollectionRule {
    let named = |(name, right): &(&str, CollectionRight)| {
        let name = match name.parse() {
            Ok(id) => CollectionName::Id(id),
            Err(_) => CollectionName::ExternalId((*name).into()),
        };
        (name, *right)
    };
    CollectionRule {
        group: Glob::new(group),
        collections: access.iter().map(named).collect(),
        exclusive,
    }
}

/// Three collections, the first of which has an external id; eng, with access by hand to the third.
async fn scene() -> Scene {
    let organization = SimulatedOrganization::start(Config {
        collections: [INFRA, WEB, WIKI].map(str::to_owned).to_vec(),
        ..Config::cloud()
    })
    .await
    .unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    for id in ["ann", "bob"] {
        organization.seed_member(MemberSeed::new(&email(id)).external_id(id));
    }
    let eng = GroupSeed::new("eng").external_id("eng");
    let eng = eng.members(["ann@example.com"]);
    organization.seed_group(eng.collection(CollectionAccess::to(WIKI)));
    organization.seed_group(GroupSeed::new("ops").external_id("ops"));
    let by_hand = GroupSeed::new("By hand").members(["ann@example.com"]);
    organization.seed_group(by_hand.collection(CollectionAccess::to(WEB)));
    let groups: [(&str, &str, &[&str]); 2] = [("eng", "eng", &["ann"]), ("ops", "ops", &["bob"])];
    let mut scene = Scene::new(organization, company(&["ann", "bob"], &groups));
    let infra = INFRA.parse().unwrap();
    let named = scene
        .client
        .set_collection_external_id(infra, Some("infra"));
    named.await.unwrap();
    scene.run().await.unwrap();
    scene
}

impl Scene {
    fn rules(&mut self, rules: Vec<CollectionRule>) {
        self.policy.access.collections = rules;
    }
}

#[tokio::test]
async fn access_takes_one_put_a_group_and_everything_else_stays_as_it_was() {
    let mut scene = scene().await;
    let before = scene.organization.snapshot();
    scene.rules(vec![rule(
        "eng",
        false,
        &[
            ("infra", CollectionRight::View),
            (WEB, CollectionRight::Manage),
        ],
    )]);
    scene.organization.clear_requests();
    let report = scene.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::SetCollections), 1);
    let puts = scene.organization.requests();
    let puts = puts.iter().filter(|one| one.method == "PUT").count();
    assert_eq!(puts, 1);
    assert!(scene.organization.losses().is_empty());
    let after = scene.organization.snapshot();
    let eng = after.group("eng").unwrap();
    assert_eq!(eng.members, before.group("eng").unwrap().members);
    assert_eq!(eng.collections.len(), 3, "{eng:?}");
    let infra = eng.collections.iter().find(|one| one.id == INFRA).unwrap();
    assert!(infra.read_only && !infra.hide_passwords && !infra.manage);
    assert_eq!(after.members, before.members);
    assert_eq!(after.group("By hand"), before.group("By hand"));

    scene.organization.clear_requests();
    let again = scene.run().await.unwrap();
    assert!(again.in_sync(), "{:?}", again.planned());
    let requests = scene.organization.requests();
    assert!(
        !requests
            .iter()
            .any(simulators::organization::Request::is_write)
    );

    // The rule goes, and so does what it gave.
    scene.rules(vec![]);
    scene.run().await.unwrap();
    assert_eq!(scene.organization.snapshot(), before);
    // And then nobody asks for collections any more.
    scene.organization.clear_requests();
    scene.run().await.unwrap();
    let requests = scene.organization.requests();
    assert!(!requests.iter().any(|one| one.path.contains("/collections")));
}

#[tokio::test]
async fn a_group_that_is_renamed_and_filled_gets_its_access_in_the_same_run() {
    let mut scene = scene().await;
    scene.company.groups[0].1 = "engineering".into();
    scene.company.groups[0].2 = people(&["ann", "bob"]);
    scene.rules(vec![rule(
        "engineering",
        true,
        &[("infra", CollectionRight::Edit)],
    )]);
    scene.run().await.unwrap();
    let after = scene.organization.snapshot();
    let eng = after.group("engineering").unwrap();
    assert_eq!(eng.members.len(), 2);
    assert_eq!(eng.external_id.as_deref(), Some("eng"));
    let access: Vec<&str> = eng.collections.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(access, [INFRA]);
}

#[tokio::test]
async fn the_history_names_the_access_and_an_undo_gives_it_back() {
    let mut scene = scene().await;
    let before = scene.organization.snapshot();
    scene.rules(vec![rule("eng", true, &[("infra", CollectionRight::View)])]);
    scene.run().await.unwrap();
    let records = parse(&scene.kept.history).records;
    let records: Vec<_> = records
        .into_iter()
        .filter(|record| record.action == Kind::SetCollections)
        .collect();
    let text = table(&records, &[].into(), true);
    assert!(text.contains("View on infra"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let options = RunOptions::new(&progress, &stop);
    let request = UndoRequest {
        run: RunChoice::Id(records[0].run.to_string()),
        scope: Scope::default(),
    };
    let (client, state) = (&scene.client, &mut scene.state);
    let all = (records.as_slice(), None);
    let undo = plan_undo(client, &scene.policy, state, &options, all, &request)
        .await
        .unwrap();
    undo.planned
        .apply(&mut scene.state, &options)
        .await
        .unwrap();
    assert_eq!(scene.organization.snapshot(), before);
    // It isn't done again by itself.
    let held = scene.run().await.unwrap();
    assert!(held.held().is_some());
    assert_eq!(scene.organization.snapshot(), before);
}

#[tokio::test]
async fn whatever_fails_or_is_killed_the_next_run_ends_as_declared() {
    let rules = || {
        vec![
            rule("eng", true, &[("infra", CollectionRight::View)]),
            rule("ops", false, &[(WEB, CollectionRight::Edit)]),
        ]
    };
    let (wanted, requests) = {
        let mut scene = scene().await;
        scene.rules(rules());
        scene.organization.clear_requests();
        scene.run().await.unwrap();
        let requests = scene.organization.requests().len() as u64;
        (scene.organization.snapshot(), requests)
    };
    assert!(requests >= 7, "{requests}");
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
                    let mut scene = scene().await;
                    let members = scene.organization.snapshot().members;
                    scene.rules(rules());
                    let fault = Fault::new(way).work(work).on_request(number);
                    scene.organization.faults().inject(fault);
                    let _ = scene.try_run(None).await;
                    if killed {
                        scene.kill();
                    }
                    scene.organization.faults().clear();
                    assert_eq!(scene.organization.snapshot().members, members, "{case}");
                    scene
                        .run()
                        .await
                        .unwrap_or_else(|error| panic!("{case}: {error}"));
                    assert_eq!(scene.organization.snapshot(), wanted, "{case}");
                    // What was given is taken back once no rule says so, but for that of which nobody knows who gave
                    // it.
                    scene.rules(vec![]);
                    let report = scene.run().await.unwrap();
                    let now = scene.organization.snapshot();
                    let has = |group: &&str| !now.group(group).unwrap().collections.is_empty();
                    let left: Vec<&str> = ["eng", "ops"].into_iter().filter(has).collect();
                    assert_eq!(kept(&report), left, "{case}");
                    assert!(left.is_empty() || way != Way::Refused, "{case}");
                    assert!(left.len() <= 1, "{case}");
                    unclear.extend(left.into_iter().map(|group| (group, number)));
                }
            }
        }
    }
    let groups: BTreeSet<&str> = unclear.iter().map(|(group, _)| *group).collect();
    assert_eq!(groups, ["eng", "ops"].into(), "{unclear:?}");
    assert!((unclear.len() as u64) < requests, "{unclear:?}");
}
