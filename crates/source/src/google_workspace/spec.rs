//! A Google Workspace customer's part of a spec.

use std::sync::Arc;

use super::settings::{
    Addresses, Credentials, GoogleWorkspaceSettings, GroupSettings, ServiceAccountKey, Tenant,
    UserSettings, WorkloadIdentity,
};
use crate::api::spec::{
    GoogleWorkloadIdentity, GoogleWorkspaceCredentials, GoogleWorkspaceSource, GoogleWorkspaceUsers,
};
use crate::checks::{Checks, mentions, state};
use crate::http::Observer;
use crate::http::egress::host_of;
use crate::references::{
    KeyOf, Reference, ReferencedData, Unresolved, UnresolvedReason, is_object_name,
};
use crate::{
    ConnectError, IdentityRequest, OwnTokenFile, Source, SourceEnvironment, SourceSettings,
    Validate, VendorAddress,
};

const FIELD: &str = "spec.source.googleWorkspace";

/// What a spec says of a customer.
#[derive(Debug, Clone)]
struct Configured {
    settings: GoogleWorkspaceSettings,
    credentials: CredentialsRef,
}

/// Where the service account's credentials are.
#[derive(Debug, Clone)]
enum CredentialsRef {
    Key(KeyOf),
    WorkloadIdentity {
        /// The provider's full name.
        provider: String,
        /// The email of Google's service account.
        email: String,
        request: IdentityRequest,
    },
}

impl Validate for GoogleWorkspaceSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        match &self.credentials {
            CredentialsRef::Key(key) => vec![Reference::from(key)],
            CredentialsRef::WorkloadIdentity { .. } => vec![],
        }
    }

    fn hosts(&self) -> Vec<String> {
        let Addresses { token, directory } = &self.settings.addresses;
        [token, directory].map(host_of).into()
    }

    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        let query = self.settings.users.query.as_deref();
        match mentions(query, &["isSuspended", "isArchived", "orgUnitPath"]) {
            true => vec!["users.query"],
            false => vec![],
        }
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        environment: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let credentials = self.credentials.read(data, environment)?;
        let mut settings = GoogleWorkspaceSettings {
            observer,
            ..self.settings.clone()
        };
        let Addresses { token, directory } = &mut settings.addresses;
        environment.urls.replace(VendorAddress::GoogleToken, token);
        environment
            .urls
            .replace(VendorAddress::GoogleDirectory, directory);
        Ok(Box::new(super::GoogleWorkspaceSource::new(
            settings,
            &credentials,
        )?))
    }
}

impl CredentialsRef {
    fn read(
        &self,
        data: &ReferencedData,
        environment: &SourceEnvironment,
    ) -> Result<Credentials, Unresolved> {
        Ok(match self {
            Self::Key(key) => Credentials::Key(account_key(data, key)?),
            Self::WorkloadIdentity {
                provider,
                email,
                request,
            } => {
                let token = environment.identities.token(request);
                let mut identity = WorkloadIdentity::new(provider, email, token);
                let urls = &environment.urls;
                urls.replace(VendorAddress::GoogleSts, &mut identity.sts);
                urls.replace(VendorAddress::GoogleIam, &mut identity.iam);
                Credentials::WorkloadIdentity(identity)
            }
        })
    }
}

/// A key that can sign: somebody who stored another file hears of it by the Secret's name.
fn account_key(data: &ReferencedData, key: &KeyOf) -> Result<ServiceAccountKey, UnresolvedReason> {
    let text = std::str::from_utf8(data.bytes(key)?).map_err(|_| {
        UnresolvedReason::unusable(key, "isn't text; store the JSON file as Google gives it")
    })?;
    ServiceAccountKey::parse(text)
        .map_err(|error| UnresolvedReason::unusable(key, &error.to_string()))
}

fn configured(
    checks: &mut Checks,
    spec: &GoogleWorkspaceSource,
    reads_groups: bool,
) -> Option<Configured> {
    let tenant = tenant(checks, spec);
    if let Some(admin) = &spec.admin_email {
        let message = "write the administrator's email: admin@example.com";
        must(checks, "adminEmail", is_address(admin), message);
    }
    let credentials = credentials(checks, &spec.credentials);
    let requests = spec.requests_per_minute.map(|requests| {
        let message = "write how many requests a minute to send at most, 60 or more";
        must(checks, "requestsPerMinute", requests >= 60, message);
        requests.unsigned_abs()
    });
    let users = users(checks, spec.users.clone().unwrap_or_default());
    let groups = spec.groups.clone().unwrap_or_default();

    let mut settings = GoogleWorkspaceSettings::new(spec.admin_email.clone());
    settings.tenant = tenant?;
    settings.requests_per_minute = requests.unwrap_or(settings.requests_per_minute);
    settings.users = users;
    settings.groups = reads_groups.then_some(GroupSettings {
        query: groups.query,
    });
    Some(Configured {
        settings,
        credentials: credentials?,
    })
}

fn must(checks: &mut Checks, field: &str, holds: bool, message: &str) {
    if !holds {
        checks.refuse(format!("{FIELD}.{field}"), message);
    }
}

fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| {
        let good = |part: &str| !part.is_empty() && !part.contains(['@', ' ']);
        good(name) && good(domain)
    })
}

fn is_domain(text: &str) -> bool {
    let good = |label: &str| {
        let mut characters = label.chars();
        !label.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.contains('.') && text.split('.').all(good)
}

fn tenant(checks: &mut Checks, spec: &GoogleWorkspaceSource) -> Option<Tenant> {
    match (&spec.customer, &spec.domains) {
        (None, None) => Some(Tenant::Customer("my_customer".to_owned())),
        (Some(customer), None) => {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let good = !customer.is_empty() && customer.chars().all(good);
            let message = "write the customer's id (C0123abcd) or my_customer";
            must(checks, "customer", good, message);
            Some(Tenant::Customer(customer.clone()))
        }
        (None, Some(domains)) => {
            let good = !domains.is_empty() && domains.iter().all(|name| is_domain(name));
            must(
                checks,
                "domains",
                good,
                "write domains by name: example.com",
            );
            Some(Tenant::Domains(domains.clone()))
        }
        (Some(_), Some(_)) => {
            checks.refuse(
                FIELD,
                "write either customer (all its domains) or domains (some of them), not both",
            );
            None
        }
    }
}

fn credentials(checks: &mut Checks, spec: &GoogleWorkspaceCredentials) -> Option<CredentialsRef> {
    match (
        &spec.service_account_key_secret_ref,
        &spec.workload_identity,
    ) {
        (Some(secret), None) => {
            let key = KeyOf::secret(&secret.name, secret.key.as_deref(), "key.json");
            Some(CredentialsRef::Key(key))
        }
        (None, Some(identity)) => Some(workload_identity(checks, identity)),
        _ => {
            checks.refuse(
                format!("{FIELD}.credentials"),
                "write exactly one of serviceAccountKeySecretRef and workloadIdentity",
            );
            None
        }
    }
}

fn workload_identity(checks: &mut Checks, spec: &GoogleWorkloadIdentity) -> CredentialsRef {
    let field = |name: &str| format!("credentials.workloadIdentity.{name}");
    let audience = &spec.audience;
    must(
        checks,
        &field("audience"),
        audience.starts_with("//iam.googleapis.com/"),
        "write the provider's full name, which starts with //iam.googleapis.com/projects/",
    );
    let email = &spec.service_account_email;
    must(
        checks,
        &field("serviceAccountEmail"),
        is_address(email),
        "write the service account's email: sync@project.iam.gserviceaccount.com",
    );
    if let Some(account) = &spec.service_account_name {
        must(
            checks,
            &field("serviceAccountName"),
            is_object_name(account),
            "write the name of a ServiceAccount in this namespace",
        );
    }
    CredentialsRef::WorkloadIdentity {
        provider: audience.clone(),
        email: email.clone(),
        request: IdentityRequest {
            service_account: spec.service_account_name.clone(),
            // What a provider expects unless it was given other audiences (Google Cloud, "Configure
            // Workload Identity Federation with Kubernetes").
            audience: format!("https:{audience}"),
            own: OwnTokenFile::Google,
        },
    }
}

fn users(checks: &mut Checks, spec: GoogleWorkspaceUsers) -> UserSettings {
    let units = spec.organizational_units.unwrap_or_default();
    must(
        checks,
        "users.organizationalUnits",
        units.iter().all(|path| path.starts_with('/')),
        "write organizational units by their path: /Staff/Berlin",
    );
    if let Some(domain) = &spec.email_domain {
        let message = "write the domain by name: example.com";
        must(checks, "users.emailDomain", is_domain(domain), message);
    }
    let defaults = UserSettings::default();
    UserSettings {
        query: spec.query,
        organizational_units: units,
        suspended: state(spec.suspended, defaults.suspended),
        archived: state(spec.archived, defaults.archived),
        email_domain: spec.email_domain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::conditions::Blocker;
    use crate::fixtures::{data, data_with, unresolved, with_source};

    #[test]
    fn a_file_that_is_no_service_accounts_key_is_named_by_its_secret_and_never_shown() {
        let spec = with_source(
            "googleWorkspace",
            &json!({
                "credentials": {"serviceAccountKeySecretRef": {"name": "google"}},
            }),
        );
        let refused = |file: &str| {
            let error = unresolved(&spec, &data_with("google", &json!({"key.json": file})));
            assert_eq!(error.blocker(), Blocker::InvalidReference);
            error.to_string()
        };
        let client = json!({"type": "authorized_user", "client_secret": "hush-hush"}).to_string();
        let cut = json!({
            "type": "service_account",
            "client_email": "sync@p.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": "-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----",
        });
        for (file, why) in [
            ("hush-hush", "isn't JSON"),
            (&client, "\"type\" isn't \"service_account\""),
            (
                &json!({"type": "service_account"}).to_string(),
                "has no private_key",
            ),
            (&cut.to_string(), "has a private_key that"),
        ] {
            let error = refused(file);
            assert!(
                error.starts_with("Secret \"google\", key \"key.json\": "),
                "{error}"
            );
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hush-hush"), "{error}");
        }
        let error = unresolved(&spec, &data());
        assert_eq!(error.blocker(), Blocker::ReferenceNotFound);
    }
}
