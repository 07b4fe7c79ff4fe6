//! The form for a ConfigMap, a ticket or a comment.

use super::document::{ChangeRow, Entry, PlanDocument};
use super::{details, leaving, plain};

/// Room for the note that something was cut.
const NOTE: usize = 100;

/// How long a plan in Markdown may be.
#[derive(Debug, Clone, Copy)]
pub struct MarkdownOptions {
    /// Most bytes; what is longer is cut at a line, with a note that says how much is missing.
    pub max_bytes: usize,
    /// Most members of a group on each side that a row names; the others are counted.
    pub members: usize,
}

impl MarkdownOptions {
    /// Everything.
    pub const WHOLE: Self = Self {
        max_bytes: usize::MAX,
        members: usize::MAX,
    };
}

/// The plan in Markdown.
pub fn markdown(document: &PlanDocument<'_>, options: MarkdownOptions) -> String {
    let head = &document.head;
    let sizes = &head.sizes;
    let mut page = Page::new(options);
    page.lines([
        format!(
            "# {} → {}",
            escape(&head.source),
            escape(&head.organization)
        ),
        String::new(),
        format!("Plan: {}.", document.summary()),
        String::new(),
        "| | people | groups |".into(),
        "|---|---|---|".into(),
        format!(
            "| directory | {} active, {} disabled | {} |",
            sizes.active, sizes.disabled, sizes.directory_groups
        ),
        match (sizes.members, sizes.groups) {
            (Some(members), Some(groups)) => format!(
                "| organization | {members} ({} ours) | {groups} ({} ours) |",
                sizes.managed_members, sizes.managed_groups
            ),
            _ => format!(
                "| organization, which can't be read | {} by our imports | {} by our imports |",
                sizes.managed_members, sizes.managed_groups
            ),
        },
    ]);
    if let Some(recognized) = &sizes.recognized {
        page.lines([
            String::new(),
            format!("Members recognized: {}.", super::recognized(recognized)),
        ]);
    }
    if let Some(new_ids) = document.new_ids() {
        page.lines([String::new(), format!("{new_ids}.")]);
    }
    if document.held() > 0 {
        page.lines([
            String::new(),
            "## Waiting for approval".into(),
            String::new(),
            format!(
                "To let exactly these changes go ahead, approve the digest `{}`. They are held because:",
                plain(&head.digest).replace('`', "")
            ),
            String::new(),
        ]);
        page.lines(
            head.held_because
                .iter()
                .map(|why| format!("- {}", escape(why))),
        );
        page.sections(document, &document.held);
        page.omitted(document, "held");
    }
    if !document.problems.is_empty() {
        page.lines([String::new(), "## Problems".into()]);
        for (reason, count, rows) in document.problems_by_reason() {
            page.lines([
                String::new(),
                format!("### {} ({count})", escape(reason)),
                String::new(),
            ]);
            page.lines(
                rows.iter()
                    .map(|problem| format!("- {}", escape(&problem.message))),
            );
            if count > rows.len() {
                page.line(format!("- … and {} more", count - rows.len()));
            }
        }
    }
    if !document.changes.is_empty() {
        page.lines([String::new(), "## Changes".into()]);
        page.sections(document, &document.changes);
        page.omitted(document, "changes");
    }
    page.end()
}

/// A text that is cut at whole lines so that it fits.
struct Page {
    text: String,
    options: MarkdownOptions,
    left_out: usize,
}

impl Page {
    fn new(options: MarkdownOptions) -> Self {
        Self {
            text: String::new(),
            options,
            left_out: 0,
        }
    }

    fn has_room(&self) -> bool {
        self.left_out == 0
    }

    /// Adds a line unless it, or one before it, doesn't fit.
    fn line(&mut self, line: String) {
        let max = self.options.max_bytes.saturating_sub(NOTE);
        if self.has_room() && self.text.len() + line.len() < max {
            self.text.push_str(&line);
            self.text.push('\n');
        } else {
            self.left_out += 1;
        }
    }

    fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.line(line));
    }

    fn omitted(&mut self, document: &PlanDocument<'_>, list: &str) {
        if let Some(count) = document.omitted.get(list) {
            self.lines([
                String::new(),
                format!("_{count} more had no room in the published plan._"),
            ]);
        }
    }

    fn sections<'a>(&mut self, document: &PlanDocument<'a>, entries: &[Entry<'a>]) {
        for section in entries.chunk_by(|a, b| a.action() == b.action()) {
            let first = &section[0];
            self.lines([
                String::new(),
                format!("### {} ({})", escape(first.action()), section.len()),
                String::new(),
            ]);
            let write_only = document.head.sizes.is_write_only();
            let warning = first.warning(write_only);
            if let Some(warning) = warning {
                self.lines([format!("Mind: {warning}."), String::new()]);
            }
            self.lines([
                "| who or what | external id | why |".into(),
                "|---|---|---|".into(),
            ]);
            for entry in section {
                // A row that has no room anyway isn't made.
                match self.has_room() {
                    true => self.row(&document.row(entry)),
                    false => self.left_out += 1,
                }
            }
        }
    }

    fn row(&mut self, row: &ChangeRow<'_>) {
        let max = self.options.members;
        let mut why = details(row)
            .iter()
            .map(|one| escape(one))
            .collect::<Vec<_>>()
            .join("; ");
        let remove = row.remove.as_deref().unwrap_or_default();
        let add = row.add.as_deref().unwrap_or_default();
        let add = add.iter().map(|member| plain(member.label()));
        let remove = remove.iter().map(leaving);
        for (mark, all) in [("−", remove.collect::<Vec<_>>()), ("+", add.collect())] {
            if all.is_empty() {
                continue;
            }
            let names = all.iter().take(max).map(|name| escape(name));
            let mut names = names.collect::<Vec<_>>().join(", ");
            if all.len() > max {
                names.push_str(&format!(", … and {} more", all.len() - max));
            }
            why.push_str(&format!("<br>{mark} {names}"));
        }
        self.line(format!(
            "| {} | {} | {why} |",
            escape(row.label()),
            escape(&row.external_id),
        ));
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            let note = format!("\n_Cut here: {} more lines._\n", self.left_out);
            self.text.push_str(&note);
        }
        self.text
    }
}

/// A remote side's text so that it stays text: no markup, no table cells, no line breaks, no HTML, no
/// links, and nobody is mentioned by it (`@name` on GitHub and GitLab).
fn escape(text: &str) -> String {
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // GitHub and GitLab show what stands between two of them as a formula.
            '$' => escaped.push_str("&#36;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A mention begins a word; an email doesn't.
            '@' if !before.is_alphanumeric() => escaped.push_str("@<!-- -->"),
            ':' if text[at..].starts_with("://") => escaped.push_str("&#58;"),
            '.' if at >= 3 && text.as_bytes()[at - 3..at].eq_ignore_ascii_case(b"www") => {
                escaped.push_str("&#46;")
            }
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}
