//! The plan that the operator left in the cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use super::table::lines;
use crate::api::spec::PlanStorage;
use crate::controller::plan;
use crate::problem::ProblemReason;
use crate::sync::plan::{Kind, Reason};
use crate::sync::render::title;
use crate::text::sanitize;

/// Rows of each kind of change that are shown.
const ROWS: usize = 50;

/// The plan of the last run that had anything to do.
pub struct Published {
    /// As it was written for programs.
    pub json: String,
    /// As it was written for people.
    pub markdown: String,
    /// When it was written.
    pub written: Option<Time>,
}

/// What its JSON says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedPlan {
    /// Stands for the held removals.
    #[serde(default)]
    pub digest: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    organization: String,
    held_because: Option<String>,
    #[serde(default)]
    changes: Vec<Row>,
    /// The changes that are held.
    #[serde(default)]
    pub held: Vec<Row>,
    #[serde(default)]
    problems: Vec<Problem>,
    #[serde(default)]
    truncated: BTreeMap<String, usize>,
}

/// A change in the plan's JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    action: String,
    #[serde(default)]
    external_id: String,
    email: Option<String>,
    name: Option<String>,
    #[serde(default)]
    reason: String,
    from: Option<String>,
    #[serde(default)]
    staged: bool,
    add: Option<Vec<String>>,
    add_total: Option<usize>,
    remove: Option<Vec<String>>,
    remove_total: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl Published {
    /// The plan of a resource; `None` where no run of it had anything to do.
    ///
    /// # Errors
    /// When the ConfigMap or Secret can't be read, or belongs to somebody else.
    pub async fn of(cluster: &Cluster, resource: &Resource) -> Result<Option<Self>, PluginError> {
        let storage = resource.plan_storage();
        if let Some(published) = Self::read(cluster, resource, storage).await? {
            return Ok(Some(published));
        }
        // The operator moves it when the next run begins.
        match Self::read(cluster, resource, storage.other()).await {
            // Whoever may not read Secrets misses none here in all likelihood; and what somebody else
            // has under that name isn't asked for.
            Err(PluginError::Forbidden { .. } | PluginError::NotNow(_)) => Ok(None),
            before => before,
        }
    }

    async fn read(
        cluster: &Cluster,
        resource: &Resource,
        storage: PlanStorage,
    ) -> Result<Option<Self>, PluginError> {
        match storage {
            PlanStorage::ConfigMap => {
                Self::read_kind::<ConfigMap>(cluster, resource, storage).await
            }
            PlanStorage::Secret => Self::read_kind::<Secret>(cluster, resource, storage).await,
        }
    }

    async fn read_kind<K: Stored>(
        cluster: &Cluster,
        resource: &Resource,
        storage: PlanStorage,
    ) -> Result<Option<Self>, PluginError> {
        let namespace = resource.namespace();
        let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
        let name = plan::name(resource.name());
        let asked = cluster.asked("get", storage.resource(), Some(namespace));
        let found = api.get_opt(&name).await;
        let Some(mut object) = found.map_err(|error| asked.failed(error))? else {
            return Ok(None);
        };
        if !plan::is_of(object.meta(), resource.name()) {
            return Err(PluginError::NotNow(format!(
                "{} {name:?} isn't the plan of {}: somebody else made it; delete or rename it, and the \
                 operator publishes the plan there",
                storage.kind(),
                resource.full_name()
            )));
        }
        let written = object.meta().managed_fields.iter().flatten();
        let written = written
            .filter_map(|entry| entry.time.clone())
            .max_by_key(|time| time.0);
        // An emptied one has no plan.
        let Some(json) = object.take(plan::JSON) else {
            return Ok(None);
        };
        Ok(Some(Self {
            json,
            markdown: object.take(plan::MARKDOWN).unwrap_or_default(),
            written,
        }))
    }

    /// What it says.
    ///
    /// # Errors
    /// When another version of the operator wrote it in another form.
    pub fn content(&self) -> Result<PublishedPlan, PluginError> {
        serde_json::from_str(&self.json).map_err(|error| {
            PluginError::NotNow(format!(
                "the plan isn't in a form that this version of the plugin reads ({error}): use the \
                 plugin of the operator's version, or -o json"
            ))
        })
    }
}

/// A kind of object that holds plans.
trait Stored:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
{
    /// Takes out the text under this key.
    fn take(&mut self, key: &str) -> Option<String>;
}

impl Stored for ConfigMap {
    fn take(&mut self, key: &str) -> Option<String> {
        self.data.as_mut()?.remove(key)
    }
}

impl Stored for Secret {
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.data.as_mut()?.remove(key)?;
        Some(String::from_utf8_lossy(&value.0).into_owned())
    }
}

fn entries(text: &mut String, title: &str, problems: &[&Problem]) {
    if problems.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for problem in problems.iter().take(ROWS) {
        let (reason, message) = (sanitize(&problem.reason), sanitize(&problem.message));
        text.push_str(&format!("  {reason}: {message}\n"));
    }
    more(text, 0, problems.len().saturating_sub(ROWS), "problems");
}

impl PublishedPlan {
    /// The changes, held removals and problems on a terminal.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} → {}\n",
            sanitize(&self.source),
            sanitize(&self.organization)
        );
        if self.changes.is_empty() && self.held.is_empty() {
            text.push_str("nothing to change\n");
        }
        sections(&mut text, &self.changes, "");
        more(&mut text, self.left_out("changes"), 0, "changes");
        if !self.held.is_empty() {
            text.push_str(&self.held_table());
        }
        let (problems, notes): (Vec<_>, Vec<_>) = self
            .problems
            .iter()
            .partition(|problem| ProblemReason::name_needs_action(&problem.reason));
        entries(&mut text, "Entries that need manual action", &problems);
        entries(&mut text, "For information", &notes);
        more(&mut text, self.left_out("problems"), 0, "problems");
        text
    }

    /// The held changes alone.
    pub fn held_table(&self) -> String {
        let because = self.held_because.as_deref().unwrap_or("past the limit");
        let mut text = format!("\nheld, waiting for approval: {}\n", sanitize(because));
        sections(&mut text, &self.held, "held: ");
        more(&mut text, self.left_out("held"), 0, "held changes");
        text.push_str(&format!("digest {}\n", sanitize(&self.digest)));
        text
    }

    fn left_out(&self, list: &str) -> usize {
        self.truncated.get(list).copied().unwrap_or_default()
    }
}

fn sections(text: &mut String, rows: &[Row], before: &str) {
    let mut by_action: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match by_action
            .iter_mut()
            .find(|(action, _)| *action == row.action)
        {
            Some((_, rows)) => rows.push(row),
            None => by_action.push((&row.action, vec![row])),
        }
    }
    for (action, rows) in by_action {
        let title =
            known::<Kind>(action).map_or_else(|| sanitize(action), |kind| title(kind).into());
        text.push_str(&format!("\n{before}{title} ({})\n", rows.len()));
        let shown = rows.iter().take(ROWS).map(|row| {
            let columns = [row.subject(), row.reason(), row.detail()];
            columns.map(Into::into).into()
        });
        let shown: Vec<_> = shown.collect();
        for line in lines(&shown, 2).lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        more(text, 0, rows.len().saturating_sub(ROWS), "");
    }
}

fn more(text: &mut String, left_out: usize, hidden: usize, what: &str) {
    if hidden > 0 {
        text.push_str(&format!("  … and {hidden} more: -o json\n"));
    }
    if left_out > 0 {
        text.push_str(&format!(
            "  … and {left_out} more {what}, which the operator left out of the plan for its length\n"
        ));
    }
}

impl Row {
    fn subject(&self) -> String {
        let subject = self.email.as_deref().or(self.name.as_deref());
        sanitize(subject.unwrap_or(&self.external_id))
    }

    fn reason(&self) -> String {
        match known::<Reason>(&self.reason) {
            Some(reason) => reason.describe().into(),
            None => sanitize(&self.reason),
        }
    }

    fn detail(&self) -> String {
        let count = |list: &Option<Vec<String>>, total: Option<usize>| {
            total.unwrap_or_else(|| list.as_ref().map_or(0, Vec::len))
        };
        let added = count(&self.add, self.add_total);
        let removed = count(&self.remove, self.remove_total);
        match (&self.from, &self.add, &self.remove) {
            (Some(from), ..) => format!("was {}", sanitize(from)),
            (None, Some(_), Some(_)) => format!("+{added} −{removed}"),
            (None, Some(_), None) if added == 1 => "1 member".into(),
            (None, Some(_), None) => format!("{added} members"),
            _ if self.staged => "staged, no invitation yet".into(),
            _ => String::new(),
        }
    }
}

/// A word that this version knows; others are shown as they are.
fn known<T: for<'de> Deserialize<'de>>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// When a plan was written, for a person.
pub fn age(written: Option<&Time>, now: Timestamp) -> String {
    match written {
        Some(_) => super::time::ago(written, now),
        None => "at an unknown time".into(),
    }
}
