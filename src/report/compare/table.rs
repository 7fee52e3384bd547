use comfy_table::Cell;

use crate::report::compare::words::{Headline, change, limits, tally};
use crate::report::compare::{Comparison, FailureRow, Judgement, PERCENTILES, PhaseRow, ThresholdRow};
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
    let several = comparison.phases.iter().any(|row| row.stage != comparison.phases[0].stage);
    let mut rest = comparison.phases.as_slice();
    while let Some(first) = rest.first() {
        let (stage, others) = rest.split_at(rest.iter().take_while(|row| row.stage == first.stage).count());
        if several {
            line(&mut text, &format!(" {}", first.stage));
        }
        phases(&mut text, stage, look);
        rest = others;
    }
    failures(&mut text, &comparison.failures, look);
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
        Headline::Same => ("NO DIFFERENCE THAT CAN BE TOLD", Tone::Good),
        Headline::Better => ("BETTER", Tone::Good),
        Headline::Worse => ("WORSE", Tone::Bad),
        Headline::Mixed => ("WORSE in part, better in part", Tone::Bad),
    };
    let words = wrapped("", &format!("{head}: {}; {}", tally(comparison), limits(comparison)));
    words.replacen(head, &look.paint(head, tone.style().bold()), 1)
}

fn phases(text: &mut String, rows: &[PhaseRow], look: Look) {
    let mut table = columns(look, &["phase", "side", "count", "p50", "p90", "p99", "verdict"]);
    for row in rows {
        let mut first = vec![Cell::new(row.phase.name()), Cell::new("A"), right(&units::count(row.counts[0]))];
        first.extend(row.nanos[0].map(|nanos| right(&units::nanos(nanos))));
        table.add_row(first);
        let mut second = vec![Cell::new(""), Cell::new("B"), right(&units::count(row.counts[1]))];
        second.extend((0..PERCENTILES.len()).map(|place| {
            let change = row.change(place).map(|share| format!(" {:>6}", change(share))).unwrap_or_default();
            right(&format!("{}{change}", units::nanos(row.nanos[1][place])))
        }));
        second.push(judged(row.judgement, ["slower", "faster"]));
        table.add_row(second);
    }
    print(text, &table);
    line(text, "");
}

fn failures(text: &mut String, rows: &[FailureRow], look: Look) {
    if rows.iter().all(|row| row.failed == [0, 0]) {
        return;
    }
    let mut table = columns(look, &["stage", "failed A", "failed B", "verdict"]);
    for row in rows {
        let [a, b] = row.shares();
        let side = |side: usize, share: f64| {
            right(&format!(
                "{} of {} ({})",
                units::count(row.failed[side]),
                units::count(row.counts[side]),
                units::percent(share)
            ))
        };
        table.add_row(vec![
            Cell::new(&row.stage),
            side(0, a),
            side(1, b),
            judged(row.judgement, ["more failures", "fewer failures"]),
        ]);
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

fn judged(judgement: Judgement, [worse, better]: [&str; 2]) -> Cell {
    match judgement {
        Judgement::Worse => Tone::Bad.cell(Cell::new(worse)),
        Judgement::Better => Tone::Good.cell(Cell::new(better)),
        Judgement::Same => Cell::new("no difference"),
        Judgement::TooFew => Cell::new("not enough data"),
    }
}
