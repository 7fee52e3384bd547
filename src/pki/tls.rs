//! rustls configurations. Each is built with an explicit crypto provider, never the process default.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider as TlsProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};

use crate::domain::CryptoProvider;
pub use crate::domain::TlsVersions;
use crate::pki::handshake::{self, Rules};
use crate::pki::key::DeviceKey;
use crate::pki::sign::TlsKey;
use crate::pki::tls_sessions::TlsSessions;

/// Why a TLS configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// Roots are unusable.
    #[error("the roots that servers must lead to are unusable: {0}")]
    Roots(String),
    /// Anything else that rustls refused.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// What all TLS clients of a run share: provider, roots, versions. Making a configuration from it for one device is
/// cheap: nothing is parsed again.
#[derive(Debug, Clone)]
pub struct ClientTls {
    anonymous: Arc<ClientConfig>,
}

impl ClientTls {
    /// `roots`: DER certificates that servers must lead to; empty means the platform's usual web roots are NOT trusted
    /// either, so give at least one.
    ///
    /// # Errors
    /// [`TlsConfigError::Roots`] when none of them is usable.
    pub fn new(roots: &[Vec<u8>], versions: TlsVersions, provider: CryptoProvider) -> Result<Self, TlsConfigError> {
        let mut store = RootCertStore::empty();
        // Bundles of web roots hold some that rustls cannot use; those can never vouch for a server.
        let roots = roots.iter().map(|root| CertificateDer::from(root.as_slice()));
        if let (0, ignored) = store.add_parsable_certificates(roots) {
            return Err(TlsConfigError::Roots(format!("{ignored} given, none of them a usable certificate")));
        }
        let provider = tls_provider(provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
            .build()
            .map_err(|error| TlsConfigError::Roots(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&protocol_versions(versions))?
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        // Every device is a stranger to the service: no session is shared between devices, none is resumed.
        config.resumption = Resumption::disabled();
        Ok(Self { anonymous: Arc::new(config) })
    }

    /// Server authentication only. No session resumption.
    pub fn anonymous(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.anonymous)
    }

    /// Mutual TLS with a chain (leaf first, DER) and its key. No session resumption.
    pub fn with_identity(&self, chain: &[Vec<u8>], key: Arc<DeviceKey>) -> Arc<ClientConfig> {
        self.with_shared_identity(chain.into(), chain.len(), key)
    }

    /// Configuration of a device that shows the first `shown` certificates of a chain, which the caller keeps too: a connection
    /// that is held has no copy of it.
    pub fn with_shared_identity(&self, chain: Arc<[Vec<u8>]>, shown: usize, key: Arc<DeviceKey>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.anonymous);
        config.client_auth_cert_resolver = Arc::new(ClientIdentity { chain, shown, key });
        Arc::new(config)
    }

    /// `config` with a memory of its own for the sessions that a client has with one server: they are resumed. Not to be shared
    /// between devices.
    pub fn resuming(config: &ClientConfig) -> Arc<ClientConfig> {
        let mut config = config.clone();
        config.resumption = Resumption::store(Arc::new(TlsSessions::default()));
        Arc::new(config)
    }
}

/// What a client shows to a server that asks for a certificate.
#[derive(Debug)]
struct ClientIdentity {
    /// DER, leaf first.
    chain: Arc<[Vec<u8>]>,
    shown: usize,
    key: Arc<DeviceKey>,
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let chain = self.chain.iter().take(self.shown).map(|der| CertificateDer::from(der.clone())).collect();
        Some(Arc::new(CertifiedKey::new(chain, Arc::new(TlsKey(Arc::clone(&self.key))))))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server configuration that asks for a client certificate but accepts none, and accepts any one whose key the client
/// proves to have (CertificateVerify is checked): DPS and hub decide by MQTT or HTTP what it is worth. Keys: ECDSA P-256,
/// P-384, P-521, Ed25519, RSA from 528 to 8192 bits.
/// TLS 1.2 and 1.3, no session tickets. `certificate` and `key` as of `RootCa::server_certificate`.
///
/// # Errors
/// [`TlsConfigError::Rustls`] when certificate and key do not fit.
pub fn server_config(
    certificate: Vec<u8>,
    key: Vec<u8>,
    versions: TlsVersions,
) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let provider = tls_provider(CryptoProvider::AwsLc);
    let verifier = Arc::new(AnyClientCertificate(Arc::clone(&provider)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&protocol_versions(versions))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// `config` of a server that hands out session tickets (TLS 1.2: RFC 5077, TLS 1.3: RFC 8446, section 4.6.1) and resumes
/// sessions with them. Nothing is kept: the ticket itself holds the session, with the client certificates of its first
/// handshake, under a key of this configuration that changes every few hours.
///
/// # Errors
/// [`TlsConfigError::Rustls`] when no ticket key could be made.
pub fn resumable(config: &ServerConfig) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let mut config = config.clone();
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // A device needs one for its next connection, which brings the one after that.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn protocol_versions(versions: TlsVersions) -> Vec<&'static SupportedProtocolVersion> {
    match versions {
        TlsVersions::Any => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersions::Tls12 => vec![&rustls::version::TLS12],
        TlsVersions::Tls13 => vec![&rustls::version::TLS13],
    }
}

/// A provider with classical key exchange only: the real service offers no post-quantum groups, and their shares would
/// make every handshake larger and slower than a real one.
fn tls_provider(provider: CryptoProvider) -> Arc<TlsProvider> {
    Arc::new(match provider {
        CryptoProvider::AwsLc => {
            use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
            TlsProvider {
                kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
                ..default_provider()
            }
        }
        CryptoProvider::Ring => rustls::crypto::ring::default_provider(),
    })
}

/// Takes every client certificate whose key the client has, without asking who issued it or what else is in it.
#[derive(Debug)]
struct AnyClientCertificate(Arc<TlsProvider>);

impl ClientCertVerifier for AnyClientCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if handshake::has_key(end_entity) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::BadEncoding.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        proved(Rules::Tls12, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        proved(Rules::Tls13, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn proved(
    rules: Rules,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    if handshake::verify(certificate, signature.scheme, rules, message, signature.signature()) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

#[cfg(test)]
mod tests;
