//! The page's addresses, and what is read from the cluster for each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Form, Path, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use maud::Markup;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::session::{OPEN, Refusal, harden};
use super::view::{self, Frame};
use super::{App, actions, undoing};
use crate::cli::explain;
use crate::plugin::error::PluginError;
use crate::plugin::explain::ask;
use crate::plugin::history::records;
use crate::plugin::published::{Published, Which as Plan};
use crate::plugin::resource::Resource;
use crate::sync::explain::Question;

/// Browsers wait for an answer about as long.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(240);
/// Bytes of a form; one has a few short fields.
const FORM_MAX: usize = 16 * 1024;

pub fn router(app: Arc<App>) -> Router {
    let at = |path: &str| format!("{}{path}", app.session.base());
    let one = |path: &str| at(&format!("/{{namespace}}/{{name}}{path}"));
    Router::new()
        .route(OPEN, get(open))
        .route(&at("/"), get(list))
        .route(&at("/state"), get(list_state))
        .route(
            &at("/page.css"),
            get(async || asset("text/css", view::style())),
        )
        .route(
            &at("/page.js"),
            get(async || asset("text/javascript", view::script())),
        )
        .route(
            &at("/plan.js"),
            get(async || asset("text/javascript", view::plan_script())),
        )
        .route(&one(""), get(detail))
        .route(&one("/state"), get(detail_state))
        .route(&one("/plan"), get(plan))
        .route(&one("/history"), get(history))
        .route(&one("/explain"), get(explanation).post(explain_somebody))
        .route(&one("/undo"), get(undoing::show).post(undoing::ask))
        .route(
            &one("/do/{action}"),
            get(actions::ask).post(actions::execute),
        )
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Which resource an address is about.
#[derive(Debug, Deserialize)]
pub struct Which {
    pub namespace: String,
    pub name: String,
}

/// What an address says beside its path.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// What was done right before.
    #[serde(default)]
    done: String,
}

/// Lets in whom [`Session::check`](super::session::Session::check) knows.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let checked = app.session.check(request.method(), path, request.headers());
    let mut answer = match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(refusal),
    };
    harden(answer.headers_mut());
    answer
}

/// The answer to a request that isn't let in.
pub fn refused(refusal: Refusal) -> Response {
    let page = view::stranger(refusal.describe());
    (refusal.status(), Html(page.into_string())).into_response()
}

async fn open(State(app): State<Arc<App>>, Query(link): Query<Link>) -> Response {
    let cookie = match app.session.open(&link.token) {
        Ok(cookie) => cookie,
        Err(refusal) => return refused(refusal),
    };
    let mut answer = see_other(&format!("{}/", app.session.base()));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

/// Leads to another address, which is read.
pub fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

fn asset(kind: &str, content: impl IntoResponse) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(CONTENT_TYPE, kind)], content).into_response()
}

async fn nothing(State(app): State<Arc<App>>) -> Response {
    let page = view::problem(&app.frame("Not found"), "There is no such page.", None);
    (StatusCode::NOT_FOUND, Html(page.into_string())).into_response()
}

async fn list(State(app): State<Arc<App>>) -> Response {
    let page = app.list().await.map(|listed| {
        let frame = app.frame("DirectorySyncs");
        let frame = frame.watching(
            format!("{}/state", app.session.base()),
            version(&listed.all),
        );
        view::list(&frame, &listed.all, &listed.place, Timestamp::now())
    });
    app.answer(page)
}

async fn list_state(State(app): State<Arc<App>>) -> Response {
    app.state(app.list().await.map(|listed| version(&listed.all)))
}

async fn detail(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = async {
        let resource = app.find(&which).await?;
        let records = records(&app.cluster, &resource).await;
        let frame = app.frame(&resource.full_name());
        let state = format!("{}/state", app.address(&resource));
        let frame = frame.watching(state, version(std::slice::from_ref(&resource)));
        let frame = frame.saying(actions::done(&asked.done));
        Ok(view::detail(&frame, &resource, records, Timestamp::now()))
    };
    app.answer(page.await)
}

async fn detail_state(State(app): State<Arc<App>>, Path(which): Path<Which>) -> Response {
    let found = app.find(&which).await;
    app.state(found.map(|resource| version(&[resource])))
}

async fn plan(State(app): State<Arc<App>>, Path(which): Path<Which>) -> Response {
    let page = async {
        let resource = app.find(&which).await?;
        let published = Published::of(&app.cluster, &resource, Plan::Latest).await?;
        let frame = app.frame(&format!("Plan of {}", resource.full_name()));
        let now = Timestamp::now();
        Ok(view::plan(frame, &resource, published.as_ref(), now))
    };
    app.answer(page.await)
}

async fn history(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Query(search): Query<view::Search>,
) -> Response {
    let page = async {
        let resource = app.find(&which).await?;
        let records = records(&app.cluster, &resource).await?;
        let frame = app.frame(&format!("History of {}", resource.full_name()));
        let now = Timestamp::now();
        Ok(view::history(&frame, &resource, records, &search, now))
    };
    app.answer(page.await)
}

/// An explanation of somebody.
pub struct Explained {
    /// Who was asked for.
    pub about: String,
    /// The explanation.
    pub text: String,
}

/// Which answer is shown.
#[derive(Debug, Default, Deserialize)]
struct Numbered {
    answer: Option<usize>,
}

async fn explanation(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Query(numbered): Query<Numbered>,
) -> Response {
    let page = app.find(&which).await.map(|resource| {
        let name = resource.full_name();
        let answer = numbered
            .answer
            .and_then(|number| app.explanations.get(number, &name));
        view::explanation(
            &app.frame(&format!("Explain: {name}")),
            &resource,
            answer.as_deref(),
        )
    });
    app.answer(page)
}

/// The form that asks about somebody.
#[derive(Debug, Deserialize)]
struct About {
    #[serde(default)]
    token: String,
    #[serde(default)]
    about: String,
}

/// Has the operator explain somebody, and leads to what it says.
async fn explain_somebody(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Form(sent): Form<About>,
) -> Response {
    if let Err(refusal) = app.session.check_form(&sent.token) {
        return refused(refusal);
    }
    let asked = async {
        let resource = app.find(&which).await?;
        let question = Question::new(&sent.about).ok_or_else(|| {
            PluginError::NotNow(
                "write whom to explain: an email, an ID, a DN or the name of a group".into(),
            )
        })?;
        // The browser shows that it waits.
        let mut show = |_: &str, _| {};
        let explanation = ask(
            &app.cluster,
            &resource,
            &question,
            ANSWER_TIMEOUT,
            &mut show,
        );
        let text = explanation.await?.to_text();
        let about = question.as_str().to_owned();
        let explained = Explained { about, text };
        let number = app.explanations.keep(resource.full_name(), explained);
        Ok(format!(
            "{}/explain?answer={number}",
            app.address(&resource)
        ))
    };
    match asked.await {
        Ok(to) => see_other(&to),
        Err(error) => app.failed(&error, Some(&which)),
    }
}

/// Another for each change of one of them.
fn version(resources: &[Resource]) -> String {
    let mut hash = Sha256::new();
    for resource in resources {
        let metadata = &resource.object.metadata;
        hash.update(metadata.uid.as_deref().unwrap_or_default());
        hash.update(metadata.resource_version.as_deref().unwrap_or_default());
        hash.update("\n");
    }
    HEXLOWER.encode(&hash.finalize()[..8])
}

/// Resources, and where they were looked for.
struct Listed {
    all: Vec<Resource>,
    place: String,
}

impl App {
    /// What is around a page's own content.
    pub fn frame(&self, title: &str) -> Frame<'_> {
        Frame::new(self.session.base(), self.session.form_token(), title)
    }

    /// The address of a resource's page.
    pub fn address(&self, resource: &Resource) -> String {
        view::address(self.session.base(), resource)
    }

    /// The resource that an address names.
    ///
    /// # Errors
    /// As [`Cluster::find`](crate::plugin::cluster::Cluster::find); when there is none.
    pub async fn find(&self, which: &Which) -> Result<Resource, PluginError> {
        let Which { namespace, name } = which;
        let found = match is_name(namespace) && is_name(name) {
            true => self.cluster.find(namespace, name).await?,
            // Else it would be another address of the API server.
            false => None,
        };
        found.ok_or_else(|| PluginError::NotFound {
            name: name.clone(),
            namespace: namespace.clone(),
            there: "it may have been deleted".into(),
        })
    }

    async fn list(&self) -> Result<Listed, PluginError> {
        let cluster = &self.cluster;
        if let Some(namespace) = &self.only_namespace {
            return Ok(Listed {
                all: cluster.list(Some(namespace), None).await?,
                place: format!("Namespace {namespace}."),
            });
        }
        match cluster.list(None, None).await {
            Ok(all) => Ok(Listed {
                all,
                place: "All namespaces.".into(),
            }),
            // Many may look into their own namespace alone.
            Err(PluginError::Forbidden { .. }) => Ok(Listed {
                all: cluster.list(Some(&cluster.namespace), None).await?,
                place: format!(
                    "Namespace {} alone: your kubeconfig may not list DirectorySyncs in all namespaces. \
                     Another namespace: kubectl directorysync ui -n NAME.",
                    cluster.namespace
                ),
            }),
            Err(error) => Err(error),
        }
    }

    /// A page, or in words why there is none.
    pub fn answer(&self, page: Result<Markup, PluginError>) -> Response {
        match page {
            Ok(page) => Html(page.into_string()).into_response(),
            Err(error) => self.failed(&error, None),
        }
    }

    /// Why something couldn't be shown, or done with this resource.
    pub fn failed(&self, error: &PluginError, which: Option<&Which>) -> Response {
        let is_there = |which: &&Which| {
            let is_known = !matches!(error, PluginError::NotFound { .. });
            is_known && is_name(&which.namespace) && is_name(&which.name)
        };
        let back = which.filter(is_there).map(|which| {
            let name = format!("{}/{}", which.namespace, which.name);
            (format!("{}/{name}", self.session.base()), name)
        });
        let frame = self.frame("Not possible");
        let page = view::problem(&frame, &explain(error), back.as_ref());
        (status(error), Html(page.into_string())).into_response()
    }

    /// What the script asks for: whether there is something new.
    fn state(&self, version: Result<String, PluginError>) -> Response {
        match version {
            Ok(version) => Json(json!({ "version": version })).into_response(),
            Err(error) => (status(&error), Json(json!({"error": explain(&error)}))).into_response(),
        }
    }
}

fn status(error: &PluginError) -> StatusCode {
    match error {
        PluginError::Forbidden { .. } => StatusCode::FORBIDDEN,
        PluginError::NotFound { .. } => StatusCode::NOT_FOUND,
        PluginError::NotNow(_) | PluginError::Usage(_) => StatusCode::CONFLICT,
        // What is behind this page failed.
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// Whether this can be the name of a namespace or a resource.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    (1..=253).contains(&text.len()) && text.chars().all(fits) && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn what_isnt_a_name_never_becomes_part_of_another_address() {
        for name in ["staff", "a", "a-1.b"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for other in [
            "",
            "../secrets",
            "a/b",
            "a?b",
            "A",
            "a%2f",
            "a..b",
            "..",
            "ü",
            &long,
        ] {
            assert!(!is_name(other), "{other}");
        }
    }
}
