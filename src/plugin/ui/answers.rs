//! Explanations that were asked for. The form's answer leads to a page that shows them, so that loading
//! that page again doesn't ask again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// So many are kept; an explanation has a few hundred lines.
const KEPT: usize = 20;

/// The last explanations, as text.
#[derive(Default)]
pub struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: usize,
    all: VecDeque<Answer>,
}

/// An explanation of somebody.
#[derive(Clone)]
pub struct Answer {
    number: usize,
    /// The resource that was asked, as `namespace/name`.
    pub resource: String,
    /// Who was asked for.
    pub about: String,
    /// The explanation.
    pub text: String,
}

impl Answers {
    /// Keeps one; its number.
    pub fn keep(&self, resource: String, about: String, text: String) -> usize {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let number = kept.last;
        kept.all.push_back(Answer {
            number,
            resource,
            about,
            text,
        });
        if kept.all.len() > KEPT {
            kept.all.pop_front();
        }
        number
    }

    /// The one of this number and resource; `None` once many others came.
    pub fn get(&self, number: usize, resource: &str) -> Option<Answer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = kept.all.iter();
        let found = all.find(|answer| answer.number == number && answer.resource == resource);
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_found_for_their_resource_alone() {
        let answers = Answers::default();
        let keep = |about: &str| answers.keep("a/staff".into(), about.into(), "text".into());
        let first = keep("ann");
        assert_eq!(answers.get(first, "a/staff").unwrap().about, "ann");
        assert!(answers.get(first, "b/staff").is_none());
        let later: Vec<_> = (0..KEPT).map(|_| keep("bob")).collect();
        assert!(answers.get(first, "a/staff").is_none(), "made room");
        assert_eq!(
            answers.get(later[KEPT - 1], "a/staff").unwrap().about,
            "bob"
        );
    }
}
