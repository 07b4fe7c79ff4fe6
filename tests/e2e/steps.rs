//! The steps of the story, told while it runs.

use std::time::Instant;

use simulators::lab::Sandbox;

/// Tells each step with the seconds it took.
pub struct Steps<'a> {
    sandbox: &'a Sandbox,
    started: Instant,
    last: Instant,
}

impl<'a> Steps<'a> {
    pub fn new(sandbox: &'a Sandbox) -> Self {
        let now = Instant::now();
        Self {
            sandbox,
            started: now,
            last: now,
        }
    }

    /// What holds now.
    pub fn done(&mut self, what: &str) {
        let took = self.last.elapsed().as_secs_f64();
        self.sandbox.say(&format!("{took:6.1} s  {what}"));
        self.last = Instant::now();
    }

    pub fn end(self) {
        let took = self.started.elapsed().as_secs_f64();
        self.sandbox.say(&format!("{took:6.1} s  in all"));
    }
}
