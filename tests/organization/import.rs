//! Rows in bulk: what gets in, what is refused, and how the refused are found.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::routing::post;
use directory_sync::directory::{Email, ExternalId};
use directory_sync::fault::FaultKind;
use directory_sync::organization::{
    ClientId, GroupRow, ImportReport, ImportRows, MemberRow, OrganizationClient, OrganizationError,
    Region, RowKind, Settings,
};
use simulators::fault::{Fault, Framing, Way, Work};
use simulators::organization::{
    Config, GroupSeed, MemberSeed, Plan, Seats, SimulatedOrganization, Status,
};

use super::{client, id, requests, start};

fn person(n: usize) -> MemberRow {
    MemberRow {
        external_id: id(&format!("uid={n}")),
        email: Some(Email::parse(&format!("p{n}@example.com")).unwrap()),
        deleted: false,
    }
}

/// An address that the directory holds and the server refuses: our own parser wouldn't make it.
fn malformed(row: &mut MemberRow) {
    row.email = Some(Email::of_member("no address at all"));
}

fn people(n: usize) -> Vec<MemberRow> {
    (0..n).map(person).collect()
}

fn team(name: &str, people: impl IntoIterator<Item = usize>) -> GroupRow {
    GroupRow {
        external_id: id(&format!("cn={name}")),
        name: name.into(),
        members: people
            .into_iter()
            .map(|n| id(&format!("uid={n}")))
            .collect(),
    }
}

async fn import(server: &SimulatedOrganization, rows: &ImportRows) -> ImportReport {
    client(server).import(rows, &|_| {}).await.unwrap()
}

fn refused(report: &ImportReport) -> Vec<&str> {
    let mut ids: Vec<_> = report
        .refused
        .iter()
        .map(|row| row.external_id.as_str())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn members_and_groups_go_in_by_batches_with_members_first() {
    let server = start(Config::cloud()).await;
    let rows = ImportRows {
        members: people(4_100),
        groups: vec![team("all", 0..4_100), team("few", 0..3)],
        staged: false,
    };
    let seen = Mutex::new(Vec::new());
    let report = client(&server)
        .import(&rows, &|done| seen.lock().unwrap().push(done))
        .await
        .unwrap();

    assert_eq!(report.requests, 4);
    assert!(report.refused.is_empty());
    assert_eq!(*seen.lock().unwrap(), [2_000, 4_000, 4_100, 4_102]);
    let snapshot = server.snapshot();
    assert_eq!(snapshot.members.len(), 4_100);
    assert_eq!(snapshot.group("all").unwrap().members.len(), 4_100);
    assert_eq!(snapshot.group("few").unwrap().members.len(), 3);
    assert!(server.invitations().values().all(|times| *times == 1));
    for request in server.requests().iter().filter(|r| r.is_write()) {
        assert_eq!(request.json()["overwriteExisting"], false);
        assert_eq!(request.json()["largeImport"], false);
    }
}

#[tokio::test]
async fn nothing_to_send_sends_nothing() {
    let server = start(Config::cloud()).await;
    let report = import(&server, &ImportRows::default()).await;
    assert_eq!(report, ImportReport::default());
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn members_are_linked_staged_and_removed() {
    let server = start(Config::cloud()).await;
    server.seed_member(MemberSeed::new("p0@example.com"));
    server.seed_member(MemberSeed::new("gone@example.com").external_id("uid=gone"));
    let gone = MemberRow {
        external_id: id("uid=gone"),
        email: None,
        deleted: true,
    };
    let rows = ImportRows {
        members: vec![person(0), person(1), gone],
        groups: vec![],
        staged: true,
    };
    import(&server, &rows).await;
    let snapshot = server.snapshot();
    let linked = snapshot.member("p0@example.com").unwrap();
    assert_eq!(linked.external_id.as_deref(), Some("uid=0"));
    assert_eq!(linked.status, Status::Confirmed);
    let staged = snapshot.member("p1@example.com").unwrap();
    assert_eq!(staged.status, Status::Staged);
    assert_eq!(snapshot.member("gone@example.com"), None);
    assert!(server.invitations().is_empty());
}

#[tokio::test]
async fn rows_that_the_server_names_are_dropped_and_reported_with_its_words() {
    let server = start(Config::cloud()).await;
    let mut members = people(500);
    for n in [3, 77, 499] {
        malformed(&mut members[n]);
    }
    let long = "x".repeat(101);
    let groups = vec![team("good", 0..3), team(&long, 0..3)];
    let rows = ImportRows {
        members,
        groups,
        staged: false,
    };
    let report = import(&server, &rows).await;

    let long = format!("cn={long}");
    assert_eq!(refused(&report), [&*long, "uid=3", "uid=499", "uid=77"]);
    assert_eq!(report.requests, 4, "each of two batches, and its rest");
    let row = |id: &str| {
        report
            .refused
            .iter()
            .find(|row| row.external_id.as_str() == id)
    };
    let member = row("uid=3").unwrap();
    assert_eq!(member.kind, RowKind::Member);
    assert!(
        member.message.contains("not a valid email"),
        "{}",
        member.message
    );
    let group = row(&long).unwrap();
    assert_eq!(group.kind, RowKind::Group);
    assert!(
        group.message.contains("maximum length of 100"),
        "{}",
        group.message
    );
    assert_eq!(server.snapshot().members.len(), 497);
    assert_eq!(server.snapshot().groups.len(), 1);
}

/// An organization where one row crashes the server without a word: its email is a member's whose
/// external id is empty, its external id another member's.
async fn with_crashing_row(n: usize) -> SimulatedOrganization {
    let server = start(Config::cloud()).await;
    server.seed_member(MemberSeed::new(&format!("p{n}@example.com")));
    server.seed_member(MemberSeed::new("other@example.com").external_id(&format!("uid={n}")));
    server
}

#[tokio::test]
async fn a_row_that_crashes_the_server_is_found_by_halving() {
    let server = with_crashing_row(1_234).await;
    let rows = ImportRows {
        members: people(2_000),
        ..ImportRows::default()
    };
    let report = import(&server, &rows).await;

    assert_eq!(refused(&report), ["uid=1234"]);
    assert!(
        report.refused[0].message.contains("unhandled"),
        "{report:?}"
    );
    assert_eq!(server.snapshot().members.len(), 2_001);
    // A path of eleven halvings: at each level the failing half twice (a 500 may pass) and the
    // other once; and two questions whether the server is well.
    assert!(report.requests <= 2 * 12 + 11 + 2, "{}", report.requests);
    assert!(server.invitations().values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_server_that_fails_on_everything_is_not_blamed_on_the_rows() {
    let server = start(Config::cloud()).await;
    let broken = Fault::new(Way::InternalError).method("POST").path("/api/");
    server.faults().inject(broken.from_then_on());
    let rows = ImportRows {
        members: people(2_000),
        ..ImportRows::default()
    };
    let error = client(&server).import(&rows, &|_| {}).await.unwrap_err();
    assert!(matches!(error, OrganizationError::Unexpected(_)), "{error}");
    assert_eq!(error.kind(), FaultKind::Transient { retry_after: None });
    assert!(
        server.requests().len() <= 5,
        "it takes few requests to know"
    );
}

#[tokio::test]
async fn a_server_that_breaks_in_the_middle_of_halving_is_not_blamed_on_the_rows() {
    let server = with_crashing_row(5).await;
    let rows = ImportRows {
        members: people(256),
        ..ImportRows::default()
    };
    // Well at first, with the health question answered, then no more.
    let broken = Fault::new(Way::InternalError).method("POST").path("/api/");
    server.faults().inject(broken.on_request(5).from_then_on());
    let error = client(&server).import(&rows, &|_| {}).await.unwrap_err();
    assert!(matches!(error, OrganizationError::Unexpected(_)), "{error}");
}

#[tokio::test]
async fn too_many_rows_at_fault_end_the_search_and_let_the_rest_in() {
    let server = start(Config::cloud()).await;
    // Every second of the first 800 crashes.
    for n in (0..800).step_by(2) {
        server.seed_member(MemberSeed::new(&format!("p{n}@example.com")));
        let other = MemberSeed::new(&format!("other{n}@example.com"));
        server.seed_member(other.external_id(&format!("uid={n}")));
    }
    let rows = ImportRows {
        members: people(3_000),
        ..ImportRows::default()
    };
    let report = import(&server, &rows).await;
    assert!(report.requests < 1_200, "{}", report.requests);
    let crashing = |row: &ExternalId| {
        let n: usize = row.as_str()["uid=".len()..].parse().unwrap();
        n < 800 && n.is_multiple_of(2)
    };
    let found = report
        .refused
        .iter()
        .filter(|row| crashing(&row.external_id));
    assert_eq!(found.count(), 400, "none of them passes for sent");
    assert!(
        report
            .refused
            .iter()
            .any(|row| row.message.contains("others")),
        "those not told apart say so"
    );
    assert!(
        server.snapshot().member("p2999@example.com").is_some(),
        "the next batch is in"
    );
}

#[tokio::test]
async fn a_lost_answer_invites_nobody_twice() {
    let rows = ImportRows {
        members: people(30),
        groups: vec![team("all", 0..30)],
        staged: false,
    };
    for way in [
        Way::InternalError,
        Way::Unavailable,
        Way::CutConnection,
        Way::HalfBody(Framing::ContentLength),
        Way::HalfBody(Framing::Chunked),
    ] {
        for work in Work::BOTH {
            for k in 1..=2 {
                let server = start(Config::cloud()).await;
                let fault = Fault::new(way).work(work).method("POST").path("/api/");
                server.faults().inject(fault.on_request(k));
                let report = import(&server, &rows).await;
                assert_eq!(server.faults().fired(), 1);
                assert!(report.refused.is_empty(), "{way:?} {work:?}: {report:?}");
                assert_eq!(server.invitations().len(), 30);
                assert!(server.invitations().values().all(|times| *times == 1));
                let snapshot = server.snapshot();
                assert_eq!(snapshot.group("all").unwrap().members.len(), 30);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_not_taken_for_done() {
    let server = start(Config::cloud()).await;
    let garbage = Fault::new(Way::Garbage).method("POST").path("/api/");
    server.faults().inject(garbage);
    let rows = ImportRows {
        members: people(3),
        ..ImportRows::default()
    };
    let error = client(&server).import(&rows, &|_| {}).await.unwrap_err();
    assert!(matches!(error, OrganizationError::Unexpected(_)), "{error}");
}

#[tokio::test]
async fn a_proxy_that_takes_only_small_bodies_gets_them() {
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let rows = taken.clone();
    let import = async move |body: String| {
        if body.len() > 20_000 {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        for member in body["members"].as_array().unwrap() {
            let id = member["externalId"].as_str().unwrap().to_owned();
            rows.lock().unwrap().insert(id);
        }
        StatusCode::OK
    };
    let token = async || r#"{"access_token": "abcdefgh", "expires_in": 3600}"#;
    let router = axum::Router::new()
        .route("/identity/connect/token", post(token))
        .route("/api/public/organization/import", post(import));
    let url = super::errors::serve(router).await;
    let key = ClientId::parse("organization.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27").unwrap();
    let settings = Settings::new(Region::server(&url).unwrap(), key, "a-secret-key".into());
    let rows = ImportRows {
        members: people(2_000),
        ..ImportRows::default()
    };
    let client = OrganizationClient::new(settings).unwrap();
    let report = client.import(&rows, &|_| {}).await.unwrap();
    assert!(report.refused.is_empty(), "{report:?}");
    assert_eq!(taken.lock().unwrap().len(), 2_000);
}

#[tokio::test]
async fn missing_seats_are_said_at_once_and_hold_up_nothing_else() {
    let server = start(Config::cloud()).await;
    server.set_seats(Seats::fixed(3));
    server.seed_member(MemberSeed::new("p0@example.com"));
    server.seed_member(MemberSeed::new("gone@example.com").external_id("uid=gone"));
    let gone = MemberRow {
        external_id: id("uid=gone"),
        email: None,
        deleted: true,
    };
    let mut members = people(10);
    members.push(gone);
    let rows = ImportRows {
        members,
        groups: vec![team("first", [0])],
        staged: false,
    };
    let report = import(&server, &rows).await;

    let no_seats = report.no_seats.clone().unwrap();
    assert!(no_seats.answer.contains("Seat limit"), "{no_seats:?}");
    assert_eq!(no_seats.rows.len(), 10);
    assert!(report.refused.is_empty());
    assert_eq!(report.requests, 2, "no halving");
    let snapshot = server.snapshot();
    assert_eq!(snapshot.members.len(), 1, "let go, and nobody invited");
    assert_eq!(snapshot.group("first").unwrap().members, ["p0@example.com"]);
}

#[tokio::test]
async fn a_self_hosted_server_out_of_seats_is_understood_too() {
    let server = start(Config::self_hosted()).await;
    server.set_seats(Seats::fixed(1));
    let rows = ImportRows {
        members: people(3),
        ..ImportRows::default()
    };
    let report = import(&server, &rows).await;
    assert!(report.no_seats.is_some(), "{report:?}");
}

#[tokio::test]
async fn a_plan_without_groups_gets_its_members() {
    let plan = Plan {
        directory: true,
        groups: false,
        ..Config::cloud().plan
    };
    let server = start(Config {
        plan,
        ..Config::cloud()
    })
    .await;
    let rows = ImportRows {
        members: people(2),
        groups: vec![team("all", 0..2)],
        staged: false,
    };
    let report = import(&server, &rows).await;
    assert_eq!(
        report.no_groups.as_deref(),
        Some("Organization cannot use groups.")
    );
    assert_eq!(report.requests, 2);
    assert_eq!(server.snapshot().members.len(), 2);
}

#[tokio::test]
async fn a_plan_without_directory_sync_is_for_the_user_to_fix() {
    let plan = Plan {
        directory: false,
        groups: true,
        ..Config::cloud().plan
    };
    let server = start(Config {
        plan,
        ..Config::cloud()
    })
    .await;
    let rows = ImportRows {
        members: people(2_000),
        ..ImportRows::default()
    };
    let error = client(&server).import(&rows, &|_| {}).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::NotPermitted { .. }),
        "{error}"
    );
    assert_eq!(error.kind(), FaultKind::Configuration);
    assert!(error.to_string().contains("directory syncing"), "{error}");
    assert_eq!(server.requests().iter().filter(|r| r.is_write()).count(), 1);
}

#[tokio::test]
async fn vaultwarden_takes_the_same_rows() {
    let server = start(Config::vaultwarden()).await;
    server.seed_member(MemberSeed::new("gone@example.com").external_id("uid=gone"));
    server.seed_group(GroupSeed::new("kept"));
    let client = client(&server);
    client.read().await.unwrap();
    let gone = |email: Option<&str>, id_: &str| MemberRow {
        external_id: id(id_),
        email: email.map(|email| Email::parse(email).unwrap()),
        deleted: true,
    };
    let mut members = people(3);
    members.push(gone(Some("gone@example.com"), "uid=gone"));
    members.push(gone(None, "uid=nameless"));
    let rows = ImportRows {
        members,
        groups: vec![team("all", 0..3)],
        staged: false,
    };
    let report = client.import(&rows, &|_| {}).await.unwrap();

    assert_eq!(refused(&report), ["uid=nameless"]);
    assert!(report.refused[0].message.contains("email"), "{report:?}");
    let snapshot = server.snapshot();
    let gone = snapshot.member("gone@example.com").unwrap();
    assert_eq!(gone.status, Status::Revoked);
    assert_eq!(snapshot.members.len(), 4);
    assert_eq!(snapshot.group("all").unwrap().members.len(), 3);
}

#[tokio::test]
async fn two_rows_with_one_external_id_or_one_email_are_never_sent() {
    let server = start(Config::cloud()).await;
    let mut members = people(4);
    members[2].external_id = members[0].external_id.clone();
    members[3].email = members[1].email.clone();
    let rows = ImportRows {
        members,
        ..ImportRows::default()
    };
    let report = import(&server, &rows).await;
    assert_eq!(refused(&report), ["uid=0", "uid=3"]);
    assert!(report.refused[0].message.contains("same external id"));
    assert!(report.refused[1].message.contains("same email"));
    assert_eq!(server.snapshot().members.len(), 2);
    assert_eq!(server.requests().iter().filter(|r| r.is_write()).count(), 1);
}

#[tokio::test]
async fn an_import_without_an_answer_is_sent_again_only_after_a_look() {
    let server = start(Config::cloud()).await;
    let client = client(&server);
    client.read().await.unwrap();
    server.clear_requests();
    let lost = Fault::new(Way::CutConnection).work(Work::Done);
    server
        .faults()
        .inject(lost.method("POST").path("/api/").on_request(1));
    let rows = ImportRows {
        members: people(30),
        ..ImportRows::default()
    };
    client.import(&rows, &|_| {}).await.unwrap();
    let requests = requests(&server);
    let import = "POST /api/public/organization/import";
    assert_eq!(requests[0], import);
    let looks = requests.iter().skip(1).take_while(|r| *r != import);
    assert!(looks.count() >= 4, "two looks at two lists: {requests:?}");
    assert!(server.invitations().values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_vaultwarden_that_does_not_answer_is_given_time() {
    let server = start(Config::vaultwarden()).await;
    let client = client(&server);
    client.read().await.unwrap();
    let lost = Fault::new(Way::CutConnection).work(Work::Done);
    server.faults().inject(lost.method("POST").path("/api/"));
    let rows = ImportRows {
        members: people(30),
        ..ImportRows::default()
    };
    server.clear_requests();
    let error = client.import(&rows, &|_| {}).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::Unanswered { .. }),
        "{error}"
    );
    let wait = match error.kind() {
        FaultKind::Transient { retry_after } => retry_after.unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(wait.as_secs() >= 180, "{wait:?}");
    let writes = server.requests().iter().filter(|r| r.is_write()).count();
    assert_eq!(writes, 1, "not sent twice");
}

/// A server whose import of members who aren't removed is refused with `answer`; how many it got.
async fn refusing(answer: &'static str) -> (OrganizationClient, Arc<Mutex<usize>>) {
    let requests = Arc::new(Mutex::new(0));
    let count = requests.clone();
    let import = async move |body: String| {
        *count.lock().unwrap() += 1;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let members = body["members"].as_array().unwrap();
        match members.iter().any(|member| member["deleted"] == false) {
            true => (StatusCode::BAD_REQUEST, answer),
            false => (StatusCode::OK, ""),
        }
    };
    let token = async || r#"{"access_token": "abcdefgh", "expires_in": 3600}"#;
    let router = axum::Router::new()
        .route("/identity/connect/token", post(token))
        .route("/api/public/organization/import", post(import));
    let url = super::errors::serve(router).await;
    let key = ClientId::parse("organization.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27").unwrap();
    let settings = Settings::new(Region::server(&url).unwrap(), key, "a-secret-key".into());
    (OrganizationClient::new(settings).unwrap(), requests)
}

#[tokio::test]
async fn the_same_refusal_for_everybody_is_the_servers_and_found_quickly() {
    let (client, requests) = refusing(r#"{"message": "SMTP error: connection refused"}"#).await;
    let rows = ImportRows {
        members: people(2_000),
        ..ImportRows::default()
    };
    let error = client.import(&rows, &|_| {}).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::RefusesAll { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("SMTP error"), "{error}");
    let requests = *requests.lock().unwrap();
    assert!(requests < 25, "{requests}");
}

#[tokio::test]
async fn three_rows_at_fault_are_not_taken_for_all() {
    let server = start(Config::self_hosted()).await;
    for n in 0..3 {
        server.seed_member(MemberSeed::new(&format!("p{n}@example.com")));
        let other = MemberSeed::new(&format!("other{n}@example.com"));
        server.seed_member(other.external_id(&format!("uid={n}")));
    }
    let rows = ImportRows {
        members: people(64),
        ..ImportRows::default()
    };
    let report = import(&server, &rows).await;
    assert_eq!(refused(&report), ["uid=0", "uid=1", "uid=2"]);
}

#[tokio::test]
async fn refusals_about_the_organization_are_not_searched_for_in_rows() {
    for words in [
        "No payment method found.",
        "You do not have an active subscription. Reinstate your subscription to make changes",
        "Organization must have at least one confirmed owner.",
    ] {
        let body = serde_json::json!({
            "message": "Errors have occurred.",
            "errors": {"An error has occurred.": [words]},
        });
        let (client, requests) = refusing(body.to_string().leak()).await;
        let rows = ImportRows {
            members: people(500),
            ..ImportRows::default()
        };
        let error = client.import(&rows, &|_| {}).await.unwrap_err();
        assert!(
            matches!(error, OrganizationError::NotPermitted { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), FaultKind::Configuration);
        assert_eq!(*requests.lock().unwrap(), 1, "{words}");
    }
}
