use clap::Args;

use crate::source::VendorUrl;

/// Where vendors are.
#[derive(Debug, Default, Args)]
pub struct VendorUrlArgs {
    /// Addresses in place of vendors' own, such as entra-graph=https://...
    #[arg(
        long,
        value_name = "NAME=URL",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_VENDOR_URLS",
        hide_env_values = true
    )]
    pub vendor_urls: Vec<VendorUrl>,
}
