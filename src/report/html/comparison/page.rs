use std::fmt::{self, Write};
use std::io;

use crate::report::compare::{Comparison, Headline, Judgement, PERCENTILES, Row, change, tally, word};
use crate::report::html::comparison::data::{self, Data};
use crate::report::html::comparison::tables::{self, chip};
use crate::report::html::comparison::{Side, dots, sides};
use crate::report::html::escape::Text;
use crate::report::html::frame::{self, Frame, figure, how_to_read};
use crate::report::units;

/// Rows that are named in the verdict; the tables have all.
const NAMED: usize = 12;

/// The whole page.
pub(super) fn page(comparison: &Comparison, sides: [Side<'_>; 2], data: &Data) -> io::Result<String> {
    let frame = Frame {
        title: &format!("{}: A and B compared", comparison.scenario),
        version: env!("CARGO_PKG_VERSION"),
        times: "Times are real time since the first device of the stage was due unless they say otherwise.",
        json: &data.json()?,
    };
    frame.page(|out| body(out, comparison, sides, data)).map_err(io::Error::other)
}

fn body(out: &mut String, comparison: &Comparison, both: [Side<'_>; 2], data: &Data) -> fmt::Result {
    let runs = |side: Side<'_>| match side.runs.len() {
        1 => "one run".to_owned(),
        several => format!("{several} runs"),
    };
    write!(
        out,
        "<header><p class=\"product\">fleetstorm {}: comparison</p><h1>{}</h1>",
        env!("CARGO_PKG_VERSION"),
        Text(&comparison.scenario)
    )?;
    if let Some(question) = both.iter().flat_map(|side| side.runs).find_map(|run| run.question.as_ref()) {
        write!(out, "<p class=\"question\">{}</p>", Text(question))?;
    }
    write!(
        out,
        "<p class=\"about\">{} <code>{}</code> ({}) against {} <code>{}</code> ({})</p></header>\n<main>",
        chip("A"),
        Text(both[0].name),
        runs(both[0]),
        chip("B"),
        Text(both[1].name),
        runs(both[1])
    )?;
    verdict(out, comparison)?;
    out.push_str("<section id=\"sides\"><h2>Who was compared</h2>");
    sides::sides(out, both)?;
    out.push_str("</section>\n<section id=\"rows\"><h2>Phase by phase</h2>");
    for rows in comparison.by_stage() {
        tables::times(out, rows)?;
        tables::measures(out, rows)?;
    }
    tables::thresholds(out, comparison)?;
    out.push_str("</section>\n");
    plots(out, comparison, both, data)?;
    out.push_str("</main>");
    Ok(())
}

/// In words; what got worse and better; when a difference counted; what the reader must know.
fn verdict(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let (class, sign, label) = match Headline::of(comparison) {
        Headline::Worse => ("bad", "✗", "Regression"),
        Headline::Mixed => ("bad", "✗", "Regression in part, better in part"),
        Headline::Better => ("good", "✓", "No regression, better"),
        Headline::Same => ("same", "=", "No detectable difference"),
        Headline::Undecided if comparison.runs == [1, 1] => ("warn", "!", "Large differences, but from one run each"),
        Headline::Undecided => ("warn", "!", "Large differences, but from few runs"),
        Headline::TooFew => ("warn", "!", "Not enough data"),
    };
    write!(
        out,
        "<section id=\"verdict\"><h2>Verdict</h2><ul class=\"verdicts\"><li class=\"{class}\"><span class=\"sign\" \
         aria-hidden=\"true\">{sign}</span> <strong>{label}</strong>: {}</li>",
        Text(&tally(comparison))
    )?;
    for warning in &comparison.warnings {
        write!(
            out,
            "<li class=\"warn\"><span class=\"sign\" aria-hidden=\"true\">!</span> <strong>Warning</strong>: {}</li>",
            Text(warning)
        )?;
    }
    out.push_str("</ul>");
    changes(out, comparison, "What got worse in B", |judgement| judgement == Judgement::Worse)?;
    changes(out, comparison, "What differs much, but is not decided", |judgement| {
        matches!(judgement, Judgement::Undecided { .. })
    })?;
    changes(out, comparison, "What got better in B", |judgement| judgement == Judgement::Better)?;
    let (effect, confidence) = (percent(comparison.limits.effect), percent(comparison.limits.confidence));
    write!(
        out,
        "<p>A phase is called slower or faster when two at least of its p50, p90 and p99 differ by {effect} or more in the same \
         direction, and chance alone does not explain it: with {confidence} confidence over all {} rows together nothing is \
         called different that is not. One percentile by itself never decides. {}{}</p>",
        units::count(comparison.rows.len() as u64),
        if comparison.between_runs() {
            "Whole runs were held against each other, so that the noise between runs is part of it."
        } else {
            "Blocks of intervals of either side were held against each other: the noise within runs is part of it, that between \
             runs is not."
        },
        if comparison.undecided() > 0 {
            " A question mark stands behind what differs by half or more, and would be told if runs of the same thing were known \
             not to differ so much."
        } else {
            ""
        }
    )?;
    for note in &comparison.notes {
        write!(out, "<p class=\"note\"><strong>Note:</strong> {}</p>", Text(note))?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// As it was asked for: `5 %`, `99.5 %`.
fn percent(share: f64) -> String {
    format!("{} %", units::rounded(share * 100.0))
}

fn changes(
    out: &mut String,
    comparison: &Comparison,
    words: &str,
    is_meant: impl Fn(Judgement) -> bool,
) -> fmt::Result {
    let mut rows: Vec<&Row> = comparison.rows.iter().filter(|row| is_meant(row.judgement)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // What became of devices goes before how long it took.
    rows.sort_by(|a, b| {
        let times = |row: &Row| row.what.phase().is_some();
        times(a).cmp(&times(b)).then(data::change(b).total_cmp(&data::change(a)))
    });
    let several = comparison.by_stage().count() > 1;
    write!(out, "<h3>{words}</h3><ul class=\"changes\">")?;
    for row in rows.iter().take(NAMED) {
        let stage = if several { format!("{}: ", row.stage) } else { String::new() };
        write!(out, "<li>{}<strong>{}</strong> {}: ", Text(&stage), row.what.title(), word(row))?;
        for (place, values) in row.values.iter().enumerate() {
            let [a, b] = [0, 1].map(|side| row.what.told(values.sides[side], row.counts[side]));
            let comma = if place == 0 { "" } else { ", " };
            let name =
                if row.what.phase().is_some() { format!("p{:.0} ", PERCENTILES[place] * 100.0) } else { String::new() };
            write!(out, "{comma}{name}{} → {}", Text(&a), Text(&b))?;
            if let Some(share) = values.change() {
                write!(out, " ({})", change(share))?;
            }
        }
        out.push_str("</li>");
    }
    if rows.len() > NAMED {
        write!(out, "<li>{} more, see the tables below</li>", rows.len() - NAMED)?;
    }
    out.push_str("</ul>");
    Ok(())
}

fn plots(out: &mut String, comparison: &Comparison, both: [Side<'_>; 2], data: &Data) -> fmt::Result {
    out.push_str("<section id=\"plots\"><h2>Plots</h2>");
    how_to_read(out);
    write!(
        out,
        "<p>{} is the solid line, {} the dashed one. Time counts from when the first device of the stage was due, so that both \
         sides lie over each other.",
        chip("A"),
        chip("B")
    )?;
    if both.iter().any(|side| side.runs.len() > 1) {
        out.push_str(
            " Of several runs of a side, a percentile curve is that of all their values together; over time the line is the \
             middle (median) of the runs at each moment, and the band behind it goes from the lowest to the highest of them.",
        );
    }
    out.push_str("</p>");
    let stages = both[0].runs.first().map_or(&[][..], |run| &run.stages);
    for (position, stage) in stages.iter().enumerate() {
        frame::stage(out, position, stage, data.per_point.get(position).copied().unwrap_or(1))?;
        if let Some(rows) = comparison.by_stage().find(|rows| rows[0].stage == stage.name) {
            dots::figure(out, position, rows)?;
        }
        for plot in data.plots_of(position) {
            figure(out, plot)?;
        }
        out.push_str("</div></section>\n");
    }
    out.push_str("</section>\n");
    Ok(())
}
