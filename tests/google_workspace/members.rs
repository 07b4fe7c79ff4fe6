//! Who is in a group: nested ones, everybody, and people from outside.

use directory_sync::source::google_workspace::{GroupSettings, Tenant};
use simulators::google_workspace::{Config, GroupSeed, Member, SimulatedGoogle, UserSeed};

use crate::harness::*;

fn group(name: &str) -> GroupSeed {
    GroupSeed::new(&format!("{}@example.com", name.to_lowercase()), name).id(name)
}

fn within(name: &str) -> Member {
    Member::Group(name.into())
}

fn external(email: &str, id: Option<&str>) -> Member {
    Member::External {
        email: email.into(),
        id: id.map(str::to_owned),
    }
}

async fn people(names: [&str; 3]) -> (SimulatedGoogle, [String; 3]) {
    let google = customer().await;
    let ids = names.map(|name| google.user(UserSeed::new(&format!("{name}@example.com"))));
    (google, ids)
}

#[tokio::test]
async fn a_group_of_thirty_thousand_has_thirty_thousand_members() {
    let google = customer().await;
    let ids: Vec<String> = (0..30_000)
        .map(|number| google.user(UserSeed::new(&format!("user{number}@example.com"))))
        .collect();
    google.group(group("Everybody").users(ids));
    let seen = read(settings(&google)).await;
    assert_eq!(seen.users.len(), 30_001);
    assert_eq!(seen.groups["Everybody"].len(), 30_000);
    assert_eq!(asked(&google, "/admin/directory/v1/groups/"), 150);
    // One more for those who are deleted.
    assert_eq!(asked(&google, "/admin/directory/v1/users"), 62);
}

#[tokio::test]
async fn the_customer_as_a_member_is_everyone_in_scope() {
    let (google, [ann, bob, _]) = people(["ann", "bob", "cid"]).await;
    google.user(UserSeed::new("dot@example.com").unit("/Robots"));
    google.user(UserSeed::new("eve@example.com").unit("/Robots").suspended());
    google.group(group("All").member(Member::Customer).users([&ann, &bob]));
    google.group(group("Around").member(within("All")));
    let seen = read(settings(&google)).await;
    let everyone = [
        ADMIN,
        "ann@example.com",
        "bob@example.com",
        "cid@example.com",
        "dot@example.com",
        "eve@example.com",
    ];
    assert_eq!(seen.groups["All"], everyone);
    assert_eq!(seen.groups["Around"], ["All"]);

    for id in [&ann, &bob] {
        let name = if *id == ann { "ann" } else { "bob" };
        let seed = UserSeed::new(&format!("{name}@example.com"));
        google.user(seed.id(id).unit("/Staff"));
    }
    let mut staff = settings(&google);
    staff.users.organizational_units = vec!["/Staff".into()];
    let seen = read(staff).await;
    assert_eq!(
        seen.groups["All"],
        ["ann@example.com", "bob@example.com", "eve@example.com"],
        "who is out of scope isn't everyone; who left is known"
    );
}

#[tokio::test]
async fn nested_groups_are_members_and_a_circle_ends() {
    let (google, [ann, bob, cid]) = people(["ann", "bob", "cid"]).await;
    google.group(group("One").users([ann]).member(within("Two")));
    google.group(group("Two").users([bob]).member(within("Three")));
    google.group(
        group("Three")
            .users([cid])
            .member(within("One"))
            .member(within("Three")),
    );
    let seen = read(settings(&google)).await;
    assert_eq!(seen.groups["One"], ["Two", "ann@example.com"]);
    assert_eq!(seen.groups["Three"], ["One", "cid@example.com"]);
}

#[tokio::test]
async fn whoever_is_in_a_group_through_one_that_a_query_left_out_is_in_it_all_the_same() {
    let (google, [ann, bob, cid]) = people(["ann", "bob", "cid"]).await;
    google.group(group("team-law").users([ann]).member(within("lawyers")));
    google.group(group("lawyers").users([bob]).member(within("partners")));
    google.group(group("partners").users([cid]).member(within("lawyers")));
    google.group(group("team-all").member(within("everyone")));
    google.group(group("everyone").member(Member::Customer));
    let mut teams = settings(&google);
    teams.groups = Some(GroupSettings {
        query: Some("email:team-*".into()),
    });
    let seen = read(teams.clone()).await;
    assert_eq!(seen.group_names(), ["team-all", "team-law"]);
    assert_eq!(
        seen.groups["team-law"],
        ["ann@example.com", "bob@example.com", "cid@example.com"]
    );
    assert_eq!(seen.groups["team-all"].len(), 4);
    assert_eq!(
        asked(&google, "/admin/directory/v1/groups/"),
        5,
        "each once"
    );

    // A nested group of a known domain that may not be read is no outsider: the read isn't whole.
    google.enable_admin_sdk(false);
    refusal(teams).await.says("Admin SDK API isn't enabled");
}

#[tokio::test]
async fn people_and_groups_from_outside_are_reported_by_group_and_the_rest_is_synced() {
    let (google, [ann, bob, _]) = people(["ann", "bob", "cid"]).await;
    let secret = Member::ExternalGroup {
        email: "all@partner.example".into(),
        id: "outside".into(),
    };
    google.group(
        group("Law")
            .users([&ann])
            .member(external("zoe@partner.example", Some("999")))
            .member(external("yan@gmail.example", None))
            .member(secret),
    );
    google.group(
        group("Inner")
            .users([&bob])
            .member(external("xav@partner.example", None)),
    );
    let machine = "robot@project.iam.gserviceaccount.com";
    google.group(group("Robots").member(external(machine, Some("888"))));
    // An account of the company's domain that isn't managed by it, or was deleted meanwhile.
    google.group(group("Odd").member(external("old@example.com", Some("777"))));
    let seen = read(settings(&google)).await;
    assert_eq!(seen.groups["Law"], ["ann@example.com"]);
    assert_eq!(seen.groups["Inner"], ["bob@example.com"]);
    let mut problems = seen.problems.clone();
    problems.sort();
    assert_eq!(
        problems,
        [
            "group Inner has members who aren't of this Google Workspace customer: \
             xav@partner.example; nobody from outside is synced: invite them by hand, or give them \
             accounts",
            "group Law has members who aren't of this Google Workspace customer: \
             all@partner.example, yan@gmail.example, zoe@partner.example; nobody from outside is \
             synced: invite them by hand, or give them accounts",
        ]
    );
}

#[tokio::test]
async fn many_external_members_are_counted_not_listed() {
    let (google, [ann, ..]) = people(["ann", "bob", "cid"]).await;
    let mut support = group("Support").users([ann]);
    for number in 0..300 {
        let email = format!("customer{number:03}@mail.example");
        support = support.member(external(&email, None));
    }
    google.group(support);
    let seen = read(settings(&google)).await;
    assert_eq!(seen.groups["Support"], ["ann@example.com"]);
    assert_eq!(seen.problems.len(), 1);
    assert!(
        seen.problems[0].contains("customer004@mail.example and 295 more;"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_group_of_another_domain_of_the_customer_within_one_in_scope_is_read() {
    let google = customer_with(Config {
        domains: vec!["example.com".into(), "example.org".into()],
        ..Config::default()
    })
    .await;
    let ann = google.user(UserSeed::new("ann@example.com"));
    google.group(group("Law").member(Member::Group("abroad".into())));
    google.group(
        GroupSeed::new("abroad@example.org", "Abroad")
            .id("abroad")
            .users([ann]),
    );
    let mut some = settings(&google);
    some.tenant = Tenant::Domains(vec!["example.com".into()]);
    let seen = read(some).await;
    assert_eq!(seen.group_names(), ["Law"]);
    assert_eq!(seen.groups["Law"], ["ann@example.com"]);
}

#[tokio::test]
async fn a_group_without_a_name_goes_by_its_address() {
    let (google, [ann, ..]) = people(["ann", "bob", "cid"]).await;
    google.group(GroupSeed::new("law@example.com", " ").users([ann]));
    assert_eq!(
        read(settings(&google)).await.group_names(),
        ["law@example.com"]
    );
}
