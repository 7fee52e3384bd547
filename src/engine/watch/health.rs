//! Was the generator the bottleneck? Then the numbers say more about it than about the service.

use std::time::Duration;

use crate::domain::{DueStep, FailureClass, Phase};
use crate::engine::plan::share::{InFlightLimit, LimitedBy};
use crate::engine::record::merge::Merged;
use crate::engine::watch::saturation::{Evidence, Reason};
use crate::measure::{Begin, CompactHistogram, GeneratorHealth, Histogram, StageRecord};
use crate::scenario::{Scenario, Workload};

/// Share of its time that a worker may compute before it is the bottleneck.
const BUSY: f64 = 0.9;

const TOO_SLOW: &str = "this machine is too slow for the load; spread the arrivals or use more cores";

/// Who is late with its retries makes others, and meets another state of the service than who is in time.
const DEPENDENT: &str = "; the numbers of attempts and of 429s depend on this machine too";

/// What is known at the end of a run.
pub(crate) struct Watch<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) stages: &'a [Merged],
    pub(crate) limit: InFlightLimit,
    /// Length of the measured part, and cores that the process may use.
    pub(crate) elapsed: Duration,
    pub(crate) cores: usize,
    /// Most attempts in flight, and connections held, at once.
    pub(crate) peak_in_flight: u64,
    pub(crate) peak_connected: u64,
    /// CPU time of the busiest worker.
    pub(crate) busiest: Duration,
    /// CPU of the whole process during the measured part; `None` when time is not real.
    pub(crate) cpu: Option<Duration>,
}

impl Watch<'_> {
    pub(crate) fn verdict(&self) -> GeneratorHealth {
        let mut health = GeneratorHealth {
            in_flight_limit: u64::from(self.limit.limit),
            peak_in_flight: self.peak_in_flight,
            peak_connected: self.peak_connected,
            ..Default::default()
        };
        let mut lateness = Histogram::new();
        self.stages.iter().for_each(|stage| lateness.merge(&stage.lateness.decode()));
        health.lateness = CompactHistogram::new(&lateness);
        for (stage, asked) in self.stages.iter().zip(&self.scenario.stages) {
            let reasons = self.reasons(stage, &asked.workload);
            health.saturated.extend(reasons.filter_map(|reason| self.told(reason, stage, &asked.workload)));
        }
        health.saturated.extend(self.computing());
        health
    }

    fn reasons(&self, merged: &Merged, workload: &Workload) -> impl Iterator<Item = Reason> + use<> {
        let least = self.scenario.limits.harmless_lateness;
        let median = |phase| merged.stage.phases.succeeded(phase).and_then(|times| times.quantile(0.5));
        let evidence = Evidence {
            totals: &merged.stage.totals,
            least,
            open: matches!(workload, Workload::Open { .. }),
            lateness: merged.lateness.decode().quantile(0.99),
            late_steps: merged.late_steps.each_ref().map(|late| late.decode().quantile(0.99)),
            median: median(Phase::Total),
            recover: median(Phase::Recover),
            began_late: merged.stage.begin.is_some_and(|begin| begin.late > least),
        };
        evidence.reasons()
    }

    /// A reason in words, with what to do.
    fn told(&self, reason: Reason, merged: &Merged, workload: &Workload) -> Option<String> {
        let StageRecord { name, totals, .. } = &merged.stage;
        match (reason, workload, merged.stage.begin) {
            (Reason::Dropped, Workload::Open { max_lateness, .. }, _) => Some(format!(
                "{name}: {} of {} devices were due but could not start within max_lateness ({}): {}",
                totals.dropped,
                totals.planned,
                humantime::format_duration(*max_lateness),
                self.cause(merged)
            )),
            (Reason::Late { lateness, allowed }, ..) => Some(format!(
                "{name}: one in a hundred devices started {} after it was due, where {} would be harmless: {}{}",
                milliseconds(lateness),
                milliseconds(allowed),
                self.cause(merged),
                if totals.attempts > totals.started { DEPENDENT } else { "" }
            )),
            (Reason::LateSteps { step, lateness, allowed }, ..) => Some(format!(
                "{name}: one in a hundred {step} was {} late, where {} would be harmless: {TOO_SLOW}{}",
                length(lateness),
                length(allowed),
                if step == DueStep::Message { "" } else { DEPENDENT }
            )),
            (Reason::BeganLate, _, Some(begin)) => Some(self.began_late(name, begin)),
            (Reason::Failed, ..) => Some(format!(
                "{name}: {} devices failed within the generator itself, see errors.csv",
                totals.failed[FailureClass::Generator]
            )),
            _ => None,
        }
    }

    /// The begin of a stage is due like everything else. What its devices made of that shows in their own lateness only where
    /// they have due times.
    fn began_late(&self, name: &str, Begin { due, late }: Begin) -> String {
        let (allowed, scale) = (self.scenario.limits.harmless_lateness, self.scenario.time_scale);
        let fleet = Duration::from_secs(scale.to_fleet(late).as_secs());
        let fleet = match scale.is_real() {
            true => String::new(),
            false => format!(" ({} of fleet time)", humantime::format_duration(fleet)),
        };
        format!(
            "{name}: it was to begin after {} and began {}{fleet} later, where {} would be harmless: this machine was too slow \
             for what went on then; use more cores or lower the load",
            length(due),
            length(late),
            length(allowed),
        )
    }

    /// What those that were due waited for most.
    fn cause(&self, merged: &Merged) -> String {
        let Merged { waited_for_slot, waited_for_key, .. } = merged;
        if waited_for_slot > waited_for_key {
            let limit = self.limit.limit;
            return match self.limit.from {
                LimitedBy::OpenFiles(files) => format!(
                    "at most {limit} could be in flight with {files} open files; raise the limit (ulimit -n), spread \
                     the arrivals, or use workload = \"closed\""
                ),
                LimitedBy::MaxInFlight => format!("limits.max_in_flight = {limit} held them back; raise it"),
            };
        }
        if *waited_for_key > 0 {
            return format!(
                "{waited_for_key} of them waited for their key; give limits.prepare and limits.keys_ahead more, or use \
                 an ECDSA key_algorithm"
            );
        }
        TOO_SLOW.to_owned()
    }

    fn computing(&self) -> Option<String> {
        let busy = |cpu: Duration, of: Duration| cpu.as_secs_f64() / of.as_secs_f64().max(f64::MIN_POSITIVE);
        let whole = busy(self.cpu?, self.elapsed * u32::try_from(self.cores).unwrap_or(u32::MAX));
        let share = whole.max(busy(self.busiest, self.elapsed));
        // Short runs are all start-up.
        (share > BUSY && self.elapsed > Duration::from_secs(1)).then(|| {
            format!("the generator computed {:.0} % of the time; use more cores or lower the load", share * 100.0)
        })
    }
}

/// In milliseconds, or seconds.
fn length(time: Duration) -> String {
    if time < Duration::from_secs(1) { milliseconds(time) } else { format!("{:.2} s", time.as_secs_f64()) }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::Plan;
    use crate::measure::{Attempt, Outcome, PhaseHistograms, PhaseTimes};

    const AT_ONCE: &str = "arrival = 'at-once'\n";

    fn scenario(stage: &str) -> Scenario {
        let text = format!(
            "schema = 1\nname = 'x'\ntime_scale = '1d = 1s'\nfleet.devices = 5\n[[stage]]\nname = 'line'\nkind = 'provision'\n{stage}"
        );
        Scenario::parse("x.toml", &text, &[]).unwrap()
    }

    /// Of one core, after ten seconds in which nothing happened.
    fn watch<'a>(scenario: &'a Scenario, stages: &'a [Merged]) -> Watch<'a> {
        Watch {
            scenario,
            stages,
            limit: InFlightLimit { limit: 3, from: LimitedBy::MaxInFlight },
            elapsed: Duration::from_secs(10),
            cores: 1,
            peak_in_flight: 1,
            peak_connected: 2,
            busiest: Duration::ZERO,
            cpu: None,
        }
    }

    fn untouched(scenario: &Scenario) -> Merged {
        Merged::not_started(&Plan::new(scenario, 1), 0, Duration::ZERO)
    }

    #[test]
    fn a_stage_that_begins_too_late_saturates_whatever_its_workload() {
        let scenario = scenario("workload = 'closed'\nconcurrency = 1\n");
        let saturated = |late| {
            let mut merged = untouched(&scenario);
            merged.stage.begin = Some(Begin { due: Duration::from_secs(1), late: Duration::from_millis(late) });
            watch(&scenario, &[merged]).verdict().saturated
        };
        assert!(saturated(50).is_empty());
        let told = saturated(7_000).remove(0);
        assert!(
            told.starts_with("line: it was to begin after 1.00 s and began 7.00 s (7days of fleet time) later"),
            "{told}"
        );
    }

    #[test]
    fn lateness_is_harmless_up_to_a_tenth_of_the_median() {
        let scenario = scenario(AT_ONCE);
        // One in a hundred so late, of devices that took a second; the histogram is exact to three digits.
        let saturated = |late: u64| {
            let mut merged = untouched(&scenario);
            let mut times = PhaseTimes::new();
            times.set(Phase::Total, Duration::from_secs(1));
            let mut phases = PhaseHistograms::new();
            phases.record(&Attempt::that(Outcome::Success, times));
            merged.stage.phases = (&phases).into();
            let mut lateness = Histogram::new();
            lateness.record(late * 1_000_000);
            merged.lateness = (&lateness).into();
            watch(&scenario, &[merged]).verdict().saturated
        };
        assert!(saturated(100).is_empty(), "{:?}", saturated(100));
        assert!(
            saturated(101)[0]
                .starts_with("line: one in a hundred devices started 101.0 ms after it was due, where 100.0 ms")
        );
    }

    #[test]
    fn dropped_devices_saturate_and_the_cause_is_what_most_waited_for() {
        let scenario = scenario(AT_ONCE);
        let told = |slot, key, from| {
            let mut merged = untouched(&scenario);
            (merged.stage.totals.dropped, merged.waited_for_slot, merged.waited_for_key) = (2, slot, key);
            let stages = [merged];
            let watch = Watch { limit: InFlightLimit { limit: 3, from }, ..watch(&scenario, &stages) };
            watch.verdict().saturated.remove(0)
        };
        assert!(
            untouched(&scenario).stage.totals.dropped == 0
                && watch(&scenario, &[untouched(&scenario)]).verdict().saturated.is_empty()
        );
        let key = told(2, 2, LimitedBy::MaxInFlight);
        assert!(
            key.starts_with("line: 2 of 5 devices were due but could not start")
                && key.contains("2 of them waited for their key"),
            "{key}"
        );
        assert!(told(3, 2, LimitedBy::MaxInFlight).contains("limits.max_in_flight = 3 held them back"));
        assert!(told(3, 2, LimitedBy::OpenFiles(64)).contains("at most 3 could be in flight with 64 open files"));
        assert!(told(0, 0, LimitedBy::MaxInFlight).contains("this machine is too slow for the load"));
    }

    #[test]
    fn failures_of_the_generator_saturate_and_those_of_others_do_not() {
        let scenario = scenario(AT_ONCE);
        for class in FailureClass::ALL {
            let mut merged = untouched(&scenario);
            merged.stage.totals.failed[class] = 1;
            let saturated = watch(&scenario, &[merged]).verdict().saturated;
            assert_eq!(!saturated.is_empty(), class == FailureClass::Generator, "{class:?}: {saturated:?}");
        }
    }

    #[test]
    fn a_generator_that_computes_more_than_nine_tenths_of_the_time_is_saturated_unless_the_run_is_all_start_up() {
        let scenario = scenario(AT_ONCE);
        let saturated = |cores, elapsed, cpu: u64, busiest: u64| {
            let stages = [untouched(&scenario)];
            let ms = Duration::from_millis;
            let watch = Watch {
                elapsed: ms(elapsed),
                cores,
                cpu: Some(ms(cpu)),
                busiest: ms(busiest),
                ..watch(&scenario, &stages)
            };
            watch.verdict().saturated
        };
        assert!(saturated(2, 10_000, 18_000, 9_000).is_empty());
        assert_eq!(
            saturated(2, 10_000, 18_500, 0),
            ["the generator computed 92 % of the time; use more cores or lower the load"]
        );
        assert_eq!(saturated(4, 10_000, 9_500, 9_500).len(), 1, "one worker that is busy is enough");
        assert!(saturated(1, 1_000, 1_000, 1_000).is_empty(), "a second is all start-up");
        assert_eq!(saturated(1, 1_001, 1_001, 0).len(), 1);
        let stages = [untouched(&scenario)];
        let watch = Watch { busiest: Duration::from_secs(10), ..watch(&scenario, &stages) };
        assert!(watch.verdict().saturated.is_empty(), "in virtual time nobody computes");
    }
}
