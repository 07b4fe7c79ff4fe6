//! What every command prints, into a pipe and on a terminal of 80 columns.

use std::path::Path;

use directory_sync_testing::command::program;
use directory_sync_testing::screens::{Screens, on_terminal};

use crate::lab::Lab;

const FILES: &str = "-f staff.yaml -f secrets.yaml";

/// The commands in the order in which somebody gives them who has no member yet but one who left.
const COMMANDS: [(&str, &str); 11] = [
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
];

#[tokio::test]
async fn every_command_fits_80_columns_on_a_terminal_and_is_plain_in_a_pipe() {
    let lab = Lab::new().await.with_leaver();
    let mut screens = Screens::of(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/screens"));
    let state = lab.path(".state");
    for (name, words) in COMMANDS {
        let words = words.replace("FILES", FILES);
        let command = format!("directory-sync {words}");
        let piped = lab.run(&words).await;
        screens.show(&format!("{name}.pipe"), &command, &piped);
        let line = format!("{} {words}", program().display());
        let shown = on_terminal(&line, &lab.path("."), &[("XDG_STATE_HOME", &state)]).await;
        screens.show(&format!("{name}.terminal"), &command, &shown);
    }
    screens.finish();
}
