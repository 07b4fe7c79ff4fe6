use std::path::Path;

use crate::lab::run;

/// What fits a screen without scrolling, with room for the prompt.
const SCREEN: usize = 66;
/// The operator has a flag for each limit of the process, and its command line is written by the chart.
const OPERATOR: usize = 92;

#[tokio::test]
async fn help_says_what_it_said_before_or_somebody_meant_to_change_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help");
    for command in [
        "",
        "plan",
        "explain",
        "sync",
        "history",
        "undo",
        "check",
        "collections",
        "adopt",
        "operator",
        "healthy",
        "crds",
    ] {
        let ran = run(&folder, &format!("{command} --help"), &[])
            .await
            .ends_with(0);
        let lines = ran.stdout.lines().count();
        let most = if command == "operator" {
            OPERATOR
        } else {
            SCREEN
        };
        assert!(lines <= most, "{command} --help has {lines} lines");
        let longest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{command} --help: {ran}");
        let name = if command.is_empty() {
            "directory-sync"
        } else {
            command
        };
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_HELP").is_some() {
            std::fs::write(&path, &ran.stdout).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            ran.stdout, expected,
            "run with UPDATE_HELP=1 if this was meant to change"
        );
    }
}

#[tokio::test]
async fn the_version_and_the_definition_need_nothing_else() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));

    let version = run(here, "--version", &[]).await.ends_with(0).stdout;
    assert!(version.starts_with(concat!("directory-sync ", env!("CARGO_PKG_VERSION"))));

    run(here, "crds", &[])
        .await
        .ends_with(0)
        .prints("kind: CustomResourceDefinition");
}

#[tokio::test]
async fn what_a_script_leaves_empty_or_negative_is_refused_and_never_means_everything() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for line in [
        "plan -f x.yaml --person=",
        "plan -f x.yaml --group=",
        "history -f x.yaml --person=",
        "history -f x.yaml --group=",
        "history -f x.yaml --run=",
        "undo -f x.yaml --last --person=",
        "undo -f x.yaml --last --group=",
    ] {
        run(here, line, &[])
            .await
            .ends_with(1)
            .complains("is empty");
    }
    for since in ["--since=-7d", "--since -7d"] {
        let line = format!("history -f x.yaml {since}");
        let ran = run(here, &line, &[]).await.ends_with(1);
        ran.complains("write a time such as 7d");
    }
    let ran = run(here, "healthy --timeout=-1s", &[]).await.ends_with(1);
    ran.complains("write a length of time such as 90s");

    let long = format!("explain -f x.yaml {}", "x".repeat(10_000));
    let ran = run(here, &long, &[]).await.ends_with(1);
    assert!(ran.stderr.len() < 2_000, "{ran}");
}

#[tokio::test]
async fn a_misspelt_flag_is_refused_with_the_one_that_was_meant_and_never_looks_like_pending() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));

    let ran = run(here, "plan -f x.yaml --detailed-exit-code", &[])
        .await
        .ends_with(1);

    ran.complains("--detailed-exitcode");
}
