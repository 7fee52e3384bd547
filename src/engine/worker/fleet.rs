//! What a worker's devices own from stage to stage.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use crate::device::{Credential, LocalEnd};
use crate::engine::plan::share::WorkerShare;
use crate::engine::record::skips::Lack;
use crate::engine::worker::holder::Mailbox;
use crate::measure::Certificates;

/// The devices of one worker.
pub(crate) struct WorkerFleet<S> {
    share: WorkerShare,
    devices: RefCell<Box<[WorkerDevice<S>]>>,
}

/// One device.
pub(crate) struct WorkerDevice<S> {
    /// Its certificate and assignment, once it was provisioned.
    pub(crate) credential: Option<Rc<Credential>>,
    /// Why it has none, once a stage was to provision it.
    pub(crate) lack: Option<Lack>,
    /// Its own end of connections, once it made one.
    pub(crate) end: Option<Rc<LocalEnd>>,
    /// Whom to ask for the connection with the hub that it holds.
    pub(crate) holder: Option<Rc<Mailbox<S>>>,
    /// Its hub refused the certificate: only DPS can help.
    pub(crate) refused: bool,
    /// The certificate was counted as expired.
    pub(crate) expired: bool,
}

impl<S> Default for WorkerDevice<S> {
    fn default() -> Self {
        Self { credential: None, lack: None, end: None, holder: None, refused: false, expired: false }
    }
}

impl<S> WorkerFleet<S> {
    /// The devices of that share of a fleet, which own nothing yet.
    pub(crate) fn new(share: WorkerShare, devices: u32) -> Self {
        let devices = (0..share.devices(devices)).map(|_| WorkerDevice::default()).collect();
        Self { share, devices: RefCell::new(devices) }
    }

    /// When the certificates expire that the devices have.
    pub(crate) fn expiries(&self, now: SystemTime) -> Certificates {
        let mut expiries = Certificates::default();
        for device in self.devices.borrow().iter() {
            match &device.credential {
                Some(credential) => expiries.count(credential.leaf.not_after, now),
                None => expiries.without += 1,
            }
        }
        expiries
    }

    /// Looks at a device, or changes it. Not to be called from within itself.
    pub(crate) fn with<T>(&self, device: u32, look: impl FnOnce(&mut WorkerDevice<S>) -> T) -> T {
        let mut devices = self.devices.borrow_mut();
        look(&mut devices[self.share.place_of(device)])
    }
}
