//! Which rows go together.

use crate::directory::ExternalId;
use crate::organization::import::{GroupRow, MemberRow, RowKind};

/// The cloud takes no more members or groups in one request.
const ROWS_MAX: usize = 2_000;
/// Keeps a request of groups to a few megabytes.
const MEMBERSHIPS_MAX: usize = 50_000;

/// A row of a batch; the rows of one batch are of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// A member.
    Member(&'a MemberRow),
    /// A group.
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

    pub(super) fn is_deleted(self) -> bool {
        matches!(self, Self::Member(row) if row.deleted)
    }
}

/// Those who are let go come first: they free seats.
pub(super) fn members(rows: Vec<&MemberRow>) -> Vec<Vec<Row<'_>>> {
    let (go, come): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.deleted);
    let rows: Vec<_> = go.into_iter().chain(come).map(Row::Member).collect();
    rows.chunks(ROWS_MAX).map(<[_]>::to_vec).collect()
}

/// A group's members can't be divided: one that is too large goes alone.
pub(super) fn groups(rows: &[GroupRow]) -> Vec<Vec<Row<'_>>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut memberships = 0;
    for row in rows {
        let full = batch.len() == ROWS_MAX || memberships + row.members.len() > MEMBERSHIPS_MAX;
        if full && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            memberships = 0;
        }
        memberships += row.members.len();
        batch.push(Row::Group(row));
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
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

    #[test]
    fn groups_are_batched_by_number_and_by_members() {
        let sizes = |rows: &[GroupRow]| groups(rows).iter().map(Vec::len).collect::<Vec<_>>();

        let small: Vec<_> = (0..4_500).map(|id| group(id, 1)).collect();
        assert_eq!(sizes(&small), [2_000, 2_000, 500]);

        let large = [group(0, 30_000), group(1, 20_000), group(2, 1)];
        assert_eq!(sizes(&large), [2, 1]);

        let huge = [group(0, 1), group(1, 90_000), group(2, 1)];
        assert_eq!(sizes(&huge), [1, 1, 1], "too large to share a request");

        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn members_who_go_are_sent_before_those_who_come() {
        let rows: Vec<_> = (0..3_000).map(|id| member(id, id % 2 == 1)).collect();
        let batches = members(rows.iter().collect());
        let gone: Vec<usize> = batches
            .iter()
            .map(|batch| batch.iter().filter(|row| row.is_deleted()).count())
            .collect();
        assert_eq!(gone, [1_500, 0]);
    }
}
