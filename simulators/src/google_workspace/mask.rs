//! `fields`: which parts of an answer are wanted. The rest is dropped.

use serde_json::{Map, Value};

use super::answers::Refusal;

/// What a mask may name, as the API's description has it: of the page, then of its entries.
pub(super) struct MaskFields {
    pub items: &'static str,
    pub of_item: &'static [&'static str],
}

pub(super) static USERS: MaskFields = MaskFields {
    items: "users",
    of_item: &[
        "kind",
        "id",
        "etag",
        "primaryEmail",
        "name",
        "emails",
        "isAdmin",
        "isDelegatedAdmin",
        "isGuestUser",
        "creationTime",
        "deletionTime",
        "lastLoginTime",
        "agreedToTerms",
        "suspended",
        "suspensionReason",
        "archived",
        "changePasswordAtNextLogin",
        "ipWhitelisted",
        "isMailboxSetup",
        "isEnrolledIn2Sv",
        "isEnforcedIn2Sv",
        "includeInGlobalAddressList",
        "customerId",
        "orgUnitPath",
        "organizations",
        "aliases",
        "nonEditableAliases",
    ],
};
pub(super) static GROUPS: MaskFields = MaskFields {
    items: "groups",
    of_item: &[
        "kind",
        "id",
        "etag",
        "email",
        "name",
        "directMembersCount",
        "description",
        "adminCreated",
        "aliases",
        "nonEditableAliases",
        "externalIds",
    ],
};
pub(super) static MEMBERS: MaskFields = MaskFields {
    items: "members",
    of_item: &[
        "kind",
        "id",
        "etag",
        "email",
        "role",
        "type",
        "status",
        "delivery_settings",
    ],
};

/// A parsed mask: names, each with what of it is wanted; an empty one wants all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mask(Vec<(String, Mask)>);

impl Mask {
    pub fn parse(text: &str, known: &MaskFields) -> Result<Self, Refusal> {
        let mut rest = text;
        let mask = Self::list(&mut rest, 0).filter(|_| rest.is_empty());
        let invalid = || Refusal::Invalid(format!("Invalid field selection {text}"));
        let mask = mask.ok_or_else(invalid)?;
        let of_page = |name: &str| ["kind", "etag", "nextPageToken", known.items].contains(&name);
        let good = mask.0.iter().all(|(name, inner)| {
            let mut inner = inner.0.iter();
            of_page(name) && inner.all(|(name, _)| known.of_item.contains(&name.as_str()))
        });
        good.then_some(mask).ok_or_else(invalid)
    }

    fn list(rest: &mut &str, depth: usize) -> Option<Self> {
        let mut fields = vec![];
        loop {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            *rest = after;
            if name.is_empty() || depth > 8 {
                return None;
            }
            let inner = if let Some(after) = rest.strip_prefix('(') {
                *rest = after;
                let inner = Self::list(rest, depth + 1)?;
                *rest = rest.strip_prefix(')')?;
                inner
            } else if let Some(after) = rest.strip_prefix('/') {
                *rest = after;
                Self::list(rest, depth + 1)?
            } else {
                Self::default()
            };
            fields.push((name.to_owned(), inner));
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Some(Self(fields)),
            }
        }
    }

    /// What is wanted of `value`.
    pub fn apply(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::Object(mut object) => {
                let wanted = self.0.iter().filter_map(|(name, inner)| {
                    let value = object.remove(name)?;
                    Some((name.clone(), inner.apply(value)))
                });
                Value::Object(wanted.collect::<Map<_, _>>())
            }
            Value::Array(all) => all.into_iter().map(|value| self.apply(value)).collect(),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mask_drops_what_it_does_not_name_and_refuses_what_it_does_not_know() {
        let page = json!({"kind": "k", "etag": "e", "users": [{"id": "1", "etag": "x"}]});
        let masked = |text: &str| Mask::parse(text, &USERS).map(|mask| mask.apply(page.clone()));
        let ids = json!({"kind": "k", "users": [{"id": "1"}]});
        assert_eq!(masked("kind,users(id)").unwrap(), ids);
        assert_eq!(masked("kind,users/id").unwrap(), ids);
        assert_eq!(masked("etag").unwrap(), json!({"etag": "e"}));
        let users = json!({"users": [{"id": "1", "etag": "x"}]});
        assert_eq!(masked("users").unwrap(), users);
        for wrong in [
            "",
            "users(",
            "users(id",
            "users(id))",
            "user(id)",
            "users(mail)",
            "kind,,etag",
        ] {
            assert!(masked(wrong).is_err(), "{wrong}");
        }
    }
}
