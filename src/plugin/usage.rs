//! What is wrong with a command line, with a tip where the other program was meant.

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, Error};

use crate::cli::args::CommandLine;

/// Puts a tip of ours in place of clap's: commands and options of `directory-sync`, which reads manifests, are easily
/// typed after `kubectl directorysync`, which knows the resources of a cluster.
pub fn with_tip(mut error: Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let elsewhere = |name: &str| CommandLine::command().find_subcommand(name).is_some();
    let tip = match (
        text(ContextKind::InvalidSubcommand),
        text(ContextKind::InvalidArg),
    ) {
        (Some(name), _) if elsewhere(&name) => {
            format!("{name} is a command of directory-sync: directory-sync {name} --help")
        }
        (_, Some(option)) if ["-f", "--filename"].contains(&option.as_str()) => {
            "manifests are read by directory-sync: directory-sync plan -f FILE. Here a resource is named as the \
             cluster has it"
                .to_owned()
        }
        _ => return error,
    };
    for kind in [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedCommand,
        ContextKind::SuggestedArg,
    ] {
        error.remove(kind);
    }
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::plugin::args;

    fn said(words: &[&str]) -> String {
        let words = [&["kubectl-directorysync"], words].concat();
        let error = args::CommandLine::try_parse_from(words).unwrap_err();
        with_tip(error).to_string()
    }

    #[test]
    fn what_belongs_to_the_other_program_is_told_by_its_name() {
        let check = said(&["check"]);
        assert!(
            check.contains("check is a command of directory-sync"),
            "{check}"
        );
        for line in [
            &["plan", "-f", "staff.yaml"][..],
            &["sync", "--filename", "x"],
        ] {
            let file = said(line);
            assert!(file.contains("directory-sync plan -f FILE"), "{file}");
            assert!(!file.contains("as a value"), "{file}");
        }
        // Others keep the tips that clap has.
        let near = said(&["statu"]);
        assert!(
            near.contains("status") && !near.contains("directory-sync"),
            "{near}"
        );
    }
}
