use std::fmt::{self, Write};
use std::io;
use std::time::Duration;

use crate::measure::RunRecord;
use crate::report::console::{compressed, outcome};
use crate::report::html::data::Data;
use crate::report::html::escape::Text;
use crate::report::html::frame::{self, Frame, figure, how_to_read};
use crate::report::html::{bars, series, tables};
use crate::report::{Verdict, units, verdicts};

/// The whole page.
pub(super) fn page(record: &RunRecord) -> io::Result<String> {
    let data = Data::of(record);
    let frame = Frame {
        title: &record.scenario,
        version: &record.version,
        times: "Times are real time since the start of the measured part unless they say otherwise.",
        json: &data.json()?,
    };
    frame.page(|out| body(out, record, &data)).map_err(io::Error::other)
}

fn body(out: &mut String, record: &RunRecord, data: &Data) -> fmt::Result {
    let (scenario, version) = (Text(&record.scenario), Text(&record.version));
    write!(out, "<header><p class=\"product\">fleetstorm {version}</p><h1>{scenario}</h1>")?;
    if let Some(question) = &record.question {
        write!(out, "<p class=\"question\">{}</p>", Text(question))?;
    }
    let part = record.part_of_fleet().map(|part| format!("{part}, ")).unwrap_or_default();
    write!(
        out,
        "<p class=\"about\">against {}, seed {}, {}<time>{}</time></p></header>\n<main>",
        Text(&record.target),
        record.seed,
        Text(&part),
        units::rfc3339(record.started_at)
    )?;
    verdict(out, record)?;
    asked(out, record)?;
    stages(out, record, data)?;
    out.push_str("<section id=\"resources\"><h2>Resources</h2>");
    tables::resources(out, record)?;
    out.push_str("</section>\n<section id=\"phases\"><h2>Phases</h2>");
    for stage in &record.stages {
        tables::phases(out, stage)?;
    }
    out.push_str("</section>\n<section id=\"errors\"><h2>Errors</h2>");
    tables::errors(out, record)?;
    out.push_str("</section></main>");
    Ok(())
}

/// The worst first; then what the run had to meet.
fn verdict(out: &mut String, record: &RunRecord) -> fmt::Result {
    out.push_str("<section id=\"verdict\"><h2>Verdict</h2><ul class=\"verdicts\">");
    for verdict in verdicts(record) {
        let (class, sign, label) = match &verdict {
            Verdict::Complete => ("good", "✓", "Complete"),
            Verdict::Interrupted | Verdict::Lost { .. } => ("warn", "!", "Partial"),
            Verdict::Aborted | Verdict::Stopped { .. } | Verdict::Broken { .. } | Verdict::Unwritten { .. } => {
                ("bad", "✗", "Partial")
            }
            Verdict::ThresholdsFailed { .. } => ("bad", "✗", "Thresholds failed"),
            Verdict::Saturated(_) => ("warn", "!", "Generator saturated"),
            Verdict::MachineFull { .. } => ("warn", "!", "Machine full"),
            Verdict::WrongCertificates(_) => ("bad", "✗", "Wrong certificates"),
            Verdict::Unaccounted { .. } => ("bad", "✗", "Unaccounted"),
            Verdict::RowsLost { .. } => ("warn", "!", "Rows lost"),
        };
        write!(
            out,
            "<li class=\"{class}\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span> <strong>{label}</strong>: {}</li>",
            Text(&verdict.sentence())
        )?;
    }
    write!(out, "</ul><p class=\"outcome\">{}.</p>", Text(&outcome(record)))?;
    tables::thresholds(out, record)?;
    tables::outcomes(out, record)?;
    tables::skipped(out, record)?;
    let health = &record.health;
    let full = record.stages.iter().any(|stage| stage.machine.is_some_and(|seen| seen.bound().is_some()));
    let lateness = health.lateness.decode();
    let lateness = match (lateness.quantile(0.50), lateness.quantile(0.99)) {
        (Some(p50), Some(p99)) => {
            format!(
                "; devices started {} after due at the median, {} at p99",
                units::duration(p50),
                units::duration(p99)
            )
        }
        _ => String::new(),
    };
    write!(
        out,
        "<p>Generator: {}; at most {} of {} attempts in flight, {} connections held{lateness}.</p>",
        match (health.saturated.is_empty(), full) {
            (false, _) => "the bottleneck, see above",
            (true, true) => "in time, but on a full machine, see above",
            (true, false) => "not the bottleneck",
        },
        units::count(health.peak_in_flight),
        units::count(health.in_flight_limit),
        units::count(health.peak_connected)
    )?;
    for note in &record.notes {
        write!(out, "<p class=\"note\"><strong>Note:</strong> {}</p>", Text(note))?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn asked(out: &mut String, record: &RunRecord) -> fmt::Result {
    out.push_str("<section id=\"asked\"><h2>What was asked</h2><dl>");
    let mut pairs = vec![
        ("Scenario", record.scenario.clone()),
        ("Target", record.target.clone()),
        ("Seed", record.seed.to_string()),
        ("Version", format!("fleetstorm {}", record.version)),
        ("Command", record.command.join(" ")),
        ("Started", units::rfc3339(record.started_at)),
        (
            "Took",
            format!("{}, after {} of preparation", units::duration(record.elapsed), units::duration(record.prepare)),
        ),
    ];
    pairs.push((
        "Time scale",
        if record.time_scale.is_real() { "real time".to_owned() } else { compressed(record.time_scale) },
    ));
    pairs.push(("Machine", units::machine(&record.machine)));
    for (name, value) in pairs {
        write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value))?;
    }
    out.push_str("</dl><h3>Stages</h3><ol class=\"stages\">");
    for (position, stage) in record.stages.iter().enumerate() {
        // Below that it is the timers' own.
        let late = stage.begin.map(|begin| begin.late).filter(|late| *late >= Duration::from_millis(10));
        let late = late.map(|late| format!("; it began {} late", units::duration(late))).unwrap_or_default();
        write!(
            out,
            "<li><a href=\"#stage-{position}\"><strong>{}</strong></a> ({}), {}; first device due after {}{late}</li>",
            Text(&stage.name),
            Text(stage.kind.name()),
            Text(&stage.workload),
            units::duration(stage.start)
        )?;
    }
    write!(
        out,
        "</ol><details><summary>All {} settings (fleet, classes, emulator, limits)</summary>",
        units::count(record.settings.len() as u64)
    )?;
    tables::settings(out, record)?;
    out.push_str("</details></section>\n");
    Ok(())
}

fn stages(out: &mut String, record: &RunRecord, data: &Data) -> fmt::Result {
    out.push_str("<section id=\"plots\"><h2>Plots</h2>");
    how_to_read(out);
    for (position, stage) in record.stages.iter().enumerate() {
        frame::stage(out, position, stage, series::per_point(series::lived(stage).len(), record.stages.len()))?;
        for plot in data.plots_of(Some(position)) {
            figure(out, plot)?;
        }
        bars::phases(out, position, stage)?;
        out.push_str("</div></section>\n");
    }
    run(out, data)?;
    out.push_str("</section>\n");
    Ok(())
}

/// What is about the run and not about one of its stages.
fn run(out: &mut String, data: &Data) -> fmt::Result {
    let mut plots = data.plots_of(None).peekable();
    if plots.peek().is_none() {
        return Ok(());
    }
    out.push_str("<section class=\"stage\" id=\"stage-run\"><h3>The run as a whole</h3><div class=\"plots\">");
    for plot in plots {
        figure(out, plot)?;
    }
    out.push_str("</div></section>\n");
    Ok(())
}
