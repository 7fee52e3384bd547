use std::sync::Arc;
use std::time::SystemTime;

use super::ca_certificate::CaCertificate;
use super::enrollment::{Certificate, Enrollment, EnrollmentAttestation, X509Proof};
use crate::pki::chain::ChainError;
use crate::pki::description::{CertificateInfo, describe};
use crate::pki::trust::AuthoritySet;

/// Which authorities lead to which enrollment groups. Made anew when a group or a CA certificate changes, so that a
/// registration only reads.
#[derive(Debug, Default)]
pub(super) struct GroupTrust {
    set: AuthoritySet,
    /// As in the set: the verified CA certificates come first.
    issuers: Vec<Issuer>,
    /// How many these are.
    verified: usize,
    /// Whether every authority of a chain must be a verified CA certificate.
    strict: bool,
}

#[derive(Debug)]
struct Issuer {
    der: Arc<[u8]>,
    info: Arc<CertificateInfo>,
    /// It is a verified CA certificate.
    verified: bool,
    /// All above it are verified too, up to a root. Known only when it matters.
    rooted: bool,
    /// In the order of their creation.
    groups: Vec<Arc<Enrollment>>,
}

/// What certificates did not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateRefusal {
    /// There is something wrong with a certificate.
    Invalid,
    /// They lead to no authority that DPS knows and trusts.
    CaNotFound,
    /// They do, but nothing is enrolled for it.
    NotEnrolled,
}

impl GroupTrust {
    pub(super) fn new<'a>(
        cas: impl Iterator<Item = &'a CaCertificate>,
        groups: &[Arc<Enrollment>],
        strict: bool,
    ) -> Result<Self, ChainError> {
        let mut issuers: Vec<Issuer> = Vec::new();
        let mut names: Vec<(&str, usize)> = Vec::new();
        for ca in cas.filter(|ca| ca.verified) {
            names.push((&ca.name, Issuer::position(&mut issuers, &ca.certificate, true)));
        }
        let verified = issuers.len();
        for group in groups {
            let named: Vec<usize> = match &group.attestation {
                EnrollmentAttestation::SymmetricKey { .. } | EnrollmentAttestation::ClientCertificates(_) => Vec::new(),
                EnrollmentAttestation::SigningCertificates(pair) => {
                    pair.iter().map(|certificate| Issuer::position(&mut issuers, certificate, false)).collect()
                }
                EnrollmentAttestation::CaReferences { primary, secondary } => names
                    .iter()
                    .filter(|(name, _)| *name == &**primary || Some(*name) == secondary.as_deref())
                    .map(|(_, position)| *position)
                    .collect(),
            };
            for position in named {
                if let Some(issuer) = issuers.get_mut(position) {
                    issuer.groups.push(Arc::clone(group));
                }
            }
        }
        let ders = |count: usize| issuers.iter().take(count).map(|issuer| &*issuer.der).collect::<Vec<_>>();
        let set = AuthoritySet::new(&ders(issuers.len()))?;
        if strict {
            let alone = AuthoritySet::new(&ders(verified))?;
            for (position, issuer) in issuers.iter_mut().enumerate() {
                issuer.rooted = alone.is_rooted(position);
            }
        }
        Ok(Self { set, issuers, verified, strict })
    }

    /// The group that a chain leads to: walked from the certificate nearest the leaf up to the root, the first one that
    /// a group names wins. The caller has compared the leaf's name.
    pub(super) fn find<D: AsRef<[u8]>>(
        &self,
        chain: &[D],
        now: SystemTime,
    ) -> Result<(Arc<Enrollment>, X509Proof), CertificateRefusal> {
        let (leaf, above) = chain.split_first().ok_or(CertificateRefusal::Invalid)?;
        let path = self.set.verify_path(chain, now).map_err(|error| match error {
            ChainError::Issuer => CertificateRefusal::CaNotFound,
            _ => CertificateRefusal::Invalid,
        })?;
        if self.strict && !above.iter().all(|der| self.set.is_of_first(self.verified, der.as_ref())) {
            return Err(CertificateRefusal::CaNotFound);
        }
        let mut issuers = path.authorities.iter().filter_map(|position| self.issuers.get(*position));
        let (issuer, group) = issuers
            .find_map(|issuer| issuer.groups.first().map(|group| (issuer, group)))
            .ok_or(CertificateRefusal::NotEnrolled)?;
        if self.strict && !(issuer.verified && issuer.rooted) {
            return Err(CertificateRefusal::CaNotFound);
        }
        let leaf = describe(leaf.as_ref()).ok_or(CertificateRefusal::Invalid)?;
        Ok((Arc::clone(group), X509Proof { leaf, signing: Some(Arc::clone(&issuer.info)) }))
    }
}

impl Issuer {
    /// Its position among the others, at the end when it is not there yet.
    fn position(issuers: &mut Vec<Self>, certificate: &Certificate, verified: bool) -> usize {
        issuers.iter().position(|issuer| issuer.der == certificate.der).unwrap_or_else(|| {
            let Certificate { der, info } = certificate.clone();
            issuers.push(Self { der, info, verified, rooted: false, groups: Vec::new() });
            issuers.len() - 1
        })
    }
}
