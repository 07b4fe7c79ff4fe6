//! Invitations that aren't accepted, sent again and withdrawn on a server that is read and fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use directory_sync::http::Retry;
use directory_sync::problem::ProblemReason;
use directory_sync::source::ldap::LdapSource;
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::plan::{Kind, OnboardingCounts};
use directory_sync::sync::policy::{Limit, Reinvite, Restore};
use directory_sync::sync::run::{RunError, State};
use jiff::SignedDuration;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{Config, SimulatedOrganization, Status};

use crate::fault_sweep::in_parallel;
use crate::world::{
    LONG_TIMEOUT, NO_RETRY, QUICK_RETRY, SHORT_TIMEOUT, Sync, address, client, client_with, email,
    organization, slapd, source,
};

/// Each invitation is due for being sent again, once.
const ONCE: Reinvite = Reinvite {
    after: SignedDuration::ZERO,
    times: 1,
};

/// Mails beside the first.
fn again(organization: &SimulatedOrganization) -> BTreeMap<String, u32> {
    let mails = organization.invitations().into_iter();
    mails
        .filter(|(_, mails)| *mails > 1)
        .map(|(email, mails)| (email, mails - 1))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_in_yet_is_counted_once_the_run_is_over() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let first = sync.run().await.unwrap();
    let invited = first.applied.get(Kind::Invite);
    assert!(invited > 20, "{invited}");
    let confirmed = first.onboarding.confirmed;
    let expected = OnboardingCounts {
        invited,
        confirmed,
        ..OnboardingCounts::default()
    };
    assert_eq!(first.onboarding, expected);

    assert!(organization.accept_and_confirm(&email("p30")));
    let second = sync.run().await.unwrap();
    let expected = OnboardingCounts {
        invited: invited - 1,
        confirmed: confirmed + 1,
        ..OnboardingCounts::default()
    };
    assert_eq!(second.onboarding, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_invitations_are_sent_again_and_nothing_else_is_touched() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let first = sync.run().await.unwrap();
    let invited = first.applied.get(Kind::Invite);
    assert!(organization.accept_and_confirm(&email("p30")));
    organization.revoke(&email("p31"));
    let before = organization.snapshot();

    sync.policy.onboarding.reinvite = Some(ONCE);
    sync.policy.onboarding.restore = Restore::Nobody;
    let second = sync.run().await.unwrap();
    assert_eq!(second.applied.get(Kind::Reinvite), invited - 2);
    assert_eq!(second.applied.total(), invited - 2);
    assert_eq!(organization.snapshot(), before);
    let sent = again(&organization);
    assert_eq!(sent.len(), invited - 2);
    assert!(!sent.contains_key(&email("p30")) && !sent.contains_key(&email("p31")));

    assert_eq!(sync.run().await.unwrap().applied.total(), 0);
    assert_eq!(again(&organization), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_withdrawn_unless_the_person_accepts_before_the_request() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    sync.policy.onboarding.withdraw_after = Some(SignedDuration::ZERO);
    sync.policy.groups.limit = Limit::Percent(100.0);
    let planned = sync.plan(None).await.unwrap();
    assert!(planned.held().is_none());
    assert!(
        planned
            .changes()
            .iter()
            .any(|one| one.withdraws_invitation())
    );
    assert!(organization.accept_and_confirm(&email("p30")));
    let report = sync.apply(planned).await.unwrap();

    let members = organization.snapshot().members;
    assert_eq!(members[&email("p30")].status, Status::Confirmed);
    assert!(!members.contains_key(&email("p31")));
    let refused = report.problems.by_reason();
    let refused: Vec<usize> = refused
        .filter(|(reason, ..)| *reason == ProblemReason::Refused)
        .map(|(_, count, _)| count)
        .collect();
    assert_eq!(refused, [1]);

    // Nobody is invited again, and whoever accepted stays.
    let before = organization.invitations();
    let next = sync.run().await.unwrap();
    assert_eq!(next.applied.total(), 0, "{:?}", next.planned());
    assert_eq!(organization.invitations(), before);
    assert!(organization.snapshot().members.contains_key(&email("p30")));
}

/// What a process leaves to the next one that is killed in the middle of its changes: what was kept before
/// the first of them.
async fn killed_run(sync: &mut Sync<'_>) -> Result<Vec<u8>, RunError> {
    let mut planned = sync.plan(None).await?;
    planned.invalidate(&mut sync.state);
    let kept = sync.state.ledger.to_bytes();
    let _ = sync.apply(planned).await;
    Ok(kept)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// The same process goes on.
    SameProcess,
    /// It was killed, and another one reads what was kept.
    NewProcess,
}

async fn disturb(
    source: &LdapSource,
    (k, way, work): (u64, Way, Work),
    (retry, then): (Retry, Then),
) {
    let case = format!(
        "invitation {k}, {way:?}, work {work:?}, {} retries, {then:?}",
        retry.times
    );
    let organization = organization(Config::cloud()).await;
    let healthy = client(&organization, retry);
    let timeout = match way {
        Way::Hang => SHORT_TIMEOUT,
        _ => LONG_TIMEOUT,
    };
    let failing = client_with(&organization, retry, timeout);
    let mut sync = Sync::new(source, &healthy);
    let invited = sync.run().await.unwrap().applied.get(Kind::Invite);
    sync.policy.onboarding.reinvite = Some(ONCE);
    let before = organization.snapshot();
    let fault = Fault::new(way).work(work).method("POST");
    organization
        .faults()
        .inject(fault.path("/api/public/members").on_request(k));
    sync.client = &failing;
    let kept = killed_run(&mut sync).await.unwrap();
    assert_eq!(organization.faults().fired(), 1, "{case}");
    sync.client = &healthy;
    if then == Then::NewProcess {
        let now = jiff::Timestamp::now();
        let ledger = directory_sync::sync::ledger::Ledger::load_unchecked(&kept, now);
        sync.state = State::restored(MembershipCache::default(), ledger);
    }
    for _ in 0..2 {
        sync.run().await.unwrap();
    }
    let sent = again(&organization);
    assert!(sent.values().all(|mails| *mails == 1), "{case}: {sent:?}");
    let wanted = match then {
        // All but the one that failed.
        Then::SameProcess => invited - 1,
        // Those that the killed process came to.
        Then::NewProcess => usize::try_from(k).unwrap() - 1,
    };
    assert!(sent.len() >= wanted, "{case}: {} of {wanted}", sent.len());
    assert_eq!(organization.snapshot(), before, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_in_any_way_sends_nobody_two_mails() {
    let slapd = slapd();
    let source = Arc::new(source(address(&slapd)));
    let mut cases = vec![];
    for k in [1, 20] {
        for way in Way::ALL {
            for work in Work::BOTH {
                let way = match way {
                    // Whoever is told to slow down wasn't sent a mail.
                    Way::TooManyRequests { .. } if work == Work::Done => continue,
                    Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
                    way => way,
                };
                for how in [
                    (NO_RETRY, Then::SameProcess),
                    (NO_RETRY, Then::NewProcess),
                    (QUICK_RETRY, Then::SameProcess),
                ] {
                    cases.push(((k, way, work), how));
                }
            }
        }
    }
    in_parallel(cases.into_iter().map(|(fault, how)| {
        let source = source.clone();
        async move { disturb(&source, fault, how).await }
    }))
    .await;
}
