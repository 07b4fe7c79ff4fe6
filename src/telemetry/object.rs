//! Which resource a line, a series or a span is about.

use std::fmt;
use std::sync::Arc;

/// A `DirectorySync` by namespace and name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// The namespace of the resource.
    pub namespace: Arc<str>,
    /// The name of the resource.
    pub name: Arc<str>,
}

impl Object {
    /// The object of this namespace and name.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The span of one run: every log line and every trace within it carries the object, as
    /// `namespace` and `directorysync` (`name` is what log lines call the span itself).
    pub fn span(&self) -> tracing::Span {
        // At the highest level: a span below the log's level would take the object off its errors.
        tracing::error_span!("sync", namespace = %self.namespace, directorysync = %self.name)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
