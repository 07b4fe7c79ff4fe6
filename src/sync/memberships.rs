//! What is known of who is in which of the organization's groups.

use std::collections::HashMap;

use uuid::Uuid;

use crate::directory::ExternalId;

/// What is known of each group of ours that the organization has, by the group's id in Bitwarden.
pub type Memberships = HashMap<Uuid, Known>;

/// What is known of one group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// They are the wanted ones: an earlier run saw or made them so, and the same are wanted now.
    AsWanted,
    /// They are the wanted ones and these others, whose withdrawal waits for approval.
    Withheld(Vec<ExternalId>),
    /// They were read: the members' ids in Bitwarden.
    Read(Vec<Uuid>),
}
