//! Who is read, by every filter.

use directory_sync::directory::AccountState;
use directory_sync::source::entra_id::{GroupSelection, GroupSettings, UserSettings};
use directory_sync_testing::{looked_up, read_all};
use simulators::entra_id::{GroupSeed, Id, SimulatedEntra, UserSeed, permission};

use crate::harness::*;

const SKU: &str = "6fd2c87f-b296-42f0-b197-1e91e994b900";
const OTHER_SKU: &str = "c7df2760-2c81-4ef7-b578-5b5392b571df";
const APPLICATION: &str = "2f0d1e6a-7c77-4d0e-9f5e-6a1b2c3d4e5f";

struct Company {
    tenant: SimulatedEntra,
    ada: Id,
    bob: Id,
    cleo: Id,
    inner: Id,
    outer: Id,
}

/// Ada is in Inner, which is in Outer, which is in Inner; Bob is in Outer; Cleo is in nothing; Dan
/// is disabled and in nothing.
async fn company() -> Company {
    let tenant = tenant().await;
    let ada = tenant.add_user(UserSeed::new("ada").department("R&D").license(SKU));
    let bob = tenant.add_user(UserSeed::new("bob").department("Sales").license(OTHER_SKU));
    let cleo = tenant.add_user(UserSeed::new("cleo"));
    tenant.add_user(UserSeed::new("dan").disabled().department("Sales"));
    let inner = tenant.add_group("Inner", [ada]);
    let outer = tenant.add_group("O'Outer", [bob, inner]);
    tenant.add_member(inner, outer);
    Company {
        tenant,
        ada,
        bob,
        cleo,
        inner,
        outer,
    }
}

impl Company {
    async fn users(&self, users: UserSettings) -> Vec<String> {
        let mut settings = settings(&self.tenant);
        settings.users = users;
        names(&read(settings).await)
    }

    async fn groups(&self, chosen: GroupSettings) -> Vec<String> {
        let directory = read(with_groups(&self.tenant, chosen)).await;
        group_names(&directory)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
}

fn ids(ids: impl IntoIterator<Item = Id>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

fn named(name: &str) -> Option<GroupSelection> {
    Some(GroupSelection {
        names: vec![name.to_owned()],
        ..GroupSelection::default()
    })
}

fn by_id(group: Id) -> Option<GroupSelection> {
    Some(GroupSelection {
        ids: vec![group.to_string()],
        ..GroupSelection::default()
    })
}

#[tokio::test]
async fn member_of_takes_members_direct_and_nested_and_every_blocked_account() {
    let company = company().await;
    let lone = company.tenant.add_group("Lone", [company.ada]);
    let member_of = async |selection| {
        let users = UserSettings {
            member_of: selection,
            ..UserSettings::default()
        };
        company.users(users).await
    };
    // Dan is disabled: his groups may have been taken away for it.
    assert_eq!(member_of(by_id(lone)).await, ["ada", "dan"]);
    assert_eq!(member_of(by_id(company.inner)).await, ["ada", "bob", "dan"]);
    assert_eq!(member_of(named("o'outer")).await, ["ada", "bob", "dan"]);
    assert_eq!(member_of(named("Lone")).await, ["ada", "dan"]);
}

#[tokio::test]
async fn not_member_of_leaves_members_out_blocked_or_not() {
    let company = company().await;
    let users = UserSettings {
        not_member_of: by_id(company.outer),
        ..UserSettings::default()
    };
    assert_eq!(company.users(users).await, ["cleo", "dan"]);
    let both = UserSettings {
        member_of: named("Inner"),
        not_member_of: by_id(company.tenant.add_group("No", [company.bob])),
        ..UserSettings::default()
    };
    assert_eq!(company.users(both).await, ["ada", "dan"]);
}

#[tokio::test]
async fn a_group_that_is_not_there_or_not_the_only_one_of_its_name_is_an_error() {
    let company = company().await;
    let member_of = async |selection| {
        let mut settings = settings(&company.tenant);
        settings.users.member_of = selection;
        refused(settings).await.for_entra()
    };
    member_of(named("Nobody's"))
        .await
        .says("no group is named \"Nobody's\"")
        .says("users.memberOf");
    let unknown = GroupSelection {
        ids: vec![SKU.to_owned()],
        ..GroupSelection::default()
    };
    member_of(Some(unknown))
        .await
        .says(SKU)
        .says("check users.memberOf");
    company.tenant.add_group("inner", [company.cleo]);
    member_of(named("Inner"))
        .await
        .says("2 groups have that name");
}

#[tokio::test]
async fn a_selected_group_that_hides_its_members_is_an_error_and_not_an_empty_list() {
    let company = company().await;
    let hidden = GroupSeed::new("Hidden", [company.ada]).hidden();
    let hidden = company.tenant.seed_group(hidden);
    let mut settings = settings(&company.tenant);
    settings.users.not_member_of = by_id(hidden);
    let refusal = refused(settings.clone()).await;
    refusal
        .for_entra()
        .says("Member.Read.Hidden")
        .says("users.notMemberOf");
    let granted = [permission::DIRECTORY, permission::HIDDEN_MEMBERS];
    company.tenant.set_permissions(granted);
    assert_eq!(names(&read(settings).await), ["bob", "cleo", "dan"]);
}

#[tokio::test]
async fn administrative_units_choose_users() {
    let company = company().await;
    let unit = company.tenant.add_unit([company.bob, company.inner]);
    let users = UserSettings {
        administrative_units: ids([unit]),
        ..UserSettings::default()
    };
    assert_eq!(company.users(users).await, ["bob", "dan"]);
    let mut wrong = settings(&company.tenant);
    wrong.users.administrative_units = vec![SKU.to_owned()];
    let refusal = refused(wrong).await.for_entra();
    refusal.says("administrative unit").says(SKU);

    // Without the permission to see it, a hidden unit looks like one with nobody in it.
    let hidden = company.tenant.add_hidden_unit([company.bob]);
    let mut chosen = settings(&company.tenant);
    chosen.users.administrative_units = vec![hidden.to_string()];
    let refusal = refused(chosen.clone()).await.for_entra();
    refusal.says("hides its members").says("Member.Read.Hidden");
    let permissions = [
        permission::USERS,
        permission::GROUP_MEMBERS,
        permission::ADMINISTRATIVE_UNITS,
        permission::HIDDEN_MEMBERS,
    ];
    company.tenant.set_permissions(permissions);
    // Dan's account is disabled, which is read wherever it is.
    assert_eq!(names(&read(chosen).await), ["bob", "dan"]);
}

#[tokio::test]
async fn an_application_s_assignments_choose_users_in_person_and_by_direct_membership() {
    let company = company().await;
    let device = company.tenant.add_device();
    let assigned = [company.cleo, company.outer, device];
    company.tenant.add_application(APPLICATION, assigned);
    let users = UserSettings {
        assigned_to_application: Some(APPLICATION.to_owned()),
        ..UserSettings::default()
    };
    // Ada is in a group within the assigned one, which counts for nothing in Entra ID either.
    assert_eq!(company.users(users).await, ["bob", "cleo", "dan"]);
    let mut wrong = settings(&company.tenant);
    wrong.users.assigned_to_application = Some(SKU.to_owned());
    let refusal = refused(wrong).await.for_entra();
    refusal
        .says("enterprise application")
        .says("users.assignedToApplication");
}

#[tokio::test]
async fn licences_choose_users() {
    let company = company().await;
    let users = UserSettings {
        assigned_licenses: vec![SKU.parse().unwrap()],
        ..UserSettings::default()
    };
    assert_eq!(company.users(users).await, ["ada", "dan"]);
}

#[tokio::test]
async fn an_odata_filter_chooses_users_with_or_without_an_index() {
    let company = company().await;
    let filtered = async |filter: &str| {
        let users = UserSettings {
            filter: Some(filter.to_owned()),
            ..UserSettings::default()
        };
        company.tenant.clear_requests();
        let names = company.users(users).await;
        let requests = company.tenant.requests();
        let lists = requests.iter().filter(|r| r.path == "/v1.0/users").count();
        (names, lists)
    };
    let (names, lists) = filtered("department eq 'R&D' or department eq 'Sales'").await;
    assert_eq!(
        (names, lists),
        (vec!["ada".into(), "bob".into(), "dan".into()], 1)
    );
    // Graph answers this one from an index only: asked a second time, with ConsistencyLevel.
    let (names, lists) = filtered("department ne 'Sales'").await;
    assert_eq!((names, lists), (vec!["ada".into(), "cleo".into()], 2));
    let mut wrong = settings(&company.tenant);
    wrong.users.filter = Some("department equals 'Sales'".into());
    let refusal = refused(wrong).await.is_configuration();
    refusal.says("users.filter").says("Invalid filter clause");
}

#[tokio::test]
async fn an_index_is_named_on_every_page() {
    let company = company().await;
    for number in 0..1_500 {
        company
            .tenant
            .add_user(UserSeed::new(&format!("more{number}")));
    }
    let users = UserSettings {
        filter: Some("department ne 'Sales'".into()),
        ..UserSettings::default()
    };
    assert_eq!(company.users(users).await.len(), 1_502);
}

#[tokio::test]
async fn groups_are_chosen_by_id_by_filter_and_by_unit() {
    let company = company().await;
    company.tenant.add_group("BW-Admins", [company.cleo]);
    let unit = company.tenant.add_unit([company.inner, company.ada]);
    let by = |ids: &[Id], filter: Option<&str>, units: &[Id], not: &[Id]| GroupSettings {
        ids: ids.iter().map(Id::to_string).collect(),
        filter: filter.map(str::to_owned),
        administrative_units: units.iter().map(Id::to_string).collect(),
        not_administrative_units: not.iter().map(Id::to_string).collect(),
        ..GroupSettings::default()
    };
    let chosen = async |groups| company.groups(groups).await;
    assert_eq!(
        chosen(by(&[company.inner], None, &[], &[])).await,
        ["Inner"]
    );
    let prefix = Some("startswith(displayName,'BW-')");
    assert_eq!(chosen(by(&[], prefix, &[], &[])).await, ["BW-Admins"]);
    assert_eq!(chosen(by(&[], None, &[unit], &[])).await, ["Inner"]);
    assert_eq!(
        chosen(by(&[], None, &[], &[unit])).await,
        ["BW-Admins", "O'Outer"]
    );
    let both = by(&[company.inner, company.outer], None, &[unit], &[]);
    assert_eq!(chosen(both).await, ["Inner"]);
    let advanced = Some("displayName ne 'Inner'");
    assert_eq!(
        chosen(by(&[], advanced, &[], &[])).await,
        ["BW-Admins", "O'Outer"]
    );

    let mut wrong = by(&[company.inner], None, &[], &[]);
    wrong.ids.push(SKU.to_owned());
    let refusal = refused(with_groups(&company.tenant, wrong)).await;
    refusal.for_entra().says(SKU).says("groups.ids");
}

#[tokio::test]
async fn whoever_is_in_a_group_through_one_that_is_left_out_stays_in_it() {
    let company = company().await;
    let deep = company.tenant.add_group("Deep", [company.cleo]);
    company.tenant.add_member(company.inner, deep);
    for chosen in [
        GroupSettings {
            ids: ids([company.outer]),
            ..GroupSettings::default()
        },
        GroupSettings {
            not_administrative_units: ids([company.tenant.add_unit([company.inner, deep])]),
            ..GroupSettings::default()
        },
    ] {
        let directory = read(with_groups(&company.tenant, chosen)).await;
        assert_eq!(group_names(&directory), ["O'Outer"]);
        assert_eq!(members(&directory, "O'Outer"), ["ada", "bob", "cleo"]);
    }
}

#[tokio::test]
async fn without_groups_no_group_is_asked_for() {
    let company = company().await;
    let mut settings = settings(&company.tenant);
    settings.groups = None;
    assert_eq!(read(settings).await.users.len(), 4);
    let asked = company.tenant.requests();
    assert!(asked.iter().all(|request| !request.path.contains("groups")));
}

#[tokio::test]
async fn somebody_whom_a_filter_leaves_out_is_found_when_they_are_asked_for() {
    let company = company().await;
    let mut settings = settings(&company.tenant);
    settings.users.filter = Some("department eq 'R&D'".into());
    let source = source(settings).unwrap();
    let read = read_all(&source).await.unwrap();
    assert_eq!(names(&read), ["ada"], "the others are left out");
    let found = async |name: &str| looked_up(&source, name).await;
    let (bob, dan) = (
        ("bob@example.com".to_owned(), Some(AccountState::Active)),
        ("dan@example.com".to_owned(), Some(AccountState::Disabled)),
    );
    assert_eq!(found("BOB@example.com").await, std::slice::from_ref(&bob));
    assert_eq!(found(&company.bob.to_string()).await, [bob]);
    assert_eq!(found("dan@example.com").await, [dan]);
    for nobody in [
        "o'brien@example.com",
        "x' or accountEnabled eq true or mail eq '",
        "",
    ] {
        assert_eq!(found(nobody).await, []);
    }
}
