//! What a person can have done. Each action has a page of its own that shows what it does, and does it
//! when the form there is sent.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::Response;
use maud::Markup;
use serde::Deserialize;

use super::App;
use super::routes::{Which, refused, see_other};
use super::view;
use crate::plugin::approve::{self, Held};
use crate::plugin::error::PluginError;
use crate::plugin::resource::Resource;
use crate::plugin::suspend::set_suspend;
use crate::plugin::sync::request;

/// What can be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let held changes go ahead.
    Approve,
    /// Ask for a run.
    Sync,
    /// Stop all work.
    Suspend,
    /// Go on.
    Resume,
}

impl Action {
    const ALL: [Self; 4] = [Self::Approve, Self::Sync, Self::Suspend, Self::Resume];

    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Sync => "sync",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }

    /// What its button says.
    pub fn label(self) -> &'static str {
        match self {
            Self::Approve => "Approve held changes",
            Self::Sync => "Sync now",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
        }
    }

    /// What it does, before it is done.
    pub fn effect(self, resource: &Resource) -> &'static str {
        match self {
            Self::Approve => {
                "The operator makes exactly the changes that are listed here. What has changed by then is held \
                 again, and waits for another approval."
            }
            Self::Sync if resource.is_preview() => {
                "The operator reads the directory and the organization now, and publishes a new plan. The mode \
                 is Preview: nothing is changed."
            }
            Self::Sync => {
                "The operator reads the directory and the organization now, and makes the changes. Limits apply \
                 as in every run: what exceeds them is held."
            }
            Self::Suspend => {
                "A run in progress stops before its next request, and no other run starts until you resume. \
                 Until then, whoever leaves the company keeps their access."
            }
            Self::Resume => {
                "The operator runs again: it reads the directory and the organization, and makes the changes \
                 that have come up since. Limits apply as in every run."
            }
        }
    }

    /// What was done, on the page that follows.
    fn done(self) -> &'static str {
        match self {
            Self::Approve => {
                "Approved. The operator makes the changes in its next run, which starts now."
            }
            Self::Sync => "A run was requested.",
            Self::Suspend => {
                "Suspended: the operator does nothing for this resource until you resume."
            }
            Self::Resume => "Resumed.",
        }
    }
}

/// What the word in an address says was done; nothing for other words.
pub fn done(word: &str) -> Option<&'static str> {
    Action::named(word).map(Action::done)
}

/// A form as it is sent.
#[derive(Debug, Deserialize)]
pub struct Sent {
    #[serde(default)]
    token: String,
    /// Which changes were shown.
    #[serde(default)]
    digest: String,
}

/// Shows what an action does, with the button that does it.
pub async fn ask(
    State(app): State<Arc<App>>,
    Path((namespace, name, word)): Path<(String, String, String)>,
) -> Response {
    let which = Which { namespace, name };
    let page = async {
        let action = action(&word)?;
        let resource = app.find(&which).await?;
        question(&app, action, &resource).await
    };
    app.answer(page.await)
}

async fn question(app: &App, action: Action, resource: &Resource) -> Result<Markup, PluginError> {
    let frame = app.frame(&format!("{}: {}", action.label(), resource.full_name()));
    if action != Action::Approve {
        return Ok(view::ask(&frame, action, resource));
    }
    approve::approvable(resource, None)?;
    let held = Held::of(&app.cluster, resource).await?;
    Ok(view::ask_to_approve(frame, resource, &held))
}

/// Does what a form asks for, and leads to the page of the resource.
pub async fn execute(
    State(app): State<Arc<App>>,
    Path((namespace, name, word)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Response {
    if let Err(refusal) = app.session.check_form(&sent.token) {
        return refused(refusal);
    }
    let which = Which { namespace, name };
    let executed = async {
        let action = action(&word)?;
        let resource = app.find(&which).await?;
        apply(&app, action, &resource, &sent).await?;
        Ok(format!("{}?done={}", app.address(&resource), action.word()))
    };
    match executed.await {
        Ok(to) => see_other(&to),
        Err(error) => app.failed(&error, Some(&which)),
    }
}

async fn apply(
    app: &App,
    action: Action,
    resource: &Resource,
    sent: &Sent,
) -> Result<(), PluginError> {
    let cluster = &app.cluster;
    match action {
        // Always with the digest that was shown: what is held now may be something else.
        Action::Approve => approve::approve_held(cluster, resource, &sent.digest).await,
        Action::Sync => request(cluster, resource).await.map(|_| ()),
        Action::Suspend => set_suspend(cluster, resource, true).await,
        Action::Resume => set_suspend(cluster, resource, false).await,
    }
}

fn action(word: &str) -> Result<Action, PluginError> {
    Action::named(word)
        .ok_or_else(|| PluginError::NotNow("there is no such action; go back to the page".into()))
}
