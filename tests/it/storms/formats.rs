//! The sum of outcomes is what was planned, in every format that a run writes.

use std::collections::BTreeMap;

use fleetstorm::measure::Counts;

use super::lab::Written;
use crate::run::{json, rows, sum};

/// Outcomes of a device by the name of their column.
const OUTCOMES: [&str; 5] = ["succeeded", "failed", "dropped", "not_started", "skipped"];

/// Stage, then column, then count.
type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// All formats say the same of every stage, and it adds up.
pub(super) fn add_up(written: &Written) {
    let expected: Table = written.totals.iter().map(|(stage, totals)| (stage.clone(), counts(totals))).collect();
    for (stage, counts) in &expected {
        let outcomes = OUTCOMES.iter().map(|outcome| counts[*outcome]).sum::<u64>();
        assert_eq!(outcomes, counts["planned"], "{stage}: {counts:?}");
    }
    let run = json(&written.file("run.json"));
    let all = |outcome: &str| expected.values().map(|counts| counts[outcome]).sum::<u64>();
    for outcome in OUTCOMES.into_iter().chain(["planned"]) {
        assert_eq!(run["totals"][outcome].as_u64(), Some(all(outcome)), "run.json: {outcome}");
    }
    let stages = run["stages"].as_array().unwrap().iter().map(|stage| {
        let count = |outcome: &&str| ((*outcome).to_owned(), stage["totals"][*outcome].as_u64().unwrap());
        (stage["name"].as_str().unwrap().to_owned(), OUTCOMES.iter().chain(&["planned"]).map(count).collect())
    });
    assert_eq!(stages.collect::<Table>(), expected, "run.json");
    assert_eq!(summary(written), expected, "summary.csv");
    assert_eq!(page(written), shown(&expected), "report.html");
    assert_eq!(console(&written.console), shown(&expected), "console");
    intervals(written, &expected);
    devices(written, &expected);
    certificates(written);
    skips(written, &expected);
}

fn counts(totals: &Counts) -> BTreeMap<String, u64> {
    let Counts { planned, succeeded, dropped, not_started, skipped, .. } = *totals;
    let counts = [succeeded, totals.failed.total(), dropped, not_started, skipped, planned];
    OUTCOMES.into_iter().chain(["planned"]).map(str::to_owned).zip(counts).collect()
}

fn summary(written: &Written) -> Table {
    let count = |row: &std::collections::HashMap<String, String>, column: &str| row[column].parse().unwrap();
    rows(&written.file("summary.csv"))
        .iter()
        .map(|row| {
            let columns = OUTCOMES.into_iter().chain(["planned"]);
            (row["stage"].clone(), columns.map(|column| (column.to_owned(), count(row, column))).collect())
        })
        .collect()
}

/// Devices that were not started, and those that had nothing to do, are not part of a second.
fn intervals(written: &Written, expected: &Table) {
    let intervals = rows(&written.file("intervals.csv"));
    for (stage, counts) in expected {
        let of_stage: Vec<_> = intervals.iter().filter(|row| row["stage"] == *stage).cloned().collect();
        for column in ["succeeded", "failed", "dropped"] {
            assert_eq!(sum(&of_stage, column), counts[column], "intervals.csv, {stage}: {column}");
        }
    }
}

/// A device that did not start has no row; the last row of one that did says what became of it, but for devices that operate:
/// what becomes of them is decided when the stage ends.
fn devices(written: &Written, expected: &Table) {
    let mut last: BTreeMap<(String, String), (u32, bool)> = BTreeMap::new();
    for row in rows(&written.file("devices.csv")) {
        let attempt = row["attempt"].parse().unwrap();
        let ended = (attempt, row["outcome"] == "succeeded");
        let known = last.entry((row["stage"].clone(), row["device"].clone())).or_insert(ended);
        *known = ended.max(*known);
    }
    for (stage, counts) in expected {
        let of_stage: Vec<bool> = last.iter().filter(|((of, _), _)| of == stage).map(|(_, (_, good))| *good).collect();
        let (devices, good) = (of_stage.len() as u64, of_stage.iter().filter(|good| **good).count() as u64);
        let unstarted = counts["dropped"] + counts["not_started"] + counts["skipped"];
        assert_eq!(devices + unstarted, counts["planned"], "devices.csv, {stage}: {counts:?}");
        if !written.operating.contains(stage) {
            assert_eq!(good, counts["succeeded"], "devices.csv, {stage}: {counts:?}");
        }
    }
}

fn certificates(written: &Written) {
    let run = json(&written.file("run.json"));
    let with = sum(&rows(&written.file("certificates.csv")), "certificates");
    assert_eq!(with + run["certificates"]["without"].as_u64().unwrap(), written.devices, "certificates.csv");
}

/// Every device that was skipped has a reason.
fn skips(written: &Written, expected: &Table) {
    let reasons = rows(&written.file("skips.csv"));
    let run = json(&written.file("run.json"));
    for (index, stage) in run["stages"].as_array().unwrap().iter().enumerate() {
        let name = stage["name"].as_str().unwrap();
        let of_stage: Vec<_> = reasons.iter().filter(|row| row["stage"] == name).cloned().collect();
        assert_eq!(sum(&of_stage, "devices"), expected[name]["skipped"], "skips.csv, {name}");
        let told = stage["skips"].as_array().unwrap().iter().map(|skip| skip["devices"].as_u64().unwrap());
        assert_eq!(told.sum::<u64>(), expected[name]["skipped"], "run.json, stage {index}");
        let words = format!("skipped in {name}: ");
        assert_eq!(written.console.contains(&words), expected[name]["skipped"] > 0, "console, {name}");
    }
}

/// As people see it: columns that are zero everywhere are not shown, and several stages have a sum.
fn shown(expected: &Table) -> Table {
    let mut shown = expected.clone();
    if expected.len() > 1 {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (column, count) in expected.values().flatten() {
            *all.entry(column.clone()).or_default() += count;
        }
        shown.insert("all".to_owned(), all);
    }
    shown
}

/// The table of outcomes in the text of the terminal, whose columns are two blanks or more apart.
fn console(text: &str) -> Table {
    let cells = |line: &str| -> Vec<String> {
        line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !matches!(&cells(line)[..], [stage, all, ..] if stage == "stage" && is_planned(all)));
    let header = cells(lines.next().expect("a table of outcomes"));
    let rows = lines.skip(1).take_while(|line| !line.trim().is_empty()).map(cells).collect();
    table(&header, rows)
}

/// The table of outcomes in the page.
fn page(written: &Written) -> Table {
    let html = std::fs::read_to_string(written.file("report.html")).unwrap();
    let table_of_outcomes =
        html.split("<caption>Outcome of every stage</caption>").nth(1).expect("a table of outcomes");
    let whole = table_of_outcomes.split("</table>").next().unwrap();
    let rows = whole.split("<tr>").skip(1).map(|row| {
        let cells = row.split("</t").filter_map(|cell| cell.rsplit_once('>').map(|(_, text)| text.to_owned()));
        cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    });
    let mut rows = rows.collect::<Vec<_>>();
    let header = rows.remove(0);
    table(&header, rows)
}

/// What is planned is devices, or tasks where it is summed over stages.
fn is_planned(column: &str) -> bool {
    ["devices", "tasks"].contains(&column)
}

fn table(header: &[String], rows: Vec<Vec<String>>) -> Table {
    rows.into_iter()
        .map(|row| {
            assert_eq!(row.len(), header.len(), "{header:?} {row:?}");
            let mut counts: BTreeMap<_, _> = OUTCOMES.iter().map(|outcome| ((*outcome).to_owned(), 0)).collect();
            for (name, cell) in header.iter().zip(&row) {
                let column = if is_planned(name) { "planned".to_owned() } else { name.replace(' ', "_") };
                if column == "planned" || OUTCOMES.contains(&column.as_str()) {
                    counts.insert(column, cell.replace(',', "").parse().unwrap());
                }
            }
            (row[0].clone(), counts)
        })
        .collect()
}
