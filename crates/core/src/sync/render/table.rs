//! The form for a terminal.

use crate::sync::guard::GuardedPlan;
use crate::sync::plan::Change;
use crate::sync::render::{ORDER, Sides, detail_of, summary, title, warning};
use crate::text::{one_line, sanitize, truncate};

/// Widest column, in characters.
const WIDEST: usize = 48;

/// The plan for a person: counts first, then each kind of change with at most `rows` of it.
pub fn table(guarded: &GuardedPlan, sides: &Sides<'_>, rows: usize) -> String {
    let plan = &*guarded.approved;
    let counts = &plan.counts;
    let mut text = format!(
        "{} → {}\n",
        sanitize(sides.source),
        sanitize(sides.organization)
    );
    text.push_str(&format!(
        "directory: {} active, {} disabled, {} groups\n",
        counts.active, counts.disabled, counts.groups
    ));
    text.push_str(&match plan.is_write_only() {
        true => format!(
            "organization: can't be read; {} members and {} groups by our imports",
            counts.managed_members, counts.managed_groups
        ),
        false => format!(
            "organization: {} members ({} ours), {} groups ({} ours)",
            counts.members,
            counts.managed_members,
            counts.organization_groups,
            counts.managed_groups
        ),
    });
    text.push_str(&format!("\n\nplan: {}\n", summary(plan)));
    let write_only = plan.is_write_only();
    sections(
        &mut text,
        plan.changes.iter().map(|change| (change, None)),
        rows,
        ("", write_only),
    );
    if let Some(held) = &guarded.held {
        text.push_str("\nheld, waiting for approval:\n");
        for why in held.why.iter().take(rows) {
            text.push_str(&format!("  {}\n", one_line(&why.to_string())));
        }
        more(&mut text, held.why.len().saturating_sub(rows));
        text.push_str(&format!("approve with digest {}\n", guarded.digest));
        let held = held
            .with_limits()
            .map(|(change, limit)| (change, Some(limit)));
        sections(&mut text, held, rows, ("held: ", write_only));
    }
    if !plan.problems.is_empty() {
        text.push_str(&format!("\nproblems: {}\n", plan.problems.count()));
        for (reason, count, kept) in plan.problems.by_reason() {
            text.push_str(&format!("\n{reason} ({count})\n"));
            for problem in kept.iter().take(rows) {
                text.push_str(&format!("  {}\n", one_line(&problem.message)));
            }
            more(&mut text, count.saturating_sub(rows.min(kept.len())));
        }
    }
    text
}

fn sections<'a>(
    text: &mut String,
    changes: impl Iterator<Item = (&'a Change, Option<&'static str>)> + Clone,
    rows: usize,
    (before, write_only): (&str, bool),
) {
    for kind in ORDER {
        let of_kind: Vec<_> = changes
            .clone()
            .filter(|(change, _)| change.kind() == kind)
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{before}{} ({})\n", title(kind), of_kind.len()));
        if let Some(warning) = warning(kind, write_only) {
            text.push_str(&format!("  {warning}\n"));
        }
        let lines: Vec<[String; 4]> = of_kind
            .iter()
            .take(rows)
            .map(|(change, limit)| columns(change, *limit))
            .collect();
        let width = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        for [subject, id, reason, detail] in &lines {
            let line = format!(
                "  {subject:0$}  {id:1$}  {reason:2$}  {detail}",
                widths[0], widths[1], widths[2]
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        more(text, of_kind.len().saturating_sub(rows));
    }
}

fn columns(change: &Change, limit: Option<&str>) -> [String; 4] {
    [
        truncate(&one_line(change.subject.label()), WIDEST),
        truncate(&one_line(change.external_id().as_str()), WIDEST),
        change.reason.describe().into(),
        one_line(&detail_of(change, limit)),
    ]
}

fn more(text: &mut String, count: usize) {
    if count > 0 {
        text.push_str(&format!("  … and {count} more\n"));
    }
}
