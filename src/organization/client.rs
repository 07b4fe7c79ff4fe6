//! The way in: one value for one organization.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::directory::ExternalId;
use crate::fault::Step;
use crate::organization::groups::GroupChange;
use crate::organization::import::{ImportReport, ImportRows};
use crate::organization::model::{Organization, Seats};
use crate::organization::server::Server;
use crate::organization::{OrganizationError, Settings};

/// One organization on one server.
///
/// Keeps its token, its pace and what it found out about the server; cheap to clone, and to be kept
/// from one run to the next. Every change may be asked for twice: the second time does nothing.
#[derive(Debug, Clone)]
pub struct OrganizationClient {
    server: Arc<Server>,
}

impl OrganizationClient {
    /// Checks the settings; sends nothing yet.
    ///
    /// # Errors
    /// [`OrganizationError::Settings`] when they can't be used.
    pub fn new(settings: Settings) -> Result<Self, OrganizationError> {
        Ok(Self {
            server: Arc::new(Server::new(settings)?),
        })
    }

    /// The organization's id.
    pub fn organization_id(&self) -> Uuid {
        self.server.settings.client_id.organization()
    }

    /// The address of its server's API, in one spelling.
    pub fn address(&self) -> &str {
        &self.server.api
    }

    /// The organization in a few words for a person.
    pub fn describe(&self) -> String {
        format!("{} at {}", self.organization_id(), self.server.api)
    }

    /// Reads all members and all groups (without their members): two requests side by side, and
    /// none where the server was recognised as one that can't be read.
    ///
    /// # Errors
    /// Any doubt that a list is whole is an error.
    pub async fn read(&self) -> Result<Organization, OrganizationError> {
        self.server.read().await
    }

    /// The subscription's seats; `None` where the server doesn't tell or has no limit.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn seats(&self) -> Result<Option<Seats>, OrganizationError> {
        self.server.seats().await
    }

    /// The ids of a group's members.
    ///
    /// # Errors
    /// [`OrganizationError::Gone`] when the group isn't there any more, and as for [`Self::read`].
    pub async fn member_ids(&self, group: Uuid) -> Result<Vec<Uuid>, OrganizationError> {
        self.server.member_ids(group).await
    }

    /// The members of many groups, read side by side as fast as the server's limit allows (the
    /// cloud's is 200 a minute). `progress` is told how many are done. Groups that are gone are
    /// left out.
    ///
    /// # Errors
    /// As for [`Self::read`]; the first error ends it.
    pub async fn memberships(
        &self,
        groups: &[Uuid],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<HashMap<Uuid, Vec<Uuid>>, OrganizationError> {
        self.server.memberships(groups, progress).await
    }

    /// Ends a member's access; account, data and memberships stay, the seat is free. Done as well
    /// when it was so already, or the member is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason.
    pub async fn revoke(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.server.revoke(member).await
    }

    /// Gives a revoked member the access back. Done as well when it was so already.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason (no seat, a policy),
    /// [`OrganizationError::Gone`].
    pub async fn restore(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.server.restore(member).await
    }

    /// Removes a member. Done as well when the member is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason.
    pub async fn remove(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.server.remove(member).await
    }

    /// Gives a member another external id; role, permissions, collections and groups stay.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], also for an owner; [`OrganizationError::NotApplied`] when
    /// the answer shows something else; [`OrganizationError::Gone`].
    pub async fn relink(
        &self,
        member: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        self.server.relink(member, external_id).await
    }

    /// Deletes a group. Done as well when it is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason.
    pub async fn delete_group(&self, group: Uuid) -> Result<(), OrganizationError> {
        self.server.delete_group(group).await
    }

    /// Gives a group another external id; name, collections and members stay.
    ///
    /// # Errors
    /// As for [`Self::relink`].
    pub async fn relink_group(
        &self,
        group: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        let change = GroupChange::ExternalId(external_id);
        self.server.change_group(group, change).await
    }

    /// Gives a group another name; external id, collections and members stay.
    ///
    /// # Errors
    /// As for [`Self::relink`].
    pub async fn rename_group(&self, group: Uuid, name: &str) -> Result<(), OrganizationError> {
        let change = GroupChange::Name(name);
        self.server.change_group(group, change).await
    }

    /// Makes these, and nobody else, the members of a group.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], [`OrganizationError::Gone`].
    pub async fn set_members(
        &self,
        group: Uuid,
        members: &[Uuid],
    ) -> Result<(), OrganizationError> {
        self.server.set_members(group, members).await
    }

    /// Sends rows in bulk: members first, then groups, in requests of up to 2,000 rows. Rows that
    /// the server refuses are found, by name or by halving, and reported; the others are in.
    /// `progress` is told how many rows are done.
    ///
    /// Invites nobody twice: a row whose external id is in the organization is no invitation.
    ///
    /// # Errors
    /// When the server can't be asked, or refuses imports altogether. What was sent before stays;
    /// sending all of it again is safe.
    pub async fn import(
        &self,
        rows: &ImportRows,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<ImportReport, OrganizationError> {
        self.server.import(rows, progress).await
    }

    /// Tries what a sync needs and tells what was seen: the key, the lists, the seats, what this
    /// server can do. Changes nothing.
    pub async fn check(&self) -> Vec<Step> {
        self.server.check().await
    }
}
