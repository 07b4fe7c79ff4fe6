//! Rows, and how they stand to the aims.

use std::time::Duration;

use crate::bitwarden::Requests;
use crate::machine::{Measured, mib};

/// The size that the aims are about.
const AIMED_AT: u32 = 100_000;

#[derive(Default)]
pub struct Report(Vec<(u32, Row)>);

/// One program, or a stretch of one.
pub struct Row {
    pub name: &'static str,
    pub measured: Measured,
    pub requests: Option<Requests>,
}

impl Report {
    pub fn add(&mut self, people: u32, row: Row) {
        self.0.push((people, row));
    }

    pub fn print_size(&self, people: u32) {
        println!("\n{people} people, {} groups\n", people / 20);
        println!(
            "| {:29} | {:>9} | {:>9} | {:>9} | {:>9} | {:>9} | {:>14} |",
            "", "wall", "CPU", "others'", "peak", "at end", "requests"
        );
        println!(
            "|{:-<31}|{}",
            "",
            "----------:|".repeat(5) + "---------------:|"
        );
        for (_, row) in self.0.iter().filter(|(size, _)| *size == people) {
            let Measured {
                wall,
                cpu,
                peak,
                resident,
                others,
            } = row.measured;
            let requests = match row.requests {
                Some(Requests { all, writes: 0 }) => format!("{all}"),
                Some(Requests { all, writes }) => format!("{all}, {writes} write"),
                None => String::new(),
            };
            let resident = if resident == 0 {
                String::new()
            } else {
                memory(resident)
            };
            println!(
                "| {:29} | {:>9} | {:>9} | {:>9} | {:>9} | {resident:>9} | {requests:>14} |",
                row.name,
                time(wall),
                time(cpu),
                time(others),
                memory(peak),
            );
        }
    }

    /// The aims, for the largest size if that is the one they are about.
    pub fn print_aims(&self, binary: u64) {
        let size = self
            .0
            .iter()
            .map(|(size, _)| *size)
            .max()
            .unwrap_or_default();
        let find = |name: &str| {
            let mut rows = self.0.iter().filter(|(people, _)| *people == size);
            rows.find(|(_, row)| row.name == name).map(|(_, row)| row)
        };
        let aimed = if size == AIMED_AT {
            ""
        } else {
            " (the aims are for 100000)"
        };
        println!("\nAims, at {size} people{aimed}\n");
        println!(
            "| {:52} | {:>9} | {:>9} | {:6} |",
            "", "measured", "aim", ""
        );
        println!("|{:-<54}|----------:|----------:|--------|", "");
        let line = |what: &str, measured: f64, aim: f64, unit: &str| {
            let verdict = if measured <= aim { "met" } else { "missed" };
            println!(
                "| {what:52} | {:>9} | {:>9} | {verdict:6} |",
                format!("{measured:.1}{unit}"),
                format!("{aim}{unit}")
            );
        };
        if let (Some(floor), Some(plan)) = (find("ldapsearch (floor)"), find("plan")) {
            let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
            let (floor, plan) = (floor.measured, plan.measured);
            line(
                "CPU of read, resolve and plan, in floors",
                ratio(plan.cpu, floor.cpu),
                3.0,
                "x",
            );
            line(
                "wall of read, resolve and plan, in floors",
                ratio(plan.wall, floor.wall),
                2.5,
                "x",
            );
            line("peak memory of plan", mib(plan.peak), 150.0, " MiB");
        }
        for (name, what) in [
            ("sync, first", "peak memory of a first sync"),
            (
                "operator, first sync",
                "peak memory of the operator's first sync",
            ),
            (
                "operator, unchanged sync",
                "peak memory of the operator over both syncs",
            ),
        ] {
            if let Some(row) = find(name) {
                line(what, mib(row.measured.peak), 150.0, " MiB");
            }
        }
        if let Some(row) = find("operator, idle") {
            line(
                "memory of the operator without resources",
                mib(row.measured.resident),
                25.0,
                " MiB",
            );
        }
        for (name, what) in [
            ("explain", "wall of an explanation"),
            ("explain, a leaver", "wall of the explanation of a leaver"),
            ("operator, explain", "wall of an explanation in a cluster"),
        ] {
            if let Some(row) = find(name) {
                line(what, row.measured.wall.as_secs_f64(), 2.0, " s");
            }
        }
        let unchanged = find("operator, unchanged sync").and_then(|row| row.requests);
        if let Some(requests) = unchanged {
            line(
                "requests of the operator's unchanged sync",
                requests.all as f64,
                5.0,
                "",
            );
        }
        line("size of the program", mib(binary), 20.0, " MiB");
    }
}

fn time(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn memory(bytes: u64) -> String {
    format!("{:.1} MiB", mib(bytes))
}
