//! Rows in bulk.
//!
//! The server takes or refuses a request as a whole. Which rows are at fault it tells sometimes;
//! where it doesn't, the request is halved until they are known.

mod batches;
mod request;
mod verdict;

use std::sync::atomic::Ordering;

use crate::directory::{Email, ExternalId};
use crate::organization::OrganizationError;
use crate::organization::server::Server;
use batches::Row;
use verdict::Verdict;

/// What is sent.
#[derive(Debug, Clone, Default)]
pub struct ImportRows {
    /// Members to invite, to link by email or to let go. Emails and external ids are unique.
    pub members: Vec<MemberRow>,
    /// Groups to create, rename or fill. External ids are unique.
    pub groups: Vec<GroupRow>,
    /// Only stage new members, without an invitation (servers that don't know this invite).
    pub staged: bool,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The person.
    pub external_id: ExternalId,
    /// The email. A row to let go needs it on Vaultwarden only.
    pub email: Option<Email>,
    /// Let go: removed by the official server, revoked by Vaultwarden.
    pub deleted: bool,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// The group.
    pub external_id: ExternalId,
    /// Its name.
    pub name: Box<str>,
    /// Everyone in it; whoever isn't listed leaves it.
    pub members: Vec<ExternalId>,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows that the server refused; all others are in.
    pub refused: Vec<RefusedRow>,
    /// Seats didn't suffice.
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
    /// Whose.
    pub external_id: ExternalId,
    /// What the server said.
    pub message: String,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A member.
    Member,
    /// A group.
    Group,
}

/// Invitations that found no seats. Members of the same requests were let go and linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSeats {
    /// What the server said.
    pub answer: String,
    /// Rows of the refused requests that may be invitations.
    pub rows: Vec<ExternalId>,
}

/// How often a request of one import is divided. Each row at fault in a full batch takes about
/// eleven divisions, so this finds two dozen; what is refused after that is reported together.
const DIVISIONS: usize = 250;

impl Server {
    pub(super) async fn import(
        &self,
        rows: &ImportRows,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<ImportReport, OrganizationError> {
        let mut import = Import {
            server: self,
            staged: rows.staged,
            progress,
            report: ImportReport::default(),
            done: 0,
            divisions_left: DIVISIONS,
            healthy: false,
        };
        for batch in import.members(&rows.members) {
            import.settle(batch).await?;
        }
        for batch in batches::groups(&rows.groups) {
            if import.report.no_groups.is_none() {
                import.settle(batch).await?;
            }
        }
        Ok(import.report)
    }
}

struct Import<'a> {
    server: &'a Server,
    staged: bool,
    progress: &'a (dyn Fn(usize) + Sync),
    report: ImportReport,
    done: usize,
    divisions_left: usize,
    /// Whether the server took any request of this import.
    healthy: bool,
}

impl<'a> Import<'a> {
    fn members(&mut self, rows: &'a [MemberRow]) -> Vec<Vec<Row<'a>>> {
        let by_email_only = self.server.write_only.load(Ordering::Relaxed);
        let (sent, nameless): (Vec<_>, Vec<_>) = rows
            .iter()
            .partition(|row| row.email.is_some() || (row.deleted && !by_email_only));
        for row in nameless {
            self.refuse(
                Row::Member(row),
                "there is no email, which this server needs",
            );
        }
        batches::members(sent)
    }

    /// Sends a batch and, where it is refused, its parts, until each row is in or at fault.
    async fn settle(&mut self, batch: Vec<Row<'a>>) -> Result<(), OrganizationError> {
        let mut to_send = vec![batch];
        while let Some(batch) = to_send.pop() {
            match self.send(&batch).await? {
                Verdict::Taken => self.count(batch.len()),
                Verdict::NoSeats(answer) => self.without_seats(&batch, answer),
                Verdict::NoGroups(answer) => {
                    self.report.no_groups = Some(answer);
                    return Ok(());
                }
                Verdict::Named(faults) if self.divide() => {
                    let mut left = Vec::with_capacity(batch.len());
                    for (index, row) in batch.into_iter().enumerate() {
                        match faults.get(&index) {
                            Some(message) => self.refuse(row, message),
                            None => left.push(row),
                        }
                    }
                    if !left.is_empty() {
                        to_send.push(left);
                    }
                }
                Verdict::Named(faults) => {
                    let message = faults.into_values().next().unwrap_or_default();
                    self.refuse_together(batch, &message);
                }
                Verdict::Failed { message, error } => {
                    if !self.healthy || batch.len() == 1 {
                        self.probe(error).await?;
                    }
                    if batch.len() > 1 && self.divide() {
                        let mut first = batch;
                        let second = first.split_off(first.len() / 2);
                        to_send.extend([second, first]);
                    } else {
                        self.refuse_together(batch, &message);
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

    fn divide(&mut self) -> bool {
        let left = self.divisions_left.checked_sub(1);
        self.divisions_left = left.unwrap_or(0);
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
