//! The published plan, with search and filters.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{Frame, above, foreign};
use crate::plugin::plan::eligibility;
use crate::plugin::published::{Published, age};
use crate::plugin::resource::Resource;
use crate::sync::render::html_body;

/// The plan that the operator published last.
pub fn plan(
    mut frame: Frame<'_>,
    resource: &Resource,
    published: Option<&Published>,
    now: Timestamp,
) -> Markup {
    frame.has_plan = published.is_some();
    let content = html! {
        @match published {
            None => p { "There is no plan: no run had anything to do yet." },
            Some(published) => {
                p {
                    "The plan of the last run that had anything to do, "
                    (age(published.written.as_ref(), now)) "; " (eligibility(resource)) "."
                }
                @if let Some(warning) = published.warning(resource) { p.warning { (foreign(&warning)) } }
                (html_body(&published.document))
            }
        }
    };
    frame.page(&above(&frame, resource), &content)
}
