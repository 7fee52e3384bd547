use crate::device::Settings;
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
