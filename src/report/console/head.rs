use std::time::Duration;

use owo_colors::Style;

use crate::measure::{CpuUse, RunRecord};
use crate::report::console::{Look, line, wrapped};
use crate::report::{Verdict, units, verdicts};

/// What was run.
pub(super) fn title(text: &mut String, record: &RunRecord, look: Look) {
    let when = units::rfc3339(record.started_at);
    let about = format!("against {}, seed {}, {when}, fleetstorm {}", record.target, record.seed, record.version);
    line(text, "");
    line(text, &look.paint(&record.scenario, Style::new().bold()));
    if let Some(question) = &record.question {
        line(text, &wrapped("", question));
    }
    line(text, &look.paint(&wrapped("", &about), Style::new().dimmed()));
    line(text, "");
}

/// The verdicts, the worst first, then the outcome in one sentence.
pub(super) fn verdict(text: &mut String, record: &RunRecord, look: Look) {
    for verdict in verdicts(record) {
        let (label, style) = match &verdict {
            Verdict::Complete => ("COMPLETE", Style::new().bold().green()),
            Verdict::Interrupted => ("PARTIAL", Style::new().bold().yellow()),
            Verdict::Aborted => ("PARTIAL", Style::new().bold().red()),
            Verdict::Saturated(_) => ("SATURATED", Style::new().bold().yellow()),
            Verdict::WrongCertificates(_) => ("WRONG CERTIFICATES", Style::new().bold().red()),
            Verdict::Unaccounted { .. } => ("UNACCOUNTED", Style::new().bold().red()),
        };
        let words = match verdict {
            Verdict::Complete => outcome(record),
            Verdict::Interrupted | Verdict::Aborted => format!("{}; {}", verdict.sentence(), outcome(record)),
            _ => verdict.sentence(),
        };
        // Painted after folding, so that escape sequences do not count as columns.
        let folded = wrapped(&format!("{label}  "), &words);
        line(text, &folded.replacen(label, &look.paint(label, style), 1));
    }
    line(text, "");
}

/// `5,000 of 5,000 devices succeeded in 7.90 s (633/s), 0 wrong certificates`.
fn outcome(record: &RunRecord) -> String {
    let totals = record.totals();
    let mut words = format!(
        "{} of {} devices succeeded in {} ({})",
        units::count(totals.succeeded),
        units::count(totals.planned),
        units::duration(record.elapsed),
        units::rate(totals.succeeded, record.elapsed),
    );
    for (count, what) in
        [(totals.failed_total(), "failed"), (totals.dropped, "dropped"), (totals.not_started, "not started")]
    {
        if count > 0 {
            words.push_str(&format!(", {} {what}", units::count(count)));
        }
    }
    let wrong = totals.failed[crate::domain::FailureClass::Verification.index()];
    words.push_str(&format!(", {} wrong certificates", units::count(wrong)));
    words
}

/// What generator and emulator used.
pub(super) fn resources(text: &mut String, record: &RunRecord) {
    let succeeded = record.totals().succeeded;
    let mut row = |name: &str, cpu: &CpuUse, more: &str| {
        let each = match succeeded {
            0 => String::new(),
            n => format!("{} CPU per device, ", units::duration(div(cpu.total(), n))),
        };
        let words = format!(
            "{each}{} in all, {} peak memory{more}",
            units::duration(cpu.total()),
            units::bytes(cpu.peak_memory)
        );
        line(text, &wrapped(&format!("{name:<11}"), &words));
    };
    let health = &record.health;
    let in_flight = format!(
        ", at most {} of {} in flight",
        units::count(health.peak_in_flight),
        units::count(health.in_flight_limit)
    );
    row("generator", &record.generator, &in_flight);
    if let Some(emulator) = &record.emulator {
        row("emulator", emulator, "");
    }
    if let (Some(p50), Some(p99)) = (health.lateness.quantile(0.50), health.lateness.quantile(0.99)) {
        let words =
            format!("started {} after due at the median, {} at p99", units::duration(p50), units::duration(p99));
        line(text, &wrapped(&format!("{:<11}", "lateness"), &words));
    }
    let machine = &record.machine;
    let words = format!(
        "{}, {} cores, {}, {}, {} open files",
        machine.cpu,
        machine.cores,
        units::bytes(machine.memory),
        machine.os,
        units::count(machine.open_files)
    );
    line(text, &wrapped(&format!("{:<11}", "machine"), &words));
    line(text, "");
}

fn div(time: Duration, by: u64) -> Duration {
    Duration::from_secs_f64(time.as_secs_f64() / by as f64)
}
