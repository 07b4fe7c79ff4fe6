//! Namespaces of one's own: a test that changes a machine changes one that only it can see.
//!
//! A node mounts, routes, writes settings of the kernel and starts processes which outlive whoever
//! asked for them. So a test that needs one runs a second time, as the only program in namespaces
//! for processes, mounts and network, and the kernel ends all of that with it: nothing has to be
//! undone, and no end of the test is too sudden. What no namespace holds, a folder and cgroups, is
//! removed by a keeper outside, which lives until this process is gone.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{LabError, folder, run, skip, write};

/// Set for the test that runs inside: the sandbox's folder.
const INSIDE: &str = "DIRECTORY_SYNC_SANDBOX";

/// How a line begins that the test inside says to whoever watches.
const SAID: &str = "| ";

/// The inside of a sandbox.
#[derive(Debug)]
pub struct Sandbox {
    folder: PathBuf,
}

impl Sandbox {
    /// Takes the calling test into a sandbox. There this is `Some`, and the test goes on. Outside it
    /// is `None`, and there is nothing more to do: the test ran inside and passed, and nothing is left
    /// of it; or it was [skipped](skip()), because this machine grants no namespaces.
    ///
    /// Must be the first thing that a test does.
    ///
    /// # Panics
    /// When the test failed inside, with all that it wrote; or when something is left of it.
    pub fn enter() -> Option<Self> {
        if let Some(folder) = std::env::var_os(INSIDE) {
            let folder = PathBuf::from(folder);
            return Some(Self { folder });
        }
        let thread = std::thread::current();
        let test = thread.name().unwrap_or_default();
        if let Err(why) = possible() {
            skip(
                test,
                &format!("{why} (allowed in CI: needs root and namespaces of its own)"),
            );
            return None;
        }
        Outside::start(test)
            .and_then(Outside::finish)
            .unwrap_or_else(|error| panic!("{error}"));
        None
    }

    /// The sandbox's folder; it ends with the sandbox.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of the sandbox's cgroup, in each hierarchy.
    pub fn cgroup(&self) -> String {
        name_of(&self.folder)
    }

    /// Says a line to whoever watches the test from outside.
    pub fn say(&self, line: &str) {
        eprintln!("{SAID}{line}");
    }
}

/// Whether this machine grants what a sandbox needs; else why not.
fn possible() -> Result<(), String> {
    // What the sandbox's first process does, in short.
    let script = r#"
mkdir "$0/upper" "$0/work"
mount -t tmpfs tmpfs /run
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$0/upper,workdir=$0/work" /var/lib
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
  [ ! -e "$hierarchy/cgroup.procs" ] || { mkdir "$hierarchy/${0##*/}" && rmdir "$hierarchy/${0##*/}"; }
done
"#;
    let scratch = folder("probe").map_err(|error| error.to_string())?;
    let mut try_it = Command::new("unshare");
    try_it.args(["--mount", "--propagation", "private", "--net", "--pid"]);
    try_it.args(["--mount-proc", "--ipc", "--uts", "--fork", "--kill-child"]);
    try_it.args(["sh", "-ec", script]).arg(scratch.path());
    run("make namespaces", &mut try_it, None)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A sandbox as it is seen from outside.
struct Outside {
    folder: PathBuf,
    keeper: Child,
}

impl Outside {
    fn start(test: &str) -> Result<Self, LabError> {
        // The keeper looks for others by what comes before the dot.
        let folder = tempfile::Builder::new()
            .prefix("directory-sync-sandbox.")
            .tempdir()
            .map_err(LabError::io("make a temporary folder"))?
            .keep();
        let init = write(folder.join("init.sh"), include_str!("sandbox/init.sh"))?;
        write(folder.join("log"), "")?;
        let this = std::env::current_exe().map_err(LabError::io("find this program"))?;
        let keeper = Command::new("bash")
            .args(["-c", include_str!("sandbox/keeper.sh"), "keeper"])
            .args([&folder, &init, &this])
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, &folder)
            .env("PATH", path_with_servers())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(LabError::io("start the sandbox's keeper"))?;
        Ok(Self { folder, keeper })
    }

    /// Waits for the test inside, telling what it says, and looks whether anything is left of it.
    fn finish(mut self) -> Result<(), LabError> {
        let namespaces = Namespaces::hold(&self.folder, || {
            self.keeper.try_wait().is_ok_and(|status| status.is_some())
        });
        write(self.folder.join("go"), "")?;
        let status = self.watch()?;
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        drop(self.keeper.stdin.take());
        self.keeper
            .wait()
            .map_err(LabError::io("wait for the sandbox's keeper"))?;
        if status != "0" {
            return Err(LabError::Failed {
                what: "the test failed inside its sandbox".into(),
                answer: quoted(&log),
            });
        }
        let left = leftovers(&self.folder, &namespaces);
        if left.is_empty() {
            return Ok(());
        }
        Err(LabError::Failed {
            what: "the sandbox has ended, but something is left of it".into(),
            answer: left.join("\n"),
        })
    }

    /// The status of the test inside, as the keeper prints it.
    fn watch(&mut self) -> Result<String, LabError> {
        let output = self.keeper.stdout.take();
        let mut log = File::open(self.folder.join("log")).map_err(LabError::io("open the log"))?;
        let waiting = std::thread::spawn(move || {
            let mut line = String::new();
            if let Some(output) = output {
                BufReader::new(output).read_line(&mut line).ok();
            }
            line.trim().to_owned()
        });
        let mut text = Vec::new();
        loop {
            let ended = waiting.is_finished();
            log.read_to_end(&mut text)
                .map_err(LabError::io("read the log"))?;
            while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = text.drain(..=end).collect();
                if let Some(said) = line.strip_prefix(SAID.as_bytes()) {
                    // Past the capture of a test's output: it shows while the test runs.
                    std::io::stderr().write_all(said).ok();
                }
            }
            if ended {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        waiting.join().map_err(|_| LabError::Failed {
            what: "watch the sandbox's keeper".into(),
            answer: "the thread that did so panicked".into(),
        })
    }
}

/// The log with each line marked, so that the counts of the test run inside aren't taken for those of the
/// run outside.
fn quoted(log: &str) -> String {
    log.lines().map(|line| format!("  | {line}\n")).collect()
}

/// The namespaces of processes and network inside, held open: their numbers are given to no others
/// while somebody looks what is left in them.
struct Namespaces(Vec<File>);

impl Namespaces {
    /// Takes hold of them as soon as they are there; of none when `ended` comes first.
    fn hold(folder: &Path, mut ended: impl FnMut() -> bool) -> Self {
        let name = name_of(folder);
        loop {
            if let Ok(noted) = fs::read_to_string(folder.join("namespace")) {
                let inside = entries(Path::new("/proc")).into_iter().find(|process| {
                    let of_it = fs::read_link(process.join("ns/pid"));
                    let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
                    of_it.is_ok_and(|of_it| of_it.as_os_str() == noted.trim())
                        && command.contains(&name)
                });
                if let Some(process) = inside {
                    let open = |kind| File::open(process.join("ns").join(kind)).ok();
                    return Self(["net", "pid"].into_iter().filter_map(open).collect());
                }
            }
            if ended() {
                return Self(Vec::new());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The inode numbers of the namespaces, which identify them.
    fn numbers(&self) -> Vec<u64> {
        let numbers = self
            .0
            .iter()
            .filter_map(|held| Some(held.metadata().ok()?.ino()));
        numbers.collect()
    }

    /// The processes that are in one of them.
    fn processes(&self) -> Vec<String> {
        let ours = self.numbers();
        let inside = |process: &PathBuf| {
            ["net", "pid"].into_iter().any(|kind| {
                let of_it = fs::metadata(process.join("ns").join(kind));
                of_it.is_ok_and(|of_it| ours.contains(&of_it.ino()))
            })
        };
        let found = entries(Path::new("/proc")).into_iter().filter(inside);
        found
            .map(|process| {
                let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
                format!("process {}: {command}", process.display())
            })
            .collect()
    }
}

/// What there still is of a sandbox: processes, mounts, its folder, cgroups.
fn leftovers(folder: &Path, namespaces: &Namespaces) -> Vec<String> {
    let mut left = namespaces.processes();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let name = name_of(folder);
    let numbers = namespaces.numbers();
    let of_it = |line: &&str| {
        let mut mounted = numbers.iter().map(|number| format!(":[{number}]"));
        line.contains(&name) || mounted.any(|ours| line.contains(&ours))
    };
    left.extend(
        mounts
            .lines()
            .filter(of_it)
            .map(|line| format!("mount {line}")),
    );
    if folder.exists() {
        left.push(format!("folder {}", folder.display()));
    }
    let cgroups = Path::new("/sys/fs/cgroup");
    for hierarchy in std::iter::once(cgroups.to_owned()).chain(entries(cgroups)) {
        let ours = hierarchy.join(&name);
        if ours.exists() {
            left.push(format!("cgroup {}", ours.display()));
        }
    }
    left
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Servers live in sbin, which is not on everybody's PATH.
fn path_with_servers() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Where the test that is killed notes its sandbox's folder.
    const NOTE: &str = "DIRECTORY_SYNC_TEST_SANDBOX_NOTE";

    /// A process of tests that is killed: by the test, or when that fails.
    struct Starter(Child);

    impl Starter {
        fn kill(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Starter {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    /// Runs the calling test a second time in a sandbox, in which it waits with a program in a cgroup
    /// for its end. Its process outside, and the sandbox's folder and namespaces.
    fn begin(note: &Path) -> (Starter, PathBuf, Namespaces) {
        let starter = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", std::thread::current().name().unwrap()])
            .env(NOTE, note)
            .stdout(Stdio::null())
            .spawn();
        let starter = Starter(starter.unwrap());
        assert!(soon(|| note.exists()));
        let folder = PathBuf::from(fs::read_to_string(note).unwrap());
        let namespaces = Namespaces::hold(&folder, || false);
        assert_eq!(namespaces.numbers().len(), 2);
        (starter, folder, namespaces)
    }

    /// What [`begin`] runs: never returns.
    fn wait_for_the_end(sandbox: &Sandbox) {
        let pods = cgroup(sandbox.folder()).unwrap().join("pods");
        fs::create_dir(&pods).unwrap();
        let mut program = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = program.id().to_string();
        fs::write(pods.join("cgroup.procs"), pid).unwrap();
        let note = PathBuf::from(std::env::var_os(NOTE).unwrap());
        let folder = sandbox.folder().display().to_string();
        fs::write(note.with_extension("new"), folder).unwrap();
        fs::rename(note.with_extension("new"), note).unwrap();
        program.wait().unwrap();
    }

    /// A sandbox's cgroup in the hierarchy for numbers of processes, or the only one.
    fn cgroup(folder: &Path) -> Option<PathBuf> {
        let hierarchies = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
        let mut ours = hierarchies.map(|at| at.join(name_of(folder))).into_iter();
        ours.find(|cgroup| cgroup.exists())
    }

    /// The keeper of a sandbox.
    fn keeper_of(folder: &Path) -> String {
        let of_it = |process: &PathBuf| {
            let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            command.starts_with("bash\0-c") && command.contains(&folder.display().to_string())
        };
        name_of(&entries(Path::new("/proc")).into_iter().find(of_it).unwrap())
    }

    fn soon(mut holds: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if holds() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn what_happens_in_a_sandbox_stays_there() {
        let before = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap();
        if let Some(sandbox) = Sandbox::enter() {
            fs::write("/proc/sys/vm/overcommit_memory", "1").unwrap();
            assert_eq!(
                fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap(),
                "1"
            );
            fs::write("/run/note", "").unwrap();
            fs::write("/var/lib/note", "").unwrap();
            let cgroup = cgroup(sandbox.folder()).unwrap();
            fs::write(cgroup.join("cgroup.procs"), "1").unwrap();
            return;
        }
        assert_eq!(
            fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap(),
            before
        );
        assert!(!Path::new("/run/note").exists());
        assert!(!Path::new("/var/lib/note").exists());
    }

    #[test]
    fn a_test_that_fails_inside_fails_outside() {
        let failed = std::panic::catch_unwind(|| {
            if Sandbox::enter().is_some() {
                panic!("no bananas");
            }
        });
        if std::env::var_os(INSIDE).is_some() {
            failed.unwrap();
        } else if possible().is_ok() {
            let panic = failed.unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains("no bananas"), "{message}");
            // The run inside counts its failure, too.
            assert!(message.contains("  | test result: FAILED"), "{message}");
            assert!(!message.contains("\ntest "), "{message}");
        }
    }

    #[test]
    fn a_sandbox_ends_even_when_its_test_is_killed_outright() {
        if std::env::var_os(NOTE).is_some() {
            wait_for_the_end(&Sandbox::enter().unwrap());
        }
        if possible().is_err() {
            return skip(
                "a sandbox of a killed test",
                "(allowed in CI: needs root and namespaces of its own)",
            );
        }
        let scratch = tempfile::tempdir().unwrap();
        let (mut starter, folder, namespaces) = begin(&scratch.path().join("note"));
        assert!(!namespaces.processes().is_empty());
        starter.kill();
        assert!(soon(|| leftovers(&folder, &namespaces).is_empty()));
    }

    #[test]
    fn what_is_left_when_the_keeper_is_killed_too_the_next_sandbox_removes() {
        if std::env::var_os(NOTE).is_some() {
            wait_for_the_end(&Sandbox::enter().unwrap());
        }
        if possible().is_err() {
            return skip(
                "a sandbox of a killed keeper",
                "(allowed in CI: needs root and namespaces of its own)",
            );
        }
        let scratch = tempfile::tempdir().unwrap();
        let (mut starter, folder, namespaces) = begin(&scratch.path().join("note"));
        let keeper = keeper_of(&folder);
        let mut kill = Command::new("kill");
        run("kill the keeper", kill.args(["-KILL", &keeper]), None).unwrap();
        starter.kill();
        // The kernel ends what ran there; folder and cgroups are nobody's.
        assert!(soon(|| namespaces.processes().is_empty()));
        let (mut next, next_folder, _) = begin(&scratch.path().join("next"));
        assert!(soon(|| leftovers(&folder, &namespaces).is_empty()));
        next.kill();
        assert!(soon(|| !next_folder.exists()));
    }
}
