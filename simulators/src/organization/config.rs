//! The settings of a simulated organization.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The server it behaves as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Bitwarden's own server.
    Official {
        /// Bitwarden's cloud rather than a server of the company's own: it has a subscription
        /// and seats, and limits how much an import may hold.
        cloud: bool,
    },
    /// Vaultwarden: the token and import calls only.
    Vaultwarden {
        /// Whether groups are enabled (`ORG_GROUPS_ENABLED`).
        groups: bool,
    },
}

/// What the organization has paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// May import at all.
    pub directory: bool,
    /// The organization may have groups.
    pub groups: bool,
    /// Members may have the role Custom (Enterprise).
    pub custom_permissions: bool,
}

/// How many members may be in the organization without being revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seats {
    /// The seats paid for; `None`: no limit.
    pub seats: Option<u32>,
    /// How far the server adds seats by itself (in the cloud only); None: without limit. The
    /// same number as `seats` means not at all.
    pub max_autoscale: Option<u32>,
}

impl Seats {
    /// So many, and no more.
    #[must_use]
    pub fn fixed(seats: u32) -> Self {
        Self {
            seats: Some(seats),
            max_autoscale: Some(seats),
        }
    }

    /// So many, with more bought as needed up to `max`.
    #[must_use]
    pub fn autoscaling(seats: u32, max: Option<u32>) -> Self {
        Self {
            seats: Some(seats),
            max_autoscale: max,
        }
    }
}

/// How many requests one client address may send in the cloud: to the API for each method and exact
/// path, and for tokens. A self-hosted server has no limits; Vaultwarden limits tokens alone
/// (`tokens_per_minute` at once, then one in a `minute`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// GETs in a `minute`.
    pub reads_per_minute: u32,
    /// POSTs, PUTs and DELETEs, each, in a `minute`.
    pub writes_per_minute: u32,
    /// The same in a `second`.
    pub writes_per_second: u32,
    /// Tokens in a `minute`.
    pub tokens_per_minute: u32,
    /// Tokens in a `second`.
    pub tokens_per_second: u32,
    /// How long a minute takes: shorter makes for fast tests of the same arithmetic.
    pub minute: Duration,
    /// How long a second takes.
    pub second: Duration,
}

impl RateLimits {
    /// Those of Bitwarden's cloud.
    #[must_use]
    pub fn cloud() -> Self {
        Self {
            reads_per_minute: 200,
            writes_per_minute: 60,
            writes_per_second: 5,
            tokens_per_minute: 10,
            tokens_per_second: 5,
            minute: Duration::from_secs(60),
            second: Duration::from_secs(1),
        }
    }

    /// The same numbers of requests with time running `times` faster. `Retry-After` stays at
    /// least a second, being whole seconds.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        self.minute /= times;
        self.second /= times;
        self
    }
}

/// Everything that can be chosen at the start.
#[derive(Clone)]
pub struct Config {
    /// Which server it behaves as.
    pub profile: Profile,
    /// The port on loopback; 0 takes a free one.
    pub port: u16,
    /// The GUID in the client id.
    pub organization_id: String,
    /// The key that goes with it.
    pub client_secret: String,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// What is paid for (official only).
    pub plan: Plan,
    /// How many may be in (official only).
    pub seats: Seats,
    /// The limits on requests; `None`: unlimited.
    pub rate_limits: Option<RateLimits>,
    /// How long each request takes on top.
    pub latency: Duration,
    /// Members without two-step login can't be restored (a policy of the organization).
    pub requires_two_step: bool,
    /// Whether it is new enough to know `inviteUsersAfterProvisioning`; an older server ignores
    /// it and invites.
    pub can_stage: bool,
    /// Whether `GET /public/members` tells the members' collections. Older servers send
    /// null there, and the true ones only in `GET /public/members/{id}`.
    pub lists_collections: bool,
    /// The server on PostgreSQL, MySQL or SQLite ("Bitwarden lite"): when it looks for emails that are
    /// members' already it misses who has no account yet.
    pub misses_invited: bool,
    /// A server of October 2025, before members could be revoked and restored by the API (2026.2.0).
    pub is_of_2025_10: bool,
    /// Why inviting fails (mail server, payment); `None`: it doesn't.
    pub fails_invites: Option<String>,
    /// Vaultwarden without mail: who has an account with a password is accepted at once.
    pub accepted_without_mail: Vec<String>,
    /// The ids of all collections; without any, every id is one's.
    pub collections: Vec<String>,
    /// Whether the request log keeps bodies (never those of token requests).
    pub keeps_bodies: bool,
}

impl Config {
    /// Bitwarden's cloud, everything paid for, unlimited seats, no rate limits.
    #[must_use]
    pub fn cloud() -> Self {
        Self {
            profile: Profile::Official { cloud: true },
            port: 0,
            organization_id: "0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27".to_owned(),
            client_secret: "simulated-organization-key".to_owned(),
            token_lifetime: Duration::from_secs(3600),
            plan: Plan {
                directory: true,
                groups: true,
                custom_permissions: true,
            },
            seats: Seats::default(),
            rate_limits: None,
            latency: Duration::ZERO,
            requires_two_step: false,
            can_stage: true,
            lists_collections: true,
            misses_invited: false,
            is_of_2025_10: false,
            fails_invites: None,
            accepted_without_mail: Vec::new(),
            collections: Vec::new(),
            keeps_bodies: true,
        }
    }

    /// Bitwarden's server, run by the company itself.
    #[must_use]
    pub fn self_hosted() -> Self {
        Self {
            profile: Profile::Official { cloud: false },
            ..Self::cloud()
        }
    }

    /// Bitwarden lite: run by the company itself, on another database than Bitwarden's own.
    #[must_use]
    pub fn lite() -> Self {
        Self {
            misses_invited: true,
            ..Self::self_hosted()
        }
    }

    /// A server of October 2025, run by the company itself: no collections in the list of members, no
    /// revoking, no staged members.
    #[must_use]
    pub fn of_2025_10() -> Self {
        Self {
            is_of_2025_10: true,
            lists_collections: false,
            can_stage: false,
            ..Self::self_hosted()
        }
    }

    /// Vaultwarden with groups enabled.
    #[must_use]
    pub fn vaultwarden() -> Self {
        Self {
            profile: Profile::Vaultwarden { groups: true },
            ..Self::cloud()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::cloud()
    }
}
