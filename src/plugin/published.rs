//! The plan that the operator left in the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::Api;
use serde::de::DeserializeOwned;

use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::controller::plan::{self, PlanIndex};
use crate::sync::render::{PlanDocument, read};

/// The parts of a plan are written one after another: whoever reads meanwhile reads again.
const TRIES: usize = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The plan of the last run that had anything to do, or the one of which something was made before it.
pub struct Published {
    /// What it says.
    pub document: PlanDocument<'static>,
    /// What belongs to it.
    pub index: PlanIndex,
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

    async fn read_kind<K: Stored>(
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
            let Some(mut object) = get::<K>(cluster, resource, storage, &name).await? else {
                return Ok(None);
            };
            let written = plan::written(object.meta());
            // An emptied one has no plan.
            let (Some(index), Some(first)) = (object.take(index_key), object.take(plan_key)) else {
                return Ok(None);
            };
            let index: PlanIndex =
                serde_json::from_slice(&index).map_err(|error| another_form(&error))?;
            let mut parts = vec![first];
            if which == Which::Latest {
                for name in plan::further_names(resource.name(), &index) {
                    let part = get::<K>(cluster, resource, storage, &name).await?;
                    parts.extend(part.and_then(|mut part| part.take(plan::PLAN)));
                }
            }
            if let Some(whole) = plan::whole(&index, &parts) {
                let document = read(&whole).map_err(|error| another_form(&error))?;
                return Ok(Some(Self {
                    document,
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

fn another_form(error: &dyn std::error::Error) -> PluginError {
    PluginError::NotNow(format!(
        "the plan isn't in a form that this version of the plugin reads ({error}): use the plugin of the \
         operator's version"
    ))
}

/// One of the objects of a plan.
async fn get<K: Stored>(
    cluster: &Cluster,
    resource: &Resource,
    storage: PlanStorage,
    name: &str,
) -> Result<Option<K>, PluginError> {
    let namespace = resource.namespace();
    let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
    let asked = cluster.asked("get", storage.resource(), Some(namespace));
    let found = api.get_opt(name).await;
    let found = found.map_err(|error| asked.failed(error))?;
    match found {
        Some(object) if !plan::is_of(object.meta(), resource.name()) => {
            Err(PluginError::NotNow(format!(
                "{} {name:?} isn't the plan of {}: somebody else made it; delete or rename it, and the \
                 operator publishes the plan there",
                storage.kind(),
                resource.full_name()
            )))
        }
        found => {
            // One of an earlier resource of this name isn't this one's plan.
            let uid = resource.object.metadata.uid.as_deref();
            Ok(found.filter(|one| plan::is_of_this(one.meta(), resource.name(), uid)))
        }
    }
}

/// A kind of object that holds plans.
trait Stored:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
{
    /// Takes out what is under this key.
    fn take(&mut self, key: &str) -> Option<Vec<u8>>;
}

fn take_bytes(data: &mut Option<BTreeMap<String, ByteString>>, key: &str) -> Option<Vec<u8>> {
    Some(data.as_mut()?.remove(key)?.0)
}

impl Stored for ConfigMap {
    fn take(&mut self, key: &str) -> Option<Vec<u8>> {
        let text = self.data.as_mut().and_then(|data| data.remove(key));
        let text = text.map(String::into_bytes);
        text.or_else(|| take_bytes(&mut self.binary_data, key))
    }
}

impl Stored for Secret {
    fn take(&mut self, key: &str) -> Option<Vec<u8>> {
        take_bytes(&mut self.data, key)
    }
}

/// When a plan was written, for a person.
pub fn age(written: Option<&Time>, now: Timestamp) -> String {
    match written {
        Some(_) => super::time::ago(written, now),
        None => "at an unknown time".into(),
    }
}
