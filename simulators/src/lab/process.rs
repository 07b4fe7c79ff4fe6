//! A program that never outlives whoever started it.
//!
//! A test process can be killed outright, and then no destructor runs. So each program gets a
//! small shell beside it that reads a pipe from us: when the pipe closes, because the value was
//! dropped or because this process is gone however it went, the shell kills the program and
//! removes its folder. Shell and program are in a process group of their own: an interrupt from
//! the terminal reaches us alone, and the rest follows through the pipe.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{LabError, tail};

/// `$1` folder to remove at the end, `$2` log file, then the program and its arguments.
///
/// A line on standard input: kill the program, leave the folder. End of input: remove it, too.
/// The shell ends with the program, whichever way that ends.
const GUARD: &str = r#"
folder=$1 log=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
echo "$program"
exec >&-
(
  read -r _ <&3 || : >"$folder/.remove"
  kill -KILL "$program"
) 2>/dev/null &
guard=$!
exec 3<&-
wait "$program"
status=$?
kill "$guard" 2>/dev/null
if [ -e "$folder/.remove" ]; then rm -rf "$folder"; fi
exit "$status"
"#;

/// A running program, killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    shell: Child,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `program`. `folder` belongs to it alone: its log goes there, and it is removed when
    /// this value is dropped or this process dies, but not when the program ends before.
    ///
    /// # Errors
    /// When the operating system refuses to start the shell.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        folder: &Path,
    ) -> Result<Self, LabError> {
        let log = folder.join(format!("{}.log", name_of(program)));
        Self::spawn(Command::new(program).args(arguments), folder, &log)
    }

    /// Starts `command` (its program, arguments and environment; nothing else of it) with `folder`
    /// as [`start`](Self::start) does. What it writes is appended to `log`, which stays unless it
    /// is in the folder.
    ///
    /// # Errors
    /// When the operating system refuses to start the shell.
    pub fn spawn(command: &Command, folder: &Path, log: &Path) -> Result<Self, LabError> {
        let program = Path::new(command.get_program());
        let name = name_of(program);
        let starting = || format!("start {name}");
        let environment = command.get_envs();
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .args([folder, log, program])
            .args(command.get_args())
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(LabError::io(starting()))?;
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(LabError::io(starting()))?;
        }
        let pid = line.trim().parse().map_err(|_| LabError::Failed {
            what: starting(),
            answer: format!("the shell said {line:?} instead of a process id"),
        })?;
        Ok(Self {
            name,
            shell,
            pid,
            log: log.to_owned(),
        })
    }

    /// The program's process id, for measuring it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything the program wrote so far to both its outputs.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Kills the program without warning, as a crash would, and leaves its folder.
    pub fn kill(&mut self) {
        if let Some(mut orders) = self.shell.stdin.take() {
            // Refused only when the shell is gone, and then the program is, too.
            orders.write_all(b"kill\n").ok();
            self.shell.wait().ok();
        }
    }

    /// Asks `ready` every few milliseconds until it says yes.
    ///
    /// # Errors
    /// When the program ends first, or isn't ready within `limit`; with the end of its log.
    pub fn wait_until(
        &mut self,
        limit: std::time::Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), LabError> {
        let started = std::time::Instant::now();
        loop {
            let end = self
                .shell
                .try_wait()
                .map_err(LabError::io(format!("watch {}", self.name)))?;
            if let Some(status) = end {
                let what = format!("{} ended with {status} before it was ready", self.name);
                return Err(LabError::Failed {
                    what,
                    answer: tail(&self.log()),
                });
            }
            if ready() {
                return Ok(());
            }
            if started.elapsed() > limit {
                let what = format!("{} was not ready within {limit:?}", self.name);
                return Err(LabError::Failed {
                    what,
                    answer: tail(&self.log()),
                });
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits, a minute at most, until somebody listens on this port of 127.0.0.1.
    ///
    /// # Errors
    /// As [`wait_until`](Self::wait_until).
    pub fn wait_for_port(&mut self, port: u16) -> Result<(), LabError> {
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        self.wait_until(std::time::Duration::from_secs(60), listens)
    }
}

fn name_of(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A folder that the guard may remove.
    fn owned_folder() -> PathBuf {
        crate::lab::folder("process").unwrap().keep()
    }

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    fn soon(mut holds: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if holds() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn a_dropped_program_is_gone_and_so_is_its_folder() {
        let folder = owned_folder();
        let process = Process::start(Path::new("sleep"), ["1000"], &folder).unwrap();
        let pid = process.pid();
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
        assert!(!folder.exists());
    }

    #[test]
    fn a_killed_program_leaves_its_folder_for_the_next_start() {
        let folder = owned_folder();
        let mut process = Process::start(Path::new("sleep"), ["1000"], &folder).unwrap();
        process.kill();
        assert!(!alive(process.pid()));
        drop(process);
        assert!(folder.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_program_that_ends_by_itself_is_reported_with_what_it_wrote() {
        let folder = owned_folder();
        let script = ["-c", "echo no database here >&2; exit 3"];
        let mut process = Process::start(Path::new("sh"), script, &folder).unwrap();
        let error = process
            .wait_until(Duration::from_secs(10), || false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no database here"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    /// Runs this test a second time as the process that starts a program and is killed outright.
    #[test]
    fn a_program_ends_even_when_its_starter_is_killed_outright() {
        const FOLDER: &str = "DIRECTORY_SYNC_TEST_STARTER_FOLDER";
        if let Some(folder) = std::env::var_os(FOLDER) {
            let folder = PathBuf::from(folder);
            let process = Process::start(Path::new("sleep"), ["1000"], &folder).unwrap();
            fs::write(folder.join("pid"), format!("{}\n", process.pid())).unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        let folder = owned_folder();
        let mut starter = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", std::thread::current().name().unwrap()])
            .env(FOLDER, &folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let note = folder.join("pid");
        assert!(soon(
            || fs::read_to_string(&note).is_ok_and(|text| text.ends_with('\n'))
        ));
        let pid = fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        assert!(alive(pid));
        starter.kill().unwrap();
        starter.wait().unwrap();
        assert!(soon(|| !alive(pid) && !folder.exists()));
    }
}
