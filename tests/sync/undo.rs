//! Undo: what a run did is taken back, isn't done again by itself, and can be taken back in its turn.

use std::collections::{BTreeMap, BTreeSet};

use directory_sync::history::parse;
use directory_sync::organization::OrganizationClient;
use directory_sync::sync::guard::{Approval, Digest, HeldBecause};
use directory_sync::sync::history::{Outcome, Record, RunId, RunInfo, RunTrigger, table};
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{Limit, Policy};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{RunOptions, State, plan};
use directory_sync::sync::run_undo::{PlannedUndo, UndoRequest, plan_undo};
use directory_sync::sync::undo::{Left, RunChoice, Scope};
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, MemberSnapshot, SimulatedOrganization,
    Snapshot, Status,
};
use tokio_util::sync::CancellationToken;

use crate::history::{Company, Kept, Random, all_that_happened, chance, only, seeds, sorted, told};
use crate::world::{NO_RETRY, client, policy};

const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";

/// A company, its organization, and what is kept between processes.
struct Scene {
    organization: SimulatedOrganization,
    client: OrganizationClient,
    company: Company,
    policy: Policy,
    state: State,
    kept: Kept,
}

impl Scene {
    fn new(organization: SimulatedOrganization, company: Company) -> Self {
        let client = client(&organization, NO_RETRY);
        let state = State::default();
        let kept = Kept {
            ledger: state.ledger.to_bytes(),
            memberships: MembershipCache::default(),
            history: String::new(),
        };
        Self {
            organization,
            client,
            company,
            policy: policy(),
            state,
            kept,
        }
    }

    fn start(&mut self, trigger: RunTrigger, undoes: Option<RunId>) {
        self.state.history.start(RunInfo {
            id: RunId::at(Timestamp::now()),
            trigger,
            approved_by: None,
            undoes,
            directory_sync: None,
        });
    }

    /// A run; `None`: it failed.
    async fn sync(&mut self, approve: Option<&Digest>) -> Option<Report> {
        self.start(RunTrigger::Command, None);
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let approval = approve.map(|digest| Approval {
            digest: digest.clone(),
        });
        let options = RunOptions {
            approval: approval.as_ref(),
            ..RunOptions::new(&progress, &stop)
        };
        let (company, client) = (&self.company, &self.client);
        let planned = plan(company, client, &self.policy, &mut self.state, &options).await;
        let mut planned = planned.ok()?;
        planned.invalidate(&mut self.state);
        self.kept.keep(&mut self.state);
        let applied = planned.apply(&mut self.state, &options).await;
        applied.ok()
    }

    fn records(&self) -> Vec<Record> {
        parse(&self.kept.history).records
    }

    /// The run whose records are the newest.
    fn last_run(&self) -> Option<RunId> {
        let records = self.records();
        let newest = records
            .iter()
            .max_by_key(|record| (record.time, record.run.clone()));
        newest.map(|record| record.run.clone())
    }

    /// Takes a run back; what isn't taken back. What limits hold back is shown, and approved. `None`: it
    /// failed.
    async fn undo(&mut self, run: &RunId, scope: Scope) -> Option<(Report, Vec<Left>)> {
        let mut shown = self.plan_undo(run, &scope, None).await?;
        if let Some(held) = shown.held() {
            assert!(!held.why.is_empty(), "it says why");
            let approval = Approval {
                digest: held.hold.id.clone(),
            };
            shown = self.plan_undo(run, &scope, Some(&approval)).await?;
            assert!(shown.held().is_none(), "{:?}", shown.held());
        }
        self.apply_undo(shown).await
    }

    /// Does what is shown, without what limits hold back.
    async fn apply_undo(&mut self, mut shown: PlannedUndo) -> Option<(Report, Vec<Left>)> {
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions::new(&progress, &stop);
        self.start(RunTrigger::Undo, Some(shown.run.clone()));
        shown.planned.invalidate(&mut self.state);
        self.kept.keep(&mut self.state);
        let applied = shown.planned.apply(&mut self.state, &options).await;
        Some((applied.ok()?, shown.left))
    }

    async fn plan_undo(
        &mut self,
        run: &RunId,
        scope: &Scope,
        approval: Option<&Approval>,
    ) -> Option<PlannedUndo> {
        let progress = Progress::default();
        let stop = CancellationToken::new();
        let options = RunOptions {
            approval,
            ..RunOptions::new(&progress, &stop)
        };
        let request = UndoRequest {
            run: RunChoice::Id(run.to_string()),
            scope: scope.clone(),
        };
        let records = self.records();
        let records = (records.as_slice(), None);
        let (client, policy, state) = (&self.client, &self.policy, &mut self.state);
        let planned = plan_undo(client, policy, state, &options, records, &request).await;
        planned.ok()
    }

    fn keep(&mut self) {
        self.kept.keep(&mut self.state);
    }

    fn assert_records_equal_the_journal(&self, about: &str) {
        let parsed = parse(&self.kept.history);
        assert_eq!(parsed.unreadable, 0);
        let told = sorted(parsed.records.iter().flat_map(told).collect());
        let happened = sorted(all_that_happened(
            &self.organization.history(),
            &parsed.records,
        ));
        assert!(
            told == happened,
            "{about}\nonly in the records: {:?}\nonly in the journal: {:?}\n{}",
            only(&told, &happened),
            only(&happened, &told),
            table(&parsed.records, &[].into(), false)
        );
    }
}

/// Why changes are held.
fn why(report: &Report) -> Vec<HeldBecause> {
    report
        .held()
        .map(|held| held.why.clone())
        .unwrap_or_default()
}

/// What docs/undo.md says can't be taken back: whoever is invited again has to accept, has a user's role, no
/// access given by hand, and isn't in groups that no sync manages.
fn as_far_as_it_goes(before: &Snapshot, between: &Snapshot) -> Snapshot {
    let mut expected = before.clone();
    let mut invited = BTreeSet::new();
    for (email, member) in &mut expected.members {
        match between.members.get(email) {
            Some(_) => {}
            None => {
                invited.insert(email.clone());
                member.status = Status::Invited;
                member.collections.clear();
            }
        }
    }
    for group in &mut expected.groups {
        if group.external_id.is_none() {
            group.members.retain(|email| !invited.contains(email));
        }
    }
    expected
}

fn differences(expected: &Snapshot, found: &Snapshot) -> String {
    let members: BTreeMap<&String, (Option<&MemberSnapshot>, Option<&MemberSnapshot>)> = expected
        .members
        .keys()
        .chain(found.members.keys())
        .map(|email| {
            (
                email,
                (expected.members.get(email), found.members.get(email)),
            )
        })
        .filter(|(_, (one, other))| one != other)
        .collect();
    let here = expected
        .groups
        .iter()
        .filter(|one| !found.groups.contains(one));
    let there = found
        .groups
        .iter()
        .filter(|one| !expected.groups.contains(one));
    format!(
        "members: {members:#?}\ngroups expected: {:#?}\ngroups found: {:#?}",
        here.collect::<Vec<_>>(),
        there.collect::<Vec<_>>()
    )
}

async fn organization() -> SimulatedOrganization {
    let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
    let vault = || CollectionAccess::to(VAULT);
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    organization.seed_member(MemberSeed::new("p1@example.com").collection(vault()));
    organization.seed_member(MemberSeed::new("by.hand@example.com"));
    let revoked = MemberSeed::new("p2@example.com").external_id("p2");
    organization.seed_member(revoked.status(Status::Revoked));
    organization.seed_group(GroupSeed::new("By hand").members(["by.hand@example.com"]));
    let group = GroupSeed::new("old name")
        .external_id("g1")
        .collection(vault());
    organization.seed_group(group.members(["by.hand@example.com", "p2@example.com"]));
    organization
}

fn company() -> Company {
    Company {
        people: (1..=8)
            .map(|n| (format!("p{n}"), format!("p{n}@example.com"), false))
            .collect(),
        groups: vec![("g1".into(), "team 1".into(), BTreeSet::new())],
    }
}

fn group(id: &str, name: &str, members: &[&str]) -> (String, String, BTreeSet<String>) {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    (id.into(), name.into(), members)
}

/// A company in sync: p1 to p8, teams g1 (p3, p4) and g2 (p4, p5), which opens a collection.
async fn synced() -> Scene {
    let organization = organization().await;
    let mut company = company();
    company.groups = vec![
        group("g1", "team 1", &["p3", "p4"]),
        group("g2", "team 2", &["p4", "p5"]),
    ];
    let g2 = GroupSeed::new("team 2")
        .external_id("g2")
        .collection(CollectionAccess::to(VAULT));
    organization.seed_group(g2.members(["by.hand@example.com"]));
    let mut scene = Scene::new(organization, company);
    scene.sync(None).await.unwrap();
    scene.keep();
    for number in 3..=8 {
        let _ = scene
            .organization
            .accept_and_confirm(&format!("p{number}@example.com"));
    }
    scene.sync(None).await.unwrap();
    scene.keep();
    scene
}

/// p3 leaves the company, p4 is disabled, p9 is new, g2 is gone, g1 has another name and p5 for p4.
fn reorganize(company: &mut Company) {
    company.people.retain(|(id, ..)| id != "p3");
    company
        .people
        .iter_mut()
        .find(|(id, ..)| id == "p4")
        .unwrap()
        .2 = true;
    company
        .people
        .push(("p9".into(), "p9@example.com".into(), false));
    company.groups = vec![
        group("g1", "team one", &["p5", "p9"]),
        group("g3", "team 3", &["p6"]),
    ];
}

#[tokio::test]
async fn everything_that_a_run_did_is_taken_back_and_not_done_again_until_it_is_approved() {
    let mut scene = synced().await;
    let before = scene.organization.snapshot();
    reorganize(&mut scene.company);
    scene.sync(None).await.unwrap();
    scene.keep();
    let between = scene.organization.snapshot();
    let run = scene.last_run().unwrap();
    let did: BTreeSet<Kind> = scene
        .records()
        .iter()
        .filter(|record| record.run == run)
        .map(|record| record.action)
        .collect();
    let kinds = [
        Kind::Invite,
        Kind::Revoke,
        Kind::Remove,
        Kind::CreateGroup,
        Kind::RenameGroup,
        Kind::UpdateGroup,
        Kind::DeleteGroup,
    ];
    assert_eq!(did, kinds.into());

    let (_, left) = scene.undo(&run, Scope::default()).await.unwrap();
    scene.keep();
    assert_eq!(left, []);
    let expected = as_far_as_it_goes(&before, &between);
    let undone = scene.organization.snapshot();
    assert!(undone == expected, "{}", differences(&expected, &undone));
    let team = undone
        .groups
        .iter()
        .find(|group| group.name == "team 2")
        .unwrap();
    assert_eq!(team.collections, [CollectionAccess::to(VAULT)]);
    assert!(
        team.members.contains(&"by.hand@example.com".to_owned()),
        "{team:?}"
    );

    // The directory asks for all of it again: also a new process holds it, and says why.
    scene.state = scene.kept.restore();
    let held = scene.sync(None).await.unwrap();
    scene.keep();
    assert!(
        matches!(why(&held).as_slice(), [HeldBecause::Undone { .. }]),
        "{:?}",
        why(&held)
    );
    let now = scene.organization.snapshot();
    assert!(now == undone, "{}", differences(&undone, &now));
    // And nothing else: somebody who leaves now isn't held.
    scene.company.people.retain(|(id, ..)| id != "p8");
    let others = scene.sync(None).await.unwrap();
    scene.keep();
    assert_eq!(others.applied.total(), 1);
    assert!(
        !scene
            .organization
            .snapshot()
            .members
            .contains_key("p8@example.com")
    );

    let digest = others.held().unwrap().hold.id.clone();
    let approved = scene.sync(Some(&digest)).await.unwrap();
    scene.keep();
    assert!(approved.held().is_none());
    let mut expected = between;
    expected.members.remove("p8@example.com");
    let now = scene.organization.snapshot();
    assert!(now == expected, "{}", differences(&expected, &now));
    scene.assert_records_equal_the_journal("approved after an undo");
}

#[tokio::test]
async fn what_is_taken_back_is_held_until_the_directory_agrees() {
    let mut scene = synced().await;
    let person = scene.company.people.remove(2);
    scene.sync(None).await.unwrap();
    scene.keep();
    let run = scene.last_run().unwrap();
    scene.undo(&run, Scope::default()).await.unwrap();
    scene.keep();
    let held = scene.sync(None).await.unwrap();
    assert_eq!(held.held().unwrap().changes.len(), 1, "{:?}", held.held());
    // She is in the directory again: it was an accident there.
    scene.company.people.push(person);
    let agrees = scene.sync(None).await.unwrap();
    assert!(agrees.held().is_none());
    // When she leaves another time, nothing is left of the undo.
    scene.company.people.pop();
    let gone = scene.sync(None).await.unwrap();
    assert!(gone.held().is_none());
    assert_eq!(gone.applied.get(Kind::Remove), 1);
}

#[tokio::test]
async fn somebody_who_is_dismissed_loses_access_though_an_undo_gave_it_back_for_another_reason() {
    let mut scene = synced().await;
    let at = scene
        .company
        .people
        .iter()
        .position(|(id, ..)| id == "p6")
        .unwrap();
    let person = scene.company.people.remove(at);
    scene.sync(None).await.unwrap();
    scene.keep();
    let run = scene.last_run().unwrap();
    scene.undo(&run, Scope::default()).await.unwrap();
    assert!(scene.sync(None).await.unwrap().held().is_some());
    scene.company.people.push((person.0, person.1, true));
    let dismissed = scene.sync(None).await.unwrap();
    assert!(dismissed.held().is_none());
    assert_eq!(dismissed.applied.get(Kind::Revoke), 1);
}

#[tokio::test]
async fn a_part_is_taken_back_and_what_somebody_changed_since_stands() {
    let mut scene = synced().await;
    reorganize(&mut scene.company);
    scene.sync(None).await.unwrap();
    scene.keep();
    let run = scene.last_run().unwrap();
    let of = |person: &str| Scope {
        person: Some(person.to_owned()),
        group: None,
    };
    let before = scene.organization.snapshot();
    scene.undo(&run, of("P4@example.com")).await.unwrap();
    scene.keep();
    let now = scene.organization.snapshot();
    assert_eq!(now.members["p4@example.com"].status, Status::Confirmed);
    assert_eq!(now.members.len(), before.members.len(), "nobody else");
    let team = now
        .groups
        .iter()
        .find(|group| group.name == "team one")
        .unwrap();
    assert!(
        team.members.contains(&"p4@example.com".to_owned()),
        "{team:?}"
    );

    // p9 accepted, somebody filled the new group, and made the deleted one anew.
    let _ = scene.organization.accept_and_confirm("p9@example.com");
    scene
        .organization
        .set_group_members("team 3", &["by.hand@example.com", "p6@example.com"]);
    scene
        .organization
        .seed_group(GroupSeed::new("team two").external_id("g2"));
    let (_, left) = scene.undo(&run, Scope::default()).await.unwrap();
    scene.keep();
    let mut left: Vec<String> = left
        .iter()
        .map(|one| format!("{} {}: {}", one.action.name(), one.what, one.why))
        .collect();
    left.sort();
    let expected = [
        "CreateGroup team 3: others have come into it since",
        "DeleteGroup team 2: there is a group with its external id again",
        "Invite p9@example.com: has accepted the invitation",
        "Revoke p4@example.com: was taken back by run ",
    ];
    assert_eq!(left.len(), expected.len(), "{left:#?}");
    for (left, expected) in left.iter().zip(expected) {
        assert!(left.starts_with(expected), "{left}");
    }
    let now = scene.organization.snapshot();
    assert_eq!(now.members["p9@example.com"].status, Status::Confirmed);
    assert!(now.groups.iter().any(|group| group.name == "team two"));
    assert!(now.groups.iter().any(|group| group.name == "team 3"));
}

#[tokio::test]
async fn whoever_was_linked_has_no_id_again_stays_in_their_groups_and_is_linked_once_that_is_approved()
 {
    let organization = organization().await;
    organization.seed_group(
        GroupSeed::new("team 2")
            .external_id("g2")
            .members(["p1@example.com", "by.hand@example.com"]),
    );
    let mut company = company();
    company.people.truncate(3);
    company.groups = vec![
        group("g1", "old name", &["p2"]),
        group("g2", "team 2", &["p1", "p3"]),
        group("g3", "team 3", &["p1"]),
    ];
    let mut scene = Scene::new(organization, company);
    let before = scene.organization.snapshot();
    scene.sync(None).await.unwrap();
    scene.keep();
    let linked = scene.organization.snapshot();
    assert_eq!(
        linked.members["p1@example.com"].external_id.as_deref(),
        Some("p1")
    );
    let run = scene.last_run().unwrap();
    let (report, left) = scene.undo(&run, Scope::default()).await.unwrap();
    scene.keep();
    assert_eq!(left, []);
    assert_eq!(report.applied.get(Kind::Unlink), 1);
    let undone = scene.organization.snapshot();
    assert!(undone == before, "{}", differences(&before, &undone));

    // Held, in a new process, too; and nobody is taken out of a group, or brought into one, by it.
    for _ in 0..2 {
        scene.state = scene.kept.restore();
        let held = scene.sync(None).await.unwrap();
        scene.keep();
        let held = held.held().unwrap();
        assert!(held.changes.iter().any(|one| one.kind() == Kind::Link));
        let now = scene.organization.snapshot();
        assert!(now == undone, "{}", differences(&undone, &now));
    }
    let held = scene.sync(None).await.unwrap();
    scene.keep();
    let digest = held.held().unwrap().hold.id.clone();
    scene.sync(Some(&digest)).await.unwrap();
    scene.keep();
    scene.sync(None).await.unwrap();
    scene.keep();
    let now = scene.organization.snapshot();
    assert!(now == linked, "{}", differences(&linked, &now));
    scene.assert_records_equal_the_journal("linked again");
}

/// A company that has changed a few times, and an organization that has followed. `next` numbers newcomers.
async fn after_some_runs(random: &mut Random, next: &mut u32) -> Scene {
    let mut scene = Scene::new(organization().await, company());
    for _ in 0..random.usize(1..=3) {
        scene.company.change(random, next);
        let members = scene.organization.snapshot().members;
        for email in members.keys() {
            if chance(random, 50) {
                let _ = scene.organization.accept_and_confirm(email);
            }
        }
        // Two, so that nothing waits for the run after.
        for _ in 0..2 {
            scene.sync(None).await.unwrap();
            scene.keep();
        }
    }
    scene
}

/// Random runs, of which the last one is taken back, and the undo in its turn. With failures and kills in
/// the run and in the undo, both are finished afterwards.
async fn sequence(seed: u64) -> usize {
    let mut random = Random::with_seed(seed);
    let mut next = 100;
    let mut scene = after_some_runs(&mut random, &mut next).await;
    let before = scene.organization.snapshot();
    let earlier = scene.last_run();
    scene.company.change(&mut random, &mut next);
    let fails = chance(&mut random, 60);
    if fails {
        scene.organization.faults().inject(fault(&mut random));
    }
    scene.sync(None).await;
    scene.organization.faults().clear();
    match chance(&mut random, 50) {
        true => scene.state = scene.kept.restore(),
        false => scene.keep(),
    }
    let between = scene.organization.snapshot();
    let Some(run) = scene.last_run().filter(|run| Some(run) != earlier.as_ref()) else {
        return 0;
    };
    let mut left = vec![];
    let mut done = 0;
    if fails {
        scene.organization.faults().inject(fault(&mut random));
        let undone = scene.undo(&run, Scope::default()).await;
        scene.organization.faults().clear();
        match undone.is_none() && chance(&mut random, 50) {
            true => scene.state = scene.kept.restore(),
            false => scene.keep(),
        }
        if let Some((report, _)) = undone {
            done += report.applied.total();
        }
    }
    // Once more where it failed.
    for _ in 0..2 {
        if let Some((report, stays)) = scene.undo(&run, Scope::default()).await {
            scene.keep();
            done += report.applied.total();
            left = stays;
        }
    }
    let about = || {
        format!(
            "seed {seed}, run {run}\n{}",
            table(&scene.records(), &[].into(), false)
        )
    };
    // A withdrawn invitation whose successor wasn't sent isn't sent again by an undo.
    let records = scene.records();
    let is_partly = |record: &&Record| matches!(record.result, Outcome::Partly | Outcome::Refused);
    let partly = records.iter().filter(is_partly).count() > 0;
    let undone = scene.organization.snapshot();
    if !partly {
        let expected = as_far_as_it_goes(&before, &between);
        assert!(
            undone == expected,
            "{}\nleft: {left:#?}\n{}",
            about(),
            differences(&expected, &undone)
        );
    }
    scene.assert_records_equal_the_journal(&format!("seed {seed}"));
    done
}

fn fault(random: &mut Random) -> Fault {
    let ways = [Way::CutConnection, Way::InternalError, Way::Garbage];
    let way = ways[random.usize(..ways.len())];
    let work = Work::BOTH[random.usize(..2)];
    Fault::new(way).work(work).on_request(random.u64(3..30))
}

/// Of a run that went well all is taken back, nothing of it is done again, and taking the undo back leaves
/// what the run had left.
async fn there_and_back(seed: u64) -> usize {
    let mut random = Random::with_seed(seed);
    let mut next = 100;
    let mut scene = after_some_runs(&mut random, &mut next).await;
    let before = scene.organization.snapshot();
    let earlier = scene.last_run();
    scene.company.change(&mut random, &mut next);
    scene.sync(None).await.unwrap();
    scene.keep();
    let between = scene.organization.snapshot();
    let Some(run) = scene.last_run().filter(|run| Some(run) != earlier.as_ref()) else {
        return 0;
    };
    let (report, left) = scene.undo(&run, Scope::default()).await.unwrap();
    scene.keep();
    let undone = scene.organization.snapshot();
    let about = |scene: &Scene| {
        format!(
            "seed {seed}, run {run}\n{}",
            table(&scene.records(), &[].into(), false)
        )
    };
    let expected = as_far_as_it_goes(&before, &between);
    assert!(
        undone == expected,
        "{}\nleft: {left:#?}\n{}",
        about(&scene),
        differences(&expected, &undone)
    );
    assert!(left.is_empty(), "{} {left:#?}", about(&scene));
    if report.applied.total() == 0 {
        return 0;
    }
    let undo = scene.last_run().unwrap();
    // A new process; and groups that nobody remembers are read.
    scene.state = scene.kept.restore();
    let again = scene.sync(None).await.unwrap();
    scene.keep();
    let now = scene.organization.snapshot();
    assert!(
        now == undone,
        "done again: {}\n{}\n{:?}",
        about(&scene),
        differences(&undone, &now),
        why(&again)
    );
    let (_, left) = scene.undo(&undo, Scope::default()).await.unwrap();
    scene.keep();
    let now = scene.organization.snapshot();
    let expected = as_far_as_it_goes(&between, &undone);
    assert!(
        now == expected,
        "undone twice: {}\nleft: {left:#?}\n{}",
        about(&scene),
        differences(&expected, &now)
    );
    scene.assert_records_equal_the_journal(&format!("seed {seed}"));
    report.applied.total()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_run_is_taken_back_and_nothing_of_it_is_done_again() {
    let seeds = seeds(15, &[3_564_375_857, 7_100_139]);
    let mut changes = 0;
    for seed in &seeds {
        changes += there_and_back(*seed).await;
    }
    let (count, first) = (seeds.len(), seeds[0]);
    eprintln!("{count} runs undone from seed {first}: {changes} changes");
    assert!(changes > count * 3, "something happened: {changes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_undo_is_finished_after_failures_and_kills_and_its_records_equal_the_journal() {
    let seeds = seeds(15, &[836_054_344, 10_333, 836_054_030]);
    let mut changes = 0;
    for seed in &seeds {
        changes += sequence(*seed).await;
    }
    let (count, first) = (seeds.len(), seeds[0]);
    eprintln!("{count} sequences with undo from seed {first}: {changes} changes");
    assert!(changes > count * 2, "something happened: {changes}");
}

#[tokio::test]
async fn a_group_made_by_hand_gets_its_member_back_while_an_invitation_into_it_stays_held() {
    let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    // p1 by hand, p2 and p3 by another program.
    organization.seed_member(MemberSeed::new("p1@example.com"));
    for number in 2..=8 {
        let seed = MemberSeed::new(&format!("p{number}@example.com"));
        organization.seed_member(seed.external_id(&format!("former-{number}")));
    }
    let inside = ["p1@example.com", "p2@example.com", "p3@example.com"];
    organization.seed_group(GroupSeed::new("team 1").members(inside));
    let before = organization.snapshot();
    let mut company = company();
    company
        .people
        .push(("p9".into(), "p9@example.com".into(), false));
    company.groups = vec![group("g1", "team 1", &["p1", "p2", "p9"])];
    let mut scene = Scene::new(organization, company);
    scene.policy.groups.adopt = true;
    scene.sync(None).await.unwrap();
    scene.keep();
    let run = scene.last_run().unwrap();
    let synced = scene.organization.snapshot();
    // The limit holds it back that the invitation is withdrawn.
    scene.policy.offboarding.limit = Limit::Count(0);
    let shown = scene
        .plan_undo(&run, &Scope::default(), None)
        .await
        .unwrap();
    let held = shown.held().unwrap().changes.iter();
    let held: Vec<&str> = held.map(|change| change.subject.label()).collect();
    assert_eq!(held, ["p9@example.com"]);
    let (report, left) = scene.apply_undo(shown).await.unwrap();
    scene.keep();
    assert_eq!(left, []);
    assert_eq!(report.applied.get(Kind::UpdateGroup), 1);
    assert_eq!(report.applied.get(Kind::UnlinkGroup), 1);
    let problems: Vec<_> = report.problems.iter().map(|one| &one.message).collect();
    assert_eq!(problems, [""; 0]);
    let mut expected = before;
    let newcomer = synced.members["p9@example.com"].clone();
    expected.members.insert("p9@example.com".into(), newcomer);
    let team = expected.groups.iter_mut().find(|one| one.name == "team 1");
    team.unwrap().members.push("p9@example.com".into());
    assert_eq!(scene.organization.snapshot(), expected);

    // Taken back in its turn, the group has its id again, and its members by theirs.
    scene.policy.offboarding.limit = Limit::Count(5);
    let undo = scene.last_run().unwrap();
    let (_, left) = scene.undo(&undo, Scope::default()).await.unwrap();
    scene.keep();
    assert_eq!(left, []);
    assert_eq!(scene.organization.snapshot(), synced);
}
