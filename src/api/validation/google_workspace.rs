//! A Google Workspace customer.

use secrecy::SecretString;

use std::sync::Arc;

use super::check::Checks;
use super::organization::web_address;
use super::references::{KeyOf, Reference, ReferencedData};
use super::unresolved::{Unresolved, UnresolvedReason};
use crate::api::spec::{
    AccountMeaning, GoogleWorkloadIdentity, GoogleWorkspaceCredentials, GoogleWorkspaceSource,
    GoogleWorkspaceUsers,
};
use crate::directory::AccountState;
use crate::http::Observer;
use crate::source::google_workspace::{
    Addresses, Credentials, GoogleWorkspaceSettings, GroupSettings, ServiceAccountKey, TOKEN_FILE,
    Tenant, UserSettings, WorkloadIdentity,
};
use crate::source::{ConnectError, Source, SourceSettings, Validate};

const FIELD: &str = "spec.source.googleWorkspace";

/// A customer's settings, without a key.
#[derive(Debug, Clone)]
pub struct ValidatedGoogleWorkspace {
    settings: GoogleWorkspaceSettings,
    /// Where the service account's key is; with workload identity there is none.
    key: Option<KeyOf>,
}

impl SourceSettings for ValidatedGoogleWorkspace {
    fn references(&self) -> Vec<Reference> {
        self.key.iter().map(Reference::from).collect()
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let mut problems = vec![];
        let settings = self.resolve(data, &mut problems);
        let mut settings = settings.ok_or(Unresolved(problems))?;
        settings.observer = observer;
        Ok(Box::new(
            crate::source::google_workspace::GoogleWorkspaceSource::new(settings)?,
        ))
    }
}

impl ValidatedGoogleWorkspace {
    pub(super) fn resolve(
        &self,
        data: &ReferencedData,
        problems: &mut Vec<UnresolvedReason>,
    ) -> Option<GoogleWorkspaceSettings> {
        let mut settings = self.settings.clone();
        if let Some(key) = &self.key {
            let key = account_key(data, key).map_err(|problem| problems.push(problem));
            settings.credentials = Credentials::Key(key.ok()?);
        }
        Some(settings)
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

impl Validate for GoogleWorkspaceSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(validate(checks, self, reads_groups)?))
    }
}

pub(super) fn validate(
    checks: &mut Checks,
    spec: &GoogleWorkspaceSource,
    reads_groups: bool,
) -> Option<ValidatedGoogleWorkspace> {
    let tenant = tenant(checks, spec);
    if let Some(admin) = &spec.admin_email {
        let message = "write the administrator's email: admin@example.com";
        must(checks, "adminEmail", is_address(admin), message);
    }
    let addresses = addresses(checks, spec);
    let credentials = credentials(checks, &spec.credentials);
    let requests = spec.requests_per_minute.map(|requests| {
        let message = "write how many requests a minute to send at most, 60 or more";
        must(checks, "requestsPerMinute", requests >= 60, message);
        requests.unsigned_abs()
    });
    let users = users(checks, spec.users.clone().unwrap_or_default());
    let groups = spec.groups.clone().unwrap_or_default();

    let (credentials, key) = credentials?;
    let mut settings = GoogleWorkspaceSettings::new(credentials, spec.admin_email.clone());
    settings.tenant = tenant?;
    settings.addresses = addresses?;
    settings.requests_per_minute = requests.unwrap_or(settings.requests_per_minute);
    settings.users = users;
    settings.groups = reads_groups.then_some(GroupSettings {
        query: groups.query,
    });
    Some(ValidatedGoogleWorkspace { settings, key })
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

fn addresses(checks: &mut Checks, spec: &GoogleWorkspaceSource) -> Option<Addresses> {
    match (&spec.token_url, &spec.directory_url) {
        (None, None) => Some(Addresses::default()),
        (Some(token), Some(directory)) => {
            let token = web_address(checks, &format!("{FIELD}.tokenUrl"), token, false);
            let directory = web_address(checks, &format!("{FIELD}.directoryUrl"), directory, false);
            Some(Addresses {
                token: token?,
                directory: directory?,
            })
        }
        _ => {
            checks.refuse(FIELD, "write both tokenUrl and directoryUrl, or neither");
            None
        }
    }
}

fn credentials(
    checks: &mut Checks,
    spec: &GoogleWorkspaceCredentials,
) -> Option<(Credentials, Option<KeyOf>)> {
    match (
        &spec.service_account_key_secret_ref,
        &spec.workload_identity,
    ) {
        (Some(secret), None) => {
            let key = KeyOf::secret(&secret.name, secret.key.as_deref(), "key.json");
            // Takes the place of what the Secret holds, until it is read.
            let unknown = ServiceAccountKey {
                email: "unknown yet".to_owned(),
                key_id: String::new(),
                private_key: SecretString::from(""),
            };
            Some((Credentials::Key(unknown), Some(key)))
        }
        (None, Some(identity)) => {
            let identity = workload_identity(checks, identity)?;
            Some((Credentials::WorkloadIdentity(identity), None))
        }
        _ => {
            checks.refuse(
                format!("{FIELD}.credentials"),
                "write exactly one of serviceAccountKeySecretRef and workloadIdentity",
            );
            None
        }
    }
}

fn workload_identity(
    checks: &mut Checks,
    spec: &GoogleWorkloadIdentity,
) -> Option<WorkloadIdentity> {
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
    let file = spec.token_file.as_deref().unwrap_or(TOKEN_FILE);
    let absolute = file.starts_with('/');
    must(
        checks,
        &field("tokenFile"),
        absolute,
        "write an absolute path",
    );
    let mut identity = WorkloadIdentity::new(audience, email);
    identity.token_file = file.into();
    match (&spec.sts_url, &spec.iam_url) {
        (None, None) => {}
        (Some(sts), Some(iam)) => {
            let sts = web_address(checks, &format!("{FIELD}.{}", field("stsUrl")), sts, false);
            let iam = web_address(checks, &format!("{FIELD}.{}", field("iamUrl")), iam, false);
            (identity.sts, identity.iam) = (sts?, iam?);
        }
        _ => {
            checks.refuse(
                format!("{FIELD}.credentials.workloadIdentity"),
                "write both stsUrl and iamUrl, or neither",
            );
            return None;
        }
    }
    Some(identity)
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
    let usual = UserSettings::default();
    let state = |meaning: Option<AccountMeaning>, usual| match meaning {
        None => usual,
        Some(AccountMeaning::Active) => Some(AccountState::Active),
        Some(AccountMeaning::Disabled) => Some(AccountState::Disabled),
        Some(AccountMeaning::Absent) => None,
    };
    UserSettings {
        query: spec.query,
        organizational_units: units,
        suspended: state(spec.suspended, usual.suspended),
        archived: state(spec.archived, usual.archived),
        email_domain: spec.email_domain,
    }
}
