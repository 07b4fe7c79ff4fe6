//! Rows in bulk.
//!
//! The server takes or refuses a request as a whole. Which rows are at fault it says sometimes;
//! where it doesn't, the request is halved until they are known. A refusal that is about the server
//! or the organization isn't searched for in rows: it is known by its words, or by being the same
//! for rows that have nothing in common.

mod batches;
mod request;
mod verdict;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use crate::directory::{Email, ExternalId};
use crate::http::HttpError;
use crate::model::Organization;
use crate::{OrganizationClient, OrganizationError};
use batches::{BatchSize, Row};
use verdict::Verdict;

/// The members and groups that an import sends.
#[derive(Debug, Clone, Default)]
pub struct ImportRows {
    /// Members to invite, to link by email or to remove. Emails and external ids are unique.
    pub members: Vec<MemberRow>,
    /// Groups to create, rename or fill. External ids are unique.
    pub groups: Vec<GroupRow>,
    /// Only stage new members, without an invitation. A server that can't
    /// ([`OrganizationClient::stages_members`]) invites nevertheless.
    pub staged: bool,
}

/// One member. Vaultwarden needs all three fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRow {
    /// The member's stable id in the directory.
    pub external_id: ExternalId,
    /// The email. A row with `deleted` needs it on Vaultwarden only.
    pub email: Option<Email>,
    /// Removed by the official server, revoked by Vaultwarden.
    pub deleted: bool,
}

/// A group to create or update, with its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// The external id that identifies the group.
    pub external_id: ExternalId,
    /// The group's name in the organization.
    pub name: Box<str>,
    /// Everyone in it; whoever isn't listed leaves it.
    #[serde(rename = "memberExternalIds")]
    pub members: Vec<ExternalId>,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows that the server refused; all others are in.
    pub refused: Vec<RefusedRow>,
    /// The server refused invitations because no seat was free.
    pub no_seats: Option<NoSeats>,
    /// The plan has no groups, says this answer: no group was sent after it came.
    pub no_groups: Option<String>,
    /// How many requests it took.
    pub requests: usize,
}

/// One row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// A member's or a group's.
    pub kind: RowKind,
    /// The external id of the refused member or group.
    pub external_id: ExternalId,
    /// What the server said.
    pub message: String,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A row of the import's `members`.
    Member,
    /// A row of the import's `groups`.
    Group,
}

/// Invitations that found no seats. Members of the same requests were removed and linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSeats {
    /// What the server said.
    pub answer: String,
    /// Rows of the refused requests that may be invitations.
    pub rows: Vec<ExternalId>,
}

/// How often a request of one import is split. Each row at fault in a full batch takes about
/// eleven splits, so this finds two dozen; what is refused after that is reported together.
const MAX_SPLITS: usize = 250;

/// So many single rows in a row, none taken before, with the same refusal: then rows elsewhere are
/// tried, and if they are refused likewise, it isn't about a row.
const SAME_REFUSAL_MAX: usize = 3;

/// How often an import is sent again whose answer didn't come.
const MAX_RESENDS: usize = 4;
/// How often the organization is read until nothing changes any more.
const MAX_POLLS: usize = 10;

impl OrganizationClient {
    /// Sends rows in bulk: members first, then groups, in requests of up to 2,000 rows. Rows that
    /// the server refuses are found, by name or by halving, and reported; the others are in.
    /// `progress` counts how many rows are done.
    ///
    /// Invites nobody twice: a row whose external id is in the organization is no invitation.
    ///
    /// # Errors
    /// When the server can't be asked, or refuses imports altogether. What was sent before stays;
    /// sending all of it again is safe.
    pub async fn import(
        &self,
        rows: &ImportRows,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<ImportReport, OrganizationError> {
        let write_only = self.write_only.load(Ordering::Relaxed);
        let mut import = Import {
            server: self,
            staged: rows.staged,
            write_only,
            progress,
            report: ImportReport::default(),
            done: 0,
            splits_left: MAX_SPLITS,
            resends_left: MAX_RESENDS,
            healthy: false,
            any_invited: false,
            alike: None,
        };
        let size = if write_only {
            BatchSize::adaptive()
        } else {
            BatchSize::largest()
        };
        let members = import.members(&rows.members);
        import.send_all(&members, size).await?;
        let groups: Vec<Row<'_>> = rows.groups.iter().map(Row::Group).collect();
        import.send_all(&groups, size).await?;
        Ok(import.report)
    }
}

impl OrganizationClient {
    /// Sends an import without a row, which changes nothing and is refused where a real one would be.
    ///
    /// Not for the cloud: an organization over its seats buys some at any import.
    pub(super) async fn import_nothing(&self) -> Result<(), OrganizationError> {
        match request::send(self, &[], false, &mut 0).await? {
            Verdict::Taken => Ok(()),
            Verdict::Failed { error, .. } => Err(error),
            Verdict::Unanswered(cause) => Err(OrganizationError::Unanswered { cause }),
            Verdict::NoSeats(answer) | Verdict::NoGroups(answer) => {
                Err(OrganizationError::NotPermitted { answer })
            }
            Verdict::Named(_) => Ok(()),
        }
    }
}

struct Import<'a> {
    server: &'a OrganizationClient,
    staged: bool,
    write_only: bool,
    progress: &'a (dyn Fn(usize) + Sync),
    report: ImportReport,
    done: usize,
    splits_left: usize,
    resends_left: usize,
    /// Whether the server took any request of this import.
    healthy: bool,
    /// Whether it took any member who isn't removed.
    any_invited: bool,
    /// The words with which the last single rows were refused, and how many these were.
    alike: Option<(String, usize)>,
}

impl<'a> Import<'a> {
    /// The rows that can be sent. Two with one external id would both be invited, and from then on
    /// the official server fails on every import; two with one email make it fail at once.
    fn members(&mut self, rows: &'a [MemberRow]) -> Vec<Row<'a>> {
        let mut sent = Vec::with_capacity(rows.len());
        let (mut ids, mut emails) = (HashSet::new(), HashSet::new());
        for row in rows {
            let refusal = if row.email.is_none() && (self.write_only || !row.deleted) {
                Some("there is no email, which this server needs")
            } else if !ids.insert(&row.external_id) {
                Some("another row of this import has the same external id")
            } else if row
                .email
                .as_ref()
                .is_some_and(|email| !emails.insert(email))
            {
                Some("another row of this import has the same email")
            } else {
                None
            };
            match refusal {
                Some(refusal) => self.refuse(Row::Member(row), refusal),
                None => sent.push(row),
            }
        }
        batches::removals_first(sent)
    }

    async fn send_all(
        &mut self,
        mut rows: &[Row<'a>],
        mut size: BatchSize,
    ) -> Result<(), OrganizationError> {
        while !rows.is_empty() && self.report.no_groups.is_none() {
            let (batch, rest) = rows.split_at(size.next(rows));
            let started = Instant::now();
            self.send_until_known(batch.to_vec(), rest).await?;
            size.took(batch.len(), started.elapsed());
            rows = rest;
        }
        Ok(())
    }

    /// Sends a batch and, where it is refused, its parts, until each row is in or at fault. `later`
    /// are the rows of the batches to come.
    async fn send_until_known(
        &mut self,
        batch: Vec<Row<'a>>,
        later: &[Row<'a>],
    ) -> Result<(), OrganizationError> {
        let mut to_send = vec![batch];
        while let Some(batch) = to_send.pop() {
            match self.send(&batch).await? {
                Verdict::Taken => self.count(batch.len()),
                Verdict::NoSeats(answer) => self.without_seats(&batch, answer),
                Verdict::NoGroups(answer) => {
                    self.report.no_groups = Some(answer);
                    return Ok(());
                }
                Verdict::Unanswered(error) => {
                    self.wait_for_the_end(error).await?;
                    to_send.extend(halves(batch));
                }
                Verdict::Named(faults) if self.divide() => {
                    let mut left = Vec::with_capacity(batch.len());
                    for (index, row) in batch.into_iter().enumerate() {
                        match faults.get(&index) {
                            Some(message) => self.refuse(row, &message.to_string()),
                            None => left.push(row),
                        }
                    }
                    if !left.is_empty() {
                        to_send.push(left);
                    }
                }
                Verdict::Named(faults) => {
                    let message = faults.into_values().next().unwrap_or_default();
                    self.refuse_together(batch, &message.to_string());
                }
                Verdict::Failed { message, error } => {
                    if !self.healthy || batch.len() == 1 {
                        self.probe(error).await?;
                    }
                    if let [row] = batch[..] {
                        let elsewhere = later.last().or_else(|| to_send.first()?.last());
                        self.ensure_not_everywhere(row, message.raw(), elsewhere.copied())
                            .await?;
                    }
                    if batch.len() > 1 && self.divide() {
                        to_send.extend(halves(batch));
                    } else {
                        self.refuse_together(batch, &message.to_string());
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, batch: &[Row<'a>]) -> Result<Verdict, OrganizationError> {
        let verdict = request::send(self.server, batch, self.staged, &mut self.report.requests);
        let verdict = verdict.await?;
        if matches!(verdict, Verdict::Taken) {
            self.healthy = true;
            self.any_invited |= batch
                .iter()
                .any(|row| row.kind() == RowKind::Member && !row.is_deleted());
        }
        Ok(verdict)
    }

    /// Whether it is the rows: a server that fails without any row is at fault itself, and no row
    /// must be blamed.
    async fn probe(&mut self, error: OrganizationError) -> Result<(), OrganizationError> {
        match self.send(&[]).await? {
            Verdict::Taken => Ok(()),
            _ => Err(error),
        }
    }

    /// Fails where a single member's refusal is that of all others too, as when the mail server is
    /// down: no member was taken so far, a few were refused with the same words, and so is one that
    /// has nothing to do with them.
    async fn ensure_not_everywhere(
        &mut self,
        row: Row<'a>,
        message: &str,
        elsewhere: Option<Row<'a>>,
    ) -> Result<(), OrganizationError> {
        let words = words(row, message);
        let times = match &mut self.alike {
            Some((before, times)) if *before == words => {
                *times += 1;
                *times
            }
            alike => {
                *alike = Some((words.clone(), 1));
                1
            }
        };
        let Some(other) = elsewhere.filter(|_| times == SAME_REFUSAL_MAX && !self.any_invited)
        else {
            return Ok(());
        };
        match self.send(&[other]).await? {
            Verdict::Failed { message, .. } if words == self::words(other, message.raw()) => {
                let answer = message.to_string();
                Err(OrganizationError::RefusesAll { answer })
            }
            _ => Ok(()),
        }
    }

    /// The server goes on with an import whose client gave up. Waits until nothing moves there any
    /// more, so that the same rows aren't at work twice.
    async fn wait_for_the_end(&mut self, cause: HttpError) -> Result<(), OrganizationError> {
        let Some(left) = self.resends_left.checked_sub(1) else {
            return Err(OrganizationError::Unanswered { cause });
        };
        self.resends_left = left;
        let mut before = None;
        for _ in 0..MAX_POLLS {
            tokio::time::sleep(self.server.settings.retry.longest_delay).await;
            let Organization::Read(content) = self.server.read().await? else {
                break;
            };
            let now = (content.members.len(), content.groups.len());
            if before == Some(now) {
                return Ok(());
            }
            before = Some(now);
        }
        Err(OrganizationError::Unanswered { cause })
    }

    fn divide(&mut self) -> bool {
        let left = self.splits_left.checked_sub(1);
        self.splits_left = left.unwrap_or(0);
        left.is_some()
    }

    fn refuse_together(&mut self, batch: Vec<Row<'a>>, message: &str) {
        let others = batch.len() - 1;
        let message = match others {
            0 => message.to_owned(),
            _ => format!("{message} (refused together with {others} others; not told apart yet)"),
        };
        for row in batch {
            self.refuse(row, &message);
        }
    }

    fn refuse(&mut self, row: Row<'a>, message: &str) {
        self.report.refused.push(RefusedRow {
            kind: row.kind(),
            external_id: row.external_id().clone(),
            message: message.to_owned(),
        });
        self.count(1);
    }

    fn without_seats(&mut self, batch: &[Row<'a>], answer: String) {
        let no_seats = self.report.no_seats.get_or_insert_with(|| NoSeats {
            answer,
            rows: Vec::new(),
        });
        let invitations = batch.iter().filter(|row| !row.is_deleted());
        no_seats
            .rows
            .extend(invitations.map(|row| row.external_id().clone()));
        self.count(batch.len());
    }

    fn count(&mut self, rows: usize) {
        self.done += rows;
        (self.progress)(self.done);
    }
}

/// The second half below the first, which is sent next.
fn halves(mut batch: Vec<Row<'_>>) -> Vec<Vec<Row<'_>>> {
    let second = batch.split_off(batch.len() / 2);
    [second, batch]
        .into_iter()
        .filter(|half| !half.is_empty())
        .collect()
}

/// What a refusal says apart from whom it is about.
fn words(row: Row<'_>, message: &str) -> String {
    let message = message.replace(row.external_id().as_str(), "");
    match row {
        Row::Member(MemberRow {
            email: Some(email), ..
        }) => message.replace(email.as_str(), ""),
        _ => message,
    }
}
