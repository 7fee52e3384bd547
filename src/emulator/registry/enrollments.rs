use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use super::ca_certificate::{CaCertificate, VerificationError};
use super::enrollment::{Attested, Certificate, Enrollment, EnrollmentAttestation, Scope, X509Proof};
use super::group_trust::{CertificateRefusal, GroupTrust};
use super::journal::{Change, Journal};
use super::revision::{Condition, Revision};
use crate::domain::SasToken;
use crate::pki::chain::ChainError;
use crate::pki::description::describe;
use crate::pki::possession::is_authority;
use crate::pki::trust::presented_identity;

/// All enrollments and CA certificates. Read at every registration, written from the control plane only.
#[derive(Debug)]
pub(crate) struct Enrollments {
    tables: RwLock<Tables>,
    /// Whether every authority of a device's chain must be a verified CA certificate.
    every_ca_verified: bool,
    /// Where changes are kept.
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Tables {
    individual: BTreeMap<Arc<str>, Arc<Enrollment>>,
    /// In the order of their creation.
    groups: Vec<Arc<Enrollment>>,
    cas: BTreeMap<Arc<str>, CaCertificate>,
    trust: Arc<GroupTrust>,
}

/// What a token proved.
#[derive(Debug, Clone)]
pub(crate) enum TokenMatch {
    /// The token is good for this enrollment.
    Enrollment(Arc<Enrollment>),
    /// There are enrollments that it could have been good for, but it is signed with another key.
    WrongKey,
    /// Nothing is enrolled that it could be good for.
    Unknown,
}

/// Individual enrollments or groups: each has ids of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnrollmentKind {
    Individual,
    Group,
}

/// Why enrollments or CA certificates are not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is none of that name")]
    NotFound,
    #[error("it was changed meanwhile, or is not there: the entity tag does not match")]
    Precondition,
    #[error("there are {0} already, as many as may be")]
    TooMany(usize),
    #[error("there is no CA certificate {0:?}: upload it first")]
    UnknownCa(Arc<str>),
    #[error("this attestation is not for {0}")]
    Attestation(&'static str),
    #[error(
        "the certificate is not one of an authority (X.509 DER or PEM, CA:TRUE, ECDSA or RSA key, no unknown critical extension)"
    )]
    NotAuthority,
    #[error(transparent)]
    Authorities(#[from] ChainError),
    #[error(transparent)]
    Verification(#[from] VerificationError),
}

impl Enrollments {
    /// Enrollment groups of each kind of attestation, of which a DPS instance has 100. Source: Microsoft Learn, "Quotas
    /// and limits in the Azure IoT Hub Device Provisioning Service".
    const MAX_GROUPS: usize = 100;
    /// CA certificates of a DPS instance. Source: as above.
    const MAX_CAS: usize = 25;
    /// Individual enrollments of a DPS instance. Source: as above.
    const MAX_INDIVIDUAL: usize = 1_000_000;

    /// None. `every_ca_verified`: a chain is good only when all its authorities are verified CA certificates.
    pub(crate) fn new(every_ca_verified: bool, journal: Option<Journal>) -> Self {
        Self { tables: RwLock::default(), every_ca_verified, journal }
    }

    /// Enters what was stored, groups in the order of their creation.
    pub(crate) fn restore(&self, enrollments: Vec<Enrollment>, cas: Vec<CaCertificate>) -> Result<(), ChainError> {
        let mut tables = self.write();
        tables.cas = cas.into_iter().map(|ca| (Arc::clone(&ca.name), ca)).collect();
        for enrollment in enrollments.into_iter().map(Arc::new) {
            match enrollment.scope {
                Scope::Individual { .. } => {
                    tables.individual.insert(Arc::clone(&enrollment.id), enrollment);
                }
                Scope::Group => tables.groups.push(enrollment),
            }
        }
        tables.trust = tables.trust(self.every_ca_verified)?;
        Ok(())
    }

    /// Adds or replaces an enrollment; a replaced group keeps its place. What is stored is returned, with its new tag.
    pub(crate) fn put(
        &self,
        mut enrollment: Enrollment,
        condition: Condition<'_>,
        now: SystemTime,
    ) -> Result<Arc<Enrollment>, ChangeError> {
        let mut tables = self.write();
        tables.check(&enrollment)?;
        let earlier = tables.get(kind_of(&enrollment), &enrollment.id).map(|earlier| earlier.revision);
        if !condition.holds(earlier.as_ref()) {
            return Err(ChangeError::Precondition);
        }
        enrollment.revision = earlier.map_or_else(|| Revision::new(now), |earlier| earlier.next(now));
        let enrollment = Arc::new(enrollment);
        if let Scope::Individual { .. } = enrollment.scope {
            tables.individual.insert(Arc::clone(&enrollment.id), Arc::clone(&enrollment));
            self.record(|| Change::Enrollment(Arc::clone(&enrollment)));
            return Ok(enrollment);
        }
        let mut groups = tables.groups.clone();
        match groups.iter_mut().find(|group| group.id.eq_ignore_ascii_case(&enrollment.id)) {
            Some(group) => *group = Arc::clone(&enrollment),
            None => groups.push(Arc::clone(&enrollment)),
        }
        tables.trust = Arc::new(GroupTrust::new(tables.cas.values(), &groups, self.every_ca_verified)?);
        tables.groups = groups;
        self.record(|| Change::Enrollment(Arc::clone(&enrollment)));
        Ok(enrollment)
    }

    /// An enrollment.
    pub(crate) fn get(&self, kind: EnrollmentKind, id: &str) -> Option<Arc<Enrollment>> {
        self.read().get(kind, id)
    }

    /// At most `count` enrollments after the one with the id `after`, in the order of their ids.
    pub(crate) fn list(&self, kind: EnrollmentKind, after: Option<&str>, count: usize) -> Vec<Arc<Enrollment>> {
        let tables = self.read();
        let later = |enrollment: &&Arc<Enrollment>| after.is_none_or(|after| *enrollment.id > *after);
        match kind {
            EnrollmentKind::Individual => {
                use std::ops::Bound::{Excluded, Unbounded};
                let from = after.map_or(Unbounded, Excluded);
                tables.individual.range::<str, _>((from, Unbounded)).map(|(_, e)| Arc::clone(e)).take(count).collect()
            }
            EnrollmentKind::Group => {
                let mut groups: Vec<_> = tables.groups.iter().filter(later).cloned().collect();
                groups.sort_by(|a, b| a.id.cmp(&b.id));
                groups.truncate(count);
                groups
            }
        }
    }

    /// Takes an enrollment away. Devices that registered with it stay registered.
    pub(crate) fn delete(&self, kind: EnrollmentKind, id: &str, condition: Condition<'_>) -> Result<(), ChangeError> {
        let mut tables = self.write();
        let enrollment = tables.get(kind, id).ok_or(ChangeError::NotFound)?;
        if !condition.holds(Some(&enrollment.revision)) {
            return Err(ChangeError::Precondition);
        }
        match kind {
            EnrollmentKind::Individual => drop(tables.individual.remove(&enrollment.id)),
            EnrollmentKind::Group => {
                tables.groups.retain(|group| group.id != enrollment.id);
                tables.trust = tables.trust(self.every_ca_verified)?;
            }
        }
        self.record(|| Change::EnrollmentDeleted(kind, Arc::clone(&enrollment.id)));
        Ok(())
    }

    /// Uploads a CA certificate (DER), or replaces one; `verified` skips the proof of possession.
    pub(crate) fn put_ca(
        &self,
        name: &str,
        der: &[u8],
        verified: bool,
        condition: Condition<'_>,
        now: SystemTime,
    ) -> Result<CaCertificate, ChangeError> {
        let certificate = Certificate::new(der).filter(|_| is_authority(der)).ok_or(ChangeError::NotAuthority)?;
        self.change_ca(name, condition, |earlier| {
            let revision = earlier.map_or_else(|| Revision::new(now), |earlier| earlier.revision.next(now));
            Ok(CaCertificate { name: name.into(), certificate, verified, verification_code: None, revision })
        })
    }

    /// A CA certificate.
    pub(crate) fn ca(&self, name: &str) -> Option<CaCertificate> {
        self.read().cas.get(name).cloned()
    }

    /// All CA certificates, in the order of their names.
    pub(crate) fn cas(&self) -> Vec<CaCertificate> {
        self.read().cas.values().cloned().collect()
    }

    /// Makes a verification code for a CA certificate.
    pub(crate) fn generate_code(
        &self,
        name: &str,
        condition: Condition<'_>,
        now: SystemTime,
    ) -> Result<CaCertificate, ChangeError> {
        self.change_ca(name, condition, |ca| {
            let mut ca = ca.ok_or(ChangeError::NotFound)?.clone();
            ca.generate_code(now);
            Ok(ca)
        })
    }

    /// Verifies a CA certificate by a proof of possession (DER).
    pub(crate) fn verify_ca(
        &self,
        name: &str,
        proof: &[u8],
        condition: Condition<'_>,
        now: SystemTime,
    ) -> Result<CaCertificate, ChangeError> {
        self.change_ca(name, condition, |ca| {
            let mut ca = ca.ok_or(ChangeError::NotFound)?.clone();
            ca.verify(proof, now)?;
            Ok(ca)
        })
    }

    /// Takes a CA certificate away; groups that refer to it let nobody in by it any more.
    pub(crate) fn delete_ca(&self, name: &str, condition: Condition<'_>) -> Result<(), ChangeError> {
        let mut tables = self.write();
        let revision = tables.cas.get(name).map(|ca| ca.revision).ok_or(ChangeError::NotFound)?;
        if !condition.holds(Some(&revision)) {
            return Err(ChangeError::Precondition);
        }
        tables.cas.remove(name);
        tables.trust = tables.trust(self.every_ca_verified)?;
        self.record(|| Change::CaDeleted(name.into()));
        Ok(())
    }

    /// The enrollment that a SAS token proves: an individual one is preferred and final, then the groups in the order of
    /// their creation. Source: Microsoft Learn, "Symmetric key attestation"; order as for X.509.
    pub(crate) fn find_by_token(&self, token: &SasToken, registration_id: &str) -> TokenMatch {
        let tables = self.read();
        let proved = |enrollment: &&Arc<Enrollment>| enrollment.verifies(token, registration_id);
        if let Some(individual) = tables.individual.get(registration_id.to_ascii_lowercase().as_str()) {
            return Some(individual).filter(proved).cloned().map_or(TokenMatch::WrongKey, TokenMatch::Enrollment);
        }
        let has_keys =
            |group: &&Arc<Enrollment>| matches!(group.attestation, EnrollmentAttestation::SymmetricKey { .. });
        let mut groups = tables.groups.iter().filter(has_keys).peekable();
        if groups.peek().is_none() {
            return TokenMatch::Unknown;
        }
        groups.find(proved).map_or(TokenMatch::WrongKey, |group| TokenMatch::Enrollment(Arc::clone(group)))
    }

    /// The enrollment that a TLS client's certificates (leaf first) prove: an individual one is preferred and final, then
    /// the groups, from the certificate nearest the leaf up to the root. The first match counts, even if it is switched
    /// off. The leaf's common name must be the registration id. Source: Microsoft Learn, "X.509 certificate attestation".
    pub(crate) fn find_by_certificates<D: AsRef<[u8]>>(
        &self,
        chain: &[D],
        registration_id: &str,
        now: SystemTime,
    ) -> Result<Attested, CertificateRefusal> {
        let leaf = chain.first().ok_or(CertificateRefusal::Invalid)?.as_ref();
        let identity = presented_identity(leaf).map_err(|_| CertificateRefusal::Invalid)?;
        if !identity.common_name.eq_ignore_ascii_case(registration_id) || !identity.validity.contains(now) {
            return Err(CertificateRefusal::Invalid);
        }
        let (individual, trust) = {
            let tables = self.read();
            (tables.individual.get(registration_id.to_ascii_lowercase().as_str()).cloned(), Arc::clone(&tables.trust))
        };
        if let Some(enrollment) = individual {
            let EnrollmentAttestation::ClientCertificates(pair) = &enrollment.attestation else {
                return Err(CertificateRefusal::Invalid);
            };
            if !pair.iter().any(|certificate| *certificate.der == *leaf) {
                return Err(CertificateRefusal::Invalid);
            }
            let leaf = describe(leaf).ok_or(CertificateRefusal::Invalid)?;
            return Ok(Attested { enrollment, x509: Some(Arc::new(X509Proof { leaf, signing: None })) });
        }
        let (enrollment, proof) = trust.find(chain, now)?;
        Ok(Attested { enrollment, x509: Some(Arc::new(proof)) })
    }

    fn change_ca(
        &self,
        name: &str,
        condition: Condition<'_>,
        change: impl FnOnce(Option<&CaCertificate>) -> Result<CaCertificate, ChangeError>,
    ) -> Result<CaCertificate, ChangeError> {
        let mut tables = self.write();
        let earlier = tables.cas.get(name);
        let changed = change(earlier)?;
        if !condition.holds(earlier.map(|ca| &ca.revision)) {
            return Err(ChangeError::Precondition);
        }
        if earlier.is_none() && tables.cas.len() >= Self::MAX_CAS {
            return Err(ChangeError::TooMany(Self::MAX_CAS));
        }
        tables.cas.insert(Arc::clone(&changed.name), changed.clone());
        tables.trust = tables.trust(self.every_ca_verified)?;
        self.record(|| Change::Ca(Box::new(changed.clone())));
        Ok(changed)
    }

    /// Under the lock of the tables, so that changes are written in their order.
    fn record(&self, change: impl FnOnce() -> Change) {
        if let Some(journal) = &self.journal {
            journal.record(change());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Ids have no case.
    fn get(&self, kind: EnrollmentKind, id: &str) -> Option<Arc<Enrollment>> {
        match kind {
            EnrollmentKind::Individual => self.individual.get(id.to_ascii_lowercase().as_str()).cloned(),
            EnrollmentKind::Group => self.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id)).cloned(),
        }
    }

    fn trust(&self, strict: bool) -> Result<Arc<GroupTrust>, ChainError> {
        GroupTrust::new(self.cas.values(), &self.groups, strict).map(Arc::new)
    }

    /// Whether an enrollment may be stored.
    fn check(&self, enrollment: &Enrollment) -> Result<(), ChangeError> {
        let kind = kind_of(enrollment);
        match (&enrollment.attestation, kind) {
            (EnrollmentAttestation::ClientCertificates(_), EnrollmentKind::Group) => {
                return Err(ChangeError::Attestation("enrollment groups"));
            }
            (
                EnrollmentAttestation::SigningCertificates(_) | EnrollmentAttestation::CaReferences { .. },
                EnrollmentKind::Individual,
            ) => {
                return Err(ChangeError::Attestation("individual enrollments"));
            }
            (EnrollmentAttestation::SigningCertificates(pair), EnrollmentKind::Group) => {
                if !pair.iter().all(|certificate| is_authority(&certificate.der)) {
                    return Err(ChangeError::NotAuthority);
                }
            }
            (EnrollmentAttestation::CaReferences { primary, secondary }, EnrollmentKind::Group) => {
                let unknown = |name: &&Arc<str>| !self.cas.contains_key(*name);
                if let Some(name) = std::iter::once(primary).chain(secondary).find(unknown) {
                    return Err(ChangeError::UnknownCa(Arc::clone(name)));
                }
            }
            (EnrollmentAttestation::SymmetricKey { .. }, _)
            | (EnrollmentAttestation::ClientCertificates(_), EnrollmentKind::Individual) => {}
        }
        let (count, most) = match kind {
            EnrollmentKind::Individual => (self.individual.len(), Enrollments::MAX_INDIVIDUAL),
            EnrollmentKind::Group => {
                let keys = |e: &Enrollment| matches!(e.attestation, EnrollmentAttestation::SymmetricKey { .. });
                let alike = self.groups.iter().filter(|group| keys(group) == keys(enrollment));
                (alike.count(), Enrollments::MAX_GROUPS)
            }
        };
        if count >= most && self.get(kind, &enrollment.id).is_none() {
            return Err(ChangeError::TooMany(most));
        }
        Ok(())
    }
}

const fn kind_of(enrollment: &Enrollment) -> EnrollmentKind {
    match enrollment.scope {
        Scope::Individual { .. } => EnrollmentKind::Individual,
        Scope::Group => EnrollmentKind::Group,
    }
}

#[cfg(test)]
mod tests;
