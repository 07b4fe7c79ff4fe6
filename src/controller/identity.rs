//! Tokens of ServiceAccounts, with which a resource proves to a vendor who is asking.
//!
//! A resource names a ServiceAccount of its own namespace. The operator requests a token of it
//! (TokenRequest) with the one audience that the vendor expects, so the token is of no use anywhere
//! else, the API server included. The operator's own identity is for the namespaces that its flags
//! name.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use secrecy::SecretString;

use super::timeout::{ApiServerError, with_timeout};
use crate::http::oauth::{IdentityError, IdentityToken, NoIdentity};
use crate::source::{Identities, IdentityRequest};

/// The shortest that the API server issues. A token is exchanged at once, and requested anew each
/// time.
const LIFETIME: i64 = 600;

/// Whose identities the resources of one namespace may use.
#[derive(Clone)]
pub struct NamespaceIdentities {
    /// A client of the Kubernetes API.
    pub client: Client,
    /// The namespace of the resource.
    pub namespace: String,
    /// Whether its resources may use the operator's own identity.
    pub may_use_own: bool,
}

impl std::fmt::Debug for NamespaceIdentities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamespaceIdentities")
            .field("namespace", &self.namespace)
            .field("may_use_own", &self.may_use_own)
            .finish_non_exhaustive()
    }
}

impl Identities for NamespaceIdentities {
    fn token(&self, request: &IdentityRequest) -> Arc<dyn IdentityToken> {
        match &request.service_account {
            Some(account) => Arc::new(AccountToken {
                identities: self.clone(),
                account: account.clone(),
                audience: request.audience.clone(),
            }),
            None if self.may_use_own => request.own.token(),
            None => Arc::new(NoIdentity(format!(
                "resources in namespace {:?} may not use the operator's own identity; write \
                 workloadIdentity.serviceAccountName, or let whoever runs the operator allow it \
                 (--own-identity-for)",
                self.namespace
            ))),
        }
    }
}

/// Tokens of one ServiceAccount for one audience.
#[derive(Debug)]
struct AccountToken {
    identities: NamespaceIdentities,
    account: String,
    audience: String,
}

impl IdentityToken for AccountToken {
    fn get(&self) -> BoxFuture<'_, Result<SecretString, IdentityError>> {
        Box::pin(async move {
            let NamespaceIdentities {
                client, namespace, ..
            } = &self.identities;
            let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
            let request = TokenRequest {
                spec: Some(TokenRequestSpec {
                    audiences: Some(vec![self.audience.clone()]),
                    expiration_seconds: Some(LIFETIME),
                    bound_object_ref: None,
                }),
                ..TokenRequest::default()
            };
            let parameters = PostParams::default();
            let issued =
                with_timeout(api.create_token_request(&self.account, &parameters, &request))
                    .await
                    .map_err(|error| self.refused(&error))?;
            let token = issued.status.and_then(|status| status.token);
            token.map(SecretString::from).ok_or_else(|| {
                IdentityError::Transient("the API server issued no token".to_owned())
            })
        })
    }
}

impl AccountToken {
    fn refused(&self, error: &ApiServerError) -> IdentityError {
        let namespace = &self.identities.namespace;
        let account = format!(
            "ServiceAccount {:?} in namespace {namespace:?}",
            self.account
        );
        if error.is_refused() {
            return IdentityError::Settings(format!(
                "the operator may not request a token of {account}: whoever runs the operator can \
                 allow it (chart: workloadIdentity.tokenRequests=true): {error}"
            ));
        }
        if error.is_gone() {
            return IdentityError::Settings(format!(
                "{account} isn't there; create it: kubectl -n {namespace} create serviceaccount {}",
                self.account
            ));
        }
        IdentityError::Transient(format!("requesting a token of {account}: {error}"))
    }
}
