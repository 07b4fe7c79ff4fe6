//! What a read shows, and when it isn't believed.

use std::time::Duration;

use directory_sync::fault::FaultKind;
use directory_sync::organization::OrganizationError;
use directory_sync::organization::model::{MemberRole, MemberStatus, Organization, Seats};
use simulators::fault::{Fault, Framing, Way};
use simulators::organization::Seats as SimulatedSeats;
use simulators::organization::{Config, GroupSeed, MemberSeed, Role, Status};

use super::{client, content, group, id, member, requests, start};

#[tokio::test]
async fn members_and_groups_are_read_in_two_requests_and_seats_when_asked_for() {
    let server = start(Config::cloud()).await;
    server.set_seats(SimulatedSeats::autoscaling(50, Some(80)));
    server.seed_member(MemberSeed::new("Owner@example.com").owner());
    server.seed_member(
        MemberSeed::new("ann@example.com")
            .external_id("uid=ann")
            .status(Status::Invited),
    );
    server.seed_member(
        MemberSeed::new("bob@example.com")
            .external_id("uid=bob")
            .status(Status::Revoked)
            .role(Role::Custom),
    );
    server.seed_group(
        GroupSeed::new("Staff")
            .external_id("cn=staff")
            .members(["ann@example.com"]),
    );
    server.seed_group(GroupSeed::new("By hand"));

    let client = client(&server);
    let content = content(&client).await;
    assert_eq!(requests(&server).len(), 2);

    let seen = |email: &str| {
        let member = content.members.iter().find(|m| m.email.as_str() == email);
        let member = member.unwrap_or_else(|| panic!("{email} is missing"));
        (member.external_id.clone(), member.status, member.role)
    };
    assert_eq!(content.members.len(), 3);
    assert_eq!(
        seen("owner@example.com"),
        (None, MemberStatus::Confirmed, MemberRole::Owner)
    );
    assert_eq!(
        seen("ann@example.com"),
        (
            Some(id("uid=ann")),
            MemberStatus::Invited,
            MemberRole::Other(2)
        )
    );
    assert_eq!(
        seen("bob@example.com"),
        (
            Some(id("uid=bob")),
            MemberStatus::Revoked,
            MemberRole::Other(4)
        )
    );
    assert_eq!(content.groups.len(), 2);
    let staff = content.groups.iter().find(|g| &*g.name == "Staff").unwrap();
    assert_eq!(staff.external_id, Some(id("cn=staff")));
    assert_eq!(staff.id, group(&server, "cn=staff"));
    assert_eq!(
        client.seats().await.unwrap(),
        Some(Seats {
            total: 50,
            autoscale_to: Some(80)
        })
    );
    assert_eq!(requests(&server).len(), 3);
}

#[tokio::test]
async fn what_holds_a_secret_in_a_list_is_not_shown_and_the_rest_is_read() {
    let server = start(Config::cloud()).await;
    let secret = server.client_secret();
    server.seed_member(MemberSeed::new("owner@example.com").owner());
    let evil = format!("{secret}@evil.example");
    server.seed_member(MemberSeed::new(&evil).external_id("uid=eve"));
    server.seed_member(MemberSeed::new("bob@example.com").external_id(&secret));
    server.seed_member(MemberSeed::new("ann@example.com").external_id("uid=ann"));
    let name = secret.to_uppercase();
    server.seed_group(GroupSeed::new(&name).external_id("cn=staff"));
    server.seed_group(GroupSeed::new("Board").external_id(&secret));
    let (eve, staff) = (member(&server, &evil), group(&server, "cn=staff"));

    let content = content(&client(&server)).await;
    let of = |email: &str| {
        let member = content.members.iter().find(|m| m.email.as_str() == email);
        let member = member.unwrap_or_else(|| panic!("{email} is missing"));
        (member.external_id.clone(), member.status)
    };
    let confirmed = MemberStatus::Confirmed;
    assert_eq!(content.members.len(), 4);
    assert_eq!(of("(withheld)"), (Some(id("uid=eve")), confirmed));
    assert_eq!(of("bob@example.com"), (None, MemberStatus::Withheld));
    assert_eq!(of("ann@example.com"), (Some(id("uid=ann")), confirmed));
    let groups = content.groups.iter();
    let mut groups: Vec<_> = groups
        .map(|group| (group.name.to_string(), group.external_id.clone()))
        .collect();
    groups.sort();
    let staff_group = ("(withheld)".to_owned(), Some(id("cn=staff")));
    assert_eq!(groups, [staff_group, ("Board".to_owned(), None)]);
    let told: Vec<_> = content.problems.iter().map(|one| &*one.message).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("Bitwarden's list of members has 2"),
        "{told:?}"
    );
    assert!(told[0].contains(&eve.to_string()), "{told:?}");
    assert!(told[1].contains(&staff.to_string()), "{told:?}");
    let shown = format!("{content:?}").to_lowercase();
    assert!(!shown.contains(&secret.to_lowercase()), "{shown}");
}

#[tokio::test]
async fn seats_are_remembered_and_asked_for_again_after_a_day_beside_the_rest() {
    let server = start(Config::cloud()).await;
    server.set_seats(SimulatedSeats::autoscaling(50, Some(80)));
    let client = client(&server);
    let pass = async |hours: u64| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600 * hours)).await;
        tokio::time::resume();
    };
    let asked = || {
        let all = requests(&server).into_iter();
        all.filter(|request| request.contains("subscription"))
            .count()
    };
    // The client doesn't know the server for the cloud.
    client.refresh_seats().await;
    assert_eq!((client.known_seats(), asked()), (None, 0));
    let seats = client.seats().await.unwrap();
    assert_eq!(seats.unwrap().left(12), Some(68));
    assert_eq!(client.known_seats(), seats);

    server.set_seats(SimulatedSeats::fixed(60));
    pass(23).await;
    client.refresh_seats().await;
    assert_eq!((client.known_seats(), asked()), (seats, 1));
    pass(1).await;
    client.refresh_seats().await;
    let fewer = client.known_seats().unwrap();
    assert_eq!((fewer.left(12), fewer.left(70)), (Some(48), Some(0)));

    // What goes wrong is tried once, makes no read wait, and takes nothing away.
    for way in [
        Way::TooManyRequests { retry_after: 60 },
        Way::Unavailable,
        Way::Garbage,
    ] {
        let before = asked();
        server
            .faults()
            .inject(Fault::new(way).path("/api/public/organization/subscription"));
        pass(24).await;
        let started = std::time::Instant::now();
        client.refresh_seats().await;
        content(&client).await;
        assert!(started.elapsed() < Duration::from_secs(10), "{way:?}");
        assert_eq!((client.known_seats(), asked()), (Some(fewer), before + 1));
    }
}

#[tokio::test]
async fn a_self_hosted_server_reports_no_seats() {
    let server = start(Config::self_hosted()).await;
    server.seed_member(MemberSeed::new("owner@example.com").owner());
    let client = client(&server);
    let content = content(&client).await;
    assert_eq!(client.seats().await.unwrap(), None);
    assert_eq!(content.members.len(), 1);
}

#[tokio::test]
async fn memberships_of_many_groups_are_read_side_by_side() {
    let server = start(Config::cloud()).await;
    server.seed_member(MemberSeed::new("ann@example.com"));
    for n in 0..40 {
        let seed = GroupSeed::new(&format!("Group {n}")).external_id(&format!("g{n}"));
        server.seed_group(match n % 2 {
            0 => seed.members(["ann@example.com"]),
            _ => seed,
        });
    }
    server.set_latency(Duration::from_millis(50));
    let mut groups: Vec<_> = (0..40).map(|n| group(&server, &format!("g{n}"))).collect();
    let unknown = uuid::Uuid::from_u128(7);
    groups.push(unknown);

    let seen = std::sync::Mutex::new(Vec::new());
    let started = std::time::Instant::now();
    let memberships = client(&server)
        .memberships(&groups, &|done| seen.lock().unwrap().push(done))
        .await
        .unwrap();

    assert!(started.elapsed() < Duration::from_millis(41 * 50));
    assert_eq!(
        memberships[&groups[0]],
        [member(&server, "ann@example.com")]
    );
    assert!(memberships[&groups[1]].is_empty());
    assert!(!memberships.contains_key(&unknown), "gone in the meantime");
    assert_eq!(*seen.lock().unwrap(), (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_passing_fault_of_any_kind_is_survived() {
    for way in [
        Way::InternalError,
        Way::Unavailable,
        Way::CutConnection,
        Way::HalfBody(Framing::ContentLength),
        Way::HalfBody(Framing::Chunked),
    ] {
        // The token's request and the two lists'.
        for k in 1..=3 {
            let server = start(Config::cloud()).await;
            server.seed_member(MemberSeed::new("ann@example.com"));
            server.seed_group(GroupSeed::new("Staff"));
            server.faults().inject(Fault::new(way).on_request(k));
            let content = content(&client(&server)).await;
            assert_eq!(server.faults().fired(), 1);
            let sizes = (content.members.len(), content.groups.len());
            assert_eq!(sizes, (1, 1), "{way:?} at request {k}");
        }
    }
}

#[tokio::test]
async fn half_a_list_is_an_error_that_passes_and_never_a_shorter_list() {
    for path in ["/api/public/members", "/api/public/groups"] {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let server = start(Config::cloud()).await;
            for n in 0..50 {
                server.seed_member(MemberSeed::new(&format!("m{n}@example.com")));
                server.seed_group(GroupSeed::new(&format!("Group {n}")));
            }
            let half = Fault::new(Way::HalfBody(framing)).path(path);
            server.faults().inject(half.from_then_on());
            let error = client(&server).read().await.unwrap_err();
            assert!(
                matches!(error, OrganizationError::Unreachable(_)),
                "{error}"
            );
            assert_eq!(error.kind(), FaultKind::Transient { retry_after: None });
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}

#[tokio::test]
async fn garbage_is_an_error_that_says_so() {
    let server = start(Config::cloud()).await;
    let garbage = Fault::new(Way::Garbage).path("/api/public/members");
    server.faults().inject(garbage.from_then_on());
    let error = client(&server).read().await.unwrap_err();
    assert!(matches!(error, OrganizationError::Unexpected(_)), "{error}");
    assert!(error.to_string().contains("can't be understood"), "{error}");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_unnoticed() {
    let server = start(Config::cloud()).await;
    server.seed_group(GroupSeed::new("Staff").external_id("staff"));
    let client = client(&server);
    content(&client).await;
    server.revoke_all_tokens();
    client.member_ids(group(&server, "staff")).await.unwrap();

    server.set_token_lifetime(Duration::from_secs(1));
    server.revoke_all_tokens();
    server.clear_requests();
    content(&client).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    content(&client).await;
    let requests = server.requests();
    let tokens = requests.iter().filter(|r| r.path.ends_with("token"));
    assert_eq!(tokens.count(), 2);
    let refused = requests.iter().filter(|r| r.status == Some(401));
    assert_eq!(
        refused.count(),
        2,
        "the revoked token was met once by each list; the ending one was renewed in time"
    );
}

#[tokio::test]
async fn vaultwarden_is_recognised_once() {
    let server = start(Config::vaultwarden()).await;
    let client = client(&server);
    let first = client.read().await.unwrap();
    assert!(matches!(first, Organization::WriteOnly));
    server.clear_requests();
    let again = client.read().await.unwrap();
    assert!(matches!(again, Organization::WriteOnly));
    let error = client.revoke(uuid::Uuid::nil()).await.unwrap_err();
    assert!(error.to_string().contains("Vaultwarden"), "{error}");
    assert_eq!(requests(&server), ["GET /api/config"]);
}

#[tokio::test]
async fn a_vaultwarden_that_is_down_is_noticed_although_there_is_nothing_to_send() {
    let server = start(Config::vaultwarden()).await;
    let client = client(&server);
    client.read().await.unwrap();
    let down = Fault::new(Way::Unavailable).path("/api/config");
    server.faults().inject(down.from_then_on());
    let error = client.read().await.unwrap_err();
    assert!(matches!(error, OrganizationError::Unexpected(_)), "{error}");
}

#[tokio::test]
async fn check_reports_what_was_seen() {
    let reported = async |config, secret: Option<&str>| {
        let server = start(config).await;
        server.set_seats(SimulatedSeats::fixed(10));
        server.seed_member(MemberSeed::new("owner@example.com").owner());
        let mut settings = super::settings(&server);
        if let Some(secret) = secret {
            settings.client_secret = secret.into();
        }
        let client = directory_sync::organization::OrganizationClient::new(settings).unwrap();
        let steps = client.check().await.into_iter();
        steps.map(|step| step.result).collect::<Vec<_>>()
    };
    let official = reported(Config::cloud(), None).await;
    assert_eq!(official.len(), 4);
    let all = official.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(all[1].contains("1 members"), "{all:?}");
    assert!(all[2].contains("1 of 10"), "{all:?}");

    let old = reported(Config::of_2025_10(), None).await;
    let seen = old[3].clone().unwrap();
    assert!(seen.contains("can't revoke"), "{seen}");
    assert!(!all[3].contains("can't"), "{all:?}");

    let vaultwarden = reported(Config::vaultwarden(), None).await;
    assert_eq!(vaultwarden.len(), 3);
    let seen = vaultwarden[1].clone().unwrap();
    assert!(seen.contains("Vaultwarden"), "{seen}");
    let cannot = "can't remove members, rename or delete groups, or stage members";
    assert!(seen.contains(cannot), "{seen}");
    assert!(seen.contains("ORG_GROUPS_ENABLED=true"), "{seen}");
    assert!(seen.contains("a group made by hand"), "{seen}");
    assert_eq!(vaultwarden[2].clone().unwrap(), "imports are accepted");

    // What a sync would meet there.
    let server = start(Config::vaultwarden()).await;
    let refusal = Fault::new(Way::Refused).method("POST").path("/api/");
    server.faults().inject(refusal.from_then_on());
    let steps = client(&server).check().await;
    let import = steps.last().unwrap();
    assert_eq!(import.name, "import nothing");
    assert!(import.result.is_err(), "{import:?}");

    let wrong = reported(Config::cloud(), Some("not-the-secret")).await;
    assert_eq!(wrong.len(), 1, "nothing more is tried");
    let error = wrong[0].clone().unwrap_err();
    assert!(error.contains("clientSecret"), "{error}");
    assert!(!error.contains("not-the-secret"), "{error}");
}
