//! rustls configurations. Each is built with an explicit crypto provider, never the process default.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider as TlsProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::domain::CryptoProvider;
pub use crate::domain::TlsVersions;
use crate::pki::key::DeviceKey;
use crate::pki::sign::TlsKey;

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
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let identity = CertifiedKey::new(chain, Arc::new(TlsKey(key)));
        let mut config = ClientConfig::clone(&self.anonymous);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
        Arc::new(config)
    }
}

/// A server configuration that asks for a client certificate but accepts none, and accepts any well-formed one whose
/// key the client proves to have (CertificateVerify is checked): DPS and hub decide by MQTT or HTTP what it is worth.
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

/// Takes every well-formed client certificate, without asking who issued it.
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
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
