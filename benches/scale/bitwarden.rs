//! The simulated organization in a process of its own, told what to do by lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization};

/// The argument that makes this program [`serve`].
pub const PART: &str = "bitwarden";

/// A running organization with an owner and nobody else.
pub struct Bitwarden {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
    child: Child,
    lines: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

#[derive(Serialize, Deserialize)]
struct Hello {
    url: String,
    client_id: String,
    client_secret: String,
}

/// How many requests there were since last asked. Signing in is one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Requests {
    pub all: usize,
    pub writes: usize,
}

impl Bitwarden {
    pub fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(PART)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no pipe to the organization")?;
        let output = child
            .stdout
            .take()
            .context("no pipe from the organization")?;
        let mut output = BufReader::new(output);
        let hello: Hello = read_line(&mut output)?;
        Ok(Self {
            url: hello.url,
            client_id: hello.client_id,
            client_secret: hello.client_secret,
            child,
            lines: Mutex::new((input, output)),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn take_requests(&self) -> Result<Requests> {
        self.ask("requests")
    }

    pub fn members(&self) -> Result<usize> {
        self.ask("members")
    }

    fn ask<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        let mut lines = self
            .lines
            .lock()
            .ok()
            .context("an earlier question failed")?;
        let (input, output) = &mut *lines;
        writeln!(input, "{what}")?;
        read_line(output)
    }
}

impl Drop for Bitwarden {
    fn drop(&mut self) {
        // It ends by itself when its input does; this is sooner.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn read_line<T: DeserializeOwned>(output: &mut impl std::io::BufRead) -> Result<T> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("the organization said {line:?}"))
}

/// The organization's process: answers the questions on standard input until that ends.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let config = Config {
        keeps_bodies: false,
        ..Config::self_hosted()
    };
    let organization = runtime.block_on(SimulatedOrganization::start(config))?;
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    let say = |answer: String| {
        let mut output = std::io::stdout();
        writeln!(output, "{answer}").and_then(|()| output.flush())
    };
    say(serde_json::to_string(&Hello {
        url: organization.url(),
        client_id: organization.client_id(),
        client_secret: organization.client_secret(),
    })?)?;
    for question in std::io::stdin().lock().lines() {
        match question?.as_str() {
            "requests" => {
                let requests = organization.requests();
                organization.clear_requests();
                let writes = requests.iter().filter(|request| request.is_write()).count();
                let all = requests.len();
                say(serde_json::to_string(&Requests { all, writes })?)?;
            }
            "members" => say(organization.snapshot().members.len().to_string())?,
            other => say(format!("no such question: {other}"))?,
        }
    }
    Ok(())
}
