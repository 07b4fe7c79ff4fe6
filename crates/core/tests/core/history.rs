//! Records of what runs do, on plans of the core.

use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::sync::guard::Approval;
use directory_sync_core::sync::history::{
    ADDED_MAX, History, INVITATIONS_MAX, Outcome, Record, RunId, RunInfo, RunTrigger,
};
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy};
use directory_sync_core::sync::report::Outcomes;
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, organization, policy,
};
use jiff::Timestamp;

fn started(history: &mut History) {
    history.start(RunInfo {
        id: RunId::at(Timestamp::UNIX_EPOCH),
        trigger: RunTrigger::Scheduled,
        approved_by: Some("argocd-controller".into()),
        undoes: None,
        directory_sync: None,
    });
}

/// Plans a run and makes all of it; what is kept before, what afterwards, and what is told.
fn run(
    runs: &mut Run,
    directory: &TestDirectory,
    organization: &mut ModelOrganization,
    policy: &Policy,
) -> (Vec<Record>, Vec<Record>, Vec<Record>) {
    let mut history = History::default();
    started(&mut history);
    let before = organization.read();
    let guarded = runs.plan(directory, organization, policy);
    history.begin(&guarded, &before, &runs.ledger, runs.now);
    let begun = history.take_unsaved();
    let changes = guarded.approved.changes.len();
    let mut outcomes = Outcomes::new(changes);
    for at in 0..changes {
        outcomes.sent(at, None);
        outcomes.done(at, runs.now);
    }
    let mut told = vec![];
    history.end(&guarded, &before, &outcomes, None, &mut |one| {
        told.push(one.clone())
    });
    runs.ledger.before(&guarded, runs.now);
    organization.apply(&guarded.approved);
    runs.ledger.after(&guarded, &Default::default());
    (begun, history.take_unsaved(), told)
}

#[test]
fn thousands_of_invitations_are_told_one_by_one_and_kept_as_a_number() {
    let mut company = directory();
    let people: Vec<String> = (0..3_000).map(|n| format!("p{n:04}")).collect();
    for id in &people {
        company = company.person(id, &format!("{id}@example.com"));
    }
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let company = company.group("all", "Everyone", &ids);
    let mut runs = Run::default();
    let (begun, kept, told) = run(&mut runs, &company, &mut organization(), &policy());
    assert_eq!(told.len(), 3_001);
    let everyone = |records: &[Record]| {
        let group = records.iter().find(|one| one.group.is_some());
        group.map(|one| (one.added.len(), one.more)).unwrap()
    };
    assert_eq!(everyone(&told), (3_000, 0));
    for kept in [&begun, &kept] {
        assert_eq!(kept.len(), INVITATIONS_MAX + 2);
        assert_eq!(everyone(kept), (ADDED_MAX, 1_000));
        let summary = kept
            .iter()
            .find(|one| one.person.is_none() && one.group.is_none());
        let summary = summary.unwrap();
        assert_eq!((summary.action, summary.more), (Kind::Invite, 2_500));
        let mut numbers: Vec<u32> = kept.iter().map(|one| one.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), kept.len(), "each has a number of its own");
    }
    assert!(begun.iter().all(|one| one.result == Outcome::Pending));
    assert!(kept.iter().all(|one| one.result == Outcome::Done));
}

#[test]
fn losses_are_kept_by_name_with_their_evidence_whatever_their_number() {
    let mut members = organization();
    let mut company = directory().person("stays", "stays@example.com");
    for n in 0..1_000 {
        let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
        members = members.member(&id, &email);
        company = company.disabled(&id, &email);
    }
    let mut members = members.member("stays", "stays@example.com");
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Percent(100.0);
    let mut runs = Run::default();
    let (begun, kept, _) = run(&mut runs, &company, &mut members, &policy);
    for records in [begun, kept] {
        let revoked = records.iter().filter(|one| one.action == Kind::Revoke);
        let named = revoked.filter(|one| {
            let evidence = one.evidence.as_ref().unwrap();
            one.person.is_some() && evidence.detail.contains("state of p")
        });
        assert_eq!(named.count(), 1_000);
    }
}

#[test]
fn what_was_approved_says_by_which_hold_and_whose_word() {
    let mut members = organization();
    for n in 0..20 {
        members = members.member(&format!("p{n}"), &format!("p{n}@example.com"));
    }
    let company = (0..8).fold(directory(), |company, n| {
        company.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let company = company.person("new", "new@example.com");
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    let mut runs = Run::default();
    let held = runs.plan(&company, &members, &policy).held.unwrap();
    runs.approval = Some(Approval {
        digest: held.hold.id.clone(),
    });
    let (_, kept, _) = run(&mut runs, &company, &mut members, &policy);
    let revoked: Vec<&Record> = kept
        .iter()
        .filter(|one| one.action == Kind::Revoke)
        .collect();
    assert_eq!(revoked.len(), 12);
    for record in revoked {
        let approval = record.approval.as_ref().unwrap();
        assert_eq!(approval.hold.as_ref(), Some(&held.hold.id));
        assert_eq!(approval.by.as_deref(), Some("argocd-controller"));
    }
    let invited = kept.iter().find(|one| one.action == Kind::Invite).unwrap();
    assert_eq!(invited.approval, None, "nobody had to approve this");
}

#[test]
fn after_a_kill_the_next_run_finds_out_what_was_done() {
    let company = directory()
        .person("new", "new@example.com")
        .person("late", "late@example.com")
        .disabled("ann", "ann@example.com")
        .disabled("bob", "bob@example.com");
    let mut members = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com");
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Percent(100.0);
    let mut runs = Run::default();
    let guarded = runs.plan(&company, &members, &policy);
    let mut history = History::default();
    started(&mut history);
    history.begin(&guarded, &members.read(), &runs.ledger, runs.now);
    let begun = history.take_unsaved();
    assert_eq!(begun.len(), 4);
    // The process is killed after two requests.
    members.set_status("ann@example.com", MemberStatus::Revoked);
    members = members.member("new", "new@example.com");
    let mut next = History::restored(begun);
    let mut told = vec![];
    next.settle(&members.read(), &Default::default(), &mut |one| {
        told.push(one.clone())
    });
    let settled: Vec<(String, Outcome)> = next
        .take_unsaved()
        .iter()
        .map(|one| (one.label(), one.result))
        .collect();
    assert_eq!(
        settled,
        [
            ("ann@example.com".to_owned(), Outcome::Done),
            ("bob@example.com".to_owned(), Outcome::NotMade),
            ("late@example.com".to_owned(), Outcome::NotMade),
            ("new@example.com".to_owned(), Outcome::Done),
        ]
    );
    assert_eq!(told.len(), 2, "what wasn't made is told to nobody");
    next.settle(&members.read(), &Default::default(), &mut |_| {
        panic!("it is settled")
    });
}
