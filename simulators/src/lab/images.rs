//! Container images: built from a Dockerfile where no registry and no network is, and handed over.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{LabError, find, folder, run, write};

/// The name of the image by which a node holds a pod's namespaces.
pub(super) const PAUSE: &str = "localhost/pause:lab";

/// A store of images outside the work tree, with the stand-ins for what Dockerfiles build from.
///
/// It is used by one at a time; whoever comes second waits. Only within a [`Sandbox`](super::Sandbox),
/// with which its mounts end.
pub struct Images {
    store: PathBuf,
    // Held until dropped.
    _lock: File,
}

impl Images {
    /// Opens the store, when nobody else uses it.
    ///
    /// # Errors
    /// [`LabError::Missing`] when a program or the stand-ins aren't here.
    pub fn open() -> Result<Self, LabError> {
        // A build has no network: what it needs must be here before.
        for part in ["buildah", "rust-musl", "crates"] {
            find(part)?;
        }
        let store = find("base-images")?;
        let lock = File::create(store.join("lab.lock")).map_err(LabError::io("lock the images"))?;
        lock.lock().map_err(LabError::io("lock the images"))?;
        let this = Self { store, _lock: lock };
        // What a build that was killed left half done.
        run(
            "tidy the images up",
            this.buildah().args(["rm", "--all"]),
            None,
        )?;
        Ok(this)
    }

    /// Builds a Dockerfile as image `name` and returns its archive, a file in `to`.
    ///
    /// Cargo inside uses this machine's toolchain and the crates that it has downloaded, and keeps what
    /// it compiles below `/src/target` from build to build.
    ///
    /// # Errors
    /// With the end of what the build wrote.
    pub fn build(&self, context: &Path, name: &str, to: &Path) -> Result<PathBuf, LabError> {
        let mut print = Command::new("rustc");
        print.current_dir(context).args(["--print", "sysroot"]);
        let toolchain = run("find the toolchain", &mut print, None)?;
        let compiled = self.store.join("target");
        std::fs::create_dir_all(&compiled).map_err(LabError::io("make a folder for cargo"))?;
        let mut command = self.buildah();
        command.args(["bud", "--pull-never", "--layers", "--tag", name]);
        command.arg(format!(
            "--volume={}:/usr/local/rustup/toolchain:ro",
            toolchain.trim()
        ));
        command.arg(format!("--volume={}:/src/target", compiled.display()));
        let cargo = cargo_home()?;
        // How this machine reaches crates is its own affair; what is downloaded there is used.
        for (what, how) in [("registry", "O"), ("config.toml", "ro")] {
            let ours = cargo.join(what);
            if ours.exists() {
                command.arg(format!(
                    "--volume={}:/usr/local/cargo/{what}:{how}",
                    ours.display()
                ));
            }
        }
        command.arg(context);
        run("build the image", &mut command, None)?;
        self.archive(name, to)
    }

    /// An archive of the image with the process that holds a pod's namespaces: it waits, and reaps
    /// what is left to it.
    pub(super) fn pause(&self, to: &Path) -> Result<PathBuf, LabError> {
        let context = folder("pause")?;
        let program = context.path().join("catatonit");
        std::fs::copy("/usr/bin/catatonit", program).map_err(LabError::io("copy catatonit"))?;
        let text = "FROM scratch\nCOPY catatonit /\nUSER 65535:65535\nENTRYPOINT [\"/catatonit\", \"-P\"]\n";
        write(context.path().join("Dockerfile"), text)?;
        let mut command = self.buildah();
        command.args(["bud", "--pull-never", "--layers", "--tag", PAUSE]);
        run("build the pause image", command.arg(context.path()), None)?;
        self.archive(PAUSE, to)
    }

    fn archive(&self, name: &str, to: &Path) -> Result<PathBuf, LabError> {
        let file = to.join(format!("{}.tar", name.replace(['/', ':'], "_")));
        let mut push = self.buildah();
        push.args(["push", "--quiet", name]);
        push.arg(format!("docker-archive:{}:{name}", file.display()));
        run("save the image", &mut push, None)?;
        Ok(file)
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(&self.store);
        // Gone with the sandbox, as are the mounts that it speaks of.
        command.args(["--runroot", "/run/images", "--storage-driver", "overlay"]);
        // No container of its own for each step: the sandbox is one.
        command.env("BUILDAH_ISOLATION", "chroot");
        command
    }
}

fn cargo_home() -> Result<PathBuf, LabError> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    home.ok_or_else(|| LabError::Failed {
        what: "find cargo's folder".into(),
        answer: "neither CARGO_HOME nor HOME is set".into(),
    })
}
