use std::sync::Arc;
use std::time::SystemTime;

use super::enrollment::Certificate;
use super::revision::Revision;
use crate::domain::FleetTime;
use crate::pki::possession::{self, PossessionError};

/// A CA certificate that was uploaded to DPS.
#[derive(Debug, Clone)]
pub(crate) struct CaCertificate {
    /// Its name, by which enrollment groups refer to it.
    pub(crate) name: Arc<str>,
    /// The certificate.
    pub(crate) certificate: Certificate,
    /// Whether its owner proved to have its key. Devices are let in by verified ones only.
    pub(crate) verified: bool,
    /// The code that a proof of possession must carry, once one was asked for.
    pub(crate) verification_code: Option<VerificationCode>,
    /// Since when, and its tag.
    pub(crate) revision: Revision,
}

/// What a proof of possession must carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerificationCode {
    /// 48 upper-case hexadecimal digits.
    pub(crate) code: String,
    /// It is good until then.
    pub(crate) expiry: SystemTime,
}

/// Why a CA certificate is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerificationError {
    #[error("no verification code was generated for the certificate, or it has expired")]
    NoCode,
    #[error(transparent)]
    Proof(#[from] PossessionError),
}

impl CaCertificate {
    /// A proof must come within so many seconds of its code. The service's limit is not documented.
    const CODE_LIFE: FleetTime = FleetTime::from_secs(30 * 60);

    /// A new code; one from before is no longer good.
    pub(super) fn generate_code(&mut self, now: SystemTime) {
        let code = rand::random::<[u8; 24]>().iter().map(|byte| format!("{byte:02X}")).collect();
        self.verification_code = Some(VerificationCode { code, expiry: Self::CODE_LIFE.after(now) });
        self.revision = self.revision.next(now);
    }

    /// Takes a proof of possession: a certificate (DER) with the code as common name, signed with the CA's key.
    pub(super) fn verify(&mut self, proof: &[u8], now: SystemTime) -> Result<(), VerificationError> {
        let code = self.verification_code.as_ref().filter(|code| now < code.expiry);
        let code = code.ok_or(VerificationError::NoCode)?;
        possession::verify(&self.certificate.der, proof, &code.code, now)?;
        self.verified = true;
        self.verification_code = None;
        self.revision = self.revision.next(now);
        Ok(())
    }
}
