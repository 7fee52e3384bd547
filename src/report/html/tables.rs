use std::fmt::{self, Write};

use crate::domain::Count;
use crate::measure::{RunRecord, StageRecord};
use crate::report::console::meaning;
use crate::report::html::bars;
use crate::report::html::escape::Text;
use crate::report::html::frame::{foot, head};
use crate::report::times::times;
use crate::report::{observed, skips, tasks, units};

/// Rows of failures in the page; the rest is in `errors.csv`.
const SHOWN_ERRORS: usize = 100;
/// Characters of a message in the page, and of a setting's value.
const SHOWN_CHARACTERS: usize = 400;

pub(super) fn thresholds(out: &mut String, record: &RunRecord) -> fmt::Result {
    if record.thresholds.is_empty() {
        out.push_str("<p>The scenario states no thresholds.</p>");
        return Ok(());
    }
    let stopping = record.thresholds.iter().any(|threshold| threshold.stopped_at.is_some());
    let columns = ["threshold", "verdict", "#observed", "#stopped the run"];
    head(out, "Thresholds, those not met first", &columns[..if stopping { 4 } else { 3 }]);
    let (met, unmet): (Vec<_>, Vec<_>) = record.thresholds.iter().partition(|threshold| threshold.met);
    for threshold in unmet.into_iter().chain(met) {
        let (class, verdict) = if threshold.met { ("good", "✓ met") } else { ("bad", "✗ NOT MET") };
        write!(
            out,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"{class}\">{verdict}</td><td class=\"n\">{}</td>",
            Text(&threshold.text),
            observed::words(threshold.observed)
        )?;
        if stopping {
            let stopped = threshold.stopped_at.map(|at| format!("after {}", units::duration(at))).unwrap_or_default();
            write!(out, "<td class=\"n\">{stopped}</td>")?;
        }
        out.push_str("</tr>");
    }
    foot(out);
    Ok(())
}

/// What became of the devices of every stage and of the tasks of all, and what they did.
pub(super) fn outcomes(out: &mut String, record: &RunRecord) -> fmt::Result {
    const ALWAYS: [Count; 6] =
        [Count::Planned, Count::Succeeded, Count::Failed, Count::Dropped, Count::Attempts, Count::FailedAttempts];
    let all = record.totals();
    // Who started is who was planned but for those in other columns.
    let is_shown = |count: &Count| ALWAYS.contains(count) || (*count != Count::Started && all.number(*count) > Some(0));
    let shown: Vec<_> = Count::ALL.into_iter().filter(is_shown).collect();
    let title = |count: &Count| if *count == Count::Planned { tasks::nouns(record) } else { count.title() };
    let names: Vec<String> = std::iter::once("stage".to_owned())
        .chain(shown.iter().map(|count| format!("#{}", title(count))))
        .chain(["#rate", "#took"].map(str::to_owned))
        .collect();
    head(out, "Outcome of every stage", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let stages = record.stages.iter().map(|stage| (stage.name.as_str(), stage.totals, stage.elapsed));
    let together = (record.stages.len() > 1).then_some(("all", all, record.elapsed));
    for (name, totals, took) in stages.chain(together) {
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(name))?;
        for count in &shown {
            let number = totals.number(*count).map_or_else(|| "–".to_owned(), units::count);
            write!(out, "<td class=\"n\">{number}</td>")?;
        }
        let (rate, took) = (units::rate(totals.succeeded, took), units::duration(took));
        write!(out, "<td class=\"n\">{rate}</td><td class=\"n\">{took}</td></tr>")?;
    }
    foot(out);
    Ok(())
}

/// Why devices had nothing to do, where some had.
pub(super) fn skipped(out: &mut String, record: &RunRecord) -> fmt::Result {
    let mut told = record.stages.iter().filter_map(|stage| Some((stage, skips::sentence(stage)?))).peekable();
    if told.peek().is_none() {
        return Ok(());
    }
    for (stage, why) in told {
        write!(out, "<p>Skipped in {}: {}.</p>", Text(&stage.name), Text(&why))?;
    }
    out.push_str("<p class=\"source\">Data: skips.csv</p>");
    Ok(())
}

pub(super) fn resources(out: &mut String, record: &RunRecord) -> fmt::Result {
    let caption = "CPU and memory of both sides over the whole run";
    let each = format!("#CPU per {}", tasks::noun(record));
    head(out, caption, &["process", "of all cores", "#CPU", "#user", "#system", &each, "#peak memory"]);
    let cores = record.machine.cores.max(1) as f64;
    let offered = (record.prepare + record.elapsed).as_secs_f64() * cores;
    let both = [("generator", Some(&record.generator)), ("emulator", record.emulator.as_ref())];
    for (name, cpu) in both.into_iter().filter_map(|(name, cpu)| Some((name, cpu?))) {
        let each = u32::try_from(record.totals().succeeded).ok().and_then(|n| cpu.total().checked_div(n));
        write!(out, "<tr><th scope=\"row\">{name}</th><td>")?;
        bars::share(
            out,
            &format!("CPU of the {name}"),
            if offered > 0.0 { cpu.total().as_secs_f64() / offered } else { 0.0 },
        )?;
        out.push_str("</td>");
        let each = each.map_or_else(|| "–".to_owned(), units::duration);
        let (total, user, system) =
            (units::duration(cpu.total()), units::duration(cpu.user), units::duration(cpu.system));
        for value in [total, user, system, each, units::bytes(cpu.peak_memory)] {
            write!(out, "<td class=\"n\">{value}</td>")?;
        }
        out.push_str("</tr>");
    }
    foot(out);
    out.push_str("<p class=\"source\">Data: run.json, generator and emulator. Share of the time of all cores, preparation included.</p>");
    Ok(())
}

pub(super) fn phases(out: &mut String, stage: &StageRecord) -> fmt::Result {
    let mut rows = times(stage).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let caption = format!("Phases of stage {}", stage.name);
    let columns =
        ["phase", "what it is", "outcome", "#count", "#min", "#mean", "#p50", "#p90", "#p95", "#p99", "#p99.9", "#max"];
    head(out, &caption, &columns);
    for (phase, whose, statistics) in rows {
        write!(
            out,
            "<tr><th scope=\"row\">{phase}</th><td>{}</td><td>{}</td><td class=\"n\">{}</td>",
            Text(meaning(phase)),
            whose.name(),
            units::count(statistics.count)
        )?;
        for time in statistics.all() {
            write!(out, "<td class=\"n\">{}</td>", Text(&units::known(time)))?;
        }
        out.push_str("</tr>");
    }
    foot(out);
    out.push_str("<p class=\"source\">Data: phases.csv</p>");
    Ok(())
}

pub(super) fn errors(out: &mut String, record: &RunRecord) -> fmt::Result {
    if record.errors.is_empty() {
        out.push_str("<p>No attempt failed.</p>");
        return Ok(());
    }
    head(
        out,
        "Failures of attempts, most frequent first",
        &["class", "#code", "what was said", "#count", "#first", "#last"],
    );
    for error in record.errors.iter().take(SHOWN_ERRORS) {
        let code = if error.code == 0 { String::new() } else { error.code.to_string() };
        write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{code}</td><td class=\"said\">{}</td><td class=\"n\">{}</td><td \
             class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            error.class.name(),
            Text(&shortened(&error.message)),
            units::count(error.count),
            units::duration(error.first),
            units::duration(error.last)
        )?;
    }
    foot(out);
    if record.errors.len() > SHOWN_ERRORS {
        write!(
            out,
            "<p>{} kinds more are in errors.csv.</p>",
            units::count((record.errors.len() - SHOWN_ERRORS) as u64)
        )?;
    }
    out.push_str("<p class=\"source\">Data: errors.csv</p>");
    Ok(())
}

pub(super) fn settings(out: &mut String, record: &RunRecord) -> fmt::Result {
    head(out, "Settings, and where each came from", &["setting", "value", "from"]);
    for setting in &record.settings {
        write!(
            out,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"said\">{}</td><td>{}</td></tr>",
            Text(&setting.key),
            Text(&shortened(&setting.value)),
            setting.origin.name()
        )?;
    }
    foot(out);
    Ok(())
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
