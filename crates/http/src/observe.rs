//! Who wants to know about requests.

use std::time::Duration;

/// Told about each request that was sent, once for every try.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A request to `endpoint` (a template such as `GET /public/members/{id}`: few different ones)
    /// ended after `elapsed`, its body included.
    fn request(&self, endpoint: &'static str, outcome: CallOutcome, elapsed: Duration);
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// An answer came, with this status.
    Status(u16),
    /// No connection could be made, or no TLS session.
    Unreachable,
    /// The connection broke, or nothing came in time, before the answer was whole.
    Interrupted,
}

/// An observer that ignores every request.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn request(&self, _: &'static str, _: CallOutcome, _: Duration) {}
}
