//! Which groups are created, re-linked, renamed or deleted; who is in them comes later.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::directory::{Evidence, ExternalId, ScopeRule};
use crate::organization::model::Group;
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::unidentified::Protected;
use crate::sync::plan::{Action, Change, Deletion, GroupAction, Reason, Subject};
use crate::sync::policy::Policy;
use crate::sync::roster::{GroupEligibility, Roster, RosterGroup};
use crate::text::sanitize;

/// What was decided about groups.
#[derive(Default)]
pub(super) struct Decided {
    /// Re-links, renames and deletions.
    pub changes: Vec<Change>,
    pub problems: Vec<Problem>,
    /// Where the people of a roster's group go: its index there, and the group.
    pub targets: Vec<(usize, Target)>,
    /// Groups of ours, by their ids in Bitwarden, that aren't synced any more.
    pub ended: HashMap<Uuid, Ended>,
}

/// A group of ours that isn't synced any more: the directory doesn't have it, or a filter leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// What says so.
    Known(Evidence),
    /// It may be a group that can't be identified.
    Doubtful,
    /// This plan deletes it.
    Deleted,
}

/// Where a roster's group is in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere: it is to be created.
    New,
    /// There.
    Existing(Uuid),
    /// There under another id, which this plan replaces.
    Relinked(Uuid),
}

/// Compares the roster's groups with the organization's by external id.
pub(super) fn decide(roster: &Roster, groups: &[Group], policy: &Policy) -> Decided {
    let mut decided = Decided::default();
    let ours = by_id(groups, &policy.external_id_prefix);
    let known: HashSet<&ExternalId> = roster
        .groups
        .iter()
        .map(|group| &group.id)
        .chain(roster.other_groups.keys())
        .collect();

    let in_scope: HashSet<&ExternalId> = roster.groups.iter().map(|group| &group.id).collect();
    let mut protected = Protected::groups(
        &roster.unidentified_groups,
        groups,
        &policy.external_id_prefix,
        |id| in_scope.contains(id),
    );

    let former = Former::new(roster, &ours, &known, &policy.external_id_prefix);
    let mut missing = vec![];
    for (at, wanted) in roster.groups.iter().enumerate() {
        match ours.get(&wanted.id).map(Vec::as_slice) {
            None | Some([]) => match former.groups_of(&wanted.id) {
                [] => missing.push(at),
                &[(from, group)] if !protected.may_be.contains(&group.id) => {
                    decided.targets.push((at, Target::Relinked(group.id)));
                    let from = Some(from.clone());
                    decided.changes.push(Change {
                        subject: subject(&wanted.id, &wanted.name, group),
                        reason: Reason::NewExternalId,
                        action: Action::Group(GroupAction::Relink { from }),
                    });
                }
                several => decided.problems.push(former_twins(wanted, several)),
            },
            Some(&[group]) => {
                decided.targets.push((at, Target::Existing(group.id)));
                let others = former.groups_of(&wanted.id);
                if !others.is_empty() {
                    decided.problems.push(former_twins(wanted, others));
                }
                if group.name != wanted.name {
                    let from = group.name.clone();
                    decided.changes.push(Change {
                        subject: subject(&wanted.id, &wanted.name, group),
                        reason: Reason::NameChanged,
                        action: Action::Group(GroupAction::Rename { from }),
                    });
                }
            }
            Some(several) => decided.problems.push(shared_id(&wanted.id, several)),
        }
    }

    let orphans: Vec<(&ExternalId, &Group)> = ours
        .iter()
        .filter(|(id, groups)| {
            let may_be = |group: &&Group| protected.may_be.contains(&group.id);
            !known.contains(*id) && !former.ids.contains(*id) && !groups.iter().any(may_be)
        })
        .filter_map(|(id, groups)| match groups.as_slice() {
            &[group] => Some((*id, group)),
            _ => None,
        })
        .collect();
    let named_once = only_once(roster.groups.iter().map(|group| (&*group.name, ())));
    let by_new_name = only_once(missing.iter().map(|&at| (&*roster.groups[at].name, at)));
    let by_old_name = only_once(orphans.iter().map(|&orphan| (&*orphan.1.name, orphan)));
    let mut by_name: HashMap<&str, Vec<&Group>> = HashMap::new();
    if !missing.is_empty() {
        for group in groups {
            by_name.entry(&group.name).or_default().push(group);
        }
    }
    let mut relinked = HashSet::new();
    for at in missing {
        let wanted = &roster.groups[at];
        let name = &*wanted.name;
        if by_new_name.contains_key(name)
            && let Some((from, group)) = by_old_name.get(name)
        {
            relinked.insert(group.id);
            decided.targets.push((at, Target::Relinked(group.id)));
            let from = Some((*from).clone());
            decided.changes.push(Change {
                subject: subject(&wanted.id, &wanted.name, group),
                reason: Reason::NewExternalId,
                action: Action::Group(GroupAction::Relink { from }),
            });
        } else {
            let same_name = by_name.get(name).into_iter().flatten();
            let unused = |id: &ExternalId| !known.contains(id) && !former.ids.contains(&id);
            let twins: Vec<&Group> = same_name
                .copied()
                .filter(|group| group.external_id.as_ref().is_none_or(unused))
                .collect();
            // Several groups of one name on either side: nobody knows which is meant.
            let own = by_name.get(name).is_some_and(|groups| groups.len() == 1);
            let unambiguous =
                own && named_once.contains_key(name) && !roster.other_group_names.contains(name);
            if let [group] = twins.as_slice()
                && group.external_id.is_none()
                && unambiguous
                && policy.groups.adopt
                && !protected.may_be.contains(&group.id)
            {
                decided.targets.push((at, Target::Relinked(group.id)));
                decided.changes.push(Change {
                    subject: subject(&wanted.id, &wanted.name, group),
                    reason: Reason::SameName,
                    action: Action::Group(GroupAction::Relink { from: None }),
                });
                continue;
            }
            decided.targets.push((at, Target::New));
            if !twins.is_empty() {
                decided.problems.push(twin(wanted, &twins, unambiguous));
            }
        }
    }

    let filtered_out = ours
        .iter()
        .filter_map(|(id, groups)| match groups.as_slice() {
            &[group] if roster.other_groups.get(*id) == Some(&GroupEligibility::OutOfScope) => {
                let evidence = Evidence::OutOfScope(ScopeRule::Groups);
                Some((*id, group, Reason::FilteredOut, evidence))
            }
            _ => None,
        });
    let gone = orphans.iter();
    let gone = gone.filter(|(_, group)| !relinked.contains(&group.id));
    let gone = gone.map(|&(id, group)| (id, group, Reason::GoneFromDirectory, Evidence::Absent));
    for (external_id, group, reason, evidence) in gone.chain(filtered_out) {
        let in_doubt = evidence == Evidence::Absent
            && match policy.groups.prune {
                true => protected.keeps(external_id),
                false => protected.would_keep(),
            };
        let ended = match (in_doubt, policy.groups.prune) {
            (true, _) => Ended::Doubtful,
            (false, true) => Ended::Deleted,
            (false, false) => Ended::Known(evidence.clone()),
        };
        let deletes = ended == Ended::Deleted;
        decided.ended.insert(group.id, ended);
        if deletes {
            decided.changes.push(Change {
                subject: subject(external_id, &group.name, group),
                reason,
                action: Action::Group(GroupAction::Delete(Box::new(Deletion {
                    evidence,
                    members: None,
                    unmanaged: vec![],
                }))),
            });
        }
    }
    decided.problems.extend(protected.problem("groups"));
    decided
}

/// Groups whose external id is the name (DN) of a group of the directory: another program kept them under
/// it. They are that group's, or left alone; none of them is gone.
struct Former<'a> {
    ids: HashSet<&'a ExternalId>,
    /// By the id that the directory's group has now.
    groups: HashMap<&'a ExternalId, Vec<(&'a ExternalId, &'a Group)>>,
}

impl<'a> Former<'a> {
    fn new(
        roster: &'a Roster,
        ours: &HashMap<&'a ExternalId, Vec<&'a Group>>,
        known: &HashSet<&ExternalId>,
        prefix: &str,
    ) -> Self {
        let mut former = Self {
            ids: HashSet::new(),
            groups: HashMap::new(),
        };
        for (&id, groups) in ours.iter().filter(|(id, _)| !known.contains(**id)) {
            let Some(now) = roster.former_group(id, prefix) else {
                continue;
            };
            former.ids.insert(id);
            let of_id = former.groups.entry(now).or_default();
            of_id.extend(groups.iter().map(|group| (id, *group)));
        }
        former
    }

    fn groups_of(&self, id: &ExternalId) -> &[(&'a ExternalId, &'a Group)] {
        self.groups.get(id).map_or(&[], Vec::as_slice)
    }
}

/// Groups of Bitwarden that all have a former id of one group: nobody can tell which is meant.
fn former_twins(wanted: &RosterGroup, twins: &[(&ExternalId, &Group)]) -> Problem {
    let mut names: Vec<String> = twins
        .iter()
        .map(|(id, group)| format!("{} ({})", sanitize(&group.name), sanitize(id.as_str())))
        .collect();
    names.sort();
    names.truncate(5);
    let message = format!(
        "group {} of the directory may be one of several in Bitwarden, whose external ids are its name: \
         {}; these were left as they are: delete all but the one that is used, in Bitwarden",
        sanitize(&wanted.name),
        names.join(", "),
    );
    let ids = [wanted.id.clone()];
    Problem::new(ProblemReason::IdentityConflict, message, ids)
}

fn subject(external_id: &ExternalId, name: &str, group: &Group) -> Subject {
    Subject::group(external_id.clone(), name.into(), Some(group.id))
}

fn by_id<'a>(groups: &'a [Group], prefix: &str) -> HashMap<&'a ExternalId, Vec<&'a Group>> {
    let mut ours: HashMap<&ExternalId, Vec<&Group>> = HashMap::with_capacity(groups.len());
    for group in groups {
        if let Some(id) = &group.external_id
            && id.as_str().starts_with(prefix)
        {
            ours.entry(id).or_default().push(group);
        }
    }
    ours
}

/// The entries whose name no other entry has.
fn only_once<'a, T>(entries: impl Iterator<Item = (&'a str, T)>) -> HashMap<&'a str, T> {
    let mut found: HashMap<&str, Option<T>> = HashMap::new();
    for (name, entry) in entries {
        found
            .entry(name)
            .and_modify(|known| *known = None)
            .or_insert(Some(entry));
    }
    found
        .into_iter()
        .filter_map(|(name, entry)| Some((name, entry?)))
        .collect()
}

/// A group with this name that isn't the directory's: nobody notices the second one until somebody
/// gives access to the wrong one.
fn twin(wanted: &RosterGroup, twins: &[&Group], unambiguous: bool) -> Problem {
    let mut ids: Vec<String> = twins
        .iter()
        .map(|group| match &group.external_id {
            None => "without an external id".to_owned(),
            Some(id) => format!("with the external id {}", sanitize(id.as_str())),
        })
        .collect();
    ids.sort();
    ids.truncate(3);
    let adoptable = unambiguous && twins.iter().all(|group| group.external_id.is_none());
    let way = match adoptable {
        true => "set groups.adopt to true (once the second one exists, delete it first)".to_owned(),
        false => format!(
            "give it the external id {} through Bitwarden's public API",
            sanitize(wanted.id.as_str())
        ),
    };
    let message = format!(
        "Bitwarden has a group {} already, {}: a second one is made for the directory's; to use the \
         one that is there, {way}, or rename or delete it",
        sanitize(&wanted.name),
        ids.join(", "),
    );
    Problem::new(
        ProblemReason::IdentityConflict,
        message,
        [wanted.id.clone()],
    )
}

fn shared_id(id: &ExternalId, groups: &[&Group]) -> Problem {
    let mut names: Vec<String> = groups.iter().map(|group| sanitize(&group.name)).collect();
    names.sort();
    names.truncate(5);
    let message = format!(
        "several groups have the external id {}: {}; delete all but one in Bitwarden",
        sanitize(id.as_str()),
        names.join(", ")
    );
    Problem::new(ProblemReason::IdentityConflict, message, [id.clone()])
}
