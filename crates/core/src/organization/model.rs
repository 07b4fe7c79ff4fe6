//! An organization's members and groups, as read.

use uuid::Uuid;

use crate::complete::Complete;
use crate::directory::{Email, ExternalId};
use crate::organization::collection::{Collection, CollectionAccess};
use crate::organization::role::Permissions;
use crate::problem::Problem;

/// The organization as it stands.
#[derive(Debug, Clone)]
pub enum Organization {
    /// Read from the server.
    Read(Complete<Content>),
    /// The server has no calls to read (Vaultwarden): members and groups are known only by what
    /// was sent to it.
    WriteOnly,
}

/// What was read of it, if it can be.
impl<'o> From<&'o Organization> for Option<&'o Content> {
    fn from(organization: &'o Organization) -> Self {
        match organization {
            Organization::Read(content) => Some(content),
            Organization::WriteOnly => None,
        }
    }
}

/// Everyone and every group in an organization.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// All members, of any status.
    pub members: Vec<Member>,
    /// All groups, without their members.
    pub groups: Vec<Group>,
    /// All collections; `None` where they weren't asked for, or the server doesn't list them.
    pub collections: Option<Vec<Collection>>,
    /// What in these lists needs manual action.
    pub problems: Vec<Problem>,
}

/// A member of the organization, by invitation or with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id that the server gave the member.
    pub id: Uuid,
    /// The directory's id, where one was ever given. Whatever text the server holds.
    pub external_id: Option<ExternalId>,
    /// The email in lower case.
    pub email: Email,
    /// Where the member stands.
    pub status: MemberStatus,
    /// The role in the organization. Owners are never changed.
    pub role: MemberRole,
    /// What a member with the role Custom may do; nothing of all others.
    pub permissions: Permissions,
}

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberStatus {
    /// −1: access withdrawn, account and memberships kept.
    Revoked,
    /// 0: invited, hasn't answered.
    Invited,
    /// 1: accepted, waits for confirmation.
    Accepted,
    /// 2: confirmed, has access.
    Confirmed,
    /// 3: created without an invitation.
    Staged,
    /// A number this version doesn't know; treated as a member with access.
    Other(i64),
    /// The member's external id isn't shown, as it holds a value of a Secret; treated as a member with
    /// access, of whom nobody knows which person it is.
    Withheld,
}

impl MemberStatus {
    /// Whether the member needs one of the subscription's seats: revoked and staged ones don't.
    pub fn takes_seat(self) -> bool {
        !matches!(self, Self::Revoked | Self::Staged)
    }
}

/// The role of a member in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberRole {
    /// 0: never touched by us.
    Owner,
    /// 1, 2, 4 and whatever else there may be.
    Other(i64),
}

impl MemberRole {
    /// A member without rights over others: what an import makes of everybody.
    pub const USER: Self = Self::Other(2);
}

/// A group of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The id that the server gave the group.
    pub id: Uuid,
    /// The directory's id, where one was ever given.
    pub external_id: Option<ExternalId>,
    /// The name, which needn't be unique.
    pub name: Box<str>,
    /// To which collections it gives access; `None` where the server doesn't tell.
    pub collections: Option<Box<[CollectionAccess]>>,
}

/// Seats of the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// The seats that the subscription pays for.
    pub total: usize,
    /// Up to how many the subscription grows by itself; `None`: without a limit.
    pub autoscale_to: Option<usize>,
}

impl Seats {
    /// How many more members there is room for when so many are `used`; `None`: as many as one likes.
    pub fn left(self, used: usize) -> Option<usize> {
        let limit = self.autoscale_to?.max(self.total);
        Some(limit.saturating_sub(used))
    }
}
