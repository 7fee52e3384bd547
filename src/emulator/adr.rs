//! Azure Device Registry: the authorities and what they sign. Made fresh at every start, so useless as a real CA.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::config::{Config, KeyTypes};
use crate::domain::KeyAlgorithm;
use crate::pki::csr::{self, CsrError, VerifiedCsr};
use crate::pki::issuing_ca::{IssuingCa, RootCa};
use crate::pki::key::KeyError;

/// The registry's namespace: one credential (root CA) and its policies (issuing CAs).
#[derive(Debug)]
pub(crate) struct Adr {
    root: RootCa,
    policies: RwLock<HashMap<Arc<str>, Arc<Policy>>>,
}

/// A credential policy: an issuing CA and what it signs.
#[derive(Debug)]
pub(crate) struct Policy {
    ca: IssuingCa,
    ca_text: Arc<str>,
    root_text: Arc<str>,
    validity: Duration,
    key_types: KeyTypes,
}

/// An issued chain as devices get it: base64 of DER. The authorities' part is shared by all devices.
#[derive(Debug, Clone)]
pub(crate) struct Chain([Arc<str>; 3]);

impl Chain {
    /// Leaf, issuing CA, root.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| &**text)
    }
}

/// Who asks for a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The name that the CSR must carry, compared without case.
    pub(crate) csr_name: Arc<str>,
    /// The name that the certificate will carry.
    pub(crate) device_id: Arc<str>,
    /// The device's identifier for revocation.
    pub(crate) unique_id: Uuid,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// The CSR is no good.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// It names somebody else.
    #[error("the CSR's common name must be the registration id")]
    CommonName,
    /// The policy does not take its key.
    #[error("the policy takes only ECDSA P-384 keys, the CSR has {0}")]
    KeyType(KeyAlgorithm),
    /// The library failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Adr {
    /// A new root and one policy.
    pub(crate) fn new(config: &Config, now: SystemTime) -> Result<Self, KeyError> {
        let root = RootCa::generate("fleetstorm emulator ADR root", now)?;
        let root_text: Arc<str> = csr::to_base64(root.der()).into();
        let ca = root.issuing_ca(&Policy::ca_name(&config.adr.policy), now)?;
        let policy = Policy {
            ca_text: csr::to_base64(ca.der()).into(),
            root_text,
            ca,
            validity: config.leaf_validity(),
            key_types: config.adr.key_types,
        };
        let policies = HashMap::from([(Arc::from(config.adr.policy.as_str()), Arc::new(policy))]);
        Ok(Self { root, policies: RwLock::new(policies) })
    }

    /// DER of the root.
    pub(crate) fn root_der(&self) -> &[u8] {
        self.root.der()
    }

    /// The policy of that name.
    pub(crate) fn policy(&self, name: &str) -> Option<Arc<Policy>> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Gives a policy a new issuing CA; the certificate of the old one, `None` when there is no such policy.
    pub(crate) fn replace_issuing_ca(&self, name: &str, now: SystemTime) -> Result<Option<Vec<u8>>, KeyError> {
        let Some(old) = self.policy(name) else { return Ok(None) };
        let ca = self.root.issuing_ca(&Policy::ca_name(name), now)?;
        let new =
            Policy { ca_text: csr::to_base64(ca.der()).into(), ca, root_text: Arc::clone(&old.root_text), ..*old };
        self.policies.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), Arc::new(new));
        Ok(Some(old.ca.der().to_vec()))
    }

    /// DER of all issuing CAs, which a credential sync gives to the hub.
    pub(crate) fn issuing_cas(&self) -> Vec<Vec<u8>> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        policies.values().map(|policy| policy.ca.der().to_vec()).collect()
    }
}

impl Policy {
    /// A device certificate starts this long before it is issued, for devices whose clock is late.
    const BACKDATED: Duration = Duration::from_secs(60);

    /// Common name of the issuing CA of the policy `name`.
    fn ca_name(name: &str) -> String {
        format!("fleetstorm emulator policy {name}")
    }

    /// Checks a CSR as the authority does: parse, signature, key type, name.
    pub(crate) fn check(&self, csr: &[u8], subject: &Subject) -> Result<VerifiedCsr, IssueError> {
        let csr = csr::verify(csr)?;
        if self.key_types == KeyTypes::StrictP384 && csr.algorithm != KeyAlgorithm::EcdsaP384 {
            return Err(IssueError::KeyType(csr.algorithm));
        }
        if !csr.common_name.eq_ignore_ascii_case(&subject.csr_name) {
            return Err(IssueError::CommonName);
        }
        Ok(csr)
    }

    /// Issues a certificate: checks the CSR, signs. CPU work of about 0.2 ms: not for the reactor.
    pub(crate) fn issue(&self, csr: &[u8], subject: &Subject, now: SystemTime) -> Result<Chain, IssueError> {
        let csr = self.check(csr, subject)?;
        let (from, to) = (now - Self::BACKDATED, now + self.validity);
        let leaf = self.ca.issue(&csr, &subject.device_id, subject.unique_id, from, to)?;
        Ok(Chain([csr::to_base64(&leaf.der).into(), Arc::clone(&self.ca_text), Arc::clone(&self.root_text)]))
    }
}
