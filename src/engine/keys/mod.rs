//! Keys, CSRs and SAS keys made ahead of need: CPU work off the reactors, in the order in which devices are due, whichever
//! stage they take part in, and in bounded memory.

pub(super) mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};

use crate::device::{self, Prepared};
use crate::domain::{Failure, FailureClass};
use crate::engine::clock::RunClock;
use crate::engine::keys::queue::{KeyQueue, Lane, NextKey};
use crate::engine::plan::Plan;
use crate::engine::plan::setup::StageSetup;

/// What is made for one device.
pub(crate) type MadeKey = Result<Prepared, Failure>;

/// Where keys are made.
pub(crate) struct KeyWorks {
    /// `None`: at the moment they are asked for, on the caller's thread.
    pool: Option<rayon::ThreadPool>,
    plan: Arc<Plan>,
    orders: Mutex<KeyOrders>,
    /// Not before the measured part.
    clock: OnceLock<RunClock>,
    /// Keys made ahead of need, and those of them that are to be made before the run.
    made: Made,
    made_whole: Made,
}

/// What is to be made.
struct KeyOrders {
    /// By devices at work, which wait.
    now: VecDeque<(Arc<StageSetup>, u32, oneshot::Sender<MadeKey>)>,
    ahead: KeyQueue,
    /// By stage.
    counters: Vec<Option<Counter>>,
    /// Threads at work.
    makers: usize,
}

/// Where the keys of a stage are handed out.
struct Counter {
    setup: Arc<StageSetup>,
    whole: bool,
    /// By worker. Keys with the place of their device.
    workers: Vec<UnboundedSender<(u64, MadeKey)>>,
}

/// One key to make.
enum KeyOrder {
    Now(Arc<StageSetup>, u32, oneshot::Sender<MadeKey>),
    Ahead { setup: Arc<StageSetup>, device: u32, place: u64, to: UnboundedSender<(u64, MadeKey)>, whole: bool },
}

/// Counts keys as they are made.
#[derive(Debug, Default)]
struct Made {
    count: AtomicU64,
    wanted: AtomicU64,
    /// Told when all that were wanted are made.
    enough: Notify,
}

impl Made {
    async fn wait_for(&self, wanted: u64) {
        self.wanted.store(wanted, Ordering::SeqCst);
        while self.count.load(Ordering::SeqCst) < wanted {
            self.enough.notified().await;
        }
    }

    fn one(&self) {
        let made = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if made >= self.wanted.load(Ordering::SeqCst) {
            self.enough.notify_one();
        }
    }
}

impl KeyWorks {
    /// `ahead`: most keys ahead of need.
    pub(crate) fn new(pool: Option<rayon::ThreadPool>, plan: Arc<Plan>, ahead: u32) -> Self {
        let stages = plan.stages.len();
        let orders = KeyOrders {
            now: VecDeque::new(),
            ahead: KeyQueue::new(stages, ahead.into()),
            counters: (0..stages).map(|_| None).collect(),
            makers: 0,
        };
        Self {
            pool,
            plan,
            orders: Mutex::new(orders),
            clock: OnceLock::new(),
            made: Made::default(),
            made_whole: Made::default(),
        }
    }

    /// Makes the keys of a stage ahead of need, and hands them out to as many workers, each in the order in which its devices
    /// are due.
    pub(crate) fn supply(self: &Arc<Self>, setup: &Arc<StageSetup>, lane: Lane, workers: usize) -> Vec<KeySupply> {
        let stage = usize::from(setup.index);
        let supply = |worker, arriving| KeySupply {
            works: Arc::clone(self),
            setup: Arc::clone(setup),
            worker,
            arriving,
            arrived: BTreeMap::new(),
            passed: 0,
            asked: None,
        };
        if self.pool.is_none() {
            return (0..workers).map(|worker| supply(worker, None)).collect();
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
        let mut orders = self.orders();
        let counter = Counter { setup: Arc::clone(setup), whole: lane.is_whole(), workers: senders };
        if let Some(place) = orders.counters.get_mut(stage) {
            *place = Some(counter);
        }
        orders.ahead.add(stage, lane);
        self.hire(&mut orders, usize::MAX);
        receivers.into_iter().enumerate().map(|(worker, arriving)| supply(worker, Some(arriving))).collect()
    }

    /// The measured part starts: from now on keys may be late.
    pub(crate) fn start(&self, clock: RunClock) {
        // It starts once.
        let _ = self.clock.set(clock);
    }

    /// It is known when a stage begins, on the clock of the run.
    pub(crate) fn begins(&self, stage: usize, at: Duration) {
        self.orders().ahead.begins(stage, at);
    }

    /// A stage has begun.
    pub(crate) fn runs(self: &Arc<Self>, stage: usize) {
        let mut orders = self.orders();
        orders.ahead.runs(stage);
        self.hire(&mut orders, usize::MAX);
    }

    /// Makes the key of a device that is at work and waits for it: before all others.
    pub(crate) fn order(self: &Arc<Self>, setup: &Arc<StageSetup>, device: u32) -> oneshot::Receiver<MadeKey> {
        let (sender, receiver) = oneshot::channel();
        if self.pool.is_none() {
            // The receiver is here.
            let _ = sender.send(self.make(setup, device));
            return receiver;
        }
        let mut orders = self.orders();
        orders.now.push_back((Arc::clone(setup), device, sender));
        self.hire(&mut orders, 1);
        receiver
    }

    /// How many keys are made before any is taken: all, and those of stages that want all of theirs before the run.
    pub(crate) fn expected(&self) -> (u64, u64) {
        self.orders().ahead.expected()
    }

    /// Keys made ahead of need so far.
    pub(crate) fn made(&self) -> u64 {
        self.made.count.load(Ordering::Relaxed)
    }

    /// Waits until as many keys as that were made.
    pub(crate) async fn wait_for(&self, wanted: u64) {
        self.made.wait_for(wanted).await;
    }

    /// Waits until as many keys were made of stages that want all of theirs before the run.
    pub(crate) async fn wait_for_whole(&self, wanted: u64) {
        self.made_whole.wait_for(wanted).await;
    }

    fn orders(&self) -> MutexGuard<'_, KeyOrders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts up to `most` threads to work that have nothing to do, when there is something.
    fn hire(self: &Arc<Self>, orders: &mut KeyOrders, most: usize) {
        let Some(pool) = &self.pool else { return };
        if orders.now.is_empty() && !orders.ahead.has_next() {
            return;
        }
        let idle = pool.current_num_threads().saturating_sub(orders.makers);
        for _ in 0..idle.min(most) {
            orders.makers += 1;
            let works = Arc::clone(self);
            pool.spawn(move || works.work());
        }
    }

    /// Makes keys until there is none to be made.
    fn work(&self) {
        loop {
            let order = {
                let mut orders = self.orders();
                match orders.next(self.clock.get().map(|clock| clock.now())) {
                    Some(order) => order,
                    None => {
                        orders.makers -= 1;
                        return;
                    }
                }
            };
            match order {
                // Refused when the device has just been cut off, with which the key has no use.
                KeyOrder::Now(setup, device, sender) => drop(sender.send(self.make(&setup, device))),
                KeyOrder::Ahead { setup, device, place, to, whole } => {
                    // The same when the stage is over.
                    let _ = to.send((place, self.make(&setup, device)));
                    self.made.one();
                    if whole {
                        self.made_whole.one();
                    }
                }
            }
        }
    }

    fn make(&self, setup: &StageSetup, device: u32) -> MadeKey {
        let Some(id) = self.plan.registration_id(device) else {
            return Err(Failure::new(FailureClass::Configuration, "no registration id could be made"));
        };
        // One key per device and stage: its further attempts use the same.
        let make = || device::prepare(setup.settings_of(device), device, u32::from(setup.index) + 1, &id);
        // A panic was printed; the device that waits for the key learns that there will be none.
        catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err(lost()))
    }
}

impl KeyOrders {
    fn next(&mut self, now: Option<Duration>) -> Option<KeyOrder> {
        while let Some((setup, device, sender)) = self.now.pop_front() {
            if !sender.is_closed() {
                return Some(KeyOrder::Now(setup, device, sender));
            }
        }
        let NextKey { stage, device, worker, place } = self.ahead.next(now)?;
        let Counter { setup, whole, workers } = self.counters.get(stage)?.as_ref()?;
        let (setup, to) = (Arc::clone(setup), workers.get(worker)?.clone());
        Some(KeyOrder::Ahead { setup, device, place, to, whole: *whole })
    }
}

impl fmt::Debug for KeyWorks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWorks").finish_non_exhaustive()
    }
}

/// The keys of one worker's devices in a stage, in the order in which they are due.
pub(crate) struct KeySupply {
    works: Arc<KeyWorks>,
    setup: Arc<StageSetup>,
    worker: usize,
    /// `None`: every key is made when it is taken.
    arriving: Option<UnboundedReceiver<(u64, MadeKey)>>,
    /// Keys that are here, by the place of their device.
    arrived: BTreeMap<u64, MadeKey>,
    /// Devices that have started or were dropped.
    passed: u64,
    /// The place of the device for which it was last said that it waits.
    asked: Option<u64>,
}

impl KeySupply {
    /// The key of the next device, which is `device`, when it is here. The device counts as started then.
    pub(crate) fn take(&mut self, device: u32) -> Option<MadeKey> {
        let Some(arriving) = &mut self.arriving else { return Some(self.works.make(&self.setup, device)) };
        while let Ok((place, key)) = arriving.try_recv() {
            // Of a device that was dropped meanwhile nobody wants it.
            if place >= self.passed {
                self.arrived.insert(place, key);
            }
        }
        let key = self.arrived.remove(&self.passed)?;
        self.skip();
        Some(key)
    }

    /// Waits until [`Self::take`] gives the next key. May be dropped and called again.
    pub(crate) async fn ready(&mut self) {
        if self.arriving.is_some() && self.asked.replace(self.passed) != Some(self.passed) {
            let mut orders = self.works.orders();
            orders.ahead.waits(self.setup.index.into(), self.worker);
            self.works.hire(&mut orders, 1);
        }
        while let Some(arriving) = &mut self.arriving
            && !self.arrived.contains_key(&self.passed)
        {
            match arriving.recv().await {
                Some((place, key)) if place >= self.passed => drop(self.arrived.insert(place, key)),
                // Of a device that was dropped meanwhile nobody wants it.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The next device does not need its key (any more).
    pub(crate) fn skip(&mut self) {
        if self.arriving.is_some() {
            self.arrived.remove(&self.passed);
            self.passed += 1;
            let mut orders = self.works.orders();
            orders.ahead.passed(self.setup.index.into(), self.worker);
            self.works.hire(&mut orders, 1);
        }
    }
}

impl Drop for KeySupply {
    fn drop(&mut self) {
        if self.arriving.is_some() {
            let mut orders = self.works.orders();
            orders.ahead.close(self.setup.index.into(), self.worker);
            self.works.hire(&mut orders, usize::MAX);
        }
    }
}

/// A key that was ordered and never came.
pub(crate) fn lost() -> Failure {
    Failure::new(FailureClass::Generator, "making the key failed without an answer")
}

#[cfg(test)]
mod tests;
