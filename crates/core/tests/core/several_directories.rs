//! Two directories fill one organization, each by a resource with a prefix of its own: whoever is in both, or
//! moves from one to the other.

use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::policy::{OffboardingAction, Policy};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, organization, policy,
};
use jiff::{SignedDuration, Timestamp};

use crate::{changes, problems};

const ANN: &str = "ann@example.com";

/// Ann, and ten others who stay where they are.
fn staff(ann: bool) -> TestDirectory {
    let ids: Vec<String> = (0..10).map(|n| format!("a{n}")).collect();
    let others = ids.iter().fold(directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    let mut members: Vec<&str> = ids.iter().map(String::as_str).collect();
    let directory = match ann {
        true => {
            members.push("ann-in-a");
            others.person("ann-in-a", ANN)
        }
        false => others,
    };
    directory.group("staff", "staff", &members)
}

fn contractors(ann: bool) -> TestDirectory {
    let one = directory().person("b", "b@example.com");
    match ann {
        true => one
            .person("ann-in-b", ANN)
            .group("contractors", "contractors", &["b", "ann-in-b"]),
        false => one.group("contractors", "contractors", &["b"]),
    }
}

struct Two {
    organization: ModelOrganization,
    runs: [Run; 2],
    policies: [Policy; 2],
}

impl Two {
    /// Everybody of both was invited, and has accepted.
    fn new(absent: OffboardingAction) -> Self {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        let run = || Run {
            now,
            ..Run::default()
        };
        let with = |prefix: &str| {
            let mut policy = policy();
            policy.external_id_prefix = prefix.into();
            policy.offboarding.absent = absent;
            policy
        };
        let mut two = Self {
            organization: organization().owner("owner@example.com"),
            runs: [run(), run()],
            policies: [with("a:"), with("b:")],
        };
        two.sync(&staff(true), &contractors(false));
        two.organization.accept_all();
        two
    }

    /// One run of each on the next day.
    fn sync(&mut self, a: &TestDirectory, b: &TestDirectory) -> [GuardedPlan; 2] {
        let mut sync = |at: usize, directory: &TestDirectory| {
            self.runs[at].now += SignedDuration::from_hours(25);
            self.runs[at].sync(directory, &mut self.organization, &self.policies[at])
        };
        [sync(0, a), sync(1, b)]
    }

    fn ann(&self) -> (Option<&str>, MemberStatus) {
        let members = self.organization.content.members.iter();
        let mut found = members.filter(|member| member.email.as_str() == ANN);
        let ann = found.next().expect("she is a member");
        assert!(found.next().is_none(), "twice");
        (ann.external_id.as_ref().map(|id| id.as_str()), ann.status)
    }

    /// The groups that she is in.
    fn groups(&self) -> Vec<&str> {
        let ann = self.organization.by_email(ANN).id;
        let groups = self.organization.content.groups.iter();
        let inside = groups.filter(|group| {
            let members = self.organization.inside.get(&group.id);
            members.is_some_and(|members| members.contains(&ann))
        });
        inside.map(|group| &*group.name).collect()
    }
}

#[test]
fn whoever_is_in_both_is_one_member_of_the_first_and_the_second_says_so_and_changes_nothing() {
    let mut two = Two::new(OffboardingAction::Remove);
    for _ in 0..3 {
        let [first, second] = two.sync(&staff(true), &contractors(true));
        assert_eq!(changes(&first), [""; 0]);
        assert_eq!(changes(&second), [""; 0]);
        assert_eq!(
            problems(&second),
            [(
                ProblemReason::IdentityConflict,
                vec!["b:ann-in-b", "a:ann-in-a"]
            )]
        );
        assert_eq!(two.ann(), (Some("a:ann-in-a"), MemberStatus::Confirmed));
        assert_eq!(two.groups(), ["staff"]);
    }
    // And once the second doesn't have her any more, it takes nothing from her.
    two.sync(&staff(true), &contractors(false));
    assert_eq!(two.ann(), (Some("a:ann-in-a"), MemberStatus::Confirmed));
}

#[test]
fn whoever_moves_from_one_to_the_other_keeps_access_and_groups_and_is_named() {
    let mut two = Two::new(OffboardingAction::Retain);
    // In neither, in both, in the second alone.
    for (a, b) in [(false, false), (true, true), (false, true), (false, true)] {
        let [_, second] = two.sync(&staff(a), &contractors(b));
        assert_eq!(two.ann(), (Some("a:ann-in-a"), MemberStatus::Confirmed));
        let named = problems(&second).contains(&(
            ProblemReason::IdentityConflict,
            vec!["b:ann-in-b", "a:ann-in-a"],
        ));
        assert_eq!(named, b);
    }
}

#[test]
fn whoever_moves_loses_access_where_the_first_revokes_the_absent_and_nothing_else() {
    let mut two = Two::new(OffboardingAction::Revoke);
    let member = two.organization.by_email(ANN).id;
    for _ in 0..2 {
        two.sync(&staff(false), &contractors(true));
        assert_eq!(two.ann(), (Some("a:ann-in-a"), MemberStatus::Revoked));
    }
    assert_eq!(two.organization.by_email(ANN).id, member, "the same member");
    // Moved back, she has it again.
    two.sync(&staff(true), &contractors(true));
    assert_eq!(two.ann(), (Some("a:ann-in-a"), MemberStatus::Confirmed));

    // Without an external ID she is taken over by the second, with what she has.
    let mut two = Two::new(OffboardingAction::Revoke);
    let members = two.organization.content.members.iter_mut();
    let ann = members.filter(|member| member.email.as_str() == ANN);
    ann.for_each(|member| member.external_id = None);
    two.sync(&staff(false), &contractors(true));
    assert_eq!(two.ann(), (Some("b:ann-in-b"), MemberStatus::Confirmed));
}
