//! What waits for a person, and what doesn't.

use directory_sync_core::directory::AccountState;
use directory_sync_core::organization::model::{Member, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{
    Approval, Digest, FingerprintSet, GuardedPlan, HeldBecause,
};
use directory_sync_core::sync::ledger::{ApprovedSets, Ledger};
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::{Change, GroupAction, Kind};
use directory_sync_core::sync::policy::{Glob, Limit, OffboardingAction, Policy};

use proptest::prelude::*;

use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy, sync,
};
use jiff::{SignedDuration, Timestamp};

use crate::{changes, problems};

pub fn limited(limit: Limit) -> Policy {
    let mut policy = policy();
    policy.offboarding.limit = limit;
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.groups.prune = true;
    policy
}

/// Ten members, `p0` to `p9`, all of them in one group.
fn ten_members() -> ModelOrganization {
    let emails: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let members = (0..10).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), emails[n])
    });
    members.group("g", "Group", &emails)
}

/// The same people from `first` on, and a newcomer, in the same group.
fn people_from(first: usize) -> TestDirectory {
    let ids: Vec<String> = (first..10)
        .map(|n| format!("p{n}"))
        .chain(["new".into()])
        .collect();
    let people = ids.iter().fold(directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    people.group(
        "g",
        "Group",
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// So many members, `p0` and so on, all of them in group `g`.
pub fn members(count: usize) -> ModelOrganization {
    let emails: Vec<String> = (0..count).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let members = (0..count).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), emails[n])
    });
    members.group("g", "Group", &emails)
}

/// The people with these numbers, all of them in group `g`.
pub fn people(numbers: impl IntoIterator<Item = usize>) -> TestDirectory {
    let ids: Vec<String> = numbers.into_iter().map(|n| format!("p{n}")).collect();
    let people = ids.iter().fold(directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    people.group("g", "Group", &ids)
}

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Runs from a time on, with a ledger that nothing is known to have happened before.
pub fn since(now: Timestamp) -> Run {
    Run {
        now,
        ledger: Ledger::begin(now),
        ..Run::default()
    }
}

pub const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn why(guarded: &GuardedPlan) -> Vec<HeldBecause> {
    guarded
        .held
        .as_ref()
        .map_or(vec![], |held| held.why.clone())
}

pub fn approve(digest: &Digest) -> Option<Approval> {
    Some(Approval {
        digest: digest.clone(),
    })
}

#[test]
fn as_many_as_the_limit_go_and_one_more_waits_with_all_others() {
    let limit = limited(Limit::Percent(20.0));
    let mut organization = ten_members();
    assert!(
        sync(&people_from(2), &mut organization, &limit)
            .held
            .is_none()
    );
    assert_eq!(organization.content.members.len(), 9);

    let mut organization = ten_members();
    let run = sync(&people_from(3), &mut organization, &limit);
    assert_eq!(
        why(&run),
        [HeldBecause::Absent {
            members: 3,
            earlier: 0,
            limit: 2
        }]
    );
    // Everything else goes ahead, and nobody loses their group on the way.
    assert_eq!(changes(&run), ["Invite new", "UpdateGroup g"]);
    assert_eq!(organization.content.members.len(), 11);
    assert_eq!(organization.inside.values().next().unwrap().len(), 11);
}

#[test]
fn a_share_is_rounded_down_and_a_number_never_lets_more_than_half_go() {
    for (limit, first, held) in [
        (Limit::Percent(1.0), 1, false),
        (Limit::Percent(1.0), 2, true),
        (Limit::Percent(19.9), 2, true),
        (Limit::Percent(0.0), 1, true),
        (Limit::Count(0), 1, true),
        (Limit::Count(4), 4, false),
        (Limit::Count(4), 5, true),
        (Limit::Count(25), 5, false),
        (Limit::Count(25), 6, true),
        (Limit::Percent(100.0), 9, false),
    ] {
        let mut policy = limited(limit);
        policy.groups.limit = Limit::Percent(100.0);
        let run = sync(&people_from(first), &mut ten_members(), &policy);
        assert_eq!(run.held.is_some(), held, "{limit:?}, {first} gone");
    }
}

#[test]
fn the_limit_is_a_share_of_those_with_access_and_not_of_those_who_left_over_the_years() {
    let mut organization = (0..450).fold(members(50), |organization, n| {
        organization.revoked(&format!("old{n}"), &format!("old{n}@example.com"))
    });
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    let before = organization.show();
    let run = since(NOON).sync(&people([0]), &mut organization, &policy);
    assert_eq!(organization.show(), before, "nobody is revoked");
    let expected = HeldBecause::Absent {
        members: 49,
        earlier: 0,
        limit: 5,
    };
    assert_eq!(why(&run)[0], expected);
}

#[test]
fn somebody_who_loses_a_membership_counts_like_somebody_who_loses_access_and_once() {
    let everyone = (0..10).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let staying: Vec<String> = (0..6).map(|n| format!("p{n}")).collect();
    let staying: Vec<&str> = staying.iter().map(String::as_str).collect();
    let directory = everyone
        .group("g", "Group", &staying)
        .group("h", "Second", &staying);
    let emails: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let before = ten_members().group("h", "Second", &emails);
    let run = sync(&directory, &mut before.clone(), &limited(Limit::Count(3)));
    let expected = HeldBecause::Absent {
        members: 4,
        earlier: 0,
        limit: 3,
    };
    assert_eq!(why(&run), [expected]);
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &limited(Limit::Count(4)));
    assert!(run.held.is_none());
    assert!(
        organization
            .inside
            .values()
            .all(|members| members.len() == 6)
    );
}

#[test]
fn the_members_of_a_deleted_group_lose_something() {
    // One of ten groups is gone, which everyone is in.
    let organization = (0..9).fold(members(60), |organization, n| {
        organization.group(&format!("g{n}"), &format!("Group {n}"), &["p0@example.com"])
    });
    let directory = (0..60).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = (0..9).fold(directory, |directory, n| {
        directory.group(&format!("g{n}"), &format!("Group {n}"), &["p0"])
    });
    let mut after = organization.clone();
    let run = since(NOON).sync(&directory, &mut after, &limited(Limit::Percent(10.0)));
    assert_eq!(after.show(), organization.show());
    let expected = HeldBecause::Absent {
        members: 60,
        earlier: 0,
        limit: 6,
    };
    assert_eq!(why(&run)[0], expected);
}

#[test]
fn more_deleted_groups_than_the_limit_wait_and_nothing_else_does() {
    let organization = ["h", "i", "j"]
        .iter()
        .fold(members(10), |organization, id| {
            organization.group(id, id, &[])
        });
    let directory = people(1..10);
    let mut after = organization.clone();
    let run = sync(&directory, &mut after, &limited(Limit::Count(2)));
    assert_eq!(after.content.groups.len(), 4, "no group is deleted");
    let expected = HeldBecause::DeletedGroups {
        groups: 3,
        earlier: 0,
        limit: 2,
    };
    assert_eq!(why(&run), [expected]);
    assert_eq!(changes(&run), ["Remove p0"], "whom it isn't about");
}

#[test]
fn a_team_is_not_emptied_within_a_large_organization() {
    let team: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    let emails: Vec<String> = team.iter().map(|id| format!("{id}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let before = members(1_000).group("team", "Team", &emails);
    let everyone = people(0..1_000);
    let mut policy = limited(Limit::Percent(10.0));
    for (left, is_held) in [(15, false), (14, true), (0, true)] {
        let staying: Vec<&str> = team[..left].iter().map(String::as_str).collect();
        let directory = everyone.clone().group("team", "Team", &staying);
        let run = since(NOON).sync(&directory, &mut before.clone(), &policy);
        assert_eq!(run.held.is_some(), is_held, "{left} stay");
    }
    // Removed from the organization they leave it, too.
    let gone = people(30..1_000).group("team", "Team", &[]);
    let run = since(NOON).plan(&gone, &before, &policy);
    assert!(matches!(
        why(&run)[0],
        HeldBecause::Group {
            members: 30,
            limit: 15,
            ..
        }
    ));

    policy.groups.protected = vec![Glob::new("tea*")];
    let all_but_one: Vec<&str> = team[1..].iter().map(String::as_str).collect();
    let directory = everyone.clone().group("team", "Team", &all_but_one);
    let run = since(NOON).plan(&directory, &before, &policy);
    assert!(matches!(
        why(&run)[0],
        HeldBecause::ProtectedGroup { members: 1, .. }
    ));
    let run = since(NOON).plan(&everyone, &before, &policy);
    let protected = HeldBecause::ProtectedGroup {
        name: "Team".into(),
        members: 30,
    };
    assert!(why(&run).contains(&protected), "{:?}", why(&run));
}

#[test]
fn a_boiling_frog_is_noticed() {
    // Every ten minutes a tenth of those who are left.
    let mut organization = members(60);
    let policy = limited(Limit::Percent(10.0));
    let mut run = since(NOON);
    let mut left = 60;
    for _ in 0..9 {
        left -= left / 10;
        run.sync(&people(0..left), &mut organization, &policy);
        run.now += SignedDuration::from_mins(10);
    }
    assert_eq!(organization.content.members.len(), 54, "six a day");
    // Not even after a restart, nor with the clock set back.
    let bytes = run.ledger.to_bytes();
    for back in [0, 1, 30] {
        let now = run.now - hours(back);
        let mut restarted = Run {
            now,
            ledger: Ledger::load(Some(&bytes), Some(&*run.ledger.digest()), now),
            ..Run::default()
        };
        restarted.sync(&people(0..left), &mut organization, &policy);
        assert_eq!(organization.content.members.len(), 54, "{back} hours back");
    }
    // A day later six more may go, but there are more who would.
    run.now += hours(25);
    assert!(
        run.plan(&people(0..left), &organization, &policy)
            .held
            .is_some()
    );
    assert!(
        run.plan(&people(0..49), &organization, &policy)
            .held
            .is_none()
    );
}

#[test]
fn an_organization_whose_record_was_lost_is_not_filled_as_in_a_first_sync() {
    let many = people(0..30);
    let mut run = since(NOON);
    let mut organization = organization();
    let first = run.plan(&many, &organization, &policy());
    assert!(first.held.is_none());
    // Everybody was removed since, and the record with it; or somebody made another one up.
    let other = Ledger::begin(NOON).to_bytes();
    for kept in [None, Some(&other[..])] {
        let digest = "0123456789abcdef0123456789abcdef";
        run.ledger = Ledger::load(kept, Some(digest), NOON);
        let plan = run.sync(&many, &mut organization, &policy());
        assert!(plan.held.is_some());
        assert_eq!(organization.content.members.len(), 0);
    }
}

#[test]
fn an_organization_that_was_synced_before_is_not_filled_as_in_a_first_sync() {
    // The resource was deleted and made anew, or the state folder: nothing tells of the runs before.
    let policy = policy();
    let mut organization = members(40);
    let mut run = first_record_of(40, 40);
    let guarded = run.sync(&people(0..240), &mut organization, &policy);
    let expected = HeldBecause::Invited {
        people: 200,
        earlier: 0,
        limit: 20,
    };
    assert_eq!(why(&guarded), [expected]);
    assert_eq!(organization.content.members.len(), 40);
    // As many as on any other day come in.
    run.sync(&people(0..60), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 60);
    // One member who was synced before is enough to tell.
    let mut organization = members(1);
    let mut run = first_record_of(1, 1);
    run.sync(&people(0..7), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 1);
    run.sync(&people(0..6), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 6);
    // Where the only ones have IDs of another program, it is a first sync.
    let mut organization = members(40);
    let mut run = first_record_of(40, 0);
    run.sync(&people(0..240), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 240);
}

#[test]
fn a_first_sync_that_only_linked_members_is_over() {
    let policy = policy();
    let mut organization = (0..40).fold(organization(), |all, n| {
        all.stranger(&format!("p{n}@example.com"))
    });
    let mut run = first_record(0);
    let linked = run.sync(&people(0..40), &mut organization, &policy);
    assert!(changes(&linked).contains(&"Link p0".to_owned()));
    for later in [0, 6, 17] {
        run.now += hours(later);
        let guarded = run.sync(&people(0..340), &mut organization, &policy);
        assert!(guarded.held.is_some(), "{later}");
        assert_eq!(organization.content.members.len(), 40);
    }
}

/// A new process that finds this record, which nobody believes, and what status says was used.
fn without_record(run: &mut Run, kept: Option<&[u8]>) {
    let used = run.ledger.used();
    run.ledger = Ledger::load(kept, Some("0123456789abcdef0123456789abcdef"), run.now);
    run.ledger.count_used(&used);
}

#[test]
fn a_record_that_is_lost_again_and_again_gives_no_fresh_limit_of_dismissals() {
    for kept in [false, true] {
        let mut policy = policy();
        policy.offboarding.disabled_limit = Limit::Percent(25.0);
        let mut organization = members(40);
        let mut run = since(NOON);
        let made_up = Ledger::begin(NOON).to_bytes();
        let mut went = vec![];
        for more in 1..=5 {
            let disabled = (0..8 * more).fold(people(8 * more..40), |all, n| {
                all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
            });
            run.sync(&disabled, &mut organization, &policy);
            let revoked = organization.content.members.iter();
            went.push(
                revoked
                    .filter(|one| one.status == MemberStatus::Revoked)
                    .count(),
            );
            run.now += SignedDuration::from_mins(10);
            without_record(&mut run, kept.then_some(&made_up[..]));
        }
        assert_eq!(went, [8, 8, 8, 8, 8], "made up: {kept}");
        // A day later that is over, and the rest waits for somebody's word, or a day more.
        run.now += hours(24);
        let disabled = (0..15).fold(people(15..40), |all, n| {
            all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let guarded = run.sync(&disabled, &mut organization, &policy);
        assert!(guarded.held.is_none(), "{:?}", why(&guarded));
    }
}

/// The people of `people(0..60)`, the first of them disabled.
fn with_disabled(count: usize) -> TestDirectory {
    (0..count).fold(people(count..60), |all, n| {
        all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

#[test]
fn a_clock_that_was_ahead_delays_no_dismissal_for_longer_than_a_day_though_the_record_is_lost() {
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Percent(25.0);
    let mut organization = members(60);
    // Twenty days ahead for one run.
    let mut run = since(NOON + hours(480));
    run.sync(&with_disabled(15), &mut organization, &policy);
    run.now = NOON;
    run.sync(&with_disabled(15), &mut organization, &policy);
    run.now += hours(26);
    let guarded = run.sync(&with_disabled(16), &mut organization, &policy);
    assert!(guarded.held.is_none(), "{:?}", why(&guarded));
    let mut held = vec![];
    for at in [100, 110, 120, 125, 150] {
        run.now = NOON + hours(at);
        without_record(&mut run, None);
        held.push(
            run.sync(&with_disabled(27), &mut organization, &policy)
                .held
                .is_some(),
        );
    }
    // Eleven of the 44 and the one that may have been just now are too many, for a day.
    assert_eq!(held, [true, true, true, false, false]);
}

#[test]
fn a_record_that_is_lost_while_the_clock_is_ahead_gives_no_fresh_limit() {
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Percent(25.0);
    for ahead in [25, 24 * 8, 24 * 400] {
        let mut organization = members(60);
        let mut run = since(NOON);
        run.sync(&with_disabled(15), &mut organization, &policy);
        run.now = NOON + hours(ahead);
        without_record(&mut run, None);
        run.sync(&with_disabled(15), &mut organization, &policy);
        run.now = NOON + hours(1);
        let guarded = run.sync(&with_disabled(25), &mut organization, &policy);
        assert!(guarded.held.is_some(), "{ahead}");
        without_record(&mut run, None);
        let guarded = run.sync(&with_disabled(25), &mut organization, &policy);
        assert!(guarded.held.is_some(), "{ahead}, and lost once more");
    }
}

#[test]
fn a_record_that_is_lost_again_and_again_gives_no_fresh_limit_of_invitations() {
    let policy = policy();
    let mut organization = members(40);
    let mut run = first_record_of(40, 40);
    // A made-up one that says that so many were invited, a moment less than a day ago.
    let mut other = since(NOON - hours(23));
    other.ledger.adopt(40, 40, other.now);
    other.sync(&people(0..60), &mut members(40), &policy);
    let made_up = other.ledger.to_bytes();
    for kept in [None, Some(&made_up[..]), None] {
        run.sync(&people(0..60), &mut organization, &policy);
        assert_eq!(organization.content.members.len(), 60);
        run.now += hours(2);
        without_record(&mut run, kept);
        run.sync(&people(0..80), &mut organization, &policy);
        let made_up = kept.is_some();
        assert_eq!(organization.content.members.len(), 60, "{made_up}");
    }
    run.now += hours(24);
    run.sync(&people(0..80), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 80);
}

#[test]
fn where_the_record_was_lost_those_invited_before_count_as_members() {
    let mut organization = members(20);
    let mut run = since(NOON);
    run.sync(&people(0..20), &mut organization, &policy());
    run.now += hours(25);
    run.sync(&people(0..28), &mut organization, &policy());
    assert_eq!(organization.content.members.len(), 28);
    run.now += hours(1);
    // Ten a day of the twenty, of which eight are there.
    let held = |run: &mut Run, count| run.plan(&people(0..count), &organization, &policy()).held;
    assert!(held(&mut run, 30).is_none() && held(&mut run, 31).is_some());
    run.ledger = Ledger::load(None, Some("0123456789abcdef0123456789abcdef"), run.now);
    // Half of 28.
    assert!(held(&mut run, 42).is_none() && held(&mut run, 43).is_some());
}

#[test]
fn lockouts_from_outside_end_at_a_limit_too() {
    let mut organization = members(60);
    let policy = limited(Limit::Percent(10.0));
    let mut run = since(NOON);
    for locked in (5..60).step_by(5) {
        let directory = (0..60).fold(directory(), |directory, n| {
            let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
            match n < locked {
                true => directory.disabled(&id, &email),
                false => directory.person(&id, &email),
            }
        });
        run.sync(&directory, &mut organization, &policy);
        run.now += SignedDuration::from_mins(10);
    }
    let revoked = organization
        .show()
        .iter()
        .filter(|line| line.contains("revoked"))
        .count();
    assert_eq!(revoked, 15, "a quarter a day");
}

#[test]
fn an_accident_among_the_absent_does_not_delay_a_dismissal() {
    let mut organization = members(100);
    let directory = people(68..100).disabled("p0", "p0@example.com");
    let run = since(NOON).sync(
        &directory,
        &mut organization,
        &limited(Limit::Percent(10.0)),
    );
    assert!(organization.show()[0].contains("p0@example.com (p0) revoked"));
    assert_eq!(organization.content.members.len(), 100);
    assert!(matches!(
        why(&run)[0],
        HeldBecause::Absent {
            members: 67,
            limit: 10,
            ..
        }
    ));
    assert_eq!(changes(&run), ["Revoke p0", "UpdateGroup g"]);
    // And the other way around.
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.disabled_limit = Limit::Count(0);
    let directory = people(2..100).disabled("p0", "p0@example.com");
    let run = since(NOON).sync(&directory, &mut members(100), &policy);
    assert!(matches!(
        why(&run)[0],
        HeldBecause::Disabled { members: 1, .. }
    ));
    assert_eq!(changes(&run), ["Remove p1", "UpdateGroup g"]);
}

#[test]
fn a_doubled_organization_is_held_and_a_first_sync_is_not() {
    let policy = policy();
    let strangers = |directory: TestDirectory, count: usize| {
        (0..count).fold(directory, |directory, n| {
            directory.person(&format!("new{n}"), &format!("new{n}@example.org"))
        })
    };
    // Ids and mail domain changed together.
    let mut organization = members(60);
    let run = since(NOON).sync(&strangers(directory(), 60), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 60, "nobody was invited");
    let expected = HeldBecause::Invited {
        people: 60,
        earlier: 0,
        limit: 30,
    };
    assert!(why(&run).contains(&expected), "{:?}", why(&run));
    let reasons = run.held.as_ref().unwrap().describe();
    let of_whom = "onboarding.limit allows 30 in 24 hours (of 60 managed members before)";
    assert!(reasons.contains(of_whom), "{reasons}");

    // Members from before by other IDs don't make a first sync a doubling.
    let with_four = |newcomers| {
        let four = (0..4).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        strangers(four, newcomers)
    };
    let mut organization = members(4);
    let mut run = first_record(4);
    run.sync(&with_four(196), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 200);
    // Once everybody is in, it is over.
    run.now += hours(1);
    run.sync(&with_four(396), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 200);

    // An empty organization takes everybody, also in two days' pieces on the first.
    let mut organization = ModelOrganization::default();
    let mut run = since(NOON);
    run.sync(&strangers(directory(), 500), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 500);
    // Then growth counts, over the day and not the run.
    for more in [100, 200, 300] {
        run.now += hours(1);
        run.sync(
            &strangers(directory(), 500 + more),
            &mut organization,
            &policy,
        );
    }
    assert_eq!(organization.content.members.len(), 700);
    let held = run.plan(&strangers(directory(), 800), &organization, &policy);
    run.approval = approve(&held.digest);
    run.sync(&strangers(directory(), 800), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 800);
}

#[test]
fn an_approval_is_for_exactly_what_is_held() {
    let policy = limited(Limit::Percent(10.0));
    let digest = |first| sync(&people_from(first), &mut ten_members(), &policy).digest;
    let with = |digest: Digest, first| {
        let mut run = Run {
            approval: approve(&digest),
            ..Run::default()
        };
        let mut organization = ten_members();
        let run = run.sync(&people_from(first), &mut organization, &policy);
        let void = problems(&run)
            .iter()
            .any(|(reason, _)| *reason == ProblemReason::ApprovalVoid);
        (organization.content.members.len(), void)
    };
    assert_eq!(with(digest(3), 3), (8, false));
    assert_eq!(
        with(digest(4), 3),
        (11, true),
        "fewer than approved are another hold"
    );
    assert_eq!(with(digest(3), 4), (11, true), "more than approved wait");
}

#[test]
fn an_approval_is_used_once() {
    let mut organization = members(60);
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    let mut run = since(NOON);
    let (all, without) = (people(0..60), people(12..60));
    run.sync(&all, &mut organization, &policy);
    let held = run.sync(&without, &mut organization, &policy);
    run.approval = approve(&held.digest);
    run.sync(&without, &mut organization, &policy);
    let revoked = |organization: &ModelOrganization| {
        organization
            .show()
            .iter()
            .filter(|line| line.contains("revoked"))
            .count()
    };
    assert_eq!(revoked(&organization), 12);
    // They come back, and the annotation stays where it is, in Git.
    run.now += hours(30);
    run.sync(&all, &mut organization, &policy);
    let restored = revoked(&organization);
    run.now += hours(30);
    let again = run.sync(&without, &mut organization, &policy);
    assert_eq!(restored, 0, "whom we revoked is restored");
    assert!(again.held.is_some());
    assert_eq!(revoked(&organization), 0, "the approval was used before");
    assert_eq!(
        problems(&again),
        [],
        "an approval that was used is no problem"
    );
    // Nor is an approved empty directory.
    let held = run.sync(&directory(), &mut organization, &policy);
    run.approval = approve(&held.digest);
    let before = organization.show();
    run.sync(&directory(), &mut organization, &policy);
    assert_ne!(organization.show(), before);
    run.now += hours(30);
    run.sync(&all, &mut organization, &policy);
    let before = organization.show();
    run.sync(&directory(), &mut organization, &policy);
    assert_eq!(organization.show(), before);
}

#[test]
fn an_approval_older_than_a_week_is_void() {
    let mut organization = members(60);
    let policy = limited(Limit::Percent(10.0));
    let mut run = since(NOON);
    let held = run.sync(&people(12..60), &mut organization, &policy);
    run.now += hours(24 * 7);
    run.approval = approve(&held.digest);
    let later = run.sync(&people(12..60), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 60);
    assert!(later.held.is_some());
    assert_eq!(problems(&later)[0].0, ProblemReason::ApprovalVoid);
}

#[test]
fn an_approval_expires_when_the_policy_says_so() {
    for (days, last) in [(1, 23), (2, 47), (30, 719)] {
        for (later, is_held) in [(last, false), (last + 1, true)] {
            let mut organization = members(60);
            let mut policy = limited(Limit::Percent(10.0));
            policy.offboarding.approvals_expire_after = hours(24 * days);
            let mut run = since(NOON);
            let held = run.sync(&people(12..60), &mut organization, &policy);
            run.now += hours(later);
            run.approval = approve(&held.digest);
            let after = run.sync(&people(12..60), &mut organization, &policy);
            assert_eq!(after.held.is_some(), is_held, "{days} days, {later} h");
        }
    }
}

#[test]
fn a_hold_that_was_only_looked_at_expires_too() {
    let mut organization = members(60);
    let policy = limited(Limit::Percent(10.0));
    let mut run = since(NOON);
    let shown = run.plan(&people(12..60), &organization, &policy);
    assert!(run.ledger.note_hold(&shown));
    assert!(!run.ledger.note_hold(&shown), "it is known");
    run.now += hours(24 * 7);
    run.approval = approve(&shown.digest);
    let later = run.sync(&people(12..60), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 60);
    assert!(later.held.is_some());
    assert_eq!(problems(&later)[0].0, ProblemReason::ApprovalVoid);
}

#[test]
fn approved_removals_are_finished_after_a_restart_and_no_others() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let mut run = since(NOON);
    let directory = people(40..60);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let approved = run.plan(&directory, &organization, &policy);
    run.ledger.before(&approved, run.now);
    // Five of the forty are done when the process ends.
    for n in 0..5 {
        organization.drop_member(&format!("p{n}@example.com"));
    }
    let bytes = run.ledger.to_bytes();
    let restarted = |now| Run {
        now,
        ledger: Ledger::load(Some(&bytes), Some(&*run.ledger.digest()), now),
        ..Run::default()
    };
    let mut finished = organization.clone();
    restarted(NOON + hours(1)).sync(&directory, &mut finished, &policy);
    assert_eq!(finished.content.members.len(), 20);
    let rest = restarted(NOON + hours(1)).plan(&directory, &organization, &policy);
    assert!(rest.held.is_none(), "{:?}", why(&rest));
    assert_eq!(rest.approved.changes.len(), 35);
    // Ten more vanish meanwhile: they weren't approved.
    let mut after = organization.clone();
    let fewer = restarted(NOON + hours(1)).sync(&people(50..60), &mut after, &policy);
    assert_eq!(after.content.members.len(), 20);
    assert_eq!(fewer.held.unwrap().members(), 10);
    let late = restarted(NOON + hours(25)).plan(&directory, &organization, &policy);
    assert!(
        late.held.is_some(),
        "a day later it has to be approved again"
    );
    // Once they are done, nothing of it is left.
    let mut last = restarted(NOON + hours(1));
    last.sync(&directory, &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 20);
}

/// In a preview people look and approve; what applies it is a later run, of the operator after another kind of edit.
#[test]
fn an_approval_stands_through_previews_and_is_used_once() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let directory = people(40..60);
    let mut run = since(NOON);
    let look = |run: &mut Run, organization: &ModelOrganization| {
        let seen = run.plan(&directory, organization, &policy);
        run.memory.observe(&seen);
        run.ledger.observe(&seen);
        seen
    };
    let held = look(&mut run, &organization);
    assert_eq!(held.held.as_ref().unwrap().members(), 40);
    run.approval = approve(&held.digest);
    for _ in 0..2 {
        assert!(look(&mut run, &organization).held.is_none());
    }
    let applied = run.sync(&directory, &mut organization, &policy);
    assert!(applied.held.is_none(), "{:?}", why(&applied));
    assert_eq!(organization.content.members.len(), 20);
    // Used: the same accident isn't approved by it.
    let mut organization = members(60);
    assert!(look(&mut run, &organization).held.is_some());
    run.sync(&directory, &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 60);
}

#[test]
fn without_its_ledger_absence_is_not_believed_and_a_dismissal_is() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let directory = people(2..60).disabled("p1", "p1@example.com");
    let lost = Ledger::load(None, Some("0123456789abcdef0123456789abcdef"), NOON);
    let mut run = Run {
        now: NOON,
        ledger: lost,
        ..Run::default()
    };
    let held = run.sync(&directory, &mut organization, &policy);
    assert!(matches!(
        why(&held)[0],
        HeldBecause::UnknownHistory { members: 1, .. }
    ));
    assert_eq!(changes(&held), ["Revoke p1", "UpdateGroup g"]);
    run.now += hours(24);
    assert!(
        run.sync(&directory, &mut organization, &policy)
            .held
            .is_none()
    );
}

/// A run of an organization's first record, as a command or operator begins with it. Its managed members aren't
/// recognized by their IDs.
fn first_record(managed: usize) -> Run {
    first_record_of(managed, 0)
}

/// The same where so many of them have IDs of this directory.
fn first_record_of(managed: usize, recognized: usize) -> Run {
    let mut run = since(NOON);
    run.ledger.adopt(managed, recognized, NOON);
    run
}

#[test]
fn without_any_record_nobody_loses_access_to_an_organization_that_has_managed_members() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let directory = people(2..60).disabled("p1", "p1@example.com");
    let mut run = first_record(60);
    let held = run.sync(&directory, &mut organization, &policy);
    let until = Some(NOON + hours(24));
    assert_eq!(
        why(&held),
        [HeldBecause::NoHistory {
            members: 1,
            groups: 0,
            until
        }]
    );
    assert_eq!(changes(&held), ["Revoke p1", "UpdateGroup g"]);
    assert!(
        held.held
            .unwrap()
            .describe()
            .contains("no record of earlier syncs")
    );
    // Groups are access, too: whose loss is held keeps them.
    let is_inside = |organization: &ModelOrganization, email: &str| {
        let id = organization.by_email(email).id;
        organization
            .inside
            .values()
            .any(|inside| inside.contains(&id))
    };
    assert!(is_inside(&organization, "p0@example.com"));
    assert!(!is_inside(&organization, "p1@example.com"), "disabled");
    // It isn't begun again, neither by the next run nor by one of another process.
    let bytes = run.ledger.to_bytes();
    run.ledger = Ledger::load(Some(&bytes), Some(&*run.ledger.digest()), NOON);
    run.now += hours(24);
    run.ledger.adopt(60, 60, run.now);
    assert!(
        run.sync(&directory, &mut organization, &policy)
            .held
            .is_none()
    );
    let gone = |member: &Member| member.email.as_str() != "p0@example.com";
    assert!(organization.content.members.iter().all(gone));

    // The first sync of all has nobody to lose.
    let mut run = first_record(0);
    run.ledger.adopt(60, 60, NOON);
    let later = run.sync(&directory, &mut members(60), &policy);
    assert!(later.held.is_none());
}

#[test]
fn without_any_record_groups_are_not_deleted_and_follow_the_directory() {
    let mut policy = limited(Limit::Percent(20.0));
    policy.groups.prune = true;
    let organization = || {
        let old = (0..10).map(|n| format!("old{n}"));
        old.fold(members(60), |all, id| all.group(&id, &id, &[]))
    };
    let directory = people(1..60).person("p0", "p0@example.com");
    let directory = (0..9).fold(directory, |all, n| {
        all.group(&format!("old{n}"), &format!("old{n}"), &[])
    });
    let known = since(NOON).sync(&directory, &mut organization(), &policy);
    assert!(known.held.is_none(), "{:?}", why(&known));
    let held = first_record(60).sync(&directory, &mut organization(), &policy);
    assert!(matches!(
        why(&held)[..],
        [HeldBecause::NoHistory {
            members: 0,
            groups: 1,
            ..
        }]
    ));
    assert_eq!(changes(&held), ["UpdateGroup g"]);
}

#[test]
fn what_another_record_of_the_same_members_knows_counts_once() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let mut first = since(NOON);
    first.sync(&people(5..60), &mut organization, &policy);
    let other = |same: &Ledger| {
        let mut run = since(NOON);
        run.ledger.count_also(same);
        run
    };
    let (directory, mut twice) = (people(7..60), other(&first.ledger));
    twice.ledger.count_also(&first.ledger);
    for mut run in [other(&first.ledger), twice] {
        let held = run.plan(&directory, &organization, &policy);
        assert_eq!(
            why(&held),
            [HeldBecause::Absent {
                members: 2,
                earlier: 5,
                limit: 6
            }]
        );
        run.now += hours(24);
        assert!(run.plan(&directory, &organization, &policy).held.is_none());
    }
    assert!(
        since(NOON)
            .plan(&directory, &organization, &policy)
            .held
            .is_none()
    );
}

#[test]
fn resources_that_share_a_record_do_not_end_each_others_holds() {
    let policy = limited(Limit::Count(0));
    let organization = members(60);
    let (one, other) = (people(1..60), people(2..60));
    let mut run = since(NOON);
    run.ledger.use_holds("one", Default::default());
    let hold = run.sync(&one, &mut organization.clone(), &policy).digest;
    let of_one = run.ledger.holds().clone();
    run.ledger.use_holds("other", Default::default());
    let same = run.sync(&one, &mut organization.clone(), &policy).digest;
    assert_ne!(
        same, hold,
        "each hold has its own id, also of the same changes"
    );
    run.sync(&other, &mut organization.clone(), &policy);
    run.ledger.use_holds("one", of_one);
    run.approval = approve(&hold);
    let approved = run.sync(&one, &mut organization.clone(), &policy);
    assert!(approved.held.is_none());
}

#[test]
fn an_empty_directory_is_never_believed_whatever_the_limit() {
    let mut policy = limited(Limit::Percent(100.0));
    policy.offboarding.deleted = policy.offboarding.absent;
    for nobody in [directory(), directory().deleted("p0", "p0@example.com")] {
        let mut organization = ten_members();
        let before = organization.show();
        let run = sync(&nobody, &mut organization, &policy);
        assert_eq!(
            run.held.as_ref().unwrap().why[0],
            HeldBecause::EmptyDirectory { members: 10 }
        );
        assert_eq!(organization.show(), before);
        assert_eq!(problems(&run), [(ProblemReason::EmptyDirectory, vec![])]);

        let approval = Some(Approval { digest: run.digest });
        Run {
            approval,
            ..Run::default()
        }
        .sync(&nobody, &mut organization, &policy);
        assert_eq!(organization.show(), [""; 0]);
    }
}

#[test]
fn withdrawals_alone_are_held_without_a_trace_in_what_goes_ahead() {
    let mut policy = limited(Limit::Count(0));
    policy.groups.only_their_members = false;
    let directory = (0..10).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = directory.group("g", "Group", &["p0"]);
    let run = sync(&directory, &mut ten_members(), &policy);
    assert_eq!(changes(&run), [""; 0]);
    let held = run.held.unwrap().changes;
    let Some(GroupAction::Update(update)) = held[0].group() else {
        panic!("{held:?}")
    };
    let (add, remove) = (update.add.len(), update.remove.len());
    assert_eq!((held.len(), add, remove), (1, 0, 9));
}

/// Twenty people, `p0` to `p19`, with p0 as given, and group `admins` with some of them.
fn company(p0: AccountState, name: &str, admins: &[&str]) -> TestDirectory {
    let others = (1..20).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    others
        .account("p0", "p0@example.com", p0)
        .group("admins", name, admins)
}

fn with_admins() -> ModelOrganization {
    let admins = ["p0@example.com", "p1@example.com", "p2@example.com"];
    let members = (0..20).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    members.group("admins", "Admins", &admins)
}

fn protecting_admins() -> Policy {
    let mut policy = policy();
    policy.groups.protected = vec![Glob::new("admins")];
    policy
}

#[test]
fn a_protected_group_is_not_left_by_removal_either_and_a_revocation_is_no_loss_of_membership() {
    let protected = |members| HeldBecause::ProtectedGroup {
        name: "Admins".into(),
        members,
    };
    let mut policy = protecting_admins();
    policy.offboarding.disabled = OffboardingAction::Remove;
    // Still listed in the group, and gone from it in the same read.
    for admins in [&["p0", "p1", "p2"][..], &["p1", "p2"], &["p1", "p2", "p3"]] {
        let directory = company(AccountState::Disabled, "Admins", admins);
        let mut organization = with_admins();
        let run = sync(&directory, &mut organization, &policy);
        assert_eq!(why(&run), [protected(1)], "{admins:?}");
        let inside = organization.inside.values().next().unwrap().len();
        let added = usize::from(admins.contains(&"p3"));
        assert_eq!(inside, 3 + added, "{admins:?}");
        // An approval of it lets it go ahead.
        let approved = Run {
            approval: approve(&run.digest),
            ..Run::default()
        }
        .sync(&directory, &mut organization, &policy);
        assert!(approved.held.is_none());
        assert_eq!(organization.content.members.len(), 19);
    }
    policy.offboarding.disabled = OffboardingAction::Revoke;
    let directory = company(AccountState::Disabled, "Admins", &["p0", "p1", "p2"]);
    let run = sync(&directory, &mut with_admins(), &policy);
    assert_eq!(why(&run), []);
    assert!(changes(&run).contains(&"Revoke p0".to_owned()));
}

#[test]
fn a_protected_group_that_is_gone_keeps_whoever_would_be_removed_with_it() {
    let mut policy = protecting_admins();
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.groups.prune = true;
    let others = (1..20).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = others.disabled("p0", "p0@example.com");
    let mut organization = with_admins();
    let before = organization.show();
    sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before);
}

#[test]
fn a_group_is_protected_by_the_name_that_it_still_has() {
    let policy = protecting_admins();
    let directory = company(AccountState::Active, "Staff", &["p1", "p2", "p3"]);
    let mut organization = with_admins();
    let mut run = since(NOON);
    // Also in the next run.
    for _ in 0..2 {
        let guarded = run.sync(&directory, &mut organization, &policy);
        let protected = HeldBecause::ProtectedGroup {
            name: "Admins".into(),
            members: 1,
        };
        assert_eq!(why(&guarded), [protected]);
        assert_eq!(&*organization.content.groups[0].name, "Admins");
        // Nobody comes into it meanwhile either: p3 belongs to a group of the other name.
        assert_eq!(organization.inside.values().next().unwrap().len(), 3);
        run.approval = None;
        run.now += hours(1);
    }
    let held = run.plan(&directory, &organization, &policy);
    run.approval = approve(&held.digest);
    run.sync(&directory, &mut organization, &policy);
    assert_eq!(&*organization.content.groups[0].name, "Staff");
    assert_eq!(organization.inside.values().next().unwrap().len(), 3);
}

#[test]
fn our_own_invitations_do_not_raise_the_limit() {
    let policy = limited(Limit::Percent(20.0));
    let directory = (3..16).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut organization = (0..11).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    // An installation whose first sync is over.
    let mut run = since(NOON);
    run.now += hours(25);
    for _ in 0..2 {
        let guarded = run.sync(&directory, &mut organization, &policy);
        assert_eq!(organization.content.members.len(), 16, "nobody is removed");
        let expected = HeldBecause::Absent {
            members: 3,
            earlier: 0,
            limit: 2,
        };
        assert_eq!(why(&guarded), [expected]);
        run.now += hours(20);
    }
}

#[test]
fn a_first_sync_of_managed_members_does_not_raise_the_limit_by_its_invitations() {
    let policy = limited(Limit::Percent(20.0));
    let directory = |in_group: std::ops::Range<usize>| {
        let everybody = (0..110).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let in_group: Vec<String> = in_group.map(|n| format!("p{n}")).collect();
        let in_group: Vec<&str> = in_group.iter().map(String::as_str).collect();
        everybody.group("g", "Group", &in_group)
    };
    let mut organization = members(10);
    let mut run = first_record(10);
    run.sync(&directory(0..10), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 110);
    run.now += hours(1);
    let guarded = run.sync(&directory(3..10), &mut organization, &policy);
    let expected = HeldBecause::Absent {
        members: 3,
        earlier: 0,
        limit: 2,
    };
    assert_eq!(why(&guarded), [expected]);
    // They don't count as growth of a later run.
    let more = directory(0..10).person("new", "new@example.com");
    assert_eq!(
        changes(&run.sync(&more, &mut organization, &policy)),
        ["Invite new"]
    );

    // Where nobody was there before, they are all that there is.
    let mut organization = ModelOrganization::default();
    let mut run = first_record(0);
    run.sync(&directory(0..10), &mut organization, &policy);
    run.now += hours(1);
    let guarded = run.sync(&directory(3..10), &mut organization, &policy);
    assert!(guarded.held.is_none(), "{:?}", why(&guarded));
}

#[test]
fn members_of_a_deleted_group_whom_we_do_not_manage_count_over_the_day() {
    let strangers = |from: usize| [0, 1, 2].map(|n| format!("s{}@example.com", from + n));
    let mut organization = (0..6).fold(members(40), |all, n| {
        all.stranger(&format!("s{n}@example.com"))
    });
    for (group, from) in [("a", 0), ("b", 3)] {
        let inside = strangers(from);
        let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
        organization = organization.group(group, group, &inside);
    }
    let organization = (0..20).fold(organization, |all, n| {
        all.group(&format!("x{n}"), &format!("x{n}"), &[])
    });
    let others = |directory: TestDirectory| {
        (0..20).fold(directory, |all, n| {
            all.group(&format!("x{n}"), &format!("x{n}"), &[])
        })
    };
    let policy = limited(Limit::Count(4));
    let (mut run, mut organization) = (since(NOON), organization);
    let first = others(people(0..40)).group("b", "b", &[]);
    let guarded = run.sync(&first, &mut organization, &policy);
    assert_eq!(changes(&guarded), ["DeleteGroup a"]);
    run.now += hours(1);
    let guarded = run.sync(&others(people(0..40)), &mut organization, &policy);
    let expected = HeldBecause::Absent {
        members: 3,
        earlier: 3,
        limit: 4,
    };
    assert_eq!(why(&guarded), [expected]);
    run.now += hours(23);
    let guarded = run.sync(&others(people(0..40)), &mut organization, &policy);
    assert_eq!(changes(&guarded), ["DeleteGroup b"]);
}

/// The people with these numbers in `members`, those below `unidentified` without an id.
fn with_group(unidentified: usize, group: Option<std::ops::Range<usize>>) -> TestDirectory {
    let everybody = (0..40).fold(directory(), |all, n| {
        let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
        match n < unidentified {
            true => all.unidentified(&id, &email),
            false => all.person(&id, &email),
        }
    });
    let Some(group) = group else { return everybody };
    let group: Vec<String> = group.map(|n| format!("p{n}")).collect();
    let group: Vec<&str> = group.iter().map(String::as_str).collect();
    everybody.group("team", "Team", &group)
}

#[test]
fn a_group_that_is_deleted_and_made_again_has_no_fresh_limit() {
    let mut policy = policy();
    policy.groups.prune = true;
    policy.offboarding.limit = Limit::Percent(60.0);
    let all = (0..40).map(|n| format!("p{n}"));
    let all = all.fold(organization(), |all, id| {
        all.member(&id, &format!("{id}@example.com"))
    });
    let team: Vec<String> = (0..8).map(|n| format!("p{n}@example.com")).collect();
    let team: Vec<&str> = team.iter().map(String::as_str).collect();
    let mut organization = all
        .group("team", "Team", &team)
        .group("other", "Other", &[]);
    let with_other = |directory: TestDirectory| directory.group("other", "Other", &[]);
    let mut run = since(NOON);
    // The entries of its eight members can't be identified in the run that deletes it.
    let guarded = run.sync(&with_other(with_group(8, None)), &mut organization, &policy);
    assert_eq!(changes(&guarded), ["DeleteGroup team"]);
    run.sync(
        &with_other(with_group(0, Some(0..16))),
        &mut organization,
        &policy,
    );
    run.now += hours(1);
    let guarded = run.sync(
        &with_other(with_group(0, Some(0..11))),
        &mut organization,
        &policy,
    );
    let expected = HeldBecause::Group {
        name: "Team".into(),
        members: 5,
        earlier: 8,
        limit: 8,
    };
    assert_eq!(why(&guarded), [expected]);
}

#[test]
fn a_group_is_no_smaller_for_those_who_are_not_moved_in_a_run() {
    let mut policy = policy();
    policy.groups.limit = Limit::Percent(20.0);
    let all = (0..40).map(|n| format!("p{n}"));
    let all = all.fold(organization(), |all, id| {
        all.member(&id, &format!("{id}@example.com"))
    });
    let team: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    let team: Vec<&str> = team.iter().map(String::as_str).collect();
    let mut organization = all.group("team", "Team", &team);
    let expected = [HeldBecause::Group {
        name: "Team".into(),
        members: 4,
        earlier: 0,
        limit: 2,
    }];
    // One of its ten members isn't moved: nine have no limit. What is known by memory is the same.
    let mut run = since(NOON);
    for _ in 0..2 {
        let guarded = run.sync(&with_group(1, Some(0..6)), &mut organization, &policy);
        assert_eq!(why(&guarded), expected);
    }
}

#[test]
fn a_stranger_does_not_make_an_empty_directory_believed() {
    let mut policy = limited(Limit::Percent(100.0));
    policy.users.exclude = vec![Glob::new("service@*")];
    for stranger in [
        directory().disabled("x", "x@example.com"),
        directory().person("x", "service@example.com"),
        directory().person("x", "no address"),
        directory().unidentified("x", "x@example.com"),
    ] {
        let mut organization = ten_members();
        let before = organization.show();
        let run = sync(&stranger, &mut organization, &policy);
        assert_eq!(organization.show(), before);
        let reasons: Vec<_> = problems(&run)
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        assert!(
            reasons.contains(&ProblemReason::EmptyDirectory),
            "{reasons:?}"
        );
    }
    // What the directory says of a member itself is believed.
    let dismissed = directory().disabled("p0", "p0@example.com");
    let run = sync(&dismissed, &mut ten_members(), &policy);
    assert_eq!(why(&run)[0], HeldBecause::EmptyDirectory { members: 10 });
    assert!(
        changes(&run).contains(&"Revoke p0".to_owned()),
        "{:?}",
        changes(&run)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the clock says in single runs: those in which it is right take no more than the limit
    /// within any 24 hours.
    #[test]
    fn a_clock_that_is_wrong_now_and_then_gives_no_fresh_budget(
        runs in prop::collection::vec(
            (
                60i64..40_000,
                prop_oneof![
                    2 => Just(0),
                    1 => Just(-86_395),
                    1 => Just(8 * 86_400),
                    2 => -40_000_000i64..40_000_000,
                ],
            ),
            4..14,
        ),
    ) {
        let policy = limited(Limit::Count(3));
        let mut organization = members(120);
        let mut run = since(NOON);
        let mut now = NOON;
        let (mut wrong, mut taken) = (true, vec![]);
        let mut left = 120;
        for (pause, error) in runs {
            now += SignedDuration::from_secs(pause);
            // One run in two at most is wrong.
            let error = if wrong { 0 } else { error };
            wrong = error != 0;
            run.now = now + SignedDuration::from_secs(error);
            let before = organization.content.members.len();
            // As many go as may.
            for gone in (1..=3).rev() {
                let wanted = people(0..left - gone);
                if run.plan(&wanted, &organization, &policy).held.is_none() {
                    run.sync(&wanted, &mut organization, &policy);
                    left -= gone;
                    break;
                }
            }
            let lost = before - organization.content.members.len();
            if error == 0 {
                taken.push((now, lost));
            }
            let day = taken.iter().filter(|(at, _)| *at > now - hours(24));
            let of_the_day: usize = day.map(|(_, lost)| lost).sum();
            prop_assert!(of_the_day <= 3, "{taken:?}");
        }
        prop_assert!(taken.iter().any(|(_, lost)| *lost == 3), "something goes: {taken:?}");
    }
}

#[test]
fn a_protected_group_is_not_renamed_out_of_its_protection_although_nobody_leaves_it() {
    let policy = protecting_admins();
    let mut organization = with_admins();
    let everybody = ["p0", "p1", "p2"];
    let mut run = since(NOON);
    let renamed = company(AccountState::Active, "others", &everybody);
    let held = run.sync(&renamed, &mut organization, &policy);
    let expected = HeldBecause::ProtectedGroup {
        name: "Admins".into(),
        members: 0,
    };
    assert_eq!(why(&held), [expected]);
    assert!(
        organization
            .show()
            .iter()
            .any(|line| line.starts_with("group Admins"))
    );
    // Two renamings are two holds.
    let other = run.plan(
        &company(AccountState::Active, "guests", &everybody),
        &organization,
        &policy,
    );
    assert_ne!(other.digest, held.digest);
    run.approval = approve(&held.digest);
    run.sync(&renamed, &mut organization, &policy);
    assert!(
        organization
            .show()
            .iter()
            .any(|line| line.starts_with("group others"))
    );
}

#[test]
fn whoever_is_in_a_protected_group_that_is_not_compared_is_not_removed_unasked() {
    let mut policy = protecting_admins();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let people = || {
        directory()
            .disabled("p0", "p0@example.com")
            .person("p1", "p1@example.com")
            .person("p2", "p2@example.com")
    };
    let organization = || {
        ModelOrganization::default()
            .member("p0", "p0@example.com")
            .member("p1", "p1@example.com")
            .member("p2", "p2@example.com")
    };
    // Filtered out, gone from the directory, without a name, or made by hand.
    let mut filtered = policy.clone();
    filtered.groups.exclude = vec![Glob::new("admins")];
    let listed = people().group("g", "admins", &["p0"]);
    let ours = organization().group("g", "admins", &["p0@example.com"]);
    let by_hand = organization().own_group("admins", &["p0@example.com"]);
    let unnamed = people().group("g", "", &["p0"]);
    for (directory, before, policy) in [
        (&listed, &ours, &filtered),
        (&people(), &ours, &policy),
        (&unnamed, &ours, &policy),
        (&people(), &by_hand, &policy),
    ] {
        let mut after = before.clone();
        let run = since(NOON).sync(directory, &mut after, policy);
        let expected = HeldBecause::ProtectedGroup {
            name: "admins".into(),
            members: 1,
        };
        assert_eq!(why(&run), [expected]);
        assert_eq!(after.show(), before.show());
    }
}

#[test]
fn whoever_was_added_to_a_protected_group_by_hand_is_not_removed_unasked() {
    let mut policy = protecting_admins();
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.groups.protected = vec![];
    let mut organization = with_admins();
    let mut run = since(NOON);
    run.sync(
        &company(AccountState::Active, "Admins", &["p1", "p2"]),
        &mut organization,
        &policy,
    );
    policy.groups.protected = protecting_admins().groups.protected;
    let group = organization.content.groups[0].id;
    let added = organization.by_email("p0@example.com").id;
    organization.inside.get_mut(&group).unwrap().insert(added);
    let gone = company(AccountState::Disabled, "Admins", &["p1", "p2"]);
    let held = run.sync(&gone, &mut organization, &policy);
    assert_eq!(why(&held)[0].limit(), "groups.protected");
    assert!(organization.inside[&group].contains(&added));
}

#[test]
fn a_group_is_no_smaller_for_an_owner_whom_the_directory_does_not_know() {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Percent(20.0);
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.groups.limit = Limit::Percent(10.0);
    let mut organization = organization().linked_owner("p0", "p0@example.com");
    for n in 1..40 {
        organization = organization.member(&format!("p{n}"), &format!("p{n}@example.com"));
    }
    let team: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    let team: Vec<&str> = team.iter().map(String::as_str).collect();
    let mut organization = organization.group("team", "Team", &team);
    // Three of the group are gone, and it still names somebody who wasn't read: that may be the owner.
    let directory = (3..40).fold(directory(), |all, n| {
        all.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let team: Vec<String> = (3..10).map(|n| format!("p{n}")).collect();
    let mut team: Vec<&str> = team.iter().map(String::as_str).collect();
    team.push("somebody");
    let directory = directory.group("team", "Team", &team);
    let guarded = since(NOON).sync(&directory, &mut organization, &policy);
    let expected = HeldBecause::Group {
        name: "Team".into(),
        members: 2,
        earlier: 0,
        limit: 1,
    };
    assert_eq!(why(&guarded), [expected]);
    assert_eq!(organization.content.members.len(), 40);
}

/// One of nineteen may lose something, and somebody did: one more is past the limit. With twenty it
/// wouldn't be.
const ONE_OF_NINETEEN: [HeldBecause; 1] = [HeldBecause::Absent {
    members: 1,
    earlier: 1,
    limit: 1,
}];

/// A run whose process ends before its changes, or after them and before it noted that it made them;
/// and the next one, an hour later.
fn ends_early(
    mut run: Run,
    directory: &TestDirectory,
    organization: &mut ModelOrganization,
    policy: &Policy,
    makes_changes: bool,
) -> (GuardedPlan, Run) {
    let guarded = run.plan(directory, organization, policy);
    run.ledger.before(&guarded, run.now);
    if makes_changes {
        organization.apply(&guarded.approved);
    }
    let (digest, now) = (run.ledger.digest(), run.now + hours(1));
    let ledger = Ledger::load(Some(&run.ledger.to_bytes()), Some(&*digest), now);
    let next = Run {
        now,
        ledger,
        ..Run::default()
    };
    (guarded, next)
}

#[test]
fn removing_somebody_who_had_no_access_any_more_does_not_raise_the_limit() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(19).revoked("x", "x@example.com");
    let mut run = since(NOON);
    let first = run.sync(&people(0..19), &mut organization, &policy);
    assert_eq!(changes(&first), ["Remove x"]);
    run.now += hours(1);
    let guarded = run.sync(&people(0..18), &mut organization, &policy);
    assert_eq!(why(&guarded), ONE_OF_NINETEEN);
}

#[test]
fn whoever_lost_access_and_was_removed_within_the_day_is_still_part_of_it() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    let mut organization = members(20);
    let mut run = since(NOON);
    let first = run.sync(&people(1..20), &mut organization, &policy);
    assert_eq!(changes(&first), ["Revoke p0", "UpdateGroup g"]);
    policy.offboarding.absent = OffboardingAction::Remove;
    run.now += hours(1);
    let second = run.sync(&people(1..20), &mut organization, &policy);
    assert_eq!(changes(&second), ["Remove p0"]);
    // Two of the twenty of this morning.
    run.now += hours(1);
    let third = run.sync(&people(2..20), &mut organization, &policy);
    assert_eq!(changes(&third), ["Remove p1"], "{:?}", why(&third));
}

#[test]
fn whom_a_stopped_run_gave_access_back_to_does_not_raise_the_limit() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(19);
    let mut run = since(NOON);
    let first = run.sync(&people(1..19), &mut organization, &policy);
    assert_eq!(changes(&first), ["Remove p0"]);
    // Somebody invites them by hand, and they are in the directory again.
    let mut organization = organization.stranger("p0@example.com");
    run.now += hours(1);
    let (second, mut next) = ends_early(run, &people(0..19), &mut organization, &policy, true);
    assert_eq!(changes(&second), ["Link p0", "UpdateGroup g"]);
    let without_p1 = people((0..19).filter(|n| *n != 1));
    let guarded = next.sync(&without_p1, &mut organization, &policy);
    assert_eq!(why(&guarded), ONE_OF_NINETEEN);
}

#[test]
fn whom_somebody_gave_access_back_to_by_hand_does_not_raise_the_limit() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    let mut organization = members(19);
    let mut run = since(NOON);
    let first = run.sync(&people(1..19), &mut organization, &policy);
    assert_eq!(changes(&first), ["Revoke p0", "UpdateGroup g"]);
    organization.set_status("p0@example.com", MemberStatus::Confirmed);
    run.now += hours(1);
    let without_p1 = people((0..19).filter(|n| *n != 1));
    let guarded = run.sync(&without_p1, &mut organization, &policy);
    assert_eq!(why(&guarded), ONE_OF_NINETEEN);
}

#[test]
fn whom_a_stopped_run_only_may_have_removed_does_not_raise_the_limit() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(19);
    let run = since(NOON);
    let (first, mut next) = ends_early(run, &people(1..19), &mut organization, &policy, false);
    assert_eq!(changes(&first), ["Remove p0"]);
    let without_p1 = people((0..19).filter(|n| *n != 1));
    let guarded = next.sync(&without_p1, &mut organization, &policy);
    assert_eq!(why(&guarded), ONE_OF_NINETEEN);
}

#[test]
fn somebody_revoked_as_absent_and_removed_as_disabled_counts_against_both_limits() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.disabled = OffboardingAction::Remove;
    let mut organization = (0..19).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let from = |first: usize| {
        (first..19).fold(directory(), |all, n| {
            all.person(&format!("p{n}"), &format!("p{n}@example.com"))
        })
    };
    let mut run = since(NOON);
    let first = run.sync(&from(1), &mut organization, &policy);
    assert_eq!(changes(&first), ["Revoke p0"]);
    run.now += hours(1);
    let disabled = |directory: TestDirectory| directory.disabled("p0", "p0@example.com");
    let second = run.sync(&disabled(from(1)), &mut organization, &policy);
    assert_eq!(changes(&second), ["Remove p0"]);
    run.now += hours(1);
    let guarded = run.sync(&disabled(from(2)), &mut organization, &policy);
    assert_eq!(why(&guarded), ONE_OF_NINETEEN);
}

#[test]
fn whoever_left_a_group_and_is_in_it_again_does_not_make_it_larger() {
    let mut policy = policy();
    policy.groups.limit = Limit::Percent(10.0);
    policy.offboarding.limit = Limit::Percent(60.0);
    // Nineteen people, one of whom leaves and comes back; somebody else would leave it then.
    let mut organization = members(19);
    let team = |without: Option<usize>| {
        let ids: Vec<String> = (0..19).map(|n| format!("p{n}")).collect();
        let all = ids.iter().fold(directory(), |all, id| {
            all.person(id, &format!("{id}@example.com"))
        });
        let inside = ids.iter().enumerate().filter(|(n, _)| Some(*n) != without);
        let inside: Vec<&str> = inside.map(|(_, id)| id.as_str()).collect();
        all.group("g", "Group", &inside)
    };
    let mut run = since(NOON);
    for without in [Some(0), None] {
        let guarded = run.sync(&team(without), &mut organization, &policy);
        assert_eq!(changes(&guarded), ["UpdateGroup g"]);
        run.now += hours(1);
    }
    let expected = [HeldBecause::Group {
        name: "Group".into(),
        members: 1,
        earlier: 1,
        limit: 1,
    }];
    let guarded = run.sync(&team(Some(1)), &mut organization, &policy);
    assert_eq!(why(&guarded), expected);
    // The same by removal from the organization, which changes no group.
    policy.offboarding.absent = OffboardingAction::Remove;
    let guarded = run.sync(
        &people((0..19).filter(|n| *n != 1)),
        &mut organization,
        &policy,
    );
    assert_eq!(why(&guarded), expected);
}

#[test]
fn a_group_that_gets_another_id_has_no_fresh_limit() {
    let mut policy = policy();
    policy.groups.limit = Limit::Percent(10.0);
    policy.offboarding.limit = Limit::Percent(60.0);
    let mut organization = members(20);
    let team = |id: &str, from: usize| {
        let ids: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
        let all = ids.iter().fold(directory(), |all, id| {
            all.person(id, &format!("{id}@example.com"))
        });
        let inside: Vec<&str> = ids[from..].iter().map(String::as_str).collect();
        all.group(id, "Group", &inside)
    };
    let mut run = since(NOON);
    let first = run.sync(&team("g", 2), &mut organization, &policy);
    assert_eq!(changes(&first), ["UpdateGroup g"]);
    let expected = [HeldBecause::Group {
        name: "Group".into(),
        members: 1,
        earlier: 2,
        limit: 2,
    }];
    // Made again under the same name, and still so in the run after the one that gives it its new id.
    for made in [&["RelinkGroup made again"][..], &[]] {
        run.now += hours(1);
        let guarded = run.sync(&team("made again", 3), &mut organization, &policy);
        assert_eq!(changes(&guarded), made);
        assert_eq!(why(&guarded), expected);
    }
}

#[test]
fn two_who_leave_a_group_under_one_id_within_a_day_are_two() {
    let mut policy = policy();
    policy.groups.limit = Limit::Percent(10.0);
    policy.offboarding.limit = Limit::Percent(60.0);
    let mut organization = members(19).member("old", "q@example.com");
    let group = *organization.inside.keys().next().unwrap();
    let another = organization.by_email("q@example.com").id;
    organization.inside.get_mut(&group).unwrap().insert(another);
    let team = |p0: Option<&str>, last: Option<&str>, from: usize| {
        let all = (1..19).fold(directory(), |all, n| {
            all.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let all = match p0 {
            Some(email) => all.person("p0", email),
            None => all,
        };
        let mut inside: Vec<String> = (from..19).map(|n| format!("p{n}")).collect();
        inside.extend(last.map(str::to_owned));
        let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
        match last {
            Some(id) => all.person(id, "q@example.com"),
            None => all,
        }
        .group("g", "Group", &inside)
    };
    let mut run = since(NOON);
    let both = team(Some("p0@example.com"), Some("old"), 2);
    let first = run.sync(&both, &mut organization, &policy);
    assert_eq!(changes(&first), ["UpdateGroup g"]);
    // The first of them is removed by hand, and another person has that id from then on.
    organization.drop_member("p0@example.com");
    run.now += hours(1);
    let another = team(Some("q@example.com"), None, 2);
    for made in [&["Relink p0"][..], &[]] {
        let guarded = run.sync(&another, &mut organization, &policy);
        assert_eq!(changes(&guarded), made);
        assert_eq!(
            why(&guarded),
            [HeldBecause::Group {
                name: "Group".into(),
                members: 1,
                earlier: 2,
                limit: 1,
            }]
        );
        run.now += hours(1);
    }
}

#[test]
fn a_group_that_is_made_again_by_its_name_has_no_fresh_limit() {
    let mut policy = policy();
    policy.groups.limit = Limit::Percent(10.0);
    policy.offboarding.limit = Limit::Percent(60.0);
    let team = |id: &str, from: usize| {
        let ids: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
        let all = ids.iter().fold(directory(), |all, id| {
            all.person(id, &format!("{id}@example.com"))
        });
        let inside: Vec<&str> = ids[from..].iter().map(String::as_str).collect();
        all.group(id, "Group", &inside)
    };
    let mut organization = members(20);
    let mut run = since(NOON);
    run.sync(&team("g", 2), &mut organization, &policy);
    // Somebody deletes it in Bitwarden, and makes it anew in the directory.
    organization.content.groups.clear();
    organization.inside.clear();
    run.now += hours(1);
    let made = run.sync(&team("made again", 0), &mut organization, &policy);
    assert_eq!(changes(&made), ["CreateGroup made again"]);
    run.now += hours(1);
    let third = {
        let ids = (0..20).filter(|n| *n != 2).map(|n| format!("p{n}"));
        let ids: Vec<String> = ids.collect();
        let inside: Vec<&str> = ids.iter().map(String::as_str).collect();
        let all = (0..20).fold(directory(), |all, n| {
            all.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        all.group("made again", "Group", &inside)
    };
    let guarded = run.sync(&third, &mut organization, &policy);
    assert_eq!(
        why(&guarded),
        [HeldBecause::Group {
            name: "Group".into(),
            members: 1,
            earlier: 2,
            limit: 2,
        }]
    );
}

#[test]
fn a_lost_record_is_noticed_although_no_limit_is_set() {
    let policy = limited(Limit::Percent(100.0));
    let directory = people(2..60).disabled("p1", "p1@example.com");
    let mut run = since(NOON);
    run.ledger = Ledger::begin_careful(NOON);
    let mut organization = members(60);
    let guarded = run.sync(&directory, &mut organization, &policy);
    let expected = HeldBecause::UnknownHistory {
        members: 1,
        until: Some(NOON + hours(24)),
    };
    assert_eq!(why(&guarded), [expected]);
    assert!(changes(&guarded).contains(&"Revoke p1".to_owned()));
    run.now += hours(24);
    let later = run.sync(&directory, &mut organization, &policy);
    assert!(changes(&later).contains(&"Remove p0".to_owned()));
}

#[test]
fn strangers_alone_do_not_make_it_believed_that_all_members_are_gone() {
    let mut policy = limited(Limit::Percent(100.0));
    policy.groups.limit = Limit::Percent(100.0);
    policy.onboarding.limit = Limit::Percent(100.0);
    let strangers = || directory().person("x", "x@example.com");
    let mut organization = ten_members();
    let guarded = sync(&strangers(), &mut organization, &policy);
    assert_eq!(changes(&guarded), ["Invite x"]);
    let held = guarded.held.unwrap();
    assert!(held.is_empty_directory());
    assert!(held.describe().contains("has 10 members of ours"));
    assert_eq!(organization.content.members.len(), 11);
    // What the directory says of a member itself is believed, and one that it knows is enough.
    let dismissed = strangers().disabled("p0", "p0@example.com");
    let guarded = sync(&dismissed, &mut ten_members(), &policy);
    assert!(changes(&guarded).contains(&"Revoke p0".to_owned()));
    let known = strangers().person("new id", "p0@example.com");
    let guarded = sync(&known, &mut ten_members(), &policy);
    assert!(guarded.held.is_none());
    assert!(changes(&guarded).contains(&"Remove p9".to_owned()));
}

#[test]
fn a_name_that_a_protected_group_keeps_is_given_to_no_other_and_nobody_comes_into_either() {
    let policy = protecting_admins();
    let with = |admins: (&str, &[&str]), staff: (&str, &[&str])| {
        let people = (0..20).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        people
            .group("admins", admins.0, admins.1)
            .group("staff", staff.0, staff.1)
    };
    let mut organization =
        with_admins().group("staff", "Staff", &["p0@example.com", "p9@example.com"]);
    let before = organization.show();
    let few: &[&str] = &["p0", "p1", "p2", "p3"];
    let swapped = with(("Staff", few), ("Admins", &["p0", "p9", "p8"]));
    let mut run = since(NOON);
    for _ in 0..2 {
        let guarded = run.sync(&swapped, &mut organization, &policy);
        assert_eq!(changes(&guarded), [""; 0]);
        assert_eq!(organization.show(), before);
        run.now += hours(1);
    }
    let held = run.plan(&swapped, &organization, &policy);
    run.approval = approve(&held.digest);
    run.sync(&swapped, &mut organization, &policy);
    run.approval = None;
    run.sync(&swapped, &mut organization, &policy);
    let groups: Vec<String> = organization.show().split_off(20);
    assert_eq!(
        groups,
        [
            "group Admins (staff): p0@example.com p8@example.com p9@example.com",
            "group Staff (admins): p0@example.com p1@example.com p2@example.com p3@example.com",
        ]
    );
}

#[test]
fn a_name_of_a_protected_group_whose_deletion_is_held_is_given_to_no_other_group() {
    let mut policy = protecting_admins();
    policy.groups.prune = true;
    let mut organization =
        with_admins().group("staff", "Staff", &["p0@example.com", "p9@example.com"]);
    let before = organization.show();
    let people = (0..20).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    // By another spelling as well.
    for name in ["Admins", "ADMINS"] {
        let renamed = people.clone().group("staff", name, &["p0", "p9", "p8"]);
        let held = since(NOON).sync(&renamed, &mut organization, &policy);
        assert_eq!(changes(&held), [""; 0]);
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn whoever_accepted_counts_where_people_are_dismissed_on_the_first_day() {
    let mut policy = policy();
    policy.onboarding.limit = Limit::Percent(100.0);
    let everybody = |disabled: std::ops::Range<usize>| {
        (0..30).fold(directory(), |directory, n| {
            let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
            match disabled.contains(&n) {
                true => directory.disabled(&id, &email),
                false => directory.person(&id, &email),
            }
        })
    };
    let mut organization = members(3);
    let mut run = first_record(3);
    run.sync(&everybody(0..0), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 30);
    // One of three may be dismissed, while nobody else has accepted.
    run.now += hours(1);
    let guarded = run.plan(&everybody(0..2), &organization, &policy);
    assert_eq!(
        why(&guarded),
        [HeldBecause::Disabled {
            members: 2,
            earlier: 0,
            limit: 1,
        }]
    );
    for n in 3..13 {
        organization.set_status(&format!("p{n}@example.com"), MemberStatus::Confirmed);
    }
    let guarded = run.sync(&everybody(0..3), &mut organization, &policy);
    assert_eq!(changes(&guarded), ["Revoke p0", "Revoke p1", "Revoke p2"]);
    // A quarter of thirteen, as it would be of all thirty a day later.
    run.now += hours(1);
    let guarded = run.sync(&everybody(0..4), &mut organization, &policy);
    assert_eq!(
        why(&guarded),
        [HeldBecause::Disabled {
            members: 1,
            earlier: 3,
            limit: 3,
        }]
    );
}

#[test]
fn where_the_limit_of_dismissals_is_none_each_waits() {
    for limit in [Limit::Count(0), Limit::Percent(0.0)] {
        let mut policy = policy();
        policy.offboarding.disabled_limit = limit;
        let directory = people(1..20).disabled("p0", "p0@example.com");
        let guarded = sync(&directory, &mut members(20), &policy);
        let expected = HeldBecause::Disabled {
            members: 1,
            earlier: 0,
            limit: 0,
        };
        assert!(why(&guarded).contains(&expected), "{:?}", why(&guarded));
        assert!(!changes(&guarded).contains(&"Revoke p0".to_owned()));
    }
}

#[test]
fn what_a_stopped_run_has_done_of_an_approval_is_used_up() {
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Count(2);
    let directory = (0..20).fold(directory(), |directory, n| {
        let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
        match n < 6 {
            true => directory.disabled(&id, &email),
            false => directory.person(&id, &email),
        }
    });
    let mut organization = (0..20).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut run = since(NOON);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let stopped = run.plan(&directory, &organization, &policy);
    assert_eq!(stopped.approved.changes.len(), 6);
    run.approval = None;
    run.ledger.before(&stopped, run.now);
    // The server fails after the fifth, and somebody gives all five their access back.
    let done = stopped.approved.changes[..5].iter();
    run.ledger
        .interrupted(&stopped, &done.collect(), &Default::default());
    run.now += hours(1);
    // Without that, the last one is left.
    let mut finished = organization.clone();
    (0..5).for_each(|n| {
        finished.set_status(&format!("p{n}@example.com"), MemberStatus::Revoked);
    });
    let rest = run.clone().sync(&directory, &mut finished, &policy);
    assert_eq!(changes(&rest), ["Revoke p5"]);
    assert_eq!(problems(&rest), []);
    // The approval was wrong, or so somebody thinks.
    let next = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&next), [""; 0]);
    assert_eq!(
        why(&next),
        [HeldBecause::Disabled {
            members: 6,
            earlier: 0,
            limit: 2,
        }]
    );
    assert_eq!(problems(&next), [(ProblemReason::ApprovalVoid, vec![])]);
}

#[test]
fn an_approval_in_an_older_copy_of_the_record_is_not_used_again() {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let mut organization = (0..20).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = people(8..20);
    let mut run = since(NOON);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let approved = run.plan(&directory, &organization, &policy);
    run.approval = None;
    run.ledger.before(&approved, run.now);
    // A copy of everything that is kept is made while the changes are: three are known to be done.
    let done = approved.approved.changes[..3].iter();
    let copy = run
        .ledger
        .checkpoint(&approved, &done.collect(), &[], &Default::default());
    organization.apply(&approved.approved);
    run.ledger.after(&approved, &FailedChanges::default());
    for n in 0..8 {
        organization.set_status(&format!("p{n}@example.com"), MemberStatus::Confirmed);
    }
    let mut restored = Run {
        now: NOON + hours(3),
        ledger: Ledger::load(
            Some(&copy.to_bytes()),
            Some(&*copy.digest()),
            NOON + hours(3),
        ),
        ..Run::default()
    };
    assert!(
        !restored.ledger.is_careful(),
        "nothing tells that it is older"
    );
    for _ in 0..2 {
        let after = restored.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(after.held.unwrap().members(), 8);
    }
}

#[test]
fn what_is_seen_to_be_done_of_an_approval_is_used_up_though_every_run_is_killed() {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let mut organization = (0..20).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = people(4..20);
    let mut run = since(NOON);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let mut killed = run.plan(&directory, &organization, &policy);
    assert_eq!(killed.approved.changes.len(), 4);
    run.approval = None;
    run.ledger.before(&killed, run.now);
    // One is done in each run, and no run comes to note it.
    for revoked in ["p0", "p1"] {
        let email = format!("{revoked}@example.com");
        organization.set_status(&email, MemberStatus::Revoked);
        run.now += hours(1);
        killed = run.plan(&directory, &organization, &policy);
        run.ledger.before(&killed, run.now);
    }
    assert_eq!(changes(&killed), ["Revoke p2", "Revoke p3"]);
    for given_back in ["p0", "p1"] {
        let email = format!("{given_back}@example.com");
        organization.set_status(&email, MemberStatus::Confirmed);
    }
    run.now += hours(1);
    let next = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&next), [""; 0]);
    let held = next.held.unwrap().changes;
    let held: Vec<&str> = held
        .iter()
        .map(|change| change.external_id().as_str())
        .collect();
    assert_eq!(held, ["p0", "p1", "p2", "p3"]);
}

/// 3,005 of 3,010 members are revoked by an approval, when the process ends: what it leaves.
fn stopped_in_a_large_approval() -> (Run, ModelOrganization, Policy, GuardedPlan) {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let mut organization = (0..3_010).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = people(3_005..3_010);
    let mut run = since(NOON);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let stopped = run.plan(&directory, &organization, &policy);
    assert_eq!(stopped.approved.changes.len(), 3_005);
    run.ledger.before(&stopped, run.now);
    run.approval = None;
    (run, organization, policy, stopped)
}

#[test]
fn an_approval_of_more_changes_than_the_record_has_room_for_is_finished_from_what_was_kept_beside_it()
 {
    let (mut run, mut organization, policy, stopped) = stopped_in_a_large_approval();
    let directory = people(3_005..3_010);
    let sets = run.ledger.approved_sets().to_bytes();
    // Of what was answered, somebody gives two people access back; what wasn't heard of is seen.
    let done = ["p0", "p1", "p3"].map(|text| (Kind::Revoke, id(text)));
    let done = done.into_iter().collect();
    run.ledger = run
        .ledger
        .checkpoint(&stopped, &done, &[], &Default::default());
    for email in ["p2@example.com", "p3@example.com"] {
        organization.set_status(email, MemberStatus::Revoked);
    }
    for by_hand in [&["p0", "p1"][..], &["p0", "p1", "p2"]] {
        // Another process goes on.
        run.ledger = Ledger::load_unchecked(&run.ledger.to_bytes(), run.now);
        assert!(run.ledger.needs_approved());
        let sets = ApprovedSets::from_bytes(&sets).unwrap();
        run.ledger.read_approved(&sets);
        run.now += hours(1);
        let rest = run.plan(&directory, &organization, &policy);
        assert_eq!(rest.approved.changes.len(), 3_001);
        let held = rest.held.iter().flat_map(|held| &held.changes);
        let held: Vec<_> = held.map(|change| change.external_id().as_str()).collect();
        assert_eq!(held, by_hand, "they have access by somebody's hand");
        run.ledger.before(&rest, run.now);
        organization.set_status("p2@example.com", MemberStatus::Confirmed);
    }
    run.sync(&directory, &mut organization, &policy);
    let members = &organization.content.members;
    let revoked = |member: &&Member| member.status == MemberStatus::Revoked;
    assert_eq!(members.iter().filter(revoked).count(), 3_002);
    // It is over: the same people aren't revoked by it again.
    for n in 0..3_005 {
        organization.set_status(&format!("p{n}@example.com"), MemberStatus::Confirmed);
    }
    let after = run.plan(&directory, &organization, &policy);
    assert_eq!(changes(&after), [""; 0]);
}

#[test]
fn of_a_large_approval_that_cannot_be_read_back_the_rest_is_held_and_that_is_said() {
    let (mut run, mut organization, policy, _) = stopped_in_a_large_approval();
    let directory = people(3_005..3_010);
    run.ledger = Ledger::load_unchecked(&run.ledger.to_bytes(), run.now);
    // Another approval's changes count for nothing, as altered ones do.
    let others = people(3_003..3_009);
    let held = run.plan(&others, &organization, &policy).removals;
    assert_eq!(held.len(), 3_005);
    let other = FingerprintSet::of(&[] as &[Change]);
    run.ledger.read_approved(&ApprovedSets::of([held, other]));
    organization.set_status("p0@example.com", MemberStatus::Revoked);

    for _ in 0..2 {
        run.now += hours(1);
        let rest = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&rest), [""; 0], "nothing goes ahead unasked");
        let problems = &rest.approved.problems;
        let told = problems
            .iter()
            .find(|problem| problem.reason == ProblemReason::ApprovalVoid);
        let message = &told.unwrap().message;
        assert!(message.contains("3005 approved changes"), "{message}");
        assert!(message.contains("missing or altered"), "{message}");
        assert!(message.contains(&rest.digest.0), "{message}");
        run.approval = approve(&rest.digest);
        let again = run.plan(&directory, &organization, &policy);
        assert_eq!(again.approved.changes.len(), 3_004);
        run.approval = None;
    }
    let rest = run.plan(&directory, &organization, &policy);
    run.approval = approve(&rest.digest);
    run.sync(&directory, &mut organization, &policy);
    let members = &organization.content.members;
    let revoked = |member: &&Member| member.status == MemberStatus::Revoked;
    assert_eq!(members.iter().filter(revoked).count(), 3_005);
    run.approval = None;
    let after = run.sync(&people(3_008..3_010), &mut organization, &policy);
    assert!(after.held.is_some());
    assert_eq!(problems(&after), [], "it is over");
}

#[test]
fn an_organization_that_was_emptied_is_not_filled_as_in_a_first_sync() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = ModelOrganization::default();
    let mut run = first_record(0);
    let first = run.sync(&people(0..20), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 20, "{:?}", why(&first));
    // Another read, a month later, and then somebody removes all of them.
    run.now += hours(24 * 30);
    run.sync(&people(0..20), &mut organization, &policy);
    organization.content.members.clear();
    organization
        .inside
        .values_mut()
        .for_each(|inside| inside.clear());
    for _ in 0..2 {
        run.now += hours(1);
        let again = run.sync(&people(0..20), &mut organization, &policy);
        assert!(organization.content.members.is_empty());
        assert!(matches!(
            why(&again)[..],
            [HeldBecause::Invited {
                people: 20,
                limit: 5,
                ..
            }]
        ));
    }
}

/// Held by one run, and by the ones after it, whatever came in with the first: for a day.
fn stays_held(directory: &TestDirectory, organization: &mut ModelOrganization, limit: usize) {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.groups.prune = true;
    let mut run = since(NOON);
    run.now += hours(48);
    let mut run = Run {
        now: run.now,
        ledger: {
            run.ledger.keep_for("organization", run.now);
            run.ledger
        },
        ..Run::default()
    };
    let first = run.sync(directory, organization, &policy);
    let held = first.held.expect("something is held");
    let seen = |held: &directory_sync_core::sync::guard::Held| match held.why[..] {
        [
            HeldBecause::Absent { limit, .. }
            | HeldBecause::Disabled { limit, .. }
            | HeldBecause::DeletedGroups { limit, .. }
            | HeldBecause::Group { limit, .. }
            | HeldBecause::Invited { limit, .. },
        ] => limit,
        _ => panic!("{}", held.describe()),
    };
    assert_eq!(seen(&held), limit);
    for later in [1, 22] {
        run.now += hours(later);
        let bytes = run.ledger.to_bytes();
        run.ledger = Ledger::load(Some(&bytes), Some(&*run.ledger.digest()), run.now);
        let next = run.sync(directory, organization, &policy);
        let still = next.held.expect("it is still held");
        assert_eq!(still.hold.id, held.hold.id, "{later}");
        assert_eq!(seen(&still), limit);
    }
}

fn numbered(numbers: impl IntoIterator<Item = usize>) -> TestDirectory {
    numbers.into_iter().fold(directory(), |all, n| {
        all.person(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

#[test]
fn what_is_held_is_not_let_go_by_members_who_are_linked_meanwhile() {
    let with_strangers = || {
        let members = (0..20).fold(organization(), |all, n| {
            all.member(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        (20..60).fold(members, |all, n| all.stranger(&format!("p{n}@example.com")))
    };
    stays_held(&numbered(6..60), &mut with_strangers(), 2);
    let disabled = (0..12).fold(numbered(12..60), |all, n| {
        all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    stays_held(&disabled, &mut with_strangers(), 5);
    stays_held(&numbered(0..100), &mut with_strangers(), 10);
}

#[test]
fn what_is_held_is_not_let_go_by_a_group_that_is_filled_or_others_that_are_made_meanwhile() {
    let ids =
        |numbers: std::ops::Range<usize>| numbers.map(|n| format!("p{n}")).collect::<Vec<_>>();
    let emails: Vec<String> = (0..12).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let members = || {
        (0..130).fold(organization(), |all, n| {
            all.member(&format!("p{n}"), &format!("p{n}@example.com"))
        })
    };
    let others = ids(12..24);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let replaced = numbered(0..130).group("g", "Team", &others);
    stays_held(&replaced, &mut members().group("g", "Team", &emails), 6);

    let groups =
        |range: std::ops::Range<usize>| range.map(|n| (format!("g{n}"), format!("Group {n}")));
    let mut organization =
        groups(0..10).fold(members(), |all, (id, name)| all.group(&id, &name, &[]));
    let made = groups(4..40).fold(numbered(0..130), |all, (id, name)| {
        all.group(&id, &name, &[])
    });
    stays_held(&made, &mut organization, 1);
}

/// A run adds what `adds` has beside `before`, and holds nothing. Minutes later, what `takes` lacks may
/// exceed the limit of `before`: it is held by exactly that until a day after the addition.
fn raises_nothing(
    organization: &mut ModelOrganization,
    before: &TestDirectory,
    adds: &TestDirectory,
    takes: &TestDirectory,
    limit: &HeldBecause,
) {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.groups.prune = true;
    let mut run = since(NOON);
    // What was held for the first day isn't any more.
    run.sync(before, organization, &policy);
    run.now = NOON + hours(30);
    let added = run.sync(adds, organization, &policy);
    assert!(added.held.is_none(), "{:?}", why(&added));
    assert!(!changes(&added).is_empty(), "something is added");
    for later in [SignedDuration::from_mins(18), hours(23)] {
        run.now = NOON + hours(30) + later;
        let held = run.sync(takes, organization, &policy);
        assert_eq!(why(&held), std::slice::from_ref(limit), "{later:?}");
    }
    run.now = NOON + hours(30) + hours(25);
    let after = run.sync(takes, organization, &policy);
    assert!(after.held.is_none(), "a day later: {:?}", why(&after));
}

#[test]
fn what_a_run_adds_does_not_raise_the_limits_of_the_next_ones_although_nothing_was_held() {
    let ids =
        |numbers: std::ops::Range<usize>| numbers.map(|n| format!("p{n}")).collect::<Vec<_>>();
    let members = |count: usize| {
        (0..count).fold(organization(), |all, n| {
            all.member(&format!("p{n}"), &format!("p{n}@example.com"))
        })
    };
    let with_strangers = || {
        let members = members(20);
        (20..60).fold(members, |all, n| all.stranger(&format!("p{n}@example.com")))
    };
    // Forty are linked, and six of those before are gone.
    let absent = HeldBecause::Absent {
        members: 6,
        earlier: 0,
        limit: 2,
    };
    raises_nothing(
        &mut with_strangers(),
        &numbered(0..20),
        &numbered(0..60),
        &numbered(6..60),
        &absent,
    );
    // Twelve are disabled.
    let disabled = (0..12).fold(numbered(12..60), |all, n| {
        all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let dismissed = HeldBecause::Disabled {
        members: 12,
        earlier: 0,
        limit: 5,
    };
    raises_nothing(
        &mut with_strangers(),
        &numbered(0..20),
        &numbered(0..60),
        &disabled,
        &dismissed,
    );
    // Thirty come, and are invited.
    let invited = HeldBecause::Invited {
        people: 30,
        earlier: 0,
        limit: 10,
    };
    raises_nothing(
        &mut with_strangers(),
        &numbered(0..20),
        &numbered(0..60),
        &numbered(0..90),
        &invited,
    );

    // A team of twelve gets twelve others, and then loses those who were in it.
    let (first, others) = (ids(0..12), ids(12..24));
    let team = |ids: &[&[String]]| {
        let ids = ids.concat();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        numbered(0..130).group("g", "Team", &ids)
    };
    let left = HeldBecause::Group {
        name: "Team".into(),
        members: 12,
        earlier: 0,
        limit: 6,
    };
    let emails: Vec<String> = (0..12).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    raises_nothing(
        &mut members(130).group("g", "Team", &emails),
        &team(&[&first]),
        &team(&[&first, &others]),
        &team(&[&others]),
        &left,
    );
    // One of eight is no group with a limit: it has that of ten, once it has more.
    let (few, many) = (ids(0..8), ids(0..40));
    let left = HeldBecause::Group {
        name: "Team".into(),
        members: 8,
        earlier: 0,
        limit: 5,
    };
    raises_nothing(
        &mut members(130).group("g", "Team", &emails[..8]),
        &team(&[&few]),
        &team(&[&many]),
        &team(&[&ids(8..40)]),
        &left,
    );

    // Thirty groups are made, and then four of the ten before are gone.
    let groups = |range: std::ops::Range<usize>| {
        range.fold(numbered(0..130), |all, n| {
            all.group(&format!("g{n}"), &format!("Group {n}"), &[])
        })
    };
    let mut organization = (0..10).fold(members(130), |all, n| {
        all.group(&format!("g{n}"), &format!("Group {n}"), &[])
    });
    let deleted = HeldBecause::DeletedGroups {
        groups: 4,
        earlier: 0,
        limit: 1,
    };
    raises_nothing(
        &mut organization,
        &groups(0..10),
        &groups(0..40),
        &groups(4..40),
        &deleted,
    );
}

#[test]
fn a_loss_whose_time_is_not_certain_does_not_raise_the_limit() {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Percent(60.0);
    policy.offboarding.disabled_limit = Limit::Percent(10.0);
    let mut organization = (0..21).fold(organization(), |all, n| {
        all.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut run = since(NOON);
    run.sync(&numbered(0..21), &mut organization, &policy);
    // Somebody revokes p20, which a run sees whose clock is ahead; p19 is gone in the next one.
    organization.set_status("p20@example.com", MemberStatus::Revoked);
    run.now = NOON + hours(20);
    run.sync(&numbered(0..21), &mut organization, &policy);
    run.now = NOON + hours(16);
    let without = numbered((0..19).chain([20]));
    let gone = run.sync(&without, &mut organization, &policy);
    assert_eq!(changes(&gone), ["Revoke p19"]);
    // A day later it has been a day, and one of the nineteen who are left may be dismissed.
    run.now = NOON + hours(41);
    let two = numbered(2..19).person("p20", "p20@example.com");
    let two = (0..2).fold(two, |all, n| {
        all.disabled(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let guarded = run.sync(&two, &mut organization, &policy);
    assert_eq!(
        why(&guarded),
        [HeldBecause::Disabled {
            members: 2,
            earlier: 0,
            limit: 1,
        }]
    );
}

#[test]
fn a_run_without_a_change_leaves_the_record_as_it_is() {
    let mut organization = ModelOrganization::default();
    let mut run = since(NOON);
    run.sync(&people(0..10), &mut organization, &policy());
    let after_the_first = run.ledger.digest();
    run.now += SignedDuration::from_mins(10);
    let second = run.sync(&people(0..10), &mut organization, &policy());
    assert_eq!(changes(&second), [""; 0]);
    assert_eq!(run.ledger.digest(), after_the_first);
}

#[test]
fn a_group_is_protected_however_the_letters_of_its_name_are_composed() {
    let (composed, decomposed) = ("F\u{fc}hrung", "Fu\u{308}hrung");
    for (pattern, name) in [(composed, decomposed), (decomposed, composed)] {
        let mut policy = limited(Limit::Percent(100.0));
        policy.groups.protected = vec![Glob::new(pattern)];
        let mut organization =
            members(4).group("board", name, &["p0@example.com", "p1@example.com"]);
        let directory = numbered(0..4).group("board", name, &["p0"]);
        let run = sync(&directory, &mut organization, &policy);
        let protected = HeldBecause::ProtectedGroup {
            name: name.into(),
            members: 1,
        };
        assert!(why(&run).contains(&protected), "{:?}", why(&run));
    }
}

#[test]
fn so_many_leavers_as_would_double_an_organization_do_not_come_back_at_once() {
    let mut policy = policy();
    policy.offboarding.disabled_limit = Limit::Percent(100.0);
    let mut organization = members(50);
    let mut run = since(NOON);
    let with = |state: AccountState, leavers: std::ops::Range<usize>| {
        (0..50).fold(directory(), |all, n| {
            let state = match leavers.contains(&n) {
                true => state,
                false => AccountState::Active,
            };
            all.account(&format!("p{n}"), &format!("p{n}@example.com"), state)
        })
    };
    // Thirty left over the years.
    let left = with(AccountState::Disabled, 0..30);
    assert_eq!(
        changes(&run.sync(&left, &mut organization, &policy)).len(),
        30
    );
    run.now = NOON + hours(30);
    // A script says of all accounts that they are active.
    let active = with(AccountState::Active, 0..0);
    let before = organization.show();
    let held = run.sync(&active, &mut organization, &policy);
    let limit = HeldBecause::Invited {
        people: 30,
        earlier: 0,
        limit: 10,
    };
    assert_eq!(why(&held), [limit]);
    assert_eq!(organization.show(), before);
    // As many as may be invited do come back.
    let few = with(AccountState::Disabled, 10..30);
    let back = run.plan(&few, &organization, &policy);
    assert_eq!(changes(&back).len(), 10);
    // And all, once somebody has looked at them.
    run.approval = approve(&held.digest);
    let approved = run.sync(&active, &mut organization, &policy);
    assert_eq!(changes(&approved).len(), 30);
    assert!(approved.held.is_none());
}

#[test]
fn who_is_invited_or_restored_with_an_approval_uses_up_nothing_that_may_go_unasked() {
    let mut policy = crate::unlimited();
    policy.onboarding.limit = Limit::Percent(50.0);
    let mut organization = members(12);
    let mut run = since(NOON);
    run.sync(&people(0..12), &mut organization, &policy);
    run.now += hours(25);
    let many = run.sync(&people(0..200), &mut organization, &policy);
    run.approval = approve(&many.digest);
    run.now += SignedDuration::from_mins(1);
    // Two of them are refused at first.
    organization.refused = [id("p50"), id("p51")].into();
    run.sync(&people(0..200), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 198);
    run.approval = None;
    organization.refused.clear();
    // As many as before it: six, as half of twelve; the approval raised nothing either.
    let used = run.ledger.used();
    assert!(used.iter().all(|one| one.invited == 0), "{used:?}");
    run.now += SignedDuration::from_mins(1);
    let seven = run.plan(&people((0..50).chain(52..207)), &organization, &policy);
    let why = |earlier| HeldBecause::Invited {
        people: 7,
        earlier,
        limit: 6,
    };
    assert_eq!(self::why(&seven), [why(0)]);
    let six = run.sync(&people((0..50).chain(52..206)), &mut organization, &policy);
    assert!(six.held.is_none());
    assert_eq!(organization.content.members.len(), 204);
    assert_eq!(
        run.ledger.used().iter().map(|one| one.invited).sum::<u32>(),
        6
    );
    // Those that were refused are asked about again: the approval is used up.
    let two = run.plan(&people(0..206), &organization, &policy);
    assert_eq!(two.held.unwrap().changes.len(), 2);
}

#[test]
fn whom_a_stopped_run_may_have_invited_with_an_approval_uses_up_nothing_either() {
    let mut policy = crate::unlimited();
    policy.onboarding.limit = Limit::Count(6);
    let mut organization = members(12);
    let mut run = since(NOON);
    run.sync(&people(0..12), &mut organization, &policy);
    run.now += hours(25);
    let many = run.sync(&people(0..40), &mut organization, &policy);
    run.approval = approve(&many.digest);
    let killed = run.plan(&people(0..40), &organization, &policy);
    run.approval = None;
    run.ledger.before(&killed, run.now);
    let mut part = (*killed.approved).clone();
    part.changes.truncate(10);
    organization.apply(&part);
    // The next run finishes it, and six more come unasked.
    run.now += SignedDuration::from_mins(1);
    let next = run.sync(&people(0..46), &mut organization, &policy);
    assert!(next.held.is_none(), "{:?}", why(&next));
    assert_eq!(organization.content.members.len(), 46);
    run.now += SignedDuration::from_mins(1);
    let held = run.sync(&people(0..47), &mut organization, &policy);
    assert!(held.held.is_some());
}

#[test]
fn a_record_that_is_lost_after_approved_invitations_gives_no_larger_limit() {
    let mut policy = crate::unlimited();
    policy.onboarding.limit = Limit::Percent(50.0);
    let mut organization = members(40);
    let mut run = since(NOON);
    run.sync(&people(0..40), &mut organization, &policy);
    run.now += hours(25);
    let many = run.sync(&people(0..340), &mut organization, &policy);
    run.approval = approve(&many.digest);
    run.sync(&people(0..340), &mut organization, &policy);
    run.approval = None;
    let older = run.ledger.to_bytes();
    run.now += hours(1);
    run.sync(&people(0..350), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 350);
    let expected = HeldBecause::Invited {
        people: 150,
        earlier: 10,
        limit: 20,
    };
    let with_record = run.plan(&people(0..500), &organization, &policy);
    assert_eq!(why(&with_record), std::slice::from_ref(&expected));
    // Nothing is found, or an older record, which knows of those who were approved.
    let used = run.ledger.used();
    let mut known = used.clone();
    for one in &mut known {
        one.approved = 0;
    }
    for (found, used) in [
        (None, &used),
        (Some(&older[..]), &used),
        (Some(&older), &known),
    ] {
        let mut run = run.clone();
        run.ledger = Ledger::load(found, Some("another"), run.now);
        run.ledger.count_used(used);
        let held = run.plan(&people(0..500), &organization, &policy);
        assert_eq!(why(&held), std::slice::from_ref(&expected));
    }
}

#[test]
fn what_a_stopped_run_was_to_do_by_an_approval_is_finished_though_a_preview_comes_in_between() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let directory = people(40..60);
    let mut run = since(NOON);
    let held = run.sync(&directory, &mut organization, &policy);
    run.approval = approve(&held.digest);
    let stopped = run.plan(&directory, &organization, &policy);
    run.approval = None;
    run.ledger.before(&stopped, run.now);
    let mut part = (*stopped.approved).clone();
    part.changes.truncate(13);
    organization.apply(&part);
    run.now += hours(1);
    let seen = run.plan(&directory, &organization, &policy);
    assert!(seen.held.is_none());
    run.ledger.observe(&seen);
    // Nobody else goes by it.
    let more = run.plan(&people(48..60), &organization, &policy);
    assert!(more.held.is_some());
    let finished = run.sync(&directory, &mut organization, &policy);
    assert!(finished.held.is_none(), "{:?}", why(&finished));
    assert_eq!(organization.content.members.len(), 20);
}
