//! One request of an import.

use reqwest::Method;
use serde::Serialize;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::http::Idempotency;
use crate::import::batches::Row;
use crate::import::verdict::Verdict;
use crate::import::{GroupRow, MemberRow};

const PATH: &str = "/public/organization/import";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    // Never left out: the official server fails on null.
    members: Vec<&'a MemberRow>,
    groups: Vec<&'a GroupRow>,
    /// Would remove everyone who isn't in this request.
    overwrite_existing: bool,
    /// Batches never hold more than the cloud takes without it.
    large_import: bool,
    invite_users_after_provisioning: bool,
}

/// Sends one batch. It is sent again only where the server surely did nothing: the server goes on
/// with an import whose client gave up, and two of the same at once invite the same person twice. A
/// 500 is an answer, and tried once more, because it may have passed or be some row's doing.
pub(super) async fn send(
    server: &OrganizationClient,
    batch: &[Row<'_>],
    staged: bool,
    requests: &mut usize,
) -> Result<Verdict, OrganizationError> {
    let call = server
        .call(Method::POST, PATH, "POST /public/organization/import")
        .json(&body(batch, staged))
        .map_err(|error| server.error(error))?
        .idempotency(Idempotency::NonIdempotent);
    let mut tried_before = false;
    loop {
        *requests += 1;
        let error = match server.remote.done(&call).await {
            Ok(()) => return Ok(Verdict::Taken),
            Err(error) => error,
        };
        let status = error.failure.answer().map(|answer| answer.status.as_u16());
        if status == Some(500) && !tried_before {
            tried_before = true;
            tokio::time::sleep(server.settings.retry.first_delay).await;
            continue;
        }
        return Verdict::of(server, error, batch);
    }
}

fn body<'a>(batch: &[Row<'a>], staged: bool) -> Body<'a> {
    let mut body = Body {
        members: Vec::new(),
        groups: Vec::new(),
        overwrite_existing: false,
        large_import: false,
        invite_users_after_provisioning: !staged,
    };
    for row in batch {
        match row {
            Row::Member(row) => body.members.push(row),
            Row::Group(row) => body.groups.push(row),
        }
    }
    body
}
