//! What the connector was told, as a DirectorySync with its Secrets, setting by setting.
//!
//! ```text
//! organization   the server and the organization's API key
//! ldap           LDAP directories and Active Directory
//! vendors        Entra ID, Google Workspace, Okta, OneLogin
//! policy         whom to take, what may happen to them, how often
//! ```
//!
//! Nothing is widened or narrowed silently: a setting that can't be translated exactly is refused until it
//! is left out by name.

mod ldap;
mod organization;
mod policy;
mod vendors;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::read::{Connector, Kind};
use super::settings::{Kept, Settings};

/// What the person who runs the command decides.
#[derive(Debug, Default)]
pub struct Choices {
    /// The name of the resource; the names of its Secrets begin with it.
    pub name: String,
    /// Keep DNs as external IDs (LDAP).
    pub keep_ids: bool,
    /// People are synced although the connector syncs groups only.
    pub with_users: bool,
    /// Groups that were made by hand are taken over by their names.
    pub adopt_groups: bool,
    /// Settings that are left out although they can't be translated.
    pub ignored: Vec<String>,
    /// Secrets that the file doesn't hold, by what they are of: `organization`, `directory`.
    pub secrets: BTreeMap<String, String>,
}

/// One line of the page.
#[derive(Debug)]
pub struct Row {
    pub setting: String,
    pub value: String,
    /// What it became here.
    pub ours: String,
    /// What is different in meaning.
    pub remark: String,
}

/// A Secret or ConfigMap to write.
#[derive(Debug)]
pub struct Data {
    pub name: String,
    /// The type of the Secret, where it isn't `Opaque`.
    pub kind: Option<&'static str>,
    /// By key; `None`: missing.
    pub entries: Vec<(&'static str, Option<String>)>,
}

/// Everything that is to be written.
#[derive(Debug, Default)]
pub struct Translation {
    pub spec: Value,
    pub secrets: Vec<Data>,
    pub config_maps: Vec<Data>,
    pub rows: Vec<Row>,
    /// Values that have to be filled in.
    pub gaps: Vec<String>,
    /// What is different whatever the settings are.
    pub differences: Vec<&'static str>,
}

/// Settings of a sync that only LDAP directories have; OneLogin has the last ones, too.
const OF_LDAP: [&str; 12] = [
    "userObjectClass",
    "groupObjectClass",
    "userPath",
    "groupPath",
    "userEmailAttribute",
    "groupNameAttribute",
    "memberAttribute",
    "creationDateAttribute",
    "revisionDateAttribute",
    "emailPrefixAttribute",
    "emailSuffix",
    "useEmailPrefixSuffix",
];

/// Translates the settings.
///
/// # Errors
/// Every setting that can't be translated exactly, with what to do.
pub fn translate(from: &Connector, choices: &Choices) -> Result<Translation, Vec<String>> {
    let mut translator = Translator {
        from,
        choices,
        out: Translation {
            spec: json!({}),
            ..Translation::default()
        },
        refused: vec![],
    };
    translator.set("mode", "Preview");
    translator.organization();
    match from.kind {
        Kind::Ldap => translator.ldap(),
        // The connector keeps these for a directory that was chosen before, and doesn't look at them.
        _ => from.sync.pass_over(&OF_LDAP),
    }
    match from.kind {
        Kind::Ldap => {}
        Kind::EntraId => translator.entra_id(),
        Kind::GoogleWorkspace => translator.google_workspace(),
        Kind::Okta => translator.okta(),
        Kind::OneLogin => translator.one_login(),
    }
    translator.policy();
    translator.finish()
}

struct Translator<'a> {
    from: &'a Connector,
    choices: &'a Choices,
    out: Translation,
    refused: Vec<String>,
}

impl<'a> Translator<'a> {
    fn directory(&self) -> &'a Settings {
        &self.from.directory
    }

    fn sync(&self) -> &'a Settings {
        &self.from.sync
    }

    /// Sets a field of the spec by its path.
    fn set(&mut self, path: &str, value: impl Into<Value>) {
        let mut at = &mut self.out.spec;
        for name in path.split('.') {
            at = &mut at[name];
        }
        *at = value.into();
    }

    fn row(
        &mut self,
        setting: impl Into<String>,
        value: impl ToString,
        ours: impl Into<String>,
        remark: impl Into<String>,
    ) {
        self.out.rows.push(Row {
            setting: setting.into(),
            value: value.to_string(),
            ours: ours.into(),
            remark: remark.into(),
        });
    }

    /// Sets a field and says from which setting it comes.
    fn put(&mut self, setting: String, path: &str, value: impl Into<Value>, remark: &str) {
        let value = value.into();
        let was = self.shown(&setting);
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let ours = match text == was {
            true => format!("`{path}`"),
            false => format!("`{path}: {text}`"),
        };
        self.row(setting, was, ours, remark);
        self.set(path, value);
    }

    /// A setting's value as the connector has it.
    fn shown(&self, setting: &str) -> String {
        let Some((section, key)) = setting.split_once('.') else {
            return String::new();
        };
        let all = [&self.from.directory, &self.from.sync, &self.from.urls];
        let mut all = all.into_iter();
        let of = all.find(|settings| settings.section == section);
        of.map_or_else(String::new, |settings| settings.shown(key))
    }

    /// A setting that can't be translated: an error, unless it is left out by name.
    fn refuse(&mut self, setting: String, value: &str, why: &str) {
        match self.choices.ignored.contains(&setting) {
            true => self.row(setting, value, "left out (`--ignore`)", why),
            false => self.refused.push(format!(
                "{setting}: {why}; to leave it out, add --ignore {setting}"
            )),
        }
    }

    /// A Secret with these values: the key, the value, whose it is (`organization` or `directory`), and
    /// what is missing where it is.
    fn secret(&mut self, name: &str, values: Vec<(&'static str, Kept<String>, &str, &str)>) {
        let name = format!("{}-{name}", self.choices.name);
        let mut entries = vec![];
        for (key, kept, of, what) in values {
            let given = || self.choices.secrets.get(of).cloned();
            let (value, why) = match kept {
                Kept::Here(value) => (Some(value), ""),
                Kept::Keychain => (given(), "the connector keeps it in the system's keychain"),
                Kept::Nowhere => (given(), "it isn't in the file"),
            };
            if value.is_none() {
                self.out
                    .gaps
                    .push(format!("Secret {name}, key {key}: {what}; {why}"));
            }
            entries.push((key, value));
        }
        self.out.secrets.push(Data {
            name,
            kind: None,
            entries,
        });
    }

    /// The name of one of the Secrets.
    fn secret_name(&self, name: &str) -> String {
        format!("{}-{name}", self.choices.name)
    }

    fn finish(mut self) -> Result<Translation, Vec<String>> {
        for settings in [&self.from.directory, &self.from.sync, &self.from.urls] {
            self.refused.extend(settings.take_wrong());
            for setting in settings.unknown() {
                self.refuse(
                    setting,
                    "",
                    "this version doesn't know the setting; look up what it does in the connector's \
                     documentation",
                );
            }
        }
        match self.refused.is_empty() {
            true => Ok(self.out),
            false => Err(self.refused),
        }
    }
}
