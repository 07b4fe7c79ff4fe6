//! The `directory-sync` command.

use std::process::ExitCode;

use directory_sync::cli;

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing has set up TLS before main");
    match cli::run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", cli::explain(&error));
            ExitCode::FAILURE
        }
    }
}
