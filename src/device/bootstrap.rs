//! The bootstrap identity of a device, for X.509 attestation.

use std::io;
use std::sync::Arc;

use crate::domain::{CryptoProvider, Failure, FailureClass, RegistrationId};
use crate::pki::bootstrap::Folder;
use crate::pki::key::DeviceKey;
use crate::pki::store::StoreError;

/// What a device shows to DPS.
#[derive(Debug)]
pub(super) struct BootstrapIdentity {
    /// DER, leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    /// The leaf's key.
    pub(super) key: Arc<DeviceKey>,
}

impl BootstrapIdentity {
    /// Reads the files of one device; nothing is kept of them beyond the attempt.
    pub(super) fn read(folder: &Folder, id: &RegistrationId, provider: CryptoProvider) -> Result<Self, Failure> {
        let identity = folder.identity(id, provider).map_err(|error| unusable(&error))?;
        Ok(Self { chain: identity.chain, key: Arc::new(identity.key) })
    }
}

/// Without the path, which names the device. Files were looked at before the run: these changed since.
fn unusable(error: &StoreError) -> Failure {
    let reason = match error {
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            "it is not there: make it with `fleetstorm pki devices`".to_owned()
        }
        StoreError::Io { source, .. } => source.kind().to_string(),
        StoreError::Key { source, .. } => source.to_string(),
        StoreError::NoCertificate { source, .. } => format!("its file has no certificate: {source}"),
        StoreError::TooLarge(_) => "its file is too large for PEM".to_owned(),
        StoreError::Exists(_) => "its file is in the way".to_owned(),
    };
    Failure::new(FailureClass::Configuration, format!("the bootstrap certificate of a device cannot be used: {reason}"))
}
