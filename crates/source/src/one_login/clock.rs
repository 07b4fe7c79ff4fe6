//! How OneLogin's clock stands to ours.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;

/// So many answers are gone by. One that was wrong, by a clock that jumped or a proxy that answered from its cache, would
/// otherwise have all changes since then listed at each look, for as long as the process lives.
const ANSWERS: usize = 32;

/// By how much OneLogin's clock was behind ours in its last answers.
#[derive(Debug, Default)]
pub(super) struct Behind(Mutex<VecDeque<SignedDuration>>);

impl Behind {
    /// An answer was written so long ago, if both clocks were right.
    pub fn note(&self, behind: SignedDuration) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == ANSWERS {
            last.pop_front();
        }
        last.push_back(behind);
    }

    /// The most of them; never less than nothing.
    pub fn most(&self) -> SignedDuration {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = last.iter().max().copied().unwrap_or_default();
        most.max(SignedDuration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_the_last_answers_counts_and_a_wrong_one_is_forgotten() {
        let behind = Behind::default();
        assert_eq!(behind.most(), SignedDuration::ZERO);
        behind.note(SignedDuration::from_secs(-5));
        assert_eq!(behind.most(), SignedDuration::ZERO);
        behind.note(SignedDuration::from_hours(72));
        for _ in 1..ANSWERS {
            assert_eq!(behind.most(), SignedDuration::from_hours(72));
            behind.note(SignedDuration::from_secs(2));
        }
        behind.note(SignedDuration::from_secs(1));
        assert_eq!(behind.most(), SignedDuration::from_secs(2));
    }
}
