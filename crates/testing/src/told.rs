//! What a watch of a directory has told.

use std::sync::Mutex;
use std::time::Duration;

use directory_sync::source::{Hint, WatchMethod, WatchObserver};

/// An observer that keeps everything.
#[derive(Debug, Default)]
pub struct Told(Mutex<(Vec<WatchMethod>, Vec<Hint>)>);

impl WatchObserver for Told {
    fn watching(&self, how: WatchMethod) {
        self.0.lock().unwrap().0.push(how);
    }

    fn changed(&self, hint: Hint) {
        self.0.lock().unwrap().1.push(hint);
    }
}

impl Told {
    /// How the directory is watched, each time that was told.
    pub fn methods(&self) -> Vec<WatchMethod> {
        self.0.lock().unwrap().0.clone()
    }

    /// The hints so far.
    pub fn hints(&self) -> Vec<Hint> {
        self.0.lock().unwrap().1.clone()
    }

    /// How many hints there were so far.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    /// Whom each hint names as somebody who seems to have left.
    pub fn leavers(&self) -> Vec<Option<String>> {
        let leavers = self.hints().into_iter().map(|hint| hint.leaver);
        leavers.map(|one| one.map(|id| id.to_string())).collect()
    }

    /// Waits until this holds.
    ///
    /// # Panics
    /// When it doesn't for too long.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}; {self:?}");
    }

    /// Waits until the directory is watched.
    ///
    /// # Panics
    /// When it isn't for too long.
    pub async fn watching(&self) {
        self.until("watching", |told| !told.methods().is_empty())
            .await;
    }
}
