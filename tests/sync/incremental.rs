//! Runs that read what has changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory_sync::directory::ExternalId;
use directory_sync::organization::OrganizationClient;
use directory_sync::source::ldap::{Bind, LdapSource};
use directory_sync::source::{
    KeptDirectories, LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Update, Version,
};
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{Limit, Policy};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::{Mode, Report};
use directory_sync::sync::run::{Beside, RunOptions, State, plan_beside};
use directory_sync::sync::run_fast_lane;
use futures::future::BoxFuture;
use simulators::fault::{Fault, Way, Work};
use simulators::lab::{Ldif, Person, Slapd, SlapdOptions};
use simulators::ldap_proxy::{LdapProxy, MessageFault};
use simulators::organization::{Config, SimulatedOrganization, Status};
use tokio_util::sync::CancellationToken;

use crate::world::{
    NO_RETRY, SHORT_TIMEOUT, SUFFIX, Sync, address, client, client_with, email, policy, source_as,
    source_with,
};

/// A source that keeps what it read, and counts how it was read.
struct Counting {
    inner: LdapSource,
    whole: AtomicUsize,
    incremental: AtomicUsize,
    unchanged: AtomicUsize,
}

impl Counting {
    fn new(source: LdapSource) -> Self {
        let memory = Arc::new(KeptDirectories::new(16 << 20));
        Self {
            inner: source.keeping(&memory),
            whole: AtomicUsize::default(),
            incremental: AtomicUsize::default(),
            unchanged: AtomicUsize::default(),
        }
    }

    /// How often it was read as a whole, how often what changed was, and how often nothing had.
    fn take(&self) -> [usize; 3] {
        [&self.whole, &self.incremental, &self.unchanged].map(|one| one.swap(0, Ordering::SeqCst))
    }
}

impl Source for Counting {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        self.whole.fetch_add(1, Ordering::SeqCst);
        self.inner.read(known, progress)
    }

    fn read_changes<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Option<Update>> {
        Box::pin(async move {
            let update = self.inner.read_changes(known, progress).await;
            match &update {
                Some(Update::Changed { .. }) => self.incremental.fetch_add(1, Ordering::SeqCst),
                Some(Update::Unchanged) => self.unchanged.fetch_add(1, Ordering::SeqCst),
                None => 0,
            };
            update
        })
    }

    fn forget(&self) {
        self.inner.forget();
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        self.inner.check_leaver(id)
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        self.inner.check()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

const TIMEOUT: Duration = Duration::from_millis(1_500);

const WHOLE: [usize; 3] = [1, 0, 0];
const CHANGES: [usize; 3] = [0, 1, 0];
const NOTHING: [usize; 3] = [0, 0, 1];
const BOTH: [usize; 3] = [1, 1, 0];

fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,{SUFFIX}")
}

fn add(uid: &str) -> String {
    let dn = dn(uid);
    format!(
        "dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: x\nsn: x\nmail: {uid}@example.com\n\n"
    )
}

fn delete(uid: &str) -> String {
    format!("dn: {}\nchangetype: delete\n\n", dn(uid))
}

fn set(uid: &str, attribute: &str, value: &str) -> String {
    let dn = dn(uid);
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

fn members(group: &str, what: &str, uid: &str) -> String {
    let member = dn(uid);
    format!(
        "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\n{what}: member\nmember: {member}\n\n"
    )
}

/// People `p0`, `p1` … in the group `all`, on a server that tells what changes.
fn slapd(people: usize) -> Slapd {
    start(people, Slapd::options())
}

fn start(people: usize, options: SlapdOptions) -> Slapd {
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.unit("", "groups");
    let people: Vec<String> = (0..people)
        .map(|n| ldif.person("ou=people", &Person::new(&format!("p{n}"))))
        .collect();
    ldif.group_of_names("ou=groups", "all", None, &people);
    options.ldif(ldif.text()).tells_changes().start().unwrap()
}

/// Who has access, and who is in the group.
fn with_access(organization: &SimulatedOrganization) -> (BTreeSet<String>, BTreeSet<String>) {
    let now = organization.snapshot();
    let members = now.members.iter();
    let members = members.filter(|(_, member)| member.status != Status::Revoked);
    let group = now.groups.iter().find(|group| group.name == "all");
    (
        members.map(|(email, _)| email.clone()).collect(),
        group
            .map(|group| group.members.iter().cloned().collect())
            .unwrap_or_default(),
    )
}

/// A directory that is kept, and an organization.
struct Sides {
    organization: SimulatedOrganization,
    source: Counting,
    client: OrganizationClient,
}

impl Sides {
    async fn start(directory: SocketAddr) -> Self {
        Self::reading(source_with(directory, TIMEOUT)).await
    }

    async fn reading(source: LdapSource) -> Self {
        let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
        Self {
            source: Counting::new(source),
            client: client(&organization, NO_RETRY),
            organization,
        }
    }

    fn sync(&self) -> Sync<'_> {
        Sync::new(&self.source, &self.client)
    }

    /// A run that keeps what the fast lane needs, and may have `lane` revoke people.
    async fn run_beside(
        &self,
        policy: &Policy,
        state: &mut State,
        lane: &mut dyn Beside,
    ) -> Report {
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions {
            keeps_baseline: true,
            ..RunOptions::new(&progress, &stop)
        };
        let sides = (&self.source as &dyn Source, &self.client, policy);
        let planned = plan_beside(sides, state, &options, lane).await.unwrap();
        planned.apply(state, &options).await.unwrap()
    }

    /// In sync, and with nothing to do again that the first run did.
    async fn settled(&self) -> Sync<'_> {
        let mut sync = self.sync();
        for _ in 0..2 {
            sync.run().await.unwrap();
        }
        self.source.take();
        sync
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reads_what_has_changed_until_something_would_be_taken() {
    let slapd = slapd(5);
    let sides = Sides::start(address(&slapd)).await;
    let source = &sides.source;
    let mut sync = sides.sync();
    sync.run().await.unwrap();
    assert_eq!(source.take(), WHOLE);
    // What the first run did makes this one no shorter, but its read.
    assert_eq!(sync.run().await.unwrap().applied.total(), 0);
    assert_eq!(source.take(), CHANGES);
    assert!(sync.run().await.unwrap().guarded.is_none());
    assert_eq!(source.take(), NOTHING);
    slapd
        .modify(&set("p0", "description", "nobody reads it"))
        .unwrap();
    assert!(sync.run().await.unwrap().guarded.is_none());
    assert_eq!(source.take(), NOTHING);

    slapd
        .modify(&(add("new") + &members("all", "add", "new")))
        .unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Invite), 1, "{report:?}");
    assert_eq!(source.take(), CHANGES);
    assert!(with_access(&sides.organization).1.contains(&email("new")));
    sync.run().await.unwrap();
    source.take();

    slapd.modify(&delete("p1")).unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Remove), 1);
    assert_eq!(source.take(), BOTH);
    sync.run().await.unwrap();
    source.take();

    slapd.modify(&set("p2", "employeeType", "blocked")).unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Revoke), 1);
    assert_eq!(source.take(), BOTH);
    sync.run().await.unwrap();
    source.take();

    slapd.modify(&set("p2", "employeeType", "staff")).unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Restore), 1);
    assert_eq!(source.take(), CHANGES);
}

/// Revokes whom a run itself finds to have left, and notes who that was to be.
struct FastLane<'a> {
    sides: &'a Sides,
    found: Vec<ExternalId>,
    is_certain: bool,
}

impl FastLane<'_> {
    async fn revoke_found(&mut self, state: &mut State, people: &[ExternalId]) {
        self.found.extend(people.iter().cloned());
        if !self.is_certain {
            return;
        }
        let Sides { source, client, .. } = self.sides;
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions::new(&progress, &stop);
        let policy = policy();
        let planned = run_fast_lane::plan(source, client, &policy, state, &options, people).await;
        let planned = planned.unwrap().unwrap();
        planned.record(state);
        planned.apply(state, &options).await.unwrap();
    }
}

impl Beside for FastLane<'_> {
    fn read<'s>(&'s mut self, _: &'s mut State, reading: BoxFuture<'s, ()>) -> BoxFuture<'s, ()> {
        reading
    }

    fn revoke<'s>(
        &'s mut self,
        state: &'s mut State,
        people: &'s [ExternalId],
    ) -> BoxFuture<'s, ()> {
        Box::pin(self.revoke_found(state, people))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_run_finds_to_have_left_is_revoked_by_the_fast_lane_before_everything_is_read() {
    let slapd = slapd(8);
    let sides = Sides::start(address(&slapd)).await;
    let (policy, mut state) = (policy(), State::default());
    let access = |uid: &str| with_access(&sides.organization).0.contains(&email(uid));
    let mut lane = FastLane {
        sides: &sides,
        found: vec![],
        is_certain: true,
    };
    let block = |uid: &str| slapd.modify(&set(uid, "employeeType", "blocked")).unwrap();
    let run = async |state: &mut State, lane: &mut FastLane<'_>| {
        sides.run_beside(&policy, state, lane).await
    };
    for _ in 0..2 {
        run(&mut state, &mut lane).await;
    }
    sides.source.take();

    block("p1");
    let report = run(&mut state, &mut lane).await;
    assert_eq!(report.applied.total(), 0, "nothing is left to do");
    assert_eq!(sides.source.take(), CHANGES);
    assert_eq!((lane.found.len(), access("p1")), (1, false));
    let report = run(&mut state, &mut lane).await;
    assert_eq!(report.applied.total(), 0);
    assert_eq!(sides.source.take(), CHANGES, "it confirms that");

    // What else is taken waits for the whole read, and the leaver doesn't.
    block("p2");
    slapd.modify(&delete("p3")).unwrap();
    let report = run(&mut state, &mut lane).await;
    assert_eq!(report.applied.get(Kind::Remove), 1);
    assert_eq!(report.applied.total(), 1);
    assert_eq!(sides.source.take(), BOTH);
    assert_eq!(lane.found.len(), 2);
    assert!(!access("p2") && !access("p3"));
    run(&mut state, &mut lane).await;
    sides.source.take();

    // Whoever the fast lane isn't certain of is left to the whole read.
    lane.is_certain = false;
    block("p4");
    let report = run(&mut state, &mut lane).await;
    assert_eq!(report.applied.get(Kind::Revoke), 1);
    assert_eq!(sides.source.take(), BOTH);
    assert_eq!(lane.found.len(), 3, "it was asked once");

    // Whom no whole run knew for certain the fast lane can't revoke, and isn't asked for.
    run(&mut state, &mut lane).await;
    sides.source.take();
    state.baseline = None;
    block("p5");
    let report = run(&mut state, &mut lane).await;
    assert_eq!(report.applied.get(Kind::Revoke), 1);
    assert_eq!((sides.source.take(), lane.found.len()), (BOTH, 3));
}

/// The fast lane of a run, of whose requests one fails.
struct FailingLane<'a> {
    sides: &'a Sides,
    policy: &'a Policy,
    client: OrganizationClient,
    fault: Option<Fault>,
}

impl FailingLane<'_> {
    async fn revoke_found(&mut self, state: &mut State, people: &[ExternalId]) {
        let faults = self.sides.organization.faults();
        self.fault
            .take()
            .into_iter()
            .for_each(|one| faults.inject(one));
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions::new(&progress, &stop);
        let (source, policy) = (&self.sides.source, self.policy);
        let planned =
            run_fast_lane::plan(source, &self.client, policy, state, &options, people).await;
        if let Ok(Some(planned)) = planned {
            planned.record(state);
            drop(planned.apply(state, &options).await);
        }
        faults.clear();
    }
}

impl Beside for FailingLane<'_> {
    fn read<'s>(&'s mut self, _: &'s mut State, reading: BoxFuture<'s, ()>) -> BoxFuture<'s, ()> {
        reading
    }

    fn revoke<'s>(
        &'s mut self,
        state: &'s mut State,
        people: &'s [ExternalId],
    ) -> BoxFuture<'s, ()> {
        Box::pin(self.revoke_found(state, people))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whomever_the_fast_lane_of_a_run_failed_to_revoke_the_run_itself_revokes() {
    let slapd = slapd(24);
    let sides = Sides::start(address(&slapd)).await;
    let mut policy = policy();
    // They have room once.
    policy.offboarding.disabled_limit = Limit::Count(2);
    let disturbed = client_with(&sides.organization, NO_RETRY, SHORT_TIMEOUT);
    // It has a token, and knows that members can be read.
    disturbed.read().await.unwrap();
    let mut lane = FailingLane {
        sides: &sides,
        policy: &policy,
        client: disturbed,
        fault: None,
    };
    let run = async |state: &mut State, lane: &mut FailingLane<'_>| {
        sides.run_beside(&policy, state, lane).await
    };
    let leavers = ["p3", "p4"];
    let everybody: BTreeSet<String> = (0..24).map(|n| email(&format!("p{n}"))).collect();
    let stay: BTreeSet<String> = everybody
        .iter()
        .filter(|one| !leavers.iter().any(|leaver| **one == email(leaver)))
        .cloned()
        .collect();
    for way in Way::ALL.into_iter().chain([Way::Refused]) {
        let way = match way {
            Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
            way => way,
        };
        for (work, k) in Work::BOTH
            .into_iter()
            .flat_map(|work| (1..=6).map(move |k| (work, k)))
        {
            let case = format!("request {k}, {way:?}, work {work:?}");
            if way == Way::Refused && work == Work::Done {
                continue;
            }
            let mut state = State::default();
            for _ in 0..2 {
                run(&mut state, &mut lane).await;
            }
            assert_eq!(with_access(&sides.organization).0, everybody, "{case}");
            let set_all = |value: &str| {
                let changes: String = leavers
                    .iter()
                    .map(|one| set(one, "employeeType", value))
                    .collect();
                slapd.modify(&changes).unwrap();
            };
            set_all("blocked");
            lane.fault = Some(Fault::new(way).work(work).on_request(k));
            let report = run(&mut state, &mut lane).await;
            let access = with_access(&sides.organization).0;
            assert!(lane.fault.is_none(), "{case}: it was asked");
            assert_eq!(access, stay, "{case}: {report:?}");
            let report = run(&mut state, &mut lane).await;
            assert_eq!(report.applied.total(), 0, "{case}: {report:?}");
            set_all("staff");
            run(&mut state, &mut lane).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whose_entry_was_not_read_now_is_not_invited_on_account_of_it() {
    let slapd = slapd(5);
    let sides = Sides::start(address(&slapd)).await;
    let source = &sides.source;
    let mut sync = sides.settled().await;
    // Seen by a run that only shows what it would do.
    slapd.modify(&add("new")).unwrap();
    sync.go(Mode::Preview, None).await.unwrap();
    assert_eq!(source.take(), CHANGES);
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Invite), 1);
    assert_eq!(source.take(), BOTH);
}

/// The rule that hides `hidden` while this entry's description isn't `open`.
const RULE: &str = "cn=rule,ou=groups,dc=example,dc=com";

#[tokio::test(flavor = "multi_thread")]
async fn somebody_known_joins_a_group_by_their_own_entry_which_is_read_for_that() {
    let hides = format!(
        "access to dn.base=\"uid=hidden,ou=people,{SUFFIX}\" by set=\"[{RULE}]/description & [open]\" read by * none"
    );
    // With a log of changes the server doesn't name who is there: nobody tells that somebody isn't shown any more.
    let options = Slapd::options()
        .database_line("syncprov-sessionlog 1000")
        .database_line(&hides)
        .database_line("access to * by * read");
    let slapd = start(5, options);
    let rule = |now: &str| {
        format!("dn: {RULE}\nchangetype: modify\nreplace: description\ndescription: {now}\n\n")
    };
    let is_rule = format!(
        "dn: {RULE}\nchangetype: add\nobjectClass: device\ncn: rule\ndescription: open\n\n"
    );
    let people = add("late") + &add("hidden");
    slapd.modify(&(is_rule + &people)).unwrap();
    let proxy = LdapProxy::start(address(&slapd)).await.unwrap();
    // No rule is for the root.
    let sides = Sides::reading(source_as(Bind::Anonymous, proxy.address(), TIMEOUT)).await;
    let source = &sides.source;
    let mut sync = sides.settled().await;
    assert!(
        with_access(&sides.organization)
            .0
            .contains(&email("hidden"))
    );

    proxy.disarm();
    slapd.modify(&members("all", "add", "late")).unwrap();
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.total(), 1, "{report:?}");
    assert_eq!(source.take(), CHANGES);
    let requests = proxy.operations();
    let own = format!("search \"{}\"", dn("late"));
    assert_eq!(
        requests.iter().filter(|one| **one == own).count(),
        1,
        "{requests:?}"
    );
    assert!(requests.len() < 12, "{requests:?}");
    assert!(with_access(&sides.organization).1.contains(&email("late")));
    sync.run().await.unwrap();
    source.take();

    // No entry of what is read has changed when the rule does.
    slapd.modify(&rule("closed")).unwrap();
    slapd.modify(&members("all", "add", "hidden")).unwrap();
    sync.run().await.unwrap();
    assert_eq!(source.take()[0], 1);
    assert!(
        !with_access(&sides.organization)
            .1
            .contains(&email("hidden"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_everything_and_a_failed_run_have_everything_read() {
    let slapd = slapd(5);
    let sides = Sides::start(address(&slapd)).await;
    let source = &sides.source;
    let mut sync = sides.settled().await;
    sync.full_resync = true;
    sync.run().await.unwrap();
    assert_eq!(source.take(), WHOLE);
    sync.full_resync = false;
    sync.run().await.unwrap();
    assert_eq!(source.take(), [0, 0, 1]);
    sync.stop.cancel();
    sync.run().await.unwrap_err();
    sync.stop = Default::default();
    source.take();
    sync.run().await.unwrap();
    assert_eq!(source.take(), WHOLE);
}

/// Of the messages of one incremental read each is lost once, and comes twice once.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_message_is_lost_or_doubled_nobody_loses_anything_by_it() {
    for log in ["syncprov-checkpoint 100 10", "syncprov-sessionlog 1000"] {
        lose_and_double(&start(60, Slapd::options().database_line(log))).await;
    }
}

async fn lose_and_double(slapd: &Slapd) {
    let proxy = LdapProxy::start(address(slapd)).await.unwrap();
    let sides = Sides::start(proxy.address()).await;
    let source = &sides.source;
    let mut sync = sides.sync();
    let mut expected: BTreeSet<String> = (0..60).map(|n| email(&format!("p{n}"))).collect();
    let (mut round, mut messages, mut late) = (0, usize::MAX, 0);
    let mut outcomes = [0; 3];
    for k in 0.. {
        if k >= messages {
            break;
        }
        for fault in [MessageFault::Lose, MessageFault::Double] {
            proxy.disarm_messages();
            sync.full_resync = true;
            sync.run().await.unwrap();
            sync.full_resync = false;
            let (access, group) = with_access(&sides.organization);
            assert_eq!(access, expected, "round {round}");
            if messages == usize::MAX {
                // How many there are, of a read in which somebody joins.
                proxy.disarm_messages();
                slapd.modify(&set("p59", "description", "counted")).unwrap();
                source
                    .inner
                    .read_changes(None, &ReadProgress::default())
                    .await
                    .unwrap();
                messages = proxy.messages();
                sync.full_resync = true;
                sync.run().await.unwrap();
                sync.full_resync = false;
            }
            source.take();

            let new = format!("new{round}");
            let (leaver, renamed) = (format!("new{}", round - 4), format!("p{}", round % 40));
            let mut changes = add(&new) + &members("all", "add", &new);
            let has_left = round >= 4;
            if has_left {
                changes += &(members("all", "delete", &leaver) + &delete(&leaver));
            }
            let _infallible = write!(
                changes,
                "{}",
                set(&renamed, "description", &format!("{k} {fault:?}"))
            );
            slapd.modify(&changes).unwrap();
            proxy.arm_message(k, fault);
            let ended = sync.run().await;
            let how = source.take();
            let (now, now_in_group) = with_access(&sides.organization);
            let lost: BTreeSet<_> = access.difference(&now).cloned().collect();
            let left: BTreeSet<_> = has_left.then(|| email(&leaver)).into_iter().collect();
            let what = format!("{fault:?} of message {k}: {how:?} {ended:?}");
            assert!(lost.is_subset(&left), "{lost:?} lost access; {what}");
            let out: BTreeSet<_> = group.difference(&now_in_group).cloned().collect();
            assert!(out.is_subset(&left), "{out:?} left the group; {what}");
            let came: BTreeSet<_> = now.difference(&access).cloned().collect();
            assert!(
                came.is_subset(&[email(&new)].into()),
                "{came:?} came; {what}"
            );
            late += usize::from(came.is_empty());
            outcomes[how[0].min(1) + usize::from(how[1] == 0)] += 1;
            expected.insert(email(&new));
            left.iter().for_each(|gone| {
                expected.remove(gone);
            });
            round += 1;
        }
    }
    println!(
        "{messages} messages, {round} rounds: {outcomes:?}, {late} times somebody came a run later"
    );
    assert!(messages > 10, "{messages}");
    assert!(outcomes[0] + outcomes[1] > 0);
}
