use std::fmt;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::cli::metrics::families::{Families, Family, Labels};
use crate::cli::metrics::process::Process;
use crate::domain::FailureClass;
use crate::engine::{Plan, Progress, RunPart, StageProgress};
use crate::measure::Totals;
use crate::scenario::Scenario;

/// What is known of a run before it begins.
#[derive(Debug, Clone)]
pub struct Facts {
    scenario: String,
    seed: String,
    /// Names and planned devices.
    stages: Vec<(String, u64)>,
    /// Attempts that `--devices` could not write; `None` without it.
    lost_rows: Option<Arc<AtomicU64>>,
}

impl Facts {
    /// Of a run of `scenario`; `lost_rows` counts the attempts that `--devices` could not write.
    pub fn new(scenario: &Scenario, plan: &Plan, lost_rows: Option<Arc<AtomicU64>>) -> Self {
        let stages = plan.stages.iter().map(|stage| (stage.name.clone(), u64::from(stage.devices)));
        Self { scenario: scenario.name.clone(), seed: plan.seed.to_string(), stages: stages.collect(), lost_rows }
    }
}

/// All that is told at one moment, in the OpenMetrics text format.
pub(super) fn text(facts: &Arc<Facts>, progress: Progress, over: bool) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("fleetstorm");
    let process = Process::now();
    registry.register_collector(Box::new(Moment { facts: Arc::clone(facts), progress, over, process }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Moment {
    facts: Arc<Facts>,
    progress: Progress,
    over: bool,
    process: Process,
}

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.run(&mut families)?;
        self.devices(&mut families)?;
        self.attempts(&mut families)?;
        self.times(&mut families)?;
        self.generator(&mut families)
    }
}

impl Moment {
    fn run(&self, to: &mut Families<'_>) -> fmt::Result {
        let Facts { scenario, seed, .. } = &*self.facts;
        let version = env!("CARGO_PKG_VERSION");
        let labels = vec![("version", version), ("scenario", scenario.as_str()), ("seed", seed.as_str())];
        to.gauges(family("run", "Always 1; the labels say which run this is."), once((labels, 1.0)))?;
        let part = if self.over { "over" } else { self.progress.part.name() };
        let parts = [RunPart::Prepare.name(), RunPart::Measure.name(), RunPart::Drain.name(), "over"];
        to.gauges(
            family("run_part", "1 for the part that the run is in, else 0."),
            parts.map(|name| (vec![("part", name)], f64::from(u8::from(name == part)))),
        )?;
        let elapsed = self.progress.elapsed.as_secs_f64();
        to.gauges(
            seconds("run_elapsed", "Time since the measured part began, of the preparation while that lasts."),
            once((Vec::new(), elapsed)),
        )
    }

    fn devices(&self, to: &mut Families<'_>) -> fmt::Result {
        to.gauges(
            family("devices_planned", "Devices that take part in the stage."),
            self.facts.stages.iter().map(|(name, planned)| (stage(name), *planned as f64)),
        )?;
        to.counters(family("devices_started", "Devices started."), self.count(|totals| totals.started))?;
        to.counters(
            family("devices", "Devices that are through, by outcome; in the end their sum is what was planned."),
            self.stages().flat_map(|(name, totals)| {
                let outcomes = [
                    ("succeeded", totals.succeeded),
                    ("failed", totals.failed_total()),
                    ("dropped", totals.dropped),
                    ("not_started", totals.not_started),
                    ("skipped", totals.skipped),
                ];
                outcomes.map(|(outcome, count)| (vec![("stage", name), ("outcome", outcome)], count))
            }),
        )?;
        to.counters(
            family("devices_failed", "Devices that failed for good, by the class of the last failure."),
            self.by_class(|totals| totals.failed),
        )?;
        to.counters(
            family("devices_expired", "Devices whose certificate expired before it was replaced."),
            self.count(|totals| totals.expired),
        )
    }

    fn attempts(&self, to: &mut Families<'_>) -> fmt::Result {
        to.counters(
            family("attempts_started", "Attempts started: what is offered to the service."),
            self.count(|totals| totals.attempts),
        )?;
        to.counters(
            family("attempts", "Attempts that ended, by outcome; the succeeded ones are the goodput."),
            self.facts.stages.iter().enumerate().flat_map(|(index, (name, _))| {
                let (succeeded, failed) = self.progress_of(index).map_or((0, 0), |stage| {
                    let ended = stage.attempts.saturating_sub(stage.in_flight);
                    (ended.saturating_sub(stage.failed_attempts), stage.failed_attempts)
                });
                [("succeeded", succeeded), ("failed", failed)]
                    .map(|(outcome, count)| (vec![("stage", name.as_str()), ("outcome", outcome)], count))
            }),
        )?;
        to.counters(
            family("attempts_failed", "Attempts that failed, by class, whether others followed or not."),
            self.by_class(|totals| totals.failed_attempts),
        )?;
        to.gauges(
            family("attempts_in_flight", "Attempts going on."),
            self.gauge(|stage| Some(stage.in_flight as f64)),
        )?;
        to.gauges(
            family("connected", "Connections with the hub that are held."),
            once((Vec::new(), self.progress.connected as f64)),
        )?;
        to.counters(family("throttled", "Answers 429 received."), self.count(|totals| totals.throttled))?;
        to.counters(family("polls", "Status polls sent."), self.count(|totals| totals.polls))?;
        to.counters(
            family("disconnects", "Held connections with the hub that were lost."),
            self.count(|totals| totals.disconnects),
        )?;
        to.counters(
            family("telemetry", "Telemetry messages that the hub acknowledged."),
            self.count(|totals| totals.telemetry),
        )
    }

    fn times(&self, to: &mut Families<'_>) -> fmt::Result {
        let quantile = |pick: [fn(&StageProgress) -> Option<Duration>; 2]| {
            let quantiles = ["0.5", "0.99"].into_iter().zip(pick);
            let series = quantiles.flat_map(|(quantile, pick)| {
                self.gauge(move |stage| pick(stage).map(|time| time.as_secs_f64())).map(move |(mut labels, value)| {
                    labels.push(("quantile", quantile));
                    (labels, value)
                })
            });
            series.collect::<Vec<_>>()
        };
        to.gauges(
            seconds("total", "From due to done, of all successes so far, with three significant digits."),
            quantile([|stage| stage.p50, |stage| stage.p99]),
        )?;
        to.gauges(
            seconds("lateness", "Start minus due time of the attempts so far: the generator's own lateness."),
            quantile([
                |stage| stage.distributions.as_ref()?.lateness_p50,
                |stage| stage.distributions.as_ref()?.lateness_p99,
            ]),
        )?;
        let phases = self.facts.stages.iter().enumerate().flat_map(|(index, (name, _))| {
            let distributions = self.progress_of(index).and_then(|stage| stage.distributions.as_deref());
            let phases = distributions.into_iter().flat_map(|distributions| distributions.phases.iter());
            phases.map(move |(phase, succeeded, buckets)| {
                let outcome = if succeeded { "succeeded" } else { "failed" };
                (vec![("stage", name.as_str()), ("phase", phase.name()), ("outcome", outcome)], buckets)
            })
        });
        to.histograms(seconds("phase", "Time of a phase, of the attempts with that outcome."), phases)
    }

    fn generator(&self, to: &mut Families<'_>) -> fmt::Result {
        to.gauges(
            family("generator_saturated", "1 when the generator was the bottleneck of the stage so far, else 0."),
            self.gauge(|stage| Some(f64::from(u8::from(stage.saturated)))),
        )?;
        let Process { cpu, resident_memory, open_files } = self.process;
        let cpu = cpu.into_iter().flat_map(|[user, system]| [("user", user), ("system", system)]);
        to.counters_f64(
            seconds("generator_cpu", "CPU time of the generator's process."),
            cpu.map(|(mode, time)| (vec![("mode", mode)], time.as_secs_f64())),
        )?;
        to.gauges(
            Family { unit: Some("bytes"), ..family("generator_resident_memory", "Resident memory of the generator.") },
            resident_memory.map(|bytes| (Vec::new(), bytes as f64)),
        )?;
        to.gauges(
            family("generator_open_files", "Open files of the generator, sockets included."),
            open_files.map(|files| (Vec::new(), files as f64)),
        )?;
        let lost = self.facts.lost_rows.as_ref().map(|lost| lost.load(Ordering::Relaxed));
        to.counters(
            family("device_rows_lost", "Attempts that are missing in devices.csv because the disk was too slow."),
            lost.map(|lost| (Vec::new(), lost)),
        )
    }

    /// Every stage of the run by name, those to come with zeros.
    fn stages(&self) -> impl Iterator<Item = (&str, Totals)> {
        let totals = |index| self.progress_of(index).map(|stage| stage.totals).unwrap_or_default();
        self.facts.stages.iter().enumerate().map(move |(index, (name, _))| (name.as_str(), totals(index)))
    }

    /// `None` when it did not begin yet.
    fn progress_of(&self, index: usize) -> Option<&StageProgress> {
        self.progress.stages.iter().chain(&self.progress.over).find(|stage| stage.stage == index)
    }

    fn count(&self, pick: fn(&Totals) -> u64) -> impl Iterator<Item = (Labels<'_>, u64)> {
        self.stages().map(move |(name, totals)| (stage(name), pick(&totals)))
    }

    fn by_class(&self, pick: fn(&Totals) -> [u64; FailureClass::ALL.len()]) -> impl Iterator<Item = (Labels<'_>, u64)> {
        self.stages().flat_map(move |(name, totals)| {
            let classes = FailureClass::ALL.into_iter().zip(pick(&totals));
            classes.map(move |(class, count)| (vec![("stage", name), ("class", class.name())], count))
        })
    }

    /// Of stages that began and have the value.
    fn gauge(&self, pick: impl Fn(&StageProgress) -> Option<f64> + Clone) -> impl Iterator<Item = (Labels<'_>, f64)> {
        self.facts
            .stages
            .iter()
            .enumerate()
            .filter_map(move |(index, (name, _))| Some((stage(name), pick(self.progress_of(index)?)?)))
    }
}

fn stage(name: &str) -> Labels<'_> {
    vec![("stage", name)]
}

const fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, help, unit: None }
}

const fn seconds(name: &'static str, help: &'static str) -> Family {
    Family { name, help, unit: Some("seconds") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Distributions;
    use crate::measure::{Attempt, Outcome, PhaseBuckets, PhaseHistograms, PhaseTimes};

    fn facts() -> Arc<Facts> {
        let stages = vec![("storm".to_owned(), 5), ("renew".to_owned(), 3)];
        Arc::new(Facts { scenario: "a \"test\"".to_owned(), seed: "7".to_owned(), stages, lost_rows: None })
    }

    fn progress() -> Progress {
        let mut phases = PhaseTimes::new();
        phases.set(crate::domain::Phase::Tls, Duration::from_micros(1_500));
        let mut histograms = PhaseHistograms::new();
        histograms.record(&Attempt {
            device: 0,
            stage: 0,
            number: 1,
            due: Duration::ZERO,
            started: Duration::ZERO,
            ended: Duration::ZERO,
            phases,
            outcome: Outcome::Success,
            code: 0,
            polls: 0,
            throttled: 0,
        });
        let mut totals = Totals { succeeded: 2, attempts: 5, started: 4, throttled: 6, ..Totals::default() };
        totals.failed[FailureClass::Timeout.index()] = 1;
        totals.failed_attempts[FailureClass::Timeout.index()] = 2;
        let distributions = Distributions {
            lateness_p50: Some(Duration::from_millis(1)),
            lateness_p99: Some(Duration::from_millis(4)),
            phases: PhaseBuckets::of(&histograms),
        };
        let stage = StageProgress {
            attempts: 5,
            failed_attempts: 2,
            in_flight: 1,
            p50: Some(Duration::from_millis(20)),
            totals,
            distributions: Some(Arc::new(distributions)),
            ..StageProgress::default()
        };
        let part = RunPart::Measure;
        Progress { part, elapsed: Duration::from_secs(2), stages: vec![stage], connected: 3, ..Progress::default() }
    }

    fn without_process(text: &str) -> String {
        let process = ["cpu", "resident", "open_files"].map(|name| format!("fleetstorm_generator_{name}"));
        let is_of = |line: &&str| process.iter().any(|name| line.starts_with(name));
        text.lines().filter(|line| !is_of(line)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_moment_of_a_run() {
        insta::assert_snapshot!(without_process(&text(&facts(), progress(), false).unwrap()));
    }

    #[test]
    fn before_it_begins_everything_is_zero() {
        let text = text(&facts(), Progress::default(), false).unwrap();
        assert!(text.contains("fleetstorm_devices_total{stage=\"renew\",outcome=\"succeeded\"} 0\n"), "{text}");
        assert!(text.contains("fleetstorm_run_part{part=\"prepare\"} 1.0\n"), "{text}");
        assert!(text.contains("scenario=\"a \\\"test\\\"\"") && text.ends_with("# EOF\n"), "{text}");
    }
}
