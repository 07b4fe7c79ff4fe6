//! The ConfigMaps and Secrets that the operator keeps beside a resource, as the plugin reads them.

use kube::Api;

use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use crate::controller::companion::{self, Companion};

/// What is expected under a name.
pub struct Expected<'a> {
    /// The name.
    pub name: &'a str,
    /// What it is: `the plan of`.
    pub what: &'a str,
    /// What comes of deleting what somebody else has there: `and the operator publishes the plan there`.
    pub then: &'a str,
}

/// The object of this name; `None` where there is none, or one of an earlier resource of the same name: the
/// operator doesn't read that one, either.
///
/// # Errors
/// When it can't be read, or belongs to somebody else.
pub async fn get<K: Companion>(
    cluster: &Cluster,
    resource: &Resource,
    Expected { name, what, then }: &Expected<'_>,
) -> Result<Option<K>, PluginError> {
    let namespace = resource.namespace();
    let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
    let asked = cluster.asked("get", K::STORAGE.resource(), Some(namespace));
    let found = api.get_opt(name).await;
    let Some(found) = found.map_err(|error| asked.failed(error))? else {
        return Ok(None);
    };
    if !companion::is_ours(&found, resource.name()) {
        return Err(PluginError::NotNow(format!(
            "{} {name:?} isn't {what} {}: somebody else made it; delete or rename it, {then}",
            K::STORAGE.kind(),
            resource.full_name()
        )));
    }
    let uid = resource.object.metadata.uid.as_deref();
    Ok(Some(found).filter(|one| companion::is_of_this(one.meta(), resource.name(), uid)))
}
