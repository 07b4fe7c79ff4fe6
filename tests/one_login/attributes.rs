//! People by the values of their attributes.

use directory_sync::api::spec::OneLoginAttribute;
use simulators::one_login::{Config, PageMax, SimulatedOneLogin, UserSeed};

use crate::harness::*;

fn with(one_login: &SimulatedOneLogin, wanted: &[(&str, &str)]) -> OneLoginSetup {
    let mut settings = settings(one_login);
    settings.attributes = wanted
        .iter()
        .map(|(name, value)| OneLoginAttribute {
            attribute: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    settings
}

/// Three lawyers and two others on pages of one.
async fn departments() -> SimulatedOneLogin {
    let one_login = account_with(Config {
        page_max: PageMax::all(1),
        ..Config::default()
    })
    .await;
    let person = |name: &str, department: &str, team: &str, directory: u64| {
        let seed = UserSeed::new(&format!("{name}@example.com"))
            .with("department", department)
            .with("directory_id", directory)
            .with_custom("team", team);
        one_login.user(seed.with("samaccountname", format!("{department}-{name}")));
    };
    person("ann", "Law", "red", 1);
    person("bob", "Law", "blue", 2);
    person("cid", "Sales", "red", 1);
    person("dot", "Law", "red", 2);
    one_login.user(UserSeed::new("eve@example.com"));
    one_login
}

#[tokio::test]
async fn all_values_must_fit_in_queries_that_onelogin_answers_itself() {
    let one_login = departments().await;
    let seen = read(with(&one_login, &[("directory_id", "1")])).await;
    assert_eq!(seen.emails(), ["ann@example.com", "cid@example.com"]);
    assert_eq!(asked(&one_login, USERS), 2, "nobody else came");

    let both = [
        ("samaccountname", "law-*"),
        ("custom_attributes.team", "RED"),
    ];
    let seen = read(with(&one_login, &both)).await;
    assert_eq!(seen.emails(), ["ann@example.com", "dot@example.com"]);

    let seen = read(with(&one_login, &[("user_ids", "2,3")])).await;
    assert_eq!(seen.emails(), ["bob@example.com", "cid@example.com"]);
}

#[tokio::test]
async fn a_query_that_onelogin_passes_over_lets_nobody_else_in() {
    let one_login = departments().await;
    let seen = read(with(&one_login, &[("department", "la*")])).await;
    assert_eq!(
        seen.emails(),
        ["ann@example.com", "bob@example.com", "dot@example.com"]
    );
    assert_eq!(asked(&one_login, USERS), 5, "everybody came");

    let nobody = read(with(&one_login, &[("custom_attributes.tema", "red")])).await;
    assert_eq!(nobody.emails(), [""; 0]);

    refusal(with(&one_login, &[("departmnet", "Law")]))
        .await
        .is_configuration()
        .says("\"departmnet\"")
        .says("users.attributes");
}

#[tokio::test]
async fn a_value_that_onelogin_refuses_is_for_the_user_to_fix() {
    let one_login = departments().await;
    refusal(with(&one_login, &[("directory_id", "one")]))
        .await
        .is_configuration()
        .says("users.attributes")
        .says("directory_id is invalid");
}
