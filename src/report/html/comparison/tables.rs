use std::fmt::{self, Write};

use crate::report::compare::{Comparison, Judgement, Row, ThresholdRow, Values, change, word};
use crate::report::console::meaning;
use crate::report::html::escape::Text;
use crate::report::html::frame::{foot, head};
use crate::report::{observed, units};

/// The class of what is said of a row, and the sign before it.
pub(super) const fn tone(judgement: Judgement) -> (&'static str, &'static str) {
    match judgement {
        Judgement::Worse => ("bad", "✗ "),
        Judgement::Better => ("good", "✓ "),
        Judgement::Undecided { .. } => ("warn", "! "),
        Judgement::Same | Judgement::TooFew => ("soft", ""),
    }
}

/// A cell with the judgement, over so many rows.
fn judged(out: &mut String, row: &Row, rows: usize) -> fmt::Result {
    let (class, sign) = tone(row.judgement);
    write!(out, "<td class=\"{class}\" rowspan=\"{rows}\">{sign}{}</td>", word(row))
}

/// A cell with the difference, and how probable it is by chance.
fn changed(out: &mut String, values: &Values) -> fmt::Result {
    let change = values.change().map_or_else(|| "–".to_owned(), change);
    write!(out, "<td class=\"n\">{change}<small>{}</small></td>", chance(values.chance))
}

fn chance(chance: Option<f64>) -> String {
    match chance {
        None => "too little data".to_owned(),
        Some(chance) if chance < 1e-4 => "chance &lt; 0.01 %".to_owned(),
        Some(chance) => format!("chance {}", units::percent(chance)),
    }
}

/// Times of one stage: both sides, how they differ, and how probable that is by chance.
pub(super) fn times(out: &mut String, rows: &[Row]) -> fmt::Result {
    let rows = || rows.iter().filter_map(|row| Some((row, row.what.phase()?)));
    let Some((Row { stage, .. }, _)) = rows().next() else { return Ok(()) };
    head(out, &format!("Phases of stage {stage}"), &["phase", "verdict", "side", "#count", "#p50", "#p90", "#p99"]);
    for (row, phase) in rows() {
        let whose = if phase.is_of_device() { "; of all who began" } else { "" };
        write!(
            out,
            "<tr class=\"joined\"><th scope=\"row\" rowspan=\"3\">{phase}<small>{}{whose}</small></th>",
            Text(meaning(phase))
        )?;
        judged(out, row, 3)?;
        for (side, name) in ["A", "B"].into_iter().enumerate() {
            if side > 0 {
                out.push_str("<tr class=\"joined\">");
            }
            write!(out, "<td>{}</td><td class=\"n\">{}</td>", chip(name), units::count(row.counts[side]))?;
            for values in &row.values {
                let told = row.what.told(values.sides[side], row.counts[side]);
                write!(out, "<td class=\"n\">{}</td>", Text(&told))?;
            }
            out.push_str("</tr>");
        }
        out.push_str("<tr><td class=\"soft\">change</td><td></td>");
        row.values.iter().try_for_each(|values| changed(out, values))?;
        out.push_str("</tr>");
    }
    foot(out);
    out.push_str(
        "<p class=\"source\">Data: phases.csv of either side, rows with outcome succeeded, of backoff, recover and total \
         those with outcome all; comparison.json, phases</p>",
    );
    Ok(())
}

/// A or B in its colour.
pub(super) const fn chip(name: &str) -> &'static str {
    match name.as_bytes() {
        b"A" => "<span class=\"side a\">A</span>",
        _ => "<span class=\"side b\">B</span>",
    }
}

/// What became of the devices of one stage, and what they asked of the service.
pub(super) fn measures(out: &mut String, rows: &[Row]) -> fmt::Result {
    let rows = || rows.iter().filter(|row| row.what.phase().is_none());
    let Some(Row { stage, .. }) = rows().next() else { return Ok(()) };
    head(out, &format!("Devices of stage {stage}"), &["devices", "verdict", "#A", "#B", "#change"]);
    for row in rows() {
        for values in &row.values {
            write!(out, "<tr><th scope=\"row\">{}</th>", row.what.title())?;
            judged(out, row, 1)?;
            for side in 0..2 {
                let told = row.what.told(values.sides[side], row.counts[side]);
                write!(out, "<td class=\"n\">{}</td>", Text(&told))?;
            }
            changed(out, values)?;
            out.push_str("</tr>");
        }
    }
    foot(out);
    out.push_str(
        "<p class=\"source\">Data: summary.csv and intervals.csv of either side; comparison.json, measures</p>",
    );
    Ok(())
}

/// Thresholds that both sides have.
pub(super) fn thresholds(out: &mut String, comparison: &Comparison) -> fmt::Result {
    if comparison.thresholds.is_empty() {
        out.push_str("<p>There are no thresholds that both sides have.</p>");
        return Ok(());
    }
    out.push_str("<p>Thresholds judge each run by itself; the comparison does not judge them.</p>");
    head(out, "Thresholds", &["threshold", "#observed A", "A", "#observed B", "B"]);
    for ThresholdRow { text, observed, met, runs } in &comparison.thresholds {
        write!(out, "<tr><th scope=\"row\"><code>{}</code></th>", Text(text))?;
        for side in 0..2 {
            let (class, sign) = if met[side] == runs[side] { ("good", "✓") } else { ("bad", "✗") };
            let words = match runs[side] {
                1 if met[side] == 1 => "met".to_owned(),
                1 => "NOT MET".to_owned(),
                all => format!("met by {} of {}", units::count(met[side]), units::count(all)),
            };
            write!(
                out,
                "<td class=\"n\">{}</td><td class=\"{class}\">{sign} {words}</td>",
                observed::words(observed[side])
            )?;
        }
        out.push_str("</tr>");
    }
    foot(out);
    let last =
        if comparison.runs.iter().any(|runs| *runs > 1) { " Observed: in the last run of the side." } else { "" };
    write!(out, "<p class=\"source\">Data: thresholds.csv of either side.{last}</p>")
}
