use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::device::Connector;
use crate::engine::clock::RunClock;
use crate::engine::keys::KeyWorks;
use crate::engine::record::breaches::Breaches;
use crate::engine::record::early::Early;
use crate::engine::record::rows::RowSink;
use crate::engine::record::serials::Serials;
use crate::engine::record::skips::Lack;
use crate::engine::worker::Worker;
use crate::engine::worker::fleet::WorkerFleet;
use crate::engine::worker::gauge::Gauges;
use crate::measure::SkipReason;
use crate::scenario::{Scenario, Stage, StageKind};

/// What all workers of a run share.
pub(crate) struct RunContext<C> {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) seed: u64,
    pub(crate) connector: Arc<C>,
    pub(crate) serials: Serials,
    pub(crate) works: Arc<KeyWorks>,
    pub(crate) gauges: Arc<Gauges>,
    /// Where attempts go one by one, when somebody wants them.
    pub(crate) rows: Option<RowSink>,
}

/// What all devices of one worker share for the whole run.
pub(crate) struct WorkerContext<C: Connector> {
    pub(crate) run: Arc<RunContext<C>>,
    pub(crate) clock: RunClock,
    pub(crate) fleet: WorkerFleet<C::Stream>,
    /// One for each connection that may be open at once.
    pub(crate) slots: Arc<Semaphore>,
    /// Kept connections that were lost while no stage used them.
    pub(crate) lost_between_stages: Cell<u64>,
    /// Kept connections that the hub lost by doing what it must not.
    pub(crate) breaches: RefCell<Breaches>,
    /// Certificates that were not valid yet when they came.
    pub(crate) early: Cell<Early>,
}

impl<C: Connector> WorkerContext<C> {
    /// Of a worker whose devices own nothing yet.
    pub(crate) fn new(worker: Worker<C>, clock: RunClock) -> Self {
        let Worker { run, share, slots } = worker;
        Self {
            fleet: WorkerFleet::new(share, run.scenario.fleet.devices),
            run,
            clock,
            slots: Arc::new(Semaphore::new(slots)),
            lost_between_stages: Cell::new(0),
            breaches: RefCell::default(),
            early: Cell::default(),
        }
    }

    /// What a device without a certificate lacks it for.
    pub(crate) fn lack_of(&self, device: u32) -> Lack {
        let not_begun = || {
            let class = self.run.scenario.fleet.mix.class_of(device);
            let provisions = |stage: &Stage| stage.kind == StageKind::Provision && stage.classes.contains(&class);
            let stage =
                self.run.scenario.stages.iter().position(provisions).and_then(|index| u16::try_from(index).ok());
            Lack { reason: if stage.is_some() { SkipReason::NotBegun } else { SkipReason::NoStage }, stage }
        };
        self.fleet.with(device, |device| device.lack).unwrap_or_else(not_begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scene;

    #[test]
    fn a_device_without_a_certificate_waits_for_the_first_stage_that_provisions_its_class_if_there_is_one() {
        let class = |name| format!("[[fleet.class]]\nname = '{name}'\nshare = 1\n");
        let stage = |name, class| {
            format!("[[stage]]\nname = '{name}'\nkind = 'provision'\nclasses = ['{class}']\narrival = 'at-once'\n")
        };
        let lines = [stage("t", "b"), stage("u", "b"), stage("v", "c"), ["a", "b", "c"].map(class).concat()];
        let mut scenario = scene::scenario(6, &format!("classes = ['a']\narrival = 'at-once'\n{}", lines.concat()));
        (scenario.stages[1].kind, scenario.stages[3].kind) = (StageKind::Reconnect, StageKind::Reprovision);
        let (worker, _) = scene::worker(&scenario, 1);
        let lack = |reason, stage| Lack { reason, stage };
        for device in 0..6 {
            let expected = match scenario.fleet.mix.class_of(device) {
                0 => lack(SkipReason::NotBegun, Some(0)),
                1 => lack(SkipReason::NotBegun, Some(2)),
                _ => lack(SkipReason::NoStage, None),
            };
            assert_eq!(worker.lack_of(device), expected, "{device}");
        }
        let dropped = lack(SkipReason::Dropped, Some(0));
        worker.fleet.with(0, |device| device.lack = Some(dropped));
        assert_eq!(worker.lack_of(0), dropped, "what became of it is known");
    }
}
