//! `collections`: which collections there are, what they are called by, and which groups have access.

use std::collections::HashMap;
use std::process::ExitCode;

use serde::Serialize;
use uuid::Uuid;

use super::CliError;
use super::args::{CollectionsArgs, CollectionsOutput, ExternalIdArg};
use super::manifests::{Manifests, object_of};
use super::output::{failed, note, print, print_text};
use super::session::Session;
use crate::organization::model::Organization;
use crate::organization::{CollectionWithGroups, OrganizationError};
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
        let rows = match Session::open(resource, &manifests) {
            Ok(session) => rows(&session, &args.set_external_id).await,
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

async fn rows(session: &Session, set: &[ExternalIdArg]) -> Result<Vec<Row>, Failed> {
    let client = &session.organization;
    let Organization::Read(content) = client.read().await? else {
        return Err(Failed::Unsupported);
    };
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
