use std::fmt::{self, Write};
use std::io;

use crate::report::compare::{Comparison, FailureRow, Headline, Judgement, PhaseRow, tally};
use crate::report::html::comparison::data::{self, Data};
use crate::report::html::comparison::tables::{self, FAILURES, TIMES, chip, word};
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
    for (stage, rows) in by_stage(comparison) {
        tables::phases(out, stage, &rows)?;
    }
    tables::failures(out, &comparison.failures)?;
    tables::thresholds(out, comparison)?;
    out.push_str("</section>\n");
    plots(out, comparison, both, data)?;
    out.push_str("</main>");
    Ok(())
}

/// Phase rows of each stage in which both sides have some, in order.
fn by_stage(comparison: &Comparison) -> Vec<(&str, Vec<&PhaseRow>)> {
    let mut stages: Vec<(&str, Vec<&PhaseRow>)> = Vec::new();
    for row in &comparison.phases {
        match stages.last_mut() {
            Some((stage, rows)) if *stage == row.stage => rows.push(row),
            _ => stages.push((&row.stage, vec![row])),
        }
    }
    stages
}

/// In words; what got worse and better; when a difference counted; what the reader must know.
fn verdict(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let (class, sign, label) = match Headline::of(comparison) {
        Headline::Worse => ("bad", "✗", "Regression"),
        Headline::Mixed => ("bad", "✗", "Regression in part, better in part"),
        Headline::Better => ("good", "✓", "No regression, better"),
        Headline::Same => ("same", "=", "No difference that can be told"),
        Headline::TooFew => ("warn", "!", "Not enough data"),
    };
    write!(
        out,
        "<section id=\"verdict\"><h2>Verdict</h2><ul class=\"verdicts\"><li class=\"{class}\"><span class=\"sign\" \
         aria-hidden=\"true\">{sign}</span> <strong>{label}</strong>: {}</li></ul>",
        Text(&tally(comparison))
    )?;
    for (judgement, words) in [(Judgement::Worse, "What got worse in B"), (Judgement::Better, "What got better in B")] {
        changes(out, comparison, judgement, words)?;
    }
    let (effect, confidence) = (percent(comparison.limits.effect), percent(comparison.limits.confidence));
    write!(
        out,
        "<p>A phase is called slower or faster when two at least of its p50, p90 and p99 differ by {effect} or more in the same \
         direction, and chance alone does not explain it: with {confidence} confidence over all {} rows together nothing is \
         called different that is not. One percentile by itself never decides. {}</p>",
        units::count(comparison.rows() as u64),
        if comparison.between_runs() {
            "Whole runs were held against each other, so that the noise between runs is part of it."
        } else {
            "Blocks of intervals of either side were held against each other: the noise within runs is part of it, that between \
             runs is not."
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

fn changes(out: &mut String, comparison: &Comparison, judgement: Judgement, words: &str) -> fmt::Result {
    let mut phases: Vec<_> = comparison.phases.iter().filter(|row| row.judgement == judgement).collect();
    phases.sort_by(|a, b| data::change(b).total_cmp(&data::change(a)));
    let failures: Vec<_> = comparison.failures.iter().filter(|row| row.judgement == judgement).collect();
    if phases.is_empty() && failures.is_empty() {
        return Ok(());
    }
    let several = comparison.phases.iter().any(|row| row.stage != comparison.phases[0].stage);
    let of = |stage: &str| if several { format!("{stage}: ") } else { String::new() };
    write!(out, "<h3>{words}</h3><ul class=\"changes\">")?;
    for FailureRow { stage, failed, counts, .. } in &failures {
        write!(
            out,
            "<li>{}<strong>{}</strong>: {} of {} in A, {} of {} in B</li>",
            Text(&of(stage)),
            word(judgement, FAILURES),
            units::count(failed[0]),
            units::count(counts[0]),
            units::count(failed[1]),
            units::count(counts[1])
        )?;
    }
    for row in phases.iter().take(NAMED) {
        write!(out, "<li>{}<strong>{}</strong> {}: ", Text(&of(&row.stage)), row.phase, word(judgement, TIMES))?;
        for (place, name) in ["p50", "p90", "p99"].into_iter().enumerate() {
            let [a, b] = row.nanos.map(|nanos| nanos[place]);
            let comma = if place == 0 { "" } else { ", " };
            write!(out, "{comma}{name} {} → {}", units::nanos(a), units::nanos(b))?;
            if let Some(change) = tables::change(row, place) {
                write!(out, " ({change})")?;
            }
        }
        out.push_str("</li>");
    }
    if phases.len() > NAMED {
        write!(out, "<li>{} more phases, see the tables below</li>", phases.len() - NAMED)?;
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
    let rows = by_stage(comparison);
    let stages = both[0].runs.first().map_or(&[][..], |run| &run.stages);
    for (position, stage) in stages.iter().enumerate() {
        frame::stage(out, position, stage, data.per_point.get(position).copied().unwrap_or(1))?;
        if let Some((_, rows)) = rows.iter().find(|(name, _)| *name == stage.name) {
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
