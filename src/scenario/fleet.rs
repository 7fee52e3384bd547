use crate::domain::{CryptoProvider, InvalidId, KeyAlgorithm, RegistrationId, TlsVersions};

/// The devices of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Number of devices, 1 to [`Self::MAX_DEVICES`].
    pub devices: u32,
    /// How their registration ids are made.
    pub registration_id: IdPattern,
    /// Algorithm of their keys.
    pub key_algorithm: KeyAlgorithm,
    /// Library that makes keys, signatures and TLS.
    pub crypto_provider: CryptoProvider,
    /// Where keys come from.
    pub keys: KeySource,
    /// TLS versions offered.
    pub tls: TlsVersions,
}

impl Fleet {
    /// Most devices of one run: DPS holds a million registrations per instance.
    pub const MAX_DEVICES: u32 = 1_000_000;
}

/// Where the keys of devices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySource {
    /// Randomness of the operating system.
    #[default]
    Fresh,
    /// Drawn from the seed of the run, the same on every run: for tests only, marked in the report.
    Seeded,
}

/// A pattern such as `dev-{index:06}`: registration ids made from the index of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern {
    prefix: String,
    width: usize,
    suffix: String,
}

impl IdPattern {
    /// The id of one device, in lower case.
    ///
    /// # Errors
    /// Never for an index below the number of devices that the pattern was validated for.
    pub fn registration_id(&self, index: u32) -> Result<RegistrationId, InvalidId> {
        RegistrationId::new(&format!("{}{index:0width$}{}", self.prefix, self.suffix, width = self.width))
    }
}
