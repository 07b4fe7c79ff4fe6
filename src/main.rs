//! The `directory-sync` command, and under another name `kubectl directorysync`.

use std::error::Error;
use std::process::ExitCode;

use directory_sync::cli;
use directory_sync::plugin::{self, Role};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing has set up TLS before main");
    let ended = tokio::runtime::Runtime::new().map(|runtime| {
        let ended = runtime.block_on(run());
        // What still computes has no say in when the process ends.
        runtime.shutdown_background();
        ended
    });
    match ended.unwrap_or_else(|error| Err(error.into())) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&format!("error: {}", cli::explain(&*error)));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    match std::env::args_os().next().and_then(|name| Role::of(&name)) {
        Some(role) => Ok(plugin::run(role).await?),
        None => Ok(cli::run().await?),
    }
}
