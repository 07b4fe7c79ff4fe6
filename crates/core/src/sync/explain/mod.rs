//! Why somebody is a member or isn't, why a group is synced or isn't, and what the next run does about it.
//!
//! Nothing is decided here. [`resolve`](crate::sync::resolve), the plan and the guard have decided, for
//! everybody; an explanation looks up what they said of one entry. Three things leave no trace in what
//! they made and are looked up in the directory before it is resolved: the entry itself, the groups in
//! groups through which somebody is in one ([`Found`]), and which pattern of a list it was.
//!
//! ```text
//! find      whom and what a question means        chains    ways through nested groups
//! person    about one person                      group     about one group
//! next_run  what the plan does about them         changes   what earlier runs did about them
//! document  the answer, as it is kept and sent    text      the answer on a terminal
//! ```

mod chains;
mod changes;
mod document;
mod find;
mod group;
mod next_run;
mod person;
mod scope;
mod text;

use std::collections::HashMap;

use uuid::Uuid;

pub use document::*;
pub use find::Found;

use crate::directory::{Directory, ExternalId, Lookup};
use crate::organization::model::{Member as OrganizationMember, Organization};
use crate::sync::guard::GuardedPlan;
use crate::sync::ledger::Ledger;
use crate::sync::policy::Policy;
use crate::sync::roster::Roster;
use crate::sync::sent::SentState;
use crate::text::sanitize;

/// So many groups of a person, members of a group and changes are named; all are counted.
const NAMED_MAX: usize = 200;
/// Longest question, in bytes.
pub const QUESTION_MAX: usize = 1024;

/// What is asked for: an address, an ID, a DN or the name of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question(String);

impl Question {
    /// `None` for an empty text, one with control characters, and one that is longer than
    /// [`QUESTION_MAX`].
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_name = !text.is_empty() && text.len() <= QUESTION_MAX;
        (is_name && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Both sides as they were read, before the directory is resolved.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// The organization.
    pub organization: &'a Organization,
    /// What was sent to an organization that can't be read.
    pub sent: &'a SentState,
    /// The rules of the resource.
    pub policy: &'a Policy,
}

/// The groups of members, by the IDs of both in the organization.
pub type MemberGroups = HashMap<Uuid, Vec<Uuid>>;

/// What a run has decided, with what it decided it from.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The directory as the policy sees it.
    pub roster: &'a Roster,
    /// The organization.
    pub organization: &'a Organization,
    /// The rules of the resource.
    pub policy: &'a Policy,
    /// The plan: what goes ahead, and what is held.
    pub guarded: &'a GuardedPlan,
    /// What earlier runs took away.
    pub ledger: &'a Ledger,
    /// The groups of the members that were asked for.
    pub member_groups: &'a MemberGroups,
    /// The members of the groups that were asked for, by the group's ID in the organization.
    pub group_members: &'a HashMap<Uuid, Vec<Uuid>>,
    /// Groups that were read for this answer alone. The next run may go by what is remembered of them.
    pub read_for_this: &'a [Uuid],
}

impl Found {
    /// The answer. `source` and `organization` are the sides in a few words.
    pub fn explain(&self, decided: &Decided<'_>, source: &str, organization: &str) -> Explanation {
        let context = Context::new(decided);
        let people = self
            .people
            .iter()
            .map(|found| person::explain(found, &context));
        let people: Vec<Person> = people.collect();
        let groups = self
            .groups
            .iter()
            .map(|found| group::explain(found, &context));
        let groups: Vec<Group> = groups.collect();
        let nobody = people.is_empty() && groups.is_empty();
        Explanation {
            asked: self.asked.clone(),
            source: source.to_owned(),
            organization: organization.to_owned(),
            not_found: nobody.then(|| self.not_found()),
            more: self.more,
            people,
            groups,
            notes: context.notes(),
        }
    }

    fn not_found(&self) -> NotFound {
        let meaning = match &self.lookup {
            Lookup::Unsupported => {
                "neither the people and groups that were read from the directory nor the organization \
                 have it: the source's own filters leave it out, or it doesn't exist"
                    .to_owned()
            }
            Lookup::Found(entries) if entries.is_empty() => {
                "neither side has it: the directory was asked for it without the source's filters, and has \
                 no such entry that the operator's account may see"
                    .to_owned()
            }
            Lookup::Found(entries) => {
                let entries = entries.iter().map(|entry| sanitize(&entry.entry));
                format!(
                    "the directory has it, and the source's own filter or base leaves it out: {}; the \
                     organization doesn't have it",
                    entries.collect::<Vec<_>>().join("; ")
                )
            }
        };
        NotFound {
            meaning,
            nearest: self.nearest.clone(),
            last_changes: vec![],
        }
    }
}

/// What was decided, with indexes.
struct Context<'a> {
    decided: &'a Decided<'a>,
    members: HashMap<Uuid, &'a OrganizationMember>,
    groups_in_scope: HashMap<&'a ExternalId, usize>,
}

impl<'a> Context<'a> {
    fn new(decided: &'a Decided<'a>) -> Self {
        let members = match decided.organization {
            Organization::Read(content) => content.members.as_slice(),
            Organization::WriteOnly => &[],
        };
        let groups = decided.roster.groups.iter().enumerate();
        Self {
            decided,
            members: members.iter().map(|member| (member.id, member)).collect(),
            groups_in_scope: groups.map(|(at, group)| (&group.id, at)).collect(),
        }
    }

    /// The ID as it is in the organization; `None` where Bitwarden can't take it.
    fn prefixed(&self, id: &ExternalId) -> Option<ExternalId> {
        id.with_prefix(&self.decided.policy.external_id_prefix).ok()
    }

    fn is_ours(&self, member: &OrganizationMember) -> bool {
        let prefix = &*self.decided.policy.external_id_prefix;
        let id = member.external_id.as_ref();
        id.is_some_and(|id| id.as_str().starts_with(prefix))
    }

    /// The problems of an entry, under each of its IDs.
    fn problems(&self, ids: &[&ExternalId]) -> Vec<Problem> {
        let problems = self.decided.guarded.approved.problems.iter();
        let theirs =
            problems.filter(|problem| problem.external_ids.iter().any(|id| ids.contains(&id)));
        let theirs = theirs.map(|problem| Problem {
            reason: problem.reason.to_string(),
            message: problem.message.clone(),
        });
        theirs.take(NAMED_MAX).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![];
        let plan = &self.decided.guarded.approved;
        if plan.is_write_only() {
            notes.push(
                "this server can't be read: what is known of the organization is what earlier runs sent"
                    .to_owned(),
            );
        }
        let uncounted = plan.problems.by_reason();
        let left_out: usize = uncounted.map(|(_, count, kept)| count - kept.len()).sum();
        if left_out > 0 {
            notes.push(format!(
                "{left_out} problems of this run aren't kept one by one; some may be of whom was asked for"
            ));
        }
        notes
    }
}

/// The first few letters of a text from elsewhere, harmless; for documents that are kept.
fn shown(text: &str) -> String {
    sanitize(text)
}
