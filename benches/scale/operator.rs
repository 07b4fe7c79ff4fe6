//! The operator on an API server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use directory_sync::api::annotations::SYNC_REQUESTED_AT;
use simulators::lab::process::Process;
use simulators::lab::{ApiServer, free_port};
use tempfile::TempDir;

use crate::PROGRAM;
use crate::machine::{self, Measured};

/// The first sync of 100,000 people and the wait for the next take a fraction of this.
const WAIT_TIMEOUT: Duration = Duration::from_secs(600);

/// An API server that knows the resource.
pub struct Cluster(ApiServer);

/// A running operator that watches one namespace.
pub struct Operator<'a> {
    api: &'a ApiServer,
    namespace: String,
    listen: String,
    process: Process,
    folder: TempDir,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        let api = ApiServer::start()?;
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        api.run_kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()])?;
        let started = Instant::now();
        // It is served a moment later.
        while let Err(error) = api.run_kubectl(&["get", "directorysyncs"]) {
            ensure!(
                started.elapsed() < WAIT_TIMEOUT,
                "the resource isn't served: {error}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self(api))
    }

    /// Starts an operator in a namespace of its own, with further arguments.
    pub fn operator(&self, purpose: &str, arguments: &[String]) -> Result<Operator<'_>> {
        let namespace = self.0.namespace(purpose)?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(PROGRAM.as_str());
        command
            .args([
                "operator",
                "--watch-namespaces",
                &namespace,
                "--listen",
                &listen,
                // The organization and the directory are on this machine.
                "--allowed-networks",
                "127.0.0.0/8",
            ])
            .args(arguments)
            .env("KUBECONFIG", self.0.kubeconfig());
        let log = folder.path().join("operator.log");
        let mut process = Process::spawn(&command, folder.path(), &log)?;
        process.wait_until(WAIT_TIMEOUT, || get(&listen, "/readyz").is_ok())?;
        Ok(Operator {
            api: &self.0,
            namespace,
            listen,
            process,
            folder,
        })
    }
}

impl Operator<'_> {
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// `kubectl` in the operator's namespace; what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        Ok(self
            .api
            .run_kubectl(&[&["-n", &self.namespace], arguments].concat())?)
    }

    /// What the operator counts, as Prometheus reads it.
    pub fn metrics(&self) -> Result<String> {
        get(&self.listen, "/metrics")
    }

    /// What the operator wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits a few seconds, in which nothing is to be done.
    pub fn idle(&self) -> Result<Measured> {
        self.stretch(&[], || {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        })
    }

    /// Applies the resource and waits for the end of its first run.
    pub fn first_run(&self, manifest: &str, others: &[u32]) -> Result<Measured> {
        self.run(others, || {
            Ok(self.api.run_kubectl(&["apply", "-f", manifest]).map(drop)?)
        })
    }

    /// Waits for the next run that the interval brings.
    pub fn next_run(&self, others: &[u32]) -> Result<Measured> {
        self.run(others, || Ok(()))
    }

    /// Changes something and waits for the run that follows from that.
    pub fn run_after(
        &self,
        others: &[u32],
        change: impl FnOnce() -> Result<()>,
    ) -> Result<Measured> {
        self.run(others, change)
    }

    /// How many requests the directory has had, and how many bytes are kept of it.
    pub fn directory_requests(&self) -> Result<(f64, f64)> {
        let metrics = self.metrics()?;
        let sum = |name: &str, side: &str| -> f64 {
            let lines = metrics.lines();
            let lines = lines.filter(|line| line.starts_with(name) && line.contains(side));
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        Ok((
            sum("directory_sync_requests_total", "side=\"directory\""),
            sum("directory_sync_kept_directories_bytes", ""),
        ))
    }

    /// Asks for a run and waits for its end.
    pub fn requested_run(&self, others: &[u32]) -> Result<Measured> {
        self.run(others, || {
            let now = format!("{SYNC_REQUESTED_AT}={}", jiff::Timestamp::now());
            let words = ["annotate", "dsync", "staff", "--overwrite", &now];
            let words = [&["-n", &self.namespace][..], &words].concat();
            Ok(self.api.run_kubectl(&words).map(drop)?)
        })
    }

    /// How large the history is, as it is kept.
    pub fn history_bytes(&self) -> Result<usize> {
        let path = r"jsonpath={.binaryData.history\.jsonl\.gz}";
        let words = ["get", "configmap", "staff-history", "-o", path];
        let encoded = self
            .api
            .run_kubectl(&[&["-n", &self.namespace][..], &words].concat())?;
        Ok(encoded.len() / 4 * 3)
    }

    /// As long as `kubectl directorysync explain` takes; the CPU time and memory are the operator's.
    pub fn explain(&self, somebody: &str, others: &[u32]) -> Result<Measured> {
        let plugin = self.folder.path().join("kubectl-directorysync");
        if !plugin.exists() {
            std::os::unix::fs::symlink(PROGRAM.as_str(), &plugin)?;
        }
        self.stretch(others, || {
            let output = Command::new(&plugin)
                .args(["explain", "staff", somebody, "-n", &self.namespace])
                .env("KUBECONFIG", self.api.kubeconfig())
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success() && text.contains("next run"),
                "the explanation isn't whole: {text}{error}"
            );
            Ok(())
        })
    }

    /// As long as the operator says that its run took, not as long as it was waited for.
    fn run(&self, others: &[u32], start: impl FnOnce() -> Result<()>) -> Result<Measured> {
        let before = self.runs()?;
        let measured = self.stretch(others, || {
            start()?;
            self.wait_for_a_run_after(before)
        })?;
        let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        let ready = ["-n", &self.namespace, "get", "dsync", "staff", "-o", ready];
        ensure!(
            self.api.run_kubectl(&ready)? == "True",
            "a run didn't end well; the operator's log:\n{}",
            self.process.log()
        );
        let wall = Duration::from_secs_f64(self.runs()?.seconds - before.seconds);
        Ok(Measured { wall, ..measured })
    }

    fn stretch(&self, others: &[u32], run: impl FnOnce() -> Result<()>) -> Result<Measured> {
        let pid = self.process.pid();
        let (started, cpu, theirs) = (
            Instant::now(),
            machine::cpu_of(&[pid])?,
            machine::cpu_of(others)?,
        );
        run()?;
        let (resident, peak) = machine::memory_of(pid)?;
        Ok(Measured {
            wall: started.elapsed(),
            cpu: machine::cpu_of(&[pid])?.saturating_sub(cpu),
            others: machine::cpu_of(others)?.saturating_sub(theirs),
            peak,
            resident,
        })
    }

    /// The metrics tell: status is written only where there is something to say.
    fn wait_for_a_run_after(&self, before: Runs) -> Result<()> {
        let started = Instant::now();
        while self.runs()?.ended <= before.ended {
            ensure!(
                started.elapsed() < WAIT_TIMEOUT,
                "no run ended within {WAIT_TIMEOUT:?}; the operator's log:\n{}",
                self.process.log()
            );
            // Answering takes CPU time, too: not too often.
            std::thread::sleep(Duration::from_secs(1));
        }
        // Status and the plan's ConfigMap are written after the run.
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    }

    fn runs(&self) -> Result<Runs> {
        let metrics = get(&self.listen, "/metrics")?;
        let sum = |name: &str| {
            let values = metrics.lines().filter_map(|line| {
                let rest = line.strip_prefix("directory_sync_run_duration_seconds_")?;
                rest.strip_prefix(name)?
                    .rsplit(' ')
                    .next()?
                    .parse::<f64>()
                    .ok()
            });
            values.sum::<f64>()
        };
        Ok(Runs {
            ended: sum("count"),
            seconds: sum("sum"),
        })
    }
}

/// How many runs there were, and how long all of them took.
#[derive(Clone, Copy)]
struct Runs {
    ended: f64,
    seconds: f64,
}

/// A GET over plain HTTP; the body of an answer of 200.
fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    if !head
        .lines()
        .next()
        .is_some_and(|line| line.contains(" 200"))
    {
        bail!("{path}: {head}");
    }
    Ok(body.to_owned())
}
