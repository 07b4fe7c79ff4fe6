//! Flux's controllers, as they run in a cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use simulators::lab::process::Process;
use simulators::lab::{ApiServer, free_port};

use crate::until_established;

/// Where Flux and its objects are.
pub const FLUX: &str = "flux-system";

/// Starts controllers of an API server that knows their kinds.
pub struct Controllers<'a> {
    server: &'a ApiServer,
    folder: &'a Path,
    /// Where the notification-controller takes events, where there is one.
    events: Option<u16>,
}

impl<'a> Controllers<'a> {
    /// For a server that gets these definitions first.
    pub fn prepare(server: &'a ApiServer, folder: &'a Path, definitions: &[PathBuf]) -> Self {
        server.run_kubectl(&["create", "namespace", FLUX]).unwrap();
        for definitions in definitions {
            let definitions = definitions.to_str().unwrap();
            server
                .run_kubectl(&["apply", "--server-side", "-f", definitions])
                .unwrap();
        }
        until_established(server);
        Self {
            server,
            folder,
            events: None,
        }
    }

    /// The notification-controller, to which those that are started later send their events.
    pub fn notification(&mut self, program: &Path) -> Process {
        let [events, receiver, health] = [(); 3].map(|()| free_port().unwrap());
        let arguments = [format!("--receiverAddr=127.0.0.1:{receiver}")];
        let own = format!("127.0.0.1:{events}");
        let mut notification = self.start(program, health, &own, &arguments);
        notification.wait_for_port(events).unwrap();
        self.events = Some(events);
        notification
    }

    /// Where controllers send their events; empty: nowhere.
    fn events(&self) -> String {
        let address = |port: u16| format!("http://127.0.0.1:{port}/");
        self.events.map(address).unwrap_or_default()
    }

    /// The source-controller, which serves what it fetched to the others.
    pub fn source(&self, program: &Path) -> Process {
        let artifacts = free_port().unwrap();
        let storage = self.folder.join("artifacts");
        std::fs::create_dir_all(&storage).unwrap();
        let mut source = self.start(
            program,
            free_port().unwrap(),
            &self.events(),
            &[
                format!("--storage-path={}", storage.display()),
                format!("--storage-addr=127.0.0.1:{artifacts}"),
                format!("--storage-adv-addr=127.0.0.1:{artifacts}"),
            ],
        );
        source.wait_for_port(artifacts).unwrap();
        source
    }

    /// One that applies what the source-controller fetched.
    pub fn applier(&self, program: &Path) -> Process {
        let health = free_port().unwrap();
        let arguments = ["--requeue-dependency=1s".to_owned()];
        let mut applier = self.start(program, health, &self.events(), &arguments);
        applier.wait_for_port(health).unwrap();
        applier
    }

    fn start(&self, program: &Path, health: u16, events: &str, arguments: &[String]) -> Process {
        let name = program.file_name().unwrap().to_str().unwrap();
        let own = self.folder.join(name);
        std::fs::create_dir_all(&own).unwrap();
        let mut command = Command::new(program);
        command
            .args([
                "--enable-leader-election=false",
                "--watch-all-namespaces=true",
                &format!("--metrics-addr=127.0.0.1:{}", free_port().unwrap()),
                &format!("--health-addr=127.0.0.1:{health}"),
                &format!("--events-addr={events}"),
                "--log-level=info",
            ])
            .args(arguments);
        command.env("KUBECONFIG", self.server.kubeconfig());
        command.env("RUNTIME_NAMESPACE", FLUX);
        command.env("TMPDIR", &own);
        command.env("HOME", &own);
        let log = self.folder.join(format!("{name}.log"));
        Process::spawn(&command, &own, &log).unwrap()
    }
}

/// Asks for a reconciliation at once, as `flux reconcile` does.
pub fn reconcile(server: &ApiServer, objects: &[&str]) {
    // Another one each time.
    let at = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let at = format!("reconcile.fluxcd.io/requestedAt={at}");
    for object in objects {
        server
            .run_kubectl(&["-n", FLUX, "annotate", "--overwrite", object, &at])
            .unwrap();
    }
}
