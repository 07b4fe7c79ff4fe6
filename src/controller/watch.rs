//! One stream of what happens to the objects of all watched namespaces.
//!
//! A watch that starts anew lists its namespace again; merged as they are, several watches would
//! each replace the others' objects. So only the first lists of all are passed on as one list, and
//! later ones as the changes they amount to, deletions included.

use std::collections::{HashMap, HashSet};

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, stream};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};

use crate::api::DirectorySync;

/// A `DirectorySync`, or what could be understood of one.
///
/// An object written for another version than this one's must not stop the watch of all others.
pub type WatchedObject = DeserializeGuard<DirectorySync>;

/// What a watch gives.
pub type WatchResult = Result<Event<WatchedObject>, watcher::Error>;

/// Everything that happens to the objects in `namespaces` (none: in all) that `selector` fits.
pub fn watch(
    client: &Client,
    namespaces: &[String],
    selector: Option<&str>,
) -> BoxStream<'static, WatchResult> {
    let config = watcher::Config {
        label_selector: selector.map(str::to_owned),
        // An object has up to 1.5 MB, and a page is kept whole while it is parsed.
        page_size: Some(20),
        ..watcher::Config::default()
    };
    let apis = apis(client, namespaces);
    let mut merge = Merge::of(apis.len());
    let streams: SelectAll<_> = apis
        .into_iter()
        .enumerate()
        .map(|(number, api)| {
            watcher(api, config.clone())
                .default_backoff()
                .map(move |event| (number, event))
                .boxed()
        })
        .collect();
    streams
        .flat_map(move |(number, event)| {
            stream::iter(match event {
                Ok(event) => merge.absorb(number, event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        })
        .boxed()
}

/// The ways to the objects of each namespace.
pub fn apis(client: &Client, namespaces: &[String]) -> Vec<Api<WatchedObject>> {
    if namespaces.is_empty() {
        return vec![Api::all(client.clone())];
    }
    namespaces
        .iter()
        .map(|namespace| Api::namespaced(client.clone(), namespace))
        .collect()
}

/// The namespace and name of a watched object.
type Key = (String, String);

struct Merge {
    watches: Vec<Watch>,
    started: bool,
    ready: bool,
    /// Deletions that the store can't take while the first list is coming in.
    deferred: Vec<Event<WatchedObject>>,
}

#[derive(Default)]
struct Watch {
    listed: bool,
    /// The uids of all objects passed on and not gone since.
    known: HashMap<Key, String>,
    /// The objects of the list that is coming in.
    listing: HashSet<Key>,
}

impl Merge {
    fn of(watches: usize) -> Self {
        Self {
            watches: std::iter::repeat_with(Watch::default)
                .take(watches)
                .collect(),
            started: false,
            ready: false,
            deferred: Vec::new(),
        }
    }

    fn absorb(&mut self, number: usize, event: Event<WatchedObject>) -> Vec<Event<WatchedObject>> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Init);
        }
        let watch = &mut self.watches[number];
        match event {
            Event::Init => watch.listing.clear(),
            Event::InitApply(object) => {
                watch.listing.insert(key(&object));
                watch.known.insert(key(&object), uid(&object));
                out.push(self.applied(object));
            }
            Event::Apply(object) => {
                watch.known.insert(key(&object), uid(&object));
                out.push(self.applied(object));
            }
            Event::Delete(object) => {
                watch.known.remove(&key(&object));
                out.extend(self.deleted(object));
            }
            Event::InitDone => {
                watch.listed = true;
                let listing = std::mem::take(&mut watch.listing);
                let gone: Vec<_> = watch
                    .known
                    .extract_if(|key, _| !listing.contains(key))
                    .collect();
                for (key, uid) in gone {
                    out.extend(self.deleted(remains(key, uid)));
                }
                if !self.ready && self.watches.iter().all(|watch| watch.listed) {
                    self.ready = true;
                    out.push(Event::InitDone);
                    out.append(&mut self.deferred);
                }
            }
        }
        out
    }

    fn applied(&self, object: WatchedObject) -> Event<WatchedObject> {
        if self.ready {
            Event::Apply(object)
        } else {
            Event::InitApply(object)
        }
    }

    fn deleted(&mut self, object: WatchedObject) -> Option<Event<WatchedObject>> {
        if self.ready {
            return Some(Event::Delete(object));
        }
        self.deferred.push(Event::Delete(object));
        None
    }
}

/// What is left to tell of an object that is gone without a word.
fn remains((namespace, name): Key, uid: String) -> WatchedObject {
    let mut object = DeserializeGuard(Err(InvalidObject {
        error: "deleted".into(),
        metadata: Default::default(),
    }));
    let metadata = Resource::meta_mut(&mut object);
    metadata.namespace = Some(namespace);
    metadata.name = Some(name);
    metadata.uid = Some(uid);
    object
}

fn key(object: &WatchedObject) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn uid(object: &WatchedObject) -> String {
    object.uid().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str, name: &str) -> WatchedObject {
        remains(
            (namespace.into(), name.into()),
            format!("uid-{namespace}-{name}"),
        )
    }

    fn lines(events: Vec<Event<WatchedObject>>) -> Vec<String> {
        let name = |object: WatchedObject| format!("{}/{}", key(&object).0, key(&object).1);
        events
            .into_iter()
            .map(|event| match event {
                Event::Init => "init".to_owned(),
                Event::InitApply(object) => format!("list {}", name(object)),
                Event::InitDone => "done".to_owned(),
                Event::Apply(object) => format!("apply {}", name(object)),
                Event::Delete(object) => format!("delete {}", name(object)),
            })
            .collect()
    }

    fn both_listed() -> Merge {
        let mut merge = Merge::of(2);
        for (number, namespace) in ["a", "b"].into_iter().enumerate() {
            merge.absorb(number, Event::Init);
            merge.absorb(number, Event::InitApply(object(namespace, "staff")));
            merge.absorb(number, Event::InitDone);
        }
        merge
    }

    #[test]
    fn the_list_is_done_when_every_namespace_was_listed() {
        let mut merge = Merge::of(2);
        let events = [
            (0, Event::Init),
            (0, Event::InitApply(object("a", "staff"))),
            (1, Event::Init),
            (0, Event::InitDone),
            (0, Event::Apply(object("a", "new"))),
            (1, Event::InitApply(object("b", "staff"))),
            (1, Event::InitDone),
            (1, Event::Apply(object("b", "new"))),
        ];
        let lines = events.map(|(number, event)| lines(merge.absorb(number, event)));
        assert_eq!(
            lines.concat(),
            [
                "init",
                "list a/staff",
                "list a/new",
                "list b/staff",
                "done",
                "apply b/new"
            ]
        );
    }

    #[test]
    fn a_watch_that_starts_anew_takes_nothing_from_the_other_namespaces() {
        let mut merge = both_listed();
        let events = [
            Event::Init,
            Event::InitApply(object("a", "other")),
            Event::InitDone,
        ];
        let lines = events.map(|event| lines(merge.absorb(0, event)));
        assert_eq!(lines.concat(), ["apply a/other", "delete a/staff"]);
    }

    #[test]
    fn what_is_deleted_while_others_are_still_listed_is_deleted_in_the_end() {
        let mut merge = Merge::of(2);
        merge.absorb(0, Event::Init);
        merge.absorb(0, Event::InitApply(object("a", "staff")));
        merge.absorb(0, Event::InitDone);
        assert_eq!(
            lines(merge.absorb(0, Event::Delete(object("a", "staff")))),
            [""; 0]
        );
        merge.absorb(1, Event::Init);
        assert_eq!(
            lines(merge.absorb(1, Event::InitDone)),
            ["done", "delete a/staff"]
        );
    }

    #[test]
    fn one_made_anew_under_its_old_name_while_the_watch_was_down_is_not_deleted() {
        let mut merge = both_listed();
        merge.absorb(0, Event::Init);
        let again = remains(("a".into(), "staff".into()), "another uid".into());
        assert_eq!(
            lines(merge.absorb(0, Event::InitApply(again))),
            ["apply a/staff"]
        );
        assert_eq!(lines(merge.absorb(0, Event::InitDone)), [""; 0]);
    }
}
