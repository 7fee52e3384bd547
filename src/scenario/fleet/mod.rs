mod class;
mod id_pattern;

use std::path::PathBuf;

use crate::domain::{CryptoProvider, FleetTime};
pub use class::{DeviceClass, Mix, Network};
pub use id_pattern::IdPattern;

/// The devices of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Number of devices, 1 to [`Self::MAX_DEVICES`].
    pub devices: u32,
    /// How their registration ids are made.
    pub registration_id: IdPattern,
    /// Library that makes keys, signatures and TLS.
    pub crypto_provider: CryptoProvider,
    /// Validity of their SAS tokens for DPS (fleet time).
    pub token_life: FleetTime,
    /// The kinds of devices, at least one.
    pub classes: Vec<DeviceClass>,
    /// Which device is of which class.
    pub mix: Mix,
}

/// How the devices of a fleet prove to DPS who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// A key derived from the enrollment group's key.
    SymmetricKey,
    /// A bootstrap certificate each, from the folder that `fleetstorm pki` made. Its key is another one than the CSR's.
    X509 {
        /// The folder, with a subfolder `devices`.
        bootstrap_dir: PathBuf,
    },
}

impl Fleet {
    /// Most devices of one run: DPS holds a million registrations per instance.
    pub const MAX_DEVICES: u32 = 1_000_000;

    /// The class of a device.
    pub fn class_of(&self, device: u32) -> &DeviceClass {
        &self.classes[self.mix.class_of(device)]
    }

    /// How many devices are of one of these classes, which are all different.
    pub fn devices_in(&self, classes: &[usize]) -> u32 {
        classes.iter().map(|class| self.mix.count(*class, self.devices)).sum()
    }

    /// Whether any device is of a class that is so.
    pub fn any(&self, is: impl FnMut(&DeviceClass) -> bool) -> bool {
        self.classes.iter().any(is)
    }
}
