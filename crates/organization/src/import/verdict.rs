//! What the server made of one request of an import.

use std::collections::BTreeMap;

use reqwest::StatusCode;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::error::Refusal;
use crate::http::{Failure, HttpError, RemoteText};
use crate::import::RowKind;
use crate::import::batches::Row;
use crate::wire::ErrorBody;

/// What the server made of one request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// All of it is in.
    Taken,
    /// Refused for these rows, by their place in the batch, with what is wrong.
    Named(BTreeMap<usize, RemoteText>),
    /// Refused for want of seats; what comes before invitations was done.
    NoSeats(String),
    /// The plan has no groups.
    NoGroups(String),
    /// The answer never came; the server may still be at work.
    Unanswered(HttpError),
    /// Refused, or failed on, for a reason that may be any row's.
    Failed {
        /// What the server said.
        message: RemoteText,
        /// The same as an error, for when no row is to blame.
        error: OrganizationError,
    },
}

impl Verdict {
    /// Of a failed request; an error where the whole import can't go on.
    pub(super) fn of(
        server: &OrganizationClient,
        error: HttpError,
        batch: &[Row<'_>],
    ) -> Result<Self, OrganizationError> {
        let answer = match &error.failure {
            Failure::Status(answer) => answer,
            Failure::Interrupted(_) => return Ok(Self::Unanswered(error)),
            _ => return Err(server.error(error)),
        };
        let body = ErrorBody::of(answer);
        let message = body.text(answer);
        match answer.status {
            StatusCode::BAD_REQUEST if !answer.is_html() => {}
            // Vaultwarden's word for a body it can't read; a page, as all its errors.
            StatusCode::UNPROCESSABLE_ENTITY => {}
            // A crash, or a proxy's limit on size: fewer rows may pass.
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::PAYLOAD_TOO_LARGE => {
                let error = server.error(error);
                return Ok(Self::Failed { message, error });
            }
            // A proxy that gave up waiting (520 to 524: Cloudflare's).
            status if matches!(status.as_u16(), 408 | 502..=504 | 520..=524) => {
                return Ok(Self::Unanswered(error));
            }
            _ => return Err(server.error(error)),
        }
        let kind = batch.first().map(|row| row.kind());
        let named = named(&body, kind, batch.len());
        if !named.is_empty() {
            return Ok(Self::Named(named));
        }
        match Refusal::of(message.raw()) {
            Refusal::Seats => return Ok(Self::NoSeats(message.to_string())),
            Refusal::Groups => return Ok(Self::NoGroups(message.to_string())),
            Refusal::DirectorySync | Refusal::Organization => {
                return Err(OrganizationError::NotPermitted {
                    answer: message.to_string(),
                });
            }
            Refusal::Other => {}
        }
        let error = server.error(error);
        Ok(Self::Failed { message, error })
    }
}

/// The rows that the errors of a 400 name, `Members[3].Email` for one.
fn named(body: &ErrorBody, kind: Option<RowKind>, rows: usize) -> BTreeMap<usize, RemoteText> {
    let list = match kind {
        Some(RowKind::Member) => "members[",
        Some(RowKind::Group) => "groups[",
        None => return BTreeMap::new(),
    };
    let mut named = BTreeMap::new();
    for (place, messages) in body.errors.iter().flatten() {
        // Some versions write `$.members[3].email`.
        let place = place.trim_start_matches("$.").to_ascii_lowercase();
        let Some((index, field)) = place
            .strip_prefix(list)
            .and_then(|rest| rest.split_once(']'))
        else {
            continue;
        };
        if let Ok(index) = index.parse::<usize>()
            && index < rows
        {
            let field = field.trim_start_matches('.');
            let text = format!("{field}: {}", messages.all().join(" "));
            named.entry(index).or_insert_with(|| RemoteText::new(text));
        }
    }
    named
}
