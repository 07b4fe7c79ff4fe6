//! What an OpenLDAP server is to be like, and the configuration file that says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Slapd;
use crate::lab::{Identity, LabError, Ldif};

/// Where distributions keep the schema files: Debian and SUSE, Fedora, from source.
const SCHEMA_FOLDERS: [&str; 3] = [
    "/etc/ldap/schema",
    "/etc/openldap/schema",
    "/usr/local/etc/openldap/schema",
];

/// Where they keep the loadable modules.
const MODULE_FOLDERS: [&str; 4] = [
    "/usr/lib/ldap",
    "/usr/lib64/openldap",
    "/usr/lib/openldap",
    "/usr/local/libexec/openldap",
];

/// A server yet to be started; [`Slapd::options`] begins one.
///
/// By default: suffix `dc=example,dc=com` with nothing but its own entry, anonymous reading
/// allowed, no limits, TLS offered and not required.
#[derive(Debug, Clone)]
pub struct SlapdOptions {
    pub(super) suffix: String,
    pub(super) content: LdifSource,
    pub(super) log_requests: bool,
    pub(super) names: Vec<String>,
    pub(super) identity: Option<Identity>,
    size_limit: Option<u32>,
    require_tls: bool,
    client_certificates: ClientCertificates,
    member_of: bool,
    tells_changes: bool,
    global: String,
    database: String,
}

#[derive(Debug, Clone)]
pub(super) enum LdifSource {
    Text(String),
    File(PathBuf),
}

/// What the server does about certificates of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Clients aren't asked for a certificate.
    Ignored,
    /// Asks for one and goes on without; a wrong one is refused.
    Accepted,
    /// Refuses the connection without a valid one.
    Required,
}

impl Default for SlapdOptions {
    fn default() -> Self {
        let suffix = "dc=example,dc=com";
        Self {
            suffix: suffix.to_owned(),
            content: LdifSource::Text(Ldif::new(suffix).text().to_owned()),
            log_requests: false,
            names: Vec::new(),
            identity: None,
            size_limit: None,
            require_tls: false,
            client_certificates: ClientCertificates::Ignored,
            member_of: false,
            tells_changes: false,
            global: String::new(),
            database: String::new(),
        }
    }
}

impl SlapdOptions {
    /// Another suffix; the content must begin with its entry.
    #[must_use]
    pub fn suffix(mut self, suffix: &str) -> Self {
        self.suffix = suffix.to_owned();
        self
    }

    /// The database's content as LDIF, the suffix's entry first.
    #[must_use]
    pub fn ldif(mut self, text: &str) -> Self {
        self.content = LdifSource::Text(text.to_owned());
        self
    }

    /// The database's content as an LDIF file.
    #[must_use]
    pub fn ldif_file(mut self, path: &Path) -> Self {
        self.content = LdifSource::File(path.to_owned());
        self
    }

    /// At most this many entries a search, for everyone but the root DN.
    #[must_use]
    pub fn size_limit(mut self, entries: u32) -> Self {
        self.size_limit = Some(entries);
        self
    }

    /// Refuses everything but StartTLS on an unencrypted connection.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }

    /// Asks clients for certificates from the server's own [`authority`](Slapd::authority). A
    /// client that then binds by SASL EXTERNAL is `cn=NAME,<suffix>` for the common name NAME.
    #[must_use]
    pub fn client_certificates(mut self, what: ClientCertificates) -> Self {
        self.client_certificates = what;
        self
    }

    /// Entries carry `memberOf`, worked out from the `member` of `groupOfNames` when asked for.
    /// The server gives those DNs in its normal form: lower case, a comma in a value as `\2C`.
    #[must_use]
    pub fn member_of(mut self) -> Self {
        self.member_of = true;
        self
    }

    /// Sends changes to clients that ask for them (the overlay `syncprov`), as a server with replicas
    /// does.
    #[must_use]
    pub fn tells_changes(mut self) -> Self {
        self.tells_changes = true;
        self
    }

    /// A further name that the server's certificate is for, besides `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Another certificate than one of the server's own [`authority`](Slapd::authority). OpenLDAP's
    /// clients that the lab runs trust it as well.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Writes every request with its result to the [`log`](Slapd::log).
    #[must_use]
    pub fn log_requests(mut self) -> Self {
        self.log_requests = true;
        self
    }

    /// A further line for the configuration's global part (slapd.conf(5)).
    #[must_use]
    pub fn global_line(mut self, line: &str) -> Self {
        let _infallible = writeln!(self.global, "{line}");
        self
    }

    /// A further line for the database's part, such as `limits` or an `access to` rule, which
    /// comes before the default ones.
    #[must_use]
    pub fn database_line(mut self, line: &str) -> Self {
        let _infallible = writeln!(self.database, "{line}");
        self
    }

    /// Loads the content and starts the server.
    ///
    /// # Errors
    /// [`LabError::Missing`] when slapd isn't here; else with what slapd or `slapadd` said.
    pub fn start(self) -> Result<Slapd, LabError> {
        Slapd::start(self)
    }
}

pub(super) fn configuration(folder: &Path, options: &SlapdOptions) -> Result<String, LabError> {
    let schema = existing(&SCHEMA_FOLDERS, "schema")?;
    let mut text = String::new();
    for name in ["core", "cosine", "nis", "inetorgperson", "dyngroup"] {
        let _infallible = writeln!(text, "include {schema}/{name}.schema");
    }
    // Where there is no such folder the backends are built into the program.
    if let Ok(modules) = existing(&MODULE_FOLDERS, "modules") {
        let _infallible = writeln!(text, "modulepath {modules}");
        text.push_str("moduleload back_mdb\n");
        if options.member_of {
            text.push_str("moduleload dynlist\n");
        }
        if options.tells_changes {
            text.push_str("moduleload syncprov\n");
        }
    }
    let folder = folder.display();
    let suffix = &options.suffix;
    let limit = options
        .size_limit
        .map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let verify = match options.client_certificates {
        ClientCertificates::Ignored => "never",
        ClientCertificates::Accepted => "try",
        ClientCertificates::Required => "demand",
    };
    let security = if options.require_tls {
        "security tls=1"
    } else {
        ""
    };
    let overlay = if options.member_of {
        "overlay dynlist\ndynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames"
    } else {
        ""
    };
    let provider = if options.tells_changes {
        "overlay syncprov"
    } else {
        ""
    };
    let password = Slapd::ROOT_PASSWORD;
    let SlapdOptions {
        global, database, ..
    } = options;
    let _infallible = write!(
        text,
        r#"pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSVerifyClient {verify}
authz-regexp "^cn=([^,]+)(,.*)?$" "cn=$1,{suffix}"
sizelimit {limit}
timelimit unlimited
tool-threads 2
{security}
{global}
database mdb
suffix "{suffix}"
rootdn "cn=root,{suffix}"
rootpw {password}
directory {folder}/data
# An upper bound; the file takes only what is used.
maxsize 8589934592
dbnosync
index objectClass,entryUUID,uid,cn,mail,member,memberUid eq
{overlay}
{provider}
{database}
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"#
    );
    Ok(text)
}

fn existing(folders: &[&'static str], what: &str) -> Result<&'static str, LabError> {
    folders
        .iter()
        .copied()
        .find(|folder| Path::new(folder).is_dir())
        .ok_or_else(|| LabError::Missing {
            part: "slapd".to_owned(),
            answer: format!(
                "found no folder with OpenLDAP's {what}, looked in {folders:?}; run make tools"
            ),
        })
}
