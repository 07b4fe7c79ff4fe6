//! `collections`: which collections there are, what they are called by, and which groups have access.

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

use serde::Serialize;
use uuid::Uuid;

use super::CliError;
use super::args::{CollectionsArgs, CollectionsOutput, ExternalIdArg};
use super::manifests::{Manifests, object_of};
use super::output::{failed, note, print, print_text};
use super::session::Session;
use crate::organization::collection::Collection;
use crate::organization::model::Organization;
use crate::organization::{CollectionWithGroups, OrganizationClient, OrganizationError};
use crate::text::{escaped_json, sanitize};

/// A collection as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    groups: Vec<GroupRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow {
    name: String,
    access: &'static str,
}

/// Why a resource's collections can't be shown.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Session(#[from] super::session::SessionError),
    #[error("{0}")]
    Organization(#[from] OrganizationError),
    #[error("nothing was set: {0} is given an external id twice: write each collection once")]
    Twice(Uuid),
    #[error(
        "nothing was set: {external_id:?} would be the external id of {one} and of {other}, and a rule that names it \
         would do nothing: give each its own"
    )]
    Ambiguous {
        external_id: String,
        one: Uuid,
        other: Uuid,
    },
    #[error(
        "nothing was set: {collection} has the external id {former:?}, and rules that name it would be about no \
         collection then: add --replace if that is meant"
    )]
    HasOne { collection: Uuid, former: String },
    #[error(
        "the organization has no collection {0}: without --set-external-id the command lists those that it has"
    )]
    NoCollection(Uuid),
    #[error(
        "this server has no call for collections: Vaultwarden hasn't, and Bitwarden has since 2021"
    )]
    Unsupported,
}

/// Lists each resource's collections, once those named have their external ids.
pub async fn collections(args: &CollectionsArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    let mut documents = vec![];
    for resource in manifests.resources() {
        let object = object_of(resource);
        let rows = match Session::open_organization(resource, &manifests) {
            Ok(client) => rows(&client, args).await,
            Err(error) => Err(error.into()),
        };
        match rows {
            Ok(rows) if args.output == CollectionsOutput::Json => documents.extend(rows),
            Ok(rows) => print_text(&table(&object.to_string(), &rows))?,
            Err(error) => {
                failed(&object, &error);
                all_well = false;
            }
        }
    }
    if args.output == CollectionsOutput::Json {
        let json = serde_json::to_string_pretty(&documents);
        let json = json.map_err(std::io::Error::from)?;
        print(&format!("{}\n", escaped_json(&json)))?;
    }
    Ok(ExitCode::from(u8::from(!all_well)))
}

async fn rows(client: &OrganizationClient, args: &CollectionsArgs) -> Result<Vec<Row>, Failed> {
    let Organization::Read(content) = client.read().await? else {
        return Err(Failed::Unsupported);
    };
    let set = args.set_external_id.as_slice();
    if !set.is_empty() {
        let all = client.all_collections().await?.ok_or(Failed::Unsupported)?;
        let all = all.into_iter().map(|one| one.collection);
        let former = former(set, &all.collect::<Vec<_>>(), args.replace)?;
        note(&former);
    }
    for one in set {
        let set = client.set_collection_external_id(one.collection, one.external_id.as_deref());
        match set.await {
            Err(OrganizationError::Gone { .. }) => {
                return Err(Failed::NoCollection(one.collection));
            }
            set => set?,
        }
    }
    let all = client.all_collections().await?.ok_or(Failed::Unsupported)?;
    let names: HashMap<Uuid, &str> = content
        .groups
        .iter()
        .map(|group| (group.id, &*group.name))
        .collect();
    let mut rows: Vec<Row> = all.into_iter().map(|one| row(one, &names)).collect();
    // Those without an external id are the ones that somebody may want to name.
    rows.sort_by(|a, b| (&a.external_id, a.id).cmp(&(&b.external_id, b.id)));
    Ok(rows)
}

/// Looks for what would be ambiguous or lost, before anything is set. What those were called that are replaced.
fn former(
    set: &[ExternalIdArg],
    all: &[Collection],
    replaces: bool,
) -> Result<Vec<String>, Failed> {
    let mut ids: HashMap<Uuid, Option<&str>> = all
        .iter()
        .map(|one| (one.id, one.external_id.as_deref()))
        .collect();
    let mut seen = HashSet::new();
    let mut former = vec![];
    for ExternalIdArg {
        collection,
        external_id,
    } in set
    {
        if !seen.insert(*collection) {
            return Err(Failed::Twice(*collection));
        }
        let now = ids.get_mut(collection);
        let now = now.ok_or(Failed::NoCollection(*collection))?;
        let before = std::mem::replace(now, external_id.as_deref());
        let before = before.filter(|before| Some(*before) != external_id.as_deref());
        if let Some(before) = before.map(sanitize) {
            if !replaces && external_id.is_some() {
                return Err(Failed::HasOne {
                    collection: *collection,
                    former: before,
                });
            }
            former.push(format!(
                "collection {collection} had the external id {before:?}"
            ));
        }
    }
    for one in set.iter().filter(|one| one.external_id.is_some()) {
        let same = ids
            .iter()
            .filter(|(_, id)| **id == one.external_id.as_deref());
        let mut others = same.map(|(id, _)| *id).filter(|id| *id != one.collection);
        if let Some(other) = others.next() {
            return Err(Failed::Ambiguous {
                external_id: one
                    .external_id
                    .as_deref()
                    .map_or_else(String::new, sanitize),
                one: one.collection,
                other,
            });
        }
    }
    Ok(former)
}

fn row(one: CollectionWithGroups, names: &HashMap<Uuid, &str>) -> Row {
    let groups = one.groups.iter().map(|access| GroupRow {
        name: match names.get(&access.id) {
            Some(name) => (*name).to_owned(),
            None => access.id.to_string(),
        },
        access: access.right().name(),
    });
    let mut groups: Vec<GroupRow> = groups.collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Row {
        id: one.collection.id,
        external_id: one.collection.external_id.as_deref().map(str::to_owned),
        groups,
    }
}

fn table(object: &str, rows: &[Row]) -> String {
    let mut text = format!("{object}: {} collections\n", rows.len());
    let mut is_altered = false;
    for row in rows {
        let name = row.external_id.as_deref().map(|id| {
            let shown = sanitize(id);
            is_altered |= shown != id;
            shown
        });
        let name = name.as_deref().unwrap_or("–");
        text.push_str(&format!("\n{}  {name}\n", row.id));
        let widest = row.groups.iter().map(|group| group.access.len()).max();
        for group in &row.groups {
            let (access, name) = (group.access, sanitize(&group.name));
            let width = widest.unwrap_or_default();
            text.push_str(&format!("  {access:width$}  {name}\n"));
        }
        if row.groups.is_empty() {
            text.push_str("  no group\n");
        }
    }
    if is_altered {
        text.push_str(
            "\nExternal IDs that are longer, or hold characters that don't show, aren't shown as they are: -o json\n\
             does.\n",
        );
    }
    text
}
