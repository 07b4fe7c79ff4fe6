//! What every command prints, into a pipe and on a terminal of 80 columns.

use std::path::Path;

use directory_sync_testing::command::{program, run};
use directory_sync_testing::screens::{Screens, on_terminal};

const FILES: &str = "-f staff.yaml -f secrets.yaml";

/// The commands in the order in which somebody gives them who has no member yet but one who left.
const COMMANDS: [(&str, &str); 16] = [
    ("adopt", "adopt --from data.json --out adopted"),
    ("check", "check FILES"),
    ("plan", "plan -q FILES"),
    ("plan-by-person", "plan -q FILES --order person"),
    ("explain-newcomer", "explain -q FILES ada@example.com"),
    ("explain-held", "explain -q FILES leaver@example.com"),
    ("explain-nobody", "explain -q FILES adda@example.com"),
    ("history-none", "history FILES"),
    // On the terminal the changes are made already.
    ("sync", "sync -q FILES --yes"),
    ("history", "history FILES --group engineering"),
    ("explain-member", "explain -q FILES ada@example.com"),
    ("explain-group", "explain -q FILES engineering"),
    ("collections", "collections FILES"),
    ("undo-shown", "undo -q FILES --last --dry-run"),
    // On the terminal they are made already, too.
    ("undo", "undo -q FILES --last --yes"),
    ("healthy-not", "healthy --url http://127.0.0.1:1"),
];

#[tokio::test]
async fn every_command_fits_80_columns_on_a_terminal_and_is_plain_in_a_pipe() {
    let lab = crate::collections::lab().await.with_leaver();
    let settings = crate::adopt::settings(&lab).to_string();
    let port = lab.slapd.port().to_string();
    lab.write("data.json", &settings);
    let screens = Screens::of(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/screens"));
    let mut screens = screens.with(&port, "38900");
    let state = lab.path(".state");
    let variables = [
        ("XDG_STATE_HOME", state.as_path()),
        ("KUBECONFIG", Path::new("none.yaml")),
    ];
    for (name, words) in COMMANDS {
        let words = words.replace("FILES", FILES);
        let command = format!("directory-sync {words}");
        let nowhere = [("KUBECONFIG", "none.yaml")];
        let piped = lab.run_with(&words, &nowhere).await;
        if name == "adopt" {
            std::fs::remove_dir_all(lab.path("adopted")).unwrap();
        }
        screens.show(&format!("{name}.pipe"), &command, &piped);
        let line = format!("{} {words}", program().display());
        let shown = on_terminal(&line, &lab.path("."), &variables).await;
        screens.show(&format!("{name}.terminal"), &command, &shown);
    }
    screens.finish();
}

/// The CustomResourceDefinition is as it stands in the repository, also on a terminal.
#[tokio::test]
async fn the_definition_is_the_one_that_is_published() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let published =
        std::fs::read_to_string(here.join("crds/directorysync.dev_directorysyncs.yaml")).unwrap();
    let piped = run(here, "crds", &[]).await.ends_with(0);
    assert!(piped.stdout == published, "see hack/check-generated");
    assert_eq!(piped.stderr, "");
    let line = format!("{} crds", program().display());
    let shown = on_terminal(&line, here, &[]).await.ends_with(0);
    assert!(shown.stdout == published);
}

/// Whoever adds a command adds a screen of it.
#[tokio::test]
async fn every_command_has_a_screen() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let help = run(here, "--help", &[]).await.ends_with(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    // A name stands two columns in, what it does further right.
    let names = commands.lines().filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        let is_of = |(_, words): &(&str, &str)| words.split(' ').next() == Some(name);
        // The operator logs, and prints nothing; the definition has a test of its own.
        let has = COMMANDS.iter().any(is_of) || ["operator", "crds", "help"].contains(&name);
        assert!(has, "{name} has no screen");
    }
}
