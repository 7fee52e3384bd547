use std::time::Duration;

use owo_colors::Style;

use crate::domain::TimeScale;
use crate::measure::RunRecord;
use crate::report::console::{Look, line};
use crate::report::verdict::machine_full;
use crate::report::{Tone, Verdict, observed, tasks, units, verdicts};

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
    line(text, &look.paint(&look.folded("", &about), Tone::Quiet.style()));
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
    lines_of_verdict(text, record, look, &[]);
    line(text, "");
}

/// The verdict once more, where the table of thresholds is far above: with those that were not met.
pub(super) fn closing(text: &mut String, record: &RunRecord, look: Look) {
    let unmet = record.thresholds.iter().filter(|threshold| !threshold.met);
    let unmet: Vec<_> =
        unmet.map(|unmet| format!("{}: observed {}", unmet.text, observed::words(unmet.observed))).collect();
    lines_of_verdict(text, record, look, &unmet);
}

fn lines_of_verdict(text: &mut String, record: &RunRecord, look: Look, unmet: &[String]) {
    for verdict in verdicts(record) {
        let (label, tone) = label(&verdict);
        let words = match &verdict {
            Verdict::Complete => outcome(record),
            Verdict::Interrupted
            | Verdict::Lost { .. }
            | Verdict::Aborted
            | Verdict::Stopped { .. }
            | Verdict::Broken { .. }
            | Verdict::Unwritten { .. } => {
                format!("{}; {}", verdict.sentence(), outcome(record))
            }
            Verdict::MachineFull { shared, .. } => machine_full(*shared),
            Verdict::Saturated(_) => "the generator was the bottleneck, do not judge the target by this run".to_owned(),
            Verdict::WrongCertificates(_)
            | Verdict::Unaccounted { .. }
            | Verdict::ThresholdsFailed { .. }
            | Verdict::RowsLost { .. } => verdict.sentence(),
        };
        // Painted after folding, so that escape sequences do not count as columns.
        let folded = look.folded(&format!("{label}  "), &words);
        line(text, &folded.replacen(label, &look.paint(label, tone.style().bold()), 1));
        let reasons = match &verdict {
            Verdict::Saturated(reasons) | Verdict::MachineFull { stages: reasons, .. } => reasons.as_slice(),
            Verdict::ThresholdsFailed { .. } => unmet,
            _ => &[],
        };
        for reason in reasons {
            line(text, &look.folded("  - ", reason));
        }
    }
}

const fn label(verdict: &Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Complete => ("COMPLETE", Tone::Good),
        Verdict::Interrupted | Verdict::Lost { .. } => ("PARTIAL", Tone::Warning),
        Verdict::Aborted | Verdict::Stopped { .. } | Verdict::Broken { .. } | Verdict::Unwritten { .. } => {
            ("PARTIAL", Tone::Bad)
        }
        Verdict::ThresholdsFailed { .. } => ("THRESHOLDS FAILED", Tone::Bad),
        Verdict::Saturated(_) => ("SATURATED", Tone::Warning),
        Verdict::MachineFull { .. } => ("MACHINE FULL", Tone::Warning),
        Verdict::WrongCertificates(_) => ("WRONG CERTIFICATES", Tone::Bad),
        Verdict::Unaccounted { .. } => ("UNACCOUNTED", Tone::Bad),
        Verdict::RowsLost { .. } => ("ROWS LOST", Tone::Warning),
    }
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
        (totals.failed.total(), "failed"),
        (totals.dropped, "dropped"),
        (totals.not_started, "not started"),
        (totals.skipped, "skipped"),
        (totals.expired, "expired"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {} {what}", units::count(count)));
        }
        if what == "failed" && totals.gave_up > 0 {
            words.push_str(&format!(" ({} gave up)", units::count(totals.gave_up)));
        }
    }
    let wrong = totals.failed[crate::domain::FailureClass::Verification];
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
    let lateness = health.lateness.decode();
    if let (Some(p50), Some(p99)) = (lateness.quantile(0.50), lateness.quantile(0.99)) {
        let (p50, p99) = (units::duration(p50), units::duration(p99));
        words.push_str(&format!(", started {p50} after due at the median, {p99} at p99"));
    }
    line(text, &look.folded(" ", &words));
    line(text, &look.folded(" ", &units::machine(&record.machine)));
    line(text, "");
}
