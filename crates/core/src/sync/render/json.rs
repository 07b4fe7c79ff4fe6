//! The form for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::directory::{Evidence, ExternalId};
use crate::problem::Problem;
use crate::sync::guard::{GuardedPlan, Held};
use crate::sync::plan::{Action, Change, GroupAction, Kind, MemberAction, Name, Reason};
use crate::sync::render::Sides;

/// How many members a change lists where the length is limited.
const LISTED: usize = 100;

/// The plan as one JSON object:
/// `{digest, source, organization, changes: [{action, externalId, email|name, reason, evidence?,
/// add?, remove?}], held, problems: [{reason, message, externalIds}]}`. What takes something away
/// has its `evidence`: `{kind: Disabled|Absent|OutOfScope, detail}`; `removeEvidence` is that of
/// each of `remove` where it isn't Absent, by external id. What is held says by which limit (`heldBy`:
/// the name of its field).
///
/// With `max_bytes` it is cut to fit, and still JSON: `truncated` counts the changes, held changes
/// and problems left out, and long lists of members end after some with their full length beside
/// them (`addTotal`, `removeTotal`).
pub fn json(guarded: &GuardedPlan, sides: &Sides<'_>, max_bytes: Option<usize>) -> String {
    let listed = max_bytes.map_or(usize::MAX, |_| LISTED);
    let held = guarded.held.as_ref();
    let row = |change| to_json(&Row::new(change, listed));
    let held_rows = held
        .into_iter()
        .flat_map(Held::with_limits)
        .map(|(change, limit)| {
            let mut row = Row::new(change, listed);
            row.held_by = Some(limit);
            to_json(&row)
        });

    // What everything else needs, with room for the counts of what is left out.
    let mut head = vec![
        ("digest", to_json(&guarded.digest)),
        ("source", to_json(&sides.source)),
        ("organization", to_json(&sides.organization)),
    ];
    if let Some(held) = held {
        head.push(("heldBecause", to_json(&held.describe())));
    }
    let head: String = head
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value},"))
        .collect();
    let mut room = max_bytes.map_or(usize::MAX, |max| max.saturating_sub(head.len() + 200));

    // What waits for a person and what needs manual action matter most where room is short.
    let limit = |room: usize, share: usize| {
        if max_bytes.is_some() {
            room / share
        } else {
            usize::MAX
        }
    };
    let held = Rows::fill(held_rows, limit(room, 3));
    room = room.saturating_sub(held.text.len());
    let problems = &guarded.approved.problems;
    let mut problem_rows = Rows::fill(problems.iter().map(short_problem(listed)), limit(room, 3));
    problem_rows.left_out = problems.count() - problem_rows.taken;
    room = room.saturating_sub(problem_rows.text.len());
    let changes = Rows::fill(guarded.approved.changes.iter().map(row), limit(room, 1));

    let mut text = format!(
        "{{{head}\"changes\":[{}],\"held\":[{}],\"problems\":[{}]",
        changes.text, held.text, problem_rows.text
    );
    let left_out: Vec<String> = [
        ("changes", &changes),
        ("held", &held),
        ("problems", &problem_rows),
    ]
    .into_iter()
    .filter(|(_, rows)| rows.left_out > 0)
    .map(|(name, rows)| format!("\"{name}\":{}", rows.left_out))
    .collect();
    if !left_out.is_empty() {
        text.push_str(&format!(",\"truncated\":{{{}}}", left_out.join(",")));
    }
    text.push('}');
    text
}

/// Elements of a JSON array, as many as fit.
struct Rows {
    text: String,
    taken: usize,
    left_out: usize,
}

impl Rows {
    fn fill(rows: impl Iterator<Item = String>, max: usize) -> Self {
        let mut filled = Self {
            text: String::new(),
            taken: 0,
            left_out: 0,
        };
        for row in rows {
            if filled.left_out > 0 || filled.text.len() + row.len() + 1 > max {
                filled.left_out += 1;
                continue;
            }
            if filled.taken > 0 {
                filled.text.push(',');
            }
            filled.text.push_str(&row);
            filled.taken += 1;
        }
        filled
    }
}

fn short_problem(listed: usize) -> impl Fn(&Problem) -> String {
    move |problem| {
        let mut problem = problem.clone();
        problem.external_ids.truncate(listed);
        to_json(&problem)
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists have a JSON form")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    action: Kind,
    external_id: &'a ExternalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    reason: &'a Reason,
    /// The old external id of a re-link, the old name of a renamed group.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    staged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<&'a [ExternalId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<Vec<&'a ExternalId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_total: Option<usize>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    remove_evidence: BTreeMap<&'a str, Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Shown>,
    /// The limit that holds it, by the name of its field.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<&'static str>,
}

/// The evidence of a change, for programs.
#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    detail: String,
}

impl Shown {
    fn new(evidence: &Evidence) -> Self {
        let kind = match evidence {
            Evidence::Disabled(_) => "Disabled",
            Evidence::Absent => "Absent",
            Evidence::OutOfScope(_) => "OutOfScope",
        };
        Self {
            kind,
            detail: evidence.to_string(),
        }
    }
}

impl<'a> Row<'a> {
    fn new(change: &'a Change, listed: usize) -> Self {
        let (email, name) = match &change.subject.name {
            Name::Email(email) => (Some(email.as_str()), None),
            Name::Group(name) => (None, Some(&**name)),
        };
        let mut row = Self {
            action: change.kind(),
            external_id: change.external_id(),
            email,
            name,
            reason: &change.reason,
            from: None,
            staged: false,
            add: None,
            add_total: None,
            remove: None,
            remove_total: None,
            remove_evidence: BTreeMap::new(),
            evidence: None,
            held_by: None,
        };
        match &change.action {
            Action::Member(action) => row.put_member(action),
            Action::Group(action) => row.put_group(action, listed),
        }
        row
    }

    fn put_member(&mut self, action: &'a MemberAction) {
        match action {
            MemberAction::Invite { staged, from } => {
                self.staged = *staged;
                self.from = from.as_ref().map(|from| from.as_str());
            }
            MemberAction::Relink { from } => self.from = Some(from.as_str()),
            MemberAction::Revoke { evidence } | MemberAction::Remove { evidence } => {
                self.evidence = Some(Shown::new(evidence));
            }
            MemberAction::Link | MemberAction::Restore => {}
        }
    }

    fn put_group(&mut self, action: &'a GroupAction, listed: usize) {
        match action {
            GroupAction::Create { add } => self.put_added(add, listed),
            GroupAction::Relink { from } => self.from = from.as_ref().map(|from| from.as_str()),
            GroupAction::Rename { from } => self.from = Some(from),
            GroupAction::Update(update) => {
                self.put_added(&update.add, listed);
                let remove = update.remove.iter().take(listed);
                self.remove_evidence = remove
                    .clone()
                    .filter(|withdrawal| withdrawal.evidence != Evidence::Absent)
                    .map(|withdrawal| {
                        let id = withdrawal.external_id.as_str();
                        (id, Shown::new(&withdrawal.evidence))
                    })
                    .collect();
                self.remove = Some(remove.map(|withdrawal| &withdrawal.external_id).collect());
                let total = update.remove.len();
                self.remove_total = (total > listed).then_some(total);
            }
            GroupAction::Delete { evidence, .. } => self.evidence = Some(Shown::new(evidence)),
        }
    }

    fn put_added(&mut self, add: &'a [ExternalId], listed: usize) {
        self.add = Some(&add[..add.len().min(listed)]);
        self.add_total = (add.len() > listed).then_some(add.len());
    }
}
