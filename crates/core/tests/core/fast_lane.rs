//! Revocations ahead of a run: of whom, and of whom not.

use std::collections::HashSet;
use std::time::Duration;

use directory_sync_core::directory::{ExternalId, User};
use directory_sync_core::organization::model::{Member, MemberStatus, Organization};
use directory_sync_core::sync::fast_lane::{self, Baseline, Candidates, Doubt, Leaver};
use directory_sync_core::sync::guard::{GuardedPlan, guard};
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::{Action, Change, Kind, MemberAction, Plan, Reason, Subject};
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy};
use directory_sync_core::sync::resolve::resolve;
use directory_sync_core_testing::*;
use jiff::Timestamp;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn noon() -> Timestamp {
    "2026-05-04T12:00:00Z".parse().unwrap()
}

/// Twenty people, `p0` to `p19`.
fn company() -> TestDirectory {
    (0..20).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

fn members() -> ModelOrganization {
    let owner = organization().owner("root@example.com");
    (0..20).fold(owner, |organization, n| {
        organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

/// Both sides after whole runs that left nothing open.
#[derive(Clone)]
struct World {
    run: Run,
    policy: Policy,
    directory: TestDirectory,
    organization: ModelOrganization,
}

impl World {
    fn new(directory: TestDirectory, organization: ModelOrganization) -> Self {
        let run = Run {
            now: noon(),
            ..Run::default()
        };
        let mut world = Self {
            run,
            policy: policy(),
            directory,
            organization,
        };
        world.sync();
        // A day after it is known what was taken away.
        world.run.now += DAY * 2;
        world.sync();
        world
    }

    fn sync(&mut self) -> GuardedPlan {
        self.run.ledger.adopt(0, 0, self.run.now);
        self.run
            .sync(&self.directory, &mut self.organization, &self.policy)
    }

    /// What the last whole run leaves to the fast lane.
    fn baseline(&mut self) -> Option<Baseline> {
        let guarded = self.sync();
        let roster = resolve(self.directory.read(), &self.policy).unwrap();
        match self.organization.read() {
            Organization::Read(content) => {
                let candidates = Candidates::of(&roster, &self.policy, &guarded);
                candidates.map(|people| people.among(&content, &HashSet::new()))
            }
            Organization::WriteOnly => None,
        }
    }

    fn plan(&self, baseline: &Baseline, leavers: &[Leaver]) -> Result<GuardedPlan, Doubt> {
        let (run, policy) = (&self.run, &self.policy);
        fast_lane::plan(baseline, leavers, policy, &run.ledger, run.now)
    }

    fn revoke(&mut self, guarded: &GuardedPlan) {
        self.run.ledger.before(guarded, self.run.now);
        self.organization.apply(&guarded.approved);
        self.run.ledger.after(guarded, &FailedChanges::default());
    }

    fn member(&self, id: &str) -> Member {
        let mut members = self.organization.content.members.iter();
        let found = members.find(|one| one.external_id.as_ref().is_some_and(|e| e.as_str() == id));
        found.unwrap().clone()
    }

    /// Somebody whose entry says now that the account is disabled.
    fn leaver(&self, id: &str) -> Leaver {
        let user = user(&directory().disabled(id, &format!("{id}@example.com")));
        let member = self.member(id);
        Leaver { user, member }
    }
}

fn user(directory: &TestDirectory) -> User {
    directory.read().into_inner().users.remove(0)
}

fn revoked(guarded: &GuardedPlan) -> Vec<String> {
    let changes = guarded.approved.changes.iter();
    let changes = changes.inspect(|change| assert_eq!(change.kind(), Kind::Revoke));
    changes
        .map(|change| change.external_id().to_string())
        .collect()
}

#[test]
fn somebody_who_is_disabled_is_revoked_and_the_next_run_finds_nothing_to_do() {
    let mut world = World::new(company(), members());
    let baseline = world.baseline().unwrap();
    let guarded = world.plan(&baseline, &[world.leaver("p3")]).unwrap();
    assert_eq!(revoked(&guarded), ["p3"]);
    world.revoke(&guarded);
    assert_eq!(world.member("p3").status, MemberStatus::Revoked);
    assert!(world.run.ledger.has_revoked(&id("p3")));

    let disabled = (0..20).filter(|n| *n != 3).fold(directory(), |d, n| {
        d.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    world.directory = disabled.disabled("p3", "p3@example.com");
    let next = world.sync();
    assert!(next.approved.changes.is_empty() && next.held.is_none());
    // A signal that was on its way meanwhile is settled, until they may have access again.
    let is_settled = |baseline: &Baseline| baseline.is_revoked(&id("p3"));
    assert!(!is_settled(&baseline) && !is_settled(&baseline.clone().without(&guarded)));
    let done = [(Kind::Revoke, id("p3")), (Kind::Relink, id("p4"))];
    let done = done.into_iter().collect();
    let after = baseline.without(&guarded).after(&done);
    assert!(is_settled(&after) && !after.is_revoked(&id("p4")));
    assert!(is_settled(&world.baseline().unwrap()));
    // Enabled again: whom the fast lane revoked, a run restores.
    world.directory = company();
    world.run.now += Duration::from_secs(900);
    let next = world.sync();
    assert_eq!(next.approved.changes[0].kind(), Kind::Restore);
    assert!(next.held.is_none());
    assert!(!is_settled(&world.baseline().unwrap()));
}

#[test]
fn what_the_record_knows_of_others_stays() {
    let mut world = World::new(company(), members());
    world.directory = directory();
    world.directory = (2..20).fold(world.directory, |d, n| {
        d.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    world.directory = world
        .directory
        .disabled("p0", "p0@example.com")
        .disabled("p1", "p1@example.com");
    world.sync();
    let ours = world.run.ledger.revoked();
    assert_eq!(ours, 2);
    let baseline = world.baseline().unwrap();
    let guarded = world.plan(&baseline, &[world.leaver("p7")]).unwrap();
    world.revoke(&guarded);
    assert_eq!(world.run.ledger.revoked(), 3);
    assert!(world.run.ledger.has_revoked(&id("p0")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever the fast lane revokes a whole run would, too, and what comes of both is the same: for the
    /// members, and for what the record knows of them.
    #[test]
    fn a_whole_run_does_what_the_fast_lane_does_and_no_less(
        // As many as the limit allows, whoever was revoked by hand: more are held, but for who left before.
        leavers in proptest::collection::btree_set(0usize..20, 0..=4),
        certain in 0usize..=5,
        by_hand in 0usize..40,
        twin in 0usize..40,
    ) {
        let mut fast = World::new(company(), members());
        let mut baseline = fast.baseline().unwrap();
        let id = |n: usize| format!("p{n}");
        let email = |n: usize| format!("p{n}@example.com");
        fast.directory = (0..20).fold(directory(), |all, n| match leavers.contains(&n) {
            true => all.disabled(&id(n), &email(n)),
            false => all.person(&id(n), &email(n)),
        });
        if twin < 20 {
            fast.directory = fast.directory.clone().person("new", &email(twin));
        }
        for member in &mut fast.organization.content.members {
            if member.email.as_str() == email(by_hand) {
                member.status = MemberStatus::Revoked;
            }
        }
        let mut whole = fast.clone();
        // A source calls nobody certain whose address another entry has.
        for n in leavers.iter().copied().filter(|n| *n != twin).take(certain) {
            let guarded = fast.plan(&baseline, &[fast.leaver(&id(n))]).unwrap();
            fast.revoke(&guarded);
            baseline = baseline.without(&guarded);
        }
        for world in [&mut fast, &mut whole] {
            world.run.now += Duration::from_secs(60);
            world.sync();
            // Once more: a run restores nobody in the same run as a re-link.
            world.run.now += Duration::from_secs(60);
            world.sync();
        }
        prop_assert_eq!(fast.organization.show(), whole.organization.show());
        prop_assert_eq!(fast.run.ledger.revoked(), whole.run.ledger.revoked());
    }
}

#[test]
fn limits_hold_as_in_a_run_however_many_steps_it_takes() {
    let mut world = World::new(company(), members());
    world.policy.offboarding.disabled_limit = Limit::Percent(25.0);
    let mut baseline = world.baseline().unwrap();
    let all: Vec<_> = (0..20).map(|n| format!("p{n}")).collect();
    let leavers: Vec<_> = all.iter().map(|id| world.leaver(id)).collect();
    assert_eq!(world.plan(&baseline, &leavers).unwrap_err(), Doubt::Held);
    let mut gone = 0;
    for id in &all {
        match world.plan(&baseline, &[world.leaver(id)]) {
            Ok(guarded) => {
                world.revoke(&guarded);
                baseline = baseline.without(&guarded);
                gone += 1;
            }
            Err(doubt) => assert_eq!(doubt, Doubt::Held),
        }
    }
    // What a whole run would let go of at once, and no more.
    let mut whole = World::new(company(), members());
    whole.directory = (0..20).fold(directory(), |d, n| {
        let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
        match n < gone {
            true => d.disabled(&id, &email),
            false => d.person(&id, &email),
        }
    });
    assert!(whole.sync().held.is_none(), "{gone} by one run");
    let id = format!("p{gone}");
    let mut whole = World::new(company(), members());
    whole.directory = (0..20).fold(directory(), |d, n| {
        let (other, email) = (format!("p{n}"), format!("p{n}@example.com"));
        match n <= gone {
            true => d.disabled(&other, &email),
            false => d.person(&other, &email),
        }
    });
    assert!(whole.sync().held.is_some(), "{id}, too, by one run");
}

#[test]
fn of_many_who_seem_to_leave_none_goes_where_together_they_are_more_than_a_limit_allows() {
    let mut world = World::new(company(), members());
    let mut baseline = world.baseline().unwrap();
    let allow = |world: &World, baseline: &Baseline, suspects: std::ops::Range<usize>| {
        let suspects: Vec<ExternalId> = suspects.map(|n| id(&format!("p{n}"))).collect();
        let (policy, ledger) = (&world.policy, &world.run.ledger);
        fast_lane::limits_allow(baseline, &suspects, policy, ledger, world.run.now)
    };
    // A quarter of twenty.
    assert!(allow(&world, &baseline, 0..5));
    assert!(!allow(&world, &baseline, 0..6));
    // Who is told of twice, or was never a member, counts once or not at all.
    let suspects = ["p0", "p1", "p2", "p3", "p4", "p4", "nobody"].map(id);
    let (policy, ledger) = (&world.policy, &world.run.ledger);
    assert!(fast_lane::limits_allow(
        &baseline,
        &suspects,
        policy,
        ledger,
        world.run.now
    ));
    // One lot after another: who has lost access counts with those who are left.
    for gone in 0..5 {
        assert!(allow(&world, &baseline, gone..5), "{gone} are gone");
        assert!(!allow(&world, &baseline, gone..6), "{gone} are gone");
        let leaver = world.leaver(&format!("p{gone}"));
        let guarded = world.plan(&baseline, &[leaver]).unwrap();
        world.revoke(&guarded);
        baseline = baseline.without(&guarded);
    }
    assert!(!allow(&world, &baseline, 5..6));
}

#[test]
fn whatever_is_in_doubt_is_left_to_a_whole_run() {
    let mut world = World::new(company(), members());
    let baseline = world.baseline().unwrap();
    let leaver = world.leaver("p3");
    let doubt = |leaver: &Leaver| {
        world
            .plan(&baseline, std::slice::from_ref(leaver))
            .unwrap_err()
    };

    let with = |change: &dyn Fn(&mut Leaver)| {
        let mut leaver = leaver.clone();
        change(&mut leaver);
        leaver
    };
    let other = world.member("p4");
    assert_eq!(
        doubt(&with(&|one| one.member = other.clone())),
        Doubt::OtherMember
    );
    let renamed = user(&directory().disabled("p3", "other@example.com"));
    assert_eq!(
        doubt(&with(&|one| one.user = renamed.clone())),
        Doubt::OtherEmail
    );
    let without = user(&directory().disabled("p3", ""));
    assert_eq!(
        doubt(&with(&|one| one.user = without.clone())),
        Doubt::OtherEmail
    );
    let owner = organization().linked_owner("p3", "p3@example.com");
    let owner = owner.content.members[0].role;
    assert_eq!(
        doubt(&with(&|one| one.member.role = owner)),
        Doubt::OtherMember
    );
    let unknown = MemberStatus::Other(9);
    assert_eq!(
        doubt(&with(&|one| one.member.status = unknown)),
        Doubt::OtherMember
    );
    let unlinked = with(&|one| one.member.external_id = None);
    assert_eq!(doubt(&unlinked), Doubt::OtherMember);
    // Active, or revoked by somebody else meanwhile: nothing to do.
    let active = user(&directory().person("p3", "p3@example.com"));
    for nothing in [
        with(&|one| one.user = active.clone()),
        with(&|one| one.member.status = MemberStatus::Revoked),
    ] {
        let guarded = world.plan(&baseline, &[nothing]).unwrap();
        assert!(guarded.approved.changes.is_empty());
    }

    let mut policy = world.policy.clone();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let (ledger, now) = (&world.run.ledger, world.run.now);
    let leavers = [leaver.clone()];
    let planned = fast_lane::plan(&baseline, &leavers, &policy, ledger, now);
    assert_eq!(planned.unwrap_err(), Doubt::OtherPolicy);
    world.policy = policy;
    let removing = world.baseline().unwrap();
    assert_eq!(
        world.plan(&removing, &leavers).unwrap_err(),
        Doubt::OtherAction
    );
    world.policy.offboarding.disabled = OffboardingAction::Revoke;

    // The record isn't the one that was written last.
    let ledger = &world.run.ledger;
    let lost = ledger.clone().doubted(now);
    let planned = fast_lane::plan(&baseline, &leavers, &world.policy, &lost, now);
    assert_eq!(planned.unwrap_err(), Doubt::Record);
}

#[test]
fn nobody_is_known_for_certain_who_may_be_somebody_else() {
    let known = |directory: TestDirectory, organization: ModelOrganization| {
        let mut world = World::new(directory, organization);
        world.baseline().and_then(|one| one.member(&id("p3")))
    };
    assert!(known(company(), members()).is_some());
    // Another entry with the address, of whatever state, within the filters or not.
    for twin in [
        company().person("new", "p3@example.com"),
        company().disabled("old", "P3@example.com"),
        company().deleted("old", "p3@example.com"),
    ] {
        assert_eq!(known(twin, members()), None);
    }
    // An entry that can't be identified may be anybody's.
    assert_eq!(
        known(company().unidentified("dn=x", "x@example.com"), members()),
        None
    );
    // Two members with one id, or one address.
    assert_eq!(
        known(company(), members().member("p3", "again@example.com")),
        None
    );
    assert_eq!(
        known(company(), members().member("x", "p3@example.com")),
        None
    );
    // The account has another address than the entry.
    let renamed = (0..20).filter(|n| *n != 3).fold(directory(), |d, n| {
        d.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    assert_eq!(
        known(renamed.person("p3", "ann@example.com"), members()),
        None
    );
    // A directory that names nobody.
    assert_eq!(
        known(directory().disabled("p3", "p3@example.com"), members()),
        None
    );
}

#[test]
fn nothing_is_known_of_those_whom_an_undo_changes_under_the_id_that_they_have() {
    let mut world = World::new(company(), members());
    world.directory = (0..20).fold(directory(), |d, n| {
        let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
        match n {
            3 | 4 => d.disabled(&id, &email),
            _ => d.person(&id, &email),
        }
    });
    let baseline = world.baseline().unwrap();
    assert!(baseline.is_revoked(&id("p3")) && baseline.is_revoked(&id("p4")));
    let member = world.member("p3");
    let restored = Change {
        subject: Subject::person(id("dn"), member.email.clone(), Some(member.id)),
        reason: Reason::Undone,
        action: Action::Member(MemberAction::Restore),
    };
    let mut plan = Plan::default();
    plan.changes.push(restored);
    let (policy, ledger, now) = (&world.policy, &world.run.ledger, world.run.now);
    let guarded = guard(plan, policy, ledger, now, None);
    assert_eq!(guarded.approved.changes.len(), 1);
    let beside = baseline.apart_from(&guarded, &world.organization.content);
    assert!(!beside.is_revoked(&id("p3")), "that is about to change");
    assert!(beside.is_revoked(&id("p4")));
}
