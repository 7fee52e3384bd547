use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::device::Connector;
use crate::engine::breaches::Breaches;
use crate::engine::clock::RunClock;
use crate::engine::early::Early;
use crate::engine::fleet::Fleet;
use crate::engine::gauge::Gauge;
use crate::engine::keys::KeyWorks;
use crate::engine::rows::RowSink;
use crate::engine::serials::Serials;
use crate::engine::skips::Lack;
use crate::measure::SkipReason;
use crate::scenario::{Scenario, Stage, StageKind};

/// What all devices of one worker share for the whole run.
pub(super) struct Station<C: Connector> {
    pub(super) scenario: Arc<Scenario>,
    pub(super) seed: u64,
    pub(super) connector: Arc<C>,
    pub(super) serials: Arc<Serials>,
    pub(super) works: Arc<KeyWorks>,
    pub(super) clock: RunClock,
    pub(super) fleet: Fleet<C::Stream>,
    /// One for each connection that may be open at once.
    pub(super) slots: Arc<Semaphore>,
    /// Attempts in flight, and connections held, of all workers.
    pub(super) in_flight: Arc<Gauge>,
    pub(super) connected: Arc<Gauge>,
    /// Where attempts go one by one, when somebody wants them.
    pub(super) rows: Option<RowSink>,
    /// Kept connections that were lost while no stage used them.
    pub(super) lost_between_stages: Cell<u64>,
    /// Kept connections that the hub lost by doing what it must not.
    pub(super) breaches: RefCell<Breaches>,
    /// Certificates that were not valid yet when they came.
    pub(super) early: Cell<Early>,
}

impl<C: Connector> Station<C> {
    /// What a device without a certificate lacks it for.
    pub(super) fn lack_of(&self, device: u32) -> Lack {
        let not_begun = || {
            let class = self.scenario.fleet.mix.class_of(device);
            let provisions = |stage: &Stage| stage.kind == StageKind::Provision && stage.classes.contains(&class);
            let stage = self.scenario.stages.iter().position(provisions).and_then(|index| u16::try_from(index).ok());
            Lack { reason: if stage.is_some() { SkipReason::NotBegun } else { SkipReason::NoStage }, stage }
        };
        self.fleet.with(device, |device| device.lack).unwrap_or_else(not_begun)
    }
}
