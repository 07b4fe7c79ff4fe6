//! Invitations when the subscription has too few seats.

use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core_testing::{Run, directory, organization, policy, sync};

use directory_sync_core::sync::policy::Restore;

use crate::{changes, problems, unlimited};

#[test]
fn who_gets_access_back_comes_first_and_who_waits_is_named() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["ann", "bob", "zoe"]);
    let mut organization = organization()
        .owner("root@example.com")
        .revoked("zoe", "zoe@example.com")
        .group("g", "Group", &["zoe@example.com"])
        .seats(3);
    let mut policy = policy();
    policy.onboarding.restore = Restore::All;
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(
        changes(&run),
        ["Restore zoe", "Invite ann", "UpdateGroup g"]
    );
    assert_eq!(problems(&run), [(ProblemReason::NoSeats, vec!["bob"])]);
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): ann@example.com zoe@example.com"
    );
}

#[test]
fn those_who_go_make_room_in_the_same_run_unless_they_are_held() {
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com");
    let before = organization().member("ann", "ann@example.com").seats(1);
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &unlimited());
    assert_eq!(changes(&run), ["Revoke ann", "Invite bob"]);

    let mut policy = policy();
    policy.offboarding.disabled_limit = directory_sync_core::sync::policy::Limit::Count(0);
    let run = sync(&directory, &mut before.clone(), &policy);
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(problems(&run), [(ProblemReason::NoSeats, vec!["bob"])]);
}

#[test]
fn links_need_no_seat_and_whoever_was_revoked_before_frees_none() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .disabled("bob", "bob@example.com")
        .person("cid", "cid@example.com");
    let mut policy = unlimited();
    policy.offboarding.disabled = directory_sync_core::sync::policy::OffboardingAction::Remove;
    let mut organization = organization()
        .stranger("ann@example.com")
        .revoked("bob", "bob@example.com")
        .seats(1);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Remove bob", "Link ann"]);
    assert_eq!(problems(&run), [(ProblemReason::NoSeats, vec!["cid"])]);
}

#[test]
fn seats_that_grow_by_themselves_are_free_up_to_their_limit() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com");
    let mut organization = organization().seats(0);
    for (limit, invited) in [(Some(1), 1), (Some(2), 2), (None, 2)] {
        organization.seats.as_mut().unwrap().autoscale_to = limit;
        let run = Run::default().plan(&directory, &organization, &policy());
        assert_eq!(run.approved.changes.len(), invited, "{limit:?}");
    }
}

#[test]
fn while_somebody_waits_for_a_seat_nothing_is_read_or_written_for_them() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["ann", "bob"]);
    let mut organization = organization().seats(1);
    let mut runs = Run::default();
    runs.sync(&directory, &mut organization, &policy());
    let again = runs.sync(&directory, &mut organization, &policy());
    assert_eq!((changes(&again), runs.read.len()), (vec![], 0));

    organization = organization.seats(2);
    runs.sync(&directory, &mut organization, &policy());
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): ann@example.com bob@example.com"
    );
}

#[test]
fn whoever_is_staged_takes_no_seat_and_whoever_is_invited_or_accepted_does() {
    for (status, free) in [
        (MemberStatus::Staged, true),
        (MemberStatus::Revoked, true),
        (MemberStatus::Invited, false),
        (MemberStatus::Accepted, false),
    ] {
        let mut organization = organization().seats(1);
        organization.add(None, "old@example.com", status, MemberRole::USER);
        let newcomer = directory().person("new", "new@example.com");
        let run = sync(&newcomer, &mut organization, &policy());
        let invited = changes(&run) == ["Invite new"];
        assert_eq!(invited, free, "{status:?}: {:?}", changes(&run));
    }
}
