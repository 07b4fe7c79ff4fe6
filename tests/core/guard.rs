//! What waits for a person, and what doesn't.

use directory_sync::problem::ProblemReason;
use directory_sync::sync::guard::{Approval, Digest, FingerprintSet, HeldBecause};
use directory_sync::sync::plan::GroupAction;
use directory_sync::sync::policy::{Departure, Limit, Policy};
use directory_sync_testing::{
    ModelOrganization, Run, TestDirectory, directory, organization, policy, sync,
};

use crate::{changes, problems};

fn limited(limit: Limit) -> Policy {
    let mut policy = policy();
    policy.offboarding.limit = limit;
    policy.offboarding.absent = Departure::Remove;
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

#[test]
fn as_many_as_the_limit_go_and_one_more_waits_with_all_others() {
    let mut organization = ten_members();
    let run = sync(
        &people_from(2),
        &mut organization,
        &limited(Limit::Percent(20.0)),
    );
    assert!(run.held.is_none());
    assert_eq!(organization.content.members.len(), 9);

    let mut organization = ten_members();
    let run = sync(
        &people_from(3),
        &mut organization,
        &limited(Limit::Percent(20.0)),
    );
    let held = run.held.as_ref().unwrap();
    assert_eq!(
        held.why,
        HeldBecause::OverLimit {
            members: 3,
            members_limit: 2,
            groups: 0,
            groups_limit: 1
        }
    );
    // Everything else goes ahead, and nobody loses their group on the way.
    assert_eq!(changes(&run), ["Invite new", "UpdateGroup g"]);
    assert_eq!(organization.content.members.len(), 11);
    assert_eq!(organization.inside.values().next().unwrap().len(), 11);
}

#[test]
fn a_percentage_of_a_few_is_rounded_up_and_a_number_is_taken_as_it_is() {
    for (limit, first, held) in [
        (Limit::Percent(1.0), 1, false),
        (Limit::Percent(1.0), 2, true),
        (Limit::Percent(0.0), 1, true),
        (Limit::Count(0), 1, true),
        (Limit::Count(4), 4, false),
        (Limit::Count(4), 5, true),
        (Limit::Percent(100.0), 10, false),
    ] {
        let run = sync(&people_from(first), &mut ten_members(), &limited(limit));
        assert_eq!(run.held.is_some(), held, "{limit:?}, {first} gone");
    }
}

#[test]
fn somebody_who_loses_a_membership_only_counts_like_somebody_who_loses_access_and_once() {
    let people = ["p0", "p1", "p2", "p3"];
    let everyone = (0..10).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = everyone
        .group("g", "Group", &people)
        .group("h", "Second", &people);
    let emails: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let before = ten_members().group("h", "Second", &emails);
    let run = sync(&directory, &mut before.clone(), &limited(Limit::Count(5)));
    assert_eq!(
        run.held.unwrap().why,
        HeldBecause::OverLimit {
            members: 6,
            members_limit: 5,
            groups: 0,
            groups_limit: 5
        }
    );
    let mut organization = before.clone();
    assert!(
        sync(&directory, &mut organization, &limited(Limit::Count(6)))
            .held
            .is_none()
    );
    assert!(
        organization
            .inside
            .values()
            .all(|members| members.len() == 4)
    );
}

#[test]
fn groups_are_measured_against_groups_and_hold_the_people_too() {
    let directory = directory().disabled("p0", "p0@example.com");
    let organization = ten_members()
        .group("h", "Second", &[])
        .group("i", "Third", &[]);
    let mut policy = limited(Limit::Count(2));
    policy.offboarding.absent = Departure::Retain;
    let run = sync(&directory, &mut organization.clone(), &policy);
    assert_eq!(
        run.held.unwrap().why,
        HeldBecause::OverLimit {
            members: 1,
            members_limit: 2,
            groups: 3,
            groups_limit: 2
        }
    );
    assert_eq!(
        changes(&sync(&directory, &mut organization.clone(), &policy)),
        [""; 0]
    );
}

#[test]
fn exactly_the_approved_removals_go_ahead() {
    let policy = limited(Limit::Percent(10.0));
    let digest = |first| sync(&people_from(first), &mut ten_members(), &policy).digest;
    let with = |digest: Digest, first| {
        let mut run = Run {
            approval: Some(Approval {
                digest,
                earlier: None,
            }),
            ..Run::default()
        };
        let mut organization = ten_members();
        run.sync(&people_from(first), &mut organization, &policy);
        organization.content.members.len()
    };
    assert_eq!(with(digest(3), 3), 8);
    assert_eq!(
        with(digest(4), 3),
        11,
        "fewer than approved are another digest"
    );
    assert_eq!(with(digest(3), 4), 11, "more than approved wait");
}

#[test]
fn a_run_that_ended_in_the_middle_of_approved_removals_is_finished() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = ten_members();
    let seen = sync(&people_from(5), &mut organization, &policy);
    assert_eq!(seen.removals.digest(), seen.digest);
    let kept = FingerprintSet::from_bytes(&seen.removals.to_bytes()).unwrap();
    assert_eq!(kept, seen.removals);

    // Two of the five are done, then the process ends; the limit would hold the other three.
    organization.drop_member("p0@example.com");
    organization.drop_member("p1@example.com");
    let approve = |digest: &Digest, earlier: &FingerprintSet| Run {
        approval: Some(Approval {
            digest: digest.clone(),
            earlier: Some(earlier.clone()),
        }),
        ..Run::default()
    };
    let held = |mut run: Run, first: usize| {
        run.plan(&people_from(first), &organization, &policy)
            .held
            .is_some()
    };
    assert!(!held(approve(&seen.digest, &kept), 5));
    assert!(
        !held(approve(&seen.digest, &kept), 4),
        "an even smaller part"
    );
    assert!(
        held(approve(&Digest("0".repeat(32)), &kept), 5),
        "the set isn't what was approved"
    );
    assert!(held(approve(&seen.digest, &FingerprintSet::default()), 5));
    let mut more = policy.clone();
    more.groups.exclude = vec![directory_sync::sync::policy::Glob::new("*")];
    let run = approve(&seen.digest, &kept).plan(&people_from(5), &organization, &more);
    assert!(
        run.held.is_some(),
        "the group's deletion was never approved"
    );
}

#[test]
fn fingerprints_from_elsewhere_are_refused() {
    assert!(FingerprintSet::from_bytes(&[0; 15]).is_err());
    assert!(
        FingerprintSet::from_bytes(&[1; 32]).is_err(),
        "twice the same"
    );
    let mut unsorted = [2; 32];
    unsorted[16..].copy_from_slice(&[1; 16]);
    assert!(FingerprintSet::from_bytes(&unsorted).is_err());
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
            run.held.as_ref().unwrap().why,
            HeldBecause::EmptyDirectory { members: 10 }
        );
        assert_eq!(organization.show(), before);
        assert_eq!(problems(&run), [(ProblemReason::EmptyDirectory, vec![])]);

        let approval = Some(Approval {
            digest: run.digest,
            earlier: None,
        });
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
