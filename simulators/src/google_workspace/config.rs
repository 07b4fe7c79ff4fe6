//! What a customer and its project are like before anybody asks.

use std::time::Duration;

use super::jwt::KeyPair;

/// What a customer and its project are like.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The customer's id, as `customer` of a request names it.
    pub customer_id: String,
    /// The customer's domains, the primary one first.
    pub domains: Vec<String>,
    /// The project's service account.
    pub service_account: ServiceAccount,
    /// Who may come without a key.
    pub federation: Federation,
    /// How many queries are answered; none: any number.
    pub quota: Option<Quota>,
    /// How long every request takes on top.
    pub latency: Duration,
    /// Entries a page at most, whatever is asked for.
    pub page_max: usize,
    /// How late searches show a change: those are lists with a `query`. Google's documents speak of an hour for
    /// most changes, and of up to 36.
    pub search_lag: Duration,
}

/// A service account with its key.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// The account's email, `client_email` in a key file.
    pub email: String,
    /// Its keys that are active, each with its id.
    pub keys: Vec<(String, KeyPair)>,
    /// What domain-wide delegation lets it do in others' names.
    pub delegated_scopes: Vec<String>,
    /// Whether it has an administrator's role itself.
    pub has_role: bool,
}

/// A workload identity provider that trusts a cluster, and what its people may do.
#[derive(Debug, Clone)]
pub struct Federation {
    /// The provider's full name.
    pub provider: String,
    /// The URL of the cluster's token issuer.
    pub issuer: String,
    /// The audience that the cluster's tokens must have.
    pub token_audience: String,
    /// The one subject that the attribute condition lets pass.
    pub subject: String,
    /// What the cluster signs with.
    pub cluster_key: KeyPair,
    /// The keys of a real cluster (JWKS), uploaded to the provider, in place of that one.
    pub uploaded_keys: Option<serde_json::Value>,
    /// What Google signs with in the service account's name, and that key's id.
    pub managed_key: (String, KeyPair),
    /// Whether the subject is a token creator of the service account.
    pub may_sign: bool,
}

/// Queries that are answered in a window, by account; and at once, of the whole customer.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Queries that an account may make in a window.
    pub queries: u32,
    /// How long a window is.
    pub window: Duration,
    /// Queries of the customer that may be under way at once.
    pub concurrent: u32,
}

impl Quota {
    /// What projects have at first: 2,400 a minute and user.
    pub const DEFAULT: Self = Self {
        queries: 2_400,
        window: Duration::from_secs(60),
        concurrent: 100,
    };
}

impl Default for ServiceAccount {
    fn default() -> Self {
        let scopes = [
            "https://www.googleapis.com/auth/admin.directory.user.readonly",
            "https://www.googleapis.com/auth/admin.directory.group.readonly",
        ];
        let key = include_str!("keys/service-account.pem");
        Self {
            email: "sync@directory-sync.iam.gserviceaccount.com".to_owned(),
            keys: vec![("0a1b2c3d4e5f".to_owned(), KeyPair::from_pem(key))],
            delegated_scopes: scopes.map(str::to_owned).into(),
            has_role: false,
        }
    }
}

impl Default for Federation {
    fn default() -> Self {
        let provider = "//iam.googleapis.com/projects/123456789/locations/global/\
                        workloadIdentityPools/k8s/providers/k8s";
        Self {
            provider: provider.to_owned(),
            issuer: "https://kubernetes.default.svc".to_owned(),
            token_audience: format!("https:{provider}"),
            subject: "system:serviceaccount:directory-sync:directory-sync-operator".to_owned(),
            cluster_key: KeyPair::from_pem(include_str!("keys/cluster.pem")),
            uploaded_keys: None,
            managed_key: (
                "managed-by-google".to_owned(),
                KeyPair::from_pem(include_str!("keys/google.pem")),
            ),
            may_sign: true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            customer_id: "C01simul8".to_owned(),
            domains: vec!["example.com".to_owned()],
            service_account: ServiceAccount::default(),
            federation: Federation::default(),
            quota: None,
            latency: Duration::ZERO,
            page_max: usize::MAX,
            search_lag: Duration::ZERO,
        }
    }
}
