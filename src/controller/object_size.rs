//! What the operator keeps of watched objects, and how much one namespace may fill with them.
//!
//! Whoever may write objects in one namespace must not be able to fill the memory that all share.

use std::collections::HashMap;

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;

use super::requests;
use super::watch::WatchedObject;

/// Most that the spec of one object may have as JSON, in bytes, its requests by annotation included.
const OBJECT_MAX: usize = 128 * 1024;
/// Most that the objects of one namespace may have together, in bytes.
const NAMESPACE_MAX: usize = 4 * 1024 * 1024;

const OBJECT_TOO_LARGE: &str = "the spec is larger than 128 KiB, and nothing is done for it: use patterns or a filter instead of long \
     lists";
const NAMESPACE_FULL: &str = "the DirectorySync resources of this namespace are larger than 4 MiB together, and nothing is done for \
     this one: delete others, then change this one or have the operator restarted";

/// The sizes of the objects that are kept, in bytes by namespace and name.
#[derive(Debug, Default)]
pub struct ObjectSizes(HashMap<String, HashMap<String, usize>>);

impl ObjectSizes {
    /// The event with as much of its object as may be kept: no metadata that nobody asks for, and
    /// no spec that is too large.
    pub fn bound(&mut self, event: Event<WatchedObject>) -> Event<WatchedObject> {
        match event {
            Event::Apply(object) => Event::Apply(self.kept(object)),
            Event::InitApply(object) => Event::InitApply(self.kept(object)),
            Event::Delete(object) => {
                self.forget(&object);
                Event::Delete(object)
            }
            Event::Init | Event::InitDone => event,
        }
    }

    fn kept(&mut self, mut object: WatchedObject) -> WatchedObject {
        strip(&mut object);
        self.forget(&object);
        let size = size(&object);
        let namespace = self
            .0
            .entry(object.namespace().unwrap_or_default())
            .or_default();
        let error = if size > OBJECT_MAX {
            OBJECT_TOO_LARGE
        } else if namespace.values().sum::<usize>() + size > NAMESPACE_MAX {
            NAMESPACE_FULL
        } else {
            namespace.insert(object.name_any(), size);
            return object;
        };
        let mut metadata = kube::Resource::meta(&object).clone();
        metadata.annotations = None;
        DeserializeGuard(Err(InvalidObject {
            error: error.into(),
            metadata,
        }))
    }

    fn forget(&mut self, object: &WatchedObject) {
        if let Some(namespace) = self.0.get_mut(&object.namespace().unwrap_or_default()) {
            namespace.remove(&object.name_any());
        }
    }
}

/// The sentence for status, if it is an object's size that is wrong with it.
pub fn refusal(invalid: &InvalidObject) -> Option<&'static str> {
    [OBJECT_TOO_LARGE, NAMESPACE_FULL]
        .into_iter()
        .find(|refusal| invalid.error == *refusal)
}

fn strip(object: &mut WatchedObject) {
    let metadata = kube::Resource::meta_mut(object);
    metadata.managed_fields = requests::managed_fields_of_requests(metadata);
    metadata.labels = None;
    metadata.finalizers = None;
    metadata.owner_references = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|name, _| requests::is_read(name));
    }
}

fn size(object: &WatchedObject) -> usize {
    let annotations = object
        .annotations()
        .values()
        .map(String::len)
        .sum::<usize>();
    let spec = object.0.as_ref().ok().map(|object| {
        // Whatever can't be written isn't small.
        serde_json::to_vec(&object.spec).map_or(usize::MAX / 2, |json| json.len())
    });
    annotations + spec.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::annotations::SYNC_REQUESTED_AT;

    /// An object whose list of patterns has about this many bytes.
    fn object(namespace: &str, name: &str, bytes: usize) -> WatchedObject {
        let patterns = vec!["x".repeat(98); bytes / 101];
        serde_json::from_value(json!({
            "apiVersion": "directorysync.dev/v1alpha1",
            "kind": "DirectorySync",
            "metadata": {
                "namespace": namespace,
                "name": name,
                "labels": {"team": "x".repeat(60)},
                "annotations": {SYNC_REQUESTED_AT: "1", "else": "x".repeat(1000)},
            },
            "spec": {
                "organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}},
                "source": {"okta": {"orgUrl": "https://x.okta.com", "credentials": {"apiTokenSecretRef": {"name": "okta"}}}},
                "groups": {"exclude": patterns},
            },
        }))
        .unwrap()
    }

    fn applied(sizes: &mut ObjectSizes, object: WatchedObject) -> WatchedObject {
        match sizes.bound(Event::Apply(object)) {
            Event::Apply(object) => object,
            other => panic!("{other:?}"),
        }
    }

    fn error(object: &WatchedObject) -> Option<&str> {
        object
            .0
            .as_ref()
            .err()
            .map(|invalid| invalid.error.as_str())
    }

    #[test]
    fn only_metadata_that_somebody_asks_for_is_kept() {
        let kept = applied(&mut ObjectSizes::default(), object("a", "staff", 1000));
        assert_eq!(error(&kept), None);
        assert!(kept.labels().is_empty());
        assert_eq!(kept.annotations().len(), 1);
        assert_eq!(kept.annotations()[SYNC_REQUESTED_AT], "1");
    }

    #[test]
    fn an_object_that_is_too_large_leaves_its_name_and_a_sentence() {
        let mut sizes = ObjectSizes::default();
        let kept = applied(&mut sizes, object("a", "staff", 200_000));
        assert_eq!(error(&kept), Some(OBJECT_TOO_LARGE));
        assert_eq!(kept.name_any(), "staff");
        assert!(refusal(kept.0.as_ref().unwrap_err()).is_some());
        // Once it is smaller, it is as any other.
        assert_eq!(
            error(&applied(&mut sizes, object("a", "staff", 1000))),
            None
        );
        let mut long = object("a", "long", 0);
        long.annotations_mut()
            .insert(SYNC_REQUESTED_AT.into(), "1".repeat(OBJECT_MAX));
        assert_eq!(error(&applied(&mut sizes, long)), Some(OBJECT_TOO_LARGE));
    }

    #[test]
    fn a_namespace_that_is_full_takes_nothing_from_others_and_has_room_again_after_a_deletion() {
        let mut sizes = ObjectSizes::default();
        let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
        let refused: Vec<&String> = names
            .iter()
            .filter(|name| {
                error(&applied(&mut sizes, object("a", name, 120_000))) == Some(NAMESPACE_FULL)
            })
            .collect();
        assert_eq!(refused.len(), 50 - NAMESPACE_MAX / 120_000);
        assert_eq!(
            error(&applied(&mut sizes, object("b", "n0", 120_000))),
            None
        );
        // One that is kept can be changed.
        assert_eq!(
            error(&applied(&mut sizes, object("a", "n0", 120_000))),
            None
        );
        sizes.bound(Event::Delete(object("a", "n0", 120_000)));
        assert_eq!(
            error(&applied(&mut sizes, object("a", "n49", 120_000))),
            None
        );
    }
}
