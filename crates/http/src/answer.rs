//! An answer that isn't a success.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An answer that isn't a success.
///
/// Of its body only fields that a vendor's errors are known to have are ever shown: who recognises
/// them asks with [`Answer::fields`]. The rest stays unseen, so that an address of somebody else's
/// service, in the place of a vendor's, shows nothing of what is there.
#[derive(Clone)]
pub struct Answer {
    /// The status code of the answer.
    pub status: StatusCode,
    /// The other side's word on when to come back.
    pub retry_after: Option<Duration>,
    /// Whether a page for people came back.
    pub html: bool,
    /// Where a redirect leads: scheme and port where it is the same host, `another host` otherwise.
    pub location: Option<String>,
    /// The body where it is JSON, each of its texts redacted.
    pub(crate) body: Option<Value>,
}

impl Answer {
    /// An answer with this body, as one that came in a batch with others.
    pub fn new(status: StatusCode, retry_after: Option<Duration>, body: Option<Value>) -> Self {
        Self {
            status,
            retry_after,
            html: false,
            location: None,
            body,
        }
    }

    /// The fields of an error that is known, each as it may be shown once it is sanitized; the
    /// default where the body has another form.
    pub fn fields<T: DeserializeOwned + Default>(&self) -> T {
        let body = self.body.as_ref();
        body.and_then(|body| T::deserialize(body).ok())
            .unwrap_or_default()
    }

    /// Whether a page for people came back.
    pub fn is_html(&self) -> bool {
        self.html
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is {}", self.status)?;
        if let Some(to) = &self.location {
            write!(f, " to {to}")?;
        }
        match self.html {
            true => f.write_str(", an HTML page"),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({self})")
    }
}
