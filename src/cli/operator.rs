//! The operator, until it is stopped by a signal.

use std::process::ExitCode;

use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::args::OperatorArgs;
use super::limits;
use crate::controller::{self, OperatorSettings, Timing};

/// Runs the operator until SIGTERM or Ctrl-C.
pub async fn operator(args: OperatorArgs) -> Result<ExitCode, CliError> {
    limits::set_for_operator(&args);
    let settings = OperatorSettings::try_from(args)?;
    let client = Client::try_default().await.map_err(CliError::NoCluster)?;
    let lease_client = Client::try_default().await.map_err(CliError::NoCluster)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("told to stop");
        stopping.cancel();
    });
    controller::run(client, lease_client, settings, Timing::default(), stop).await?;
    Ok(ExitCode::SUCCESS)
}
