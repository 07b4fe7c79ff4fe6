//! The box that asks about somebody, and what the operator said.

use maud::{Markup, html};

use super::{Frame, above, address, foreign};
use crate::plugin::resource::Resource;
use crate::plugin::ui::routes::Explained;

/// The box, and the last answer.
pub fn explanation(frame: &Frame<'_>, resource: &Resource, answer: Option<&Explained>) -> Markup {
    let content = html! {
        (question(frame, resource, answer.map_or("", |answer| &answer.about)))
        @if let Some(answer) = answer {
            section aria-labelledby="answer" {
                h2 id="answer" { "About " (foreign(&answer.about)) }
                // Cleaned line by line where it is written.
                pre.answer tabindex="0" { (answer.text) }
            }
        }
    };
    frame.page(&above(frame, resource), &content)
}

/// The form that asks.
pub fn question(frame: &Frame<'_>, resource: &Resource, about: &str) -> Markup {
    html! {
        form.search method="post" action={ (address(frame.base, resource)) "/explain" } {
            input type="hidden" name="token" value=(frame.token);
            p {
                label for="about" { "Why is somebody a member, or isn't? An email, an ID, a DN or a group" }
                input id="about" name="about" type="text" required maxlength="1024" value=(about);
            }
            p { button type="submit" { "Explain" } }
        }
        p { "The operator reads both sides and changes nothing. That takes as long as a run does." }
    }
}
