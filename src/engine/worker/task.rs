use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{Connector, Whereabouts};
use crate::domain::{AttemptFacts, Failure, FailureClass, Phase};
use crate::engine::plan::due::Due;
use crate::engine::plan::setup::StageSetup;
use crate::engine::record::recorder::Recorder;
use crate::engine::record::skips::Lack;
use crate::engine::worker::context::WorkerContext;
use crate::measure::{Attempt, Outcome, SkipReason};
use crate::scenario::StageKind;

/// What the devices of one worker share in one stage.
pub(crate) struct StageJob<C: Connector> {
    pub(crate) worker: Rc<WorkerContext<C>>,
    pub(crate) setup: Arc<StageSetup>,
    pub(crate) recorder: RefCell<Recorder>,
    /// Where attempts in flight are.
    pub(crate) whereabouts: Rc<Whereabouts>,
    /// When the stage is over for devices that stay connected, on the clock of the run.
    pub(crate) until: Option<Duration>,
}

impl<C: Connector> StageJob<C> {
    pub(crate) fn now(&self) -> Duration {
        self.worker.clock.now()
    }

    /// Keeps in mind why a device has no certificate, when it is this stage that was to provision it.
    pub(crate) fn lacks(&self, device: u32, reason: SkipReason) {
        if self.setup.stage.kind == StageKind::Provision {
            let stage = Some(self.setup.index);
            self.worker.fleet.with(device, |device| device.lack = Some(Lack { reason, stage }));
        }
    }

    /// Keeps in mind why a device that is through has no certificate, if it ended without one.
    fn lacks_after(&self, device: u32, outcome: Outcome) {
        match outcome {
            Outcome::Success => {}
            Outcome::Failed(FailureClass::Cut) => self.lacks(device, SkipReason::Cut),
            Outcome::Failed(_) => self.lacks(device, SkipReason::Failed),
        }
    }
}

/// What ends with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskEnding {
    /// Only the attempt: the device goes on.
    Attempt,
    /// The attempt, and the time until the device is ready; it goes on.
    Ready,
    /// The attempt and the device with it.
    Device,
    /// The attempt and the device with it: it failed, and no further attempt is allowed although what failed may pass.
    GaveUp,
    /// The attempt and the device with it: a further attempt would come after the end of the stage. That is no failure of the
    /// service's.
    Cut,
}

/// Guarantees that every device that starts, and every attempt of it, also ends in the record, exactly once, whatever
/// becomes of its future; and that a device that never starts is counted too.
pub(crate) struct DeviceTask<C: Connector> {
    pub(crate) job: Rc<StageJob<C>>,
    pub(crate) device: u32,
    due: Duration,
    state: TaskState,
    attempts: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskState {
    /// Not started.
    Waiting,
    /// An attempt that was due then goes on since then.
    Trying { due: Duration, started: Duration },
    /// Between attempts, or holding a connection.
    Between,
    /// Through.
    Ended,
}

impl<C: Connector> DeviceTask<C> {
    pub(crate) const fn new(job: Rc<StageJob<C>>, due: Due) -> Self {
        let Due { device, at } = due;
        Self { job, device, due: at, state: TaskState::Waiting, attempts: 0 }
    }

    /// An attempt begins, that was due then; `None`: when the device was.
    pub(crate) fn begin(&mut self, due: Option<Duration>) {
        let now = self.job.now();
        let due = due.unwrap_or(self.due);
        let mut recorder = self.job.recorder.borrow_mut();
        if self.state == TaskState::Waiting {
            recorder.started(self.device, self.due, now);
        }
        recorder.attempt_started(self.device, due, now);
        self.job.worker.run.gauges.in_flight.rise();
        self.attempts = self.attempts.saturating_add(1);
        self.state = TaskState::Trying { due, started: now };
    }

    /// The attempt ended, with a failure or without.
    pub(crate) fn end(&mut self, facts: &AttemptFacts, failure: Option<&Failure>, ending: TaskEnding) {
        let TaskState::Trying { due, started } = self.state else { return };
        let ended = self.job.now();
        let outcome = failure.map_or(Outcome::Success, |failure| Outcome::Failed(failure.class));
        let mut facts = *facts;
        let phases = &mut facts.phases;
        phases.set(Phase::Queued, started.saturating_sub(due));
        phases.set(Phase::TotalRaw, ended.saturating_sub(started));
        let mut recorder = self.job.recorder.borrow_mut();
        self.job.whereabouts.drain_late(|late| recorder.did(late));
        // Of a device that was ready before, the total is known.
        if ending != TaskEnding::Attempt {
            phases.set(Phase::Total, ended.saturating_sub(self.due));
            let waited = recorder.waited(self.device);
            if !waited.is_zero() {
                phases.set(Phase::Backoff, waited);
            }
        }
        let attempt = Attempt {
            device: self.device,
            stage: self.job.setup.index,
            number: self.attempts,
            due,
            started,
            ended,
            outcome,
            code: failure.map_or(0, |failure| failure.code),
            facts,
        };
        self.job.worker.run.gauges.in_flight.fall();
        recorder.attempt_ended(&attempt, failure);
        self.state = TaskState::Between;
        let outcome = match ending {
            TaskEnding::Attempt => return,
            TaskEnding::Ready => return recorder.ready(self.device, ended),
            TaskEnding::Device => outcome,
            TaskEnding::GaveUp => {
                recorder.gave_up(ended);
                outcome
            }
            TaskEnding::Cut => Outcome::Failed(FailureClass::Cut),
        };
        drop(recorder);
        self.device_ends(ended, outcome, ending == TaskEnding::Cut);
    }

    /// The device is through, or ends, without another attempt. `with_stage`: it would have gone on for as long as the stage.
    pub(crate) fn end_device(&mut self, outcome: Outcome, with_stage: bool) {
        if self.state == TaskState::Between {
            self.device_ends(self.job.now(), outcome, with_stage);
        }
    }

    fn device_ends(&mut self, at: Duration, outcome: Outcome, with_stage: bool) {
        let seen_until = self.job.until.filter(|_| with_stage).map_or(at, |until| until.max(at));
        self.state = TaskState::Ended;
        self.job.recorder.borrow_mut().device_ended(self.device, at, outcome, seen_until);
        self.job.lacks_after(self.device, outcome);
    }

    /// What an attempt had found out that is being dropped.
    fn found_so_far(&self) -> AttemptFacts {
        let end = self.job.worker.fleet.with(self.device, |device| device.end.clone());
        end.map(|end| end.interrupted()).unwrap_or_default()
    }
}

impl<C: Connector> Drop for DeviceTask<C> {
    fn drop(&mut self) {
        if self.state == TaskState::Ended || self.job.recorder.try_borrow_mut().is_err() {
            return;
        }
        let failure = if std::thread::panicking() {
            Failure::new(FailureClass::Generator, "the attempt panicked: a defect in fleetstorm")
        } else {
            Failure::new(FailureClass::Cut, "the run ended before the attempt did")
        };
        match self.state {
            TaskState::Waiting => self.job.recorder.borrow_mut().totals.not_started += 1,
            TaskState::Trying { .. } => self.end(&self.found_so_far(), Some(&failure), TaskEnding::Device),
            TaskState::Between => self.end_device(Outcome::Failed(failure.class), false),
            TaskState::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::device::MemoryConnector;
    use crate::engine::scene;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn job() -> Rc<StageJob<MemoryConnector>> {
        let (worker, _) = scene::worker(&scene::scenario(3, "arrival = 'at-once'"), 3);
        scene::job(&worker, 0)
    }

    fn task(job: &Rc<StageJob<MemoryConnector>>, device: u32) -> DeviceTask<MemoryConnector> {
        DeviceTask::new(Rc::clone(job), Due { device, at: job.now() })
    }

    fn ends(task: &mut DeviceTask<MemoryConnector>, failure: Option<&str>, ending: TaskEnding) {
        let failure = failure.map(|words| Failure::new(FailureClass::Network, words));
        task.end(&AttemptFacts::default(), failure.as_ref(), ending);
    }

    /// The longest time of a phase in whole seconds, of successes, and how many there were.
    fn times(job: &StageJob<MemoryConnector>, phase: Phase) -> Option<(u64, u64)> {
        let recorder = job.recorder.borrow();
        let times = recorder.phases.succeeded(phase)?;
        Some((times.quantile(1.0).expect("there are some").as_secs(), times.count()))
    }

    #[tokio::test(start_paused = true)]
    async fn waits_between_attempts_are_a_time_of_their_own_of_devices_that_waited() {
        let job = job();
        let mut at_once = task(&job, 0);
        at_once.begin(None);
        sleep(S(1)).await;
        ends(&mut at_once, None, TaskEnding::Device);
        assert_eq!((times(&job, Phase::Total), times(&job, Phase::Backoff)), (Some((1, 1)), None));
        let mut later = task(&job, 1);
        for wait in [5, 7] {
            later.begin(None);
            sleep(S(2)).await;
            ends(&mut later, Some("gone"), TaskEnding::Attempt);
            sleep(S(wait)).await;
        }
        later.begin(Some(job.now()));
        sleep(S(3)).await;
        ends(&mut later, None, TaskEnding::Device);
        // Three attempts of 2, 2 and 3 s, and the waits.
        assert_eq!(times(&job, Phase::Total), Some((19, 2)));
        assert_eq!((times(&job, Phase::TotalRaw), times(&job, Phase::Backoff)), (Some((3, 2)), Some((12, 1))));
        let totals = job.recorder.borrow().totals;
        assert_eq!((totals.started, totals.attempts, totals.succeeded), (2, 4, 2));
        assert_eq!((totals.failed_attempts.total(), totals.failed.total()), (2, 0));
        assert_eq!((job.worker.run.gauges.in_flight.now(), job.worker.run.gauges.in_flight.peak()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_becomes_of_its_future_a_device_has_one_outcome() {
        let job = job();
        drop(task(&job, 0));
        let mut tries = task(&job, 1);
        tries.begin(None);
        drop(tries);
        let mut waits = task(&job, 2);
        waits.begin(None);
        ends(&mut waits, Some("gone"), TaskEnding::Attempt);
        drop(waits);
        let totals = job.recorder.borrow().totals;
        assert_eq!((totals.not_started, totals.started, totals.failed[FailureClass::Cut]), (1, 2, 2));
        assert_eq!((totals.attempts, totals.failed_attempts.total()), (2, 2));
        let lack = |device| job.worker.fleet.with(device, |device| device.lack.map(|lack| lack.reason));
        assert_eq!([0, 1, 2].map(lack), [None, Some(SkipReason::Cut), Some(SkipReason::Cut)]);
        // One that is through is not counted again.
        let mut done = task(&job, 0);
        done.begin(None);
        ends(&mut done, Some("gone"), TaskEnding::GaveUp);
        drop(done);
        let totals = job.recorder.borrow().totals;
        assert_eq!((totals.failed.total(), totals.gave_up, lack(0)), (3, 1, Some(SkipReason::Failed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_breaks_while_something_is_recorded_breaks_nothing_more() {
        let job = job();
        let mut tries = task(&job, 0);
        tries.begin(None);
        let waits = task(&job, 1);
        let recording = job.recorder.borrow_mut();
        drop((tries, waits));
        assert_eq!(
            (recording.totals.started, recording.totals.failed.total(), recording.totals.not_started),
            (1, 0, 0)
        );
    }
}
