//! Authorities with their keys as they are kept, as JSON. A field that is added later needs a default.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The certificate of an authority that was kept is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an authority")]
pub(crate) struct BrokenAuthority;

/// Authorities, what the hub trusts, the clock: written as a whole.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuthoritiesRecord {
    /// Root of operational certificates.
    pub(crate) root: AuthorityRecord,
    /// Credential policies.
    pub(crate) policies: Vec<PolicyRecord>,
    /// Root of the TLS server certificate, once there is one.
    pub(crate) server_root: Option<AuthorityRecord>,
    /// Base64 DER of the issuing CAs that the hub trusts.
    pub(crate) synced: Vec<String>,
    /// How far the clock was moved.
    pub(crate) clock_offset_ms: i64,
}

impl AuthoritiesRecord {
    /// DER of the issuing CAs that the hub trusts.
    pub(crate) fn synced_cas(&self) -> Result<Vec<Vec<u8>>, BrokenAuthority> {
        let decode = |text: &String| STANDARD.decode(text).map_err(|_| BrokenAuthority);
        self.synced.iter().map(decode).collect()
    }
}

/// An authority with its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorityRecord {
    /// Base64 DER.
    pub(crate) certificate: String,
    /// PEM.
    pub(crate) key: String,
}

impl AuthorityRecord {
    pub(crate) fn new(der: &[u8], key_pem: &str) -> Self {
        Self { certificate: STANDARD.encode(der), key: key_pem.to_owned() }
    }

    /// DER of the certificate.
    pub(crate) fn der(&self) -> Result<Vec<u8>, BrokenAuthority> {
        STANDARD.decode(&self.certificate).map_err(|_| BrokenAuthority)
    }
}

/// A credential policy.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub(crate) name: String,
    pub(crate) ca: AuthorityRecord,
    pub(crate) validity_seconds: u64,
}

/// Keys are in it.
impl std::fmt::Debug for AuthoritiesRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthoritiesRecord").field("policies", &self.policies.len()).finish_non_exhaustive()
    }
}
