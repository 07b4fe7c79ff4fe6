//! `status`: how resources stand.

use std::process::ExitCode;

use anstyle::Style;
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::json;

use super::args::{StatusArgs, StatusOutput};
use super::cluster::{Cluster, RESOURCE};
use super::detail::page;
use super::error::PluginError;
use super::resource::Resource;
use super::table::{self, Cell, lines};
use super::time::ago;
use crate::cli::output::{complain, print, print_text, width};
use crate::text::sanitize;

/// Shows a table, or all about the one resource that is named.
pub async fn status(cluster: &Cluster, args: &StatusArgs) -> Result<ExitCode, PluginError> {
    let resources = cluster.select(&args.select).await?;
    let one = match resources.as_slice() {
        [one] if args.select.names.len() == 1 => Some(one),
        _ => None,
    };
    let now = Timestamp::now();
    let text = match (args.output, one) {
        (Some(StatusOutput::Json), one) => format!("{:#}\n", as_kubectl_gives(one, &resources)),
        (Some(StatusOutput::Yaml), one) => yaml(&as_kubectl_gives(one, &resources))?,
        (Some(StatusOutput::Name), _) => names(&resources),
        (None, Some(one)) => page(one, now),
        (wide, _) if resources.is_empty() => {
            let _ = wide;
            complain(&cluster.nothing_there(&args.select));
            return Ok(ExitCode::SUCCESS);
        }
        (wide, _) => overview(
            &resources,
            args.select.all_namespaces,
            wide.is_some(),
            !args.no_headers,
            now,
        ),
    };
    match args.output {
        None => print_text(&text)?,
        Some(_) => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn names(resources: &[Resource]) -> String {
    let names = resources.iter().map(Resource::name);
    names.map(|name| format!("{RESOURCE}/{name}\n")).collect()
}

/// One object as it is, several as a `List`.
fn as_kubectl_gives(one: Option<&Resource>, all: &[Resource]) -> serde_json::Value {
    let whole = |resource: &Resource| {
        let mut object: DynamicObject = resource.object.clone();
        // As kubectl: for machines alone.
        object.metadata.managed_fields = None;
        // The items of a list come without.
        object.types.get_or_insert_with(types);
        json!(object)
    };
    match one {
        Some(one) => whole(one),
        None => {
            let items: Vec<_> = all.iter().map(whole).collect();
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
        }
    }
}

fn types() -> kube::api::TypeMeta {
    kube::api::TypeMeta::resource::<crate::api::DirectorySync>()
}

fn yaml(value: &serde_json::Value) -> Result<String, PluginError> {
    serde_saphyr::to_string(value)
        .map_err(|error| PluginError::Output(std::io::Error::other(error.to_string())))
}

fn overview(
    resources: &[Resource],
    namespaces: bool,
    wide: bool,
    head: bool,
    now: Timestamp,
) -> String {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    if head {
        let bold = Style::new().bold();
        let namespace = namespaces.then_some("NAMESPACE");
        let usual = ["NAME", "STATE", "MEMBERS", "HELD", "LAST SYNC", "NEXT"];
        let more = ["REASON", "SOURCE", "GROUPS", "PROBLEMS", "MESSAGE"];
        let more = more.into_iter().filter(|_| wide);
        let shown = namespace.into_iter().chain(usual).chain(more);
        rows.push(shown.map(|title| Cell::styled(title, bold)).collect());
    }
    for resource in resources {
        rows.push(row(resource, namespaces, wide, now));
    }
    if let (Some(most), false) = (width(), wide) {
        fit(&mut rows, most);
    }
    lines(&rows, 0)
}

/// Characters of a name that are always shown.
const NAME_MIN: usize = 10;

/// Takes columns out until the rest fits so many characters: those first that one can wait for. Then names
/// are cut.
fn fit(rows: &mut [Vec<Cell>], most: usize) {
    // NEXT, LAST SYNC and MEMBERS, from the end.
    for from_end in [1, 1, 2] {
        if table::width(rows) <= most {
            return;
        }
        for row in rows.iter_mut() {
            row.remove(row.len() - from_end);
        }
    }
    let too_wide = table::width(rows).saturating_sub(most);
    // NAMESPACE and NAME, or NAME: before STATE and HELD.
    let longest = |rows: &[Vec<Cell>], column: usize| {
        let widths = rows.iter().map(|row| row[column].width());
        widths.max().unwrap_or_default()
    };
    let names = rows.first().map_or(0, Vec::len).saturating_sub(2);
    let Some(column) = (0..names).max_by_key(|column| longest(rows, *column)) else {
        return;
    };
    let room = longest(rows, column).saturating_sub(too_wide).max(NAME_MIN);
    for row in rows.iter_mut() {
        row[column].truncate(room);
    }
}

fn row(resource: &Resource, namespaces: bool, wide: bool, now: Timestamp) -> Vec<Cell> {
    let status = &resource.status;
    let state = resource.state();
    let ready = resource.ready();
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let organization = status.organization.as_ref();
    let mut row: Vec<Cell> = Vec::new();
    if namespaces {
        row.push(resource.namespace().into());
    }
    row.push(resource.name().into());
    row.push(Cell::styled(resource.state_in_words(), state.style()));
    row.push(number(resource.members()).into());
    row.push(number(status.held_removals.as_ref().map(|held| held.total)).into());
    row.push(ago(status.last_sync_time.as_ref(), now).into());
    row.push(resource.next_sync(now).into());
    if wide {
        row.push(ready.map_or("-", |(reason, _)| reason).into());
        let source = status.source.as_ref();
        row.push(source.map_or("-", |source| &source.kind).into());
        row.push(number(organization.and_then(|sizes| sizes.managed_groups)).into());
        let problems = resource.problems();
        row.push(number((problems > 0).then_some(problems)).into());
        row.push(sanitize(ready.map_or("", |(_, message)| message)).into());
    }
    row
}
