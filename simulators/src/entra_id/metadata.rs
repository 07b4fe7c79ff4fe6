//! Graph's types, as far as they are used: which properties they have, which are returned by default,
//! and which operators of `$filter` each supports.
//!
//! `metadata.json` was written from Graph's reference of each resource ("Properties"). A test compares
//! it with the types that Microsoft publishes. Requests that name what isn't there are refused as by
//! Graph; answers of the simulator's own that don't fit become a 500 that says `VIOLATION`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answers::Reply;
use super::filter::Filter;

static TYPES: LazyLock<BTreeMap<String, Type>> = LazyLock::new(|| {
    let text = include_str!("metadata.json");
    serde_json::from_str(text).expect("the file is part of the program")
});

/// A type of Graph's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Type {
    /// The type that it derives from.
    base: Option<String>,
    properties: BTreeMap<String, Property>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Property {
    r#type: PropertyType,
    #[serde(default)]
    nullable: bool,
    #[serde(default, rename = "default")]
    by_default: bool,
    /// The operators that `$filter` supports.
    #[serde(default)]
    filter: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PropertyType {
    Boolean,
    Guid,
    Licenses,
    Object,
    Objects,
    String,
    Strings,
}

impl PropertyType {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.is_boolean(),
            Self::Guid => value.as_str().is_some_and(|text| text.len() == 36),
            Self::String => value.is_string(),
            Self::Object => value.is_object(),
            Self::Objects => value
                .as_array()
                .is_some_and(|values| values.iter().all(Value::is_object)),
            Self::Strings => value
                .as_array()
                .is_some_and(|values| values.iter().all(Value::is_string)),
            Self::Licenses => value.as_array().is_some_and(|values| {
                let is_license = |value: &Value| Self::Guid.fits(&value["skuId"]);
                values.iter().all(is_license)
            }),
        }
    }
}

/// What a request or an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeName(pub &'static str);

impl TypeName {
    pub const MEMBER: Self = Self("directoryObject");
    pub const USER: Self = Self("user");
    pub const AGENT: Self = Self("agentUser");
    pub const GROUP: Self = Self("group");
    pub const UNIT: Self = Self("administrativeUnit");
    pub const APPLICATION: Self = Self("servicePrincipal");
    pub const REGISTRATION: Self = Self("application");
    pub const ASSIGNMENT: Self = Self("appRoleAssignment");

    fn derives_from(self, base: &str) -> bool {
        let mut name = Some(self.0);
        while let Some(this) = name {
            if this == base {
                return true;
            }
            name = TYPES[this].base.as_deref();
        }
        false
    }

    /// A property of the type or of those that it derives from.
    fn property(self, name: &str) -> Option<&'static Property> {
        let mut of = TYPES.get(self.0);
        while let Some(this) = of {
            if let Some(found) = this.properties.get(name) {
                return Some(found);
            }
            of = TYPES.get(this.base.as_ref()?);
        }
        None
    }

    /// Where objects of several types are listed, those of each may be asked for.
    fn property_of_any(self, name: &str) -> Option<&'static Property> {
        const LISTED: [TypeName; 4] = [
            TypeName::USER,
            TypeName::GROUP,
            TypeName::UNIT,
            TypeName::APPLICATION,
        ];
        let derived = LISTED.into_iter().filter(|kind| kind.derives_from(self.0));
        let mut kinds = [self].into_iter().chain(derived);
        kinds.find_map(|kind| kind.property(name))
    }

    /// Refuses names of properties that the type doesn't have. `members` of a delta is a relation.
    pub fn check_select(self, names: &[String], in_delta: bool) -> Result<(), Reply> {
        for name in names {
            let is_relation = in_delta && self == Self::GROUP && name == "members";
            if !is_relation && self.property_of_any(name).is_none() {
                let message = format!(
                    "Parsing OData Select and Expand failed: Could not find a property named \
                     '{name}' on type 'microsoft.graph.{}'.",
                    self.0
                );
                return Err(Reply::bad("BadRequest", &message));
            }
        }
        Ok(())
    }

    /// Refuses a filter by properties that the type doesn't have, or with operators that they don't
    /// support.
    pub fn check_filter(self, filter: &Filter) -> Result<(), Reply> {
        for (name, operator) in filter.uses() {
            // `onPremisesExtensionAttributes/extensionAttribute1`
            let first = name.split('/').next().unwrap_or_default();
            let Some(property) = self.property(first) else {
                let message = format!(
                    "Invalid filter clause: Could not find a property named '{first}' on type \
                     'microsoft.graph.{}'.",
                    self.0
                );
                return Err(Reply::bad("BadRequest", &message));
            };
            if !property.filter.iter().any(|known| known == operator) {
                let message = format!(
                    "Unsupported or invalid query filter clause specified for property '{first}' \
                     of resource '{}'.",
                    self.0
                );
                return Err(Reply::bad("Request_UnsupportedQuery", &message));
            }
        }
        Ok(())
    }

    /// What is wrong with an object of an answer.
    fn violation(self, object: &Map<String, Value>, selected: Option<&[String]>) -> Option<String> {
        object.iter().find_map(|(name, value)| {
            // Annotations: `@odata.type`, `members@delta`.
            if name.contains('@') {
                return None;
            }
            let Some(property) = self.property(name) else {
                return Some(format!("{} has no property {name}", self.0));
            };
            if !(property.r#type.fits(value) || property.nullable && value.is_null()) {
                return Some(format!("{name} of {} can't be {value}", self.0));
            }
            let asked = match selected {
                // Every answer has the id.
                Some(names) => name == "id" || names.contains(name),
                // Of users and groups alone it is written what comes unasked.
                None => {
                    property.by_default
                        || !(self.derives_from("user") || self.derives_from("group"))
                }
            };
            (!asked).then(|| format!("{name} of {} wasn't asked for", self.0))
        })
    }

    /// Refuses an answer of the simulator's own that isn't one of Graph's.
    pub fn check_answer(self, reply: Reply, selected: Option<&[String]>) -> Reply {
        if !reply.status.is_success() {
            return reply;
        }
        let objects = match &reply.body["value"] {
            Value::Array(values) => values.as_slice(),
            _ => std::slice::from_ref(&reply.body),
        };
        let wrong = objects.iter().find_map(|object| {
            let Some(fields) = object.as_object() else {
                return Some("an entry isn't an object".to_owned());
            };
            let derived = fields.get("@odata.type").and_then(Value::as_str);
            let derived = derived.and_then(|name| name.strip_prefix("#microsoft.graph."));
            let kind = match derived.and_then(|name| TYPES.get_key_value(name)) {
                Some((name, _)) => Self(name),
                None => self,
            };
            if !kind.derives_from(self.0) {
                return Some(format!("{} is no {}", kind.0, self.0));
            }
            kind.violation(fields, selected)
        });
        match wrong {
            Some(why) => Reply::violation(&why),
            None => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(kind: TypeName, object: Value, selected: &[&str]) -> Reply {
        let names: Vec<String> = selected.iter().map(|&name| name.to_owned()).collect();
        kind.check_answer(Reply::ok(json!({"value": [object]})), Some(&names))
    }

    #[test]
    fn an_answer_with_what_graph_would_not_send_is_noticed() {
        let id = "00000000-0000-4000-8000-000000000001";
        let fits = json!({"id": id, "mail": null, "accountEnabled": true});
        let selected = ["mail", "accountEnabled"];
        assert!(answer(TypeName::USER, fits, &selected).status.is_success());
        for (kind, wrong) in [
            (TypeName::USER, json!({"id": id, "email": "a"})),
            (TypeName::USER, json!({"id": id, "accountEnabled": "true"})),
            (TypeName::USER, json!({"id": id, "userType": "Member"})),
            (TypeName::USER, json!({"id": 7})),
            (
                TypeName::GROUP,
                json!({"@odata.type": "#microsoft.graph.user", "id": id}),
            ),
        ] {
            let shown = wrong.to_string();
            let reply = answer(kind, wrong, &selected);
            assert!(reply.body.to_string().contains("VIOLATION"), "{shown}");
        }
    }

    #[test]
    fn a_filter_is_refused_by_what_it_names() {
        for (kind, text, code) in [
            (TypeName::USER, "department eq 'a'", ""),
            (
                TypeName::USER,
                "not(mail eq 'a') and endsWith(mail,'b')",
                "",
            ),
            (
                TypeName::USER,
                "assignedLicenses/any(l:l/skuId eq 6fd2c87f-b296-42f0-b197-1e91e994b900)",
                "",
            ),
            (TypeName::USER, "departement eq 'a'", "BadRequest"),
            (
                TypeName::USER,
                "startsWith(department,'a')",
                "Request_UnsupportedQuery",
            ),
            (
                TypeName::GROUP,
                "visibility eq 'Private'",
                "Request_UnsupportedQuery",
            ),
        ] {
            let filter = Filter::parse(text).unwrap();
            let refused = kind.check_filter(&filter).err();
            let seen = refused.map(|reply| reply.body["error"]["code"].clone());
            assert_eq!(seen.unwrap_or_else(|| "".into()), code, "{text}");
        }
    }

    #[test]
    fn what_is_selected_from_a_mixed_list_may_be_of_any_type_in_it() {
        let names = ["id".to_owned(), "userPrincipalName".to_owned()];
        assert!(TypeName::MEMBER.check_select(&names, false).is_ok());
        assert!(TypeName::GROUP.check_select(&names, false).is_err());
    }
}
