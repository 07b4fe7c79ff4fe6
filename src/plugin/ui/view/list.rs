//! All resources.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{Frame, address, number, state, when};
use crate::plugin::resource::Resource;

/// A table of resources, those that need somebody first.
pub fn list(frame: &Frame<'_>, resources: &[Resource], place: &str, now: Timestamp) -> Markup {
    let mut sorted: Vec<&Resource> = resources.iter().collect();
    sorted.sort_by_key(|resource| (!resource.state().needs_somebody(), resource.full_name()));
    let content = html! {
        p { (place) }
        @if resources.is_empty() {
            p { "There is no DirectorySync here yet." }
        } @else {
            div.wide tabindex="0" role="region" aria-label="DirectorySyncs" {
                table.list {
                    caption { (count(resources.len())) }
                    thead { tr {
                        th scope="col" { "Name" }
                        th scope="col" { "State" }
                        th scope="col" { "Members" }
                        th scope="col" { "Groups" }
                        th scope="col" { "Held" }
                        th scope="col" { "Problems" }
                        th scope="col" { "Last sync" }
                        th scope="col" { "Next" }
                    } }
                    tbody { @for resource in sorted { (row(frame, resource, now)) } }
                }
            }
        }
    };
    frame.page(&html! {}, &content)
}

fn count(resources: usize) -> String {
    match resources {
        1 => "1 DirectorySync".into(),
        more => format!("{more} DirectorySyncs, those that need somebody first"),
    }
}

fn row(frame: &Frame<'_>, resource: &Resource, now: Timestamp) -> Markup {
    let status = &resource.status;
    let organization = status.organization.as_ref();
    let held = status.held_removals.as_ref().map_or(0, |held| held.total);
    html! {
        tr {
            th scope="row" {
                a href=(address(frame.base, resource)) { (resource.full_name()) }
            }
            td data-label="State" { (state(resource)) }
            td data-label="Members" { (number(resource.members())) }
            td data-label="Groups" { (number(organization.and_then(|sizes| sizes.managed_groups))) }
            td data-label="Held" { (held) }
            td data-label="Problems" { (resource.problems()) }
            td data-label="Last sync" { (when(status.last_sync_time.as_ref(), now)) }
            td data-label="Next" { (resource.next_sync(now)) }
        }
    }
}
