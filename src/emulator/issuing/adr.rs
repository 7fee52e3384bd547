//! Azure Device Registry: the authorities and what they sign. Made fresh at every start unless state is kept, so useless
//! as a real CA.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use uuid::Uuid;

use super::record::{AuthoritiesRecord, AuthorityRecord, BrokenAuthority, PolicyRecord};
use crate::domain::{FleetTime, KeyAlgorithm};
use crate::emulator::config::{Config, KeyTypes};
use crate::pki::csr::{self, CsrError, VerifiedCsr};
use crate::pki::description::{CertificateInfo, describe};
use crate::pki::issuing_ca::{IssuingCa, RootCa};
use crate::pki::key::KeyError;

/// The registry's namespace: one credential (root CA) and its policies (issuing CAs).
#[derive(Debug)]
pub(crate) struct Adr {
    root: RootCa,
    root_text: Arc<str>,
    key_types: KeyTypes,
    max_policies: usize,
    policies: RwLock<HashMap<Arc<str>, Arc<CredentialPolicy>>>,
}

/// A credential policy: an issuing CA and what it signs.
#[derive(Debug, Clone)]
pub(crate) struct CredentialPolicy {
    ca: Arc<IssuingCa>,
    ca_text: Arc<str>,
    root_text: Arc<str>,
    validity: FleetTime,
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

/// An issued certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serial {
    /// Serial number, big-endian.
    pub(crate) serial: Vec<u8>,
    /// Whose it is.
    pub(crate) device_id: Arc<str>,
    /// End of its validity.
    pub(crate) not_after: SystemTime,
}

/// A certificate fresh from the authority.
#[derive(Debug)]
pub(crate) struct IssuedCertificate {
    /// What the device gets.
    pub(crate) chain: Chain,
    /// What the state keeps.
    pub(crate) serial: Serial,
}

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Stored(#[from] BrokenAuthority),
}

/// Who asks for a certificate.
#[derive(Debug, Clone)]
pub(crate) struct CertificateSubject {
    /// The name that the CSR must carry, compared without case.
    pub(crate) csr_name: Arc<str>,
    /// The name that the certificate will carry.
    pub(crate) device_id: Arc<str>,
    /// The device's identifier for revocation.
    pub(crate) unique_id: Uuid,
}

/// Why a policy is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutPolicyError {
    /// As many as there may be.
    #[error("there are {0} policies already (the setting `adr.max_policies`)")]
    TooMany(usize),
    /// The library failed.
    #[error(transparent)]
    Key(#[from] KeyError),
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
    /// The authorities that were stored, or a new root; and the policy of the configuration, with a new issuing CA when
    /// none was stored.
    pub(crate) fn new(
        config: &Config,
        now: SystemTime,
        stored: Option<&AuthoritiesRecord>,
    ) -> Result<Self, AuthoritiesError> {
        let root = match stored {
            Some(stored) => RootCa::from_parts(&stored.root.der()?, &stored.root.key)?,
            None => RootCa::generate("fleetstorm emulator ADR root", now)?,
        };
        let root_text: Arc<str> = csr::to_base64(root.der()).into();
        let adr = Self {
            root,
            root_text,
            key_types: config.adr.key_types,
            max_policies: config.adr.max_policies,
            policies: RwLock::default(),
        };
        for stored in stored.iter().flat_map(|stored| &stored.policies) {
            let ca = IssuingCa::from_parts(&stored.ca.der()?, &stored.ca.key)?;
            let policy = adr.policy_of(ca, FleetTime::from_secs(stored.validity_seconds));
            adr.write().insert(stored.name.as_str().into(), Arc::new(policy));
        }
        let validity = config.leaf_validity();
        let policy = match adr.policy(&config.adr.policy) {
            Some(stored) => CredentialPolicy { validity, ..CredentialPolicy::clone(&stored) },
            None => adr.new_policy(&config.adr.policy, validity, now)?,
        };
        adr.write().insert(config.adr.policy.as_str().into(), Arc::new(policy));
        Ok(adr)
    }

    /// Root and policies, with their keys, to be stored.
    pub(crate) fn records(&self) -> Result<(AuthorityRecord, Vec<PolicyRecord>), KeyError> {
        let root = AuthorityRecord::new(self.root.der(), &self.root.key_pem()?);
        let policies = self.policies();
        let policies = policies.iter().map(|(name, policy)| {
            Ok(PolicyRecord {
                name: name.to_string(),
                ca: AuthorityRecord::new(policy.ca.der(), &policy.ca.key_pem()?),
                validity_seconds: policy.validity.as_secs(),
            })
        });
        Ok((root, policies.collect::<Result<_, KeyError>>()?))
    }

    /// DER of the root.
    pub(crate) fn root_der(&self) -> &[u8] {
        self.root.der()
    }

    /// The policy of that name.
    pub(crate) fn policy(&self, name: &str) -> Option<Arc<CredentialPolicy>> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Gives a policy a new issuing CA; the certificate of the old one, `None` when there is no such policy.
    pub(crate) fn replace_issuing_ca(&self, name: &str, now: SystemTime) -> Result<Option<Vec<u8>>, KeyError> {
        let Some(old) = self.policy(name) else { return Ok(None) };
        let new = self.new_policy(name, old.validity, now)?;
        self.write().insert(name.into(), Arc::new(new));
        Ok(Some(old.ca.der().to_vec()))
    }

    /// Adds a policy with an issuing CA of its own, or changes the validity of the certificates that one gives.
    pub(crate) fn put_policy(
        &self,
        name: &str,
        validity: FleetTime,
        now: SystemTime,
    ) -> Result<Arc<CredentialPolicy>, PutPolicyError> {
        let too_many = || Err(PutPolicyError::TooMany(self.max_policies));
        {
            // Read and written under one lock, or it could bring back an authority that is revoked meanwhile.
            let mut policies = self.write();
            if let Some(policy) = policies.get_mut(name) {
                *policy = Arc::new(CredentialPolicy { validity, ..(**policy).clone() });
                return Ok(Arc::clone(policy));
            }
            if policies.len() >= self.max_policies {
                return too_many();
            }
        }
        let new = Arc::new(self.new_policy(name, validity, now)?);
        let mut policies = self.write();
        if policies.len() >= self.max_policies {
            return too_many();
        }
        Ok(Arc::clone(policies.entry(name.into()).or_insert(new)))
    }

    /// All policies by their names, in that order.
    pub(crate) fn policies(&self) -> Vec<(Arc<str>, Arc<CredentialPolicy>)> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        let mut policies: Vec<_> =
            policies.iter().map(|(name, policy)| (Arc::clone(name), Arc::clone(policy))).collect();
        policies.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        policies
    }

    /// DER of all issuing CAs, which a credential sync gives to the hub.
    pub(crate) fn issuing_cas(&self) -> Vec<Vec<u8>> {
        self.policies().iter().map(|(_, policy)| policy.ca.der().to_vec()).collect()
    }

    fn new_policy(&self, name: &str, validity: FleetTime, now: SystemTime) -> Result<CredentialPolicy, KeyError> {
        let ca = self.root.issuing_ca(&format!("fleetstorm emulator policy {name}"), now)?;
        Ok(self.policy_of(ca, validity))
    }

    fn policy_of(&self, ca: IssuingCa, validity: FleetTime) -> CredentialPolicy {
        CredentialPolicy {
            ca_text: csr::to_base64(ca.der()).into(),
            ca: Arc::new(ca),
            root_text: Arc::clone(&self.root_text),
            validity,
            key_types: self.key_types,
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Arc<CredentialPolicy>>> {
        self.policies.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialPolicy {
    /// A device certificate starts this long before it is issued, for devices whose clock is late.
    const BACKDATED: FleetTime = FleetTime::from_secs(60);

    /// Validity of the certificates that it gives.
    pub(crate) const fn validity(&self) -> FleetTime {
        self.validity
    }

    /// What its issuing CA says.
    pub(crate) fn ca_info(&self) -> Option<CertificateInfo> {
        describe(self.ca.der())
    }

    /// DER of the issuing CA.
    pub(crate) fn ca_der(&self) -> &[u8] {
        self.ca.der()
    }

    /// Checks a CSR as the authority does: parse, signature, key type, name.
    pub(crate) fn check(&self, csr: &[u8], subject: &CertificateSubject) -> Result<VerifiedCsr, IssueError> {
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
    pub(crate) fn issue(
        &self,
        csr: &[u8],
        subject: &CertificateSubject,
        now: SystemTime,
    ) -> Result<IssuedCertificate, IssueError> {
        let csr = self.check(csr, subject)?;
        let (from, to) = (Self::BACKDATED.before(now).unwrap_or(now), self.validity.after(now));
        let leaf = self.ca.issue(&csr, &subject.device_id, subject.unique_id, from, to)?;
        let chain = Chain([csr::to_base64(&leaf.der).into(), Arc::clone(&self.ca_text), Arc::clone(&self.root_text)]);
        let serial = Serial { serial: leaf.serial, device_id: Arc::clone(&subject.device_id), not_after: to };
        Ok(IssuedCertificate { chain, serial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_put_again_has_another_validity_and_the_same_authority() {
        let (config, now, short) = (Config::default(), SystemTime::now(), FleetTime::from_secs(90));
        let adr = Adr::new(&config, now, None).unwrap();
        let before = adr.policy(&config.adr.policy).unwrap();
        let put = adr.put_policy(&config.adr.policy, short, now).unwrap();
        let after = adr.policy(&config.adr.policy).unwrap();
        assert_eq!((before.validity(), put.validity(), after.validity()), (config.leaf_validity(), short, short));
        assert_eq!(after.ca_der(), before.ca_der());
    }
}
