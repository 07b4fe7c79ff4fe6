//! Writes status, and only when there is something to say.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::FIELD_MANAGER;
use super::timeout::{ApiServerError, with_timeout};
use crate::api::{DirectorySync, DirectorySyncStatus};

/// Whether `after` is to be written over `before`.
///
/// A run that found and changed nothing says nothing new: its times alone are written only when
/// those that stand there are older than `heartbeat`.
pub fn is_worth_writing(
    before: &DirectorySyncStatus,
    after: &DirectorySyncStatus,
    heartbeat: Duration,
    now: Timestamp,
) -> bool {
    if without_times(before) != without_times(after) {
        return true;
    }
    let recorded = before.last_attempt_time.as_ref().map(|time| time.0);
    let attempted = before.last_attempt_time != after.last_attempt_time;
    attempted && recorded.is_none_or(|recorded| now.duration_since(recorded) >= signed(heartbeat))
}

fn without_times(status: &DirectorySyncStatus) -> DirectorySyncStatus {
    DirectorySyncStatus {
        last_attempt_time: None,
        last_sync_time: None,
        ..status.clone()
    }
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// Writes the status of this very object, not of one that was made anew under its name.
///
/// # Errors
/// When the API server doesn't take it. That the object is gone is no error.
pub async fn write(
    client: &Client,
    object: &ObjectMeta,
    status: &DirectorySyncStatus,
) -> Result<(), ApiServerError> {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    // What comes back needn't be understood: the object may be one that can't be.
    let kind = ApiResource::erase::<DirectorySync>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let patch = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": { "uid": object.uid },
        "status": status,
    });
    let name = object.name.as_deref().unwrap_or_default();
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    match with_timeout(api.patch_status(name, &parameters, &Patch::Apply(&patch))).await {
        Err(error) if !error.is_gone() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn ran(minute: i64) -> DirectorySyncStatus {
        DirectorySyncStatus {
            observed_generation: Some(1),
            last_attempt_time: Some(Time(at(minute))),
            last_sync_time: Some(Time(at(minute))),
            ..DirectorySyncStatus::default()
        }
    }

    #[test]
    fn runs_that_say_nothing_new_are_written_once_an_hour() {
        let recorded = ran(0);
        assert!(!is_worth_writing(&recorded, &ran(15), HOUR, at(15)));
        assert!(!is_worth_writing(&recorded, &ran(59), HOUR, at(59)));
        assert!(is_worth_writing(&recorded, &ran(60), HOUR, at(60)));
    }

    #[test]
    fn whatever_else_changes_is_written_at_once() {
        let other = DirectorySyncStatus {
            consecutive_failures: Some(1),
            ..ran(1)
        };
        assert!(is_worth_writing(&ran(0), &other, HOUR, at(1)));
        assert!(is_worth_writing(
            &DirectorySyncStatus::default(),
            &ran(0),
            HOUR,
            at(0)
        ));
    }

    #[test]
    fn what_is_written_already_is_not_written_again_however_old() {
        assert!(!is_worth_writing(&ran(0), &ran(0), HOUR, at(600)));
    }
}
