//! Keys, CSRs and SAS tokens made ahead of need: CPU work off the reactors, in the order in which devices are due,
//! through bounded queues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, oneshot};

use crate::device::{self, Prepared, Settings};
use crate::domain::{Failure, FailureClass};
use crate::engine::Plan;

/// What is made for one device.
pub(super) type Key = Result<Prepared, Failure>;

/// Where keys are made.
#[derive(Debug)]
pub(super) struct KeyWorks {
    /// `None`: at the moment they are asked for, on the caller's thread.
    pool: Option<rayon::ThreadPool>,
    plan: Arc<Plan>,
    made: AtomicU64,
    wanted: AtomicU64,
    /// Told when all that were wanted are made.
    enough: Notify,
}

impl KeyWorks {
    pub(super) fn new(pool: Option<rayon::ThreadPool>, plan: Arc<Plan>) -> Self {
        Self { pool, plan, made: AtomicU64::new(0), wanted: AtomicU64::new(u64::MAX), enough: Notify::new() }
    }

    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Waits until as many keys as that were made since the beginning of the run.
    pub(super) async fn wait_for(&self, wanted: u64) {
        self.wanted.store(wanted, Ordering::SeqCst);
        while self.made.load(Ordering::SeqCst) < wanted {
            self.enough.notified().await;
        }
    }

    fn order(self: &Arc<Self>, settings: &Arc<Settings>, device: u32) -> oneshot::Receiver<Key> {
        let (sender, receiver) = oneshot::channel();
        match &self.pool {
            None => self.make(settings, device, sender),
            Some(pool) => {
                let (works, settings) = (Arc::clone(self), Arc::clone(settings));
                pool.spawn(move || works.make(&settings, device, sender));
            }
        }
        receiver
    }

    fn make(&self, settings: &Settings, device: u32, sender: oneshot::Sender<Key>) {
        // The run was stopped or the device dropped: nobody wants the key any more.
        if !sender.is_closed() {
            let key = match self.plan.registration_id(device) {
                Some(id) => device::prepare(settings, device, 1, &id),
                None => Err(Failure::new(FailureClass::Generator, "no registration id could be made")),
            };
            // Refused only when the receiver has just gone, with which the key has no use.
            let _ = sender.send(key);
        }
        let made = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        if made >= self.wanted.load(Ordering::SeqCst) {
            self.enough.notify_one();
        }
    }
}

/// The keys of one worker's devices, in the order in which they are due. At most `ahead` are made or being made.
#[derive(Debug)]
pub(super) struct KeySupply {
    works: Arc<KeyWorks>,
    settings: Arc<Settings>,
    /// Devices whose keys were not ordered yet.
    devices: std::iter::StepBy<std::ops::Range<u32>>,
    ordered: VecDeque<oneshot::Receiver<Key>>,
    /// The next key, once it is here.
    next: Option<Key>,
}

impl KeySupply {
    pub(super) fn new(
        works: Arc<KeyWorks>,
        settings: Arc<Settings>,
        devices: std::iter::StepBy<std::ops::Range<u32>>,
    ) -> Self {
        Self { works, settings, devices, ordered: VecDeque::new(), next: None }
    }

    /// Orders the key of one more device. `false` when all were ordered.
    pub(super) fn order_one(&mut self) -> bool {
        let Some(device) = self.devices.next() else { return false };
        self.ordered.push_back(self.works.order(&self.settings, device));
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

fn lost() -> Failure {
    Failure::new(FailureClass::Generator, "making the key failed without an answer")
}
