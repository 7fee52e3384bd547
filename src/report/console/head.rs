use std::time::Duration;

use owo_colors::Style;

use crate::domain::TimeScale;
use crate::measure::RunRecord;
use crate::report::console::{Look, line};
use crate::report::{Verdict, tasks, units, verdicts};

/// What was run.
pub(super) fn title(text: &mut String, record: &RunRecord, look: Look) {
    let when = units::rfc3339(record.started_at);
    let part = record.part_of_fleet().map(|part| format!("{part}, ")).unwrap_or_default();
    let about = format!("against {}, seed {}, {part}{when}, fleetstorm {}", record.target, record.seed, record.version);
    line(text, "");
    line(text, &look.paint(&record.scenario, Style::new().bold()));
    if let Some(question) = &record.question {
        line(text, &look.folded("", question));
    }
    line(text, &look.paint(&look.folded("", &about), Style::new().dimmed()));
    if !record.time_scale.is_real() {
        line(text, &look.folded("", &compressed(record.time_scale)));
    }
    line(text, "");
}

/// What a second of this run stands for.
pub fn compressed(scale: TimeScale) -> String {
    const SECOND: Duration = Duration::from_secs(1);
    format!(
        "{} of fleet time passes in 1 s; validities, windows, waits, quotas and arrivals are fleet time, latencies are \
         real time",
        units::fleet_time(scale.to_fleet(SECOND))
    )
}

/// The verdicts, the worst first, then the outcome in one sentence.
pub(super) fn verdict(text: &mut String, record: &RunRecord, look: Look) {
    for verdict in verdicts(record) {
        let (label, style) = match &verdict {
            Verdict::Complete => ("COMPLETE", Style::new().bold().green()),
            Verdict::Interrupted | Verdict::Lost { .. } => ("PARTIAL", Style::new().bold().yellow()),
            Verdict::Aborted | Verdict::Stopped { .. } => ("PARTIAL", Style::new().bold().red()),
            Verdict::ThresholdsFailed { .. } => ("THRESHOLDS FAILED", Style::new().bold().red()),
            Verdict::Saturated(_) => ("SATURATED", Style::new().bold().yellow()),
            Verdict::WrongCertificates(_) => ("WRONG CERTIFICATES", Style::new().bold().red()),
            Verdict::Unaccounted { .. } => ("UNACCOUNTED", Style::new().bold().red()),
            Verdict::RowsLost { .. } => ("ROWS LOST", Style::new().bold().yellow()),
        };
        let words = match &verdict {
            Verdict::Complete => outcome(record),
            Verdict::Interrupted | Verdict::Lost { .. } | Verdict::Aborted | Verdict::Stopped { .. } => {
                format!("{}; {}", verdict.sentence(), outcome(record))
            }
            Verdict::Saturated(_) => "the generator was the bottleneck, do not judge the target by this run".to_owned(),
            Verdict::WrongCertificates(_)
            | Verdict::Unaccounted { .. }
            | Verdict::ThresholdsFailed { .. }
            | Verdict::RowsLost { .. } => verdict.sentence(),
        };
        // Painted after folding, so that escape sequences do not count as columns.
        let folded = look.folded(&format!("{label}  "), &words);
        line(text, &folded.replacen(label, &look.paint(label, style), 1));
        if let Verdict::Saturated(reasons) = &verdict {
            for reason in reasons {
                line(text, &look.folded("  - ", reason));
            }
        }
    }
    line(text, "");
}

/// `5,000 of 5,000 devices succeeded in 7.90 s (633/s), 0 wrong certificates`; of several stages it counts tasks.
pub(in crate::report) fn outcome(record: &RunRecord) -> String {
    let totals = record.totals();
    let mut words = format!(
        "{} succeeded in {} ({})",
        tasks::part(record, totals.succeeded, totals.planned),
        units::duration(record.elapsed),
        units::rate(totals.succeeded, record.elapsed),
    );
    for (count, what) in [
        (totals.failed_total(), "failed"),
        (totals.dropped, "dropped"),
        (totals.not_started, "not started"),
        (totals.skipped, "skipped"),
        (totals.expired, "expired"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {} {what}", units::count(count)));
        }
    }
    let wrong = totals.failed[crate::domain::FailureClass::Verification.index()];
    words.push_str(&format!(", {} wrong certificates", units::count(wrong)));
    words
}

/// The generator's punctuality and the machine.
pub(super) fn circumstances(text: &mut String, record: &RunRecord, look: Look) {
    let health = &record.health;
    let mut words = format!(
        "at most {} of {} in flight",
        units::count(health.peak_in_flight),
        units::count(health.in_flight_limit)
    );
    if health.peak_connected > 0 {
        words.push_str(&format!(", {} connections held", units::count(health.peak_connected)));
    }
    if let (Some(p50), Some(p99)) = (health.lateness.quantile(0.50), health.lateness.quantile(0.99)) {
        let (p50, p99) = (units::duration(p50), units::duration(p99));
        words.push_str(&format!(", started {p50} after due at the median, {p99} at p99"));
    }
    line(text, &look.folded(" ", &words));
    let machine = &record.machine;
    let words = format!(
        "{}, {} cores, {}, {}, {} open files",
        machine.cpu,
        machine.cores,
        units::bytes(machine.memory),
        machine.os,
        units::count(machine.open_files)
    );
    line(text, &look.folded(" ", &words));
    line(text, "");
}
