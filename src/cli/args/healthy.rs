use clap::Args;
use jiff::SignedDuration;
use url::Url;

/// Which operator to ask.
#[derive(Debug, Args)]
pub struct HealthyArgs {
    /// Where the operator serves /readyz
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: Url,
    /// Ask again until both are well, for this long at most
    #[arg(long, value_name = "TIME", value_parser = super::length, allow_hyphen_values = true, default_value = "0s")]
    pub timeout: SignedDuration,
}
