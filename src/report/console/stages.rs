use comfy_table::Cell;

use crate::measure::{RunRecord, Totals};
use crate::report::console::tables::{print, right, table, warn};
use crate::report::console::{Look, line};
use crate::report::{Tone, skips, tasks, units};

/// A count in a column that is only there when it is not zero everywhere.
struct Optional {
    name: &'static str,
    of: fn(&Totals) -> u64,
    tone: Option<Tone>,
}

/// One row per stage: what became of the devices, and of the tasks of all stages together.
pub(super) fn outcomes(text: &mut String, record: &RunRecord, look: Look) {
    const OPTIONAL: [Optional; 4] = [
        Optional { name: "not started", of: |totals| totals.not_started, tone: None },
        Optional { name: "skipped", of: |totals| totals.skipped, tone: Some(Tone::Warning) },
        Optional { name: "gave up", of: |totals| totals.gave_up, tone: Some(Tone::Bad) },
        Optional { name: "expired", of: |totals| totals.expired, tone: Some(Tone::Bad) },
    ];
    let shown = occurring(record, &OPTIONAL);
    let names = shown.iter().map(|column| column.name);
    let header: Vec<&str> = ["stage", tasks::nouns(record), "succeeded", "failed", "dropped"]
        .into_iter()
        .chain(names)
        .chain(["rate", "took"])
        .collect();
    let mut table = table(look, &header);
    for (name, totals, took) in rows(record) {
        let failed = totals.failed_total();
        let mut cells = vec![Cell::new(name)];
        cells.extend([totals.planned, totals.succeeded].map(|n| right(&units::count(n))));
        cells.push(warn(&units::count(failed), failed > 0, Tone::Bad));
        cells.push(warn(&units::count(totals.dropped), totals.dropped > 0, Tone::Warning));
        cells.extend(shown.iter().map(|column| column.cell(&totals)));
        cells.push(right(&units::rate(totals.succeeded, took)));
        cells.push(right(&units::duration(took)));
        table.add_row(cells);
    }
    print(text, &table);
    line(text, "");
    let skipped: Vec<_> = record.stages.iter().filter_map(|stage| Some((stage, skips::sentence(stage)?))).collect();
    for (stage, why) in &skipped {
        line(text, &look.folded(&format!(" skipped in {}: ", stage.name), why));
    }
    if !skipped.is_empty() {
        line(text, "");
    }
}

/// One row per stage: what the devices did.
pub(super) fn traffic(text: &mut String, record: &RunRecord, look: Look) {
    const OPTIONAL: [Optional; 5] = [
        Optional { name: "failed attempts", of: Totals::failed_attempts_total, tone: Some(Tone::Bad) },
        Optional { name: "429s", of: |totals| totals.throttled, tone: Some(Tone::Warning) },
        Optional { name: "polls", of: |totals| totals.polls, tone: None },
        Optional { name: "telemetry", of: |totals| totals.telemetry, tone: None },
        Optional { name: "connections lost", of: |totals| totals.disconnects, tone: Some(Tone::Bad) },
    ];
    let shown = occurring(record, &OPTIONAL);
    let names = shown.iter().map(|column| column.name);
    let header: Vec<&str> = ["stage", "attempts", "per success"].into_iter().chain(names).collect();
    let mut table = table(look, &header);
    for (name, totals, _) in rows(record) {
        let ratio = units::ratio(totals.attempts, totals.succeeded);
        let mut cells = vec![Cell::new(name), right(&units::count(totals.attempts))];
        cells.push(right(&ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))));
        cells.extend(shown.iter().map(|column| column.cell(&totals)));
        table.add_row(cells);
    }
    print(text, &table);
}

/// What the stages are.
pub(super) fn workloads(text: &mut String, record: &RunRecord, look: Look) {
    for stage in &record.stages {
        line(text, &look.folded(&format!(" {}: {}, ", stage.name, stage.kind), &stage.workload));
    }
    line(text, "");
}

impl Optional {
    fn cell(&self, totals: &Totals) -> Cell {
        let count = (self.of)(totals);
        match self.tone {
            Some(tone) => warn(&units::count(count), count > 0, tone),
            None => right(&units::count(count)),
        }
    }
}

fn occurring(record: &RunRecord, columns: &'static [Optional]) -> Vec<&'static Optional> {
    let totals = record.totals();
    columns.iter().filter(|column| (column.of)(&totals) > 0).collect()
}

/// The stages, and all of them together when they are several.
fn rows(record: &RunRecord) -> Vec<(&str, Totals, std::time::Duration)> {
    let stages = record.stages.iter().map(|stage| (stage.name.as_str(), stage.totals, stage.elapsed));
    let all = (record.stages.len() > 1).then(|| ("all", record.totals(), record.elapsed));
    stages.chain(all).collect()
}
