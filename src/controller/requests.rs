//! What people ask for by annotation.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use sha2::{Digest as _, Sha256};

use crate::api::annotations::{APPROVE_REMOVALS, EXPLAIN, FLUX_REQUESTED_AT, SYNC_REQUESTED_AT};
use crate::sync::explain::Question;

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

/// The program that set the annotation with the approval, as the API server recorded it: `kubectl-directorysync`.
/// The API server doesn't record who used it; its audit log does.
pub fn approved_by(metadata: &ObjectMeta) -> Option<&str> {
    owner_of_approval(metadata)?.manager.as_deref()
}

/// Of what the API server recorded about who set which field only what [`approved_by`] needs.
pub fn managed_fields_of_approval(metadata: &ObjectMeta) -> Option<Vec<ManagedFieldsEntry>> {
    let entry = owner_of_approval(metadata)?;
    let fields = serde_json::json!({"f:metadata": {"f:annotations": {
        format!("f:{APPROVE_REMOVALS}"): {},
    }}});
    Some(vec![ManagedFieldsEntry {
        manager: entry.manager.clone(),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }])
}

fn owner_of_approval(metadata: &ObjectMeta) -> Option<&ManagedFieldsEntry> {
    let path = format!("f:{APPROVE_REMOVALS}");
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
    let (id, text) = annotations.get(EXPLAIN)?.trim().split_once(' ')?;
    let is_id = (1..=TOKEN_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let question = Question::new(text)?;
    is_id.then_some(Asked { id, question })
}

/// Whether an annotation is one of these: another's change is nothing to wake up for.
pub fn counts(annotation: &str) -> bool {
    [
        SYNC_REQUESTED_AT,
        FLUX_REQUESTED_AT,
        APPROVE_REMOVALS,
        EXPLAIN,
    ]
    .contains(&annotation)
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
        assert_eq!(approved_by(&metadata), Some("kubectl-directorysync"));
        let stripped = ObjectMeta {
            managed_fields: managed_fields_of_approval(&metadata),
            ..ObjectMeta::default()
        };
        assert_eq!(approved_by(&stripped), Some("kubectl-directorysync"));
        assert_eq!(stripped.managed_fields.unwrap().len(), 1);
        assert_eq!(approved_by(&ObjectMeta::default()), None);
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
