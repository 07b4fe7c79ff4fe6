//! Reads that end early, or nearly: everything is there, or it is an error.

use std::time::Duration;

use directory_sync::api::spec::OneLoginGroupsFrom;
use simulators::fault::{Fault, Way};
use simulators::one_login::{Config, Paging};

use crate::harness::*;
use directory_sync_testing::sweep::sweep;

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_once_the_directory_is_the_same_or_it_is_an_error() {
    for from in [OneLoginGroupsFrom::Roles, OneLoginGroupsFrom::Groups] {
        let (one_login, _) = company(Config::default()).await;
        let mut settings = settings(&one_login);
        settings.groups = Some(from);
        settings.connection.idle_timeout = Duration::from_millis(300);
        let whole = read(settings.clone()).await;
        let requests = one_login.requests().len();
        assert!(requests >= 7);
        let again = async || try_read(settings.clone()).await;
        sweep(one_login.faults(), requests, &whole, again).await;
    }
}

#[tokio::test]
async fn a_page_that_keeps_failing_is_a_failed_read_whatever_came_before() {
    let (one_login, _) = company(Config::default()).await;
    for (path, before) in [(USERS, 3), (ROLES, 1), ("/api/2/roles/", 4)] {
        one_login.faults().clear();
        let fault = Fault::new(Way::InternalError).path(path);
        one_login
            .faults()
            .inject(fault.on_request(before + 1).from_then_on());
        refusal(settings(&one_login)).await.is_transient();
        assert!(one_login.faults().fired() > 0, "{path}");
    }
}

#[tokio::test]
async fn a_list_whose_end_cannot_be_known_is_no_list() {
    let (one_login, _) = company(Config::default()).await;
    let mut by_groups = settings(&one_login);
    by_groups.groups = Some(OneLoginGroupsFrom::Groups);
    for (paging, why) in [
        (Paging::Stripped, "more pages"),
        (Paging::WithoutCursor, "wasn't the number that came"),
        (Paging::Loop, "circle"),
    ] {
        one_login.set_paging(paging);
        for settings in [settings(&one_login), by_groups.clone()] {
            refusal(settings).await.ended_early().says(why);
        }
    }
}

#[tokio::test]
async fn who_is_deleted_while_people_are_read_makes_nobody_else_go_missing() {
    let (one_login, ann) = company(Config::default()).await;
    // The first page is out; the third person is now second, and on no page that is asked for yet.
    one_login.delete_user_after(USERS, 1, ann);
    let seen = read(settings(&one_login)).await;
    assert_eq!(
        seen.emails(),
        [
            "bob@example.com",
            "cid@example.com",
            "dot@example.com",
            "eve@example.com",
            "fay@example.com",
            "gus@example.com",
        ]
    );
    assert_eq!(asked(&one_login, USERS), 2 + 3, "the list was read again");
}

#[tokio::test]
async fn a_list_that_never_stands_still_is_no_list() {
    let (one_login, ann) = company(Config::default()).await;
    for (nth, id) in [(1, ann), (3, ann + 1), (5, ann + 2)] {
        one_login.delete_user_after(USERS, nth, id);
    }
    refusal(settings(&one_login))
        .await
        .ended_early()
        .says("/api/2/users")
        .says("three times");
}

#[tokio::test]
async fn a_role_that_is_deleted_while_it_is_read_is_gone_and_the_rest_is_whole() {
    let (one_login, ann) = company(Config::default()).await;
    let counsel = ann + 8;
    // Its page of the list is out; its members aren't asked for yet.
    one_login.delete_role_after(ROLES, 2, counsel);
    let seen = read(settings(&one_login)).await;
    assert_eq!(seen.group_names(), ["All", "Empty", "Sellers"]);
    assert_eq!(seen.groups["All"].len(), 7);
    let requests = one_login.requests();
    let gone = requests.iter().filter(|asked| asked.status == Some(404));
    assert_eq!(gone.count(), 1);
}

#[tokio::test]
async fn what_is_not_onelogin_is_not_taken_for_an_empty_account() {
    let (one_login, _) = company(Config::default()).await;
    let mut wrong = settings(&one_login);
    let other = simulators::okta::SimulatedOkta::start(simulators::okta::Config::default())
        .await
        .unwrap();
    wrong.url = other.url().parse().unwrap();
    refusal(wrong)
        .await
        .is_configuration()
        .says("isn't OneLogin's answer")
        .says("apiUrl");
}
