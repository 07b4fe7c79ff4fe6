//! kube-score, the linter of the field, over everything that the chart renders.

use std::collections::BTreeSet;
use std::process::Command;

use simulators::lab;

use crate::cluster::with_input;
use crate::helm::template_of;
use crate::rendered::SETS;

/// What it criticizes, where that is meant: a part of its words, the sets that it is about, and why.
const MEANT: [(&str, &[&str], &str); 5] = [
    (
        "CPU limit is not set",
        &SETS,
        "a run that is slowed down holds its memory for longer, and everybody else waits; what it may \
         take is bounded by concurrency, and a limit can be set",
    ),
    (
        "ImagePullPolicy is not set to Always",
        &["defaults", "high-availability", "minimal", "namespaced"],
        "tags of releases don't move, a digest can be set, and nodes start the operator while the \
         registry is down",
    ),
    (
        "The pod does not have a matching NetworkPolicy",
        &["defaults", "minimal", "namespaced"],
        "the addresses of directories and proxies aren't known here: a policy by default would break \
         an installation; networkPolicy.enabled makes one",
    ),
    (
        "Deployment does not have a host podAntiAffinity set",
        &["everything"],
        "the set spreads replicas by zone, with an affinity of its own",
    ),
    (
        "Deployment few replicas",
        &["defaults", "minimal", "namespaced"],
        "one replica that is restarted within seconds is enough for something that runs every quarter \
         of an hour; docs/installation.md says how to run two",
    ),
];

#[test]
fn the_linter_criticizes_nothing_but_what_is_meant() {
    let kube_score = lab::find("kube-score").unwrap();
    let mut used = BTreeSet::new();
    for set in SETS {
        let mut command = Command::new("sh");
        // It fails where it criticizes.
        let script = format!(
            "{} score --output-format ci - || true",
            kube_score.display()
        );
        let said = with_input(command.args(["-c", &script]), &template_of(set)).unwrap();
        assert!(said.lines().count() > 20, "{set}: {said}");
        for line in said.lines() {
            let is_fine = ["[OK]", "[SKIPPED]"]
                .iter()
                .any(|word| line.starts_with(word));
            if is_fine || line.trim().is_empty() {
                continue;
            }
            let meant = MEANT
                .iter()
                .position(|(words, sets, _)| line.contains(words) && sets.contains(&set));
            let meant = meant.unwrap_or_else(|| panic!("{set}: {line}"));
            used.insert((meant, set));
        }
    }
    for (number, (words, sets, _)) in MEANT.iter().enumerate() {
        for set in *sets {
            assert!(
                used.contains(&(number, *set)),
                "{set}: nothing says {words} any more"
            );
        }
    }
}
