//! Reads the settings of Bitwarden's Directory Connector, in each form that its versions gave `data.json`.
//!
//! | form | where the settings are |
//! |---|---|
//! | accounts | below the id of each account: `directoryConfigurations` and `directorySettings` |
//! | without a login | the same as `tempDirectoryConfigs` and `tempDirectorySettings`, at the top |
//! | numbered | `directoryConfig_0` … `directoryConfig_4` and `syncConfig`, at the top |
//! | named | `directory_ldap` or `directoryLdap` … and `sync`, at the top |
//!
//! Desktop and command line write the same file. Secrets are in the keychain, or in the file where
//! `BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS` was set.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::AdoptError;
use super::settings::{Kept, Settings, kept};

/// No file of settings is larger.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Where the connector looks for its folder, in this order.
const FOLDERS: [&str; 2] = [
    "BITWARDENCLI_CONNECTOR_APPDATA_DIR",
    "BITWARDENCONNECTOR_APPDATA_DIR",
];
/// Settings that were made before anybody logged in.
const TEMPORARY_CONFIGURATIONS: &str = "tempDirectoryConfigs";
const TEMPORARY_SETTINGS: &str = "tempDirectorySettings";
/// Whose they are, in place of an account's ID.
const NOBODY: &str = "";
const FOLDER: &str = "Bitwarden Directory Connector";
const FILE: &str = "data.json";

/// The kinds of directories, in the connector's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ldap,
    EntraId,
    GoogleWorkspace,
    Okta,
    OneLogin,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Ldap,
        Self::EntraId,
        Self::GoogleWorkspace,
        Self::Okta,
        Self::OneLogin,
    ];

    /// How its settings are called in messages.
    pub fn section(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::EntraId => "entra",
            Self::GoogleWorkspace => "gsuite",
            Self::Okta => "okta",
            Self::OneLogin => "oneLogin",
        }
    }

    /// How it is called, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ldap => "LDAP or Active Directory",
            Self::EntraId => "Microsoft Entra ID",
            Self::GoogleWorkspace => "Google Workspace",
            Self::Okta => "Okta",
            Self::OneLogin => "OneLogin",
        }
    }

    /// Under which names a file may hold its settings.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Ldap => &["ldap"],
            Self::EntraId => &["entra", "azure"],
            Self::GoogleWorkspace => &["gsuite"],
            Self::Okta => &["okta"],
            Self::OneLogin => &["oneLogin"],
        }
    }

    /// Under which names at the top of a file its settings may be.
    fn names_at_the_top(self) -> [&'static str; 2] {
        match self {
            Self::Ldap => ["directory_ldap", "directoryLdap"],
            Self::EntraId => ["directory_entra", "directoryEntra"],
            Self::GoogleWorkspace => ["directory_gsuite", "directoryGsuite"],
            Self::Okta => ["directory_okta", "directoryOkta"],
            Self::OneLogin => ["directory_onelogin", "directoryOnelogin"],
        }
    }

    /// Which of its settings is the secret, and under which names a file may keep that apart.
    pub fn secret(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Ldap => ("password", &["ldapPassword", "secret_ldap", "secretLdap"]),
            Self::EntraId => (
                "key",
                &[
                    "entraKey",
                    "azureKey",
                    "secret_entra",
                    "secret_azure",
                    "secretEntra",
                    "secretAzure",
                ],
            ),
            Self::GoogleWorkspace => (
                "privateKey",
                &["gsuitePrivateKey", "secret_gsuite", "secretGsuite"],
            ),
            Self::Okta => ("token", &["oktaToken", "secret_okta", "secretOkta"]),
            Self::OneLogin => (
                "clientSecret",
                &[
                    "oneLoginClientSecret",
                    "secret_oneLogin",
                    "secret_onelogin",
                    "secretOneLogin",
                ],
            ),
        }
    }
}

/// What the connector was told.
#[derive(Debug)]
pub struct Connector {
    /// The file.
    pub path: PathBuf,
    pub kind: Kind,
    pub directory: Settings,
    pub sync: Settings,
    pub directory_secret: Kept<String>,
    pub urls: Settings,
    /// The id of the organization.
    pub organization: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Kept<String>,
}

/// The file to read: the one that is named, or the one in the connector's folder.
///
/// # Errors
/// When none is named and the connector's folder isn't known.
pub fn locate(from: Option<&Path>) -> Result<PathBuf, AdoptError> {
    let named = from.map(Path::to_owned);
    let folder = || FOLDERS.iter().find_map(std::env::var_os).map(PathBuf::from);
    let default = || {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        let config = match std::env::var_os("XDG_CONFIG_HOME") {
            Some(config) => PathBuf::from(config),
            None => home.join(".config"),
        };
        let places = [config, home.join("Library/Application Support")];
        let mut places = places.iter().map(|place| place.join(FOLDER));
        places.find(|place| place.join(FILE).is_file())
    };
    let path = named
        .or_else(folder)
        .or_else(default)
        .ok_or(AdoptError::NotFound)?;
    Ok(match path.is_dir() {
        true => path.join(FILE),
        false => path,
    })
}

/// Reads the file. `organization` chooses one where the file has several.
///
/// # Errors
/// When it can't be read, is damaged, isn't the connector's, or leaves open what is meant.
pub fn read(path: &Path, organization: Option<&str>) -> Result<Connector, AdoptError> {
    let io = |error| AdoptError::Io {
        doing: "read",
        path: path.to_owned(),
        error,
    };
    let mut bytes = vec![];
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
    let text = text(bytes).ok_or_else(|| AdoptError::NoText(path.to_owned()))?;
    parse(path, &text, organization)
}

/// A file's text: UTF-8, or UTF-16 as Windows' shell writes it.
fn text(bytes: Vec<u8>) -> Option<String> {
    let order: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return String::from_utf8(bytes).ok(),
    };
    let (pairs, rest) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|pair| order(*pair)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

fn parse(path: &Path, text: &str, organization: Option<&str>) -> Result<Connector, AdoptError> {
    // Editors of Windows put a byte order mark first.
    let text = text.trim_start_matches('\u{feff}');
    let damaged = |error: serde_json::Error| AdoptError::Damaged {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    };
    let Value::Object(mut root) = serde_json::from_str(text).map_err(damaged)? else {
        return Err(AdoptError::NotSettings(path.to_owned()));
    };
    if let Some(configurations) = root.get(TEMPORARY_CONFIGURATIONS).cloned() {
        let settings = root.get(TEMPORARY_SETTINGS).cloned();
        let account =
            json!({"directoryConfigurations": configurations, "directorySettings": settings});
        root.entry(NOBODY).or_insert(account);
    }
    let account = account(path, &root, organization)?;
    let nothing = Map::new();
    let settings = match &account {
        Some((_, account)) => object(account, "directorySettings").unwrap_or(&nothing),
        None => &root,
    };
    let kind = kind(path, settings)?;
    let directory = Settings::new(kind.section(), directory_of(kind, account.as_ref(), &root));
    if directory.is_empty() {
        return Err(AdoptError::NoDirectory {
            path: path.to_owned(),
            kind: kind.describe(),
        });
    }
    let sync = ["sync", "syncConfig"];
    let sync = sync.iter().find_map(|name| present(settings, name));
    let (inside, apart) = kind.secret();
    let directory_secret = first_kept([
        directory.secret(inside),
        secret_apart(apart, account.as_ref(), &root),
    ]);
    let of_account = account.as_ref().map(|(_, account)| *account);
    let keys = of_account.and_then(|account| object(account, "clientKeys"));
    let profile = of_account.and_then(|account| object(account, "profile"));
    let text_of = |map: Option<&Map<String, Value>>, key: &str| {
        let text = map?.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let client_id = text_of(keys, "clientId")
        .or_else(|| text_of(profile, "apiKeyClientId"))
        .or_else(|| text_of(of_account, "apiKeyClientId"))
        .or_else(|| {
            let mut names = ["apiKeyClientId", "apikey_clientId", "clientId"].iter();
            names.find_map(|name| text_of(Some(&root), name))
        });
    let client_secret = first_kept([
        keys.and_then(|keys| keys.get("clientSecret"))
            .map_or(Kept::Nowhere, kept),
        secret_apart(
            &["apiKeyClientSecret", "apikey_clientSecret", "clientSecret"],
            account.as_ref(),
            &root,
        ),
    ]);
    let organization = text_of(Some(settings), "organizationId").or_else(|| {
        let id = client_id.as_deref()?.strip_prefix("organization.")?;
        Some(id.to_owned())
    });
    let urls = of_account
        .and_then(|account| object(account, "settings")?.get("environmentUrls"))
        .or_else(|| object(&root, "global")?.get("environmentUrls"))
        .or_else(|| root.get("environmentUrls"));
    Ok(Connector {
        path: path.to_owned(),
        kind,
        directory,
        sync: Settings::new("sync", sync),
        directory_secret,
        urls: Settings::new("environmentUrls", urls),
        organization,
        client_id,
        client_secret,
    })
}

fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    map.get(key).and_then(Value::as_object)
}

/// A value that is there: the connector empties some by null.
fn present<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// An account of the file with its id; `None` where the settings are at the top.
type Account<'a> = (&'a str, &'a Map<String, Value>);

fn account<'a>(
    path: &Path,
    root: &'a Map<String, Value>,
    organization: Option<&str>,
) -> Result<Option<Account<'a>>, AdoptError> {
    let accounts: Vec<Account<'a>> = root
        .iter()
        .filter_map(|(id, value)| Some((id.as_str(), value.as_object()?)))
        .filter(|(_, value)| {
            value.contains_key("directoryConfigurations") || value.contains_key("directorySettings")
        })
        .collect();
    if accounts.is_empty() {
        let is_ours = |key: &String| {
            let mut kinds = Kind::ALL.iter();
            key.starts_with("directoryConfig_")
                || key == "directoryType"
                || kinds.any(|kind| kind.names_at_the_top().contains(&key.as_str()))
        };
        return match root.keys().any(is_ours) {
            true => Ok(None),
            false => Err(AdoptError::NotSettings(path.to_owned())),
        };
    }
    let id_of = |(id, account): &Account<'a>| {
        let settings = object(account, "directorySettings");
        let of = settings.and_then(|settings| settings.get("organizationId")?.as_str());
        of.unwrap_or(id).to_owned()
    };
    if let Some(wanted) = organization {
        let mut fits = accounts.iter();
        let found = fits.find(|one| one.0 == wanted || id_of(one).eq_ignore_ascii_case(wanted));
        return match found {
            Some(found) => Ok(Some(*found)),
            None => Err(AdoptError::NoSuchOrganization {
                wanted: wanted.to_owned(),
                there: accounts.iter().map(id_of).collect(),
            }),
        };
    }
    let active = root.get("activeUserId").and_then(Value::as_str);
    let found = match accounts.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|(id, _)| Some(*id) == active),
    };
    match found {
        Some(found) => Ok(Some(*found)),
        None => Err(AdoptError::SeveralOrganizations(
            accounts.iter().map(id_of).collect(),
        )),
    }
}

fn kind(path: &Path, settings: &Map<String, Value>) -> Result<Kind, AdoptError> {
    let number = match settings.get("directoryType") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| AdoptError::NoKind(path.to_owned()))?;
    let kind = usize::try_from(number)
        .ok()
        .and_then(|at| Kind::ALL.get(at));
    kind.copied().ok_or_else(|| AdoptError::OtherKind {
        path: path.to_owned(),
        number,
    })
}

fn directory_of<'a>(
    kind: Kind,
    account: Option<&Account<'a>>,
    root: &'a Map<String, Value>,
) -> Option<&'a Value> {
    if let Some((_, account)) = account {
        let all = object(account, "directoryConfigurations")?;
        return kind
            .names()
            .iter()
            .filter_map(|name| all.get(*name))
            .find(|value| value.as_object().is_some_and(|all| !all.is_empty()));
    }
    let number = Kind::ALL.iter().position(|one| *one == kind)?;
    let numbered = present(root, &format!("directoryConfig_{number}"));
    numbered.or_else(|| {
        let mut names = kind.names_at_the_top().into_iter();
        names.find_map(|name| present(root, name))
    })
}

/// A secret that is kept apart from the settings: at the top, below the account, or with its id in front.
fn secret_apart(
    names: &[&str],
    account: Option<&Account<'_>>,
    root: &Map<String, Value>,
) -> Kept<String> {
    for name in names {
        let of_account = account.and_then(|(id, account)| {
            let named = present(root, &format!("{id}_{name}"));
            named.or_else(|| present(account, name))
        });
        if let Some(value) = of_account.or_else(|| present(root, name)) {
            return kept(value);
        }
    }
    Kept::Nowhere
}

/// A value that is there, else one that is in the keychain.
fn first_kept(all: [Kept<String>; 2]) -> Kept<String> {
    let [first, second] = all;
    match (first, second) {
        (Kept::Here(value), _) | (_, Kept::Here(value)) => Kept::Here(value),
        (Kept::Keychain, _) | (_, Kept::Keychain) => Kept::Keychain,
        _ => Kept::Nowhere,
    }
}
