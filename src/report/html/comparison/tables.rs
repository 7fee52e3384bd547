use std::fmt::{self, Write};

use crate::report::compare::{self, Comparison, FailureRow, Judgement, PERCENTILES, PhaseRow, ThresholdRow};
use crate::report::console::meaning;
use crate::report::html::escape::Text;
use crate::report::html::frame::{foot, head};
use crate::report::{observed, units};

/// What worse and better are called of times, and of failures.
pub(super) const TIMES: [&str; 2] = ["slower", "faster"];
pub(super) const FAILURES: [&str; 2] = ["more failures", "fewer failures"];

pub(super) const fn word(judgement: Judgement, [worse, better]: [&'static str; 2]) -> &'static str {
    match judgement {
        Judgement::Worse => worse,
        Judgement::Better => better,
        Judgement::Same => "no difference",
        Judgement::TooFew => "not enough data",
    }
}

/// A cell with the judgement, over so many rows.
fn judged(out: &mut String, judgement: Judgement, words: [&'static str; 2], rows: usize) -> fmt::Result {
    let (class, sign) = match judgement {
        Judgement::Worse => ("bad", "✗ "),
        Judgement::Better => ("good", "✓ "),
        Judgement::Same | Judgement::TooFew => ("soft", ""),
    };
    write!(out, "<td class=\"{class}\" rowspan=\"{rows}\">{sign}{}</td>", word(judgement, words))
}

/// `+12 %`; `None` when there is nothing to relate it to.
pub(super) fn change(row: &PhaseRow, percentile: usize) -> Option<String> {
    row.change(percentile).map(compare::change)
}

fn chance(chance: Option<f64>) -> String {
    match chance {
        None => "too little data".to_owned(),
        Some(chance) if chance < 1e-4 => "chance &lt; 0.01 %".to_owned(),
        Some(chance) => format!("chance {}", units::percent(chance)),
    }
}

/// Phases of one stage: both sides, how they differ, and how probable that is by chance.
pub(super) fn phases(out: &mut String, stage: &str, rows: &[&PhaseRow]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    head(out, &format!("Phases of stage {stage}"), &["phase", "verdict", "side", "#count", "#p50", "#p90", "#p99"]);
    for row in rows {
        write!(
            out,
            "<tr class=\"joined\"><th scope=\"row\" rowspan=\"3\">{}<small>{}</small></th>",
            row.phase,
            Text(meaning(row.phase))
        )?;
        judged(out, row.judgement, TIMES, 3)?;
        for (side, name) in ["A", "B"].into_iter().enumerate() {
            if side > 0 {
                out.push_str("<tr class=\"joined\">");
            }
            write!(out, "<td>{}</td><td class=\"n\">{}</td>", chip(name), units::count(row.counts[side]))?;
            for nanos in row.nanos[side] {
                write!(out, "<td class=\"n\">{}</td>", units::nanos(nanos))?;
            }
            out.push_str("</tr>");
        }
        out.push_str("<tr><td class=\"soft\">change</td><td></td>");
        for percentile in 0..PERCENTILES.len() {
            write!(
                out,
                "<td class=\"n\">{}<small>{}</small></td>",
                change(row, percentile).unwrap_or_else(|| "–".to_owned()),
                chance(row.chance[percentile])
            )?;
        }
        out.push_str("</tr>");
    }
    foot(out);
    out.push_str(
        "<p class=\"source\">Data: phases.csv of either side, rows with outcome succeeded; comparison.json, phases</p>",
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

/// Devices that failed or were dropped, stage by stage.
pub(super) fn failures(out: &mut String, rows: &[FailureRow]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    head(
        out,
        "Devices that failed for good or were dropped",
        &["stage", "verdict", "#A", "#B", "#share of A", "#share of B", "#by chance"],
    );
    for row in rows {
        let [a, b] = row.shares();
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(&row.stage))?;
        judged(out, row.judgement, FAILURES, 1)?;
        for side in 0..2 {
            let (failed, of) = (units::count(row.failed[side]), units::count(row.counts[side]));
            write!(out, "<td class=\"n\">{failed} of {of}</td>")?;
        }
        write!(
            out,
            "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            units::percent(a),
            units::percent(b),
            chance(row.chance)
        )?;
    }
    foot(out);
    out.push_str(
        "<p class=\"source\">Data: summary.csv and intervals.csv of either side; comparison.json, failures</p>",
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
