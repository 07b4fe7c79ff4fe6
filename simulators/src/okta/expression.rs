//! The part of Okta's filter language that lists understand: comparisons joined by `and`, `or` and
//! parentheses.

use serde_json::Value;

use super::answers::Refusal;
use crate::filter::{self, Syntax, Tokens};

const SYNTAX: Syntax = Syntax {
    quotes: "\"",
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
struct Test {
    attribute: String,
    operator: &'static str,
    value: String,
}

const OPERATORS: [&str; 9] = ["pr", "eq", "ne", "sw", "co", "gt", "ge", "lt", "le"];

impl Expression {
    /// What users' `filter` is, which knows few attributes.
    pub fn filter_of_users(text: &str) -> Result<Self, Refusal> {
        let parsed = Self::parse(text)?;
        let unknown = parsed.0.any(&|part| match part {
            filter::Expression::Test(test) => !FILTER_OF_USERS.contains(&test.attribute.as_str()),
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
    fn parse(tokens: &mut Tokens<'_>) -> Option<filter::Expression<Self>> {
        let attribute = tokens.word()?;
        let operator = OPERATORS.into_iter().find(|word| tokens.take_word(word))?;
        let value = match operator {
            "pr" => String::new(),
            _ => tokens.text()?.to_lowercase(),
        };
        Some(filter::Expression::Test(Self {
            attribute,
            operator,
            value,
        }))
    }

    fn fits(&self, entry: &Value) -> bool {
        let Some(found) = text(entry, &self.attribute).map(str::to_lowercase) else {
            return self.operator == "ne";
        };
        match self.operator {
            "pr" => true,
            "eq" => found == self.value,
            "ne" => found != self.value,
            "sw" => found.starts_with(&self.value),
            "co" => found.contains(&self.value),
            "gt" => found > self.value,
            "ge" => found >= self.value,
            "lt" => found < self.value,
            _ => found <= self.value,
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
