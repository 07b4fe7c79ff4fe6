//! What people ask for by annotation.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::api::annotations::{
    APPROVE_REMOVALS, APPROVED_BY, EXPLAIN, FLUX_REQUESTED_AT, SYNC_REQUESTED_AT, UNDO,
};
use crate::sync::explain::Question;
use crate::sync::undo::{RunChoice, Scope};
use crate::text::sanitize;

/// Longest token that is kept as it is.
const TOKEN_MAX: usize = 128;

/// The token of the last request to sync now; with both annotations, one made of both, so that a
/// change of either counts. A long one is replaced by its digest, for it goes into status.
pub fn sync_request(annotations: &BTreeMap<String, String>) -> Option<String> {
    let given: Vec<&str> = [SYNC_REQUESTED_AT, FLUX_REQUESTED_AT]
        .into_iter()
        .filter_map(|name| annotations.get(name).map(String::as_str))
        .filter(|token| !token.is_empty())
        .collect();
    if given.is_empty() {
        return None;
    }
    let token = given.join(" ");
    if token.chars().count() <= TOKEN_MAX {
        return Some(token);
    }
    let digest = Sha256::digest(token.as_bytes());
    Some(format!("sha256:{}", HEXLOWER.encode(&digest)))
}

/// The digest of the removals that may go ahead.
pub fn approval(annotations: &BTreeMap<String, String>) -> Option<&str> {
    annotations
        .get(APPROVE_REMOVALS)
        .map(|digest| digest.trim())
        .filter(|digest| !digest.is_empty())
}

/// Who approved: the name that they gave, and the program that set the annotation, as the API server recorded
/// it: `kubectl-directorysync`. The API server doesn't record who used it; its audit log does.
pub fn approved_by(metadata: &ObjectMeta) -> Option<String> {
    let manager = owner_of(metadata, APPROVE_REMOVALS)?.manager.as_deref();
    let annotations = metadata.annotations.as_ref();
    let name = annotations.and_then(|annotations| {
        let (digest, name) = annotations.get(APPROVED_BY)?.split_once(' ')?;
        (Some(digest) == approval(annotations)).then_some(name)
    });
    attributed(name, manager)
}

/// The same of the annotation that asks for an undo.
pub fn asked_by(metadata: &ObjectMeta, question: &UndoQuestion) -> Option<String> {
    let manager = owner_of(metadata, UNDO)?.manager.as_deref();
    attributed(question.by.as_deref(), manager)
}

/// Somebody by their own word, and by what the API server recorded.
fn attributed(name: Option<&str>, manager: Option<&str>) -> Option<String> {
    let name = name.map(sanitize).filter(|name| !name.trim().is_empty());
    let manager = manager.map(sanitize);
    match (name, manager) {
        (Some(name), Some(manager)) => Some(format!("{name} (their own word), with {manager}")),
        (Some(name), None) => Some(format!("{name} (their own word)")),
        (None, manager) => manager,
    }
}

/// Of what the API server recorded about who set which field only what [`approved_by`] and
/// [`asked_by`] need.
pub fn managed_fields_of_requests(metadata: &ObjectMeta) -> Option<Vec<ManagedFieldsEntry>> {
    let of = |annotation| {
        let entry = owner_of(metadata, annotation)?;
        let fields = serde_json::json!({"f:metadata": {"f:annotations": {
            format!("f:{annotation}"): {},
        }}});
        Some(ManagedFieldsEntry {
            manager: entry.manager.clone(),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        })
    };
    let entries: Vec<ManagedFieldsEntry> = [APPROVE_REMOVALS, UNDO]
        .into_iter()
        .filter_map(of)
        .collect();
    (!entries.is_empty()).then_some(entries)
}

fn owner_of<'a>(metadata: &'a ObjectMeta, annotation: &str) -> Option<&'a ManagedFieldsEntry> {
    let path = format!("f:{annotation}");
    let owns = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        let annotations = fields.map(|fields| &fields.0["f:metadata"]["f:annotations"]);
        annotations.is_some_and(|annotations| annotations.get(&path).is_some())
    };
    metadata.managed_fields.iter().flatten().find(owns)
}

/// A question about one person or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What whoever asks knows the answer by.
    pub id: &'a str,
    /// What is asked.
    pub question: Question,
}

/// The question that is asked, if it is one: an ID of letters, digits and hyphens, a space, and the text.
pub fn question(annotations: &BTreeMap<String, String>) -> Option<Asked<'_>> {
    let (id, text) = with_id(annotations, EXPLAIN)?;
    let question = Question::new(text)?;
    Some(Asked { id, question })
}

/// The ID and the rest of what an annotation asks.
fn with_id<'a>(
    annotations: &'a BTreeMap<String, String>,
    annotation: &str,
) -> Option<(&'a str, &'a str)> {
    let (id, text) = annotations.get(annotation)?.trim().split_once(' ')?;
    let is_id = (1..=TOKEN_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id.then_some((id, text))
}

/// Longest text that asks for an undo, in bytes.
const UNDO_MAX: usize = 4096;

/// What is to be taken back, and what of it was confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UndoQuestion {
    /// The run, by the first digits of its ID; `None`: the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Only what it did to this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only what it did to this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Former external ids are given back, of all runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adoption: bool,
    /// The [confirmation](crate::sync::undo::UndoDocument::confirmation) of the undo that was shown and is to
    /// be done; `None`: it is only to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Identifies what limits hold back of it and is to go ahead, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<String>,
    /// Who asks, as they say themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl UndoQuestion {
    /// Which run.
    pub fn choice(&self) -> RunChoice {
        match &self.run {
            _ if self.adoption => RunChoice::Adoption,
            Some(run) => RunChoice::Id(run.clone()),
            None => RunChoice::Last,
        }
    }

    /// Which part of it.
    pub fn scope(&self) -> Scope {
        Scope {
            person: self.person.clone(),
            group: self.group.clone(),
        }
    }
}

/// What somebody asks to be taken back, with the ID of the question; or why it can't be read.
pub fn undo(
    annotations: &BTreeMap<String, String>,
) -> Option<(&str, Result<UndoQuestion, String>)> {
    let (id, text) = with_id(annotations, UNDO)?;
    if text.len() > UNDO_MAX {
        let why = format!("the annotation {UNDO} has more than {UNDO_MAX} bytes");
        return Some((id, Err(why)));
    }
    let question = serde_json::from_str(text);
    let question = question.map_err(|error| {
        format!("the annotation {UNDO} isn't an ID, a space and {{\"run\": …}} ({error}): use kubectl directorysync undo")
    });
    Some((id, question))
}

/// Whether an annotation is one of these: another's change is nothing to wake up for.
pub fn counts(annotation: &str) -> bool {
    [
        SYNC_REQUESTED_AT,
        FLUX_REQUESTED_AT,
        APPROVE_REMOVALS,
        EXPLAIN,
        UNDO,
    ]
    .contains(&annotation)
}

/// Whether an annotation is read at all: others aren't kept in memory.
pub fn is_read(annotation: &str) -> bool {
    counts(annotation) || annotation == APPROVED_BY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .into()
    }

    #[test]
    fn either_annotation_asks_and_a_change_of_either_asks_again() {
        let ours = sync_request(&annotated([(SYNC_REQUESTED_AT, "1")]));
        let flux = sync_request(&annotated([(FLUX_REQUESTED_AT, "1")]));
        assert_eq!((ours.as_deref(), flux.as_deref()), (Some("1"), Some("1")));
        let both = |ours, flux| {
            sync_request(&annotated([
                (SYNC_REQUESTED_AT, ours),
                (FLUX_REQUESTED_AT, flux),
            ]))
        };
        assert_ne!(both("1", "1"), both("1", "2"));
        assert_ne!(both("1", "1"), both("2", "1"));
        assert_eq!(
            sync_request(&annotated([(SYNC_REQUESTED_AT, ""), ("other", "1")])),
            None
        );
    }

    #[test]
    fn who_approved_is_the_program_that_set_the_annotation() {
        let metadata: ObjectMeta = serde_json::from_value(serde_json::json!({"managedFields": [
            {"manager": "argocd-controller", "operation": "Update",
             "fieldsV1": {"f:spec": {"f:interval": {}}}},
            {"manager": "kubectl-directorysync", "operation": "Update", "fieldsV1": {"f:metadata":
                {"f:annotations": {".": {}, "f:directorysync.dev/approve-removals": {}}}}},
        ]}))
        .unwrap();
        assert_eq!(
            approved_by(&metadata).as_deref(),
            Some("kubectl-directorysync")
        );
        let stripped = ObjectMeta {
            managed_fields: managed_fields_of_requests(&metadata),
            ..ObjectMeta::default()
        };
        assert_eq!(
            approved_by(&stripped).as_deref(),
            Some("kubectl-directorysync")
        );
        assert_eq!(stripped.managed_fields.unwrap().len(), 1);
        assert_eq!(approved_by(&ObjectMeta::default()), None);
        // The name counts for the approval that it was given with alone.
        let named = |by: &str| {
            let annotations = annotated([(APPROVE_REMOVALS, "d1"), (APPROVED_BY, by)]);
            let named = ObjectMeta {
                annotations: Some(annotations),
                ..metadata.clone()
            };
            approved_by(&named).unwrap()
        };
        assert_eq!(
            named("d1 ann@example.com"),
            "ann@example.com (their own word), with kubectl-directorysync"
        );
        for other in ["d0 ann@example.com", "d1", "d1  ", "ann@example.com"] {
            assert_eq!(named(other), "kubectl-directorysync", "{other}");
        }
        assert!(!named("d1 \u{1b}[2Jann").contains('\u{1b}'));
    }

    #[test]
    fn a_question_has_an_id_and_a_text_of_one_line() {
        let asked = |value: &str| {
            let annotations = annotated([(EXPLAIN, value)]);
            question(&annotations).map(|asked| format!("{}:{}", asked.id, asked.question.as_str()))
        };
        let dn = asked("a1-b2 cn=Ann Smith,ou=people");
        assert_eq!(dn.as_deref(), Some("a1-b2:cn=Ann Smith,ou=people"));
        for none in [
            "",
            "a1",
            "a1 ",
            "a/1 ann",
            " ann",
            "a1 a\u{1b}n",
            &format!("a1 {}", "x".repeat(1025)),
        ] {
            assert_eq!(asked(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_long_token_still_counts_and_stays_short_in_status() {
        let long = |end: &str| {
            let token = format!("{}{end}", "x".repeat(100_000));
            sync_request(&annotated([(SYNC_REQUESTED_AT, &token)])).unwrap()
        };
        assert_ne!(long("1"), long("2"));
        assert!(long("1").len() <= TOKEN_MAX);
    }
}
