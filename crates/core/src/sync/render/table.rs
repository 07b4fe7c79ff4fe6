//! The form for a terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::document::{ChangeRow, Entry, MemberRow, PlanDocument};
use super::{details, leaving, plain, sizes};
use crate::problem::ProblemReason;
use crate::sync::plan::Kind;
use crate::text::is_printable_ascii;

/// How much text is collected before it is given away.
const PART: usize = 64 << 10;

/// Widest column of names. A longer name stands on a line of its own.
const NAMES_MAX: usize = 40;

/// How a table is laid out.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// Characters in a line; `None`: lines aren't wrapped.
    pub width: Option<usize>,
    /// Most rows of each list, and members of each group, that are shown.
    pub rows: usize,
    /// How changes are arranged.
    pub order: Order,
    /// What shows what was left out, for the note that something was: `--all`.
    pub all_by: &'static str,
}

/// How changes are arranged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By what is done: what takes access away first.
    #[default]
    Action,
    /// By person: what is done with each, and with their groups.
    Person,
    /// By group: who comes and goes.
    Group,
}

/// The plan for a person: sizes and counts first, what is held, then the changes and problems.
pub fn table(document: &PlanDocument<'_>, options: &TableOptions) -> String {
    let mut all = String::new();
    table_in_parts(document, options, &mut |part| all.push_str(part));
    all
}

/// The same, given to `take` in parts: a plan of 100,000 people has many megabytes.
pub fn table_in_parts(
    document: &PlanDocument<'_>,
    options: &TableOptions,
    take: &mut dyn FnMut(&str),
) {
    let mut page = Page::new(options, take);
    let head = &document.head;
    page.line(
        0,
        &format!("{} → {}", plain(&head.source), plain(&head.organization)),
    );
    sizes(&head.sizes)
        .iter()
        .for_each(|line| page.line(0, line));
    page.blank();
    page.line(0, &format!("plan: {}", document.summary()));
    if let Some(new_ids) = document.new_ids() {
        page.line(0, &new_ids);
    }
    page.changes(document, &document.changes, "");
    page.left_out(document, "changes");
    if document.held() > 0 {
        page.held(document);
    }
    let by_reason = document.problems_by_reason();
    let (problems, notes): (Vec<_>, Vec<_>) = by_reason
        .into_iter()
        .partition(|(reason, ..)| ProblemReason::name_needs_action(reason));
    for (title, reasons) in [
        ("entries that need manual action", problems),
        ("for information", notes),
    ] {
        if reasons.is_empty() {
            continue;
        }
        page.blank();
        page.line(0, &format!("{title}:"));
        for (reason, count, rows) in reasons {
            page.blank();
            page.line(0, &format!("{} ({count})", plain(reason)));
            let shown = rows.iter().take(options.rows);
            shown.for_each(|problem| page.line(2, &plain(&problem.message)));
            page.more(2, count.saturating_sub(options.rows.min(rows.len())));
        }
    }
    page.left_out(document, "problems");
    page.end();
}

/// The held changes alone.
pub fn held_table(document: &PlanDocument<'_>, options: &TableOptions) -> String {
    let mut all = String::new();
    let mut take = |part: &str| all.push_str(part);
    let mut page = Page::new(options, &mut take);
    page.held(document);
    page.end();
    all
}

struct Page<'o> {
    text: String,
    options: &'o TableOptions,
    take: &'o mut dyn FnMut(&str),
}

impl<'o> Page<'o> {
    fn new(options: &'o TableOptions, take: &'o mut dyn FnMut(&str)) -> Self {
        Self {
            text: String::new(),
            options,
            take,
        }
    }

    fn end(&mut self) {
        (self.take)(&self.text);
        self.text.clear();
    }

    fn spaces(&mut self, count: usize) {
        const SPACES: &str = "                                                                ";
        let mut left = count;
        while left > 0 {
            let these = left.min(SPACES.len());
            self.text.push_str(&SPACES[..these]);
            left -= these;
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line, wrapped between words where it is too long.
    fn line(&mut self, indent: usize, line: &str) {
        self.wrapped(indent, indent + 2, line);
    }

    /// The first line begins at `first`, those after it at `hanging`.
    fn wrapped(&mut self, first: usize, hanging: usize, line: &str) {
        self.spaces(first);
        self.rest(first, hanging, line);
    }

    /// What follows on a line of which `used` columns are used.
    fn rest(&mut self, used: usize, hanging: usize, line: &str) {
        let Some(width) = self.options.width else {
            self.text.push_str(line);
            self.text.push('\n');
            return;
        };
        let mut column = used;
        let mut begun = false;
        for word in line.split(' ') {
            let mut word = word;
            if begun && column + 1 + word.width() > width {
                self.text.push('\n');
                self.text.push_str(&" ".repeat(hanging));
                (column, begun) = (hanging, false);
            }
            if begun {
                self.text.push(' ');
                column += 1;
            }
            // A word that fits on no line is broken, not cut.
            while column + word.width() > width && width > hanging + 8 {
                let end = fitting(word, width.saturating_sub(column));
                self.text.push_str(&word[..end]);
                self.text.push('\n');
                self.text.push_str(&" ".repeat(hanging));
                column = hanging;
                word = &word[end..];
            }
            self.text.push_str(word);
            column += word.width();
            begun = true;
        }
        self.text.push('\n');
    }

    fn more(&mut self, indent: usize, count: usize) {
        if count > 0 {
            let all_by = self.options.all_by;
            self.line(indent, &format!("… and {count} more ({all_by} shows them)"));
        }
    }

    /// What a published plan had no room for.
    fn left_out(&mut self, document: &PlanDocument<'_>, list: &str) {
        if let Some(count) = document.omitted.get(list) {
            let what = if list == "held" { "held changes" } else { list };
            self.line(
                2,
                &format!("… and {count} more {what}, for which the published plan had no room"),
            );
        }
    }

    fn held(&mut self, document: &PlanDocument<'_>) {
        self.blank();
        self.line(0, "held, waiting for approval:");
        let why = &document.head.held_because;
        let shown = why.iter().take(self.options.rows);
        shown.for_each(|why| self.line(2, &plain(why)));
        self.more(2, why.len().saturating_sub(self.options.rows));
        self.line(
            0,
            &format!("approve with digest {}", plain(&document.head.digest)),
        );
        self.changes(document, &document.held, "held: ");
        self.left_out(document, "held");
    }

    fn changes<'a>(&mut self, document: &PlanDocument<'a>, entries: &[Entry<'a>], before: &str) {
        match self.options.order {
            Order::Action => self.by_action(document, entries, before),
            Order::Person => self.by_person(document, entries, before),
            Order::Group => {
                let (groups, people): (Vec<_>, Vec<_>) =
                    entries.iter().cloned().partition(Entry::is_of_group);
                self.by_group(document, groups, before);
                self.by_action(document, &people, before);
            }
        }
    }

    fn by_action<'a>(&mut self, document: &PlanDocument<'a>, entries: &[Entry<'a>], before: &str) {
        for section in entries.chunk_by(|a, b| a.action() == b.action()) {
            let first = &section[0];
            self.blank();
            let title = format!("{before}{} ({})", plain(first.action()), section.len());
            self.line(0, &title);
            let write_only = document.head.sizes.is_write_only();
            let warning = first.warning(write_only);
            warning.iter().for_each(|warning| self.line(2, warning));
            let shown = &section[..section.len().min(self.options.rows)];
            let names = shown.iter().map(|entry| width(&plain(entry.label())));
            let most = self
                .options
                .width
                .map_or(NAMES_MAX, |width| NAMES_MAX.min(width / 2));
            let column = names.max().unwrap_or_default().min(most);
            for row in document.rows(shown) {
                self.row(&row, column);
            }
            self.more(2, section.len() - shown.len());
        }
    }

    /// A name in a column of this width and what there is to say; below it a group's members.
    fn row(&mut self, row: &ChangeRow<'_>, column: usize) {
        if self.text.len() > PART {
            self.end();
        }
        let name = plain(row.label());
        let width = width(&name);
        let details = joined(details(row));
        let column = column + 4;
        if width + 4 <= column || self.options.width.is_none() {
            let room = column.saturating_sub(width + 2).max(2);
            self.text.push_str("  ");
            self.text.push_str(&name);
            self.spaces(room);
            self.rest(column, column, &details);
        } else {
            self.line(2, &name);
            self.wrapped(column, column, &details);
        }
        self.members(row);
    }

    /// Who leaves, each with the evidence; then who comes.
    fn members(&mut self, row: &ChangeRow<'_>) {
        let rows = self.options.rows;
        let remove = row.remove.as_deref().unwrap_or_default();
        for member in remove.iter().take(rows) {
            self.wrapped(4, 6, &format!("− {}", leaving(member)));
        }
        self.more(4, remove.len().saturating_sub(rows));
        let add = row.add.as_deref().unwrap_or_default();
        let mut line = String::new();
        for member in add.iter().take(rows) {
            line.push_str(if line.is_empty() { "+ " } else { ", " });
            line.push_str(&plain(member.label()));
        }
        if !line.is_empty() {
            self.wrapped(4, 6, &line);
        }
        self.more(4, add.len().saturating_sub(rows));
    }

    fn by_group<'a>(
        &mut self,
        document: &PlanDocument<'a>,
        mut groups: Vec<Entry<'a>>,
        before: &str,
    ) {
        groups.sort_by(|a, b| a.label().cmp(b.label()));
        for group in groups
            .chunk_by(|a, b| a.label() == b.label())
            .take(self.options.rows)
        {
            self.blank();
            self.line(0, &format!("{before}group {}", plain(group[0].label())));
            for entry in group {
                let row = document.row(entry);
                let action = plain(entry.action());
                self.wrapped(2, 4, &format!("{action}: {}", details(&row).join("; ")));
                self.members(&row);
            }
        }
        let all = groups.chunk_by(|a, b| a.label() == b.label()).count();
        self.more(0, all.saturating_sub(self.options.rows));
    }

    fn by_person<'a>(&mut self, document: &PlanDocument<'a>, entries: &[Entry<'a>], before: &str) {
        let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut groups = vec![];
        for entry in entries {
            let row = document.row(entry);
            if !row.is_of_group() {
                let action = plain(entry.action());
                let line = format!("{action}: {}", details(&row).join("; "));
                people
                    .entry(plain(row.label()).into_owned())
                    .or_default()
                    .push(line);
                continue;
            }
            let group = plain(row.label());
            let held = row.held_by.as_deref().map(plain);
            let held = held.map_or(String::new(), |limit| format!("; held by {limit}"));
            let is_deletion = row.kind() == Some(Kind::DeleteGroup);
            let is_empty =
                |list: &Option<Vec<MemberRow<'_>>>| list.as_ref().is_none_or(Vec::is_empty);
            for member in row.remove.iter().flatten() {
                let because = match &member.evidence {
                    Some(evidence) => format!("; {}", plain(&evidence.detail)),
                    None => String::new(),
                };
                let line = match is_deletion {
                    true => format!("loses group {group}, which is deleted{held}"),
                    false => format!("leaves group {group}{because}{held}"),
                };
                people
                    .entry(plain(member.label()).into_owned())
                    .or_default()
                    .push(line);
            }
            for member in row.add.iter().flatten() {
                let line = format!("comes into group {group}{held}");
                people
                    .entry(plain(member.label()).into_owned())
                    .or_default()
                    .push(line);
            }
            // What has no members to stand with.
            if is_empty(&row.add) && is_empty(&row.remove) {
                groups.push(entry.clone());
            }
        }
        if !people.is_empty() {
            self.blank();
        }
        let all = people.len();
        for (person, lines) in people.into_iter().take(self.options.rows) {
            self.line(0, &format!("{before}{person}"));
            lines.iter().for_each(|line| self.wrapped(2, 4, line));
        }
        self.more(0, all.saturating_sub(self.options.rows));
        self.by_action(document, &groups, before);
    }
}

/// How many columns `text` takes, which is [`plain`].
fn width(text: &str) -> usize {
    match is_printable_ascii(text) {
        true => text.len(),
        false => text.width(),
    }
}

/// What there is to say about a change, in one line.
fn joined<'t>(mut details: Vec<Cow<'t, str>>) -> Cow<'t, str> {
    match details.len() {
        1 => details.remove(0),
        _ => details.join("; ").into(),
    }
}

/// How many bytes of `text` fit in so many columns; at least one character.
fn fitting(text: &str, columns: usize) -> usize {
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or_default();
        if used > columns && end > 0 {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}
