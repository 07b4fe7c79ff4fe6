//! The parts that the demo plays on, and what is typed there.

use std::cell::RefCell;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use simulators::lab::process::Process;
use simulators::lab::{ApiServer, Slapd, free_port};
use simulators::organization::{Config, SimulatedOrganization};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cast;
use crate::screen::Screen;

const OPERATOR_LOG: &str = "operator.log";
/// Nothing in the demo takes a tenth of this.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The parts. Dropped in this order: the operator before what it talks to.
pub struct Stage {
    operator: RefCell<Option<Operator>>,
    pub api: ApiServer,
    pub slapd: Slapd,
    pub organization: SimulatedOrganization,
    pub reader_password: String,
    pub folder: PathBuf,
    runtime: Runtime,
}

struct Operator {
    process: Process,
    listen: String,
    _folder: TempDir,
}

impl Stage {
    /// Starts all but the operator.
    pub fn build(screen: &Screen, folder: &Path) -> Result<Self> {
        ensure!(
            Path::new("crds").is_dir(),
            "the working directory isn't the repository's root; run make demo"
        );
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        // What an earlier demo left.
        let _absent = fs::remove_file(folder.join(OPERATOR_LOG));
        screen.step("Start the parts");

        let started = Instant::now();
        let api = ApiServer::start()?;
        let version: Value =
            serde_json::from_str(&api.run_kubectl(&["get", "--raw", "/version"])?)?;
        let version = version["gitVersion"].as_str().unwrap_or_default();
        let name = format!("Kubernetes API server {version}");
        screen.done(&name, api.url(), started.elapsed());

        let started = Instant::now();
        let reader_password = secret()?;
        let slapd = Slapd::options()
            .ldif(&cast::directory(&reader_password))
            // Knows pwdAccountLockedTime, by which OpenLDAP disables accounts.
            .global_line("moduleload ppolicy")
            .database_line("overlay ppolicy")
            .start()?;
        screen.done("OpenLDAP", &slapd.ldaps_url(), started.elapsed());

        let started = Instant::now();
        let runtime = Runtime::new().context("start the runtime")?;
        let config = Config {
            client_secret: secret()?,
            keeps_bodies: false,
            ..Config::self_hosted()
        };
        let organization = runtime.block_on(SimulatedOrganization::start(config))?;
        organization.seed(cast::organization())?;
        let url = organization.url();
        screen.done("Bitwarden organization, simulated", &url, started.elapsed());

        screen.hide(&organization.client_secret());
        screen.hide(&reader_password);
        fs::copy(api.kubeconfig(), folder.join("kubeconfig"))?;
        fs::write(folder.join("ca.crt"), slapd.authority().pem())?;
        Ok(Self {
            operator: RefCell::new(None),
            api,
            slapd,
            organization,
            reader_password,
            folder: folder.to_owned(),
            runtime,
        })
    }

    /// Starts the operator as its own service account, which may do what `deploy/` grants.
    pub fn start_operator(&self, screen: &Screen, program: &Path) -> Result<()> {
        let account = "directory-sync";
        let kubeconfig = self.api.kubeconfig_for_service_account(account, account)?;
        let shown = self.folder.join("operator.kubeconfig");
        fs::copy(kubeconfig, &shown)?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let log = self.operator_log();
        screen.command(&format!(
            "KUBECONFIG={} DIRECTORY_SYNC_ALLOWED_NETWORKS=127.0.0.0/8,::1 \
             directory-sync operator --listen {listen} >{} 2>&1 &",
            shown.display(),
            log.display()
        ));
        let own_folder = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["operator", "--listen", &listen])
            .env("KUBECONFIG", &shown)
            // The servers are on this machine.
            .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1");
        let mut process = Process::spawn(&command, own_folder.path(), &log)?;
        process.wait_until(WAIT_TIMEOUT, || answers(&listen, "/readyz"))?;
        *self.operator.borrow_mut() = Some(Operator {
            process,
            listen,
            _folder: own_folder,
        });
        Ok(())
    }

    /// Waits until the API server serves the resource, a moment after its definition was applied.
    pub fn wait_for_the_resource(&self) -> Result<()> {
        let started = Instant::now();
        while let Err(error) = self.api.run_kubectl(&["get", "directorysyncs", "-A"]) {
            if started.elapsed() > WAIT_TIMEOUT {
                return Err(error).context("the resource isn't served");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Shows a command and has a shell run it; what it printed, which is not shown.
    pub fn ask(&self, screen: &Screen, command: &str) -> Result<String> {
        screen.command(command);
        let kubectl = self.api.kubectl();
        let folder = Path::new(kubectl.get_program()).parent();
        let mut path = folder
            .map(|folder| folder.as_os_str().to_owned())
            .unwrap_or_default();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let environment = kubectl.get_envs();
        let output = Command::new("sh")
            .args(["-c", command])
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", path)
            .output()
            .context("run a shell")?;
        if !output.status.success() {
            bail!(
                "{command}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Shows a command, has a shell run it, and shows its answer.
    pub fn type_in(&self, screen: &Screen, command: &str) -> Result<String> {
        let answer = self.ask(screen, command)?;
        screen.output(&answer);
        Ok(answer)
    }

    /// The resource's status once `wanted` is true of it and no run is under way.
    pub fn wait_for_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let started = Instant::now();
        loop {
            let answer = self
                .api
                .run_kubectl(&["-n", "identity", "get", "dsync", "staff", "-o", "json"])?;
            let object: Value = serde_json::from_str(&answer)?;
            let status = &object["status"];
            let current = status["observedGeneration"] == object["metadata"]["generation"];
            let busy = condition(status, "Reconciling").is_some();
            if current && !busy && wanted(status) {
                return Ok(status.clone());
            }
            ensure!(
                started.elapsed() < WAIT_TIMEOUT,
                "{what} didn't come within {WAIT_TIMEOUT:?}; the status is {status:#}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn show_operator_log(&self, screen: &Screen) {
        let Ok(log) = fs::read_to_string(self.operator_log()) else {
            return;
        };
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(20)..];
        screen.say(&format!("\nThe end of {}:", self.operator_log().display()));
        screen.output(&last.join("\n"));
    }

    pub fn operator_log(&self) -> PathBuf {
        self.folder.join(OPERATOR_LOG)
    }

    /// Says how to reach everything, and waits to be interrupted.
    pub fn keep(&self, screen: &Screen) {
        let url = self.organization.url();
        let file = |name: &str| self.folder.join(name).display().to_string();
        screen.step("All of it stays until you press Ctrl-C");
        screen.say(&format!(
            "Kubernetes     export KUBECONFIG={}\n\
             OpenLDAP       LDAPTLS_CACERT={} ldapsearch -x -H {} \\\n\
             \x20                -D {} -w {} -b {}\n\
             Organization   curl {url}/simulator/state.txt     (also /simulator/history, /simulator/requests)",
            file("kubeconfig"),
            file("ca.crt"),
            self.slapd.ldaps_url(),
            self.slapd.root_dn(),
            Slapd::ROOT_PASSWORD,
            cast::SUFFIX,
        ));
        if let Some(operator) = &*self.operator.borrow() {
            screen.say(&format!(
                "Operator       curl http://{}/metrics; its log is {}; process {}",
                operator.listen,
                self.operator_log().display(),
                operator.process.pid(),
            ));
        }
        self.runtime.block_on(async {
            // Without a handler for the signal there is nothing to wait for.
            let _unavailable = tokio::signal::ctrl_c().await;
        });
    }
}

impl Drop for Stage {
    /// The log stays, for whoever wants to look something up.
    fn drop(&mut self) {
        for name in ["kubeconfig", "operator.kubeconfig", "ca.crt"] {
            let _absent = fs::remove_file(self.folder.join(name));
        }
        let _absent = fs::remove_dir_all(self.folder.join("quickstart"));
    }
}

/// A condition that is true.
pub fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = status["conditions"].as_array()?;
    let mut conditions = conditions.iter();
    conditions.find(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Whether a GET over plain HTTP is answered with 200.
fn answers(address: &str, path: &str) -> bool {
    use std::io::Write as _;
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}

/// A password that nobody has used before.
fn secret() -> Result<String> {
    let mut bytes = [0; 12];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
