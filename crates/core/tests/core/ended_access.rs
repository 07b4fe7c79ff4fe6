//! What groups don't lose that aren't synced any more: while nobody knows who is meant, or others haven't got it yet.

use directory_sync_core::organization::collection::CollectionRight;
use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::policy::{CollectionName, CollectionRule, Glob, Limit, Policy};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy,
};
use jiff::{SignedDuration, Timestamp};

use crate::killed::Killed;
use crate::unlimited;

use CollectionRight::{Manage, View};

struct Big {
    run: Run,
    organization: ModelOrganization,
    policy: Policy,
}

fn rule(group: &str, collections: &[(&str, CollectionRight)]) -> CollectionRule {
    CollectionRule {
        group: Glob::new(group),
        collections: collections
            .iter()
            .map(|(one, right)| (CollectionName::ExternalId((*one).into()), *right))
            .collect(),
        exclusive: false,
    }
}

fn p(n: usize) -> String {
    format!("p{n}")
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(p).collect()
}

fn people(n: usize) -> TestDirectory {
    (0..n).fold(directory(), |all, n| {
        all.person(&p(n), &format!("p{n}@example.com"))
    })
}

fn with(n: usize, groups: &[(&str, &str, std::ops::Range<usize>)]) -> TestDirectory {
    groups.iter().fold(people(n), |all, (gid, name, range)| {
        let ids = ids(range.clone());
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        all.group(gid, name, &ids)
    })
}

impl Big {
    fn new(n: usize, policy: Policy) -> Self {
        let organization = (0..n).fold(organization(), |all, n| {
            all.member(&p(n), &format!("p{n}@example.com"))
        });
        let organization = organization.collection("infra").collection("wiki");
        let mut run = Run::default();
        run.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        run.ledger = Ledger::begin(run.now);
        Self {
            run,
            organization,
            policy,
        }
    }

    fn sync(&mut self, directory: &TestDirectory) -> GuardedPlan {
        self.after(directory, 25)
    }

    fn after(&mut self, directory: &TestDirectory, hours: i64) -> GuardedPlan {
        self.run.now += SignedDuration::from_hours(hours);
        let (kept, digest) = (self.run.ledger.to_bytes(), self.run.ledger.digest());
        self.run.ledger = Ledger::load(Some(&kept), Some(digest.as_str()), self.run.now);
        let ran = self
            .run
            .sync(directory, &mut self.organization, &self.policy);
        self.run.approval = None;
        ran
    }

    fn access(&self) -> Vec<String> {
        let mut all = self.organization.access();
        all.sort();
        all
    }
}

fn messages(ran: &GuardedPlan) -> Vec<String> {
    let all = ran.approved.problems.iter();
    all.map(|one| format!("{:?} {}", one.reason, one.message))
        .collect()
}

const OTHERS: [(&str, &str, std::ops::Range<usize>); 9] = [
    ("g1", "g1", 5..10),
    ("g2", "g2", 10..15),
    ("g3", "g3", 15..20),
    ("g4", "g4", 20..25),
    ("g5", "g5", 25..30),
    ("g6", "g6", 30..35),
    ("g7", "g7", 35..40),
    ("g8", "g8", 40..45),
    ("eng-z", "eng-z", 45..46),
];

fn plus(one: &[(&'static str, &'static str, std::ops::Range<usize>)]) -> TestDirectory {
    let all: Vec<_> = OTHERS.iter().cloned().chain(one.iter().cloned()).collect();
    with(60, &all)
}

/// 60 people, the default limits; `eng-a` of five has Manage on infra by a rule for `eng-*`.
fn default_limits(right: CollectionRight) -> Big {
    let mut policy = policy();
    policy.access.limit = 100;
    policy.access.collections_limit = Limit::Percent(100.0);
    policy.access.collections = vec![rule("eng-*", &[("infra", right)])];
    let mut big = Big::new(60, policy);
    let before = plus(&[("a", "eng-a", 0..5)]);
    big.sync(&before);
    big.sync(&before);
    assert_eq!(big.access().len(), 2, "{:?}", big.access());
    big.policy.access.limit = 3;
    big.policy.access.collections_limit = Limit::Percent(10.0);
    big
}

/// Whether the five have the collection by their old group or by the one that takes its place.
fn has_either(big: &Big) -> bool {
    let groups = ["eng-a", "eng-b", "platform"];
    let access = big.access();
    access
        .iter()
        .any(|one| groups.iter().any(|group| one.starts_with(group)))
}

/// A team's group is made anew under another name, and the rule fits both.
#[test]
fn a_replacement_whose_gain_is_held() {
    let mut big = default_limits(Manage);
    let after = plus(&[("b", "eng-b", 0..5)]);
    big.sync(&after);
    big.sync(&after);
    assert!(
        has_either(&big),
        "the five lost Manage while the replacement waits for approval"
    );
}

#[test]
fn a_replacement_whose_gain_is_refused() {
    let mut big = default_limits(View);
    let after = plus(&[("b", "eng-b", 0..5)]);
    big.sync(&after);
    big.organization.refused = [id("b")].into();
    big.sync(&after);
    assert!(
        has_either(&big),
        "the five lost View while the server refuses the replacement"
    );
}

/// The rule fits no group any more, and one of its collections isn't known at the time: the group was made anew under
/// another name, or got it.
#[test]
fn a_rule_that_fits_no_group_and_names_a_collection_that_is_not_there() {
    for later in ["b", "a"] {
        let mut policy = unlimited();
        policy.access.collections = vec![rule("eng-a", &[("infra", View)])];
        let mut big = Big::new(60, policy);
        let before = plus(&[("a", "eng-a", 0..5)]);
        big.sync(&before);
        big.sync(&before);
        assert_eq!(big.access(), ["eng-a: View on infra"]);
        let infra = big.organization.collection_id("infra");
        for one in big.organization.content.collections.iter_mut().flatten() {
            if one.id == infra {
                one.external_id = Some("infra-new".into());
            }
        }
        big.sync(&plus(&[(later, "platform", 0..5)]));
        assert_eq!(big.access().len(), 1, "{later}");
    }
}

/// Two groups of Bitwarden get the same external id by hand: the directory still has the group.
#[test]
fn a_group_whose_external_id_two_have_is_not_said_to_be_gone() {
    let mut big = default_limits(View);
    big.organization.add_group(Some(id("a")), "copy", &[]);
    let ran = big.sync(&plus(&[("a", "eng-a", 0..5)]));
    assert!(
        !messages(&ran)
            .iter()
            .any(|one| one.contains("isn't one of the groups that are synced any more"))
    );
}

/// The group that takes its place is there already, and gets a rule of its own in the same run.
#[test]
fn a_replacement_that_exists_already_and_gets_the_access_in_the_same_run_held() {
    let mut big = default_limits(Manage);
    big.sync(&plus(&[("a", "eng-a", 0..5), ("b", "platform", 0..5)]));
    big.policy
        .access
        .collections
        .push(rule("platform", &[("infra", Manage)]));
    big.sync(&plus(&[("b", "platform", 0..5)]));
    assert!(has_either(&big), "{:?}", big.access());
}

/// A run that is killed at any change leaves the people with one of the two.
#[test]
fn a_killed_run_gives_before_it_takes() {
    for made in 0..4 {
        let mut big = default_limits(View);
        big.policy.access.collections_limit = Limit::Percent(100.0);
        let after = plus(&[("b", "eng-b", 0..5)]);
        big.sync(&after);
        for _ in 0..2 {
            let Big {
                run,
                organization,
                policy,
            } = &mut big;
            run.now += SignedDuration::from_hours(1);
            Killed::after(made).run(run, &after, organization, policy);
            assert!(has_either(&big), "after {made} changes: {:?}", big.access());
        }
    }
}
