//! Settings of the connector, by name. Each that is used is noted, so that none is passed over silently.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// What stands in the file for a value that is kept in the system's keychain.
const STORED_SECURELY: &str = "[STORED SECURELY]";

/// One group of settings, such as those of the LDAP directory.
#[derive(Default)]
pub struct Settings {
    /// How the group is called in messages: `ldap`, `sync`.
    pub section: &'static str,
    values: Map<String, Value>,
    used: RefCell<BTreeSet<String>>,
    /// Settings whose value has another type than the connector writes.
    wrong: RefCell<Vec<String>>,
}

// Passwords are among the values.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.values.keys();
        f.debug_tuple(self.section).field(&names).finish()
    }
}

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Kept<T> {
    /// It is in the file.
    Here(T),
    /// The connector keeps it in the system's keychain.
    Keychain,
    /// There is none.
    Nowhere,
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here(_) => "in the file",
            Self::Keychain => "in the keychain",
            Self::Nowhere => "nowhere",
        })
    }
}

impl Settings {
    pub fn new(section: &'static str, value: Option<&Value>) -> Self {
        Self {
            section,
            values: value
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.values().all(is_unset)
    }

    /// The name of a setting with its group.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.section)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.used.borrow_mut().insert(key.to_owned());
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str) {
        let message = format!(
            "{} isn't {expected}: correct it in the connector",
            self.name(key)
        );
        self.wrong.borrow_mut().push(message);
    }

    /// The value as the connector has it, for people. Not to be asked of a secret.
    pub fn shown(&self, key: &str) -> String {
        match self.values.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A text without outer spaces; `None` where it is blank.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = match self.get(key)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => {
                self.wrong(key, "a text");
                return None;
            }
        };
        (!text.is_empty()).then_some(text)
    }

    /// A switch; `default` where the connector never wrote it.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) if text == "true" => true,
            Some(Value::String(text)) if text == "false" || text.is_empty() => false,
            Some(_) => {
                self.wrong(key, "true or false");
                default
            }
        }
    }

    /// A number, which older versions wrote as text.
    pub fn number(&self, key: &str) -> Option<u64> {
        let number = match self.get(key)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong(key, "a whole number");
        }
        number
    }

    /// A value that must not be shown.
    pub fn secret(&self, key: &str) -> Kept<String> {
        match self.get(key) {
            None => Kept::Nowhere,
            Some(value) => kept(value),
        }
    }

    /// Notes settings that are known and need no translation.
    pub fn pass_over(&self, keys: &[&str]) {
        self.used
            .borrow_mut()
            .extend(keys.iter().map(|&key| key.to_owned()));
    }

    /// Settings that are set and that nobody asked for: this version doesn't know what they do.
    pub fn unknown(&self) -> Vec<String> {
        let used = self.used.borrow();
        let unknown = self
            .values
            .iter()
            .filter(|(key, value)| !is_unset(value) && !used.contains(*key));
        unknown.map(|(key, _)| self.name(key)).collect()
    }

    /// What is wrong with the values that were asked for.
    pub fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut *self.wrong.borrow_mut())
    }
}

/// What a value of the file says of a secret.
pub fn kept(value: &Value) -> Kept<String> {
    match value.as_str() {
        Some(STORED_SECURELY) => Kept::Keychain,
        Some(text) if !text.trim().is_empty() => Kept::Here(text.to_owned()),
        _ => Kept::Nowhere,
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}
