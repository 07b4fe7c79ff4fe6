//! Patterns of a spec that fit nothing: a mistyped one includes, excludes or protects nobody, and nothing
//! else would tell.

use crate::directory::{Glob, fold};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// The patterns of one list that nothing has fitted yet.
pub(crate) struct Unmatched<'a> {
    /// The list, as the spec calls it.
    field: &'static str,
    reason: ProblemReason,
    open: Vec<&'a Glob>,
    /// Whether there was anything to fit.
    any: bool,
}

impl<'a> Unmatched<'a> {
    /// Those of a list that lets in or protects only what fits.
    pub fn new(field: &'static str, patterns: &'a [Glob]) -> Self {
        Self {
            field,
            reason: ProblemReason::UnmatchedPattern,
            open: patterns.iter().collect(),
            any: false,
        }
    }

    /// Those of a list that leaves out what fits.
    pub fn excluding(field: &'static str, patterns: &'a [Glob]) -> Self {
        Self {
            reason: ProblemReason::UnmatchedExclusion,
            ..Self::new(field, patterns)
        }
    }

    /// Something that may fit: a name or an email.
    pub fn see(&mut self, text: &str) {
        self.any = true;
        if !self.open.is_empty() {
            let folded = fold(text);
            self.open.retain(|pattern| !pattern.matches(&folded));
        }
    }

    /// A problem for each pattern that fits nothing. `among` is what was looked at. Where there was
    /// nothing to look at, nothing is told.
    pub fn problems(self, among: &str) -> impl Iterator<Item = Problem> {
        let Self {
            field,
            reason,
            open,
            any,
        } = self;
        let among = among.to_owned();
        let open = open.into_iter().filter(move |_| any);
        open.map(move |pattern| {
            let pattern = sanitize(pattern.as_str());
            let message = format!(
                "{field}: the pattern {pattern:?} fits {among}; check how it is spelt (* stands for any \
                 text, ? for one character), or take it out"
            );
            Problem::new(reason, message, [])
        })
    }
}
