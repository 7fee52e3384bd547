//! rustls configurations. Each is built with an explicit crypto provider, never the process default.

use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider as RustlsProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureAlgorithm,
    SignatureScheme, SupportedProtocolVersion,
};

pub use crate::domain::TlsVersions;
use crate::domain::{CryptoProvider, KeyAlgorithm};
use crate::pki::key::DeviceKey;

/// Why a TLS configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// Roots are unusable.
    #[error("the CA file has no usable certificate: {0}")]
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
    /// `roots`: DER certificates that servers must lead to. The platform's web roots are never trusted on top.
    ///
    /// # Errors
    /// No usable root among them.
    pub fn new(roots: &[Vec<u8>], versions: TlsVersions, provider: CryptoProvider) -> Result<Self, TlsConfigError> {
        let provider = rustls_provider(provider);
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from_slice(root)).map_err(|e| TlsConfigError::Roots(e.to_string()))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .build()
            .map_err(|e| TlsConfigError::Roots(e.to_string()))?;
        let mut anonymous = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(protocol_versions(versions))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        anonymous.resumption = Resumption::disabled();
        Ok(Self { anonymous: Arc::new(anonymous) })
    }

    /// Server authentication only. No session resumption.
    pub fn anonymous(&self) -> Arc<ClientConfig> {
        self.anonymous.clone()
    }

    /// Mutual TLS with a chain (leaf first, DER) and its key. No session resumption.
    pub fn with_identity(&self, chain: &[Vec<u8>], key: Arc<DeviceKey>) -> Arc<ClientConfig> {
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let certified = CertifiedKey::new(chain, Arc::new(TlsKey(key)));
        let mut config = ClientConfig::clone(&self.anonymous);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Arc::new(config)
    }
}

/// A server configuration that asks for a client certificate but accepts none, and accepts any well-formed one whose
/// key the client proves to have (CertificateVerify is checked): DPS and hub decide by MQTT or HTTP what it is worth.
/// TLS 1.2 and 1.3, no session tickets. `certificate` and `key` as of `RootCa::server_certificate`.
///
/// # Errors
/// rustls refuses certificate or key.
pub fn server_config(
    certificate: Vec<u8>,
    key: Vec<u8>,
    versions: TlsVersions,
) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let provider = rustls_provider(CryptoProvider::AwsLc);
    let verifier = AnyClient { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(protocol_versions(versions))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn protocol_versions(versions: TlsVersions) -> &'static [&'static SupportedProtocolVersion] {
    const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match versions {
        TlsVersions::Any => rustls::ALL_VERSIONS,
        TlsVersions::Tls12 => TLS12,
        TlsVersions::Tls13 => TLS13,
    }
}

fn rustls_provider(provider: CryptoProvider) -> Arc<RustlsProvider> {
    Arc::new(match provider {
        CryptoProvider::AwsLc => rustls::crypto::aws_lc_rs::default_provider(),
        CryptoProvider::Ring => rustls::crypto::ring::default_provider(),
    })
}

/// A device key as rustls wants it for CertificateVerify.
#[derive(Debug)]
struct TlsKey(Arc<DeviceKey>);

impl rustls::sign::SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let schemes: &[SignatureScheme] = match self.0.algorithm() {
            KeyAlgorithm::EcdsaP256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            KeyAlgorithm::EcdsaP384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
                &[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256]
            }
        };
        let scheme = *schemes.iter().find(|s| offered.contains(s))?;
        Some(Box::new(TlsSigner { key: self.0.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.algorithm().rsa_bits() {
            None => SignatureAlgorithm::ECDSA,
            Some(_) => SignatureAlgorithm::RSA,
        }
    }
}

#[derive(Debug)]
struct TlsSigner {
    key: Arc<DeviceKey>,
    scheme: SignatureScheme,
}

impl rustls::sign::Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature = match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => self.key.sign_rsa(&aws_lc_rs::signature::RSA_PSS_SHA256, message),
            _ => self.key.sign_message(message),
        };
        signature.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// Asks for a certificate and takes any: who it is and what it is worth is decided above TLS, as the services do.
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for AnyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyClient")
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
