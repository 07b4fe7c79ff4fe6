//! What every command prints, into a pipe and on a terminal of 80 columns.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use directory_sync_testing::ran::Ran;
use directory_sync_testing::screens::{COLUMNS, Screens, on_terminal};
use directory_sync_testing::world::*;
use serde_json::json;
use simulators::organization::Config;

use crate::kubectl::{folder, plugin};
use crate::operator_logs::{deploy, kubelet};

/// What the operator's pod logged.
const LOG: &str = r#"{"timestamp":"2026-11-30T12:00:00Z","level":"INFO","namespace":"identity","directorysync":"staff","message":"sync starts","trigger":"First"}
{"timestamp":"2026-11-30T12:00:01Z","level":"INFO","namespace":"identity","directorysync":"staff","message":"sync ended","seconds":0.8,"changes":"11 Invite"}
"#;

fn screens(name: &str) -> Screens {
    Screens::of(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/plugin")
            .join(name),
    )
}

/// On the terminal, as kubectl would start it.
async fn on_a_terminal(world: &World, words: &str) -> Ran {
    let program = folder().join("kubectl-directorysync");
    let line = format!("{} {words} -n {}", program.display(), world.namespace);
    let kubeconfig: PathBuf = world.server().kubeconfig().to_owned();
    on_terminal(&line, folder(), &[("KUBECONFIG", &kubeconfig)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_fits_80_columns_on_a_terminal_and_is_plain_in_a_pipe() {
    let world = World::in_namespace("identity", Config::cloud()).await;
    let mut screens = screens("screens");
    let command = |words: &str| format!("kubectl directorysync {words} -n identity");
    let both = async |screens: &mut Screens, name: &str, words: &str| {
        let piped = plugin(&world, words).await;
        screens.show(&format!("{name}.pipe"), &command(words), &piped);
        let shown = on_a_terminal(&world, words).await;
        screens.show(&format!("{name}.terminal"), &command(words), &shown);
    };
    let terminal = async |screens: &mut Screens, name: &str, words: &str| {
        let mut shown = on_a_terminal(&world, words).await;
        // The states that are seen while somebody waits.
        shown.stderr.clear();
        screens.show(&format!("{name}.terminal"), &command(words), &shown);
    };
    world.resource("staff", json!({}));
    both(&mut screens, "status-unseen", "status staff").await;
    let operator = world.operator();
    world.until_ready("staff", "Succeeded").await;
    let long = "a-directory-of-everybody-who-works-for-the-company-in-all-of-its-countries";
    world.resource(long, json!({"suspend": true}));
    world.until_ready(long, "Suspended").await;

    both(&mut screens, "status", "status").await;
    both(&mut screens, "plan", "plan staff").await;
    both(&mut screens, "history", "history staff --person p03").await;
    both(&mut screens, "explain", "explain staff p03@example.com").await;
    both(
        &mut screens,
        "explain-nobody",
        "explain staff p3@example.com",
    )
    .await;

    world.leave(0..7);
    terminal(&mut screens, "sync", "sync staff --wait").await;
    both(&mut screens, "status-held", "status staff").await;
    both(&mut screens, "plan-held", "plan staff --order person").await;
    let unasked = plugin(&world, "approve staff").await;
    screens.show("approve-unasked.pipe", &command("approve staff"), &unasked);
    terminal(&mut screens, "approve", "approve staff --yes --wait").await;
    terminal(&mut screens, "suspend", "suspend staff").await;
    both(&mut screens, "sync-suspended", "sync staff").await;
    terminal(&mut screens, "resume", "resume staff").await;

    both(&mut screens, "undo-shown", "undo staff --last --dry-run").await;
    terminal(&mut screens, "undo", "undo staff --last --yes").await;
    let undone = "history staff --person p03 --since 1d";
    both(&mut screens, "history-undone", undone).await;
    // Until Ctrl-C.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let program = folder().join("kubectl-directorysync");
    let line = format!(
        "timeout --foreground --preserve-status -s INT 5 {} ui --no-browser --port {port}",
        program.display()
    );
    let kubeconfig: PathBuf = world.server().kubeconfig().to_owned();
    let shown = on_terminal(&line, folder(), &[("KUBECONFIG", &kubeconfig)]).await;
    let mut screens = screens.with(&port.to_string(), "41235");
    let ui = "kubectl directorysync ui --no-browser";
    screens.show("ui.terminal", ui, &shown);

    deploy(&world, kubelet(LOG.into()).await);
    let logs = "logs staff --operator-namespace identity";
    let logged = plugin(&world, logs).await;
    screens.show("logs.pipe", &command(logs), &logged);
    terminal(&mut screens, "logs", logs).await;
    operator.stop().await.unwrap();
    screens.finish();
}

#[tokio::test]
async fn help_fits_80_columns_wherever_it_is_read() {
    let mut screens = screens("help");
    let program = folder().join("kubectl-directorysync");
    for command in [
        "", "status", "plan", "explain", "history", "undo", "sync", "approve", "suspend", "resume",
        "logs", "ui",
    ] {
        let words = format!("{command} --help");
        let line = format!("{} {}", program.display(), words.trim());
        let shown = on_terminal(&line, folder(), &[]).await;
        let piped = tokio::process::Command::new(&program)
            .args(words.split_whitespace())
            .output();
        let piped = Ran::of(piped.await.unwrap());
        assert_eq!(shown.stdout, piped.stdout, "{command}");
        let longest = piped.stdout.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(COLUMNS), "{piped}");
        let name = if command.is_empty() {
            "kubectl-directorysync"
        } else {
            command
        };
        let line = format!("kubectl directorysync {}", words.trim());
        screens.show(name, &line, &piped);
    }
    screens.finish();
}

/// Whoever adds a command adds a screen of it.
#[tokio::test]
async fn every_command_has_a_screen() {
    let help = tokio::process::Command::new(folder().join("kubectl-directorysync"))
        .arg("--help")
        .output();
    let help = Ran::of(help.await.unwrap()).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    // A name stands two columns in, what it does further right.
    let names = commands.lines().filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 11, "{names:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin/screens");
    let files = std::fs::read_dir(folder).unwrap();
    let files: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in names {
        let is_of = |file: &String| {
            let rest = file
                .strip_prefix(name)
                .filter(|rest| rest.starts_with(['.', '-']));
            rest.is_some_and(|rest| rest.ends_with(".terminal.txt"))
        };
        assert!(files.iter().any(is_of), "{name} has no screen");
    }
}
