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
    let ended = match std::env::args_os().next().and_then(|name| Role::of(&name)) {
        Some(role) => run_plugin(role),
        None => cli::run().map_err(Box::from),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&format!("error: {}", cli::explain(&*error)));
            ExitCode::FAILURE
        }
    }
}

fn run_plugin(role: Role) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(plugin::run(role));
    // What still computes has no say in when the process ends.
    runtime.shutdown_background();
    Ok(ended?)
}
