//! Members of groups that haven't changed are taken from an earlier read of the same source, and never
//! make a read bolder.

use std::time::Duration;

use directory_sync::source::Source as _;
use directory_sync::source::okta::OktaSource;
use directory_sync_testing::read_all;
use simulators::okta::{Config, GroupSeed, SimulatedOkta, Status, UserSeed};

use crate::harness::{Seen, organization_with, read, settings, source};

const HOUR: Duration = Duration::from_secs(3600);

struct Company {
    okta: SimulatedOkta,
    people: Vec<String>,
    law: String,
    sales: String,
}

async fn company() -> Company {
    let okta = organization_with(Config::default()).await;
    let names = ["ann", "bob", "cid"];
    let people = names.map(|name| okta.user(UserSeed::new(&format!("{name}@example.com"))));
    let law = okta.group(GroupSeed::new("Law").members(people[..2].to_vec()));
    let sales = okta.group(GroupSeed::new("Sales").members(people[1..].to_vec()));
    let people = people.to_vec();
    Company {
        okta,
        people,
        law,
        sales,
    }
}

/// A source that trusts a group's time at once, and reads all groups after `full`.
fn trusting(okta: &SimulatedOkta, full: Duration) -> OktaSource {
    let mut settings = settings(okta);
    settings.membership_cache.settled = Duration::ZERO;
    settings.membership_cache.full = full;
    source(settings).unwrap()
}

async fn seen(source: &OktaSource) -> Seen {
    Seen::from(read_all(source).await.unwrap())
}

/// How many groups' members the last read asked for.
fn asked(okta: &SimulatedOkta) -> usize {
    let requests = okta.requests();
    okta.clear_requests();
    let of_group = |path: &str| path.starts_with("/api/v1/groups/");
    requests.iter().filter(|r| of_group(&r.path)).count()
}

#[tokio::test]
async fn only_groups_whose_members_changed_are_read_again() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    let first = seen(&source).await;
    assert_eq!(asked(okta), 2);

    let second = seen(&source).await;
    assert_eq!((second, asked(okta)), (first, 0));

    let members = [&*company.people[0], &*company.people[2]];
    assert!(okta.set_members(&company.law, &members));
    let third = seen(&source).await;
    assert_eq!(asked(okta), 1);
    assert_eq!(third.groups["Law"], ["ann@example.com", "cid@example.com"]);
    assert_eq!(third, read(settings(okta)).await);
}

#[tokio::test]
async fn a_change_just_before_the_read_may_have_a_brother_that_shows_the_same_time() {
    let company = company().await;
    let source = source(settings(&company.okta)).unwrap();
    for _ in 0..3 {
        seen(&source).await;
        assert_eq!(
            asked(&company.okta),
            2,
            "the members weren't read long after"
        );
    }
}

#[tokio::test]
async fn a_group_whose_member_is_in_no_list_any_more_is_read_again() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;
    asked(okta);

    // Deleting somebody for good doesn't have to change the time.
    okta.delete_user(&company.people[0]);
    let after = seen(&source).await;

    assert_eq!(asked(okta), 1);
    assert_eq!(after.groups["Law"], ["bob@example.com"]);
    assert_eq!(after, read(settings(okta)).await);
}

#[tokio::test]
async fn whoever_is_suspended_or_activated_is_seen_whatever_is_remembered() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;

    let bob = UserSeed::new("bob@example.com")
        .id(&company.people[1])
        .status(Status::Suspended);
    okta.user(bob);

    assert_eq!(seen(&source).await, read(settings(okta)).await);
}

#[tokio::test]
async fn a_new_group_and_one_that_is_gone_are_seen() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;

    okta.delete_group(&company.law);
    okta.group(GroupSeed::new("Board").members([company.people[0].clone()]));
    let after = seen(&source).await;

    assert_eq!(after.group_names(), ["Board", "Sales"]);
    assert_eq!(after, read(settings(okta)).await);
}

#[tokio::test]
async fn all_groups_are_read_again_after_a_while() {
    let company = company().await;
    let source = trusting(&company.okta, Duration::ZERO);
    for _ in 0..2 {
        seen(&source).await;
        assert_eq!(asked(&company.okta), 2);
    }
}

#[tokio::test]
async fn where_a_time_stays_although_the_members_changed_nothing_is_remembered_any_more() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;
    assert!(okta.set_members_silently(&company.sales, &[&company.people[0]]));
    source.forget();

    let found = seen(&source).await;
    assert_eq!(found.groups["Sales"], ["ann@example.com"]);
    asked(okta);
    // It may have changed between the lists, and has another time in the next one then. It hasn't.
    seen(&source).await;
    assert_eq!(asked(okta), 1, "the one group");
    seen(&source).await;
    assert_eq!(asked(okta), 2, "right after a full read");
}

#[tokio::test]
async fn a_group_that_changes_during_a_full_read_is_the_only_one_that_is_read_again() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;
    source.forget();

    // Between the list of groups and the list of this one's members.
    assert!(okta.set_members_silently(&company.sales, &[&company.people[0]]));
    seen(&source).await;
    assert!(okta.set_members(&company.sales, &[&company.people[0]]));
    asked(okta);
    let found = seen(&source).await;
    assert_eq!(asked(okta), 1);
    assert_eq!(found, read(settings(okta)).await);
    asked(okta);
    seen(&source).await;
    assert_eq!(asked(okta), 0);
}

#[tokio::test]
async fn whoever_asks_for_everything_anew_gets_every_groups_members() {
    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    seen(&source).await;
    assert!(okta.set_members_silently(&company.sales, &[&company.people[0]]));
    asked(okta);

    source.forget();
    let found = seen(&source).await;

    assert_eq!(asked(okta), 2);
    assert_eq!(found.groups["Sales"], ["ann@example.com"]);
}

#[tokio::test]
async fn a_read_that_failed_is_not_remembered() {
    use simulators::fault::{Fault, Way};

    let company = company().await;
    let okta = &company.okta;
    let source = trusting(okta, HOUR);
    let failing = Fault::new(Way::InternalError).path("/api/v1/users");
    okta.faults().inject(failing.from_then_on());
    assert!(read_all(&source).await.is_err());
    okta.faults().clear();
    okta.clear_requests();

    seen(&source).await;
    assert_eq!(asked(okta), 2);
}
