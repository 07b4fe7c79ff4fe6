//! Why a command of the plugin failed, and what to do.

use kube::config::KubeconfigError;

use crate::text::sanitize;

/// Why a command of the plugin failed.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The kubeconfig can't be read, or names no cluster.
    #[error("the kubeconfig can't be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// There is no such context.
    #[error("the kubeconfig has no context {name:?}; it has: {known}")]
    NoContext {
        /// The one that was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Neither a kubeconfig nor a pod.
    #[error(
        "no cluster to ask: there is no kubeconfig; name one by --kubeconfig or KUBECONFIG, or put it \
         into ~/.kube/config"
    )]
    NoCluster,
    /// The client for it.
    #[error("can't prepare the connection to the cluster")]
    Client(#[source] kube::Error),
    /// The user lacks a permission (RBAC).
    #[error(
        "may not {verb} {resource} {place} ({answer}): ask for a role with that right; the operator's \
         chart adds looking at directorysyncs to the cluster role view and changing them to edit"
    )]
    Forbidden {
        /// What was tried: `get`.
        verb: &'static str,
        /// The plural with its API group: `directorysyncs.directorysync.dev`.
        resource: &'static str,
        /// Where it was tried: `in namespace identity`.
        place: String,
        /// The message of the API server's answer.
        answer: String,
    },
    /// The cluster refuses the credentials of the kubeconfig (401).
    #[error("the cluster doesn't accept the kubeconfig's credentials ({0}): sign in again")]
    Unauthorized(String),
    /// There is no such resource.
    #[error("there is no DirectorySync {name:?} in namespace {namespace}; {there}")]
    NotFound {
        /// The one that was asked for.
        name: String,
        /// The namespace or cluster in which it was tried.
        namespace: String,
        /// Which there are instead.
        there: String,
    },
    /// The API server doesn't know the kind.
    #[error(
        "this cluster doesn't know the kind DirectorySync: install its definition (directory-sync crds \
         | kubectl apply --server-side -f -), or choose another --context"
    )]
    NotServed,
    /// The API server doesn't answer.
    #[error("can't reach the cluster's API server at {address}: {cause}")]
    Unreachable {
        /// The URL from the kubeconfig.
        address: String,
        /// The error of the client or the operating system.
        cause: String,
    },
    /// Another answer of the API server.
    #[error("the API server didn't {verb} {resource} {place}: {answer}")]
    Refused {
        /// What was tried, such as `list`.
        verb: &'static str,
        /// The kind of object.
        resource: &'static str,
        /// The namespace or cluster in which it was tried.
        place: String,
        /// The message of the API server's answer.
        answer: String,
    },
    /// Anything else the request came to.
    #[error("can't {verb} {resource} {place}")]
    Request {
        /// What was tried, such as `list`.
        verb: &'static str,
        /// The kind of object.
        resource: &'static str,
        /// The namespace or cluster in which it was tried.
        place: String,
        /// The error of the Kubernetes client.
        #[source]
        cause: kube::Error,
    },
    /// The page can't be served there.
    #[error("can't serve the page on {address}: choose another --port, or leave it out")]
    Listen {
        /// The address and port.
        address: std::net::SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// `status NAME` asks for one form, several names for another.
    #[error("{0}")]
    Usage(String),
    /// A resource isn't as the command needs it.
    #[error("{0}")]
    NotNow(String),
    /// Standard output can't be written; a closed pipe, say.
    #[error("can't write to standard output")]
    Output(#[from] std::io::Error),
}

/// What was asked of the API server, for its refusal.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The verb of RBAC.
    pub verb: &'static str,
    /// The resource of RBAC.
    pub resource: &'static str,
    /// `None`: in all namespaces.
    pub namespace: Option<&'a str>,
    /// The API server's address.
    pub address: &'a str,
}

impl Asked<'_> {
    /// What a failed request means.
    pub fn failed(&self, error: kube::Error) -> PluginError {
        let &Self { verb, resource, .. } = self;
        let place = match self.namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "in all namespaces".to_owned(),
        };
        match error {
            kube::Error::Api(status) => {
                let answer = sanitize(&status.message);
                match status.code {
                    401 => PluginError::Unauthorized(answer),
                    403 => PluginError::Forbidden {
                        verb,
                        resource,
                        place,
                        answer,
                    },
                    _ => PluginError::Refused {
                        verb,
                        resource,
                        place,
                        answer,
                    },
                }
            }
            kube::Error::Service(cause) => PluginError::Unreachable {
                address: self.address.to_owned(),
                cause: sanitize(&crate::cli::explain(cause.as_ref())),
            },
            kube::Error::HyperError(cause) => PluginError::Unreachable {
                address: self.address.to_owned(),
                cause: sanitize(&crate::cli::explain(&cause)),
            },
            cause => PluginError::Request {
                verb,
                resource,
                place,
                cause,
            },
        }
    }
}
