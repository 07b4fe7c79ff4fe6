//! What processes use, as the kernel counts it.

use std::fmt;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

/// The argument that makes this program [`measure_and_print`].
pub const PART: &str = "measure";

/// What one program, or a stretch of one, used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Measured {
    /// From start to end.
    pub wall: Duration,
    /// User and system time, of all threads.
    pub cpu: Duration,
    /// The most memory that was resident at any time, in bytes.
    pub peak: u64,
    /// What is resident at the end, in bytes; 0: the program has ended.
    pub resident: u64,
    /// CPU time of the other side's programs meanwhile.
    pub others: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, cpu) = (self.wall.as_secs_f64(), self.cpu.as_secs_f64());
        write!(
            f,
            "{wall:.2} s, CPU {cpu:.2} s, peak {:.1} MiB",
            mib(self.peak)
        )
    }
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Runs a program to its end. `others` are the processes that work for it.
///
/// A new process counts the memory of the one that started it until it becomes its own program, so
/// a small process of our own stands between: this one is much larger.
pub fn measure(program: &str, arguments: &[&str], others: &[u32]) -> Result<Measured> {
    let before = cpu_of(others)?;
    let output = Command::new(std::env::current_exe()?)
        .args([PART, program])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "{program} {} failed",
        arguments.join(" ")
    );
    let mut measured: Measured = serde_json::from_slice(&output.stdout)?;
    measured.others = cpu_of(others)?.saturating_sub(before);
    Ok(measured)
}

/// The process between: starts the program that the arguments say and prints what it used.
pub fn measure_and_print(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let program = arguments.next().context("no program to measure")?;
    let started = Instant::now();
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let used = child.wait4()?;
    let measured = Measured {
        wall: started.elapsed(),
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
        ..Measured::default()
    };
    ensure!(
        used.status.success(),
        "{program} ended with {}",
        used.status
    );
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// CPU time so far of running processes, in hundredths of a second.
pub fn cpu_of(processes: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for process in processes {
        let path = format!("/proc/{process}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // proc_pid_stat(5): behind the name, which is in parentheses, utime and stime are the 12th
        // and 13th. A tick is a hundredth of a second on every architecture of Linux.
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = behind_name.split_whitespace().skip(11).take(2);
        ticks += fields
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// MembershipCache of a running process in bytes: what is resident now, and the most that ever was.
pub fn memory_of(process: u32) -> Result<(u64, u64)> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    field("VmRSS:")
        .zip(field("VmHWM:"))
        .with_context(|| format!("{path} tells no memory"))
}
