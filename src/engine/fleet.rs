//! What a worker's devices own from stage to stage.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use crate::device::{Credential, LocalEnd};
use crate::engine::holder::Mailbox;
use crate::engine::share::Share;
use crate::engine::skips::Lack;
use crate::measure::Certificates;

/// The devices of one worker.
pub(super) struct Fleet<S> {
    share: Share,
    devices: RefCell<Box<[Device<S>]>>,
}

/// One device.
pub(super) struct Device<S> {
    /// Its certificate and assignment, once it was provisioned.
    pub(super) credential: Option<Rc<Credential>>,
    /// Why it has none, once a stage was to provision it.
    pub(super) lack: Option<Lack>,
    /// Its own end of connections, once it made one.
    pub(super) end: Option<Rc<LocalEnd>>,
    /// Whom to ask for the connection with the hub that it holds.
    pub(super) holder: Option<Rc<Mailbox<S>>>,
    /// Its hub refused the certificate: only DPS can help.
    pub(super) refused: bool,
    /// The certificate was counted as expired.
    pub(super) expired: bool,
}

impl<S> Default for Device<S> {
    fn default() -> Self {
        Self { credential: None, lack: None, end: None, holder: None, refused: false, expired: false }
    }
}

impl<S> Fleet<S> {
    /// The devices of that share of a fleet, which own nothing yet.
    pub(super) fn new(share: Share, devices: u32) -> Self {
        let devices = (0..share.devices(devices)).map(|_| Device::default()).collect();
        Self { share, devices: RefCell::new(devices) }
    }

    /// When the certificates expire that the devices have.
    pub(super) fn expiries(&self, now: SystemTime) -> Certificates {
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
    pub(super) fn with<T>(&self, device: u32, look: impl FnOnce(&mut Device<S>) -> T) -> T {
        let mut devices = self.devices.borrow_mut();
        look(&mut devices[self.share.place_of(device)])
    }
}
