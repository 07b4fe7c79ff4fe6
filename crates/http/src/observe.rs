//! Who wants to know about requests.

use std::time::Duration;

/// Told about each request that was sent, once for every try.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A request to `endpoint` (a template such as `GET /public/members/{id}`: few different ones)
    /// ended after `elapsed`, its body included.
    fn request(&self, endpoint: &'static str, outcome: Outcome, elapsed: Duration);
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With this status.
    Status(u16),
    /// Without a connection.
    Unreachable,
    /// The connection broke, or nothing came in time, before the answer was whole.
    Interrupted,
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn request(&self, _: &'static str, _: Outcome, _: Duration) {}
}
