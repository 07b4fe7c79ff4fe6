//! Prints the steps while the test runs.

use std::time::Instant;

use simulators::lab::Sandbox;

/// Prints each step with its duration.
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

    /// A step is done.
    pub fn done(&mut self, what: &str) {
        let took = self.last.elapsed().as_secs_f64();
        self.sandbox.say(&format!("{took:6.1} s  {what}"));
        self.last = Instant::now();
    }

    pub fn end(self) {
        let took = self.started.elapsed().as_secs_f64();
        self.sandbox.say(&format!("{took:6.1} s  total"));
    }
}
