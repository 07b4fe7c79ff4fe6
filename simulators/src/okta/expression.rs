//! The part of Okta's filter language that lists understand: comparisons joined by `and`, `or` and
//! parentheses.

use serde_json::Value;

use super::answers::Refusal;

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
pub(super) enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Present(String),
    Compare(String, Operator, String),
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Begins,
    Contains,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Expression {
    /// What users' `filter` is, which knows few attributes.
    pub fn filter_of_users(text: &str) -> Result<Self, Refusal> {
        let parsed = Self::parse(text)?;
        let known = parsed.attributes();
        if known.iter().all(|name| FILTER_OF_USERS.contains(name)) {
            Ok(parsed)
        } else {
            Err(Refusal::Expression)
        }
    }

    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let tokens = tokens(text).ok_or(Refusal::Expression)?;
        let mut rest = tokens.as_slice();
        let parsed = either(&mut rest).ok_or(Refusal::Expression)?;
        if rest.is_empty() {
            Ok(parsed)
        } else {
            Err(Refusal::Expression)
        }
    }

    fn attributes(&self) -> Vec<&str> {
        match self {
            Self::And(one, other) | Self::Or(one, other) => {
                [one.attributes(), other.attributes()].concat()
            }
            Self::Present(name) | Self::Compare(name, ..) => vec![name],
        }
    }

    pub fn fits(&self, entry: &Value) -> bool {
        match self {
            Self::And(one, other) => one.fits(entry) && other.fits(entry),
            Self::Or(one, other) => one.fits(entry) || other.fits(entry),
            Self::Present(name) => text(entry, name).is_some(),
            Self::Compare(name, operator, value) => {
                let found = text(entry, name);
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
    }
}

fn text<'e>(entry: &'e Value, name: &str) -> Option<&'e str> {
    name.split('.')
        .try_fold(entry, |value, part| value.get(part))?
        .as_str()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => {
                tokens.push(if first == '(' {
                    Token::Open
                } else {
                    Token::Close
                });
                1
            }
            '"' => {
                let end = rest[1..].find('"')? + 1;
                tokens.push(Token::Text(rest[1..end].to_owned()));
                end + 1
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()\"".contains(c));
                let end = end.unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

fn take_word(rest: &mut &[Token], wanted: &str) -> bool {
    match rest.split_first() {
        Some((Token::Word(word), after)) if word.eq_ignore_ascii_case(wanted) => {
            *rest = after;
            true
        }
        _ => false,
    }
}

fn either(rest: &mut &[Token]) -> Option<Expression> {
    let mut left = both(rest)?;
    while take_word(rest, "or") {
        left = Expression::Or(Box::new(left), Box::new(both(rest)?));
    }
    Some(left)
}

fn both(rest: &mut &[Token]) -> Option<Expression> {
    let mut left = one(rest)?;
    while take_word(rest, "and") {
        left = Expression::And(Box::new(left), Box::new(one(rest)?));
    }
    Some(left)
}

fn one(rest: &mut &[Token]) -> Option<Expression> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    let name = match first {
        Token::Open => {
            let inner = either(rest)?;
            let (close, after) = rest.split_first()?;
            *rest = after;
            return (*close == Token::Close).then_some(inner);
        }
        Token::Word(name) => name.clone(),
        Token::Close | Token::Text(_) => return None,
    };
    if take_word(rest, "pr") {
        return Some(Expression::Present(name));
    }
    let operators = [
        ("eq", Operator::Equal),
        ("ne", Operator::NotEqual),
        ("sw", Operator::Begins),
        ("co", Operator::Contains),
        ("gt", Operator::Greater),
        ("ge", Operator::GreaterOrEqual),
        ("lt", Operator::Less),
        ("le", Operator::LessOrEqual),
    ];
    let (_, operator) = operators
        .into_iter()
        .find(|(word, _)| take_word(rest, word))?;
    let (value, after) = rest.split_first()?;
    *rest = after;
    match value {
        Token::Text(value) => Some(Expression::Compare(name, operator, value.clone())),
        _ => None,
    }
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
