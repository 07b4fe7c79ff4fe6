//! The part of the Admin SDK's query language that lists understand: clauses that all must hold, of
//! a field, `=` or `:`, and a value that may be quoted or end in `*`.

use super::answers::Refusal;
use super::model::{Group, Member, Store, User};
use crate::filter::{Syntax, Token, Tokens};

const SYNTAX: Syntax = Syntax {
    quotes: "'\"",
    doubled_quotes: false,
    any_case: false,
    not: false,
};

/// Fields of users, and of groups.
const OF_USERS: [&str; 7] = [
    "email",
    "name",
    "isAdmin",
    "isSuspended",
    "isArchived",
    "orgUnitPath",
    "orgDepartment",
];
const OF_GROUPS: [&str; 3] = ["email", "name", "memberKey"];

/// Conditions on an entry.
#[derive(Debug)]
pub(super) struct Query(Vec<Clause>);

#[derive(Debug)]
struct Clause {
    field: String,
    /// `:`, which looks for words, and with a `*` for what begins so.
    contains: bool,
    value: String,
}

impl Query {
    pub fn of_users(text: &str) -> Result<Self, Refusal> {
        Self::parse(text, &OF_USERS)
    }

    pub fn of_groups(text: &str) -> Result<Self, Refusal> {
        Self::parse(text, &OF_GROUPS)
    }

    fn parse(text: &str, known: &[&str]) -> Result<Self, Refusal> {
        let clauses = clauses(text).filter(|clauses| {
            let fields = clauses.iter().map(|clause| clause.field.as_str());
            !clauses.is_empty() && fields.into_iter().all(|field| known.contains(&field))
        });
        let invalid = || Refusal::Invalid("query".to_owned());
        clauses.map(Self).ok_or_else(invalid)
    }

    pub fn fits_user(&self, user: &User) -> bool {
        self.0.iter().all(|clause| match clause.field.as_str() {
            "email" => {
                let all = [&user.email].into_iter().chain(&user.aliases);
                all.chain(&user.other_aliases).any(|one| clause.fits(one))
            }
            "name" => clause.fits("Given Family"),
            "isAdmin" => clause.fits(&user.admin.to_string()),
            "isSuspended" => clause.fits(&user.suspended.to_string()),
            "isArchived" => clause.fits(&user.archived.to_string()),
            // A unit stands for all below it.
            "orgUnitPath" => {
                let unit = clause.value.trim_end_matches('/');
                let rest = user.unit.strip_prefix(unit);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => clause.fits(&user.department),
        })
    }

    pub fn fits_group(&self, group: &Group, store: &Store) -> bool {
        self.0.iter().all(|clause| match clause.field.as_str() {
            "email" => clause.fits(&group.email),
            "name" => clause.fits(&group.name),
            _ => group.members.iter().any(|member| match member {
                Member::User(id) => {
                    let user = store.users.get(id);
                    *id == clause.value || user.is_some_and(|user| clause.fits(&user.email))
                }
                _ => false,
            }),
        })
    }
}

impl Clause {
    fn fits(&self, found: &str) -> bool {
        let (found, value) = (found.to_lowercase(), self.value.to_lowercase());
        match (self.contains, value.strip_suffix('*')) {
            (true, Some(start)) => found.starts_with(start),
            (true, None) => found.contains(&value),
            (false, _) => found == value,
        }
    }
}

fn clauses(text: &str) -> Option<Vec<Clause>> {
    let mut tokens = Tokens::read(text, &SYNTAX)?;
    let mut clauses = vec![];
    while !tokens.is_at_end() {
        let field = tokens.word()?;
        let contains = tokens.take_mark(':');
        if !contains {
            tokens.expect('=')?;
        }
        let (Token::Word(value) | Token::Text(value)) = tokens.token()? else {
            return None;
        };
        clauses.push(Clause {
            field,
            contains,
            value,
        });
    }
    Some(clauses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google_workspace::UserSeed;

    #[test]
    fn all_clauses_must_hold_and_a_unit_stands_for_what_is_below_it() {
        let ann = UserSeed::new("ann@example.com")
            .unit("/Staff/Law")
            .department("Legal Affairs");
        let fits = |text: &str| Query::of_users(text).unwrap().fits_user(&ann);
        assert!(fits("email:ann*"));
        assert!(fits("orgUnitPath=/Staff isSuspended=false"));
        assert!(fits(
            "orgUnitPath='/Staff/Law' orgDepartment='legal affairs'"
        ));
        assert!(fits("orgDepartment:legal"));
        assert!(!fits("orgDepartment=legal"));
        assert!(!fits("orgUnitPath=/Sta"));
        assert!(!fits("email:ann* isSuspended=true"));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in ["", "Staff", "email:", "shoeSize=42", "name='open", "=x"] {
            assert!(Query::of_users(text).is_err(), "{text}");
        }
        assert!(Query::of_groups("isSuspended=true").is_err());
    }
}
