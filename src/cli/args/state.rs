use std::path::PathBuf;

use clap::Args;

/// Where what was taken away is kept from one command to the next.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct StateArgs {
    /// Keep the record of removals here, one file an organization: the limits are for a day, not for
    /// a command [default: $XDG_STATE_HOME/directory-sync, or ~/.local/state/directory-sync]
    #[arg(
        long,
        value_name = "DIR",
        env = "DIRECTORY_SYNC_STATE_DIR",
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,
}
