//! `ui`: a web page on this machine, on the rights of one's own kubeconfig.
//!
//! The browser gets HTML and nothing else: no credential of the cluster ever leaves this process. Who may
//! ask is decided in [`session`]; what is shown is read from the cluster at each request.
//!
//! ```text
//! session   which requests are answered: the link, the cookie, Host and Origin
//! routes    addresses, and what is read for each
//! actions   what a person can have done, each shown before it is done
//! undoing   what takes a run back, shown before it is done
//! answers   what the operator answered, until it is shown
//! view      the HTML, with the page's style and script
//! ```

mod actions;
mod answers;
mod routes;
mod session;
mod undoing;
mod view;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::args::{ConnectionArgs, UiArgs};
use super::cluster::Cluster;
use super::error::PluginError;
use crate::cli::output::{complain, print};
use answers::Answers;
use routes::Explained;
use session::Session;
use undoing::UndoAnswer;

/// What all requests share.
struct App {
    cluster: Cluster,
    session: Session,
    explanations: Answers<Explained>,
    undos: Answers<UndoAnswer>,
    /// The only namespace that is listed; `None`: all that may be.
    only_namespace: Option<String>,
}

/// Serves the page until Ctrl-C.
pub async fn ui(
    cluster: Cluster,
    args: &UiArgs,
    connection: &ConnectionArgs,
) -> Result<ExitCode, PluginError> {
    // Never another address: whoever reaches the page has this person's rights.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let failed = |source| PluginError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let session = Session::new(listener.local_addr().map_err(failed)?)?;
    let app = Arc::new(App {
        cluster,
        session,
        explanations: Answers::default(),
        undos: Answers::default(),
        only_namespace: connection.namespace.clone(),
    });
    let link = app.session.new_link()?;
    print(&format!(
        "{link}\n\nThis link leads to the page, once. Enter: another link. Ctrl-C: end.\n"
    ))?;
    if !args.no_browser
        && let Err(error) = open::that_detached(&link)
    {
        complain(&format!(
            "note: no browser could be opened ({error}): open the link yourself"
        ));
    }
    let mut enter = lines_of_stdin();
    let serving = axum::serve(listener, routes::router(Arc::clone(&app)));
    tokio::select! {
        served = serving.into_future() => served.map_err(failed)?,
        ended = tokio::signal::ctrl_c() => ended?,
        error = more_links(&app, &mut enter) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints another link each time somebody presses Enter; ends with an error alone.
async fn more_links(app: &App, enter: &mut mpsc::Receiver<()>) -> PluginError {
    loop {
        if enter.recv().await.is_none() {
            // No terminal to read from.
            std::future::pending::<()>().await;
        }
        let printed = app.session.new_link().and_then(|link| {
            print(&format!("{link}\n"))?;
            Ok(())
        });
        if let Err(error) = printed {
            return error;
        }
    }
}

fn lines_of_stdin() -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel(1);
    // A thread of its own: a read of standard input can't be stopped, and nothing waits for this one.
    std::thread::spawn(move || {
        let mut line = String::new();
        while matches!(std::io::stdin().read_line(&mut line), Ok(read) if read > 0) {
            line.clear();
            if send.blocking_send(()).is_err() {
                return;
            }
        }
    });
    receive
}
