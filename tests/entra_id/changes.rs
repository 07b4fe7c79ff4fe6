//! Reads that find out that nothing moved, and those that must not believe so.

use directory_sync::directory::AccountState::{Deleted, Disabled};
use directory_sync::source::entra_id::{GroupSelection, GroupSettings};
use simulators::entra_id::{DeltaLoss, Id, SimulatedEntra, UserSeed};
use simulators::fault::{Fault, Way};

use crate::harness::*;

async fn company() -> (SimulatedEntra, [Id; 2], Id) {
    let tenant = tenant().await;
    let people = ["ada", "bob"].map(|name| tenant.add_user(UserSeed::new(name)));
    let staff = tenant.add_group("Staff", people);
    (tenant, people, staff)
}

#[tokio::test]
async fn while_nothing_moves_two_requests_say_so() {
    let (tenant, ..) = company().await;
    let mut reader = Reader::new(settings(&tenant));
    assert!(reader.next().await.is_some());
    tenant.clear_requests();
    for _ in 0..3 {
        assert!(reader.next().await.is_none());
    }
    let requests = tenant.requests();
    assert_eq!(requests.len(), 6);
    assert!(
        requests
            .iter()
            .all(|request| request.path.ends_with("/delta"))
    );
}

#[tokio::test]
async fn every_kind_of_change_is_seen() {
    let (tenant, [ada, bob], staff) = company().await;
    let mut reader = Reader::new(settings(&tenant));
    reader.next().await.unwrap();

    let cleo = tenant.add_user(UserSeed::new("cleo"));
    assert_eq!(names(&reader.next().await.unwrap()), ["ada", "bob", "cleo"]);
    tenant.add_member(staff, cleo);
    let directory = reader.next().await.unwrap();
    assert_eq!(members(&directory, "Staff"), ["ada", "bob", "cleo"]);
    tenant.remove_member(staff, bob);
    let directory = reader.next().await.unwrap();
    assert_eq!(members(&directory, "Staff"), ["ada", "cleo"]);
    tenant.change(|hand| hand.disable(ada));
    let directory = reader.next().await.unwrap();
    assert!(people(&directory).contains(&("ada@example.com".into(), Disabled)));
    tenant.change(|hand| hand.rename(staff, "People"));
    assert_eq!(group_names(&reader.next().await.unwrap()), ["People"]);
    tenant.change(|hand| hand.delete(bob));
    let directory = reader.next().await.unwrap();
    assert!(people(&directory).contains(&("bob@example.com".into(), Deleted)));
    tenant.change(|hand| hand.delete(staff));
    assert!(group_names(&reader.next().await.unwrap()).is_empty());
    assert!(reader.next().await.is_none(), "and then nothing moved");
}

#[tokio::test]
async fn a_change_of_a_property_that_is_not_read_is_no_change() {
    let (tenant, [ada, _], _) = company().await;
    let mut reader = Reader::new(settings(&tenant));
    reader.next().await.unwrap();
    tenant.change(|hand| hand.set_department(ada, "Elsewhere"));
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn lists_that_no_delta_covers_are_compared() {
    let (tenant, [ada, bob], staff) = company().await;
    let unit = tenant.add_unit([ada]);
    let application = "2f0d1e6a-7c77-4d0e-9f5e-6a1b2c3d4e5f";
    let assigned = tenant.add_application(application, [ada, bob]);
    let mut settings = settings(&tenant);
    settings.users.administrative_units = vec![unit.to_string()];
    settings.users.assigned_to_application = Some(application.to_owned());
    settings.users.member_of = Some(GroupSelection {
        ids: vec![staff.to_string()],
        ..GroupSelection::default()
    });
    let mut reader = Reader::new(settings);
    assert_eq!(names(&reader.next().await.unwrap()), ["ada"]);
    assert!(reader.next().await.is_none());
    tenant.set_unit(unit, [bob]);
    assert_eq!(names(&reader.next().await.unwrap()), ["bob"]);
    assert!(reader.next().await.is_none());
    tenant.set_assigned(assigned, [ada]);
    assert!(names(&reader.next().await.unwrap()).is_empty());
}

#[tokio::test]
async fn what_a_delta_may_leave_out_is_read_every_time() {
    let (tenant, [ada, _], _) = company().await;
    tenant.change(|hand| hand.set_department(ada, "Sales"));
    let mut by_department = settings(&tenant);
    by_department.users.filter = Some("department eq 'Sales'".into());
    let mut reader = Reader::new(by_department);
    assert_eq!(names(&reader.next().await.unwrap()), ["ada"]);
    tenant.change(|hand| hand.set_department(ada, "R&D"));
    assert!(names(&reader.next().await.unwrap()).is_empty());

    let mut licensed = settings(&tenant);
    licensed.users.assigned_licenses =
        vec!["6fd2c87f-b296-42f0-b197-1e91e994b900".parse().unwrap()];
    let mut reader = Reader::new(licensed);
    for _ in 0..2 {
        assert!(reader.next().await.is_some());
    }

    let filtered = GroupSettings {
        filter: Some("startswith(displayName,'St')".into()),
        ..GroupSettings::default()
    };
    let mut reader = Reader::new(with_groups(&tenant, filtered));
    for _ in 0..2 {
        assert_eq!(group_names(&reader.next().await.unwrap()), ["Staff"]);
    }
}

#[tokio::test]
async fn an_expired_delta_means_a_complete_read_and_loses_nothing() {
    for loss in [DeltaLoss::Gone, DeltaLoss::SyncStateNotFound] {
        let (tenant, [_, bob], staff) = company().await;
        let mut reader = Reader::new(settings(&tenant));
        reader.next().await.unwrap();
        tenant.lose_deltas(loss);
        tenant.remove_member(staff, bob);
        let directory = reader.next().await.unwrap();
        assert_eq!(names(&directory), ["ada", "bob"]);
        assert_eq!(members(&directory, "Staff"), ["ada"]);
        assert!(
            reader.next().await.is_none(),
            "with new links all is as before"
        );
    }
}

#[tokio::test]
async fn replays_and_empty_pages_are_no_reason_to_miss_a_change() {
    let (tenant, [_, bob], staff) = company().await;
    tenant.set_noisy(true);
    let mut reader = Reader::new(settings(&tenant));
    reader.next().await.unwrap();
    assert!(reader.next().await.is_none());
    for number in 0..250 {
        tenant.add_user(UserSeed::new(&format!("more{number}")));
    }
    tenant.remove_member(staff, bob);
    let directory = reader.next().await.unwrap();
    assert_eq!(directory.users.len(), 252);
    assert_eq!(members(&directory, "Staff"), ["ada"]);
}

#[tokio::test]
async fn a_change_is_not_forgotten_when_the_read_that_it_caused_fails() {
    let (tenant, [_, bob], staff) = company().await;
    let mut reader = Reader::new(settings(&tenant));
    reader.next().await.unwrap();
    tenant.remove_member(staff, bob);
    let fault = Fault::new(Way::InternalError)
        .path("/v1.0/users")
        .from_then_on();
    tenant.faults().inject(fault);
    reader.try_next().await.unwrap_err();
    tenant.faults().clear();
    let directory = reader.next().await.unwrap();
    assert_eq!(members(&directory, "Staff"), ["ada"]);
}

#[tokio::test]
async fn a_version_of_another_read_is_not_believed() {
    let (tenant, ..) = company().await;
    let mut one = Reader::new(settings(&tenant));
    let mut other = Reader::new(settings(&tenant));
    one.next().await.unwrap();
    other.next().await.unwrap();
    std::mem::swap(&mut one.known, &mut other.known);
    assert!(one.next().await.is_some());
}
