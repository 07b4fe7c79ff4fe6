//! Requests that create, change and delete single groups.

use reqwest::Method;
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::OrganizationClient;
use crate::organization::OrganizationError;
use crate::organization::error::COLLECTIONS_UNKNOWN;
use crate::organization::wire::{FullGroup, GroupMembers, GroupUpdate};
use crate::text::sanitize;

/// One group with access to thousands of collections.
const GROUP_MAX: u64 = 16 << 20;

impl OrganizationClient {
    /// Deletes a group. Done as well when it is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason.
    pub async fn delete_group(&self, group: Uuid) -> Result<(), OrganizationError> {
        self.can("delete a group")?;
        let endpoint = "DELETE /public/groups/{id}";
        let path = format!("/public/groups/{group}");
        match self.done(&self.call(Method::DELETE, &path, endpoint)).await {
            Err(OrganizationError::Gone { .. }) => Ok(()),
            other => other,
        }
    }

    /// Gives a group another external id in place of `from`; name, collections and members stay.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], also where the group has got another external id meanwhile;
    /// [`OrganizationError::NotApplied`] when the answer shows something else;
    /// [`OrganizationError::Gone`].
    pub async fn relink_group(
        &self,
        group: Uuid,
        from: Option<&ExternalId>,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        self.change_group(
            group,
            GroupChange::ExternalId {
                from,
                to: external_id,
            },
        )
        .await
    }

    /// Gives a group another name; external id, collections and members stay.
    ///
    /// # Errors
    /// As for [`Self::relink_group`].
    pub async fn rename_group(&self, group: Uuid, name: &str) -> Result<(), OrganizationError> {
        self.change_group(group, GroupChange::Name(name)).await
    }

    async fn change_group(
        &self,
        group: Uuid,
        change: GroupChange<'_>,
    ) -> Result<(), OrganizationError> {
        self.can("change a single group")?;
        let path = format!("/public/groups/{group}");
        let get = self.call(Method::GET, &path, "GET /public/groups/{id}");
        let before: FullGroup = self.json(&get, GROUP_MAX).await?;
        if change.is_seen_in(&before) {
            return Ok(());
        }
        let what = || format!("{} of group {}", change.what(), sanitize(&before.name));
        let has = before.external_id.as_deref().filter(|id| !id.is_empty());
        if let GroupChange::ExternalId { from, .. } = change
            && has != from.map(ExternalId::as_str)
        {
            return Err(OrganizationError::Refused {
                what: what(),
                answer: format!(
                    "somebody else has given it the external id {} since the plan was made",
                    has.map_or_else(|| "none".into(), sanitize)
                ),
            });
        }
        // Sending fewer than the group has would take the rest away.
        let collections = before.collections.as_deref();
        let collections = collections.ok_or_else(|| OrganizationError::Refused {
            what: what(),
            answer: COLLECTIONS_UNKNOWN.into(),
        })?;
        let mut update = GroupUpdate {
            name: &before.name,
            external_id: before.external_id.as_deref(),
            collections,
        };
        match change {
            GroupChange::ExternalId { to, .. } => update.external_id = Some(to.as_str()),
            GroupChange::Name(name) => update.name = name,
        }
        let put = self
            .call(Method::PUT, &path, "PUT /public/groups/{id}")
            .json(&update)
            .map_err(|error| self.error(error))?;
        let after: FullGroup = self.json(&put, GROUP_MAX).await?;
        if change.is_seen_in(&after) {
            return Ok(());
        }
        let id = after.external_id.as_deref().unwrap_or("none");
        let (name, id) = (sanitize(&after.name), sanitize(id));
        Err(OrganizationError::NotApplied {
            what: what(),
            seen: format!("it is called {name} and has the external id {id}"),
        })
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
        self.can("fill a single group")?;
        let path = format!("/public/groups/{group}/member-ids");
        let body = GroupMembers {
            member_ids: members,
        };
        let call = self
            .call(Method::PUT, &path, "PUT /public/groups/{id}/member-ids")
            .json(&body)
            .map_err(|error| self.error(error))?;
        self.done(&call).await
    }
}

/// What changes about a group, while everything else stays.
#[derive(Debug, Clone, Copy)]
enum GroupChange<'a> {
    ExternalId {
        from: Option<&'a ExternalId>,
        to: &'a ExternalId,
    },
    Name(&'a str),
}

impl GroupChange<'_> {
    fn what(self) -> &'static str {
        match self {
            Self::ExternalId { .. } => "the new external id",
            Self::Name(_) => "the new name",
        }
    }

    fn is_seen_in(self, group: &FullGroup) -> bool {
        match self {
            Self::ExternalId { to, .. } => group.external_id.as_deref() == Some(to.as_str()),
            Self::Name(name) => group.name == name,
        }
    }
}
