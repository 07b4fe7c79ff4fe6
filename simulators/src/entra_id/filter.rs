//! The part of OData's `$filter` that is in use on users and groups.

use serde_json::{Map, Value};

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Filter {
    root: Expression,
    /// Needs `ConsistencyLevel: eventual` and `$count=true` (Graph: advanced query).
    pub advanced: bool,
}

#[derive(Debug)]
enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Compare(String, bool, Value),
    Text(Test, String, String),
    In(String, Vec<Value>),
    /// `list/any(x:x eq 'v')`, `list/any(x:x/field eq 'v')`.
    Any(String, Option<String>, Value),
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Starts,
    Ends,
}

impl Filter {
    /// None: it isn't a filter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            advanced: false,
        };
        let root = parser.or()?;
        (parser.at == parser.tokens.len()).then_some(Self {
            root,
            advanced: parser.advanced,
        })
    }

    pub fn fits(&self, object: &Map<String, Value>) -> bool {
        self.root.fits(object)
    }
}

impl Expression {
    fn fits(&self, object: &Map<String, Value>) -> bool {
        let field = |name: &str| object.get(name).cloned().unwrap_or_default();
        match self {
            Self::And(one, other) => one.fits(object) && other.fits(object),
            Self::Or(one, other) => one.fits(object) || other.fits(object),
            Self::Not(inner) => !inner.fits(object),
            Self::Compare(name, equal, value) => same(&field(name), value) == *equal,
            Self::In(name, values) => values.iter().any(|value| same(&field(name), value)),
            Self::Text(test, name, part) => field(name).as_str().is_some_and(|text| {
                let (text, part) = (text.to_lowercase(), part.to_lowercase());
                match test {
                    Test::Starts => text.starts_with(&part),
                    Test::Ends => text.ends_with(&part),
                }
            }),
            Self::Any(name, inner, value) => field(name).as_array().is_some_and(|list| {
                list.iter().any(|item| match inner {
                    Some(inner) => same(&item[inner], value),
                    None => same(item, value),
                })
            }),
        }
    }
}

/// Texts are compared without regard to case.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if "(),:".contains(first) {
            tokens.push(Token::Mark(first));
            1
        } else if first == '\'' {
            let mut value = String::new();
            let mut end = 1;
            loop {
                let quote = end + rest[end..].find('\'')?;
                value.push_str(&rest[end..quote]);
                end = quote + 1;
                // A doubled quote is one within the text.
                if !rest[end..].starts_with('\'') {
                    break;
                }
                value.push('\'');
                end += 1;
            }
            tokens.push(Token::Text(value));
            end
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "(),:'".contains(c));
            let end = end.unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        };
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    advanced: bool,
}

impl Parser {
    fn or(&mut self) -> Option<Expression> {
        let mut left = self.and()?;
        while self.takes_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Expression> {
        let mut left = self.unary()?;
        while self.takes_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.unary()?));
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expression> {
        if self.takes_word("not") {
            self.advanced = true;
            return Some(Expression::Not(Box::new(self.unary()?)));
        }
        if self.takes_mark('(') {
            let inner = self.or()?;
            return self.takes_mark(')').then_some(inner);
        }
        let name = self.word()?;
        let lower = name.to_lowercase();
        if lower == "startswith" || lower == "endswith" {
            let ends = lower == "endswith";
            self.advanced |= ends;
            self.expect('(')?;
            let field = self.word()?;
            self.expect(',')?;
            let part = self.text()?;
            self.expect(')')?;
            let test = if ends { Test::Ends } else { Test::Starts };
            return Some(Expression::Text(test, field, part));
        }
        if let Some(list) = name.strip_suffix("/any") {
            self.expect('(')?;
            let variable = self.word()?;
            self.expect(':')?;
            let path = self.word()?;
            let inner = path.strip_prefix(&variable)?.strip_prefix('/');
            self.takes_word("eq").then_some(())?;
            let value = self.value()?;
            self.expect(')')?;
            return Some(Expression::Any(
                list.to_owned(),
                inner.map(str::to_owned),
                value,
            ));
        }
        if self.takes_word("in") {
            self.expect('(')?;
            let mut values = vec![self.value()?];
            while self.takes_mark(',') {
                values.push(self.value()?);
            }
            self.expect(')')?;
            return Some(Expression::In(name, values));
        }
        let equal = match self.word()?.as_str() {
            "eq" => true,
            "ne" => {
                self.advanced = true;
                false
            }
            _ => return None,
        };
        Some(Expression::Compare(name, equal, self.value()?))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn word(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            Token::Text(text) => Some(text),
            _ => None,
        }
    }

    fn value(&mut self) -> Option<Value> {
        match self.next()? {
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

    fn takes_word(&mut self, word: &str) -> bool {
        let takes = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w == word);
        self.at += usize::from(takes);
        takes
    }

    fn takes_mark(&mut self, mark: char) -> bool {
        let takes = self.tokens.get(self.at) == Some(&Token::Mark(mark));
        self.at += usize::from(takes);
        takes
    }

    fn expect(&mut self, mark: char) -> Option<()> {
        self.takes_mark(mark).then_some(())
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
