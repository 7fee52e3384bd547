use std::borrow::Cow;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::{Adding, Count, FailureClass, Subject, Value};
use crate::engine::{Plan, Progress, RunPart, StageProgress};
use crate::measure::Counts;
use crate::rig::machine::process::{ChildProcess, Process, open_files};
use crate::rig::metrics::families::{Family, Labels, Series, counters, gauges, histograms, sums};
use crate::scenario::Scenario;

/// What is known of a run before it begins.
#[derive(Debug, Clone)]
pub struct RunFacts {
    pub(super) scenario: String,
    pub(super) seed: String,
    /// Names and planned devices.
    stages: Vec<(String, u64)>,
    /// Attempts that `--devices` could not write; `None` without it.
    lost_rows: Option<Arc<AtomicU64>>,
    emulator: ChildProcess,
}

impl RunFacts {
    /// Of a run of `scenario`; `lost_rows` counts the attempts that `--devices` could not write, `emulator` is the embedded one.
    pub fn new(scenario: &Scenario, plan: &Plan, lost_rows: Option<Arc<AtomicU64>>, emulator: ChildProcess) -> Self {
        let stages = plan.stages.iter().map(|stage| (stage.name.clone(), u64::from(stage.devices))).collect();
        Self { scenario: scenario.name.clone(), seed: plan.seed.to_string(), stages, lost_rows, emulator }
    }
}

/// All that is told of a run at one moment: the only list of its metrics.
#[derive(Debug)]
pub(super) struct RunMoment {
    facts: Arc<RunFacts>,
    progress: Progress,
    over: bool,
    generator: Process,
    open_files: Option<u64>,
    emulator: Process,
}

impl RunMoment {
    /// The moment of a snapshot; `over` once the run has come to its end.
    pub(super) fn now(facts: &Arc<RunFacts>, progress: Progress, over: bool) -> Self {
        let (generator, emulator) = (Process::own(), facts.emulator.now());
        Self { facts: Arc::clone(facts), progress, over, generator, open_files: open_files(), emulator }
    }

    /// Every family, in the order in which they are told.
    pub(super) fn families(&self) -> impl Iterator<Item = Family<'_>> {
        self.run()
            .into_iter()
            .chain([self.outcomes()])
            .chain(self.counts())
            .chain(self.attempts())
            .chain(self.times())
            .chain(self.generator())
            .chain(self.emulator())
    }

    fn run(&self) -> [Family<'_>; 3] {
        let RunFacts { scenario, seed, .. } = &*self.facts;
        let version = env!("CARGO_PKG_VERSION");
        let labels = vec![("version", version), ("scenario", scenario.as_str()), ("seed", seed.as_str())];
        let part = if self.over { "over" } else { self.progress.part.name() };
        let parts = [RunPart::Prepare, RunPart::Wait, RunPart::Measure, RunPart::Drain].map(RunPart::name);
        let parts = parts.into_iter().chain(["over"]);
        [
            Family::new("run", "Always 1; the labels say which run this is.", gauges(once((labels, 1.0)))),
            Family::new(
                "run_part",
                "1 for the part that the run is in, else 0.",
                gauges(parts.map(|name| (vec![("part", name)], f64::from(u8::from(name == part))))),
            ),
            Family::new(
                "run_elapsed",
                "Time since the measured part began, of the preparation while that lasts.",
                gauges(once((Vec::new(), self.progress.elapsed.as_secs_f64()))),
            )
            .seconds(),
        ]
    }

    fn outcomes(&self) -> Family<'_> {
        let outcomes = self.stages().flat_map(|(name, totals)| {
            let labels = move |outcome: Count| vec![("stage", name), ("outcome", outcome.name())];
            Count::OUTCOMES.into_iter().filter_map(move |outcome| Some((labels(outcome), totals.number(outcome)?)))
        });
        Family::new(
            "devices",
            "Devices of the stage that are through, by outcome; in the end their sum is what was planned.",
            counters(outcomes),
        )
    }

    /// Every count of stages, but for what [`Self::outcomes`] says in full.
    fn counts(&self) -> impl Iterator<Item = Family<'_>> {
        let is_told = |count: &Count| Count::OUTCOMES.contains(count) && count.adding() == Adding::Sum;
        Count::ALL.into_iter().filter(move |count| !is_told(count)).map(|count| {
            let family = |series| Family::new(count_name(count), count.help(), series);
            let of_stages = self.stages();
            match count.adding() {
                // Known beforehand, of stages that are to come too.
                _ if count == Count::Planned => {
                    family(gauges(self.facts.stages.iter().map(|(name, planned)| (stage(name), *planned as f64))))
                }
                Adding::Sum => {
                    family(counters(of_stages.filter_map(|(name, totals)| Some((stage(name), totals.number(count)?)))))
                }
                Adding::ByClass => family(counters(of_stages.flat_map(|(name, totals)| {
                    let labels = move |class: FailureClass| vec![("stage", name), ("class", class.name())];
                    let classes = FailureClass::ALL.into_iter();
                    classes.filter_map(move |class| Some((labels(class), totals.of_class(count, class)?)))
                }))),
                Adding::Longest => family(gauges(of_stages.filter_map(|(name, totals)| match totals.get(count)? {
                    Value::Longest(longest) => Some((stage(name), longest?.as_secs_f64())),
                    Value::Number(_) | Value::ByClass(_) => None,
                })))
                .seconds(),
            }
        })
    }

    fn attempts(&self) -> [Family<'_>; 3] {
        let ended = self.facts.stages.iter().enumerate().flat_map(|(index, (name, _))| {
            let (succeeded, failed) =
                self.progress_of(index).map_or((0, 0), |stage| (stage.goodput(), stage.totals.failed_attempts.total()));
            [("succeeded", succeeded), ("failed", failed)]
                .map(|(outcome, count)| (vec![("stage", name.as_str()), ("outcome", outcome)], count))
        });
        [
            Family::new(
                "attempts",
                "Attempts that ended, by outcome; the succeeded ones are the goodput.",
                counters(ended),
            ),
            Family::new(
                "attempts_in_flight",
                "Attempts going on.",
                gauges(self.gauge(|stage| Some(stage.in_flight as f64))),
            ),
            Family::new(
                "connected",
                "Connections with the hub that are held.",
                gauges(once((Vec::new(), self.progress.connected as f64))),
            ),
        ]
    }

    fn times(&self) -> [Family<'_>; 4] {
        let phases = self.facts.stages.iter().enumerate().flat_map(|(index, (name, _))| {
            let distributions = self.progress_of(index).and_then(|stage| stage.distributions.as_deref());
            let phases = distributions.into_iter().flat_map(|distributions| distributions.phases.iter());
            phases.map(move |(phase, end, buckets)| {
                (vec![("stage", name.as_str()), ("phase", phase.name()), ("outcome", end.name())], buckets)
            })
        });
        [
            Family::new(
                "total",
                "From due to done, of all devices that began, with three significant digits; absent while it is not known.",
                gauges(self.percentiles([|stage| stage.p50?.exact(), |stage| stage.p99?.exact()])),
            )
            .seconds(),
            Family::new(
                "total_above",
                "What the time from due to done is above of, while it is not known.",
                gauges(self.percentiles([|stage| stage.p50?.above(), |stage| stage.p99?.above()])),
            )
            .seconds(),
            Family::new(
                "lateness",
                "Start minus due time of the attempts so far: the generator's own lateness.",
                gauges(self.percentiles([
                    |stage| stage.distributions.as_ref()?.lateness_p50,
                    |stage| stage.distributions.as_ref()?.lateness_p99,
                ])),
            )
            .seconds(),
            Family::new("phase", "Time of a phase, of the attempts with that outcome.", histograms(phases)).seconds(),
        ]
    }

    fn generator(&self) -> [Family<'_>; 5] {
        let lost = self.facts.lost_rows.as_ref().map(|lost| lost.load(Ordering::Relaxed));
        [
            Family::new(
                "generator_saturated",
                "1 when the generator was the bottleneck of the stage so far, else 0.",
                gauges(self.gauge(|stage| Some(f64::from(u8::from(stage.saturated))))),
            ),
            Family::new("generator_cpu", "CPU time of the generator's process.", by_mode(self.generator)).seconds(),
            Family::new("generator_resident_memory", "Resident memory of the generator.", resident(self.generator))
                .bytes(),
            Family::new(
                "generator_open_files",
                "Open files of the generator, sockets included.",
                gauges(self.open_files.map(|files| (Vec::new(), files as f64))),
            ),
            Family::new(
                "device_rows_lost",
                "Attempts that are missing in devices.csv because the disk was too slow.",
                counters(lost.map(|lost| (Vec::new(), lost))),
            ),
        ]
    }

    fn emulator(&self) -> [Family<'_>; 2] {
        [
            Family::new("emulator_cpu", "CPU time of the embedded emulator's process.", by_mode(self.emulator))
                .seconds(),
            Family::new(
                "emulator_resident_memory",
                "Resident memory of the embedded emulator.",
                resident(self.emulator),
            )
            .bytes(),
        ]
    }

    /// Every stage of the run by name, those to come with zeros.
    fn stages(&self) -> impl Iterator<Item = (&str, Counts)> {
        let totals = |index| self.progress_of(index).map(|stage| stage.totals).unwrap_or_default();
        self.facts.stages.iter().enumerate().map(move |(index, (name, _))| (name.as_str(), totals(index)))
    }

    /// `None` when it did not begin yet.
    fn progress_of(&self, index: usize) -> Option<&StageProgress> {
        self.progress.stages.iter().chain(&self.progress.over).find(|stage| stage.stage == index)
    }

    /// Of stages that began and have the value.
    fn gauge(&self, pick: impl Fn(&StageProgress) -> Option<f64>) -> impl Iterator<Item = (Labels<'_>, f64)> {
        self.facts
            .stages
            .iter()
            .enumerate()
            .filter_map(move |(index, (name, _))| Some((stage(name), pick(self.progress_of(index)?)?)))
    }

    /// Median and 99th percentile of stages that have them. The label is not `quantile`, which belongs to summaries.
    fn percentiles(
        &self,
        pick: [fn(&StageProgress) -> Option<Duration>; 2],
    ) -> impl Iterator<Item = (Labels<'_>, f64)> {
        ["p50", "p99"].into_iter().zip(pick).flat_map(|(percentile, pick)| {
            self.gauge(move |stage| pick(stage).map(|time| time.as_secs_f64())).map(move |(mut labels, value)| {
                labels.push(("percentile", percentile));
                (labels, value)
            })
        })
    }
}

fn by_mode(process: Process) -> Series<'static> {
    let cpu = process.cpu.into_iter().flat_map(|[user, system]| [("user", user), ("system", system)]);
    sums(cpu.map(|(mode, time)| (vec![("mode", mode)], time.as_secs_f64())))
}

fn resident(process: Process) -> Series<'static> {
    gauges(process.resident_memory.map(|bytes| (Vec::new(), bytes as f64)))
}

/// What the metric of a count is called. What devices and attempts did begins with these words.
fn count_name(count: Count) -> Cow<'static, str> {
    match count {
        Count::Attempts => "attempts_started".into(),
        Count::FailedAttempts => "attempts_failed".into(),
        _ if count.subject() == Subject::Devices => format!("devices_{}", count.name()).into(),
        _ => count.name().into(),
    }
}

fn stage(name: &str) -> Labels<'_> {
    vec![("stage", name)]
}

#[cfg(test)]
pub(super) mod sample {
    use super::*;
    use crate::domain::Known;
    use crate::domain::Phase;
    use crate::engine::Distributions;
    use crate::measure::{Attempt, Outcome, PhaseBuckets, PhaseHistograms, PhaseTimes};

    pub(in crate::rig::metrics) fn facts() -> Arc<RunFacts> {
        let stages = vec![("storm".to_owned(), 5), ("renew".to_owned(), 3)];
        Arc::new(RunFacts {
            scenario: "a \"test\"".to_owned(),
            seed: "7".to_owned(),
            stages,
            lost_rows: None,
            emulator: ChildProcess::default(),
        })
    }

    pub(in crate::rig::metrics) fn progress() -> Progress {
        let mut phases = PhaseTimes::new();
        phases.set(Phase::Tls, Duration::from_micros(1_500));
        let mut histograms = PhaseHistograms::new();
        histograms.record(&Attempt::that(Outcome::Success, phases));
        let mut totals = Counts { succeeded: 2, attempts: 5, started: 4, throttled: 6, ..Counts::default() };
        totals.failed[FailureClass::Timeout] = 1;
        totals.failed_attempts[FailureClass::Timeout] = 2;
        let distributions = Distributions {
            lateness_p50: Some(Duration::from_millis(1)),
            lateness_p99: Some(Duration::from_millis(4)),
            phases: PhaseBuckets::of(&histograms),
        };
        let stage = StageProgress {
            in_flight: 1,
            p50: Some(Known::Is(Duration::from_millis(20))),
            p99: Some(Known::Above(Duration::from_millis(900))),
            totals,
            distributions: Some(Arc::new(distributions)),
            ..StageProgress::default()
        };
        let part = RunPart::Measure;
        Progress { part, elapsed: Duration::from_secs(2), stages: vec![stage], connected: 3, ..Progress::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_documented() {
        let page = include_str!("../../../docs/metrics.md");
        // The page says how those of counts are named; what each counts is in docs/counts.md, which is made.
        let of_counts = Count::ALL.map(count_name);
        let moment = RunMoment::now(&sample::facts(), sample::progress(), false);
        let names: Vec<_> = moment.families().map(|family| family.name).collect();
        for name in names.iter().filter(|name| !of_counts.contains(name)) {
            assert!(page.contains(&format!("`{name}")), "docs/metrics.md does not tell {name}");
        }
        let without_a_metric_of_its_own = |count: &Count| Count::OUTCOMES.contains(count) && *count != Count::Failed;
        for count in Count::ALL.into_iter().filter(|count| !without_a_metric_of_its_own(count)) {
            assert!(names.contains(&count_name(count)), "{count:?}");
        }
    }
}
