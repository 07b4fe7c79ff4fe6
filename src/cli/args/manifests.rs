use std::path::PathBuf;

use clap::Args;

use super::VendorUrlArgs;

/// Which manifests to read, and which resources of them to take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Manifests")]
pub struct ManifestArgs {
    /// A YAML or JSON file with DirectorySync, Secret and ConfigMap manifests, a directory of such
    /// files, or - for standard input; may be given several times
    #[arg(short, long = "filename", value_name = "FILE|DIR", required = true)]
    pub filenames: Vec<PathBuf>,
    /// Read directories with all that is below them
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Take secrets from DIR/<secret>/<key> rather than from manifests
    #[arg(
        long,
        value_name = "DIR",
        env = "DIRECTORY_SYNC_SECRET_DIR",
        hide_env_values = true
    )]
    pub secret_dir: Option<PathBuf>,
    /// Only the resources of this namespace; manifests that name none are taken to be in it
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Only the resource of this name
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub vendors: VendorUrlArgs,
}

impl ManifestArgs {
    /// All resources of one file or directory.
    pub fn of(path: &std::path::Path) -> Self {
        Self {
            filenames: vec![path.to_owned()],
            recursive: false,
            secret_dir: None,
            namespace: None,
            name: None,
            vendors: VendorUrlArgs::default(),
        }
    }
}
