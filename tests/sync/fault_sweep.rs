//! One sync, failed at each of its requests in turn, in every way a request can fail, on both
//! sides. Whatever happens: nobody loses what they shouldn't, nobody is invited twice, and the next
//! run ends in the very state that an undisturbed one ends in.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory_sync::http::Retry;
use directory_sync::source::ldap::LdapSource;
use directory_sync::sync::run::{RunError, State};
use futures::{StreamExt, stream};
use simulators::fault::{Fault, Way, Work};
use simulators::ldap_proxy::{LdapFault, LdapProxy};
use simulators::organization::{Config, Event, SimulatedOrganization, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::world::{
    LONG_TIMEOUT, NO_RETRY, QUICK_RETRY, SHORT_TIMEOUT, Sync, address, client, client_with,
    organization, slapd, source, source_with,
};

/// What an undisturbed sync does.
struct Wanted {
    end: Snapshot,
    losses: Vec<Event>,
    invitations: BTreeMap<String, u32>,
    /// Requests to the organization, the token's among them.
    requests: usize,
}

async fn undisturbed(source: &LdapSource) -> Wanted {
    let organization = organization(Config::cloud()).await;
    let client = client(&organization, NO_RETRY);
    let mut sync = Sync::new(source, &client);
    let report = sync.run().await.unwrap();
    assert!(
        report.applied.total() > 40,
        "the sync is of a realistic size: {:?}",
        report.applied
    );
    let wanted = Wanted {
        end: organization.snapshot(),
        losses: sorted(organization.losses()),
        invitations: organization.invitations(),
        requests: organization.requests().len(),
    };
    let again = sync.run().await.unwrap();
    assert!(
        again.in_sync(),
        "a sync leaves nothing to do: {:?}",
        again.planned()
    );
    assert_eq!(organization.snapshot(), wanted.end);
    wanted
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| format!("{event:?}"));
    events
}

/// Nothing happened that an undisturbed sync doesn't do, and nothing twice.
fn assert_harmless(case: &str, organization: &SimulatedOrganization, wanted: &Wanted) {
    let mut allowed = wanted.losses.clone();
    for loss in organization.losses() {
        let at = allowed.iter().position(|allowed| *allowed == loss);
        let at = at.unwrap_or_else(|| panic!("{case}: nobody should lose this: {loss:?}"));
        allowed.swap_remove(at);
    }
    for (email, mails) in organization.invitations() {
        assert!(
            wanted.invitations.contains_key(&email),
            "{case}: {email} isn't to be invited"
        );
        assert_eq!(mails, 1, "{case}: {email} was invited {mails} times");
    }
}

/// From whatever a disturbed run left, an undisturbed one gets to the wanted end, and the one after
/// it has nothing to do.
async fn assert_heals(
    case: &str,
    sync: &mut Sync<'_>,
    organization: &SimulatedOrganization,
    wanted: &Wanted,
) {
    let healed = sync
        .run()
        .await
        .unwrap_or_else(|error| panic!("{case}: the next run: {error}"));
    assert!(healed.held().is_none(), "{case}: {:?}", healed.held());
    assert_harmless(case, organization, wanted);
    assert_eq!(organization.snapshot(), wanted.end, "{case}");
    assert_eq!(sorted(organization.losses()), wanted.losses, "{case}");
    assert_eq!(organization.invitations(), wanted.invitations, "{case}");
    organization.clear_requests();
    let last = sync.run().await.unwrap();
    assert!(last.in_sync(), "{case}: left to do: {:?}", last.planned());
    assert!(
        !organization
            .requests()
            .iter()
            .any(simulators::organization::Request::is_write)
    );
}

/// So many cases run at once: many wait for a server that doesn't answer.
const AT_ONCE: usize = 6;

/// Runs each case as a task of its own, so that all cores work.
pub async fn in_parallel<Case>(cases: impl IntoIterator<Item = Case>)
where
    Case: Future<Output = ()> + Send + 'static,
{
    stream::iter(cases)
        .map(tokio::spawn)
        .buffer_unordered(AT_ONCE)
        .for_each(async |ended| {
            if let Err(failed) = ended {
                std::panic::resume_unwind(failed.into_panic());
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_organization_may_fail_anywhere_in_any_way() {
    let slapd = slapd();
    let source = source(address(&slapd));
    let wanted = undisturbed(&source).await;
    let mut cases = vec![];
    for k in 1..=wanted.requests as u64 {
        for way in Way::ALL {
            let way = match way {
                Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
                way => way,
            };
            for work in Work::BOTH {
                cases.push((k, way, work, NO_RETRY, true));
                // A process that goes on keeps what it remembers; a new one has nothing.
                cases.push((k, way, work, NO_RETRY, false));
                cases.push((k, way, work, QUICK_RETRY, true));
            }
        }
    }
    disturb_all(source, wanted, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_organization_may_be_refused_anywhere() {
    let slapd = slapd();
    let source = source(address(&slapd));
    let wanted = undisturbed(&source).await;
    let mut cases = vec![];
    for k in 1..=wanted.requests as u64 {
        for work in Work::BOTH {
            cases.push((k, Way::Refused, work, NO_RETRY, true));
            cases.push((k, Way::Refused, work, NO_RETRY, false));
        }
    }
    disturb_all(source, wanted, cases).await;
}

type Case = (u64, Way, Work, Retry, bool);

async fn disturb_all(source: LdapSource, wanted: Wanted, cases: Vec<Case>) {
    let (source, wanted) = (Arc::new(source), Arc::new(wanted));
    in_parallel(
        cases
            .into_iter()
            .map(|(k, way, work, retry, same_process)| {
                let (source, wanted) = (source.clone(), wanted.clone());
                async move {
                    let case = format!(
                        "request {k}, {way:?}, work {work:?}, {} retries",
                        retry.times
                    );
                    disturb(&case, &source, &wanted, (k, way, work), retry, same_process).await;
                }
            }),
    )
    .await;
}

async fn disturb(
    case: &str,
    source: &LdapSource,
    wanted: &Wanted,
    (k, way, work): (u64, Way, Work),
    retry: Retry,
    same_process: bool,
) {
    let organization = organization(Config::cloud()).await;
    organization
        .faults()
        .inject(Fault::new(way).work(work).on_request(k));
    let timeout = if way == Way::Hang {
        SHORT_TIMEOUT
    } else {
        LONG_TIMEOUT
    };
    let disturbed_client = client_with(&organization, retry, timeout);
    let client = client(&organization, retry);
    let mut sync = Sync::new(source, &disturbed_client);
    let disturbed = sync.run().await;
    sync.client = &client;
    assert_eq!(
        organization.faults().fired(),
        1,
        "{case}: the fault was met"
    );
    if let Err(error) = &disturbed {
        assert!(
            !error.to_string().contains("simulated-organization-key"),
            "{case}: {error}"
        );
    }
    assert_harmless(case, &organization, wanted);
    if !same_process {
        sync.state = State::default();
    }
    assert_heals(case, &mut sync, &organization, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_may_be_stopped_at_any_request() {
    let slapd = slapd();
    let source = source(address(&slapd));
    let wanted = undisturbed(&source).await;
    let (source, wanted) = (Arc::new(source), Arc::new(wanted));
    let requests = 1..=wanted.requests as u64;
    let cases = requests.flat_map(|k| Work::BOTH.map(|work| (k, work)));
    in_parallel(cases.map(|(k, work)| {
        let (source, wanted) = (source.clone(), wanted.clone());
        async move { stop(&source, &wanted, k, work).await }
    }))
    .await;
}

async fn stop(source: &LdapSource, wanted: &Wanted, k: u64, work: Work) {
    let case = format!("stopped at request {k}, work {work:?}");
    let organization = Arc::new(organization(Config::cloud()).await);
    organization
        .faults()
        .inject(Fault::new(Way::Hang).work(work).on_request(k));
    let client = client(&organization, NO_RETRY);
    let mut sync = Sync::new(source, &client);
    let stop = sync.stop.clone();
    let watched = organization.clone();
    let stopper = tokio::spawn(async move {
        while watched.faults().fired() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.cancel();
    });
    let stopped = sync.run().await;
    stopper.await.unwrap();
    assert!(
        matches!(stopped, Err(RunError::Stopped { .. })),
        "{case}: {stopped:?}"
    );
    assert_harmless(&case, &organization, wanted);
    sync.stop = CancellationToken::new();
    assert_heals(&case, &mut sync, &organization, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_may_make_way_between_any_two_requests() {
    let slapd = slapd();
    let source = source(address(&slapd));
    let wanted = undisturbed(&source).await;
    let (source, wanted) = (Arc::new(source), Arc::new(wanted));
    let made_way = Arc::new(AtomicUsize::new(0));
    let requests = wanted.requests;
    in_parallel((1..=requests).map(|k| {
        let (source, wanted, made_way) = (source.clone(), wanted.clone(), made_way.clone());
        async move { make_way(&source, &wanted, k, &made_way).await }
    }))
    .await;
    let made_way = made_way.load(Ordering::Relaxed);
    assert!(
        made_way > requests / 4,
        "{made_way} of {requests}: the changes are most of a run"
    );
}

async fn make_way(source: &LdapSource, wanted: &Wanted, k: usize, made_way: &AtomicUsize) {
    let case = format!("made way after request {k}");
    let config = Config {
        latency: Duration::from_millis(20),
        ..Config::cloud()
    };
    let organization = Arc::new(organization(config).await);
    let client = client(&organization, NO_RETRY);
    let mut sync = Sync::new(source, &client);
    let (watched, token) = (organization.clone(), CancellationToken::new());
    sync.make_way = Some(token.clone());
    let asker = tokio::spawn(async move {
        while watched.requests().len() < k {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        token.cancel();
    });
    match sync.run().await {
        Ok(_) => {}
        Err(RunError::MadeWay { .. }) => {
            made_way.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => panic!("{case}: {error}"),
    }
    asker.await.unwrap();
    assert_harmless(&case, &organization, wanted);
    sync.make_way = None;
    assert_heals(&case, &mut sync, &organization, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_directory_may_fail_anywhere_in_any_way_and_nothing_is_changed() {
    let slapd = slapd();
    let direct = source(address(&slapd));
    let wanted = undisturbed(&direct).await;
    let proxy = LdapProxy::start(address(&slapd)).await.unwrap();
    let proxied = source(proxy.address());
    let requests = {
        let organization = organization(Config::cloud()).await;
        let client = client(&organization, NO_RETRY);
        proxy.disarm();
        Sync::new(&proxied, &client).run().await.unwrap();
        proxy.requests()
    };
    assert!(
        requests >= 8,
        "people and groups come in pages: {requests} requests"
    );
    let faults = [
        LdapFault::CutBefore,
        LdapFault::CutAfter,
        LdapFault::HalfAnswer,
        LdapFault::Hang,
        LdapFault::Code(3),
        LdapFault::Code(4),
        LdapFault::Code(10),
        LdapFault::Code(11),
        LdapFault::Code(51),
        LdapFault::Code(52),
    ];
    let wanted = Arc::new(wanted);
    let upstream = address(&slapd);
    let cases = (0..requests).flat_map(|k| faults.map(|fault| (k, fault)));
    in_parallel(cases.map(|(k, fault)| {
        let wanted = wanted.clone();
        async move { disturb_directory(upstream, &wanted, k, fault).await }
    }))
    .await;
}

async fn disturb_directory(upstream: SocketAddr, wanted: &Wanted, k: usize, fault: LdapFault) {
    let case = format!("directory request {k}, {fault:?}");
    let timeout = if fault == LdapFault::Hang {
        SHORT_TIMEOUT
    } else {
        LONG_TIMEOUT
    };
    let proxy = LdapProxy::start(upstream).await.unwrap();
    let source = source(proxy.address());
    let disturbed = source_with(proxy.address(), timeout);
    let organization = organization(Config::cloud()).await;
    let before = organization.snapshot();
    let client = client(&organization, NO_RETRY);
    let mut sync = Sync::new(&disturbed, &client);
    proxy.arm(k, fault);
    let failed = sync.run().await;
    sync.source = &source;
    assert!(
        matches!(failed, Err(RunError::Source { .. })),
        "{case}: {failed:?}"
    );
    assert_eq!(organization.snapshot(), before, "{case}");
    assert!(
        !organization
            .requests()
            .iter()
            .any(simulators::organization::Request::is_write),
        "{case}: nothing is sent after a failed read"
    );
    proxy.disarm();
    assert_heals(&case, &mut sync, &organization, wanted).await;
}
