//! The form for a ConfigMap or a ticket.

use crate::sync::guard::GuardedPlan;
use crate::sync::plan::Change;
use crate::sync::render::{Bounded, ORDER, Sides, detail_of, summary, title, warning};
use crate::text::sanitize;

/// Room for the note that something was cut.
const NOTE: usize = 100;

/// The plan in Markdown, cut at `max_bytes` with a note that tells how many lines are missing.
pub fn markdown(guarded: &GuardedPlan, sides: &Sides<'_>, max_bytes: usize) -> String {
    let plan = &*guarded.approved;
    let (counts, write_only) = (&plan.counts, plan.is_write_only());
    let mut lines: Vec<String> = vec![
        format!(
            "# {} → {}",
            escape(sides.source),
            escape(sides.organization)
        ),
        String::new(),
        format!("Plan: {}.", summary(plan)),
        String::new(),
        "| | people | groups |".into(),
        "|---|---|---|".into(),
        format!(
            "| directory | {} active, {} disabled | {} |",
            counts.active, counts.disabled, counts.groups
        ),
        match write_only {
            true => format!(
                "| organization, which can't be read | {} by our imports | {} by our imports |",
                counts.managed_members, counts.managed_groups
            ),
            false => format!(
                "| organization | {} ({} ours) | {} ({} ours) |",
                counts.members,
                counts.managed_members,
                counts.organization_groups,
                counts.managed_groups
            ),
        },
    ];
    if let Some(held) = &guarded.held {
        lines.extend([
            String::new(),
            "## Waiting for approval".into(),
            String::new(),
            format!(
                "To let exactly these changes go ahead, approve the digest `{}`. They are held because:",
                guarded.digest
            ),
            String::new(),
        ]);
        lines.extend(
            held.why
                .iter()
                .map(|why| format!("- {}", escape(&why.to_string()))),
        );
        sections(
            &mut lines,
            write_only,
            held.with_limits()
                .map(|(change, limit)| (change, Some(limit))),
        );
    }
    if !plan.problems.is_empty() {
        lines.extend([String::new(), "## Problems".into()]);
        for (reason, count, kept) in plan.problems.by_reason() {
            lines.extend([
                String::new(),
                format!("### {reason} ({count})"),
                String::new(),
            ]);
            lines.extend(
                kept.iter()
                    .map(|problem| format!("- {}", escape(&problem.message))),
            );
            if count > kept.len() {
                lines.push(format!("- … and {} more", count - kept.len()));
            }
        }
    }
    if !plan.changes.is_empty() {
        lines.extend([String::new(), "## Changes".into()]);
        sections(
            &mut lines,
            write_only,
            plan.changes.iter().map(|change| (change, None)),
        );
    }

    let mut text = Bounded::new(max_bytes, NOTE);
    let all = lines.len();
    let shown = lines.iter().take_while(|line| text.line(line)).count();
    let mut text = text.text;
    if shown < all {
        text.push_str(&format!("\n_Cut here: {} more lines._\n", all - shown));
    }
    text
}

fn sections<'a>(
    lines: &mut Vec<String>,
    write_only: bool,
    changes: impl Iterator<Item = (&'a Change, Option<&'static str>)> + Clone,
) {
    for kind in ORDER {
        let of_kind = changes.clone().filter(|(change, _)| change.kind() == kind);
        let count = of_kind.clone().count();
        if count == 0 {
            continue;
        }
        lines.extend([
            String::new(),
            format!("### {} ({count})", title(kind)),
            String::new(),
        ]);
        if let Some(warning) = warning(kind, write_only) {
            lines.extend([format!("Mind: {warning}."), String::new()]);
        }
        lines.extend([
            "| who or what | external id | why | |".into(),
            "|---|---|---|---|".into(),
        ]);
        lines.extend(of_kind.map(|(change, limit)| {
            format!(
                "| {} | {} | {} | {} |",
                escape(change.subject.label()),
                escape(change.external_id().as_str()),
                change.reason.describe(),
                escape(&detail_of(change, limit))
            )
        }));
    }
}

/// A remote side's text so that it stays text: no markup, no table cells, no line breaks, no HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in sanitize(text).chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c => escaped.push(c),
        }
    }
    escaped
}
