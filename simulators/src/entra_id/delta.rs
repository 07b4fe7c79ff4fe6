//! `users/delta` and `groups/delta`.
//!
//! The first run tells everything, a group that has many members on several pages; a delta link
//! then tells what happened since the first run began, so that what changed in between comes again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::answers::Reply;
use super::config::PageSizes;
use super::model::{Id, Kind};
use super::render;
use super::store::{Change, NEW, Store};

/// How a delta link fails once Graph no longer knows where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaLoss {
    /// 410, with the address to start again at.
    Gone,
    /// 400 with the error code `syncStateNotFound`.
    SyncStateNotFound,
}

/// Where a delta stands.
#[derive(Clone, Debug)]
pub(super) struct Delta {
    pub kind: Kind,
    pub select: Option<Vec<String>>,
    pub sees_hidden: bool,
    /// Where in the log the next link begins.
    from: usize,
    phase: Phase,
    pages: usize,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Telling everything: the next object, and the next of its members.
    First {
        ids: Arc<Vec<Id>>,
        at: usize,
        member: usize,
    },
    /// Lists the changes since the last link: the items, and the next of them.
    Changes { items: Arc<Vec<Value>>, at: usize },
    /// Nothing was asked yet.
    Link,
}

/// What a page says, and where to go on.
pub(super) struct DeltaPage {
    pub value: Vec<Value>,
    pub next: Delta,
    /// The end was reached: `next` is for later.
    pub is_last: bool,
}

impl Delta {
    /// Everything, from the beginning.
    pub fn first(
        store: &Store,
        kind: Kind,
        select: Option<Vec<String>>,
        sees_hidden: bool,
    ) -> Self {
        let ids = match kind {
            Kind::User => store.users.keys().copied().collect(),
            _ => store.groups.keys().copied().collect(),
        };
        Self {
            kind,
            select,
            sees_hidden,
            from: store.log.len(),
            phase: Phase::First {
                ids: Arc::new(ids),
                at: 0,
                member: 0,
            },
            pages: 0,
        }
    }

    /// Only what happens from now on.
    pub fn latest(
        store: &Store,
        kind: Kind,
        select: Option<Vec<String>>,
        sees_hidden: bool,
    ) -> Self {
        Self {
            phase: Phase::Link,
            ..Self::first(store, kind, select, sees_hidden)
        }
    }

    fn wants(&self, property: &str) -> bool {
        let listed = |names: &Vec<String>| names.iter().any(|name| name == property);
        property == NEW || self.select.as_ref().is_none_or(listed)
    }

    /// The next page. A `noisy` server repeats the last object of a page on the next one, and sends
    /// an empty page in between. It tells of changes after earlier ones once more, of each group in pieces and in no
    /// order, and of the first object twice ("Use delta query to track changes": replays; "group: delta": a group can
    /// be on several pages).
    pub fn page(mut self, store: &Store, sizes: &PageSizes, noisy: bool) -> DeltaPage {
        if matches!(self.phase, Phase::Link) {
            let items = Arc::new(self.changes(store, noisy));
            self.from = store.log.len();
            self.phase = Phase::Changes { items, at: 0 };
        }
        self.pages += 1;
        if noisy && self.pages == 2 {
            return DeltaPage {
                value: vec![],
                next: self,
                is_last: false,
            };
        }
        let (value, is_last) = match self.phase.clone() {
            Phase::First { ids, at, member } => {
                let (value, at, member) = self.first_page(store, sizes, &ids, at, member);
                let is_last = at == ids.len();
                // Of a page with one object the next one would be the same.
                let repeats = noisy && !is_last && member == 0 && value.len() > 1;
                let back = usize::from(repeats);
                let at = at - back;
                self.phase = Phase::First { ids, at, member };
                (value, is_last)
            }
            Phase::Changes { items, at } => {
                let end = items.len().min(at + sizes.delta);
                let value = items[at..end].to_vec();
                let is_last = end == items.len();
                self.phase = Phase::Changes { items, at: end };
                (value, is_last)
            }
            Phase::Link => unreachable!("a link was turned into changes above"),
        };
        if is_last {
            self.phase = Phase::Link;
            self.pages = 0;
        }
        DeltaPage {
            value,
            next: self,
            is_last,
        }
    }

    fn first_page(
        &self,
        store: &Store,
        sizes: &PageSizes,
        ids: &[Id],
        mut at: usize,
        mut member: usize,
    ) -> (Vec<Value>, usize, usize) {
        let mut value = vec![];
        let mut room = sizes.delta_members;
        while at < ids.len() && value.len() < sizes.delta && room > 0 {
            let id = ids[at];
            let Some(mut object) = render::object(store, id, self.select.as_deref()) else {
                at += 1;
                continue;
            };
            object.insert("id".into(), json!(id.to_string()));
            let mut done = true;
            if id.kind == Kind::Group && self.wants("members") {
                let group = &store.groups[&id];
                let members: &[Id] = match group.hidden && !self.sees_hidden {
                    true => &[],
                    false => &group.members,
                };
                // Members may have left since the last page.
                let start = member.min(members.len());
                let end = members.len().min(start + room);
                if start < end {
                    let listed: Vec<Value> = members[start..end].iter().map(|&m| who(m)).collect();
                    object.insert("members@delta".into(), Value::Array(listed));
                }
                room -= end - start;
                done = end == members.len();
                member = end;
            }
            value.push(Value::Object(object));
            if done {
                at += 1;
                member = 0;
            }
        }
        (value, at, member)
    }

    fn changes(&self, store: &Store, noisy: bool) -> Vec<Value> {
        let mut objects: BTreeMap<(Id, usize), Map<String, Value>> = BTreeMap::new();
        let is_moved = self.from < store.log.len();
        let replayed = REPLAYED * usize::from(noisy && is_moved);
        let log = &store.log[self.from.saturating_sub(replayed)..];
        for (number, change) in log.iter().enumerate() {
            let (id, entry) = match *change {
                Change::Property(id, property) if self.wants(property) => (id, None),
                Change::Removed(id) => {
                    let is_kept =
                        store.deleted.contains_key(&id) || store.deleted_groups.contains_key(&id);
                    let reason = if is_kept { "changed" } else { "deleted" };
                    (id, Some(("@removed", json!({"reason": reason}))))
                }
                Change::Member {
                    group,
                    member,
                    removed,
                } if self.wants("members") => {
                    let mut who = who(member);
                    if removed {
                        who["@removed"] = json!({"reason": "deleted"});
                    }
                    (group, Some(("members@delta", who)))
                }
                Change::Property(..) | Change::Member { .. } => continue,
            };
            if id.kind != self.kind {
                continue;
            }
            let is_piece = noisy && matches!(entry, Some(("members@delta", _)));
            let piece = if is_piece { number + 1 } else { 0 };
            let is_there = store.users.contains_key(&id) || store.groups.contains_key(&id);
            let is_removal = matches!(entry, Some(("@removed", _)));
            // An object is told as it is now: whoever was brought back since isn't removed.
            let entry = entry.filter(|_| !(is_removal && is_there));
            let object = objects.entry((id, piece)).or_insert_with(|| {
                let mut object =
                    render::object(store, id, self.select.as_deref()).unwrap_or_default();
                object.insert("id".into(), json!(id.to_string()));
                object
            });
            match entry {
                Some(("members@delta", who)) => {
                    let list = object.entry("members@delta").or_insert_with(|| json!([]));
                    list.as_array_mut().expect("made as a list").push(who);
                }
                Some((name, value)) => {
                    object.insert(name.into(), value);
                }
                None => {}
            }
        }
        let mut objects: Vec<Value> = objects.into_values().map(Value::Object).collect();
        if noisy {
            objects.reverse();
            objects.extend(objects.first().cloned());
        }
        objects
    }
}

/// So many earlier changes a noisy server tells once more.
const REPLAYED: usize = 3;

fn who(id: Id) -> Value {
    json!({"@odata.type": id.kind.odata_type(), "id": id.to_string()})
}

/// The answer to a delta link that isn't known any more.
pub(super) fn lost(loss: DeltaLoss, start: &str) -> Reply {
    match loss {
        DeltaLoss::Gone => Reply::error(
            StatusCode::GONE,
            "resyncRequired",
            "Resync required. Replace any local items with the server's version.",
        )
        .header("location", format!("{start}?$deltatoken=")),
        DeltaLoss::SyncStateNotFound => Reply::bad(
            "syncStateNotFound",
            "The sync state generation is not found; continuing would be incomplete.",
        ),
    }
}
