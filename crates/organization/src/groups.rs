//! Requests that create, change and delete single groups.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use reqwest::Method;
use uuid::Uuid;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::collection::AccessChange;
use crate::directory::ExternalId;
use crate::error::COLLECTIONS_UNKNOWN;
use crate::read::SIDE_BY_SIDE;
use crate::text::sanitize;
use crate::wire::{FullGroup, GroupMembers, GroupUpdate};
use crate::{Made, NotMade};
use directory_sync_core::sync::history::CollectionAccess;

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
                to: Some(external_id),
            },
        )
        .await
    }

    /// Takes a group's external id out; name, collections and members stay. Done as well where it has none any
    /// more.
    ///
    /// # Errors
    /// As for [`Self::relink_group`].
    pub async fn unlink_group(
        &self,
        group: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        let from = Some(external_id);
        self.change_group(group, GroupChange::ExternalId { from, to: None })
            .await
    }

    /// Gives a group another name; external id, collections and members stay.
    ///
    /// # Errors
    /// As for [`Self::relink_group`].
    pub async fn rename_group(&self, group: Uuid, name: &str) -> Result<(), OrganizationError> {
        self.change_group(group, GroupChange::Name(name)).await
    }

    /// Gives the members of a group access to collections, beside what they have; everything else stays.
    ///
    /// # Errors
    /// As for [`Self::relink_group`]; [`OrganizationError::Refused`] also where one of the collections isn't
    /// there any more.
    pub async fn give_collections(
        &self,
        group: Uuid,
        collections: &[CollectionAccess],
    ) -> Result<(), OrganizationError> {
        self.change_group(group, GroupChange::Collections(collections))
            .await
    }

    /// To which collections groups give access; those are left out that are gone, or of which the server
    /// doesn't tell.
    ///
    /// # Errors
    /// As for [`Self::memberships`].
    pub async fn collections(
        &self,
        groups: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<CollectionAccess>>, OrganizationError> {
        let mut found = HashMap::with_capacity(groups.len());
        let mut answers = stream::iter(groups.iter().copied())
            .map(|id| async move { (id, self.group(id).await) })
            .buffer_unordered(SIDE_BY_SIDE);
        while let Some((id, group)) = answers.next().await {
            match group {
                Ok(group) => {
                    found.extend(group.access().map(|access| (id, access)));
                }
                Err(OrganizationError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Changes a group's access to collections; everything else of it stays, and so does what somebody else has
    /// changed since. Done as well where it was so already.
    ///
    /// # Errors
    /// As for [`Self::relink_group`]; [`OrganizationError::Refused`] also where somebody else has changed one of
    /// these since the plan was made: nothing is changed then.
    pub async fn set_collections(
        &self,
        group: Uuid,
        changes: &[AccessChange],
    ) -> Result<Made, NotMade> {
        self.can("change a group's access to collections")?;
        let path = format!("/public/groups/{group}");
        let before = self.group(group).await?;
        let what = || format!("access of group {} to collections", sanitize(&before.name));
        let refused = |answer: String| {
            Err(NotMade::from(OrganizationError::Refused {
                what: what(),
                answer,
            }))
        };
        let (Some(raw), Some(has)) = (before.collections.as_deref(), before.access()) else {
            return refused(COLLECTIONS_UNKNOWN.into());
        };
        let now = |id: Uuid| has.iter().find(|one| one.id == id).copied();
        let left = changes.iter().filter(|one| now(one.id) != one.to);
        let left: Vec<&AccessChange> = left.collect();
        if left.is_empty() {
            return Ok(Made::Already);
        }
        let is_given = |one: &&AccessChange| one.to.is_some();
        let already =
            changes.iter().filter(is_given).count() > left.iter().copied().filter(is_given).count();
        let made = if already { Made::Already } else { Made::Now };
        if let Some(other) = left.iter().find(|one| now(one.id) != one.from) {
            return refused(format!(
                "somebody else has changed its access to collection {} since the plan was made",
                other.id
            ));
        }
        // What isn't changed goes back as it came: sending fewer would take the rest away.
        let kept = raw.iter().zip(&has);
        let kept = kept.filter(|(_, has)| left.iter().all(|one| one.id != has.id));
        let mut access: Vec<serde_json::Value> = kept.map(|(raw, _)| raw.clone()).collect();
        let given = left.iter().filter_map(|one| one.to);
        access.extend(given.map(|one| serde_json::json!(one)));
        let update = GroupUpdate {
            name: &before.name,
            external_id: before.external_id.as_deref(),
            collections: &access,
        };
        let put = self
            .call(Method::PUT, &path, "PUT /public/groups/{id}")
            .json(&update)
            .map_err(|error| self.error(error))?;
        let after = self.json(&put, GROUP_MAX).await;
        let after = after.map_err(|error: OrganizationError| error.after_read(what));
        let after: FullGroup = after.map_err(NotMade::after_request)?;
        let Some(after) = after.access() else {
            return Ok(made);
        };
        let is_so =
            |one: &&AccessChange| after.iter().find(|after| after.id == one.id).copied() == one.to;
        if !left.iter().all(is_so) || after.len() < access.len() {
            let seen = format!("it has access to {} collections", after.len());
            let error = OrganizationError::NotApplied { what: what(), seen };
            return Err(NotMade::after_request(error));
        }
        Ok(made)
    }

    async fn group(&self, group: Uuid) -> Result<FullGroup, OrganizationError> {
        let path = format!("/public/groups/{group}");
        let get = self.call(Method::GET, &path, "GET /public/groups/{id}");
        self.json(&get, GROUP_MAX).await
    }

    async fn change_group(
        &self,
        group: Uuid,
        change: GroupChange<'_>,
    ) -> Result<(), OrganizationError> {
        self.can("change a single group")?;
        let path = format!("/public/groups/{group}");
        let before = self.group(group).await?;
        if change.is_seen_in(&before) {
            return Ok(());
        }
        let what = || format!("{} of group {}", change.what(), sanitize(&before.name));
        let has = of_group(&before);
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
        let mut access = collections.to_vec();
        if let GroupChange::Collections(given) = change {
            let has = before.access().unwrap_or_default();
            let new = given
                .iter()
                .filter(|one| has.iter().all(|had| had.id != one.id));
            access.extend(new.map(|one| serde_json::json!(one)));
        }
        let mut update = GroupUpdate {
            name: &before.name,
            external_id: before.external_id.as_deref(),
            collections: &access,
        };
        match change {
            GroupChange::Collections(_) => {}
            GroupChange::ExternalId { to, .. } => update.external_id = to.map(ExternalId::as_str),
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

/// The external id of a group; servers have an empty one for none.
fn of_group(group: &FullGroup) -> Option<&str> {
    group.external_id.as_deref().filter(|id| !id.is_empty())
}

/// What changes about a group, while everything else stays.
#[derive(Debug, Clone, Copy)]
enum GroupChange<'a> {
    ExternalId {
        from: Option<&'a ExternalId>,
        /// `None`: it has none from then on.
        to: Option<&'a ExternalId>,
    },
    Name(&'a str),
    Collections(&'a [CollectionAccess]),
}

impl GroupChange<'_> {
    fn what(self) -> &'static str {
        match self {
            Self::ExternalId { to: None, .. } => "taking out the external id",
            Self::ExternalId { .. } => "the new external id",
            Self::Name(_) => "the new name",
            Self::Collections(_) => "access to collections",
        }
    }

    fn is_seen_in(self, group: &FullGroup) -> bool {
        match self {
            Self::ExternalId { to, .. } => of_group(group) == to.map(ExternalId::as_str),
            Self::Name(name) => group.name == name,
            Self::Collections(given) => group.access().is_some_and(|has| {
                let mut given = given.iter();
                given.all(|one| has.iter().any(|had| had.id == one.id))
            }),
        }
    }
}
