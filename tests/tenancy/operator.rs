//! The operator as a process of its own, with the rights that it has in production.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use directory_sync_testing::command::program;
use directory_sync_testing::world::operator_kubeconfig;
use simulators::lab::process::Process;
use tempfile::TempDir;

/// A running operator; killed when dropped.
pub struct Operator {
    process: Process,
    peak: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Operator {
    /// Starts one for these namespaces, with what `change` adds to its flags and variables.
    pub fn start(namespaces: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        command
            .args(["operator", "--watch-namespaces", &namespaces.join(",")])
            .env("KUBECONFIG", operator_kubeconfig())
            // The servers are on this machine.
            .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1");
        change(&mut command);
        let log = folder.path().join("log");
        let process = Process::spawn(&command, folder.path(), &log).unwrap();
        let (peak, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (pid, measured, stop) = (process.pid(), peak.clone(), ended.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                measured.fetch_max(resident(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self {
            process,
            peak,
            ended,
            _folder: folder,
        }
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How long it has used processors.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // After the name, which may have spaces in it: the 14th and 15th field, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
    }

    /// The most memory that it used so far, in MiB. Pages of files don't count: the system takes them
    /// back before it kills a process.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) >> 10
    }

    /// Whether it is the process that was started, still running.
    pub fn runs(&self) -> bool {
        resident(self.process.pid()) > 0
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// In KiB; 0 where there is no such process.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let anonymous = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = anonymous.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.map(|kib| kib.trim().parse().unwrap())
        .unwrap_or_default()
}
