//! Which rule leaves somebody out, in words. The rule is what resolving the directory recorded; here is
//! only looked up which pattern of it that was.

use super::{Context, Scope, Verdict, shown};
use crate::directory::{Email, Evidence, ExternalId, Glob, ScopeRule};
use crate::problem::ProblemReason;
use crate::sync::roster::{Eligibility, GroupEligibility, Person, Unusable};

impl Context<'_> {
    /// What resolving made of a person. `ids`: all under which a problem may name them.
    pub(super) fn scope_of(&self, person: &Person, ids: &[&ExternalId]) -> Scope {
        let (verdict, why) = match person.eligibility {
            Eligibility::Active => (Verdict::InScope, None),
            Eligibility::Disabled => (Verdict::Disabled, evidence(person)),
            Eligibility::Deleted => (Verdict::Deleted, evidence(person)),
            Eligibility::OutOfScope => {
                let why = match &person.evidence {
                    Some(Evidence::OutOfScope(rule)) => self.rule(*rule, person.email.as_ref()),
                    _ => None,
                };
                (Verdict::OutOfScope, why)
            }
            Eligibility::Unusable => {
                let why = person
                    .unusable
                    .map(|why| self.unusable(why, ids, "users.include"));
                (Verdict::Unusable, why)
            }
        };
        Scope { verdict, why }
    }

    fn rule(&self, rule: ScopeRule, email: Option<&Email>) -> Option<String> {
        let users = &self.decided.policy.users;
        Some(match rule {
            ScopeRule::UsersExclude => {
                let email = email?.as_str();
                let pattern = matching(&users.exclude, email)?;
                format!("users.exclude has {}", shown(pattern.as_str()))
            }
            ScopeRule::UsersInclude => {
                let email = shown(email?.as_str());
                format!("no pattern of users.include matches {email}")
            }
            ScopeRule::OnlyTheirMembers => {
                "in no group that is in scope, as groups.onlyTheirMembers asks for".to_owned()
            }
            ScopeRule::Groups | ScopeRule::AccessRoles | ScopeRule::AccessCollections => {
                return None;
            }
        })
    }

    /// What resolving made of a group of the directory, by its ID with the prefix.
    pub(super) fn scope_of_group(&self, id: &ExternalId, name: &str) -> Scope {
        let Some(with_prefix) = self.prefixed(id) else {
            let prefix = &self.decided.policy.external_id_prefix;
            let why = id.with_prefix(prefix).err();
            return Scope {
                verdict: Verdict::Unusable,
                why: why.map(|error| error.to_string()),
            };
        };
        if self.groups_in_scope.contains_key(&with_prefix) {
            return Scope {
                verdict: Verdict::InScope,
                why: None,
            };
        }
        match self.decided.roster.other_groups.get(&with_prefix) {
            Some(GroupEligibility::OutOfScope) => {
                let groups = &self.decided.policy.groups;
                let why = match matching(&groups.exclude, &crate::directory::fold(name)) {
                    Some(pattern) => format!("groups.exclude has {}", shown(pattern.as_str())),
                    None => format!("no pattern of groups.include matches {}", shown(name)),
                };
                Scope {
                    verdict: Verdict::OutOfScope,
                    why: Some(why),
                }
            }
            Some(GroupEligibility::Unusable(why)) => Scope {
                verdict: Verdict::Unusable,
                why: Some(self.unusable(*why, &[id, &with_prefix], "groups.include")),
            },
            None => Scope::default(),
        }
    }

    fn unusable(&self, why: Unusable, ids: &[&ExternalId], include: &str) -> String {
        match why {
            Unusable::Problem(reason) => self.problem_of(reason, ids),
            Unusable::NothingToCompare => {
                format!("there is no text to compare with {include}, so nobody can tell whether it is meant")
            }
            Unusable::MayBeInAGroup => {
                "seen in no group that is in scope, as groups.onlyTheirMembers asks for, but not all \
                 members of such groups are known"
                    .to_owned()
            }
        }
    }

    fn problem_of(&self, reason: ProblemReason, ids: &[&ExternalId]) -> String {
        let problems = self.decided.guarded.approved.problems.iter();
        let mut theirs = problems.filter(|problem| {
            problem.reason == reason && problem.external_ids.iter().any(|id| ids.contains(&id))
        });
        match theirs.next() {
            Some(problem) => problem.message.clone(),
            // Of many of one reason not all are kept.
            None => format!("the problem {reason}"),
        }
    }
}

fn evidence(person: &Person) -> Option<String> {
    person.evidence.as_ref().map(ToString::to_string)
}

fn matching<'a>(patterns: &'a [Glob], lower_case: &str) -> Option<&'a Glob> {
    patterns.iter().find(|glob| glob.matches(lower_case))
}
