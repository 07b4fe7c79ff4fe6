//! Which rows go together, and how many.

use std::time::Duration;

use crate::directory::ExternalId;
use crate::import::{GroupRow, MemberRow, RowKind};

/// The cloud takes no more members or groups in one request.
const ROWS_MAX: usize = 2_000;
/// Keeps a request of groups to a few megabytes.
const MEMBERSHIPS_MAX: usize = 50_000;

/// A row of a batch; the rows of one batch are of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// A row of the members.
    Member(&'a MemberRow),
    /// A row of the groups.
    Group(&'a GroupRow),
}

impl<'a> Row<'a> {
    pub(super) fn kind(self) -> RowKind {
        match self {
            Self::Member(_) => RowKind::Member,
            Self::Group(_) => RowKind::Group,
        }
    }

    pub(super) fn external_id(self) -> &'a ExternalId {
        match self {
            Self::Member(row) => &row.external_id,
            Self::Group(row) => &row.external_id,
        }
    }

    fn memberships(self) -> usize {
        match self {
            Self::Member(_) => 0,
            Self::Group(row) => row.members.len(),
        }
    }

    pub(super) fn is_deleted(self) -> bool {
        matches!(self, Self::Member(row) if row.deleted)
    }
}

/// Removals come first: they free seats.
pub(super) fn removals_first(rows: Vec<&MemberRow>) -> Vec<Row<'_>> {
    let (removed, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.deleted);
    removed.into_iter().chain(others).map(Row::Member).collect()
}

/// How much goes into one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSize {
    rows: usize,
    memberships: usize,
    /// Follow the server's speed, and take about so long.
    aim: Option<Duration>,
}

impl BatchSize {
    /// As much as the cloud takes: the server writes rows in bulk.
    pub(super) fn largest() -> Self {
        Self {
            rows: ROWS_MAX,
            memberships: MEMBERSHIPS_MAX,
            aim: None,
        }
    }

    /// For a server that works row by row and sends each mail before it answers (Vaultwarden):
    /// small at first, then by what the last request took, so that each is answered long before
    /// anybody gives up on it.
    pub(super) fn adaptive() -> Self {
        Self {
            rows: 50,
            memberships: 5_000,
            aim: Some(Duration::from_secs(15)),
        }
    }

    /// How many of the first of `rows` make the next batch; one at least. A group's members can't
    /// be divided: one that is too large goes alone.
    pub(super) fn next(&self, rows: &[Row<'_>]) -> usize {
        let mut memberships = 0;
        let fit = rows.iter().take(self.rows).take_while(|row| {
            memberships += row.memberships();
            memberships <= self.memberships
        });
        fit.count().max(1).min(rows.len())
    }

    /// Learns from a batch of so many rows: the next is at most four times as large.
    pub(super) fn took(&mut self, rows: usize, time: Duration) {
        let Some(aim) = self.aim else { return };
        let seconds = time.as_secs_f64().max(0.001);
        let fit = (rows as f64 * aim.as_secs_f64() / seconds) as usize;
        self.rows = fit.clamp(10, ROWS_MAX).min(rows.max(10) * 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: usize, members: usize) -> GroupRow {
        let id = ExternalId::parse(&format!("g{id}")).unwrap();
        GroupRow {
            members: vec![id.clone(); members],
            external_id: id,
            name: "group".into(),
        }
    }

    fn member(id: usize, deleted: bool) -> MemberRow {
        MemberRow {
            external_id: ExternalId::parse(&format!("m{id}")).unwrap(),
            email: None,
            deleted,
        }
    }

    fn sizes(mut rows: &[Row<'_>]) -> Vec<usize> {
        let mut sizes = vec![];
        while !rows.is_empty() {
            let next = BatchSize::largest().next(rows);
            sizes.push(next);
            rows = &rows[next..];
        }
        sizes
    }

    #[test]
    fn batches_follow_the_speed_of_a_server_that_works_row_by_row() {
        let mut size = BatchSize::adaptive();
        let rows: Vec<_> = (0..3_000).map(|id| member(id, false)).collect();
        let rows: Vec<_> = rows.iter().map(Row::Member).collect();
        assert_eq!(size.next(&rows), 50);
        size.took(50, Duration::from_millis(100));
        assert_eq!(size.next(&rows), 200, "at most four times as many");
        size.took(200, Duration::from_secs(60));
        assert_eq!(size.next(&rows), 50, "a slow mail server");
        size.took(50, Duration::from_secs(600));
        assert_eq!(size.next(&rows), 10, "never fewer");
        assert_eq!(size.next(&rows[..3]), 3);
    }

    #[test]
    fn groups_are_batched_by_number_and_by_members() {
        let sizes = |rows: &[GroupRow]| sizes(&rows.iter().map(Row::Group).collect::<Vec<_>>());

        let small: Vec<_> = (0..4_500).map(|id| group(id, 1)).collect();
        assert_eq!(sizes(&small), [2_000, 2_000, 500]);

        let large = [group(0, 30_000), group(1, 20_000), group(2, 1)];
        assert_eq!(sizes(&large), [2, 1]);

        let huge = [group(0, 1), group(1, 90_000), group(2, 1)];
        assert_eq!(sizes(&huge), [1, 1, 1], "too large to share a request");

        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn members_who_are_removed_are_sent_first() {
        let rows: Vec<_> = (0..3_000).map(|id| member(id, id % 2 == 1)).collect();
        let rows = removals_first(rows.iter().collect());
        assert_eq!(sizes(&rows), [2_000, 1_000]);
        assert!(rows[..1_500].iter().all(|row| row.is_deleted()));
        assert!(!rows[1_500..].iter().any(|row| row.is_deleted()));
    }
}
