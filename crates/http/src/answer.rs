//! An answer that isn't a success.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use directory_sync_core::text::shorten;

/// An answer that isn't a success, its body cut to a harmless length and free of our secrets.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The other side's word on when to come back.
    pub retry_after: Option<Duration>,
    /// The media type, in lower case, without parameters.
    pub content_type: String,
    /// Where a redirect leads, without its query.
    pub location: Option<String>,
    /// The body, at most a mebibyte of it.
    pub body: String,
}

impl Answer {
    /// The beginning of the body in one line for a person; empty for HTML, of which the first
    /// line tells nothing.
    pub fn says(&self) -> String {
        if self.is_html() {
            return "an HTML page".into();
        }
        shorten(self.body.trim())
    }

    /// Whether a page for people came back.
    pub fn is_html(&self) -> bool {
        self.content_type.contains("html") || self.body.trim_start().starts_with('<')
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is {}", self.status)?;
        if let Some(to) = &self.location {
            write!(f, " to {to}")?;
        }
        match self.says() {
            says if says.is_empty() => Ok(()),
            says => write!(f, ": {says}"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({self})")
    }
}
