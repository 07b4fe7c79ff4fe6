//! The page's HTML. Everything works without the script, which only says when there is something new and
//! makes a plan searchable.
//!
//! Text of a directory or an organization stays text: the templates escape it, [`foreign`] takes out
//! characters that change how others are shown and keeps its direction to itself, and the policy of
//! [`session`](super::session) allows no script but the page's own.

mod detail;
mod explanation;
mod forms;
mod history;
mod list;
mod plan;
mod undo;

use maud::{DOCTYPE, Markup, html};

pub use detail::detail;
pub use explanation::explanation;
pub use forms::{ask, ask_to_approve};
pub use history::{Search, history};
pub use list::list;
pub use plan::plan;
pub use undo::{ask_to_undo, undo, undone};

use crate::plugin::resource::{Resource, State};
use crate::plugin::time::{ago, exact};
use crate::sync::render::{HTML_SCRIPT, HTML_STYLE};
use crate::text::{one_line, visible};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The page's own style; that of plans comes before it.
const OWN_STYLE: &str = include_str!("page.css");
/// Says when there is something new.
const OWN_SCRIPT: &str = include_str!("page.js");

/// The whole style.
pub fn style() -> String {
    format!("{HTML_STYLE}\n{OWN_STYLE}")
}

/// The page's script.
pub fn script() -> &'static str {
    OWN_SCRIPT
}

/// The script of pages with a plan: search, filters, sorting.
pub fn plan_script() -> &'static str {
    HTML_SCRIPT
}

/// What is around the content of a page.
pub struct Frame<'a> {
    base: &'a str,
    token: &'a str,
    title: String,
    watched: Option<(String, String)>,
    said: Option<&'static str>,
    has_plan: bool,
}

impl<'a> Frame<'a> {
    /// A page of this title; addresses begin with `base`, and forms carry `token`.
    pub fn new(base: &'a str, token: &'a str, title: &str) -> Self {
        Self {
            base,
            token,
            title: title.to_owned(),
            watched: None,
            said: None,
            has_plan: false,
        }
    }

    /// The script asks at this address whether it is still this version.
    #[must_use]
    pub fn watching(mut self, address: String, version: String) -> Self {
        self.watched = Some((address, version));
        self
    }

    /// Says first what was done.
    #[must_use]
    pub fn saying(mut self, what: Option<&'static str>) -> Self {
        self.said = what;
        self
    }

    fn page(&self, above: &Markup, content: &Markup) -> Markup {
        let base = self.base;
        let (watched, version) = match &self.watched {
            Some((address, version)) => (Some(address), Some(version)),
            None => (None, None),
        };
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(&self.title, html! {
                    link rel="stylesheet" href={ (base) "/page.css" };
                    script src={ (base) "/page.js" } defer {}
                    @if self.has_plan { script src={ (base) "/plan.js" } defer {} }
                }))
                body data-watch=[watched] data-version=[version] {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        nav aria-label="Where you are" {
                            ol.path {
                                li { a href={ (base) "/" } { "DirectorySyncs" } }
                                (above)
                            }
                        }
                        p #news role="status" {}
                    }
                    main id="main" tabindex="-1" {
                        h1 { (foreign(&self.title)) }
                        @if let Some(said) = self.said { p.said role="status" { (said) } }
                        (content)
                    }
                }
            }
        }
    }
}

fn head(title: &str, more: Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (plain(title)) " – directory sync" }
            (more)
        }
    }
}

/// What a request gets that isn't let in: nothing of the cluster, and no address of the page.
pub fn stranger(why: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Not answered", html! {}))
            body {
                main {
                    h1 { "Not answered" }
                    p { (why) }
                }
            }
        }
    }
}

/// Why something can't be shown or done. `back` is the address and the name of the resource that it is about.
pub fn problem(frame: &Frame<'_>, why: &str, back: Option<&(String, String)>) -> Markup {
    let content = html! {
        p.problem role="alert" { (foreign(why)) }
        @match back {
            Some((address, name)) => p { a href=(address) { "Back to " (name) } },
            None => p { a href={ (frame.base) "/" } { "All DirectorySyncs" } },
        }
    };
    let above = html! {
        @if let Some((address, name)) = back { li { a href=(address) { (name) } } }
    };
    frame.page(&above, &content)
}

/// The address of a resource's page.
pub fn address(base: &str, resource: &Resource) -> String {
    // Names of the API server have no characters that mean something in an address.
    format!("{base}/{}/{}", resource.namespace(), resource.name())
}

/// A link to a resource, for the way to where one is.
fn above(frame: &Frame<'_>, resource: &Resource) -> Markup {
    html! {
        li { a href=(address(frame.base, resource)) { (resource.full_name()) } }
    }
}

/// A remote side's text on one line, without characters that change how others are shown.
fn plain(text: &str) -> String {
    one_line(&visible(text))
}

/// The same in its own direction.
fn foreign(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// The state in words, in the colour of what it means.
fn state(resource: &Resource) -> Markup {
    let meaning = match resource.state() {
        State::InSync => "good",
        State::Stalled | State::Failing => "bad",
        State::Held | State::Problems | State::NotSeen => "care",
        State::Waiting | State::Syncing | State::Preview => "under-way",
        State::Suspended => "off",
    };
    html! { span.state.(meaning) { (plain(&resource.state_in_words())) } }
}

/// `3m ago`, with the exact time.
fn when(time: Option<&Time>, now: Timestamp) -> Markup {
    match time {
        None => html! { "never" },
        Some(at) => html! {
            time datetime=(at.0) title=(exact(at)) { (ago(Some(at), now)) }
        },
    }
}

/// A number, or that it isn't known.
fn number(number: Option<i64>) -> Markup {
    match number {
        Some(number) => html! { (number) },
        None => html! { span aria-label="not known" { "–" } },
    }
}
