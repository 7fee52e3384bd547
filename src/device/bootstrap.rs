use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::domain::{CryptoProvider, Failure, FailureClass, RegistrationId};
use crate::pki::key::DeviceKey;

/// A folder with the bootstrap certificates of a fleet, made by `fleetstorm pki`: for each device
/// `{registration id}.pem`, its certificate followed by the intermediates, and `{registration id}.key`, its private key as
/// PKCS#8. The keys are read when a device needs them and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapFolder(PathBuf);

/// What a device shows to DPS.
#[derive(Debug, Clone)]
pub(super) struct BootstrapIdentity {
    /// DER, leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    /// The leaf's key.
    pub(super) key: Arc<DeviceKey>,
}

impl BootstrapFolder {
    /// At a path, which is not looked at before a device needs it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the files of one device.
    pub(super) fn identity(&self, id: &RegistrationId, provider: CryptoProvider) -> Result<BootstrapIdentity, Failure> {
        let pem = fs::read(self.file(id, "pem")).map_err(|error| unreadable("certificate", &error))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .map(|certificate| certificate.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|error| generator(format!("a bootstrap certificate is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(generator("a bootstrap certificate file has no certificate"));
        }
        let text = fs::read_to_string(self.file(id, "key")).map(Zeroizing::new);
        let text = text.map_err(|error| unreadable("key", &error))?;
        let key = DeviceKey::from_pem(&text, provider)
            .map_err(|error| generator(format!("a bootstrap key is unusable: {error}")))?;
        Ok(BootstrapIdentity { chain, key: Arc::new(key) })
    }

    fn file(&self, id: &RegistrationId, extension: &str) -> PathBuf {
        // Not `with_extension`: ids may have dots of their own.
        self.0.join(format!("{id}.{extension}"))
    }
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    generator(match error.kind() {
        io::ErrorKind::NotFound => {
            format!("a device has no bootstrap {what} in the bootstrap folder: make them with `fleetstorm pki`")
        }
        kind => format!("a bootstrap {what} cannot be read: {kind}"),
    })
}

fn generator(message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Generator, message)
}
