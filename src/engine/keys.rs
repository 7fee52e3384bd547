//! Keys, CSRs and SAS tokens made ahead of need: CPU work off the reactors, in the order in which devices are due,
//! through bounded queues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, oneshot};

use crate::device::{self, Prepared};
use crate::domain::{Failure, FailureClass};
use crate::engine::Plan;
use crate::engine::setup::StageSetup;

/// What is made for one device.
pub(super) type Key = Result<Prepared, Failure>;

/// Where keys are made.
#[derive(Debug)]
pub(super) struct KeyWorks {
    /// `None`: at the moment they are asked for, on the caller's thread.
    pool: Option<rayon::ThreadPool>,
    plan: Arc<Plan>,
}

/// Counts the keys of one stage as they are made.
#[derive(Debug, Default)]
pub(super) struct Made {
    count: AtomicU64,
    wanted: AtomicU64,
    /// Told when all that were wanted are made.
    enough: Notify,
}

impl Made {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until as many keys as that were made.
    pub(super) async fn wait_for(&self, wanted: u64) {
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
    pub(super) const fn new(pool: Option<rayon::ThreadPool>, plan: Arc<Plan>) -> Self {
        Self { pool, plan }
    }

    /// Orders the key of a device in a stage.
    pub(super) fn order(self: &Arc<Self>, setup: &Arc<StageSetup>, device: u32) -> oneshot::Receiver<Key> {
        let (sender, receiver) = oneshot::channel();
        match &self.pool {
            None => self.make(setup, device, sender),
            Some(pool) => {
                let (works, setup) = (Arc::clone(self), Arc::clone(setup));
                pool.spawn(move || works.make(&setup, device, sender));
            }
        }
        receiver
    }

    fn make(&self, setup: &StageSetup, device: u32, sender: oneshot::Sender<Key>) {
        // The run was stopped or the device dropped: nobody wants the key any more.
        if !sender.is_closed() {
            let key = match self.plan.registration_id(device) {
                // One key per device and stage: its further attempts use the same.
                Some(id) => device::prepare(setup.settings_of(device), device, u32::from(setup.index) + 1, &id),
                None => Err(Failure::new(FailureClass::Generator, "no registration id could be made")),
            };
            // Refused only when the receiver has just gone, with which the key has no use.
            let _ = sender.send(key);
        }
        setup.made.one();
    }
}

/// The keys of one worker's devices, in the order in which they are due.
#[derive(Debug)]
pub(super) struct KeySupply {
    works: Arc<KeyWorks>,
    setup: Arc<StageSetup>,
    /// Devices whose keys were not ordered yet.
    devices: std::vec::IntoIter<u32>,
    ordered: VecDeque<oneshot::Receiver<Key>>,
    /// The next key, once it is here.
    next: Option<Key>,
}

impl KeySupply {
    /// For `devices`, in the order in which they are due.
    pub(super) fn new(works: Arc<KeyWorks>, setup: Arc<StageSetup>, devices: Vec<u32>) -> Self {
        Self { works, setup, devices: devices.into_iter(), ordered: VecDeque::new(), next: None }
    }

    /// Orders the key of one more device. `false` when all were ordered.
    pub(super) fn order_one(&mut self) -> bool {
        let Some(device) = self.devices.next() else { return false };
        self.ordered.push_back(self.works.order(&self.setup, device));
        true
    }

    /// The key of the next device, when it is here.
    pub(super) fn take(&mut self) -> Option<Key> {
        if self.next.is_none() {
            let key = match self.ordered.front_mut()?.try_recv() {
                Ok(key) => key,
                Err(oneshot::error::TryRecvError::Empty) => return None,
                Err(oneshot::error::TryRecvError::Closed) => Err(lost()),
            };
            self.arrived(key);
        }
        self.order_one();
        self.next.take()
    }

    /// Waits until [`Self::take`] gives the next key. May be dropped and called again.
    pub(super) async fn ready(&mut self) {
        if self.next.is_some() {
            return;
        }
        match self.ordered.front_mut() {
            Some(receiver) => {
                let key = receiver.await.unwrap_or_else(|_| Err(lost()));
                self.arrived(key);
            }
            None => std::future::pending().await,
        }
    }

    /// The next device will not start: its key is not wanted.
    pub(super) fn skip(&mut self) {
        if self.next.take().is_none() {
            self.ordered.pop_front();
        }
        self.order_one();
    }

    fn arrived(&mut self, key: Key) {
        self.ordered.pop_front();
        self.next = Some(key);
    }
}

/// A key that was ordered and never came.
pub(super) fn lost() -> Failure {
    Failure::new(FailureClass::Generator, "making the key failed without an answer")
}
