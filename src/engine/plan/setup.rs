use std::sync::Arc;
use std::time::Duration;

use crate::device::Settings;
use crate::domain::Shard;
use crate::scenario::{Mix, Scenario, Stage};

/// What all attempts of a stage go by, on every worker.
#[derive(Debug)]
pub(crate) struct StageSetup {
    pub(crate) index: u16,
    pub(crate) stage: Stage,
    /// By class.
    settings: Box<[Settings]>,
    mix: Mix,
}

impl StageSetup {
    /// `classes`: the settings of each class of devices.
    pub(crate) fn new(index: usize, scenario: &Scenario, classes: &[Settings]) -> Self {
        let stage = scenario.stages[index].clone();
        let settings = classes.iter().map(|settings| for_stage(settings, &stage)).collect();
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        Self { index, stage, settings, mix: scenario.fleet.mix.clone() }
    }

    /// What a device goes by.
    pub(crate) fn settings_of(&self, device: u32) -> &Settings {
        &self.settings[self.mix.class_of(device)]
    }

    /// For [`crate::scenario::StageKind::Operate`]: how long it lasts, in fleet time.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.stage.operate.map(|operate| operate.duration)
    }
}

/// The settings of devices with what the stage says about them.
fn for_stage(settings: &Settings, stage: &Stage) -> Settings {
    let mut settings = settings.clone();
    settings.timeouts.attempt = stage.timeout;
    if !stage.hub_connect {
        settings.hub = None;
    }
    if !stage.telemetry
        && let Some(hub) = &mut settings.hub
    {
        hub.telemetry = None;
    }
    settings
}

/// Devices of a shard that take part in a stage, in order.
pub(crate) fn members(scenario: &Scenario, shard: Shard, stage: usize) -> impl Iterator<Item = u32> + Clone + use<'_> {
    shard.devices(scenario.fleet.devices).filter(move |device| takes_part(scenario, stage, *device))
}

/// The same, to be kept.
pub(crate) fn members_of(scenario: &Arc<Scenario>, shard: Shard, stage: usize) -> impl Iterator<Item = u32> + use<> {
    let scenario = Arc::clone(scenario);
    shard.devices(scenario.fleet.devices).filter(move |device| takes_part(&scenario, stage, *device))
}

fn takes_part(scenario: &Scenario, stage: usize, device: u32) -> bool {
    let classes = &scenario.stages[stage].classes;
    classes.len() == scenario.fleet.classes.len() || classes.contains(&scenario.fleet.mix.class_of(device))
}
