//! Revocations without a run, failed at each of their requests in every way, and by signals that are lost,
//! late, doubled, out of order or made up: nobody loses anything whose own entry doesn't say that they left,
//! and the next run finds whoever was missed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use directory_sync::directory::{DirectoryBuilder, ExternalId};
use directory_sync::history::parse;
use directory_sync::organization::OrganizationClient;
use directory_sync::source::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version,
};
use directory_sync::sync::history::{Record, RunId, RunInfo, RunTrigger};
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::plan::{Change, Kind};
use directory_sync::sync::policy::{OffboardingAction, Policy};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{Beside, RunError, RunOptions, State, plan, plan_beside};
use directory_sync::sync::run_fast_lane;
use directory_sync::sync::run_undo::{PlannedUndo, UndoRequest, are_part_of, plan_undo};
use directory_sync::sync::undo::{RunChoice, Scope};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{Config, Event, MemberSeed, SimulatedOrganization, Status};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fault_sweep::in_parallel;
use crate::history::{Company, Kept, Random, chance};
use crate::world::{LONG_TIMEOUT, NO_RETRY, QUICK_RETRY, SHORT_TIMEOUT, client, client_with};

const PEOPLE: u32 = 12;

/// Whoever isn't in the directory any more keeps what they have: no loss comes of absence.
fn policy() -> Policy {
    let mut policy = crate::world::policy();
    policy.offboarding.absent = OffboardingAction::Retain;
    policy
}

fn id(id: &str) -> ExternalId {
    ExternalId::parse(id).unwrap()
}

fn trigger(trigger: RunTrigger) -> RunInfo {
    RunInfo {
        id: RunId::at(Timestamp::now()),
        trigger,
        approved_by: None,
        undoes: None,
        directory_sync: None,
    }
}

/// A company that tells by which rule people are disabled, so that they get access back.
struct Telling(Company);

impl Source for Telling {
    fn read<'a>(
        &'a self,
        _: Option<&'a Version>,
        _: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        async {
            let mut builder = DirectoryBuilder::new();
            builder.account_rule("state", "off");
            Ok(self.0.reading(builder))
        }
        .boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        self.0.check_leaver(id)
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        self.0.check()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// An organization and a process that has made whole runs.
struct Scene {
    directory: Telling,
    organization: SimulatedOrganization,
    client: OrganizationClient,
    state: State,
    kept: Kept,
}

impl Scene {
    async fn new() -> Self {
        let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        let mut company = Company::default();
        for number in 0..PEOPLE {
            let id = format!("p{number}");
            let email = format!("{id}@example.com");
            company.people.push((id, email, false));
        }
        let state = State::default();
        let mut scene = Self {
            directory: Telling(company),
            client: client(&organization, QUICK_RETRY),
            organization,
            kept: Kept {
                ledger: Ledger::default().to_bytes(),
                memberships: MembershipCache::default(),
                history: String::new(),
            },
            state,
        };
        scene.run().await;
        // The run that invited them has seen them as members.
        let known = scene.state.baseline.as_ref().unwrap();
        assert!(known.member(&id("p3")).is_some());
        scene
    }

    /// A whole run.
    async fn run(&mut self) -> Report {
        self.state.history.start(trigger(RunTrigger::Scheduled));
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions {
            keeps_baseline: true,
            ..RunOptions::new(&progress, &stop)
        };
        let (client, policy, state) = (&self.client, policy(), &mut self.state);
        let planned = plan(&self.directory, client, &policy, state, &options).await;
        let report = planned.unwrap().apply(state, &options).await.unwrap();
        self.kept.keep(state);
        report
    }

    /// What signals of these people come to, by this client. The record is kept before the first change; a
    /// process that is `killed` keeps nothing after that.
    async fn fast_lane(
        &mut self,
        client: &OrganizationClient,
        suspects: &[ExternalId],
        killed: bool,
    ) -> Result<Option<Report>, RunError> {
        let (state, kept) = (&mut self.state, &mut self.kept);
        let report = revoke(&self.directory, client, (state, kept), suspects).await;
        match killed {
            true => *state = kept.restore(),
            false => kept.keep(state),
        }
        report
    }

    fn status(&self, email: &str) -> Status {
        self.organization.snapshot().members[email].status
    }

    /// Whether somebody certainly left: one entry has the address, and it is disabled.
    fn left(&self, email: &str) -> bool {
        let entries = self.directory.0.people.iter();
        let states: Vec<bool> = entries
            .filter(|(_, one, _)| one.eq_ignore_ascii_case(email))
            .map(|(.., disabled)| *disabled)
            .collect();
        states == [true]
    }
}

/// What signals of these people come to. The record is kept before the first change.
async fn revoke(
    source: &dyn Source,
    client: &OrganizationClient,
    (state, kept): (&mut State, &mut Kept),
    suspects: &[ExternalId],
) -> Result<Option<Report>, RunError> {
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let options = RunOptions::new(&progress, &stop);
    let planned = run_fast_lane::plan(source, client, &policy(), state, &options, suspects).await?;
    let Some(planned) = planned else {
        return Ok(None);
    };
    state.history.start(trigger(RunTrigger::FastLane));
    planned.record(state);
    kept.keep(state);
    planned.apply(state, &options).await.map(Some)
}

/// A directory that changes while a run reads it.
struct Changing {
    before: Telling,
    after: Telling,
    has_changed: AtomicBool,
}

impl Changing {
    fn now(&self) -> &Telling {
        match self.has_changed.load(Ordering::Relaxed) {
            true => &self.after,
            false => &self.before,
        }
    }
}

impl Source for Changing {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        self.now().read(known, progress)
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        self.now().check_leaver(id)
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        self.now().check()
    }

    fn describe(&self) -> String {
        self.now().describe()
    }
}

/// At one of the reads of a run `p3` leaves, and is revoked: before what that read gives, or after.
struct Leaving<'a> {
    source: &'a Changing,
    client: &'a OrganizationClient,
    kept: &'a mut Kept,
    reads: usize,
    at: usize,
    after_reading: bool,
    revoked: usize,
}

impl Leaving<'_> {
    async fn leave(&mut self, state: &mut State) {
        self.source.has_changed.store(true, Ordering::Relaxed);
        let suspects = [id("p3")];
        let (source, kept) = (self.source, &mut *self.kept);
        let report = revoke(source, self.client, (state, kept), &suspects).await;
        self.revoked += report.unwrap().unwrap().applied.total();
        state.history.start(trigger(RunTrigger::Scheduled));
    }
}

impl Beside for Leaving<'_> {
    fn read<'s>(
        &'s mut self,
        state: &'s mut State,
        reading: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, ()> {
        async move {
            self.reads += 1;
            match (self.reads == self.at, self.after_reading) {
                (false, _) => reading.await,
                (true, true) => {
                    reading.await;
                    self.leave(state).await;
                }
                (true, false) => {
                    self.leave(state).await;
                    reading.await;
                }
            }
        }
        .boxed()
    }

    fn revoke<'s>(&'s mut self, _: &'s mut State, _: &'s [ExternalId]) -> BoxFuture<'s, ()> {
        unreachable!("everything is read")
    }
}

/// A scene with a group, in which a newcomer waits for an invitation.
async fn busy_scene() -> Scene {
    let mut scene = Scene::new().await;
    let team = (0..6).map(|number| format!("p{number}")).collect();
    let group = ("g1".to_owned(), "Team".to_owned(), team);
    scene.directory.0.groups.push(group);
    scene.run().await;
    let newcomer = ("p50".to_owned(), "p50@example.com".to_owned(), false);
    scene.directory.0.people.push(newcomer);
    scene.organization.clear_history();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_revoked_while_a_run_reads_is_left_alone_by_it_and_counts_once() {
    // First the fast lane, then a run: how it is to end.
    let mut scene = busy_scene().await;
    scene.directory.0.people[3].2 = true;
    let client = scene.client.clone();
    let done = scene.fast_lane(&client, &[id("p3")], false).await;
    assert_eq!(done.unwrap().unwrap().applied.total(), 1);
    scene.run().await;
    let (used, end) = (used(&scene), scene.organization.snapshot());
    assert_eq!(used.0, 1, "it counts");
    for (at, after_reading) in [(1, true), (1, false), (2, true), (2, false)] {
        let case = format!("read {at}, after it: {after_reading}");
        let mut scene = busy_scene().await;
        let before = Telling(scene.directory.0.clone());
        scene.directory.0.people[3].2 = true;
        let source = Changing {
            before,
            after: Telling(scene.directory.0.clone()),
            has_changed: AtomicBool::new(false),
        };
        let client = scene.client.clone();
        let mut leaving = Leaving {
            source: &source,
            client: &client,
            kept: &mut scene.kept,
            reads: 0,
            at,
            after_reading,
            revoked: 0,
        };
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions {
            keeps_baseline: true,
            full_resync: true,
            ..RunOptions::new(&progress, &stop)
        };
        let (policy, state) = (policy(), &mut scene.state);
        state.history.start(trigger(RunTrigger::Scheduled));
        let sides = (&source as &dyn Source, &scene.client, &policy);
        let planned = plan_beside(sides, state, &options, &mut leaving).await;
        let planned = planned.unwrap();
        assert_eq!(leaving.revoked, 1, "{case}");
        let of_leaver =
            |change: &&Change| change.member().is_some() && change.external_id().as_str() == "p3";
        let about: Vec<_> = planned.changes().iter().filter(of_leaver).collect();
        assert!(about.is_empty(), "{case}: {about:?}");
        let report = planned.apply(state, &options).await.unwrap();
        let problems = format!("{:?}", report.problems);
        assert!(!problems.contains("p3"), "{case}: {problems}");
        // That run has seen that they stayed revoked.
        assert!(scene.state.ledger.has_revoked(&id("p3")), "{case}");
        scene.kept.keep(&mut scene.state);
        assert!(scene.status("p50@example.com") != Status::Revoked, "{case}");
        // The next run takes them out of the group, and nothing else.
        scene.run().await;
        assert_eq!(scene.organization.losses().len(), 1, "{case}");
        assert_eq!(scene.organization.snapshot(), end, "{case}");
        assert_eq!(self::used(&scene), used, "{case}: it counts once");
        let last = scene.run().await;
        assert!(last.in_sync(), "{case}: left to do: {:?}", last.planned());
        scene.directory.0.people[3].2 = false;
        scene.run().await;
        assert_ne!(scene.status("p3@example.com"), Status::Revoked, "{case}");
    }
}

/// How many people count against limits, as disabled and otherwise.
fn used(scene: &Scene) -> (u32, u32) {
    let used = scene.state.ledger.used();
    let disabled = used.iter().map(|used| used.disabled).sum();
    (disabled, used.iter().map(|used| used.absent).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_makes_way_leaves_the_fast_lane_what_it_needs_and_the_next_one_goes_on() {
    let mut scene = busy_scene().await;
    for at in [7, 8] {
        scene.directory.0.people[at].2 = true;
    }
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let make_way = CancellationToken::new();
    let options = RunOptions {
        keeps_baseline: true,
        make_way: Some(&make_way),
        ..RunOptions::new(&progress, &stop)
    };
    let (policy, state) = (policy(), &mut scene.state);
    state.history.start(trigger(RunTrigger::Scheduled));
    let planned = plan(&scene.directory, &scene.client, &policy, state, &options).await;
    let planned = planned.unwrap();
    assert!(planned.leaves_somebody_to_the_fast_lane());
    assert_eq!(planned.changes().len(), 3);
    make_way.cancel();
    scene.organization.clear_requests();
    let ended = planned.apply(state, &options).await;
    assert!(matches!(ended, Err(RunError::MadeWay { .. })), "{ended:?}");
    let requests = scene.organization.requests();
    assert!(requests.is_empty(), "it made way at once: {requests:?}");
    scene.kept.keep(state);

    scene.directory.0.people[3].2 = true;
    let client = scene.client.clone();
    // Whom the run was about to revoke, it has to look at again.
    let suspects = ["p3", "p7"].map(id);
    let done = scene.fast_lane(&client, &suspects, false).await;
    assert_eq!(done.unwrap().unwrap().applied.total(), 1);
    assert_eq!(scene.status("p3@example.com"), Status::Revoked);
    assert_ne!(scene.status("p7@example.com"), Status::Revoked);
    scene.run().await;
    let revoked = ["p3", "p7", "p8"].map(|one| format!("{one}@example.com"));
    for email in &revoked {
        assert_eq!(scene.status(email), Status::Revoked);
    }
    assert_eq!(scene.organization.losses().len(), 3);
    assert!(scene.run().await.in_sync());
}

/// What takes the newest run of these records back.
async fn plan_undo_of(scene: &mut Scene, run: &RunId) -> PlannedUndo {
    let records = parse(&scene.kept.history).records;
    plan_undo_by(scene, run, &records).await
}

async fn plan_undo_by(scene: &mut Scene, run: &RunId, records: &[Record]) -> PlannedUndo {
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let options = RunOptions::new(&progress, &stop);
    let request = UndoRequest {
        run: RunChoice::Id(run.to_string()),
        scope: Scope::default(),
    };
    let (client, policy, state) = (&scene.client, policy(), &mut scene.state);
    let planned = plan_undo(client, &policy, state, &options, (records, None), &request).await;
    planned.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_makes_way_goes_on_and_gives_nothing_back_to_whoever_left_meanwhile() {
    let mut scene = Scene::new().await;
    for at in [3, 4, 5, 6] {
        scene.directory.0.people[at].2 = true;
    }
    scene.run().await;
    let records = parse(&scene.kept.history).records;
    let of_run = records.iter().max_by_key(|record| record.time);
    let run = of_run.unwrap().run.clone();
    scene.run().await;

    scene.state.begin_undo();
    let undo = plan_undo_of(&mut scene, &run).await;
    assert_eq!(undo.changes().len(), 4);
    let confirmed = undo.changes().to_vec();
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let make_way = CancellationToken::new();
    let options = RunOptions {
        make_way: Some(&make_way),
        ..RunOptions::new(&progress, &stop)
    };
    make_way.cancel();
    let baseline = scene.state.baseline.clone().unwrap();
    assert!(baseline.is_revoked(&id("p4")));
    let baseline = undo.beside(baseline).unwrap();
    assert!(!baseline.is_revoked(&id("p4")), "that is about to change");
    scene.state.history.start(RunInfo {
        undoes: Some(run.clone()),
        ..trigger(RunTrigger::Undo)
    });
    let ended = undo.planned.apply(&mut scene.state, &options).await;
    assert!(matches!(ended, Err(RunError::MadeWay { .. })), "{ended:?}");
    scene.kept.keep(&mut scene.state);
    scene.state.baseline = Some(baseline);

    // One whom the undo doesn't touch, and one who is about to get access back.
    scene.directory.0.people[8].2 = true;
    let client = scene.client.clone();
    let suspects = ["p8", "p4"].map(id);
    let done = scene.fast_lane(&client, &suspects, false).await;
    assert_eq!(done.unwrap().unwrap().applied.total(), 1);
    assert_eq!(scene.status("p8@example.com"), Status::Revoked);
    scene.state.leave_out(&suspects, &policy());

    let rest = plan_undo_of(&mut scene, &run).await;
    assert_eq!(rest.leavers, ["p4@example.com".into()]);
    assert_eq!(rest.changes().len(), 3);
    assert!(are_part_of(rest.changes(), &confirmed));
    assert!(!are_part_of(&confirmed, rest.changes()));
    let options = RunOptions::new(&progress, &stop);
    scene.state.history.start(RunInfo {
        undoes: Some(run.clone()),
        ..trigger(RunTrigger::Undo)
    });
    rest.planned
        .apply(&mut scene.state, &options)
        .await
        .unwrap();
    scene.kept.keep(&mut scene.state);
    let status = |scene: &Scene, number: u32| scene.status(&format!("p{number}@example.com"));
    for restored in [3, 5, 6] {
        assert_ne!(status(&scene, restored), Status::Revoked, "{restored}");
    }
    for left in [4, 8] {
        assert_eq!(status(&scene, left), Status::Revoked, "{left}");
    }

    // Of the fast lane's own revocation that is the same, until somebody asks for another undo.
    let records = parse(&scene.kept.history).records;
    let by_lane = records
        .iter()
        .find(|record| record.trigger == RunTrigger::FastLane);
    let by_lane = by_lane.unwrap().run.clone();
    assert_eq!(plan_undo_of(&mut scene, &by_lane).await.changes(), []);
    scene.state.begin_undo();
    assert_eq!(plan_undo_of(&mut scene, &by_lane).await.changes().len(), 1);
}

/// The newest run of the history.
fn last_run(scene: &Scene) -> RunId {
    let records = parse(&scene.kept.history).records;
    let newest = records.iter().max_by_key(|record| record.time);
    newest.unwrap().run.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_former_id_again_by_an_undo_is_known_by_either_to_it() {
    let mut scene = Scene::new().await;
    scene.directory.0.people[3].0 = "q3".to_owned();
    scene.run().await;
    let run = last_run(&scene);
    scene.state.begin_undo();
    let undo = plan_undo_of(&mut scene, &run).await;
    let kinds: Vec<Kind> = undo.changes().iter().map(Change::kind).collect();
    assert_eq!(kinds, [Kind::Relink]);
    for told in ["q3", "p3"] {
        scene.state.begin_undo();
        scene.state.leave_out(&[id(told)], &policy());
        let rest = plan_undo_of(&mut scene, &run).await;
        assert_eq!(rest.leavers, ["p3@example.com".into()], "{told}");
        assert!(rest.changes().is_empty(), "{told}");
        // It had been done before the directory told.
        let changes = undo.changes();
        assert!(rest.left_meanwhile.is_subject_of(&changes[0]), "{told}");
    }
    scene.state.begin_undo();
    scene.state.leave_out(&[id("p4")], &policy());
    assert_eq!(plan_undo_of(&mut scene, &run).await.changes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_finds_in_the_whole_history_who_has_which_former_id() {
    let mut scene = Scene::new().await;
    scene.directory.0.people[3].2 = true;
    scene.run().await;
    let run = last_run(&scene);
    let mut records = parse(&scene.kept.history).records;
    let revoked = records.iter().find(|record| record.run == run);
    let mut relinked = revoked.unwrap().clone();
    relinked.run = RunId::at(Timestamp::UNIX_EPOCH);
    relinked.action = Kind::Relink;
    relinked.from = relinked.person.as_mut().unwrap().external_id.take();
    relinked.person.as_mut().unwrap().external_id = Some("q3".into());
    for is_known in [false, true] {
        scene.state.begin_undo();
        scene.state.leave_out(&[id("q3")], &policy());
        let undo = plan_undo_by(&mut scene, &run, &records).await;
        assert_eq!(undo.changes().len(), usize::from(!is_known));
        assert_eq!(undo.leavers.len(), usize::from(is_known));
        let relinked = Record {
            person: relinked.person.clone(),
            ..relinked.clone()
        };
        records.push(relinked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_revoked_while_a_run_reads_comes_into_no_group_until_they_are_back() {
    let mut scene = Scene::new().await;
    let g1 = |team: &[&str]| {
        let team = team.iter().map(|one| (*one).to_owned()).collect();
        ("g1".to_owned(), "Team".to_owned(), team)
    };
    scene.directory.0.groups = vec![g1(&["p1"])];
    scene.run().await;
    scene.directory.0.groups = vec![g1(&["p1", "p3"])];
    let before = Telling(scene.directory.0.clone());
    scene.directory.0.people[3].2 = true;
    let source = Changing {
        before,
        after: Telling(scene.directory.0.clone()),
        has_changed: AtomicBool::new(false),
    };
    let client = scene.client.clone();
    let mut leaving = Leaving {
        source: &source,
        client: &client,
        kept: &mut scene.kept,
        reads: 0,
        at: 1,
        after_reading: true,
        revoked: 0,
    };
    let (progress, stop) = (Progress::default(), CancellationToken::new());
    let options = RunOptions {
        keeps_baseline: true,
        ..RunOptions::new(&progress, &stop)
    };
    let (policy, state) = (policy(), &mut scene.state);
    state.history.start(trigger(RunTrigger::Scheduled));
    let sides = (&source as &dyn Source, &scene.client, &policy);
    let planned = plan_beside(sides, state, &options, &mut leaving).await;
    let planned = planned.unwrap();
    assert_eq!(planned.changes(), [], "the directory is older than that");
    planned.apply(state, &options).await.unwrap();
    scene.kept.keep(&mut scene.state);
    let team = |scene: &Scene| scene.organization.snapshot().groups[0].members.clone();
    assert_eq!(team(&scene), ["p1@example.com"]);
    scene.directory.0.people[3].2 = false;
    // The next run gives access back, and remembers who is missing in the group.
    scene.run().await;
    scene.run().await;
    assert_eq!(team(&scene), ["p1@example.com", "p3@example.com"]);
    assert!(scene.run().await.in_sync());
}

/// Ten groups with nobody in them.
async fn scene_with_groups() -> Scene {
    let mut scene = Scene::new().await;
    for number in 0..10 {
        let (id, name) = (format!("g{number}"), format!("Group {number}"));
        scene.directory.0.groups.push((id, name, BTreeSet::new()));
    }
    scene.run().await;
    assert!(scene.run().await.in_sync());
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_makes_way_between_any_two_of_many_groups() {
    type Change = fn(&mut (String, String, BTreeSet<String>));
    let changes: [(&str, Change); 2] = [
        ("renamed", |group| group.1 = format!("Another {}", group.1)),
        ("re-linked", |group| group.0 = format!("new-{}", group.0)),
    ];
    for (case, change) in changes {
        let mut scene = scene_with_groups().await;
        scene.directory.0.groups.iter_mut().for_each(change);
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let make_way = CancellationToken::new();
        let options = RunOptions {
            make_way: Some(&make_way),
            ..RunOptions::new(&progress, &stop)
        };
        let (policy, state) = (policy(), &mut scene.state);
        state.history.start(trigger(RunTrigger::Scheduled));
        let planned = plan(&scene.directory, &scene.client, &policy, state, &options).await;
        let planned = planned.unwrap();
        assert_eq!(planned.changes().len(), 10, "{case}");
        scene.organization.clear_requests();
        scene.organization.set_latency(Duration::from_millis(50));
        let asking = async {
            while scene.organization.requests().is_empty() {
                sleep(Duration::from_millis(2)).await;
            }
            make_way.cancel();
        };
        let (ended, ()) = tokio::join!(planned.apply(state, &options), asking);
        assert!(
            matches!(ended, Err(RunError::MadeWay { .. })),
            "{case}: {ended:?}"
        );
        let requests = scene.organization.requests().len();
        assert!(requests <= 3, "{case}: one group's, and not {requests}");
        scene.organization.set_latency(Duration::ZERO);
        scene.run().await;
        assert!(scene.run().await.in_sync(), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_the_fast_lane_may_fail_in_any_way_and_the_next_run_ends_as_without() {
    let mut scene = Scene::new().await;
    scene.organization.clear_requests();
    scene.directory.0.people[3].2 = true;
    let client = scene.client.clone();
    let done = scene.fast_lane(&client, &[id("p3")], false).await;
    assert_eq!(done.unwrap().unwrap().applied.total(), 1);
    assert_eq!(scene.status("p3@example.com"), Status::Revoked);
    let requests = scene.organization.requests().len() as u64;
    assert_eq!(requests, 3, "the member, the revocation, and a look");
    let mut cases = vec![];
    for k in 1..=requests {
        for way in Way::ALL.into_iter().chain([Way::Refused]) {
            for work in Work::BOTH {
                // A refusal is an answer: what was refused wasn't done.
                if way == Way::Refused && work == Work::Done {
                    continue;
                }
                cases.extend([true, false].map(|killed| (k, way, work, killed)));
            }
        }
    }
    in_parallel(
        cases
            .into_iter()
            .map(|case| async move { fails(case).await }),
    )
    .await;
}

async fn fails((k, way, work, killed): (u64, Way, Work, bool)) {
    let case = format!("request {k}, {way:?}, work {work:?}, killed {killed}");
    let way = match way {
        Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
        way => way,
    };
    let mut scene = Scene::new().await;
    scene.directory.0.people[3].2 = true;
    let timeout = match way {
        Way::Hang => SHORT_TIMEOUT,
        _ => LONG_TIMEOUT,
    };
    let disturbed = client_with(&scene.organization, NO_RETRY, timeout);
    // It has a token, and knows that members can be read.
    disturbed.read().await.unwrap();
    let faults = scene.organization.faults();
    faults.inject(Fault::new(way).work(work).on_request(k));
    // Doubled, out of order, and some of them made up.
    let suspects = ["nobody", "p4", "p3", "p3", "p0"].map(id);
    drop(scene.fast_lane(&disturbed, &suspects, killed).await);
    assert_eq!(scene.organization.faults().fired(), 1, "{case}");
    scene.organization.faults().clear();
    let ended = |scene: &Scene, when: &str| {
        let losses = scene.organization.losses();
        assert!(losses.len() <= 1, "{case}, {when}: {losses:?}");
        let is_theirs = |event: &Event| matches!(event, Event::Revoked { email, .. } if email == "p3@example.com");
        assert!(losses.iter().all(is_theirs), "{case}, {when}: {losses:?}");
    };
    ended(&scene, "after it");
    scene.run().await;
    ended(&scene, "after the next run");
    assert_eq!(scene.status("p3@example.com"), Status::Revoked, "{case}");
    // Whatever the record knows of it: whoever comes back gets access back.
    let last = scene.run().await;
    assert!(last.in_sync(), "{case}: left to do: {:?}", last.planned());
    scene.directory.0.people[3].2 = false;
    scene.run().await;
    assert_ne!(scene.status("p3@example.com"), Status::Revoked, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_signals_say_nobody_loses_anything_who_did_not_leave_and_the_next_run_finds_whoever_did()
 {
    // Always the same ones, unless others are asked for.
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (stories, seed) = (number("STORIES", 60), number("SEED", 1));
    in_parallel((0..stories).map(|n| async move { story(seed.wrapping_add(n)).await })).await;
}

async fn story(seed: u64) {
    let mut random = Random::with_seed(seed);
    let mut scene = Scene::new().await;
    let (mut next, mut waiting) = (100, vec![]);
    for round in 0..10 {
        let case = format!("seed {seed}, round {round}");
        for _ in 0..random.u32(0..4) {
            change(&mut scene.directory.0, &mut random, &mut next, &mut waiting);
        }
        // Some signals are lost, others come late, and in any order; some were never sent.
        let mut suspects: Vec<String> = vec![];
        waiting.retain(|one: &String| match random.u32(0..10) {
            0 => false,
            1..4 => true,
            doubled => {
                suspects.extend((0..doubled.div_ceil(6)).map(|_| one.clone()));
                false
            }
        });
        for _ in 0..random.u32(0..4) {
            suspects.push(format!("p{}", random.u32(0..PEOPLE + 4)));
        }
        random.shuffle(&mut suspects);
        let suspects: Vec<ExternalId> = suspects.iter().map(|one| id(one)).collect();
        scene.organization.clear_history();
        let killed = chance(&mut random, 20);
        let client = client(&scene.organization, NO_RETRY);
        client.read().await.unwrap();
        let left: BTreeSet<String> = {
            let emails = scene
                .directory
                .0
                .people
                .iter()
                .map(|(_, email, _)| email.to_lowercase());
            emails.filter(|email| scene.left(email)).collect()
        };
        if chance(&mut random, 40) {
            let way = random.choice(Way::ALL).unwrap();
            let way = match way {
                Way::TooManyRequests { .. } | Way::Hang => Way::CutConnection,
                way => way,
            };
            let work = random.choice(Work::BOTH).unwrap();
            let fault = Fault::new(way).work(work);
            let fault = fault.on_request(random.u64(1..6));
            scene.organization.faults().inject(fault);
        }
        drop(scene.fast_lane(&client, &suspects, killed).await);
        scene.organization.faults().clear();
        for event in scene.organization.losses() {
            match &event {
                Event::Revoked { email, .. } if left.contains(email) => {}
                _ => panic!("{case}: nobody should lose this: {event:?}"),
            }
        }
        if chance(&mut random, 60) {
            scene.run().await;
            assert_found(&scene, &case);
        }
    }
    // Whoever has another id by now gets access back in the run after that.
    for _ in 0..2 {
        scene.run().await;
        assert_found(&scene, &format!("seed {seed}, at the end"));
    }
    let last = scene.run().await;
    let left = (last.planned(), last.held(), &last.problems);
    assert!(last.in_sync(), "seed {seed}: {left:?}");
}

/// After a whole run nobody has access who certainly left.
fn assert_found(scene: &Scene, case: &str) {
    for (email, member) in scene.organization.snapshot().members {
        let is_in = member.status != Status::Revoked;
        assert!(!(is_in && scene.left(&email)), "{case}: {email}");
    }
}

/// One change of the directory; whoever is disabled by it is to be told of.
fn change(company: &mut Company, random: &mut Random, next: &mut u32, told: &mut Vec<String>) {
    let at = random.usize(0..company.people.len());
    match random.u32(0..10) {
        0..5 => {
            let (id, _, disabled) = &mut company.people[at];
            *disabled = !*disabled;
            if *disabled {
                told.push(id.clone());
            }
        }
        // Somebody joins, perhaps with the address of somebody who is there.
        5..7 => {
            *next += 1;
            let id = format!("p{next}");
            let email = match chance(random, 50) {
                true => company.people[at].1.to_uppercase(),
                false => format!("{id}@example.com"),
            };
            company.people.push((id, email, chance(random, 20)));
        }
        // Somebody is deleted, or their signal says so.
        7..9 if company.people.len() > 6 => {
            let (id, ..) = company.people.remove(at);
            told.push(id);
        }
        _ => {
            *next += 1;
            company.people[at].1 = format!("p{next}@example.com");
        }
    }
}
