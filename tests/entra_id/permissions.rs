//! What is said when the application may not read something.

use directory_sync::source::Source as _;
use directory_sync::source::entra_id::{GroupSelection, GroupSettings};
use simulators::entra_id::{UserSeed, permission};

use crate::harness::*;

const APPLICATION: &str = "2f0d1e6a-7c77-4d0e-9f5e-6a1b2c3d4e5f";

#[tokio::test]
async fn a_missing_permission_is_named() {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("ada"));
    let staff = tenant.add_group("Staff", [ada]);
    let unit = tenant.add_unit([ada]);
    tenant.add_application(APPLICATION, [ada]);

    tenant.set_permissions([permission::GROUP_MEMBERS]);
    let refusal = refused(settings(&tenant)).await.for_entra();
    refusal
        .says("User.Read.All (or Directory.Read.All)")
        .says("Authorization_RequestDenied")
        .says("request-id 11111111");

    tenant.set_permissions([permission::USERS]);
    let refusal = refused(settings(&tenant)).await.for_entra();
    refusal.says("GroupMember.Read.All (or Directory.Read.All)");
    // Within a batch, a part is refused and not the whole.
    let one = GroupSettings {
        ids: vec![staff.to_string()],
        ..GroupSettings::default()
    };
    let refusal = refused(with_groups(&tenant, one)).await.for_entra();
    refusal.says("GroupMember.Read.All (or Directory.Read.All)");

    tenant.set_permissions([permission::USERS, permission::GROUP_MEMBERS]);
    assert_eq!(names(&read(settings(&tenant)).await), ["ada"]);
    let mut by_unit = settings(&tenant);
    by_unit.users.administrative_units = vec![unit.to_string()];
    let refusal = refused(by_unit).await.for_entra();
    refusal.says("AdministrativeUnit.Read.All (or Directory.Read.All)");
    let mut by_application = settings(&tenant);
    by_application.users.assigned_to_application = Some(APPLICATION.to_owned());
    let refusal = refused(by_application).await.for_entra();
    refusal.says("Application.Read.All (or Directory.Read.All)");
}

#[tokio::test]
async fn a_check_reports_each_step_and_the_first_that_fails() {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("ada"));
    tenant.add_group("Staff", [ada]);
    let mut settings = settings(&tenant);
    settings.users.member_of = Some(GroupSelection {
        names: vec!["Staff".into()],
        ..GroupSelection::default()
    });
    let reader = source(settings.clone()).unwrap();
    let steps = reader.check().await;
    assert_eq!(steps.len(), 6);
    assert!(steps.iter().all(|step| step.result.is_ok()), "{steps:?}");

    tenant.set_permissions([permission::USERS]);
    let steps = reader.check().await;
    let failed: Vec<_> = steps.iter().filter(|step| step.result.is_err()).collect();
    assert_eq!(failed.len(), 2, "{steps:?}");
    assert_eq!(failed[0].name, "read groups");

    settings.tenant = "other.example.com".into();
    let steps = source(settings).unwrap().check().await;
    assert_eq!(steps.len(), 1, "without a token nothing else is tried");
    let said = steps[0].result.as_ref().unwrap_err();
    assert!(said.contains("AADSTS90002"), "{said}");
}
