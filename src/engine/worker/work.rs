//! What a device does in a stage, attempt by attempt.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;

use crate::device::{self, Connector, Credential, Done, LocalEnd, Prepared};
use crate::domain::{AttemptFacts, Failure, FailureClass, Phase};
use crate::engine::keys::{self, MadeKey};
use crate::engine::worker::holder::{self, Back, Kept};
use crate::engine::worker::operate;
use crate::engine::worker::retry::{AfterFailure, At, Retries};
use crate::engine::worker::task::{DeviceTask, StageJob, TaskEnding};
use crate::scenario::{Behaviour, StageKind};

/// Which way an attempt takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Register with DPS, then to the hub.
    Dps,
    /// Straight to the hub.
    Hub,
    /// A new certificate from the hub.
    Renewal,
}

/// A device at work in a stage.
pub(crate) struct DeviceWork<C: Connector> {
    pub(crate) task: DeviceTask<C>,
    job: Rc<StageJob<C>>,
    end: Rc<LocalEnd>,
    prepared: Option<Box<Prepared>>,
    /// The connection that the device has open.
    pub(crate) kept: Option<Kept<C::Stream>>,
    /// Who lent it.
    back: Option<Back<C::Stream>>,
    /// An attempt of this stage already got what the stage is for; only the hub is left.
    obtained: bool,
    /// The device was connected before in this stage.
    pub(crate) ready: bool,
}

/// Does all that a device does in a stage.
pub(crate) async fn run<C: Connector + 'static>(
    task: DeviceTask<C>,
    key: Option<MadeKey>,
    permit: OwnedSemaphorePermit,
) {
    let job = Rc::clone(&task.job);
    let device = task.device;
    let scenario = Arc::clone(&job.worker.run.scenario);
    let behaviour = &scenario.fleet.class_of(device).behaviour;
    let mut retries = Retries::new(behaviour, scenario.time_scale, job.worker.run.seed, device, job.setup.index);
    let mut work = DeviceWork::new(task);
    match key {
        Some(Err(failure)) => {
            work.task.begin(None);
            return work.task.end(&AttemptFacts::default(), Some(&failure), TaskEnding::Device);
        }
        Some(Ok(prepared)) => work.prepared = Some(Box::new(prepared)),
        None => {}
    }
    if job.setup.stage.kind == StageKind::Operate {
        return Box::pin(operate::run(work, retries, permit)).await;
    }
    work.borrow_connection().await;
    Box::pin(work.attempts(behaviour, &mut retries, permit, None)).await;
    work.give_back();
}

impl<C: Connector + 'static> DeviceWork<C> {
    fn new(task: DeviceTask<C>) -> Self {
        let job = Rc::clone(&task.job);
        let device = task.device;
        let end = job.worker.fleet.with(device, |state| {
            let make = || Rc::new(LocalEnd::new(job.setup.settings_of(device), device));
            Rc::clone(state.end.get_or_insert_with(make))
        });
        Self { task, job, end, prepared: None, kept: None, back: None, obtained: false, ready: false }
    }

    pub(crate) fn credential(&self) -> Option<Rc<Credential>> {
        self.job.worker.fleet.with(self.task.device, |device| device.credential.clone())
    }

    /// Takes the connection that the device holds, to be renewed, given up, or used.
    pub(crate) async fn borrow_connection(&mut self) {
        let holder = self.job.worker.fleet.with(self.task.device, |device| device.holder.clone());
        let Some(holder) = holder else { return };
        if let Some((kept, back)) = holder.borrow().await {
            self.kept = Some(kept);
            self.back = (!back.is_closed()).then_some(back);
        }
    }

    /// The connection goes back to whoever lent it, is kept, or ends.
    pub(crate) fn give_back(self) {
        let Self { task, job, kept, back, .. } = self;
        let kept = match back {
            Some(back) => match back.send(kept) {
                Ok(()) => return,
                Err(kept) => kept,
            },
            None => kept,
        };
        match kept {
            Some(kept) if job.setup.stage.keep_connected => holder::keep(&job.worker, task.device, kept),
            // Whoever lent it is gone, and nobody wants it.
            Some(kept) => close(&job, kept),
            None => {}
        }
    }

    /// Attempt after attempt, until one succeeds or the device gives up. With a connection lost, the first one is due
    /// then.
    pub(crate) async fn attempts(
        &mut self,
        behaviour: &Behaviour,
        retries: &mut Retries<'_>,
        permit: OwnedSemaphorePermit,
        due: Option<Duration>,
    ) -> bool {
        let operates = self.job.setup.stage.kind == StageKind::Operate;
        let mut permit = Some(permit);
        let mut due = due;
        loop {
            let held = match permit.take() {
                Some(permit) => permit,
                None => self.slot().await,
            };
            self.task.begin(due);
            self.note_expiry();
            let way = self.way(behaviour);
            let done = match self.attempt(way).await {
                Ok(done) => self.checked(way, done),
                Err(failure) => {
                    self.task.end(&AttemptFacts::default(), Some(&failure), TaskEnding::Device);
                    return false;
                }
            };
            let at = match way {
                Way::Renewal => At::Renewal,
                _ if done.facts.phases.get(Phase::HubTcp).is_some() => At::Hub,
                _ => At::Dps,
            };
            let (facts, failure) = (done.facts, done.result.as_ref().err().cloned());
            self.settle(way, done, held);
            self.note_expiry();
            let Some(failure) = &failure else {
                retries.succeeded();
                // A device that operates is through when the stage is.
                let first = !std::mem::replace(&mut self.ready, true);
                self.task.end(
                    &facts,
                    None,
                    match (operates, first) {
                        (false, _) => TaskEnding::Device,
                        (true, true) => TaskEnding::Ready,
                        (true, false) => TaskEnding::Attempt,
                    },
                );
                return true;
            };
            let now = self.job.now();
            let (again, ending) = match retries.failed(failure, at, facts.retry_after) {
                AfterFailure::Again { wait, by_dps } => {
                    let again = now + wait;
                    let too_late = self.job.until.is_some_and(|until| again >= until);
                    (Some((again, by_dps)), if too_late { TaskEnding::Cut } else { TaskEnding::Attempt })
                }
                AfterFailure::GiveUp => (None, TaskEnding::GaveUp),
                AfterFailure::Refused => (None, TaskEnding::Device),
            };
            self.task.end(&facts, Some(failure), ending);
            let Some((again, by_dps)) = again.filter(|_| ending == TaskEnding::Attempt) else { return false };
            if by_dps {
                self.job.worker.fleet.with(self.task.device, |device| device.refused = true);
            }
            self.wait_until(again).await;
            due = Some(again);
        }
    }

    /// A slot for one more connection.
    pub(crate) async fn slot(&self) -> OwnedSemaphorePermit {
        let slots = Arc::clone(&self.job.worker.slots);
        match slots.acquire_owned().await {
            Ok(permit) => permit,
            // Never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits, and keeps an open connection alive meanwhile.
    pub(crate) async fn wait_until(&mut self, at: Duration) {
        let at = self.job.worker.clock.instant(at);
        if let Some(kept) = &mut self.kept
            && let device::HoldEnd::Lost(failure) = kept.session.hold(Some(at)).await
        {
            self.kept = None;
            self.job.worker.breaches.borrow_mut().count(&failure);
            self.job.recorder.borrow_mut().disconnected(self.job.now());
        }
        sleep_until(at).await;
    }

    fn way(&self, behaviour: &Behaviour) -> Way {
        let kind = self.job.setup.stage.kind;
        let (known, only_dps) = self
            .job
            .worker
            .fleet
            .with(self.task.device, |device| (device.credential.is_some(), device.refused || device.expired));
        if !known || only_dps {
            return Way::Dps;
        }
        match kind {
            StageKind::Provision | StageKind::Reprovision => {
                if self.obtained && behaviour.caches_assignment {
                    Way::Hub
                } else {
                    Way::Dps
                }
            }
            StageKind::Renew => {
                if self.obtained {
                    Way::Hub
                } else {
                    Way::Renewal
                }
            }
            StageKind::Reconnect | StageKind::Operate => {
                if behaviour.caches_assignment || self.obtained {
                    Way::Hub
                } else {
                    Way::Dps
                }
            }
        }
    }

    /// One attempt. An error is one of the generator's own.
    async fn attempt(&mut self, way: Way) -> Result<Done<C::Stream>, Failure> {
        let worker = Rc::clone(&self.job.worker);
        let setup = Arc::clone(&self.job.setup);
        let settings = setup.settings_of(self.task.device);
        let (connector, end) = (&*worker.run.connector, Rc::clone(&self.end));
        if way != Way::Hub && self.prepared.is_none() {
            let key = worker.run.works.order(&setup, self.task.device).await.unwrap_or_else(|_| Err(keys::lost()))?;
            self.prepared = Some(Box::new(key));
        }
        if way != Way::Renewal {
            self.take_leave().await;
        }
        let _counted = end.counted(&self.job.whereabouts);
        let keep = setup.stage.keep_connected || setup.stage.kind == StageKind::Operate || self.back.is_some();
        let credential = self.credential();
        match (way, credential, &self.prepared) {
            (Way::Hub, Some(credential), _) => {
                Ok(Box::pin(device::reconnect(settings, connector, &end, &credential, keep)).await)
            }
            (Way::Renewal, Some(credential), Some(prepared)) => {
                let (session, slot) = Kept::split(self.kept.take());
                let done =
                    Box::pin(device::renew(settings, connector, &end, &credential, session, prepared, keep)).await;
                drop(slot);
                Ok(done)
            }
            (_, _, Some(prepared)) => Ok(Box::pin(device::provision(settings, connector, &end, prepared, keep)).await),
            (_, _, None) => Err(keys::lost()),
        }
    }

    /// Ends a connection with the hub before another one is made, so that the hub does not have to.
    async fn take_leave(&mut self) {
        if let (Some(session), slot) = Kept::split(self.kept.take()) {
            Box::pin(session.leave(&*self.job.worker.run.connector)).await;
            drop(slot);
        }
    }

    /// No serial number comes twice.
    fn checked(&self, way: Way, mut done: Done<C::Stream>) -> Done<C::Stream> {
        let issued = done.result.as_ref().ok().or(done.obtained.as_ref()).filter(|_| way != Way::Hub);
        let worker = &self.job.worker;
        if let Some(leaf) = issued.map(|credential| &credential.leaf) {
            let mut early = worker.early.get();
            early.count(leaf.early_by);
            worker.early.set(early);
        }
        if issued.is_some_and(|credential| !worker.run.serials.insert(&credential.leaf.serial)) {
            let again = "the issued certificate has the serial number of another one of this run";
            done.result = Err(Failure::new(FailureClass::Verification, again));
            done.obtained = None;
        }
        done
    }

    /// Keeps what an attempt got, and the connection that it left open.
    fn settle(&mut self, way: Way, done: Done<C::Stream>, permit: OwnedSemaphorePermit) {
        let worker = &self.job.worker;
        let mut obtained = match done.result {
            Ok(credential) => Some(credential),
            Err(_) => done.obtained,
        };
        let new = way != Way::Hub && obtained.is_some();
        if new {
            self.obtained = true;
        }
        worker.fleet.with(self.task.device, |device| {
            if let Some(credential) = obtained.take_if(|_| new) {
                device.credential = Some(Rc::new(credential));
                device.refused = false;
                device.expired = false;
            }
        });
        self.kept = done.session.map(|session| Kept::new(session, permit, &worker.run.gauges));
    }

    /// Counts a certificate that has expired, once.
    pub(crate) fn note_expiry(&self) {
        note_expiry(&self.job, self.task.device);
    }
}

/// Counts the certificate of a device as expired when it has, once.
pub(crate) fn note_expiry<C: Connector>(job: &StageJob<C>, device: u32) {
    let now = job.setup.settings_of(device).clock.now();
    let expired = job.worker.fleet.with(device, |state| {
        let expired = !state.expired && state.credential.as_ref().is_some_and(|c| c.leaf.not_after <= now);
        state.expired |= expired;
        expired
    });
    if expired {
        job.recorder.borrow_mut().expired(job.now());
    }
}

/// Takes leave and closes, without making anybody wait for it.
pub(crate) fn close<C: Connector + 'static>(job: &Rc<StageJob<C>>, kept: Kept<C::Stream>) {
    let worker = Rc::clone(&job.worker);
    tokio::task::spawn_local(async move {
        let (session, slot) = Kept::split(Some(kept));
        if let Some(session) = session {
            session.close(&*worker.run.connector).await;
        }
        drop(slot);
    });
}
