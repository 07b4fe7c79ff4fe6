//! What the vendors' filter languages have in common: tests, joined by `and`, `or`, `not` and
//! parentheses.

/// How a language writes its tokens.
pub(crate) struct Syntax {
    /// The characters that a text can stand between.
    pub quotes: &'static str,
    /// Whether two quotes within a text stand for one.
    pub doubled_quotes: bool,
    /// Whether `AND` is `and`.
    pub any_case: bool,
    /// Whether it has `not`.
    pub not: bool,
}

/// What reads one test.
type Read<T> = fn(&mut Tokens<'_>) -> Option<T>;

/// Tests and how they are joined.
#[derive(Debug)]
pub(crate) enum Expression<Test> {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Test(Test),
}

impl<Test> Expression<Test> {
    /// Reads all of `text`; `test` reads one test. `None`: it isn't in this language.
    pub fn parse(text: &str, syntax: &Syntax, test: Read<Self>) -> Option<Self> {
        let mut tokens = Tokens::read(text, syntax)?;
        let parsed = Self::or(&mut tokens, test)?;
        tokens.is_at_end().then_some(parsed)
    }

    fn or(tokens: &mut Tokens<'_>, test: Read<Self>) -> Option<Self> {
        let mut left = Self::and(tokens, test)?;
        while tokens.take_word("or") {
            left = Self::Or(Box::new(left), Box::new(Self::and(tokens, test)?));
        }
        Some(left)
    }

    fn and(tokens: &mut Tokens<'_>, test: Read<Self>) -> Option<Self> {
        let mut left = Self::one(tokens, test)?;
        while tokens.take_word("and") {
            left = Self::And(Box::new(left), Box::new(Self::one(tokens, test)?));
        }
        Some(left)
    }

    fn one(tokens: &mut Tokens<'_>, test: Read<Self>) -> Option<Self> {
        if tokens.syntax.not && tokens.take_word("not") {
            return Some(Self::Not(Box::new(Self::one(tokens, test)?)));
        }
        if tokens.take_mark('(') {
            let inner = Self::or(tokens, test)?;
            return tokens.take_mark(')').then_some(inner);
        }
        test(tokens)
    }

    /// Whether it holds, where `test` says whether a test does.
    pub fn holds(&self, test: &impl Fn(&Test) -> bool) -> bool {
        match self {
            Self::And(one, other) => one.holds(test) && other.holds(test),
            Self::Or(one, other) => one.holds(test) || other.holds(test),
            Self::Not(inner) => !inner.holds(test),
            Self::Test(one) => test(one),
        }
    }

    /// Shows every test to `see`, and whether a negation stands before it.
    pub fn each<'e>(&'e self, negated: bool, see: &mut impl FnMut(&'e Test, bool)) {
        match self {
            Self::And(one, other) | Self::Or(one, other) => {
                one.each(negated, see);
                other.each(negated, see);
            }
            Self::Not(inner) => inner.each(true, see),
            Self::Test(one) => see(one, negated),
        }
    }

    /// Whether any part of it, negations included, is as `part` says.
    pub fn any(&self, part: &impl Fn(&Self) -> bool) -> bool {
        part(self)
            || match self {
                Self::And(one, other) | Self::Or(one, other) => one.any(part) || other.any(part),
                Self::Not(inner) => inner.any(part),
                Self::Test(_) => false,
            }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

const MARKS: &str = "(),:=";

/// The tokens of a text, and how far they are read.
pub(crate) struct Tokens<'s> {
    all: Vec<Token>,
    at: usize,
    syntax: &'s Syntax,
}

impl<'s> Tokens<'s> {
    pub fn read(text: &str, syntax: &'s Syntax) -> Option<Self> {
        let mut all = vec![];
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if MARKS.contains(first) {
                all.push(Token::Mark(first));
                1
            } else if syntax.quotes.contains(first) {
                let mut value = String::new();
                let mut end = 1;
                loop {
                    let quote = end + rest[end..].find(first)?;
                    value.push_str(&rest[end..quote]);
                    end = quote + 1;
                    if !(syntax.doubled_quotes && rest[end..].starts_with(first)) {
                        break;
                    }
                    value.push(first);
                    end += 1;
                }
                all.push(Token::Text(value));
                end
            } else {
                let marks = |c| MARKS.contains(c) || syntax.quotes.contains(c);
                let ends = |c: char| c.is_whitespace() || marks(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                all.push(Token::Word(rest[..end].to_owned()));
                end
            };
            rest = rest[length..].trim_start();
        }
        let at = 0;
        Some(Self { all, at, syntax })
    }

    /// Whether all were taken.
    pub fn is_at_end(&self) -> bool {
        self.at == self.all.len()
    }

    /// Takes the next token; `None` at the end.
    pub fn token(&mut self) -> Option<Token> {
        let token = self.all.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// The next token, where it is a word.
    pub fn word(&mut self) -> Option<String> {
        match self.token()? {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The next token, where it is a text in quotes.
    pub fn text(&mut self) -> Option<String> {
        match self.token()? {
            Token::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Goes past `word`, if that is next.
    pub fn take_word(&mut self, word: &str) -> bool {
        let takes = matches!(self.all.get(self.at), Some(Token::Word(next))
            if next == word || (self.syntax.any_case && next.eq_ignore_ascii_case(word)));
        self.at += usize::from(takes);
        takes
    }

    /// Goes past `mark`, if that is next.
    pub fn take_mark(&mut self, mark: char) -> bool {
        let takes = self.all.get(self.at) == Some(&Token::Mark(mark));
        self.at += usize::from(takes);
        takes
    }

    /// [`Self::take_mark`], where nothing else may come.
    pub fn expect(&mut self, mark: char) -> Option<()> {
        self.take_mark(mark).then_some(())
    }
}
