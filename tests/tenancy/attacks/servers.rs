//! The servers of hostile tenants, and those inside of the cluster that they would like to reach.

use std::io::Write as _;
use std::process::{Command, Stdio};

use directory_sync_testing::hostile::{Harm, LdapHarm, Recorder, ldap_server, server};

use super::place::Place;
use crate::canary::{ACCOUNT, ENCODINGS, PASSWORD};
use crate::echo::{Refuses, server as echo};

/// What servers inside of the cluster answer, and nobody outside may see.
pub const INTERNAL: &str = "intern-geheim-van-het-cluster";

/// The servers of hostile tenants, and those that they must not reach.
pub struct Servers {
    /// What the former were sent.
    pub hostile: Recorder,
    /// What the latter were sent.
    pub internal: Recorder,
    /// Lets everybody in, and has nothing.
    pub open: String,
    /// By what each does.
    harm: Vec<(&'static str, String)>,
    /// Refuses with what it was sent, in an encoding.
    echo: Vec<(&'static str, String)>,
    /// An internal server over HTTP, and over LDAP.
    pub inside: (&'static str, &'static str),
    /// The API server's address, and the certificate of its CA.
    pub api_server: (String, String),
    /// Where the operator has a token of its own.
    pub operators_file: String,
}

impl Servers {
    pub async fn start(place: &Place) -> Self {
        let (hostile, internal) = (Recorder::default(), Recorder::default());
        let body: &'static [u8] = Box::leak(
            format!(
                "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{INTERNAL}",
                INTERNAL.len()
            )
            .into_boxed_str(),
        )
        .as_bytes();
        let http: &'static str = internal.instead("http", "127.0.0.2", body).await.leak();
        let ldap: &'static str = internal.instead("ldap", "127.0.0.2", b"").await.leak();
        let mut harm = vec![];
        for (name, does) in [
            ("drips", Harm::Drip),
            ("is silent", Harm::Silence),
            ("comes again", Harm::ComeAgain),
            ("pages", Harm::EndlessPages(50, 200)),
            ("members", Harm::EndlessMembers(200)),
            ("long name", Harm::LongName(900_000)),
            ("names", Harm::Names(PASSWORD)),
            ("bomb", Harm::Compressed(bomb())),
            ("deep", Harm::Body("[".repeat(1 << 20).leak())),
            ("redirects", Harm::Redirect(http)),
            ("next page", Harm::NextPage(http)),
            ("long token", Harm::LongToken),
        ] {
            harm.push((name, hostile.before(&server(does).await).await));
        }
        for (name, does) in [
            ("LDAP is silent", LdapHarm::Silence),
            ("LDAP nests", LdapHarm::Nested),
            ("LDAP announces", LdapHarm::Announce),
            ("LDAP drips", LdapHarm::Drip),
            ("LDAP entries", LdapHarm::Entries),
            (
                "LDAP refers",
                LdapHarm::Referral(format!("{ldap}/dc=example")),
            ),
            (
                "LDAP repeats",
                LdapHarm::Refuse(format!("no {PASSWORD} of {ACCOUNT}")),
            ),
        ] {
            harm.push((name, hostile.before(&ldap_server(does).await).await));
        }
        let mut said = vec![];
        for (name, encode) in ENCODINGS {
            for refuses in [Refuses::Tokens, Refuses::Lists] {
                let url = echo(refuses, encode).await;
                let name: &'static str = format!("{refuses:?} {name}").leak();
                said.push((name, hostile.before(&url).await));
            }
        }
        let open = hostile.before(&server(Harm::EndlessMembers(0)).await).await;
        let ca = place
            .server
            .run_kubectl(&["config", "view", "--raw", "-o", "json"])
            .unwrap();
        let ca: serde_json::Value = serde_json::from_str(&ca).unwrap();
        let ca = ca["clusters"][0]["cluster"]["certificate-authority-data"]
            .as_str()
            .unwrap();
        let ca = data_encoding::BASE64.decode(ca.as_bytes()).unwrap();
        Self {
            api_server: (
                place.server.url().to_owned(),
                String::from_utf8(ca).unwrap(),
            ),
            operators_file: place.operators_file().display().to_string(),
            inside: (http, ldap),
            echo: said,
            hostile,
            internal,
            open,
            harm,
        }
    }

    /// The address of the server that does this.
    pub fn of(&self, name: &str) -> &str {
        let all = self.harm.iter().chain(&self.echo);
        let found = all.into_iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no server {name}")).1
    }
}

/// 64 MiB of spaces.
fn bomb() -> &'static [u8] {
    let mut gzip = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    std::thread::spawn(move || input.write_all(&vec![b' '; 64 << 20]));
    gzip.wait_with_output().unwrap().stdout.leak()
}
