//! The part of Okta's filter language that lists understand: comparisons joined by `and`, `or` and
//! parentheses.

use serde_json::Value;

use super::answers::Refusal;
use crate::filter::{self, Syntax, Tokens};

const SYNTAX: Syntax = Syntax {
    quote: '"',
    doubled_quotes: false,
    any_case: true,
    not: false,
};

/// Attributes that `filter` of users knows; `search` knows all.
const FILTER_OF_USERS: [&str; 7] = [
    "id",
    "status",
    "lastUpdated",
    "profile.firstName",
    "profile.lastName",
    "profile.login",
    "profile.email",
];

/// A condition on an entry as the API shows it.
#[derive(Debug)]
pub(super) struct Expression(filter::Expression<Test>);

#[derive(Debug)]
enum Test {
    Present(String),
    Compare(String, Operator, String),
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Begins,
    Contains,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

const OPERATORS: [(&str, Operator); 8] = [
    ("eq", Operator::Equal),
    ("ne", Operator::NotEqual),
    ("sw", Operator::Begins),
    ("co", Operator::Contains),
    ("gt", Operator::Greater),
    ("ge", Operator::GreaterOrEqual),
    ("lt", Operator::Less),
    ("le", Operator::LessOrEqual),
];

impl Expression {
    /// What users' `filter` is, which knows few attributes.
    pub fn filter_of_users(text: &str) -> Result<Self, Refusal> {
        let parsed = Self::parse(text)?;
        let unknown = parsed.0.any(&|part| match part {
            filter::Expression::Test(test) => !FILTER_OF_USERS.contains(&test.attribute()),
            _ => false,
        });
        if unknown {
            Err(Refusal::Expression)
        } else {
            Ok(parsed)
        }
    }

    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = filter::Expression::parse(text, &SYNTAX, Test::parse);
        parsed.map(Self).ok_or(Refusal::Expression)
    }

    pub fn fits(&self, entry: &Value) -> bool {
        self.0.holds(&|test| test.fits(entry))
    }
}

impl Test {
    fn parse(tokens: &mut Tokens<'_>) -> Option<Self> {
        let name = tokens.word()?;
        if tokens.take_word("pr") {
            return Some(Self::Present(name));
        }
        let mut operators = OPERATORS.into_iter();
        let (_, operator) = operators.find(|(word, _)| tokens.take_word(word))?;
        Some(Self::Compare(name, operator, tokens.text()?))
    }

    fn attribute(&self) -> &str {
        match self {
            Self::Present(name) | Self::Compare(name, ..) => name,
        }
    }

    fn fits(&self, entry: &Value) -> bool {
        let found = text(entry, self.attribute());
        let Self::Compare(_, operator, value) = self else {
            return found.is_some();
        };
        let Some(found) = found else {
            return *operator == Operator::NotEqual;
        };
        let (found, value) = (found.to_lowercase(), value.to_lowercase());
        match operator {
            Operator::Equal => found == value,
            Operator::NotEqual => found != value,
            Operator::Begins => found.starts_with(&value),
            Operator::Contains => found.contains(&value),
            Operator::Greater => found > value,
            Operator::GreaterOrEqual => found >= value,
            Operator::Less => found < value,
            Operator::LessOrEqual => found <= value,
        }
    }
}

fn text<'e>(entry: &'e Value, name: &str) -> Option<&'e str> {
    name.split('.')
        .try_fold(entry, |value, part| value.get(part))?
        .as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn and_binds_stronger_than_or_unless_there_are_parentheses() {
        let entry = json!({"status": "ACTIVE", "profile": {"department": "Sales"}});
        let fits = |text: &str| Expression::parse(text).unwrap().fits(&entry);
        assert!(fits(
            r#"status eq "ACTIVE" or status eq "STAGED" and profile.department eq "Law""#
        ));
        assert!(!fits(
            r#"(status eq "ACTIVE" or status eq "STAGED") and profile.department eq "Law""#
        ));
        assert!(fits(
            r#"profile.department sw "sa" and profile.department pr"#
        ));
        assert!(!fits("profile.manager pr"));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in [
            "",
            "status",
            "status eq",
            "status eq ACTIVE",
            "(status pr",
            "status is \"x\"",
            "status pr)",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
        assert!(Expression::filter_of_users(r#"profile.department eq "Sales""#).is_err());
    }
}
