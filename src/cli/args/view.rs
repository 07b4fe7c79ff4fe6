use clap::{Args, ValueEnum};

use crate::sync::plan::Kind;
use crate::sync::render::{NamePattern, action};

/// What is shown of a plan, and in which form.
#[derive(Debug, Clone, Args)]
pub struct ViewArgs {
    /// The form of the plan: table, json, markdown or html
    #[arg(
        help_heading = super::OPTIONS,
        short,
        long, value_enum, default_value_t = OutputArg::Table, hide_possible_values = true, value_name = "FORM")]
    pub output: OutputArg,
    /// Arrange a table by action, person or group
    #[arg(help_heading = super::OPTIONS, long, value_enum, default_value_t = OrderArg::Action, hide_possible_values = true, value_name = "ORDER")]
    pub order: OrderArg,
    /// Only about this person: an email, an ID, or *-pattern
    #[arg(help_heading = super::OPTIONS, long, value_name = "PERSON", value_parser = super::some_pattern)]
    pub person: Vec<NamePattern>,
    /// Only about this group: a name, an ID, or *-pattern
    #[arg(help_heading = super::OPTIONS, long, value_name = "GROUP", value_parser = super::some_pattern)]
    pub group: Vec<NamePattern>,
    /// Only these changes, such as Revoke,UpdateGroup
    #[arg(help_heading = super::OPTIONS, long, value_name = "ACTION", value_delimiter = ',', value_parser = action)]
    pub action: Vec<Kind>,
    /// Show every row on a terminal, as elsewhere
    #[arg(help_heading = super::OPTIONS, long)]
    pub all: bool,
    /// Cut Markdown to this length; a note says what is missing
    #[arg(help_heading = super::OPTIONS, long, value_name = "BYTES")]
    pub max_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    Table,
    Json,
    Markdown,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    Action,
    Person,
    Group,
}
