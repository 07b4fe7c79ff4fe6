//! Collections: which there are, and what somebody calls them by. Their names are encrypted.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::client::is_no_call;
use crate::collection::{Collection, CollectionAccess};
use crate::text::sanitize;
use crate::wire::List;

/// All collections, each with the groups that have access.
const LIST_MAX: u64 = 1 << 28;
/// One of them.
const COLLECTION_MAX: u64 = 16 << 20;
/// The longest external id that Bitwarden takes, in characters.
pub const EXTERNAL_ID_MAX: usize = 300;
/// Stands where an external id isn't shown.
const WITHHELD: &str = "(withheld)";

/// A collection with the groups that have access to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionWithGroups {
    /// The collection.
    pub collection: Collection,
    /// Each group by its id, with what its members may do: `id` is the group's.
    pub groups: Vec<CollectionAccess>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCollection {
    id: Uuid,
    #[serde(default)]
    external_id: Option<String>,
    /// Null where the server doesn't tell: sending fewer than there are would take the rest away.
    #[serde(
        default,
        deserialize_with = "crate::http::process_limits::bounded_values"
    )]
    groups: Option<Vec<serde_json::Value>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CollectionUpdate<'a> {
    external_id: Option<&'a str>,
    groups: &'a [serde_json::Value],
}

impl OrganizationClient {
    /// All collections; `None` where the server has no such call.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn all_collections(
        &self,
    ) -> Result<Option<Vec<CollectionWithGroups>>, OrganizationError> {
        self.can("list collections")?;
        let endpoint = "GET /public/collections";
        let call = self.call(Method::GET, "/public/collections", endpoint);
        let listed = self
            .remote
            .json::<List<WireCollection>>(&call, LIST_MAX)
            .await;
        let list = match listed {
            Ok(list) => list,
            Err(error)
                if error.failure.answer().is_some_and(|answer| {
                    answer.status == StatusCode::NOT_FOUND || is_no_call(answer)
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(self.error(error)),
        };
        if list.continuation_token.is_some() {
            let why = "the answer ends with a continuation token".to_owned();
            let what = "collections";
            return Err(OrganizationError::Incomplete { what, why });
        }
        let values = self.remote.secrets.values();
        let collections = list.data.into_iter().map(|one| {
            let external_id = one.external_id.filter(|id| !id.is_empty());
            // External ids are shown, so one that holds a value of a Secret isn't.
            let is_secret = |id: &String| values.as_ref().is_some_and(|all| all.are_in(id));
            let external_id = external_id.map(|id| match is_secret(&id) {
                true => WITHHELD.into(),
                false => id.into(),
            });
            let groups = one.groups.iter().flatten();
            let groups = groups.filter_map(|one| CollectionAccess::deserialize(one).ok());
            CollectionWithGroups {
                collection: Collection {
                    id: one.id,
                    external_id,
                },
                groups: groups.collect(),
            }
        });
        Ok(Some(collections.collect()))
    }

    /// Gives a collection an external id, or takes it away with `None`; which groups have access stays. Done
    /// as well where it was so already.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], [`OrganizationError::Gone`], [`OrganizationError::NotApplied`] when
    /// the answer shows something else.
    pub async fn set_collection_external_id(
        &self,
        collection: Uuid,
        external_id: Option<&str>,
    ) -> Result<(), OrganizationError> {
        self.can("change a collection")?;
        let path = format!("/public/collections/{collection}");
        let get = self.call(Method::GET, &path, "GET /public/collections/{id}");
        let before: WireCollection = self.json(&get, COLLECTION_MAX).await?;
        if before.external_id.as_deref().filter(|id| !id.is_empty()) == external_id {
            return Ok(());
        }
        let what = || format!("the external id of collection {collection}");
        let Some(groups) = before.groups.as_deref() else {
            return Err(OrganizationError::Refused {
                what: what(),
                answer:
                    "this server doesn't tell which groups have access to it, and would take it \
                         from them"
                        .into(),
            });
        };
        let update = CollectionUpdate {
            external_id,
            groups,
        };
        let put = self
            .call(Method::PUT, &path, "PUT /public/collections/{id}")
            .json(&update)
            .map_err(|error| self.error(error))?;
        let after: WireCollection = self.json(&put, COLLECTION_MAX).await?;
        let now = after.external_id.as_deref().filter(|id| !id.is_empty());
        if now != external_id {
            let seen = format!("it is {}", now.map_or_else(|| "none".into(), sanitize));
            return Err(OrganizationError::NotApplied { what: what(), seen });
        }
        if after.groups.is_some_and(|after| after.len() < groups.len()) {
            let seen = "groups have lost access: give it back in Bitwarden".into();
            return Err(OrganizationError::NotApplied { what: what(), seen });
        }
        Ok(())
    }
}
