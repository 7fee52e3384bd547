use std::thread::available_parallelism;
use std::time::Duration;

use crate::cli::CommandError;
use crate::cli::command::plan::key_time::KeyTime;
use crate::cli::command::plan::keys::{self, KeyWork};
use crate::cli::command::plan::ports::Ports;
use crate::cli::expected::{Expected, Remembered};
use crate::engine::quota_check::{QuotaCheck, QuotaChecks};
use crate::engine::{Plan, PlannedStage};
use crate::rig::machine::{OpenFiles, Scarcity, machine};
use crate::rig::quotas;
use crate::scenario::{DeviceClass, Scenario, Stage};

/// Everything that the command tells.
pub(super) struct RunFacts<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) plan: &'a Plan,
    pub(super) stages: Vec<StageFacts<'a>>,
    pub(super) keys: Vec<KeyWork<'a>>,
    /// Whether there is time to make them.
    pub(super) key_time: KeyTime,
    pub(super) open_files: OpenFiles,
    /// What this machine is expected to do.
    pub(super) expected: Expected,
    pub(super) ports: Ports,
    /// What all stages together ask of quotas.
    pub(super) quotas: Vec<QuotaCheck>,
    /// Whether any quota is declared.
    pub(super) quotas_declared: bool,
}

pub(super) struct StageFacts<'a> {
    pub(super) stage: &'a Stage,
    pub(super) planned: &'a PlannedStage,
    /// Classes that take part and how many devices each has.
    pub(super) classes: Vec<(&'a DeviceClass, u32)>,
    /// What it asks of quotas alone.
    pub(super) quotas: Vec<QuotaCheck>,
}

impl<'a> RunFacts<'a> {
    pub(super) fn new(scenario: &'a Scenario, plan: &'a Plan, open_files: OpenFiles) -> Result<Self, CommandError> {
        let QuotaChecks { together, stages: checks } = quotas::checks(scenario, plan, &scenario.quotas)?;
        let mut counts = vec![0; scenario.fleet.classes.len()];
        for device in plan.shard.devices(plan.devices) {
            if let Some(count) = counts.get_mut(scenario.fleet.mix.class_of(device)) {
                *count += 1;
            }
        }
        let stages = scenario.stages.iter().zip(&plan.stages).zip(checks).map(|((stage, planned), quotas)| {
            let class = |class: &usize| Some((scenario.fleet.classes.get(*class)?, *counts.get(*class)?));
            StageFacts { stage, planned, classes: stage.classes.iter().filter_map(class).collect(), quotas }
        });
        let stages: Vec<_> = stages.collect();
        Ok(Self {
            scenario,
            plan,
            keys: keys::work(scenario, &stages),
            key_time: KeyTime::of(scenario, plan, available_parallelism().map_or(1, usize::from)),
            stages,
            open_files,
            expected: Expected::of(scenario, plan, &machine(open_files, &Scarcity::default()), &Remembered::of_user()),
            ports: Ports::of(scenario, plan.needs),
            quotas: together,
            quotas_declared: scenario.quotas != crate::domain::QuotaLimits::NONE,
        })
    }

    /// Time until the last device is due, or an operating one done; the last answers come later. `None` when a
    /// closed workload decides.
    pub(super) fn least_duration(&self) -> Option<Duration> {
        let end = |stage: &StageFacts<'_>| Some(stage.planned.start? + stage.planned.last_due?);
        self.stages.iter().map(end).try_fold(Duration::ZERO, |latest, end| Some(latest.max(end?)))
    }

    /// Until when this machine is busy with what comes, when it is not expected to keep up with it.
    pub(super) fn busy_until(&self) -> Option<Duration> {
        let falls_behind = self.expected.stages.iter().any(|stage| stage.keeps_up() == Some(false));
        self.expected.ends.filter(|_| falls_behind)
    }

    /// CPU time of all keys and CSRs.
    pub(super) fn key_cpu(&self) -> Duration {
        self.keys.iter().map(|work| work.cpu).sum()
    }
}
