//! `POST /v1.0/$batch`: up to 20 requests in one, each with a status of its own.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::answers::Reply;
use super::server::Server;
use super::throttle;

const MOST: usize = 20;

pub(super) fn answer(server: &Server, base: &str, body: &[u8]) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Reply::bad("BadRequest", "Unable to read JSON request payload.");
    };
    let Some(requests) = body["requests"].as_array() else {
        return Reply::bad("BadRequest", "Invalid batch payload format.");
    };
    if requests.len() > MOST {
        let message = "Number of batch request steps exceeds the maximum value of 20.";
        return Reply::bad("MaximumValueExceeded", message);
    }
    let mut parts: Vec<Value> = requests
        .iter()
        .map(|part| one(server, base, part))
        .collect();
    // The order of the answers isn't that of the requests.
    parts.reverse();
    Reply::ok(json!({"responses": parts}))
}

fn one(server: &Server, base: &str, part: &Value) -> Value {
    let reply = if refuses(server) {
        throttle::refusal(0)
    } else {
        let mut headers = HeaderMap::new();
        if part["headers"]["ConsistencyLevel"] == "eventual" {
            headers.insert("consistencylevel", "eventual".parse().expect("plain text"));
        }
        let url = part["url"].as_str().unwrap_or_default();
        match part["method"].as_str() {
            Some("GET") => server.graph(base, &format!("/v1.0{url}"), &headers),
            _ => Reply::bad("BadRequest", "Only GET is simulated within a batch."),
        }
    };
    let mut headers: Map<String, Value> = reply
        .headers
        .into_iter()
        .map(|(name, value)| (title(name), Value::String(value)))
        .collect();
    // Graph leaves out the body of parts that it refuses for their number or can't serve.
    let has_body = reply.status != StatusCode::TOO_MANY_REQUESTS && !reply.status.is_server_error();
    if has_body {
        headers.insert("Content-Type".into(), "application/json".into());
    }
    let mut answer = json!({
        "id": part["id"],
        "status": reply.status.as_u16(),
        "headers": headers,
    });
    if has_body {
        answer["body"] = reply.body;
    }
    answer
}

fn refuses(server: &Server) -> bool {
    let mut throttle = server.throttle.lock();
    let refuses = throttle.refuse_parts > 0;
    throttle.refuse_parts -= u32::from(refuses);
    refuses
}

/// `retry-after` is `Retry-After` here.
fn title(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}
