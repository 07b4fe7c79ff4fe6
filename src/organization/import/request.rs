//! One request of an import.

use reqwest::Method;
use serde::Serialize;

use crate::directory::ExternalId;
use crate::http::Repeat;
use crate::organization::OrganizationError;
use crate::organization::import::batches::Row;
use crate::organization::import::verdict::Verdict;
use crate::organization::server::Server;

const PATH: &str = "/public/organization/import";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    members: Vec<Member<'a>>,
    groups: Vec<Group<'a>>,
    /// Would remove everyone who isn't in this request.
    overwrite_existing: bool,
    /// Batches never hold more than the cloud takes without it.
    large_import: bool,
    invite_users_after_provisioning: bool,
}

// Vaultwarden needs all three.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    email: Option<&'a str>,
    external_id: &'a str,
    deleted: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    name: &'a str,
    external_id: &'a str,
    member_external_ids: &'a [ExternalId],
}

/// Sends one batch. What went wrong on the way is tried again below; a 500 is tried once more here,
/// because it may have passed or be some row's doing.
pub(super) async fn send(
    server: &Server,
    batch: &[Row<'_>],
    staged: bool,
    requests: &mut usize,
) -> Result<Verdict, OrganizationError> {
    let call = server
        .call(Method::POST, PATH, "POST /public/organization/import")
        .json(&body(batch, staged))
        .map_err(|error| server.error(error))?
        .repeat(Repeat::ExceptOnServerError);
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
            Row::Member(row) => body.members.push(Member {
                email: row.email.as_ref().map(|email| email.as_str()),
                external_id: row.external_id.as_str(),
                deleted: row.deleted,
            }),
            Row::Group(row) => body.groups.push(Group {
                name: &row.name,
                external_id: row.external_id.as_str(),
                member_external_ids: &row.members,
            }),
        }
    }
    body
}
