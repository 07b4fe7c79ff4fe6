//! What came of a change of a role or of access.

use super::OrganizationError;

/// Whether a change was made by the request, where it is so afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// By this request.
    Now,
    /// It was so already, at least in part: somebody else made it since the plan was made, or an earlier request whose
    /// answer was lost.
    Already,
}

/// Why it isn't known to have been made.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotMade {
    /// What went wrong.
    pub error: OrganizationError,
    /// Nothing was sent, or it was refused. `false`: it may have been made.
    pub is_certain: bool,
}

impl NotMade {
    /// Where the request was sent that makes it.
    pub(super) fn after_request(error: OrganizationError) -> Self {
        Self {
            // What the answer shows isn't all that was asked for: that may be another part of it.
            is_certain: error.is_about_one()
                && !matches!(error, OrganizationError::NotApplied { .. }),
            error,
        }
    }
}

/// Before the request was sent that makes it.
impl From<OrganizationError> for NotMade {
    fn from(error: OrganizationError) -> Self {
        Self {
            error,
            is_certain: true,
        }
    }
}
