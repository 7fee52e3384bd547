use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::domain::Threshold;
use crate::engine::plan::share::InFlightLimit;
use crate::engine::record::merge::Merged;
use crate::engine::record::recorder::Errors;
use crate::engine::record::times::Times;
use crate::engine::run::crew::{Execution, cores};
use crate::engine::watch::health::Watch;
use crate::engine::watch::thresholds::{self, Numbers};
use crate::engine::watch::usage;
use crate::engine::worker::gauge::Gauges;
use crate::measure::{Certificates, CpuUse, ErrorRow, Fleet, FleetClass, GeneratorHealth, RunStatus};
use crate::measure::{StageRecord, ThresholdResult};
use crate::scenario::{self, DeviceClass, Scenario};

/// What the engine found out: the part of a [`crate::measure::RunRecord`] that it knows.
#[derive(Debug, Clone)]
pub struct EngineOutcome {
    /// Start of the measured part.
    pub started_at: SystemTime,
    /// Length of the prepare part: making the first keys.
    pub prepare: Duration,
    /// Length of the measured part and the drain after it.
    pub elapsed: Duration,
    /// How it ended.
    pub status: RunStatus,
    /// CPU of this process from the start of prepare to the end, and its peak memory.
    pub generator: CpuUse,
    /// Whether the generator was the bottleneck.
    pub health: GeneratorHealth,
    /// One entry per stage, in order.
    pub stages: Vec<StageRecord>,
    /// What became of the thresholds.
    pub thresholds: Vec<ThresholdResult>,
    /// When the certificates expire that the devices had at the end; absent until then.
    pub certificates: Option<Certificates>,
    /// The fleet of which this ran the whole, or a shard.
    pub fleet: Fleet,
    /// Distinct failures of all stages, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// Things that the reader must know.
    pub notes: Vec<String>,
}

/// What is known of a run from the moment on at which its measured part begins.
pub(crate) struct RunStart {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) started_at: SystemTime,
    pub(crate) prepare: Duration,
    pub(crate) cpu_at_start: CpuUse,
    pub(crate) cpu_at_begin: CpuUse,
    pub(crate) limit: InFlightLimit,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) execution: Execution,
}

/// What the stages found out, until the end or until now.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    pub(crate) status: RunStatus,
    pub(crate) stages: Vec<Merged>,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) errors: Errors,
    pub(crate) notes: Vec<String>,
    /// The threshold that ended the run.
    pub(crate) broken: Option<ThresholdResult>,
    /// CPU time of the busiest worker, when it is known.
    pub(crate) busiest: Duration,
}

impl RunStart {
    pub(crate) fn outcome(&self, measured: Measured) -> EngineOutcome {
        let Measured { elapsed, status, stages, certificates, errors, notes, broken, busiest } = measured;
        let health = Watch {
            scenario: &self.scenario,
            stages: &stages,
            limit: self.limit,
            elapsed,
            cores: cores(),
            peak_in_flight: self.gauges.in_flight.peak(),
            peak_connected: self.gauges.connected.peak(),
            busiest,
            // Real CPU time says nothing about virtual time.
            cpu: (self.execution == Execution::Threads).then(|| usage::since(&self.cpu_at_begin).total()),
        }
        .verdict();
        let thresholds = self.scenario.thresholds.iter().map(|threshold| {
            let stopped = broken.as_ref().filter(|result| result.text == threshold.text);
            stopped.cloned().unwrap_or_else(|| thresholds::judge(threshold, &numbers(threshold, &stages), None))
        });
        EngineOutcome {
            started_at: self.started_at,
            prepare: self.prepare,
            elapsed,
            status,
            generator: usage::since(&self.cpu_at_start),
            health,
            thresholds: thresholds.collect(),
            stages: stages.into_iter().map(|merged| merged.stage).collect(),
            certificates,
            fleet: fleet(&self.scenario),
            errors: errors.into_rows(),
            notes,
        }
    }
}

fn fleet(scenario: &Scenario) -> Fleet {
    let scenario::Fleet { devices, classes, mix, .. } = &scenario.fleet;
    let classes = classes.iter().enumerate();
    let class = |(index, class): (usize, &DeviceClass)| FleetClass {
        name: class.name.clone(),
        devices: mix.count(index, *devices),
    };
    Fleet { devices: Some(*devices), classes: classes.map(class).collect(), parts: Vec::new() }
}

/// What a threshold is about.
fn numbers(threshold: &Threshold, merged: &[Merged]) -> Numbers {
    let mut numbers = Numbers::default();
    for merged in threshold.stages.iter().filter_map(|stage| merged.get(*stage)) {
        numbers.add_stage(&merged.stage.totals, merged.stage.span(), merged.whole);
        for times in Times::of(threshold.metric) {
            numbers.add_times(times, &times.at_rest(&merged.stage.phases, &merged.lateness));
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Known, Quantity};
    use crate::engine::plan::Plan;
    use crate::engine::plan::share::LimitedBy;

    fn scenario() -> Scenario {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 3\nthresholds = ['s.not_started == 3', 's.failed == 0']\n\
                    [[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
        Scenario::parse("x.toml", text, &[]).unwrap()
    }

    /// After ten seconds in which nobody started, with a worker that computed for nine and a half of them.
    fn outcome(execution: Execution, broken: Option<ThresholdResult>) -> EngineOutcome {
        let scenario = scenario();
        let stages = vec![Merged::not_started(&Plan::new(&scenario, 1), 0, Duration::ZERO)];
        let gauges = Gauges::default();
        (0..2).for_each(|_| gauges.in_flight.rise());
        gauges.in_flight.fall();
        gauges.connected.rise();
        let start = RunStart {
            scenario: Arc::new(scenario),
            started_at: SystemTime::UNIX_EPOCH,
            prepare: Duration::from_secs(1),
            cpu_at_start: CpuUse::default(),
            cpu_at_begin: usage::own(),
            limit: InFlightLimit { limit: 5, from: LimitedBy::MaxInFlight },
            gauges: Arc::new(gauges),
            execution,
        };
        start.outcome(Measured {
            elapsed: Duration::from_secs(10),
            status: RunStatus::Complete,
            stages,
            certificates: None,
            errors: Errors::default(),
            notes: vec!["a note".to_owned()],
            broken,
            busiest: Duration::from_millis(9_500),
        })
    }

    #[test]
    fn computing_saturates_where_time_is_real_and_says_nothing_where_it_is_not() {
        let told = outcome(Execution::Threads, None).health.saturated;
        assert_eq!(told, ["the generator computed 95 % of the time; use more cores or lower the load"]);
        let health = outcome(Execution::Inline, None).health;
        assert_eq!(health.saturated, Vec::<String>::new());
        assert_eq!((health.in_flight_limit, health.peak_in_flight, health.peak_connected), (5, 2, 1));
    }

    #[test]
    fn a_threshold_that_ended_the_run_stays_as_it_was_then_and_the_others_are_judged_at_the_end() {
        let broken = ThresholdResult {
            text: "s.failed == 0".to_owned(),
            observed: Some(Known::Is(Quantity::Number(1.0))),
            met: false,
            stopped_at: Some(Duration::from_secs(4)),
        };
        let outcome = outcome(Execution::Inline, Some(broken.clone()));
        let judged = ThresholdResult {
            text: "s.not_started == 3".to_owned(),
            observed: Some(Known::Is(Quantity::Number(3.0))),
            met: true,
            stopped_at: None,
        };
        assert_eq!(outcome.thresholds, [judged, broken]);
        assert_eq!(outcome.notes, ["a note"]);
    }
}
