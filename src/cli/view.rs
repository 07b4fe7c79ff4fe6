//! A plan on standard output, as it was asked for.

use super::args::{OrderArg, OutputArg, ViewArgs};
use super::output::width;
use crate::sync::render::{
    MarkdownOptions, Order, PlanDocument, Selection, TableOptions, html, json, markdown,
    table_in_parts,
};
use crate::text::escaped_json;

/// Rows of each list, and members of each group, that a terminal shows unless it is asked for more.
const ROWS: usize = 50;
/// Members of a group on each side that Markdown names where its length is limited.
const MEMBERS: usize = 50;

/// The plan of the resource of this name in the form that was asked for.
pub fn view(document: PlanDocument<'_>, title: &str, args: &ViewArgs) -> String {
    let mut all = String::new();
    view_in_parts(document, title, args, &mut |part| all.push_str(part));
    all
}

/// The same, given to `take` in parts.
pub fn view_in_parts(
    document: PlanDocument<'_>,
    title: &str,
    args: &ViewArgs,
    take: &mut dyn FnMut(&str),
) {
    let document = document.select(&Selection {
        people: args.person.clone(),
        groups: args.group.clone(),
        actions: args.action.clone(),
    });
    match args.output {
        OutputArg::Table => {
            table_in_parts(&document, &table_options(args.all, args.order), take);
        }
        OutputArg::Json => {
            take(&escaped_json(&json(&document)));
            take("\n");
        }
        OutputArg::Markdown => take(&markdown(
            &document,
            match args.max_bytes {
                None => MarkdownOptions::WHOLE,
                Some(max_bytes) => MarkdownOptions {
                    max_bytes,
                    members: MEMBERS,
                },
            },
        )),
        OutputArg::Html => take(&html(&document, title)),
    }
}

/// A table fits the terminal; elsewhere nothing is cut or wrapped.
pub fn table_options(all: bool, order: OrderArg) -> TableOptions {
    let width = width();
    TableOptions {
        width,
        rows: match width {
            Some(_) if !all => ROWS,
            _ => usize::MAX,
        },
        order: match order {
            OrderArg::Action => Order::Action,
            OrderArg::Person => Order::Person,
            OrderArg::Group => Order::Group,
        },
        all_by: "--all",
    }
}
