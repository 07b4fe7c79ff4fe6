//! Runs what pages say, in the order in which they say it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::blocks::{Mark, all, of_page};
use crate::scenes::Scene;

macro_rules! pages {
    ($($name:ident: $page:literal;)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                follow($page).await;
            }
        )*
    };
}

pages! {
    a_first_sync: "docs/first-sync.md";
    the_quickstart: "docs/quickstart.md";
    active_directory: "docs/active-directory.md";
    alerts: "docs/alerts.md";
    argo_cd: "docs/argo-cd.md";
    entra_id: "docs/entra-id.md";
    explain: "docs/explain.md";
    flux: "docs/flux.md";
    history: "docs/history.md";
    ldap: "docs/ldap.md";
    okta: "docs/okta.md";
    one_login: "docs/onelogin.md";
    recipes: "docs/recipes.md";
    safety: "docs/safety.md";
    signals: "docs/signals.md";
    the_plugin: "docs/kubectl-plugin.md";
    the_reference: "docs/reference/directorysync.md";
    troubleshooting: "docs/troubleshooting.md";
    without_kubernetes: "docs/without-kubernetes.md";
}

#[test]
fn every_page_with_commands_to_run_is_followed() {
    let pages: BTreeSet<String> = all()
        .into_iter()
        .filter(|(_, block)| matches!(block.mark, Some(Mark::Run { .. })))
        .map(|(page, _)| page.to_str().unwrap().to_owned())
        .collect();
    let followed: BTreeSet<String> = PAGES.iter().map(|&page| page.to_owned()).collect();
    assert_eq!(pages, followed);
}

/// Runs the blocks of each scene of a page, in their order.
async fn follow(page: &str) {
    let blocks = of_page(page);
    let mut scenes: Vec<(String, Scene)> = vec![];
    let mut count = 0;
    for block in &blocks {
        let Some(Mark::Run {
            scene,
            exit_code,
            prints_this,
        }) = &block.mark
        else {
            continue;
        };
        if !scenes.iter().any(|(name, _)| name == scene) {
            let set = Scene::set(scene, page).await;
            scenes.push((scene.clone(), set));
        }
        let (_, scene) = scenes.iter().find(|(name, _)| name == scene).unwrap();
        let script = scene.adapted(&block.script());
        assert!(!script.trim().is_empty(), "{page}: {}", block.text);
        let mut bash = Command::new("timeout");
        bash.args(["120", "bash", "-euo", "pipefail", "-c", &script])
            .current_dir(scene.folder())
            .env_clear()
            .envs(scene.environment())
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || bash.output().unwrap());
        let output = output.await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(
            output.status.code(),
            Some(*exit_code),
            "{page} says\n{script}\nand that said\n{said}"
        );
        if *prints_this {
            let printed = block.printed().into_iter();
            let printed: Vec<String> = printed.map(|line| scene.adapted(&line)).collect();
            if let Some(line) = first_that_is_not_printed(&printed, &said) {
                panic!("{page} says that\n{script}\nprints\n{line}\nand that said\n{said}");
            }
        }
        count += 1;
    }
    assert!(count > 0, "{page} has nothing to run");
    for (_, scene) in scenes {
        scene.end().await;
    }
}

/// The first of these lines that isn't in the output, after those before it. `…` stands for anything, and how many
/// spaces there are doesn't matter.
fn first_that_is_not_printed<'a>(lines: &'a [String], output: &str) -> Option<&'a str> {
    let tidy = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut output = output.lines().map(tidy);
    lines.iter().map(String::as_str).find(|line| {
        let wanted = tidy(line);
        wanted != "…" && !wanted.is_empty() && !output.any(|is| fits(&wanted, &is))
    })
}

fn fits(wanted: &str, is: &str) -> bool {
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = is.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for part in &parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty() || parts.last().is_some_and(|last| last.is_empty())
}

#[test]
fn of_what_a_page_shows_nothing_is_missing_or_in_another_order() {
    let output = "plan: 3 Invite\n  a@x   new in  the directory\n  b@x  gone\n";
    let missing = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        first_that_is_not_printed(&lines, output).map(str::to_owned)
    };
    assert_eq!(missing(&["plan: … Invite", "…", "", "b@x gone"]), None);
    assert_eq!(missing(&["  a@x  new in the …"]), None);
    assert_eq!(
        missing(&["b@x gone", "plan: 3 Invite"]).as_deref(),
        Some("plan: 3 Invite")
    );
    assert_eq!(missing(&["plan: 3"]).as_deref(), Some("plan: 3"));
    assert_eq!(missing(&["plan: 4 …"]).as_deref(), Some("plan: 4 …"));
}
