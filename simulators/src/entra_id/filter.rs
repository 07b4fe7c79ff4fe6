//! The part of OData's `$filter` that is in use on users and groups.

use serde_json::{Map, Value};

use crate::filter::{Expression, Syntax, Token, Tokens};

const SYNTAX: Syntax = Syntax {
    quotes: "'",
    doubled_quotes: true,
    any_case: false,
    not: true,
};

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Filter {
    root: Expression<Test>,
    /// Needs `ConsistencyLevel: eventual` and `$count=true` (Graph: advanced query).
    pub advanced: bool,
}

#[derive(Debug)]
enum Test {
    Equal(String, Value),
    NotEqual(String, Value),
    Starts(String, String),
    Ends(String, String),
    In(String, Vec<Value>),
    /// `list/any(x:x eq 'v')`, `list/any(x:x/field eq 'v')`.
    Any(String, Option<String>, Value),
}

impl Filter {
    /// None: it isn't a filter.
    pub fn parse(text: &str) -> Option<Self> {
        let root = Expression::parse(text, &SYNTAX, |tokens| {
            Test::parse(tokens).map(Expression::Test)
        })?;
        let advanced = root.any(&|part| {
            matches!(
                part,
                Expression::Not(_) | Expression::Test(Test::NotEqual(..) | Test::Ends(..))
            )
        });
        Some(Self { root, advanced })
    }

    /// The properties that it looks at, each with an operator.
    pub fn uses(&self) -> Vec<(&str, &'static str)> {
        let mut uses = vec![];
        self.root.each(false, &mut |test, negated| {
            let (name, operator) = match test {
                Test::Equal(name, _) | Test::Any(name, ..) => (name, "eq"),
                Test::NotEqual(name, _) => (name, "ne"),
                Test::Starts(name, _) => (name, "startsWith"),
                Test::Ends(name, _) => (name, "endsWith"),
                Test::In(name, _) => (name, "in"),
            };
            uses.push((name.as_str(), operator));
            if negated {
                uses.push((name.as_str(), "not"));
            }
        });
        uses
    }

    pub fn fits(&self, object: &Map<String, Value>) -> bool {
        self.root.holds(&|test| test.fits(object))
    }
}

impl Test {
    fn parse(tokens: &mut Tokens<'_>) -> Option<Self> {
        let name = tokens.word()?;
        let lower = name.to_lowercase();
        if lower == "startswith" || lower == "endswith" {
            tokens.expect('(')?;
            let field = tokens.word()?;
            tokens.expect(',')?;
            let part = tokens.text()?.to_lowercase();
            tokens.expect(')')?;
            return Some(match lower.as_str() {
                "endswith" => Self::Ends(field, part),
                _ => Self::Starts(field, part),
            });
        }
        if let Some(list) = name.strip_suffix("/any") {
            tokens.expect('(')?;
            let variable = tokens.word()?;
            tokens.expect(':')?;
            let path = tokens.word()?;
            let inner = path.strip_prefix(&variable)?.strip_prefix('/');
            tokens.take_word("eq").then_some(())?;
            let value = value(tokens)?;
            tokens.expect(')')?;
            return Some(Self::Any(list.to_owned(), inner.map(str::to_owned), value));
        }
        if tokens.take_word("in") {
            tokens.expect('(')?;
            let mut values = vec![value(tokens)?];
            while tokens.take_mark(',') {
                values.push(value(tokens)?);
            }
            tokens.expect(')')?;
            return Some(Self::In(name, values));
        }
        match tokens.word()?.as_str() {
            "eq" => Some(Self::Equal(name, value(tokens)?)),
            "ne" => Some(Self::NotEqual(name, value(tokens)?)),
            _ => None,
        }
    }

    fn fits(&self, object: &Map<String, Value>) -> bool {
        let field = |name: &str| object.get(name).cloned().unwrap_or_default();
        let text = |name: &str| field(name).as_str().map(str::to_lowercase);
        match self {
            Self::Equal(name, value) => same(&field(name), value),
            Self::NotEqual(name, value) => !same(&field(name), value),
            Self::In(name, values) => values.iter().any(|value| same(&field(name), value)),
            Self::Starts(name, part) => text(name).is_some_and(|text| text.starts_with(part)),
            Self::Ends(name, part) => text(name).is_some_and(|text| text.ends_with(part)),
            Self::Any(name, inner, value) => field(name).as_array().is_some_and(|list| {
                list.iter().any(|item| match inner {
                    Some(inner) => same(&item[inner], value),
                    None => same(item, value),
                })
            }),
        }
    }
}

fn value(tokens: &mut Tokens<'_>) -> Option<Value> {
    match tokens.token()? {
        Token::Text(text) => Some(Value::String(text)),
        Token::Word(word) => match word.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            // A GUID stands without quotes.
            guid if guid.len() == 36 => Some(Value::String(word)),
            _ => None,
        },
        Token::Mark(_) => None,
    }
}

/// Texts are compared without regard to case.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_says_what_it_says_and_whether_it_needs_an_index() {
        let object = json!({
            "displayName": "O'Brien",
            "department": "Engineering",
            "accountEnabled": true,
            "groupTypes": ["Unified"],
            "assignedLicenses": [{"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900"}],
        });
        let object = object.as_object().unwrap();
        for (text, fits, advanced) in [
            ("department eq 'engineering'", true, false),
            ("department ne 'Sales'", true, true),
            ("startswith(displayName,'o''b')", true, false),
            ("endsWith(displayName, 'x')", false, true),
            (
                "accountEnabled eq false or department in ('Sales','Engineering')",
                true,
                false,
            ),
            (
                "not(department eq 'Engineering') and accountEnabled eq true",
                false,
                true,
            ),
            ("groupTypes/any(c:c eq 'Unified')", true, false),
            (
                "assignedLicenses/any(l:l/skuId eq 6fd2c87f-b296-42f0-b197-1e91e994b900)",
                true,
                false,
            ),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!(
                (filter.fits(object), filter.advanced),
                (fits, advanced),
                "{text}"
            );
        }
        for text in [
            "",
            "department",
            "department eq",
            "department eq 'a' b",
            "(a eq 'b'",
            "a eq 'b",
        ] {
            assert!(Filter::parse(text).is_none(), "{text}");
        }
    }
}
