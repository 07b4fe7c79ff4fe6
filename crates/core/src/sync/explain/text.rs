//! An explanation for a terminal of 80 columns.

use super::{
    Explanation, Group, GroupMember, InGroup, LastChange, Linked, List, Member, NextRun, NotFound,
    Person, Problem, Scope, Verdict,
};
use crate::text::{lines, one_line};

/// The width of a line, in characters.
const WIDTH: usize = 80;
/// Where the values begin.
const INDENT: usize = 16;
/// So many groups, members and changes are shown; the JSON has more.
const ROWS: usize = 50;

impl Explanation {
    /// For a person: no line is longer than 80 characters, and no text of the other sides commands the
    /// terminal.
    pub fn to_text(&self) -> String {
        let mut page = Page::default();
        page.paragraph(&format!("{} → {}", self.source, self.organization), 0);
        for person in &self.people {
            page.blank();
            page.person(person);
        }
        for group in &self.groups {
            page.blank();
            page.group(group);
        }
        if self.more > 0 {
            page.blank();
            page.paragraph(
                &format!(
                    "… and {} more people or groups: ask for one of them by its ID",
                    self.more
                ),
                0,
            );
        }
        if let Some(not_found) = &self.not_found {
            page.blank();
            page.not_found(&self.asked, not_found);
        }
        for note in &self.notes {
            page.blank();
            page.paragraph(&format!("note: {note}"), 0);
        }
        page.0
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn blank(&mut self) {
        self.0.push('\n');
    }

    /// A paragraph; lines after the first are indented.
    fn paragraph(&mut self, text: &str, indent: usize) {
        for (number, line) in wrap(text, WIDTH - indent).into_iter().enumerate() {
            let indent = if number == 0 { 0 } else { indent };
            self.0.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }

    /// Values under one label.
    fn rows(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        let mut label = label;
        for value in values {
            for (number, line) in wrap(&value, WIDTH - INDENT - 2).into_iter().enumerate() {
                let hanging = if number == 0 { "" } else { "  " };
                let line = format!("  {label:width$}{hanging}{line}", width = INDENT - 2);
                self.0.push_str(line.trim_end());
                self.0.push('\n');
                label = "";
            }
        }
    }

    fn person(&mut self, person: &Person) {
        self.paragraph(&person.person, 2);
        self.0.push_str("  ");
        self.indented(&person.summary);
        self.blank();
        self.rows("directory", directory(person));
        self.rows("scope", scope(&person.scope));
        if person.entry.is_some() {
            self.rows("groups", list(&person.groups, in_group, "in no group"));
        }
        match person.members.as_slice() {
            [] => self.rows("organization", ["not a member".to_owned()]),
            members => members
                .iter()
                .for_each(|member| self.rows("organization", self::member(member))),
        }
        let role = person.role.iter();
        self.rows("role", role.map(|role| format!("{role} (access.roles)")));
        self.next_run(&person.next_run);
        self.rows("problems", person.problems.iter().map(problem));
        let record = person.record.iter();
        self.rows(
            "record",
            record.map(|one| format!("{}  {}", one.at, one.what)),
        );
        self.rows("last changes", person.last_changes.iter().map(last_change));
    }

    fn group(&mut self, group: &Group) {
        self.paragraph(&format!("group {}", group.name), 2);
        self.0.push_str("  ");
        self.indented(&group.summary);
        self.blank();
        let id = group
            .external_id
            .as_deref()
            .unwrap_or("without an external ID");
        let in_directory = match group.in_directory {
            true => match group.in_directory_total {
                1 => format!("{id}, 1 person"),
                people => format!("{id}, {people} people"),
            },
            false => "not in the directory's list".to_owned(),
        };
        self.rows("directory", [in_directory]);
        self.rows("scope", scope(&group.scope));
        if group.contains.total > 0 {
            self.rows("contains", list(&group.contains, |name| name.clone(), ""));
        }
        self.rows("unknown", group.unknown.iter().cloned());
        let there = match &group.organization {
            None => "no such group".to_owned(),
            Some(there) => {
                let id = there.id.as_deref().unwrap_or("known by our imports");
                let members = match (there.managed, there.unmanaged) {
                    (Some(managed), Some(unmanaged)) => {
                        format!(", {managed} managed and {unmanaged} unmanaged members")
                    }
                    _ => String::new(),
                };
                let name = match there.name == group.name {
                    true => String::new(),
                    false => format!(", named {}", there.name),
                };
                format!("{id}{name}{members}")
            }
        };
        self.rows("organization", [there]);
        self.rows(
            "members",
            list(&group.members, group_member, "nobody on either side"),
        );
        let access = group.access.iter();
        self.rows(
            "collections",
            access.map(|one| format!("{one} (access.collections)")),
        );
        self.next_run(&group.next_run);
        self.rows("problems", group.problems.iter().map(problem));
        self.rows("last changes", group.last_changes.iter().map(last_change));
    }

    fn indented(&mut self, text: &str) {
        for (number, line) in wrap(text, WIDTH - 2).into_iter().enumerate() {
            let indent = if number == 0 { "" } else { "  " };
            self.0.push_str(&format!("{indent}{line}\n"));
        }
    }

    fn next_run(&mut self, next: &NextRun) {
        let change = |change: &super::PlannedChange| {
            let held = match &change.held_by {
                Some(by) => format!("; held by {by}"),
                None => String::new(),
            };
            format!("{} ({}){held}", change.what, change.why)
        };
        let mut rows: Vec<String> = list(&next.changes, change, "changes nothing").collect();
        if let Some(digest) = &next.digest {
            rows.push(format!(
                "to let go ahead all that is held: approve digest {digest}"
            ));
        }
        rows.extend(next.notes.iter().map(|note| format!("note: {note}")));
        self.rows("next run", rows);
    }

    fn not_found(&mut self, asked: &str, not_found: &NotFound) {
        self.paragraph(asked, 2);
        self.0.push_str("  ");
        self.indented(&format!("not found: {}", not_found.meaning));
        if !not_found.nearest.is_empty() {
            self.blank();
            self.rows("nearest", not_found.nearest.iter().cloned());
        }
        if !not_found.last_changes.is_empty() {
            self.blank();
            self.rows(
                "last changes",
                not_found.last_changes.iter().map(last_change),
            );
        }
    }
}

fn directory(person: &Person) -> Vec<String> {
    let Some(entry) = &person.entry else {
        return vec![match person.scope.verdict {
            Verdict::Unidentified => "an entry that can't be identified".to_owned(),
            _ => "not in the directory's list".to_owned(),
        }];
    };
    let name = entry.name.as_ref().map(|name| format!(", {name}"));
    let mut rows = vec![format!("{}{}", entry.id, name.unwrap_or_default())];
    let state = match (&*entry.state, &entry.evidence) {
        (state, Some(evidence)) => format!("{}: {evidence}", state.to_lowercase()),
        (state, None) => state.to_lowercase(),
    };
    rows.push(match &entry.email {
        Some(email) => format!("{state}, {email}"),
        None => format!("{state}, without a usable address"),
    });
    rows
}

fn scope(scope: &Scope) -> [String; 1] {
    let verdict = match scope.verdict {
        Verdict::InScope => "in scope",
        Verdict::Disabled => "in scope, and disabled",
        Verdict::Deleted => "listed as deleted",
        Verdict::OutOfScope => "out of scope",
        Verdict::Unusable => "needs manual action",
        Verdict::Unidentified => "can't be identified",
        Verdict::Absent => "absent",
    };
    [match &scope.why {
        None => verdict.to_owned(),
        Some(why) => format!("{verdict}: {why}"),
    }]
}

fn way(through: &[String]) -> String {
    match through {
        [] => "directly".to_owned(),
        groups => format!("through {}", groups.join(" > ")),
    }
}

fn in_group(group: &InGroup) -> String {
    let mut text = format!("{}: {}", group.name, way(&group.through));
    match (group.scope.verdict, &group.scope.why) {
        (Verdict::InScope, _) => {
            if group.is_member == Some(false) {
                text.push_str("; not in it in the organization");
            }
        }
        (_, Some(why)) => text.push_str(&format!("; not synced: {why}")),
        (_, None) => text.push_str("; not synced"),
    }
    text
}

fn member(member: &Member) -> Vec<String> {
    let id = member.id.as_deref().unwrap_or("by our imports");
    let role = member
        .role
        .as_ref()
        .map(|role| format!(", {role}"))
        .unwrap_or_default();
    let mut rows = vec![
        format!("{id}, {}", member.email),
        format!("{}{role}", member.status),
    ];
    let external_id = member.external_id.as_deref();
    rows.push(match (member.linked, external_id) {
        (Linked::ExternalId, Some(id)) => format!("linked by the external ID {id}"),
        (Linked::FormerId, Some(id)) => {
            format!("the external ID {id} is the name (DN) of the entry")
        }
        (Linked::Email, Some(id)) => {
            format!("the address is the same; the external ID is {id}, which is out of use")
        }
        (Linked::Email, None) => "the address is the same; not linked yet".to_owned(),
        (Linked::AnotherPerson, Some(id)) => {
            format!("the address is the same; the external ID {id} is another person's")
        }
        (_, Some(id)) => format!("external ID {id}"),
        (_, None) => "without an external ID".to_owned(),
    });
    if let Some(groups) = &member.groups {
        let mut names: Vec<String> = groups.named.iter().take(ROWS).cloned().collect();
        if groups.total > names.len() {
            names.push(format!("and {} more", groups.total - names.len()));
        }
        rows.push(match names.is_empty() {
            true => "in no group".to_owned(),
            false => format!("in {}", names.join(", ")),
        });
    }
    rows
}

fn group_member(member: &GroupMember) -> String {
    let eligibility = match (member.in_directory, member.in_organization) {
        (true, Some(false)) => "in the directory only",
        (false, _) => "in the organization only",
        (true, Some(true)) => "on both sides",
        (true, None) => "in the directory",
    };
    let way = match member.in_directory {
        true => format!(", {}", way(&member.through)),
        false => String::new(),
    };
    let why = member
        .why
        .as_ref()
        .map(|why| format!("; {why}"))
        .unwrap_or_default();
    format!("{}: {eligibility}{way}{why}", member.person)
}

fn problem(problem: &Problem) -> String {
    format!("{}: {}", problem.reason, problem.message)
}

fn last_change(change: &LastChange) -> String {
    let mut text = format!("{}  {} ({})", change.at, change.what, change.why);
    for more in change.approved.iter().chain(&change.result) {
        text.push_str(&format!("; {more}"));
    }
    format!("{text}; run {}, {}", change.run, change.trigger)
}

fn list<T>(list: &List<T>, row: impl Fn(&T) -> String, none: &str) -> impl Iterator<Item = String> {
    let mut rows: Vec<String> = list.named.iter().take(ROWS).map(row).collect();
    if list.total > rows.len() {
        rows.push(format!("… and {} more", list.total - rows.len()));
    } else if rows.is_empty() {
        rows.push(none.to_owned());
    }
    rows.into_iter()
}

/// Lines of at most `width` characters, broken between words where that can be.
fn wrap(text: &str, width: usize) -> Vec<String> {
    // Documents come through the cluster, too: what is shown is cleaned here.
    let text = one_line(&lines(text));
    let mut wrapped: Vec<String> = vec![];
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        let mut letters = word.chars().count();
        if length > 0 && length + 1 + letters > width {
            wrapped.push(std::mem::take(&mut line));
            length = 0;
        }
        while letters > width {
            let end = word
                .char_indices()
                .nth(width)
                .map_or(word.len(), |(at, _)| at);
            let rest = word.split_off(end);
            wrapped.push(std::mem::replace(&mut word, rest));
            letters -= width;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(&word);
        length += letters;
    }
    if !line.is_empty() || wrapped.is_empty() {
        wrapped.push(line);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("ends abc", 3), ["end", "s", "abc"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("a\u{1b}[2J\u{202e}b\nc", 20), ["a [2Jb c"]);
    }
}
