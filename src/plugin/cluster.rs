//! The kubeconfig's cluster, and the resources in it.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;

use super::args::{ChangeArgs, ConnectionArgs, SelectArgs};
use super::error::{Asked, PluginError};
use super::resource::Resource;
use crate::api::DirectorySync;

/// Whose fields are those that the plugin sets.
const FIELD_MANAGER: &str = "kubectl-directorysync";
/// The resource, as RBAC names it.
pub const RESOURCE: &str = "directorysyncs.directorysync.dev";
/// Where answers stay away this long, somebody should be told.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Resources that are read in one answer.
const PAGE: u32 = 500;
/// Names in an error that says which there are.
const NAMED: usize = 10;

/// The cluster of the kubeconfig's current or chosen context.
pub struct Cluster {
    /// A client of its API server.
    pub client: Client,
    /// Where resources are looked for that are named without a namespace.
    pub namespace: String,
    address: String,
}

impl Cluster {
    /// Reads the kubeconfig; asks nothing yet.
    ///
    /// # Errors
    /// [`PluginError::NoContext`], [`PluginError::Kubeconfig`], [`PluginError::NoCluster`].
    pub async fn connect(args: &ConnectionArgs) -> Result<Self, PluginError> {
        let mut config = config(args).await?;
        // A person waits: what doesn't answer is told, and not tried for a quarter of an hour.
        config.default_retry = false;
        config.connect_timeout = Some(WAIT_TIMEOUT);
        if args.act_as.is_some() {
            config.auth_info.impersonate.clone_from(&args.act_as);
            config.auth_info.impersonate_groups = Some(args.act_as_groups.clone());
        }
        let namespace = match &args.namespace {
            Some(namespace) => namespace.clone(),
            None => config.default_namespace.clone(),
        };
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(PluginError::Client)?;
        Ok(Self {
            client,
            namespace,
            address,
        })
    }

    /// What a request is about, for its refusal.
    pub fn asked<'a>(
        &'a self,
        verb: &'static str,
        resource: &'static str,
        namespace: Option<&'a str>,
    ) -> Asked<'a> {
        Asked {
            verb,
            resource,
            namespace,
            address: &self.address,
        }
    }

    /// A resource by its name, in the namespace of the command line.
    ///
    /// # Errors
    /// [`PluginError::NotFound`] with the names that there are; as [`Asked::failed`].
    pub async fn get(&self, name: &str) -> Result<Resource, PluginError> {
        let namespace = &self.namespace;
        match self.find(namespace, bare(name)).await? {
            Some(resource) => Ok(resource),
            None => Err(PluginError::NotFound {
                name: bare(name).to_owned(),
                namespace: namespace.clone(),
                there: self.there().await?,
            }),
        }
    }

    /// A resource by namespace and name.
    ///
    /// # Errors
    /// As [`Asked::failed`].
    pub async fn find(&self, namespace: &str, name: &str) -> Result<Option<Resource>, PluginError> {
        let asked = self.asked("get", RESOURCE, Some(namespace));
        let answer = self.api(Some(namespace)).get_opt(name).await;
        Ok(answer
            .map_err(|error| asked.failed(error))?
            .map(Resource::new))
    }

    /// The resources that are meant, by namespace and name.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn select(&self, these: &SelectArgs) -> Result<Vec<Resource>, PluginError> {
        if these.names.is_empty() {
            let namespace = (!these.all_namespaces).then_some(self.namespace.as_str());
            return self.list(namespace, these.selector.as_deref()).await;
        }
        let mut resources = Vec::new();
        for name in &these.names {
            resources.push(self.get(name).await?);
        }
        Ok(resources)
    }

    /// The resources that are to be changed: at least one.
    ///
    /// # Errors
    /// As [`Cluster::select`]; when there is none.
    pub async fn select_some(&self, these: &ChangeArgs) -> Result<Vec<Resource>, PluginError> {
        let resources = self.select(&these.these).await?;
        if resources.is_empty() {
            return Err(PluginError::NotNow(self.nothing_there(&these.these)));
        }
        Ok(resources)
    }

    /// That a selection is empty, in kubectl's words.
    pub fn nothing_there(&self, these: &SelectArgs) -> String {
        if these.all_namespaces {
            "No resources found".into()
        } else {
            format!("No resources found in {} namespace.", self.namespace)
        }
    }

    /// Every resource of a namespace, or of the cluster.
    ///
    /// # Errors
    /// As [`Asked::failed`].
    pub async fn list(
        &self,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Resource>, PluginError> {
        let api = self.api(namespace);
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.label_selector = selector.map(str::to_owned);
        let mut resources = Vec::new();
        loop {
            let page = api.list(&parameters).await.map_err(|error| match error {
                // A kind that isn't there has no list.
                kube::Error::Api(status) if status.is_not_found() => PluginError::NotServed,
                error => self.asked("list", RESOURCE, namespace).failed(error),
            })?;
            resources.extend(page.items.into_iter().map(Resource::new));
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => parameters.continue_token = Some(token),
                _ => return Ok(resources),
            }
        }
    }

    /// Changes one resource, and returns what it is then.
    ///
    /// # Errors
    /// As [`Asked::failed`].
    pub async fn patch(&self, resource: &Resource, patch: Value) -> Result<Resource, PluginError> {
        let namespace = resource.namespace();
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let answer = self
            .api(Some(namespace))
            .patch(resource.name(), &parameters, &Patch::Merge(patch))
            .await;
        let asked = self.asked("patch", RESOURCE, Some(namespace));
        Ok(Resource::new(answer.map_err(|error| asked.failed(error))?))
    }

    /// The name under which the API server knows whoever runs this; `None` where it doesn't say.
    pub async fn who_am_i(&self) -> Option<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        match api.create(&PostParams::default(), &review).await {
            Ok(review) => review.status?.user_info?.username,
            Err(error) => {
                tracing::debug!(%error, "the API server doesn't say who this is");
                None
            }
        }
    }

    fn api(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        // Not by type: a resource of another version of the operator is to be shown, too.
        let kind = ApiResource::erase::<DirectorySync>(&());
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        }
    }

    async fn there(&self) -> Result<String, PluginError> {
        let all = match self.list(Some(&self.namespace), None).await {
            Ok(all) => all,
            // Who may get one by name needn't be allowed to list them.
            Err(PluginError::Forbidden { .. }) => {
                return Ok("choose another with -n or --context".into());
            }
            Err(error) => return Err(error),
        };
        let mut names: Vec<&str> = all.iter().map(Resource::name).take(NAMED).collect();
        if names.is_empty() {
            return Ok("there is none at all: choose another namespace with -n".into());
        }
        if all.len() > NAMED {
            names.push("…");
        }
        Ok(format!("there are: {}", names.join(", ")))
    }
}

/// `staff` of `directorysync.directorysync.dev/staff`, which is how `-o name` and kubectl write it.
fn bare(name: &str) -> &str {
    match name.split_once('/') {
        Some((kind, name)) if kind.starts_with("directorysync") || kind == "dsync" => name,
        _ => name,
    }
}

async fn config(args: &ConnectionArgs) -> Result<Config, PluginError> {
    let found = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let named = args.kubeconfig.is_some()
        || args.context.is_some()
        || std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    let kubeconfig = match found {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if named => return Err(PluginError::Kubeconfig(error)),
        Err(_) => return Config::incluster().map_err(|_| PluginError::NoCluster),
    };
    if let Some(name) = &args.context
        && !kubeconfig
            .contexts
            .iter()
            .any(|context| context.name == *name)
    {
        let known = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.as_str());
        let known: Vec<&str> = known.collect();
        return Err(PluginError::NoContext {
            name: name.clone(),
            known: known.join(", "),
        });
    }
    let options = KubeConfigOptions {
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(PluginError::Kubeconfig)
}
