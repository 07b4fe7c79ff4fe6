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
        // On the thread that waits for sockets as well: another one would be woken for each piece that comes.
        let running = runtime.spawn(run());
        let ended =
            runtime
                .block_on(running)
                .unwrap_or_else(|ended| match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(cancelled) => Err(cancelled.into()),
                });
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

async fn run() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let name = std::env::args_os().next();
    match name.and_then(|name| Role::of(&name)) {
        Some(role) => Ok(plugin::run(role).await?),
        None => Ok(cli::run().await?),
    }
}
