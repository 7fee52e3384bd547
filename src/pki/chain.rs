//! Checks of certificate chains, on the device's side (what was issued to me?) and on the hub's side (who is this?).

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use crate::pki::public_key::PublicKey;

/// What a device must find in the chain issued to it.
#[derive(Debug)]
pub struct ChainVerifier {
    expected: Vec<Vec<u8>>,
    /// Issuing CA and what follows it in the chain -> verified until. Only written when a new authority turns up.
    authorities: RwLock<HashMap<Vec<Vec<u8>>, Arc<Authority>>>,
}

/// Authorities above a leaf that were verified once.
#[derive(Debug)]
struct Authority {
    not_before: SystemTime,
    not_after: SystemTime,
}

/// What a good leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaf {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
}

/// Why a chain is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate at all.
    #[error("the issued chain is empty")]
    Empty,
    /// More certificates than real devices take.
    #[error("the issued chain has {0} certificates, at most 3 are allowed")]
    TooLong(usize),
    /// Not a certificate.
    #[error("certificate {0} of the issued chain is not X.509 DER")]
    Malformed(usize),
    /// The leaf has another key than the CSR.
    #[error("the issued certificate's key is not the key of the CSR")]
    Key,
    /// The leaf names somebody else.
    #[error("the issued certificate's common name is not the device's id")]
    CommonName,
    /// A certificate was not signed by the next one.
    #[error("the signature of certificate {0} of the issued chain does not verify")]
    Signature(usize),
    /// Not valid now.
    #[error("certificate {0} of the issued chain is not valid now")]
    Validity(usize),
    /// It does not end in the expected root or issuer.
    #[error("the issued chain does not come from the expected authority")]
    Issuer,
}

/// More authorities than any run has are not remembered: a hostile service must not fill the memory.
const MAX_REMEMBERED: usize = 64;

impl ChainVerifier {
    /// `expected` are DER certificates of which one must be in the chain as issuing CA or root (or have signed its last
    /// certificate); empty: any consistent chain is taken. Verified authorities are remembered, so that only the leaf's
    /// signature is checked per device. Shared between threads.
    pub fn new(expected: Vec<Vec<u8>>) -> Self {
        Self { expected, authorities: RwLock::default() }
    }

    /// Checks a chain, leaf first.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(
        &self,
        chain: &[Vec<u8>],
        spki_der: &[u8],
        common_name: &str,
        now: SystemTime,
    ) -> Result<VerifiedLeaf, ChainError> {
        let (leaf, above) = chain.split_first().ok_or(ChainError::Empty)?;
        if chain.len() > 3 {
            return Err(ChainError::TooLong(chain.len()));
        }
        let leaf = parse(leaf, 0)?;
        if leaf.public_key().raw != spki_der {
            return Err(ChainError::Key);
        }
        let mut names = leaf.subject().iter_common_name();
        match (names.next().and_then(|name| name.as_str().ok()), names.next()) {
            (Some(name), None) if name == common_name => {}
            _ => return Err(ChainError::CommonName),
        }
        let verified = VerifiedLeaf {
            serial: leaf.raw_serial().to_vec(),
            not_before: system_time(leaf.validity().not_before),
            not_after: system_time(leaf.validity().not_after),
        };
        if !(verified.not_before <= now && now < verified.not_after) {
            return Err(ChainError::Validity(0));
        }
        let authority = self.authority(above, &leaf, now)?;
        if !(authority.not_before <= now && now < authority.not_after) {
            return Err(ChainError::Validity(1));
        }
        if let Some(issuer) = above.first() {
            check_signature(&leaf, &parse(issuer, 1)?, 0)?;
        }
        Ok(verified)
    }

    fn authority(
        &self,
        above: &[Vec<u8>],
        leaf: &X509Certificate<'_>,
        now: SystemTime,
    ) -> Result<Arc<Authority>, ChainError> {
        if above.is_empty() {
            // Leaf only: an expected authority must have signed it.
            self.expected_signer(leaf)?;
            let always = Authority { not_before: SystemTime::UNIX_EPOCH, not_after: now + Duration::from_secs(1) };
            return Ok(Arc::new(always));
        }
        let remembered = self.authorities.read().ok().and_then(|map| map.get(above).cloned());
        if let Some(authority) = remembered {
            return Ok(authority);
        }
        let authority = Arc::new(self.verify_authorities(above)?);
        if let Ok(mut map) = self.authorities.write()
            && map.len() < MAX_REMEMBERED
        {
            map.insert(above.to_vec(), authority.clone());
        }
        Ok(authority)
    }

    fn verify_authorities(&self, above: &[Vec<u8>]) -> Result<Authority, ChainError> {
        let parsed = above.iter().zip(1..).map(|(der, index)| parse(der, index)).collect::<Result<Vec<_>, _>>()?;
        for (index, pair) in (1..).zip(parsed.windows(2)) {
            if let [child, parent] = pair {
                check_signature(child, parent, index)?;
            }
        }
        let last = parsed.last().ok_or(ChainError::Empty)?;
        let expected = above.iter().any(|der| self.expected.contains(der));
        if !expected {
            self.expected_signer(last)?;
        }
        Ok(Authority {
            not_before: parsed
                .iter()
                .map(|c| system_time(c.validity().not_before))
                .max()
                .unwrap_or(SystemTime::UNIX_EPOCH),
            not_after: parsed
                .iter()
                .map(|c| system_time(c.validity().not_after))
                .min()
                .unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    /// Whether an expected authority signed `certificate`.
    fn expected_signer(&self, certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
        if self.expected.is_empty() {
            return Ok(());
        }
        let signed = self
            .expected
            .iter()
            .filter_map(|der| parse(der, 0).ok())
            .any(|issuer| check_signature(certificate, &issuer, 0).is_ok());
        if signed { Ok(()) } else { Err(ChainError::Issuer) }
    }
}

/// Who a certificate says it is for: what a server needs to know of a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafIdentity {
    /// The only common name of the subject.
    pub common_name: String,
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// Unique identifier of the device, when the certificate has one.
    pub unique_id: Option<uuid::Uuid>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
}

/// Reads the identity in a certificate; `None` when it is not a certificate with exactly one common name.
pub fn leaf_identity(der: &[u8]) -> Option<LeafIdentity> {
    let certificate = parse(der, 0).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else { return None };
    let unique_id = certificate
        .extensions()
        .iter()
        .find(|e| e.oid.iter().is_some_and(|parts| parts.eq(super::issuing_ca::UNIQUE_ID_OID.iter().copied())))
        .and_then(|e| e.value.strip_prefix(&[0x04, 16]))
        .and_then(|bytes| uuid::Uuid::from_slice(bytes).ok());
    Some(LeafIdentity {
        common_name: name.as_str().ok()?.to_owned(),
        serial: certificate.raw_serial().to_vec(),
        unique_id,
        not_before: system_time(certificate.validity().not_before),
        not_after: system_time(certificate.validity().not_after),
    })
}

/// Whether `issuer` (DER) signed `certificate` (DER) and is named as its issuer.
pub fn is_signed_by(certificate: &[u8], issuer: &[u8]) -> bool {
    match (parse(certificate, 0), parse(issuer, 0)) {
        (Ok(certificate), Ok(issuer)) => check_signature(&certificate, &issuer, 0).is_ok(),
        _ => false,
    }
}

fn parse(der: &[u8], index: usize) -> Result<X509Certificate<'_>, ChainError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(ChainError::Malformed(index)),
    }
}

/// `index` is the position of `child` in the chain.
fn check_signature(child: &X509Certificate<'_>, parent: &X509Certificate<'_>, index: usize) -> Result<(), ChainError> {
    let wrong = ChainError::Signature(index);
    if child.issuer().as_raw() != parent.subject().as_raw() || !parent.is_ca() {
        return Err(wrong);
    }
    let Some(key) = PublicKey::from_spki(parent.public_key()) else { return Err(wrong) };
    key.verify(&child.signature_algorithm, child.tbs_certificate.as_ref(), &child.signature_value.data)
        .map_err(|_| wrong)
}

fn system_time(time: ASN1Time) -> SystemTime {
    match u64::try_from(time.timestamp()) {
        Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CryptoProvider, KeyAlgorithm};
    use crate::pki::csr;
    use crate::pki::issuing_ca::RootCa;
    use crate::pki::key::DeviceKey;

    struct Issued {
        chain: Vec<Vec<u8>>,
        spki: Vec<u8>,
        now: SystemTime,
    }

    fn issued() -> Issued {
        let now = SystemTime::now();
        let root = RootCa::generate("root", now).unwrap();
        let issuing = root.issuing_ca("issuing", now).unwrap();
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
        let request = csr::verify(&csr::build(&key, "dev1").unwrap()).unwrap();
        let life = Duration::from_secs(60);
        let leaf = issuing.issue(&request, "dev1", uuid::Uuid::new_v4(), now - life, now + life).unwrap();
        let identity = leaf_identity(&leaf.der).unwrap();
        assert_eq!((identity.unique_id, &identity.serial), (Some(leaf.unique_id), &leaf.serial));
        let chain = vec![leaf.der, issuing.der().to_vec(), root.der().to_vec()];
        Issued { chain, spki: key.spki_der().to_vec(), now }
    }

    #[test]
    fn a_good_chain_is_taken_whatever_part_of_it_is_expected() {
        let i = issued();
        for expected in [vec![], vec![i.chain[1].clone()], vec![i.chain[2].clone()]] {
            let verifier = ChainVerifier::new(expected);
            for length in 1..=3 {
                let chain = &i.chain[..length];
                let alone = length == 1 && verifier.expected.first() == Some(&i.chain[2]);
                let result = verifier.verify(chain, &i.spki, "dev1", i.now);
                assert_eq!(result.is_ok(), !alone, "{length}: {result:?}");
            }
        }
    }

    #[test]
    fn each_wrong_chain_is_told_apart() {
        let (i, other) = (issued(), issued());
        let verifier = ChainVerifier::new(vec![i.chain[2].clone()]);
        let check = |chain: &[Vec<u8>], spki: &[u8], name: &str, now| verifier.verify(chain, spki, name, now);
        let long = [i.chain.clone(), i.chain.clone()].concat();
        let crossed = vec![i.chain[0].clone(), other.chain[1].clone(), other.chain[2].clone()];
        let broken = vec![i.chain[0].clone(), i.chain[1].clone(), other.chain[2].clone()];
        let later = i.now + Duration::from_secs(120);
        assert_eq!(check(&[], &i.spki, "dev1", i.now), Err(ChainError::Empty));
        assert_eq!(check(&long, &i.spki, "dev1", i.now), Err(ChainError::TooLong(6)));
        assert_eq!(check(&[vec![1]], &i.spki, "dev1", i.now), Err(ChainError::Malformed(0)));
        assert_eq!(check(&i.chain, &other.spki, "dev1", i.now), Err(ChainError::Key));
        assert_eq!(check(&i.chain, &i.spki, "dev2", i.now), Err(ChainError::CommonName));
        assert_eq!(check(&broken, &i.spki, "dev1", i.now), Err(ChainError::Signature(1)));
        assert_eq!(check(&i.chain, &i.spki, "dev1", later), Err(ChainError::Validity(0)));
        assert_eq!(check(&other.chain, &other.spki, "dev1", i.now), Err(ChainError::Issuer));
        assert_eq!(ChainVerifier::new(vec![]).verify(&crossed, &i.spki, "dev1", i.now), Err(ChainError::Signature(0)));
    }
}
