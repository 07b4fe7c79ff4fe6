//! An organization that another program filled: hundreds of members get the directory's IDs in place of others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::history::parse;
use directory_sync::http::Retry;
use directory_sync::organization::{
    ClientId, OrganizationClient, Region, Settings, cloud_rate_limiter,
};
use directory_sync::sync::history::{RunId, RunInfo, RunTrigger};
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::plan::Kind;
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{RunError, RunOptions, State, plan};
use directory_sync::sync::run_undo::{UndoRequest, plan_undo};
use directory_sync::sync::undo::{RunChoice, Scope};
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, RateLimits, SimulatedOrganization, Snapshot,
};
use tokio_util::sync::CancellationToken;

use crate::history::{Company, Kept};
use crate::world::{NO_RETRY, policy};

const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";

fn email(number: usize) -> String {
    format!("p{number:04}@example.com")
}

/// So many people in one group, all of them members under the IDs of another program.
async fn filled(people: usize, config: Config) -> (SimulatedOrganization, Company) {
    let organization = SimulatedOrganization::start(config).await.unwrap();
    let vault = || CollectionAccess::to(VAULT);
    for number in 0..people {
        let seed = MemberSeed::new(&email(number)).external_id(&format!("former-{number}"));
        organization.seed_member(seed.collection(vault()));
    }
    let everyone = GroupSeed::new("Everyone").external_id("all");
    organization.seed_group(everyone.members((0..people).map(email)));
    let ids = || (0..people).map(|number| format!("id-{number}"));
    let company = Company {
        people: ids()
            .zip((0..people).map(email))
            .map(|(id, email)| (id, email, false))
            .collect(),
        groups: vec![("all".into(), "Everyone".into(), ids().collect())],
    };
    (organization, company)
}

fn settings(organization: &SimulatedOrganization) -> Settings {
    Settings::new(
        Region::server(&organization.url()).unwrap(),
        ClientId::parse(&organization.client_id()).unwrap(),
        organization.client_secret().into(),
    )
}

async fn sync(company: &Company, settings: Settings) -> Result<Report, RunError> {
    let client = OrganizationClient::new(settings).unwrap();
    let progress = Progress::default();
    let stop = CancellationToken::new();
    let options = RunOptions::new(&progress, &stop);
    let mut state = State::default();
    let policy = policy();
    let planned = plan(company, &client, &policy, &mut state, &options).await?;
    planned.apply(&mut state, &options).await
}

fn without_ids(mut snapshot: Snapshot) -> Snapshot {
    let members = snapshot.members.values_mut();
    members.for_each(|member| member.external_id = None);
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_new_ids_take_seconds_within_the_clouds_limits_and_none_is_refused() {
    let people = 131;
    let config = Config {
        rate_limits: Some(RateLimits::cloud()),
        // As a server on another continent has it.
        latency: Duration::from_millis(150),
        ..Config::cloud()
    };
    let (organization, company) = filled(people, config).await;
    let before = organization.snapshot();
    let mut settings = settings(&organization);
    settings.limit = Some(Arc::new(cloud_rate_limiter()));

    let started = Instant::now();
    let report = sync(&company, settings).await.unwrap();
    let took = started.elapsed();
    assert_eq!(report.applied.get(Kind::Relink), people);
    assert_eq!(report.applied.total(), people);
    let requests = organization.requests();
    let refused = requests
        .iter()
        .filter(|one| one.status == Some(429))
        .count();
    assert_eq!(refused, 0, "the pace is kept");
    // One after another they would take 40 seconds; counted by method alone more than two minutes.
    assert!(took < Duration::from_secs(20), "{took:?}");
    let after = organization.snapshot();
    let id = |number: usize| after.members[&email(number)].external_id.clone();
    assert!((0..people).all(|number| id(number) == Some(format!("id-{number}"))));
    assert_eq!(without_ids(after), without_ids(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_ids_that_are_stopped_anywhere_go_on_where_they_were() {
    for work in Work::BOTH {
        let (organization, company) = filled(40, Config::cloud()).await;
        let before = organization.snapshot();
        // The server goes away in the middle.
        let gone = Fault::new(Way::CutConnection).method("PUT").on_request(17);
        organization.faults().inject(gone.work(work).from_then_on());
        let stopped = settings(&organization);
        let stopped = Settings {
            retry: NO_RETRY,
            ..stopped
        };
        sync(&company, stopped).await.unwrap_err();
        organization.faults().clear();
        // What was under way comes to its end on the server.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let done = organization.snapshot().members;
        let done = done.values().filter(|member| {
            let id = member.external_id.as_deref();
            id.is_some_and(|id| id.starts_with("id-"))
        });
        let done = done.count();
        assert!((16..=24).contains(&done), "{work:?}: {done}");

        let on = Settings {
            retry: Retry::default(),
            ..settings(&organization)
        };
        let report = sync(&company, on).await.unwrap();
        assert_eq!(report.applied.get(Kind::Relink), 40 - done, "{work:?}");
        let after = organization.snapshot();
        let has_id = |number: usize| {
            after.members[&email(number)].external_id == Some(format!("id-{number}"))
        };
        assert!((0..40).all(has_id), "{work:?}");
        assert_eq!(without_ids(after), without_ids(before));
        assert!(organization.losses().is_empty() && organization.invitations().is_empty());
    }
}

/// A process that gives new IDs, or the former ones back (`back`); it is killed once `until` members have what
/// it gives, if that is asked for.
async fn process(
    (organization, company): (&SimulatedOrganization, &Company),
    kept: &mut Kept,
    back: bool,
    until: Option<usize>,
) {
    let mut settings = settings(organization);
    settings.limit = Some(Arc::new(cloud_rate_limiter()));
    let client = OrganizationClient::new(settings).unwrap();
    let progress = Progress::default();
    let stop = CancellationToken::new();
    let options = RunOptions::new(&progress, &stop);
    let policy = policy();
    let mut state = kept.restore();
    let info = |undoes: Option<RunId>| RunInfo {
        id: RunId::at(Timestamp::now()),
        trigger: RunTrigger::Command,
        approved_by: None,
        undoes,
        directory_sync: None,
    };
    let mut planned = match back {
        false => {
            state.history.start(info(None));
            let planned = plan(company, &client, &policy, &mut state, &options).await;
            planned.unwrap()
        }
        true => {
            let records = parse(&kept.history).records;
            let request = UndoRequest {
                run: RunChoice::Adoption,
                scope: Scope::default(),
            };
            let records = (records.as_slice(), None);
            let undo = plan_undo(&client, &policy, &mut state, &options, records, &request).await;
            let undo = undo.unwrap();
            assert!(undo.left.is_empty(), "{:?}", undo.left);
            state.history.start(info(Some(undo.run.clone())));
            undo.planned
        }
    };
    planned.invalidate(&mut state);
    kept.keep(&mut state);
    let wanted = if back { "former-" } else { "id-" };
    // Looking takes the server's time, too.
    let pause = 20 + until.unwrap_or_default() as u64 / 5;
    let enough = async {
        let Some(until) = until else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let members = organization.snapshot().members;
            let ids = members
                .values()
                .filter_map(|member| member.external_id.as_deref());
            if ids.filter(|id| id.starts_with(wanted)).count() >= until {
                return;
            }
        }
    };
    let killed = tokio::select! {
        applied = planned.apply(&mut state, &options) => {
            applied.unwrap();
            false
        }
        () = enough => true,
    };
    match killed {
        // What was under way comes to its end on the server.
        true => tokio::time::sleep(Duration::from_millis(500)).await,
        false => kept.keep(&mut state),
    }
}

/// `DIRECTORY_SYNC_MANY=10000` prints how long so many take.
#[tokio::test(flavor = "multi_thread")]
async fn many_new_ids_are_given_and_given_back_though_both_are_killed_halfway() {
    let many = std::env::var("DIRECTORY_SYNC_MANY").ok();
    let people: usize = many.map_or(60, |many| many.parse().unwrap());
    let config = Config {
        rate_limits: Some(RateLimits::cloud()),
        latency: Duration::from_millis(150),
        ..Config::cloud()
    };
    let (organization, company) = filled(people, config).await;
    let before = organization.snapshot();
    let mut kept = Kept {
        ledger: State::default().ledger.to_bytes(),
        memberships: MembershipCache::default(),
        history: String::new(),
    };
    let mut at = 0;
    for (back, until) in [
        (false, Some(people / 2)),
        (false, None),
        (true, Some(people / 2)),
        (true, None),
    ] {
        let started = Instant::now();
        process((&organization, &company), &mut kept, back, until).await;
        let requests = organization.requests();
        let new = &requests[at..];
        let refused = new.iter().filter(|one| one.status == Some(429)).count();
        eprintln!(
            "back {back}, killed {}: {:?}, {} requests, {refused} refused, history {} bytes",
            until.is_some(),
            started.elapsed(),
            new.len(),
            kept.history.len(),
        );
        assert_eq!(refused, 0, "the pace is kept");
        at = requests.len();
    }
    let written = organization.requests();
    let written = written.iter().filter(|one| one.method == "PUT").count();
    // Those that were under way at a kill are written twice, at most.
    assert!(
        (2 * people..2 * people + 17).contains(&written),
        "{written}"
    );
    assert_eq!(organization.snapshot(), before);
    assert!(organization.losses().is_empty() && organization.invitations().is_empty());
}
