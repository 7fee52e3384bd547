use comfy_table::Cell;

use crate::domain::{Concern, Count, Counts, Subject};
use crate::measure::RunRecord;
use crate::report::console::tables::{print, right, table, warn};
use crate::report::console::{Look, line};
use crate::report::{Tone, skips, tasks, units};

/// One row per stage: what became of the devices, and of the tasks of all stages together.
pub(super) fn outcomes(text: &mut String, record: &RunRecord, look: Look) {
    let always = [Count::Planned, Count::Succeeded, Count::Failed, Count::Dropped];
    let shown = occurring(record, |count| count.subject() == Subject::Devices && !always.contains(&count));
    let names = shown.iter().map(|count| count.title());
    let header: Vec<&str> = ["stage", tasks::nouns(record), "succeeded", "failed", "dropped"]
        .into_iter()
        .chain(names)
        .chain(["rate", "took"])
        .collect();
    let mut table = table(look, &header);
    for (name, totals, took) in rows(record) {
        let mut cells = vec![Cell::new(name)];
        cells.extend(always.iter().chain(&shown).map(|count| cell(*count, &totals)));
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
    let shown = occurring(record, |count| count.subject() != Subject::Devices && count != Count::Attempts);
    let names = shown.iter().map(|count| count.title());
    let header: Vec<&str> = ["stage", "attempts", "per success"].into_iter().chain(names).collect();
    let mut table = table(look, &header);
    for (name, totals, _) in rows(record) {
        let ratio = units::ratio(totals.attempts, totals.succeeded);
        let mut cells = vec![Cell::new(name), right(&units::count(totals.attempts))];
        cells.push(right(&ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))));
        cells.extend(shown.iter().map(|count| cell(*count, &totals)));
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

fn cell(count: Count, totals: &Counts) -> Cell {
    let number = totals.number(count);
    let words = number.map_or_else(|| "-".to_owned(), units::count);
    let worth_a_look = number > Some(0);
    match count.concern() {
        Concern::None => right(&words),
        Concern::Warning => warn(&words, worth_a_look, Tone::Warning),
        Concern::Bad => warn(&words, worth_a_look, Tone::Bad),
    }
}

/// Counts that are not zero everywhere: the others have no column.
fn occurring(record: &RunRecord, wanted: impl Fn(Count) -> bool) -> Vec<Count> {
    let totals = record.totals();
    // Who started is who was planned but for those in other columns.
    let wanted = |count: &Count| wanted(*count) && *count != Count::Started;
    Count::ALL.into_iter().filter(wanted).filter(|count| totals.number(*count) > Some(0)).collect()
}

/// The stages, and all of them together when they are several.
fn rows(record: &RunRecord) -> Vec<(&str, Counts, std::time::Duration)> {
    let stages = record.stages.iter().map(|stage| (stage.name.as_str(), stage.totals, stage.elapsed));
    let all = (record.stages.len() > 1).then(|| ("all", record.totals(), record.elapsed));
    stages.chain(all).collect()
}
