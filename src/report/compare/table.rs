use comfy_table::Cell;

use crate::report::compare::words::{Headline, change, limits, tally, word};
use crate::report::compare::{Comparison, Judgement, Row, ThresholdRow, Values};
use crate::report::console::{Look, columns, line, print, right, wrapped};
use crate::report::{Tone, observed, units};

/// The comparison for a person, at most 100 columns wide, ending in a line break. `names`: what the sides are called.
pub fn table(comparison: &Comparison, names: [&str; 2], look: Look) -> String {
    let mut text = String::new();
    let runs = |side: usize| match comparison.runs[side] {
        1 => String::new(),
        several => format!(" ({several} runs)"),
    };
    line(&mut text, "");
    line(&mut text, &comparison.scenario);
    for (side, label) in ["A  ", "B  "].into_iter().enumerate() {
        line(&mut text, &wrapped(label, &format!("{}{}", names[side], runs(side))));
    }
    line(&mut text, "");
    line(&mut text, &verdict(comparison, look));
    line(&mut text, "");
    let several = comparison.by_stage().count() > 1;
    for rows in comparison.by_stage() {
        if several {
            line(&mut text, &format!(" {}", rows[0].stage));
        }
        times(&mut text, rows, look);
        measures(&mut text, rows, look);
    }
    thresholds(&mut text, &comparison.thresholds, look);
    for note in &comparison.notes {
        line(&mut text, &wrapped("note: ", note));
    }
    if !comparison.notes.is_empty() {
        line(&mut text, "");
    }
    // Once more, as the table is long.
    line(&mut text, &verdict(comparison, look));
    text
}

fn verdict(comparison: &Comparison, look: Look) -> String {
    let (head, tone) = match Headline::of(comparison) {
        Headline::TooFew => ("NOT ENOUGH DATA", Tone::Warning),
        Headline::Undecided if comparison.runs == [1, 1] => ("LARGE DIFFERENCES, BUT FROM ONE RUN EACH", Tone::Warning),
        Headline::Undecided => ("LARGE DIFFERENCES, BUT FROM FEW RUNS", Tone::Warning),
        Headline::Same => ("NO DETECTABLE DIFFERENCE", Tone::Good),
        Headline::Better => ("BETTER", Tone::Good),
        Headline::Worse => ("WORSE", Tone::Bad),
        Headline::Mixed => ("WORSE in part, better in part", Tone::Bad),
    };
    let words = wrapped("", &format!("{head}: {}; {}", tally(comparison), limits(comparison)));
    let mut words = words.replacen(head, &look.paint(head, tone.style().bold()), 1);
    for warning in &comparison.warnings {
        let label = "WARNING";
        let text = wrapped("", &format!("{label}: {warning}"));
        words.push('\n');
        words.push_str(&text.replacen(label, &look.paint(label, Tone::Warning.style().bold()), 1));
    }
    words
}

fn times(text: &mut String, rows: &[Row], look: Look) {
    let mut table = columns(look, &["phase", "side", "count", "p50", "p90", "p99", "verdict"]);
    let rows = || rows.iter().filter(|row| row.what.phase().is_some());
    if rows().next().is_none() {
        return;
    }
    for row in rows() {
        let value = |values: &Values, side: usize| row.what.told(values.sides[side], row.counts[side]);
        let mut first = vec![Cell::new(row.what.title()), Cell::new("A"), right(&units::count(row.counts[0]))];
        first.extend(row.values.iter().map(|values| right(&value(values, 0))));
        table.add_row(first);
        let mut second = vec![Cell::new(""), Cell::new("B"), right(&units::count(row.counts[1]))];
        second.extend(row.values.iter().map(|values| {
            let change = values.change().map(|share| format!(" {:>6}", change(share))).unwrap_or_default();
            right(&format!("{}{change}", value(values, 1)))
        }));
        second.push(judged(row));
        table.add_row(second);
    }
    print(text, &table);
    line(text, "");
}

fn measures(text: &mut String, rows: &[Row], look: Look) {
    let mut table = columns(look, &["devices", "A", "B", "change", "verdict"]);
    let rows = || rows.iter().filter(|row| row.what.phase().is_none() && !row.is_nothing());
    if rows().next().is_none() {
        return;
    }
    for row in rows() {
        for values in &row.values {
            let side = |side: usize| right(&row.what.told(values.sides[side], row.counts[side]));
            let change = right(&values.change().map(change).unwrap_or_default());
            table.add_row(vec![Cell::new(row.what.title()), side(0), side(1), change, judged(row)]);
        }
    }
    print(text, &table);
    line(text, "");
}

fn thresholds(text: &mut String, rows: &[ThresholdRow], look: Look) {
    if rows.is_empty() {
        return;
    }
    let mut table = columns(look, &["threshold", "A", "B", "met A", "met B"]);
    for ThresholdRow { text, observed: [a, b], met, runs } in rows {
        let is_met = |side: usize| match runs[side] {
            1 if met[side] == 1 => "met".to_owned(),
            1 => "NOT MET".to_owned(),
            all => format!("{} of {all}", met[side]),
        };
        table.add_row(vec![
            Cell::new(text),
            right(&observed::words(*a)),
            right(&observed::words(*b)),
            right(&is_met(0)),
            right(&is_met(1)),
        ]);
    }
    print(text, &table);
    line(text, "");
}

fn judged(row: &Row) -> Cell {
    let cell = Cell::new(word(row));
    match row.judgement {
        Judgement::Worse => Tone::Bad.cell(cell),
        Judgement::Better => Tone::Good.cell(cell),
        Judgement::Undecided { .. } => Tone::Warning.cell(cell),
        Judgement::Same | Judgement::TooFew => cell,
    }
}
