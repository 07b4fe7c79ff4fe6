//! Runs a simulated Bitwarden organization on loopback until interrupted.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use simulators::organization::{
    Config, MemberSeed, Profile, RateLimits, Seats, Seed, SimulatedOrganization,
};

/// Runs a simulated Bitwarden organization on loopback until interrupted.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// The server to behave as.
    #[arg(long, value_enum, default_value_t = Server::Cloud)]
    profile: Server,

    /// How many members may be in without being revoked; unlimited without it.
    #[arg(long)]
    seats: Option<u32>,

    /// How many seats the cloud may buy by itself; none more than --seats without it.
    #[arg(long, requires = "seats")]
    max_autoscale_seats: Option<u32>,

    /// A JSON file with the members and groups that are already there; one owner without it.
    ///
    /// It holds `members` (`email`, and if wanted `externalId`, `status`, `role`, `collections`)
    /// and `groups` (`name`, and if wanted `externalId`, `members` by email, `collections`).
    #[arg(long)]
    seed: Option<PathBuf>,

    /// Limit requests as Bitwarden's cloud does.
    #[arg(long)]
    rate_limits: bool,

    /// Milliseconds that every request takes on top.
    #[arg(long, default_value_t = 0)]
    latency: u64,

    /// The client secret to accept.
    #[arg(long, env = "SIMULATED_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,

    /// The organization's GUID.
    #[arg(long)]
    organization_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Server {
    /// Bitwarden's cloud.
    Cloud,
    /// Bitwarden's server, run by the company itself.
    SelfHosted,
    /// Bitwarden lite (PostgreSQL, MySQL or SQLite), which invites twice who hasn't accepted yet.
    OfficialLite,
    /// Bitwarden's server of October 2025, without revoking and collections in the list of members.
    #[value(name = "official-2025.10")]
    Official2025_10,
    /// Vaultwarden with groups enabled.
    Vaultwarden,
    /// Vaultwarden as it comes, without groups.
    VaultwardenWithoutGroups,
}

impl Server {
    fn config(self) -> Config {
        match self {
            Self::Cloud => Config::cloud(),
            Self::SelfHosted => Config::self_hosted(),
            Self::OfficialLite => Config::lite(),
            Self::Official2025_10 => Config::of_2025_10(),
            Self::Vaultwarden => Config::vaultwarden(),
            Self::VaultwardenWithoutGroups => Config {
                profile: Profile::Vaultwarden { groups: false },
                ..Config::vaultwarden()
            },
        }
    }
}

impl Arguments {
    fn config(&self) -> Config {
        let mut config = Config {
            port: self.port,
            rate_limits: self.rate_limits.then(RateLimits::cloud),
            latency: std::time::Duration::from_millis(self.latency),
            // Nothing here reads them, and a demo may run for long.
            keeps_bodies: false,
            ..self.profile.config()
        };
        if let Some(seats) = self.seats {
            let max = self.max_autoscale_seats.unwrap_or(seats);
            config.seats = Seats::autoscaling(seats, Some(max));
        }
        if let Some(secret) = &self.client_secret {
            config.client_secret.clone_from(secret);
        }
        if let Some(id) = &self.organization_id {
            config.organization_id.clone_from(id);
        }
        config
    }

    fn seed(&self) -> anyhow::Result<Seed> {
        let Some(path) = &self.seed else {
            return Ok(Seed {
                members: vec![MemberSeed::new("owner@example.com").owner()],
                groups: Vec::new(),
            });
        };
        let text = fs::read_to_string(path)
            .with_context(|| format!("the seed file {} can't be read", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} isn't a seed of members and groups", path.display()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed()?;
    let organization = SimulatedOrganization::start(arguments.config())
        .await
        .with_context(|| format!("port {} can't be bound", arguments.port))?;
    organization.seed(seed)?;
    println!(
        "{url} client id {client_id}; look at {url}/simulator/state (or state.txt), {url}/simulator/requests and {url}/simulator/history",
        url = organization.url(),
        client_id = organization.client_id(),
    );
    interrupted().await
}

async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
