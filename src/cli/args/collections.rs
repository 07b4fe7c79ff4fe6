use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::ManifestArgs;
use crate::organization::COLLECTION_EXTERNAL_ID_MAX;
use crate::text::plain;

#[derive(Debug, Args)]
pub struct CollectionsArgs {
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// Give a collection an external id first, or with nothing after the = take it away; can be repeated. Nothing is
    /// set where another collection has it, or the collection has one and --replace isn't there
    #[arg(help_heading = super::OPTIONS, long, value_name = "ID=EXTERNAL_ID", value_parser = external_id)]
    pub set_external_id: Vec<ExternalIdArg>,
    /// Replace the external ids that collections have already
    #[arg(help_heading = super::OPTIONS, long, requires = "set_external_id")]
    pub replace: bool,
    /// table or json
    #[arg(help_heading = super::OPTIONS, short, long, value_enum, default_value_t = CollectionsOutput::Table, value_name = "FORM", hide_possible_values = true)]
    pub output: CollectionsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CollectionsOutput {
    Table,
    Json,
}

/// What a collection is to be called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdArg {
    pub collection: Uuid,
    /// `None`: nothing any more.
    pub external_id: Option<String>,
}

fn external_id(text: &str) -> Result<ExternalIdArg, String> {
    let (id, external_id) = text
        .split_once('=')
        .ok_or("write the collection's id, =, and the external id: 9c1f…=infra")?;
    let collection = id
        .trim()
        .parse()
        .map_err(|_| "before the = stands the collection's id, as the list has it")?;
    let external_id = external_id.trim();
    if external_id.chars().count() > COLLECTION_EXTERNAL_ID_MAX {
        return Err(format!(
            "Bitwarden takes external ids of at most {COLLECTION_EXTERNAL_ID_MAX} characters"
        ));
    }
    if plain(external_id) != external_id {
        return Err(
            "an external id has no control characters, and none that don't show or that change how others do".into(),
        );
    }
    Ok(ExternalIdArg {
        collection,
        external_id: Some(external_id.to_owned()).filter(|id| !id.is_empty()),
    })
}
