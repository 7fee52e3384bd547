use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{self, Connector, Done, LocalEnd, Settings};
use crate::domain::{Failure, FailureClass, Phase};
use crate::engine::clock::RunClock;
use crate::engine::keys::Key;
use crate::engine::pacer::Due;
use crate::engine::recorder::Recorder;
use crate::engine::serials::Serials;
use crate::measure::{Attempt, Outcome, PhaseTimes};

/// What the attempts of one worker in one stage share.
pub(super) struct Shared<C> {
    pub(super) settings: Arc<Settings>,
    pub(super) connector: Arc<C>,
    pub(super) serials: Arc<Serials>,
    pub(super) clock: RunClock,
    pub(super) stage: u16,
    pub(super) recorder: RefCell<Recorder>,
}

/// One attempt from beginning to end.
pub(super) async fn run<C: Connector>(mut entry: Entry<C>, key: Key) {
    entry.start();
    let shared = Rc::clone(&entry.shared);
    let ended = match key {
        Ok(prepared) => {
            let end = LocalEnd::new(&shared.settings, entry.due.device);
            let mut provisioned = device::provision(&shared.settings, &*shared.connector, &end, &prepared, false).await;
            if let Ok(credential) = &provisioned.result
                && !shared.serials.insert(&credential.leaf.serial)
            {
                let again = "the issued certificate has the serial number of another one of this run";
                provisioned.result = Err(Failure::new(FailureClass::Verification, again));
            }
            provisioned
        }
        Err(failure) => failed(failure),
    };
    entry.end(&ended);
}

fn failed<S>(failure: Failure) -> Done<S> {
    Done { phases: PhaseTimes::new(), polls: 0, throttled: 0, retry_after: None, result: Err(failure), session: None }
}

/// Guarantees that every attempt that starts also ends in the record, exactly once, whatever becomes of its future; and
/// that a device whose attempt never starts is counted too.
pub(super) struct Entry<C> {
    shared: Rc<Shared<C>>,
    due: Due,
    started: Option<Duration>,
    ended: bool,
}

impl<C> Entry<C> {
    pub(super) const fn new(shared: Rc<Shared<C>>, due: Due) -> Self {
        Self { shared, due, started: None, ended: false }
    }

    fn start(&mut self) {
        let now = self.shared.clock.now();
        self.started = Some(now);
        self.shared.recorder.borrow_mut().started(self.due.at, now);
    }

    fn end<S>(&mut self, how: &Done<S>) {
        let ended = self.shared.clock.now();
        let Due { device, at: due } = self.due;
        let started = self.started.unwrap_or(ended);
        let mut phases = how.phases;
        phases.set(Phase::Queued, started.saturating_sub(due));
        phases.set(Phase::Total, ended.saturating_sub(due));
        phases.set(Phase::TotalRaw, ended.saturating_sub(started));
        let failure = how.result.as_ref().err();
        let attempt = Attempt {
            device,
            stage: self.shared.stage,
            number: 1,
            due,
            started,
            ended,
            phases,
            outcome: failure.map_or(Outcome::Success, |f| Outcome::Failed(f.class)),
            polls: how.polls,
            throttled: how.throttled,
        };
        self.ended = true;
        self.shared.recorder.borrow_mut().ended(&attempt, failure);
    }
}

impl<C> Drop for Entry<C> {
    fn drop(&mut self) {
        if self.ended || self.shared.recorder.try_borrow_mut().is_err() {
            return;
        }
        if self.started.is_none() {
            self.shared.recorder.borrow_mut().totals.not_started += 1;
        } else if std::thread::panicking() {
            let failure = Failure::new(FailureClass::Generator, "the attempt panicked: a defect in fleetstorm");
            self.end(&failed::<()>(failure));
        } else {
            self.end(&failed::<()>(Failure::new(FailureClass::Cut, "the run ended before the attempt did")));
        }
    }
}
