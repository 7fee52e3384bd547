use std::sync::Arc;

use tokio::time::Instant;

use crate::device::Connector;
use crate::device::attempt::AttemptContext;
use crate::domain::{Failure, FailureClass, Phase};
use crate::pki::chain::VerifiedLeaf;
use crate::pki::key::DeviceKey;

/// Longest serial number in bytes (RFC 5280, section 4.1.2.2), and a zero before one that would be negative. All of them are
/// remembered for the whole run.
const LONGEST_SERIAL: usize = 21;

/// What a device owns once it was provisioned.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Host name of the assigned hub.
    pub hub: String,
    /// Device id at the hub.
    pub device_id: String,
    /// The issued chain, leaf first, DER.
    pub chain: Arc<[Vec<u8>]>,
    /// The key of the leaf.
    pub key: Arc<DeviceKey>,
    /// Serial number and validity of the leaf.
    pub leaf: VerifiedLeaf,
}

impl Credential {
    /// What the device shows to the hub: leaf and intermediates. The root, which comes last, is the hub's own.
    pub fn presented_chain(&self) -> &[Vec<u8>] {
        match &*self.chain {
            [shown @ .., _root] if !shown.is_empty() => shown,
            all => all,
        }
    }
}

/// What the service gave, before it was looked at.
pub(super) struct UncheckedCredential {
    pub(super) hub: String,
    pub(super) device_id: String,
    /// DER, leaf first; empty when there is none.
    pub(super) chain: Vec<Vec<u8>>,
}

impl<C: Connector> AttemptContext<'_, C> {
    /// Checks an issued chain against the key and the name that its CSR had.
    pub(super) fn verify(
        &mut self,
        issued: UncheckedCredential,
        key: &Arc<DeviceKey>,
        common_name: &str,
    ) -> Result<Credential, Failure> {
        self.enters(Phase::Verify);
        let start = Instant::now();
        let UncheckedCredential { hub, device_id, chain } = issued;
        let wrong = |message| Failure::new(FailureClass::Verification, message);
        if chain.is_empty() {
            return Err(wrong("there is no certificate: link a credential policy to the enrollment".to_owned()));
        }
        let leaf = self.settings.chain.verify(&chain, key.spki_der(), common_name, self.settings.clock.now());
        self.facts.phases.add(Phase::Verify, start.elapsed());
        let leaf = leaf.map_err(|error| wrong(error.to_string()))?;
        if leaf.serial.len() > LONGEST_SERIAL {
            return Err(wrong(format!("the certificate's serial number has more than {LONGEST_SERIAL} bytes")));
        }
        Ok(Credential { hub, device_id, chain: chain.into(), key: key.clone(), leaf })
    }
}
