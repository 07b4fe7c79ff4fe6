//! RBAC rules as single permissions, so that two sets can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Atom {
    group: String,
    resource: String,
    verb: String,
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}: {}", self.resource, self.group, self.verb)
    }
}

impl Atom {
    /// The question whether a service account may do this in a namespace.
    pub fn question(&self, account: &str, namespace: &str, name: Option<&str>) -> Value {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (self.resource.as_str(), None),
        };
        json!({
            "user": format!("system:serviceaccount:{namespace}:{account}"),
            "resourceAttributes": {
                "namespace": namespace, "verb": self.verb, "group": self.group,
                "resource": resource, "subresource": subresource, "name": name,
            },
        })
    }

    /// Whether a line of the operator's log says that the API server forbids just this.
    pub fn is_forbidden_in(&self, line: &str) -> bool {
        let forbidden = format!(
            r#"cannot {} resource "{}" in API group "{}""#,
            self.verb, self.resource, self.group
        );
        // The log is JSON, and some messages are quoted in it twice.
        line.replace('\\', "").contains(&forbidden)
    }
}

/// Whether an object is a Role or ClusterRole.
pub fn is_role(object: &Value) -> bool {
    object["rules"].is_array()
}

/// All that the operator's roles allow.
pub fn atoms(objects: &[Value]) -> BTreeSet<Atom> {
    rules_of(objects).into_keys().collect()
}

/// The same, each with the rule that allows it alone.
pub fn rules_of(objects: &[Value]) -> BTreeMap<Atom, Value> {
    let roles = objects
        .iter()
        .filter(|object| super::is_right(object) && is_role(object));
    let rules = roles.flat_map(|role| role["rules"].as_array().unwrap());
    rules.flat_map(atoms_of).collect()
}

/// A rule's atoms, each with a rule of its own.
fn atoms_of(rule: &Value) -> BTreeMap<Atom, Value> {
    let list =
        |field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
    let mut all = BTreeMap::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                let mut alone = rule.clone();
                alone["apiGroups"] = json!([group]);
                alone["resources"] = json!([resource]);
                alone["verbs"] = json!([verb]);
                let atom = Atom {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb,
                };
                all.insert(atom, alone);
            }
        }
    }
    all
}

/// The role with those atoms only that may stay.
pub fn with_only(role: &Value, stays: &dyn Fn(&Atom) -> bool) -> Value {
    let rules = role["rules"].as_array().unwrap().iter().flat_map(atoms_of);
    let rules: Vec<_> = rules
        .filter(|(atom, _)| stays(atom))
        .map(|(_, rule)| rule)
        .collect();
    let mut role = role.clone();
    role["rules"] = rules.into();
    role
}
