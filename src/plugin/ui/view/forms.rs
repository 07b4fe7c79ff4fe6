//! What an action does, with the button that does it.

use maud::{Markup, html};

use super::{Frame, above, address, foreign};
use crate::plugin::approve::{Held, Shown};
use crate::plugin::resource::Resource;
use crate::plugin::ui::actions::Action;
use crate::sync::render::html_held;

/// Says what an action does, and asks.
pub fn ask(frame: &Frame<'_>, action: Action, resource: &Resource) -> Markup {
    let owner = match action {
        Action::Suspend | Action::Resume => resource.owner(),
        Action::Approve | Action::Sync => None,
    };
    let content = html! {
        p { (action.effect(resource)) }
        @if let Some(owner) = owner {
            p.warning {
                "The resource is managed by " (owner) ", which may turn this back: change spec.suspend at its \
                 source, too."
            }
        }
        (form(frame, action, resource, &html! {}, action.label()))
    };
    frame.page(&above(frame, resource), &content)
}

/// Shows everything that would be approved, and asks.
pub fn ask_to_approve(mut frame: Frame<'_>, resource: &Resource, held: &Held) -> Markup {
    frame.has_plan = matches!(held.shown, Shown::Plan(_));
    let button = match held.total {
        1 => "Let this held change go ahead".into(),
        total => format!("Let these {total} held changes go ahead"),
    };
    let digest = html! { input type="hidden" name="digest" value=(held.digest); };
    let content = html! {
        p { (Action::Approve.effect(resource)) }
        @match &held.shown {
            Shown::Plan(published) => (html_held(&published.document)),
            Shown::Sample { why, sample, unreadable } => {
                p { (foreign(why)) }
                ul {
                    @for one in sample { li { (foreign(one)) } }
                    @if let Some(unreadable) = unreadable { li { (foreign(unreadable)) } }
                }
            }
        }
        @if held.is_whole {
            (form(&frame, Action::Approve, resource, &digest, &button))
        } @else {
            p.warning {
                "Not all of the " (held.total) " held changes can be shown here, and nothing is approved that \
                 wasn't seen. Look at them where the plan can be read (the right to get configmaps, or secrets \
                 with planStorage: Secret), then approve them with their digest:"
            }
            p { code {
                "kubectl directorysync approve " (resource.name()) " -n " (resource.namespace())
                " --digest " (held.digest)
            } }
        }
    };
    frame.page(&above(&frame, resource), &content)
}

fn form(
    frame: &Frame<'_>,
    action: Action,
    resource: &Resource,
    fields: &Markup,
    button: &str,
) -> Markup {
    let here = address(frame.base, resource);
    html! {
        form method="post" action={ (here) "/do/" (action.word()) } {
            input type="hidden" name="token" value=(frame.token);
            (fields)
            p.buttons {
                button type="submit" { (button) }
                " "
                a.button href=(here) { "Cancel" }
            }
        }
    }
}
