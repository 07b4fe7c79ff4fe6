//! `healthy`: whether an operator is up, and the cluster serves its resource.

use std::process::ExitCode;
use std::time::Duration;

use kube::{Client, Resource};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::CliError;
use super::args::HealthyArgs;
use super::check::show;
use super::output::explain;
use crate::api::DirectorySync;
use crate::fault::Step;
use crate::text::sanitize;

/// Longer than anything takes that is well.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before the health endpoint is asked again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Asks both until they are well or time is up; ends well only if they are.
pub async fn healthy(args: HealthyArgs) -> Result<ExitCode, CliError> {
    let cluster = Client::try_default().await.map_err(CliError::NoCluster)?;
    let until = Instant::now() + Duration::try_from(args.timeout).unwrap_or_default();
    loop {
        let (operator, resource) = tokio::join!(operator(&args.url), resource(&cluster));
        let steps = [operator, resource];
        if steps.iter().all(|step| step.result.is_ok()) || Instant::now() >= until {
            return Ok(ExitCode::from(u8::from(!show(&steps)?)));
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn operator(url: &Url) -> Step {
    Step {
        name: "operator".into(),
        result: match readyz(url).await {
            Ok((200, _)) => Ok(format!("ready at {url}")),
            Ok((status, answer)) => Err(format!(
                "{url} answered {status}: {}; its log says what it waits for",
                sanitize(answer.trim())
            )),
            Err(error) => Err(format!(
                "no operator answers at {url}: {}; does its pod run, and does a NetworkPolicy let \
                 this one through?",
                explain(&error)
            )),
        },
    }
}

async fn readyz(url: &Url) -> reqwest::Result<(u16, String)> {
    // A neighbour, whatever proxies the world outside is behind.
    let client = reqwest::Client::builder().no_proxy().timeout(WAIT_TIMEOUT);
    let mut readyz = url.clone();
    readyz.set_path("/readyz");
    let mut answer = client.build()?.get(readyz).send().await?;
    let status = answer.status().as_u16();
    let beginning = answer.chunk().await?.unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&beginning).into_owned()))
}

async fn resource(cluster: &Client) -> Step {
    let version = DirectorySync::api_version(&());
    let plural = DirectorySync::plural(&());
    let served = timeout(WAIT_TIMEOUT, cluster.list_api_group_resources(&version)).await;
    let absent = || {
        Err(format!(
            "the API server doesn't serve {version}: apply what `directory-sync crds` prints"
        ))
    };
    Step {
        name: "resource".into(),
        result: match served {
            Ok(Ok(list)) if list.resources.iter().any(|served| served.name == plural) => {
                Ok(format!("the API server serves {plural} of {version}"))
            }
            Ok(Ok(_)) => absent(),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => absent(),
            Ok(Err(error)) => Err(format!("the API server: {}", explain(&error))),
            Err(_) => Err(format!(
                "the API server didn't answer within {} s",
                WAIT_TIMEOUT.as_secs()
            )),
        },
    }
}
