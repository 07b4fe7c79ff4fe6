//! Single groups.

use reqwest::Method;
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::OrganizationError;
use crate::organization::server::Server;
use crate::organization::wire::{FullGroup, GroupMembers, GroupUpdate};
use crate::text::shorten;

const GROUP: &str = "/public/groups/{id}";
/// One group with access to thousands of collections.
const GROUP_MAX: u64 = 16 << 20;

impl Server {
    pub(super) async fn delete_group(&self, group: Uuid) -> Result<(), OrganizationError> {
        let path = format!("/public/groups/{group}");
        match self.done(&self.call(Method::DELETE, &path, GROUP)).await {
            Err(OrganizationError::Gone { .. }) => Ok(()),
            other => other,
        }
    }

    pub(super) async fn relink_group(
        &self,
        group: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        let path = format!("/public/groups/{group}");
        let get = self.call(Method::GET, &path, GROUP);
        let before: FullGroup = self.json(&get, GROUP_MAX).await?;
        if before.external_id.as_deref() == Some(external_id.as_str()) {
            return Ok(());
        }
        let what = || format!("the new external id of group {}", shorten(&before.name));
        // Sending fewer than the group has would take the rest away.
        let collections = before.collections.as_deref();
        let collections = collections.ok_or_else(|| OrganizationError::Incomplete {
            what: "collections",
            why: format!(
                "group {} has none, not even an empty list",
                shorten(&before.name)
            ),
        })?;
        let update = GroupUpdate {
            name: &before.name,
            external_id: external_id.as_str(),
            collections,
        };
        let put = self
            .call(Method::PUT, &path, GROUP)
            .json(&update)
            .map_err(|error| self.error(error))?;
        let after: FullGroup = self.json(&put, GROUP_MAX).await?;
        if after.external_id.as_deref() == Some(external_id.as_str()) {
            return Ok(());
        }
        let now = after.external_id.as_deref().unwrap_or("none");
        Err(OrganizationError::NotApplied {
            what: what(),
            seen: format!("its external id is {}", shorten(now)),
        })
    }

    pub(super) async fn set_members(
        &self,
        group: Uuid,
        members: &[Uuid],
    ) -> Result<(), OrganizationError> {
        let path = format!("/public/groups/{group}/member-ids");
        let body = GroupMembers {
            member_ids: members,
        };
        let call = self
            .call(Method::PUT, &path, "/public/groups/{id}/member-ids")
            .json(&body)
            .map_err(|error| self.error(error))?;
        self.done(&call).await
    }
}
