//! Which people and groups are read, and as what.

use directory_sync::directory::AccountState::{Active, Deleted, Disabled};
use directory_sync::source::google_workspace::{GroupSettings, Tenant};
use simulators::google_workspace::{Config, GroupSeed, SimulatedGoogle, UserSeed};

use crate::harness::*;

#[tokio::test]
async fn people_and_groups_come_whole_whatever_the_pages() {
    let google = company(Config::default()).await;
    let seen = read(settings(&google)).await;
    assert_eq!(seen.users.len(), 8);
    assert_eq!(seen.users["ann@example.com"], Active);
    assert_eq!(seen.groups["All"].len(), 7);
    assert_eq!(
        seen.groups["Sales"],
        ["eve@example.com", "fay@example.com", "gus@example.com"]
    );
    assert_eq!(seen.groups["Empty"], [""; 0]);
    assert_eq!((seen.unknown_members, seen.problems.len()), (0, 0));
    assert_eq!(
        asked(&google, "/admin/directory/v1/users"),
        5,
        "eight people are four pages of two, and nobody is deleted"
    );
    assert_eq!(asked(&google, "/token"), 1, "one token serves all requests");
}

#[tokio::test]
async fn as_much_as_google_gives_is_asked_for_and_no_field_more_than_needed() {
    let google = company(Config::default()).await;
    read(settings(&google)).await;
    for request in google.requests() {
        let query: Vec<(String, String)> = form_urlencoded::parse(request.query.as_bytes())
            .into_owned()
            .collect();
        let value = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        match request.path.as_str() {
            "/token" => assert_eq!(request.method, "POST"),
            "/admin/directory/v1/users" => {
                assert_eq!(value("maxResults"), "500");
                assert_eq!(value("customer"), "my_customer");
                let fields = match value("showDeleted") {
                    "true" => "id,primaryEmail,deletionTime",
                    _ => "id,primaryEmail,suspended,archived,isGuestUser",
                };
                let fields = format!("kind,nextPageToken,users({fields})");
                assert_eq!(value("fields"), fields);
            }
            "/admin/directory/v1/groups" => {
                assert_eq!(value("maxResults"), "200");
                assert_eq!(value("fields"), "kind,nextPageToken,groups(id,email,name)");
            }
            _ => {
                assert_eq!(value("maxResults"), "200");
                assert_eq!(value("fields"), "kind,nextPageToken,members(id,email,type)");
            }
        }
    }
}

/// One of each state, in and out of a unit.
async fn states() -> SimulatedGoogle {
    let google = customer().await;
    let seed = |name: &str| UserSeed::new(&format!("{name}@example.com")).unit("/Staff");
    google.user(seed("active"));
    google.user(seed("suspended").suspended());
    google.user(seed("archived").archived());
    google.user(seed("both").suspended().archived());
    let gone = google.user(seed("deleted"));
    google.delete_user(&gone);
    google
}

#[tokio::test]
async fn suspended_and_archived_accounts_mean_what_the_settings_say() {
    let google = states().await;
    let table = async |suspended, archived| {
        let mut settings = settings(&google);
        settings.users.suspended = suspended;
        settings.users.archived = archived;
        let mut seen = read(settings).await.users;
        seen.remove(ADMIN);
        // For 20 days Google tells of whom it deleted, whatever the settings say.
        assert_eq!(seen.remove("deleted@example.com"), Some(Deleted));
        let short = |email: String| email.replace("@example.com", "");
        seen.into_iter()
            .map(|(email, state)| (short(email), state))
            .collect::<Vec<_>>()
    };
    let row = |name: &str, state| (name.to_owned(), state);

    let defaults = settings(&google).settings.users;
    assert_eq!(
        table(defaults.suspended, defaults.archived).await,
        [
            row("active", Active),
            row("archived", Disabled),
            row("both", Disabled),
            row("suspended", Disabled),
        ]
    );
    assert_eq!(
        table(Some(Disabled), None).await,
        [
            row("active", Active),
            row("both", Disabled),
            row("suspended", Disabled),
        ],
        "what ends access soonest holds"
    );
    assert_eq!(
        table(Some(Active), None).await,
        [row("active", Active), row("suspended", Active)]
    );
    assert_eq!(
        table(None, Some(Active)).await,
        [row("active", Active), row("archived", Active)]
    );
    assert_eq!(
        table(Some(Active), Some(Active)).await,
        ["active", "archived", "both", "suspended"].map(|name| row(name, Active))
    );
}

#[tokio::test]
async fn organizational_units_hold_what_is_below_them_and_leavers_are_known_wherever_they_are() {
    let google = customer().await;
    let seed = |name: &str, unit: &str| UserSeed::new(&format!("{name}@example.com")).unit(unit);
    google.user(seed("ann", "/Staff"));
    google.user(seed("bob", "/Staff/Law"));
    google.user(seed("cid", "/Staffing"));
    google.user(seed("dot", "/Guests"));
    google.user(seed("eve", "/Former").suspended());
    google.user(seed("fay", "/Former").archived());

    let mut some = settings(&google);
    some.users.organizational_units = vec!["/staff".into()];
    let seen = read(some.clone()).await;
    assert_eq!(
        seen.users.into_iter().collect::<Vec<_>>(),
        [
            ("ann@example.com".to_owned(), Active),
            ("bob@example.com".to_owned(), Active),
            ("eve@example.com".to_owned(), Disabled),
            ("fay@example.com".to_owned(), Disabled),
        ]
    );
    some.users.organizational_units = vec!["/Staff/Law".into(), "/Guests".into()];
    some.users.suspended = None;
    some.users.archived = Some(Active);
    let seen = read(some).await;
    assert_eq!(colleagues(&seen), ["bob@example.com", "dot@example.com"]);
}

#[tokio::test]
async fn queries_say_which_people_and_groups_are_read() {
    let google = company(Config::default()).await;
    google.user(UserSeed::new("hal@example.com").department("Law"));
    let mut some = settings(&google);
    some.users.query = Some("orgDepartment=Law".into());
    some.groups = Some(GroupSettings {
        query: Some("email:s*".into()),
    });
    let seen = read(some.clone()).await;
    assert_eq!(colleagues(&seen), ["hal@example.com"]);
    assert_eq!(seen.group_names(), ["Sales"]);
    assert_eq!(seen.unknown_members, 3, "its members aren't in scope");
    assert!(seen.problems.is_empty(), "{seen:?}");
    assert_eq!(asked(&google, "/admin/directory/v1/groups/"), 2);

    some.users.query = Some("shoeSize=42".into());
    let refused = refusal(some.clone()).await.is_configuration();
    refused.says("users.query").says("Invalid Input: query");
    some.users.query = None;
    some.groups = Some(GroupSettings {
        query: Some("isSuspended=true".into()),
    });
    let refused = refusal(some).await.is_configuration();
    refused.says("groups.query");
}

#[tokio::test]
async fn some_domains_or_all_of_the_customer() {
    let google = customer_with(Config {
        domains: vec![
            "example.com".into(),
            "example.org".into(),
            "example.net".into(),
        ],
        ..Config::default()
    })
    .await;
    let ann = google.user(UserSeed::new("ann@example.com"));
    let bob = google.user(UserSeed::new("bob@example.org"));
    let cid = google.user(UserSeed::new("cid@example.net"));
    for domain in ["com", "org", "net"] {
        let email = format!("all@example.{domain}");
        google.group(GroupSeed::new(&email, domain).users([&ann, &bob, &cid]));
    }

    let seen = read(settings(&google)).await;
    assert_eq!(colleagues(&seen).len(), 3);
    assert_eq!(seen.group_names(), ["com", "net", "org"]);
    assert!(seen.problems.is_empty(), "{seen:?}");

    let mut some = settings(&google);
    some.tenant = Tenant::Domains(vec!["example.org".into(), "example.net".into()]);
    let seen = read(some.clone()).await;
    assert_eq!(colleagues(&seen), ["bob@example.org", "cid@example.net"]);
    assert_eq!(seen.group_names(), ["net", "org"]);
    assert_eq!(seen.groups["org"], ["bob@example.org", "cid@example.net"]);
    assert_eq!(seen.problems.len(), 2, "{seen:?}");
    assert!(
        seen.problems[0].contains("aren't of example.org, example.net: ann@example.com"),
        "{seen:?}"
    );

    some.tenant = Tenant::Domains(vec!["nowhere.example".into()]);
    let refused = refusal(some.clone()).await.is_configuration();
    refused.says("Resource Not Found: domain").says("domains");
    some.tenant = Tenant::Customer("C01simul8".into());
    assert_eq!(colleagues(&read(some.clone()).await).len(), 3);
    some.tenant = Tenant::Customer("C0other".into());
    let refused = refusal(some).await;
    refused.says("Not Authorized").says("customer or domains");
}

#[tokio::test]
async fn an_alias_in_the_wanted_domain_is_the_email() {
    let google = customer().await;
    google.user(UserSeed::new("ann@corp.example").alias("ann@example.com"));
    google.user(UserSeed::new("bob@corp.example").other_alias("bob@example.com"));
    google.user(UserSeed::new("cid@corp.example").alias("cid@other.example"));
    let seen = read(settings(&google)).await;
    assert_eq!(
        colleagues(&seen),
        ["ann@corp.example", "bob@corp.example", "cid@corp.example"]
    );
    let mut wanted = settings(&google);
    wanted.users.email_domain = Some("example.com".into());
    assert_eq!(
        colleagues(&read(wanted).await),
        ["ann@example.com", "bob@example.com", "cid@corp.example"]
    );
}

#[tokio::test]
async fn without_groups_people_are_read_alone() {
    let google = company(Config::default()).await;
    google.delegate(&["https://www.googleapis.com/auth/admin.directory.user.readonly"]);
    let mut alone = settings(&google);
    alone.groups = None;
    let seen = read(alone).await;
    assert_eq!((seen.users.len(), seen.groups.len()), (8, 0));
    assert_eq!(asked(&google, "/admin/directory/v1/groups"), 0);
}

#[tokio::test]
async fn guests_are_nobody_to_invite() {
    let google = customer().await;
    let ann = google.user(UserSeed::new("ann@example.com"));
    let zoe = google.user(UserSeed::new("zoe@partner.example").guest());
    google.group(GroupSeed::new("law@example.com", "Law").users([ann, zoe]));
    let seen = read(settings(&google)).await;
    assert_eq!(colleagues(&seen), ["ann@example.com"]);
    assert_eq!(seen.groups["Law"], ["ann@example.com"]);
    assert!(seen.problems[0].contains("zoe@partner.example"), "{seen:?}");
}

#[tokio::test]
async fn somebody_whom_a_filter_leaves_out_is_found_when_they_are_asked_for() {
    let google = customer().await;
    let bob = google.user(UserSeed::new("bob@example.com").alias("robert@example.com"));
    google.user(UserSeed::new("cid@example.com").suspended());
    let mut settings = settings(&google);
    settings.users.query = Some("email:admin*".into());
    let source = source(settings).unwrap();
    let seen = Seen::from(directory_sync_testing::read_all(&source).await.unwrap());
    assert_eq!(seen.users.keys().collect::<Vec<_>>(), [ADMIN]);
    let found = async |name: &str| directory_sync_testing::looked_up(&source, name).await;
    let active = ("bob@example.com".to_owned(), Some(Active));
    for name in ["bob@example.com", "Robert@example.com", &bob] {
        assert_eq!(found(name).await, std::slice::from_ref(&active), "{name}");
    }
    let disabled = ("cid@example.com".to_owned(), Some(Disabled));
    assert_eq!(found("cid@example.com").await, [disabled]);
    for nobody in ["eve@example.com", "../groups", "a b", ""] {
        assert_eq!(found(nobody).await, []);
    }
}
