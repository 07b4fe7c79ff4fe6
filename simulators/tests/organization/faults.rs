use std::time::{Duration, Instant};

use serde_json::json;
use simulators::fault::{Fault, Framing, Way, Work};
use simulators::organization::MemberSeed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Signed, cloud};

/// Every byte that comes back until the server closes the connection.
async fn raw(signed: &Signed, request: &str) -> Vec<u8> {
    let address = signed.organization.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = timeout(Duration::from_secs(5), read)
        .await
        .expect("the server closes the connection");
    answer
}

async fn raw_list(signed: &Signed) -> Vec<u8> {
    let request = format!(
        "GET /api/public/members HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        signed.token
    );
    raw(signed, &request).await
}

async fn raw_import(signed: &Signed) -> Vec<u8> {
    let body = json!({
        "groups": [], "overwriteExisting": false,
        "members": [{"email": "ada@example.com", "externalId": "1"}],
    })
    .to_string();
    let request = format!(
        "POST /api/public/organization/import HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        signed.token,
        body.len()
    );
    raw(signed, &request).await
}

#[tokio::test]
async fn a_cut_connection_brings_not_one_byte() {
    let signed = cloud().await;
    for work in Work::BOTH {
        let fault = Fault::new(Way::CutConnection).work(work);
        signed.organization.faults().inject(fault);
        assert_eq!(raw_list(&signed).await, b"", "{work:?}");
    }
    assert_eq!(signed.organization.faults().fired(), 2);
}

#[tokio::test]
async fn half_a_body_has_the_true_head_and_half_of_the_true_body() {
    let signed = cloud().await;
    let url = format!("{}/public/members", signed.organization.api_url());
    let whole = signed.http.get(url).bearer_auth(&signed.token);
    let whole = whole.send().await.unwrap().bytes().await.unwrap();

    let fault = Fault::new(Way::HalfBody(Framing::ContentLength));
    signed.organization.faults().inject(fault);
    let answer = String::from_utf8(raw_list(&signed).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(
        head.contains(&format!("content-length: {}", whole.len())),
        "{head}"
    );
    assert_eq!(body.as_bytes(), &whole[..whole.len() / 2]);
}

#[tokio::test]
async fn half_a_chunked_body_lacks_the_last_chunk() {
    let signed = cloud().await;
    let fault = Fault::new(Way::HalfBody(Framing::Chunked));
    signed.organization.faults().inject(fault);
    let answer = String::from_utf8(raw_list(&signed).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(body.contains(r#"{"object":"list""#), "{body}");
    assert!(!body.contains("0\r\n\r\n"), "{body}");
}

#[tokio::test]
async fn half_of_an_empty_answer_is_a_body_that_was_promised_and_does_not_come() {
    let signed = cloud().await;
    for (work, members) in [(Work::Undone, 1), (Work::Done, 2)] {
        let fault = Fault::new(Way::HalfBody(Framing::ContentLength)).work(work);
        signed.organization.faults().inject(fault);
        let answer = String::from_utf8(raw_import(&signed).await).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 16"), "{head}");
        assert_eq!(body.len(), 8);
        assert_eq!(signed.emails().len(), members, "{work:?}");
    }
}

#[tokio::test]
async fn a_fault_leaves_the_work_undone_or_done_as_it_was_told() {
    for way in Way::ALL {
        for work in Work::BOTH {
            let signed = cloud().await;
            let faults = signed.organization.faults();
            faults.inject(Fault::new(way).work(work));
            let ask = signed.import_members(json!([{"email": "a@example.com", "externalId": "1"}]));
            // Hangs and cuts fail in the client; what counts is the organization.
            let _ = timeout(
                Duration::from_millis(200),
                tokio::task::unconstrained(async {
                    let request = signed
                        .request(reqwest::Method::POST, "/organization/import")
                        .json(&json!({
                            "groups": [], "overwriteExisting": false,
                            "members": [{"email": "a@example.com", "externalId": "1"}],
                        }));
                    request.send().await?.bytes().await
                }),
            )
            .await;
            let done = signed.emails().contains(&"a@example.com".to_owned());
            assert_eq!(done, work == Work::Done, "{way:?} {work:?}");
            assert_eq!(faults.fired(), 1);
            let logged = &signed.organization.requests()[0];
            if way != Way::Hang {
                assert_eq!(logged.fault, Some(way));
            }

            assert_eq!(ask.await.status, 200, "the next request is answered");
            let invitations = signed.organization.invitations();
            assert_eq!(invitations["a@example.com"], 1, "{way:?} {work:?}");
        }
    }
}

#[tokio::test]
async fn statuses_come_as_told_and_429_says_when_to_come_back() {
    let signed = cloud().await;
    let faults = signed.organization.faults();
    for (way, status) in [
        (Way::InternalError, 500),
        (Way::Unavailable, 503),
        (Way::TooManyRequests { retry_after: 7 }, 429),
    ] {
        faults.inject(Fault::new(way));
        let request = signed.request(reqwest::Method::GET, "/groups");
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let retry_after = response.headers().get("retry-after");
        assert_eq!(retry_after.is_some(), status == 429);
        if let Some(seconds) = retry_after {
            assert_eq!(seconds, "7");
        }
    }
}

#[tokio::test]
async fn garbage_is_a_success_that_no_one_can_read() {
    let signed = cloud().await;
    signed
        .organization
        .faults()
        .inject(Fault::new(Way::Garbage));
    let response = signed.request(reqwest::Method::GET, "/members");
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.bytes().await.unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_err());
}

#[tokio::test]
async fn a_hang_lasts_until_the_simulator_stops() {
    let signed = cloud().await;
    signed.organization.faults().inject(Fault::new(Way::Hang));
    let request = signed.request(reqwest::Method::GET, "/members").send();
    let mut waiting = tokio::spawn(request);
    let early = timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "nothing comes");

    let stopped = Instant::now();
    drop(signed.organization);
    let outcome = timeout(Duration::from_secs(5), waiting).await.unwrap();
    assert!(outcome.unwrap().is_err(), "the connection closes");
    assert!(stopped.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_kth_request_of_those_that_match_fails_and_only_as_often_as_told() {
    let signed = cloud().await;
    signed
        .organization
        .seed_member(MemberSeed::new("b@example.com"));
    let faults = signed.organization.faults();
    let statuses = async |paths: &[&str]| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(signed.get(path).await.status);
        }
        statuses
    };

    faults.inject(Fault::new(Way::InternalError).on_request(2));
    assert_eq!(statuses(&["/members"; 3]).await, [200, 500, 200]);

    faults.clear();
    faults.inject(Fault::new(Way::Unavailable).on_request(2).times(2));
    assert_eq!(statuses(&["/members"; 5]).await, [200, 503, 503, 200, 200]);

    faults.clear();
    let from_second = Fault::new(Way::InternalError).on_request(2).from_then_on();
    faults.inject(from_second.method("get").path("/api/public/groups"));
    let mixed = ["/groups", "/members", "/groups", "/members", "/groups"];
    assert_eq!(statuses(&mixed).await, [200, 200, 500, 200, 500]);
    assert_eq!(faults.fired(), 2);

    faults.clear();
    assert_eq!(statuses(&["/groups"]).await, [200]);
}

#[tokio::test]
async fn the_request_for_a_token_can_fail_too() {
    let signed = cloud().await;
    let fault = Fault::new(Way::Unavailable).path("/identity/");
    signed.organization.faults().inject(fault);
    assert_eq!(signed.get("/members").await.status, 200);
    assert_eq!(signed.ask_for_token(&signed.form()).await.status, 503);
    assert_eq!(signed.ask_for_token(&signed.form()).await.status, 200);
}
