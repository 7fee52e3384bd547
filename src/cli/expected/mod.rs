//! What this machine is expected to do in each stage, against what a plan asks of it.

mod backlog;
mod cost;
mod remembered;
mod words;

use std::time::Duration;

use crate::engine::Plan;
use crate::measure::Machine;
use crate::scenario::{Scenario, Start, TargetAddress, Workload};
pub use cost::{Cost, Source};
pub use remembered::{Remembered, remember};

/// Share of all cores that may be in use before threads wait for one about as long as they run, which is when a machine is called full;
/// what the storm of the README has in use on average, too. Rates are expected up to there, not up to the last cycle.
const USED: f64 = 2.0 / 3.0;

/// How far a machine may fall behind what is asked of it without being told: rates are per second.
const HARMLESS: Duration = Duration::from_secs(1);

/// What a machine is expected to do in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// One of each stage, in order.
    pub stages: Vec<ExpectedStage>,
    /// Cores that count: those there are, or what a cgroup allows of them.
    pub cores: f64,
    /// When it is through with all that is known to come, from the start of the run; `None` when something is not known.
    pub ends: Option<Duration>,
}

/// What a machine is expected to do in a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedStage {
    /// Name of the stage.
    pub name: String,
    /// Devices a second, and between which bounds; `None` when that is not known.
    pub rate: Option<Rate>,
    /// Devices that are due in the busiest second; `None` when the target decides when they come.
    pub peak: Option<u32>,
    /// The longest that it is behind with its work, with all that goes on beside the stage; `None` when that is not known.
    pub behind: Option<Duration>,
    /// Whether all devices are due in one moment: nobody expects a machine to keep up with that.
    pub at_once: bool,
    /// How late a device may start before it is dropped; `None` when none is.
    pub max_lateness: Option<Duration>,
    /// Devices of this generator.
    pub devices: u32,
}

/// Devices a second that a machine is expected to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// About so many.
    pub per_second: f64,
    /// As few and as many as that may be.
    pub bounds: [f64; 2],
    /// What each device takes, and by what that is known.
    pub cost: Cost,
}

impl ExpectedStage {
    /// Whether it is expected to keep up with what is asked; `None` when that is not known.
    pub fn keeps_up(&self) -> Option<bool> {
        self.behind.map(|behind| behind <= HARMLESS)
    }
}

impl Expected {
    /// Of a plan on a machine of which that is remembered.
    pub fn of(scenario: &Scenario, plan: &Plan, machine: &Machine, remembered: &Remembered) -> Self {
        let (cores, embedded) = (machine.cores_to_use(), scenario.target.address == TargetAddress::Embedded);
        let rates: Vec<_> = (0..scenario.stages.len())
            .map(|stage| Some(rate(remembered.cost(&cost::work(scenario, stage), machine, embedded)?, cores)))
            .collect();
        let (behind, ends) = fall_behind(scenario, plan, &rates);
        let stages = scenario.stages.iter().zip(&plan.stages).zip(rates).zip(behind);
        let stages = stages.map(|(((stage, planned), rate), behind)| ExpectedStage {
            name: stage.name.clone(),
            rate,
            peak: planned.peak_per_second,
            behind,
            at_once: planned.last_due == Some(Duration::ZERO) && planned.devices > 1,
            max_lateness: match stage.workload {
                Workload::Open { max_lateness, .. } => Some(max_lateness),
                Workload::Closed { .. } => None,
            },
            devices: planned.devices,
        });
        Self { stages: stages.collect(), cores, ends }
    }

    /// What must be known before a run begins: of every stage with which it is not expected to keep up.
    pub fn warnings(&self) -> Vec<String> {
        self.stages.iter().filter_map(ExpectedStage::warning).collect()
    }
}

fn rate(cost: Cost, cores: f64) -> Rate {
    let per_second = USED * cores / cost.both().as_secs_f64().max(f64::MIN_POSITIVE);
    let bounds = match cost.source {
        Source::Runs { factors, .. } => factors.map(|factor| per_second / factor.max(f64::MIN_POSITIVE)),
        Source::Documented => [per_second / 2.0, per_second * 2.0],
    };
    Rate { per_second, bounds, cost }
}

/// How far each stage is behind at most, and when all is done. Stages whose begins are tied to each other share the cores.
fn fall_behind(scenario: &Scenario, plan: &Plan, rates: &[Option<Rate>]) -> (Vec<Option<Duration>>, Option<Duration>) {
    let count = scenario.stages.len();
    let roots: Vec<_> = (0..count).map(|stage| root(scenario, stage)).collect();
    let (mut behind, mut ends) = (vec![None; count], Some(Duration::ZERO));
    for group in 0..=count {
        let mut due = Vec::new();
        for stage in (0..count).filter(|stage| roots[*stage] == group) {
            let (Some(start), Some(rate), Some(_)) =
                (plan.stages[stage].start, &rates[stage], plan.stages[stage].last_due)
            else {
                ends = None;
                continue;
            };
            let work = Duration::from_secs_f64((1.0 / rate.per_second).min(1e6));
            let at = |(offset, _)| (start + plan.time_scale.to_real(offset), stage, work);
            due.extend(plan.schedule.who_is_due(stage).map(at));
            behind[stage] = Some(Duration::ZERO);
        }
        let (of_stages, done) = backlog::of(due, count);
        for (known, longest) in behind.iter_mut().zip(of_stages) {
            *known = known.map(|known| longest.max(known));
        }
        ends = ends.map(|ends| ends.max(done));
    }
    (behind, ends)
}

/// With which stages one goes on: those that begin with the run are one group (past the last stage), and so are those tied to one that
/// begins when others have ended.
fn root(scenario: &Scenario, stage: usize) -> usize {
    match &scenario.stages[stage].start {
        Start::At(_) => scenario.stages.len(),
        Start::After { .. } => stage,
        Start::With { stage, .. } => root(scenario, *stage),
    }
}

#[cfg(test)]
mod tests;
