//! What people ask for by annotation.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::api::annotations::{APPROVE_REMOVALS, FLUX_REQUESTED_AT, SYNC_REQUESTED_AT};

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

/// Whether an annotation is one of these: another's change is nothing to wake up for.
pub fn counts(annotation: &str) -> bool {
    [SYNC_REQUESTED_AT, FLUX_REQUESTED_AT, APPROVE_REMOVALS].contains(&annotation)
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
    fn a_long_token_still_counts_and_stays_short_in_status() {
        let long = |end: &str| {
            let token = format!("{}{end}", "x".repeat(100_000));
            sync_request(&annotated([(SYNC_REQUESTED_AT, &token)])).unwrap()
        };
        assert_ne!(long("1"), long("2"));
        assert!(long("1").len() <= TOKEN_MAX);
    }
}
