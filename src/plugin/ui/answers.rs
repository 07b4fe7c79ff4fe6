//! What the operator answered. The form that asks leads to a page that shows the answer, so that loading
//! that page again doesn't ask again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// So many are kept; one has at most a megabyte.
const KEPT: usize = 20;

/// The last answers of a kind.
pub struct Answers<T>(Mutex<Kept<T>>);

struct Kept<T> {
    last: usize,
    all: VecDeque<Answer<T>>,
}

/// An answer.
struct Answer<T> {
    number: usize,
    /// The resource that was asked, as `namespace/name`.
    resource: String,
    content: Arc<T>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        let (last, all) = (0, VecDeque::new());
        Self(Mutex::new(Kept { last, all }))
    }
}

impl<T> Answers<T> {
    /// Keeps one; its number.
    pub fn keep(&self, resource: String, content: T) -> usize {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let number = kept.last;
        kept.all.push_back(Answer {
            number,
            resource,
            content: Arc::new(content),
        });
        if kept.all.len() > KEPT {
            kept.all.pop_front();
        }
        number
    }

    /// The one of this number and resource; `None` once many others came.
    pub fn get(&self, number: usize, resource: &str) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = kept.all.iter();
        let found = all.find(|answer| answer.number == number && answer.resource == resource)?;
        Some(Arc::clone(&found.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_found_for_their_resource_alone() {
        let answers = Answers::default();
        let keep = |about: &'static str| answers.keep("a/staff".into(), about);
        let first = keep("ann");
        assert_eq!(*answers.get(first, "a/staff").unwrap(), "ann");
        assert!(answers.get(first, "b/staff").is_none());
        let later: Vec<_> = (0..KEPT).map(|_| keep("bob")).collect();
        assert!(answers.get(first, "a/staff").is_none(), "made room");
        assert_eq!(*answers.get(later[KEPT - 1], "a/staff").unwrap(), "bob");
    }
}
