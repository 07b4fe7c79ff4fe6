//! The plan that the operator left in the cluster.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::cluster::Cluster;
use super::companion::{self, Expected};
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::api::status::HeldRemovals;
use crate::controller::companion::Companion;
use crate::controller::plan::{self, PlanIndex};
use crate::sync::render::{PlanDocument, read};

/// The parts of a plan are written one after another: whoever reads meanwhile reads again.
const TRIES: usize = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The plan of the last run that had anything to do, or the one of which something was made before it.
pub struct Published {
    /// What it says.
    pub document: PlanDocument<'static>,
    /// Identifies what it lists as held.
    pub held_digest: String,
    /// What belongs to it.
    pub index: PlanIndex,
    /// The kind of object it was found in.
    pub storage: PlanStorage,
    /// When it was written.
    pub written: Option<Time>,
}

/// Which plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That of the last run that had anything to do.
    Latest,
    /// The last one before it of which something was made.
    Previous,
}

impl Published {
    /// The plan of a resource; `None` where no run of it had anything to do.
    ///
    /// # Errors
    /// When the ConfigMap or Secret can't be read, or belongs to somebody else.
    pub async fn of(
        cluster: &Cluster,
        resource: &Resource,
        which: Which,
    ) -> Result<Option<Self>, PluginError> {
        let storage = resource.plan_storage();
        if let Some(published) = Self::read(cluster, resource, storage, which).await? {
            return Ok(Some(published));
        }
        // The operator moves it when the next run begins.
        match Self::read(cluster, resource, storage.other(), which).await {
            // Whoever may not read Secrets misses none here in all likelihood; and what somebody else
            // has under that name isn't asked for.
            Err(PluginError::Forbidden { .. } | PluginError::NotNow(_)) => Ok(None),
            before => before,
        }
    }

    async fn read(
        cluster: &Cluster,
        resource: &Resource,
        storage: PlanStorage,
        which: Which,
    ) -> Result<Option<Self>, PluginError> {
        match storage {
            PlanStorage::ConfigMap => {
                Self::read_kind::<ConfigMap>(cluster, resource, storage, which).await
            }
            PlanStorage::Secret => {
                Self::read_kind::<Secret>(cluster, resource, storage, which).await
            }
        }
    }

    async fn read_kind<K: Companion>(
        cluster: &Cluster,
        resource: &Resource,
        storage: PlanStorage,
        which: Which,
    ) -> Result<Option<Self>, PluginError> {
        let (index_key, plan_key) = match which {
            Which::Latest => (plan::INDEX, plan::PLAN),
            Which::Previous => (plan::PREVIOUS_INDEX, plan::PREVIOUS),
        };
        for attempt in 1..=TRIES {
            let name = plan::name(resource.name());
            let Some(mut object) = get::<K>(cluster, resource, &name).await? else {
                return Ok(None);
            };
            let written = plan::written(object.meta());
            // An emptied one has no plan.
            let (index, first) = (object.take_text(index_key), object.take_binary(plan_key));
            let (Some(index), Some(first)) = (index, first) else {
                return Ok(None);
            };
            let index: PlanIndex =
                serde_json::from_str(&index).map_err(|error| another_form(&error))?;
            let mut parts = vec![first];
            if which == Which::Latest {
                for name in plan::further_names(resource.name(), &index) {
                    let part = get::<K>(cluster, resource, &name).await?;
                    parts.extend(part.and_then(|mut part| part.take_binary(plan::PLAN)));
                }
            }
            if let Some(whole) = plan::whole(&index, &parts) {
                let read = read(&whole).map_err(|error| another_form(&error))?;
                return Ok(Some(Self {
                    document: read.document,
                    held_digest: read.held_digest,
                    storage,
                    written: index.written.clone().or(written),
                    index,
                }));
            }
            if attempt < TRIES {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }
        Err(PluginError::NotNow(format!(
            "the parts of the plan don't fit together: one of the {}s {}-plan-2 and following was changed \
             or deleted, or the operator writes a plan right now; try again, and ask for a run if it stays so: \
             kubectl directorysync sync {} -n {}",
            storage.kind(),
            resource.name(),
            resource.name(),
            resource.namespace()
        )))
    }
}

impl Published {
    /// Whether it lists as held what the digest in status stands for: status can be written by the operator
    /// alone, a plan by whoever may write ConfigMaps.
    ///
    /// # Errors
    /// [`PluginError::NotNow`] where it lists something else.
    pub fn check_held(&self, resource: &Resource, held: &HeldRemovals) -> Result<(), PluginError> {
        let rows = i64::try_from(self.document.held()).unwrap_or(i64::MAX);
        // An operator of an earlier version writes no digest.
        let expected = held.plan_digest.as_ref();
        if rows == held.total && expected.is_none_or(|digest| *digest == self.held_digest) {
            return Ok(());
        }
        let (kind, name, namespace) = (self.storage.kind(), resource.name(), resource.namespace());
        Err(PluginError::NotNow(format!(
            "{kind} {name}-plan lists other held changes ({rows}) than those that the operator holds ({}): \
             somebody changed the plan, or a run replaces it right now. Nothing was approved. Have the plan \
             published anew: kubectl directorysync sync {name} -n {namespace} --wait. Who changed it: kubectl \
             get {} {} -n {namespace} -o yaml --show-managed-fields",
            held.total,
            self.storage.resource(),
            plan::name(name),
        )))
    }

    /// What to say beside the plan where its held changes aren't those of status; `None`: they are, or it is
    /// another plan than status speaks of.
    pub fn warning(&self, resource: &Resource) -> Option<String> {
        let held = resource.status.held_removals.as_ref();
        let held = held.filter(|held| held.digest == self.document.head.digest)?;
        let checked = self.check_held(resource, held);
        checked.err().map(|error| error.to_string())
    }
}

fn another_form(error: &dyn std::error::Error) -> PluginError {
    PluginError::NotNow(format!(
        "the plan isn't in a form that this version of the plugin reads ({error}): use the plugin of the \
         operator's version"
    ))
}

/// One of the objects of a plan.
async fn get<K: Companion>(
    cluster: &Cluster,
    resource: &Resource,
    name: &str,
) -> Result<Option<K>, PluginError> {
    let expected = Expected {
        name,
        what: "the plan of",
        then: "and the operator publishes the plan there",
    };
    companion::get(cluster, resource, &expected).await
}

/// When a plan was written, for a person.
pub fn age(written: Option<&Time>, now: Timestamp) -> String {
    match written {
        Some(_) => super::time::ago(written, now),
        None => "at an unknown time".into(),
    }
}
