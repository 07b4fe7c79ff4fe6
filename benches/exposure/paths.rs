//! By which way leavers lost access, from the operator's log: by the fast lane or by a run, and what happened
//! meanwhile to those who waited longest.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::leavers::Leaver;

/// Of so many the whole path is printed.
const SLOWEST: usize = 5;
/// So much of a line is enough to know what happened.
const FIELDS: [&str; 7] = [
    "leaver", "why", "trigger", "email", "id", "people", "result",
];

/// The lines of an operator's log.
pub struct Log(Vec<Line>);

struct Line {
    at: Timestamp,
    fields: Value,
}

impl Log {
    /// As it was written, a JSON object a line.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let fields: Value = serde_json::from_str(line).ok()?;
            let at = fields["timestamp"].as_str()?.parse().ok()?;
            Some(Line { at, fields })
        });
        Self(lines.collect())
    }

    /// What made the change that took somebody's access away.
    fn trigger(&self, email: &str) -> Option<&str> {
        let line = self.0.iter().find(|line| {
            let fields = &line.fields;
            fields["target"] == "audit" && fields["action"] == "Revoke" && fields["email"] == email
        })?;
        line.fields["trigger"].as_str()
    }

    /// How many lost access by which trigger, and the longest that took.
    pub fn ways(&self, revoked: &[Leaver]) -> String {
        let mut ways: Vec<(&str, usize, f64)> = vec![];
        for leaver in revoked {
            let trigger = self.trigger(&leaver.email).unwrap_or("(unknown)");
            let took = leaver.took.as_secs_f64();
            match ways.iter_mut().find(|(known, ..)| *known == trigger) {
                Some((_, count, longest)) => {
                    *count += 1;
                    *longest = longest.max(took);
                }
                None => ways.push((trigger, 1, took)),
            }
        }
        let ways: Vec<String> = ways
            .iter()
            .map(|(way, count, longest)| format!("{way}: {count} (longest {longest:.2} s)"))
            .collect();
        ways.join(", ")
    }

    /// What the operator did while those waited who waited longest.
    pub fn print_slowest(&self, name: &str, revoked: &[Leaver]) {
        for leaver in revoked.iter().rev().take(SLOWEST) {
            let took = leaver.took.as_secs_f64();
            println!("{name}: {} waited {took:.2} s", leaver.email);
            let length = SignedDuration::try_from(leaver.took).unwrap_or(SignedDuration::MAX);
            // The runs that were under way already matter, too.
            let before = SignedDuration::from_secs(3);
            let during = self.0.iter().filter(|line| {
                let since = line.at.duration_since(leaver.left);
                -before <= since && since <= length + SignedDuration::from_millis(200)
            });
            for line in during {
                let since = line.at.duration_since(leaver.left).as_secs_f64();
                let message = line.fields["message"].as_str().unwrap_or_default();
                let more: Vec<String> = FIELDS
                    .iter()
                    .filter_map(|name| Some(format!("{name}={}", line.fields.get(*name)?)))
                    .collect();
                println!("  {since:>7.2} s  {message}  {}", more.join(" "));
            }
        }
    }
}
