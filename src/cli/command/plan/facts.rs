use std::time::Duration;

use crate::cli::CommandError;
use crate::cli::command::plan::keys::{self, KeyWork};
use crate::cli::command::plan::ports::Ports;
use crate::cli::emulator_config::EmulatorConfig;
use crate::cli::open_files::OpenFiles;
use crate::engine::quota_check::{self, Demand, Polls, QuotaCheck};
use crate::engine::{Plan, PlannedStage};
use crate::scenario::{DeviceClass, Scenario, Stage, TargetAddress};

/// Everything that the command tells.
pub(super) struct Facts<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) plan: &'a Plan,
    pub(super) stages: Vec<StageFacts<'a>>,
    pub(super) keys: Vec<KeyWork<'a>>,
    pub(super) open_files: OpenFiles,
    pub(super) ports: Ports,
    /// Whether any quota is declared.
    pub(super) quotas_declared: bool,
}

pub(super) struct StageFacts<'a> {
    pub(super) stage: &'a Stage,
    pub(super) planned: &'a PlannedStage,
    /// Classes that take part and how many devices each has.
    pub(super) classes: Vec<(&'a DeviceClass, u32)>,
    pub(super) quotas: Vec<QuotaCheck>,
}

/// How long the service lets devices wait for their assignment.
struct Service {
    /// Fleet time.
    retry_after: Duration,
    /// Fleet time.
    assignment: Duration,
}

impl<'a> Facts<'a> {
    pub(super) fn new(scenario: &'a Scenario, plan: &'a Plan, open_files: OpenFiles) -> Result<Self, CommandError> {
        let service = Service::of(scenario, plan.seed)?;
        let stages = scenario.stages.iter().zip(&plan.stages).enumerate();
        let stages = stages.map(|(index, (stage, planned))| {
            let class = |class: &usize| {
                let count = scenario.fleet.mix.count(*class, scenario.fleet.devices);
                scenario.fleet.classes.get(*class).map(|class| (class, count))
            };
            let classes: Vec<_> = stage.classes.iter().filter_map(class).collect();
            let connected = stays_connected(scenario, index);
            let polls = classes.iter().map(|(class, _)| service.polls(class)).max_by_key(|polls| polls.count);
            let demand = Demand::of(stage.kind, stage.hub_connect, connected, polls.unwrap_or_default());
            // Drawn once, looked at several times.
            let due: Option<Vec<Duration>> = planned.last_due.map(|_| plan.arrivals(index).collect());
            let due = due.as_ref().map(|due| due.iter().copied());
            let quotas = quota_check::check(&demand, &scenario.quotas, planned.devices, due.as_ref());
            StageFacts { stage, planned, classes, quotas }
        });
        let stages: Vec<_> = stages.collect();
        Ok(Self {
            scenario,
            plan,
            keys: keys::work(scenario, &stages),
            stages,
            open_files,
            ports: Ports::of(scenario, plan.needs),
            quotas_declared: scenario.quotas != crate::domain::QuotaLimits::NONE,
        })
    }

    /// Time until the last device is due, or an operating one done (real time); the last answers come later. `None` when a
    /// closed workload decides.
    pub(super) fn least_duration(&self) -> Option<Duration> {
        let end = |stage: &StageFacts<'_>| Some(stage.planned.start? + stage.planned.last_due?);
        self.stages.iter().map(end).try_fold(Duration::ZERO, |latest, end| Some(latest.max(end?)))
    }

    /// CPU time of all keys and CSRs.
    pub(super) fn key_cpu(&self) -> Duration {
        self.keys.iter().map(|work| work.cpu).sum()
    }
}

/// Whether devices hold a connection with their hub from an earlier stage.
fn stays_connected(scenario: &Scenario, index: usize) -> bool {
    let Some(classes) = scenario.stages.get(index).map(|stage| &stage.classes) else { return false };
    let before = scenario.stages.iter().take(index);
    before.filter(|stage| stage.keep_connected).any(|stage| classes.iter().all(|class| stage.classes.contains(class)))
}

impl Service {
    fn of(scenario: &Scenario, seed: u64) -> Result<Self, CommandError> {
        if scenario.target.address != TargetAddress::Embedded {
            // What DPS says; how long it works is not known.
            return Ok(Self { retry_after: Duration::from_secs(3), assignment: Duration::ZERO });
        }
        let config = EmulatorConfig::new(scenario, None, seed)?;
        Ok(Self {
            retry_after: config.retry_after(),
            assignment: scenario.time_scale.to_fleet(config.typical_assignment()),
        })
    }

    fn polls(&self, class: &DeviceClass) -> Polls {
        let behaviour = &class.behaviour;
        let every = if behaviour.honours_retry_after { self.retry_after } else { behaviour.default_wait };
        Polls::until_assigned(self.assignment, every)
    }
}
