//! A fleet with bootstrap certificates.

use std::time::SystemTime;

use fleetstorm::domain::{CryptoProvider, KeyAlgorithm, RegistrationId};
use fleetstorm::emulator::{CaEntry, Config, GroupEntry};
use fleetstorm::pki::bootstrap::{self, BootstrapIdentity};
use fleetstorm::pki::ca::CertificateAuthority;
use fleetstorm::pki::key::DeviceKey;

/// The authorities of a fleet's bootstrap certificates.
pub(super) struct Fleet {
    pub(super) root: CertificateAuthority,
    pub(super) intermediate: CertificateAuthority,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let now = SystemTime::now();
        let root = bootstrap::root("fleet root", KeyAlgorithm::EcdsaP256, 3650, now).unwrap();
        let intermediate =
            bootstrap::intermediate(&root, "fleet intermediate", KeyAlgorithm::EcdsaP256, 1825, now).unwrap();
        Self { root, intermediate }
    }

    /// Leaf, intermediate, root.
    pub(super) fn chain(&self, id: &str) -> Vec<Vec<u8>> {
        self.identity(id, 365, SystemTime::now()).chain
    }

    /// A device whose certificate is good for so many days from `now` on.
    pub(super) fn identity(&self, id: &str, days: u32, now: SystemTime) -> BootstrapIdentity {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
        let above = [self.intermediate.der().to_vec(), self.root.der().to_vec()];
        let id = RegistrationId::new(id).unwrap();
        bootstrap::device(&self.intermediate, &above, &id, key, days, now).unwrap()
    }

    pub(super) fn root_ca(&self) -> CaEntry {
        CaEntry::new("root", self.root.der().to_vec())
    }

    pub(super) fn intermediate_ca(&self) -> CaEntry {
        CaEntry::new("intermediate", self.intermediate.der().to_vec())
    }

    /// A group by the root, which is uploaded.
    pub(super) fn by_root(&self) -> impl FnOnce(&mut Config) {
        let root = self.root_ca();
        move |config| {
            config.ca_certificates = vec![root];
            config.groups = vec![GroupEntry::by_ca_references("by-root", &["root"])];
        }
    }
}
