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

    /// The same with the first `shown` certificates of a chain that the caller keeps too: a connection that is held has no
    /// copy of it.
    pub fn with_shared_identity(&self, chain: Arc<[Vec<u8>]>, shown: usize, key: Arc<DeviceKey>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.anonymous);
        config.client_auth_cert_resolver = Arc::new(ClientIdentity { chain, shown, key });
        Arc::new(config)
    }

    /// The same, but with a memory of its own for the sessions that a client has with one server: they are resumed. Not to be
    /// shared between devices.
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

/// The same server, which hands out session tickets (TLS 1.2: RFC 5077, TLS 1.3: RFC 8446, section 4.6.1) and resumes
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
mod tests {
    use std::io::Read;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, HandshakeKind, ProtocolVersion, ServerConnection};

    use super::*;
    use crate::domain::KeyAlgorithm;
    use crate::pki::test_support::{Adr, key, leaf_by, now, root, unknown_extension};

    const VERSIONS: [(TlsVersions, ProtocolVersion); 3] = [
        (TlsVersions::Any, ProtocolVersion::TLSv1_3),
        (TlsVersions::Tls12, ProtocolVersion::TLSv1_2),
        (TlsVersions::Tls13, ProtocolVersion::TLSv1_3),
    ];

    /// Certificates are judged by the system's clock here, so this hierarchy is of today.
    fn server(names: &[&str]) -> (Vec<Vec<u8>>, Arc<ServerConfig>) {
        let now = std::time::SystemTime::now();
        let root = crate::pki::issuing_ca::RootCa::generate("server root", now).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (certificate, key) = root.server_certificate(&names, now).unwrap();
        (vec![root.der().to_vec()], server_config(certificate, key, TlsVersions::Any).unwrap())
    }

    fn handshake(
        client: Arc<ClientConfig>,
        server: &Arc<ServerConfig>,
        name: &str,
    ) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(client, name)?;
        let mut server = ServerConnection::new(Arc::clone(server))?;
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
            wire.clear();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok((client, server))
    }

    #[test]
    fn clients_without_a_certificate_are_let_in_by_every_version_and_provider() {
        let (roots, server) = server(&["localhost"]);
        for (versions, agreed) in VERSIONS {
            for provider in [CryptoProvider::AwsLc, CryptoProvider::Ring] {
                let tls = ClientTls::new(&roots, versions, provider).unwrap();
                let (client, server) = handshake(tls.anonymous(), &server, "localhost").unwrap();
                assert_eq!(client.protocol_version(), Some(agreed));
                assert_eq!(server.peer_certificates(), None);
            }
        }
    }

    #[test]
    fn every_kind_of_key_proves_itself_in_every_version() {
        let (roots, server) = server(&["localhost"]);
        let adr = Adr::new();
        for (algorithm, provider) in [
            (KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc),
            (KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc),
            (KeyAlgorithm::EcdsaP256, CryptoProvider::Ring),
            (KeyAlgorithm::EcdsaP384, CryptoProvider::Ring),
            (KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc),
        ] {
            let key = Arc::new(DeviceKey::generate(algorithm, provider).unwrap());
            let chain = adr.chain(&key, "device-0001");
            for (versions, _) in VERSIONS {
                let tls = ClientTls::new(&roots, versions, provider).unwrap();
                let config = tls.with_identity(&chain, Arc::clone(&key));
                let (_, server) = handshake(config, &server, "localhost").unwrap();
                let sent: Vec<Vec<u8>> = server.peer_certificates().unwrap().iter().map(|c| c.to_vec()).collect();
                assert_eq!(sent, chain);
            }
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let (roots, server) = server(&["localhost"]);
        let (adr, owner, thief) = (Adr::new(), key(), Arc::new(key()));
        for (versions, _) in VERSIONS {
            let tls = ClientTls::new(&roots, versions, CryptoProvider::AwsLc).unwrap();
            let config = tls.with_identity(&adr.chain(&owner, "device-0001"), Arc::clone(&thief));
            assert!(handshake(config, &server, "localhost").is_err(), "{versions:?}");
            let config = tls.with_identity(&[b"no certificate".to_vec()], Arc::clone(&thief));
            assert!(handshake(config, &server, "localhost").is_err(), "{versions:?}");
        }
    }

    #[test]
    fn servers_have_to_be_known_by_root_and_name() {
        let (roots, server) = server(&["localhost", "*.azure-devices.net", "127.0.0.1", "::1"]);
        let tls = ClientTls::new(&roots, TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        for name in ["localhost", "contoso.azure-devices.net", "127.0.0.1", "::1"] {
            assert!(handshake(tls.anonymous(), &server, name).is_ok(), "{name}");
        }
        for name in ["example.com", "a.b.azure-devices.net", "127.0.0.2"] {
            assert!(handshake(tls.anonymous(), &server, name).is_err(), "{name}");
        }
        let other = ClientTls::new(&[Adr::new().root.der().to_vec()], TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        let error = handshake(other.anonymous(), &server, "localhost").unwrap_err();
        assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
    }

    #[test]
    fn any_certificate_will_do_whose_key_the_client_has() {
        let (roots, server_config) = server(&["localhost"]);
        let data = |name: &str| {
            std::fs::read(format!("{}/tests/data/client-certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
        };
        let own = Arc::new(DeviceKey::from_pem(&data("key.pem"), CryptoProvider::AwsLc).unwrap());
        let version_1 = crate::pki::pem_text::certificates(&data("leaf-v1.pem")).unwrap();
        let unknown = leaf_by(&root(0), &own, |params| params.custom_extensions.push(unknown_extension()));
        let expired = leaf_by(&root(0), &own, |params| params.not_after = params.not_before);
        for (versions, agreed) in VERSIONS {
            let tls = ClientTls::new(&roots, versions, CryptoProvider::AwsLc).unwrap();
            for chain in [version_1.clone(), vec![unknown.clone()], vec![expired.clone(), b"no certificate".to_vec()]] {
                let (client, server) =
                    handshake(tls.with_identity(&chain, Arc::clone(&own)), &server_config, "localhost").unwrap();
                assert_eq!(client.protocol_version(), Some(agreed));
                assert_eq!(server.peer_certificates().unwrap()[0].as_ref(), chain[0]);
                let foreign = handshake(tls.with_identity(&chain, Arc::new(key())), &server_config, "localhost");
                assert_eq!(foreign.err(), Some(CertificateError::BadSignature.into()), "{versions:?}");
            }
            let none = handshake(
                tls.with_identity(&[b"no certificate".to_vec()], Arc::clone(&own)),
                &server_config,
                "localhost",
            );
            assert_eq!(none.err(), Some(CertificateError::BadEncoding.into()), "{versions:?}");
        }
    }

    #[test]
    fn no_session_is_resumed() {
        let (roots, server) = server(&["localhost"]);
        for (versions, _) in VERSIONS {
            let tls = ClientTls::new(&roots, versions, CryptoProvider::AwsLc).unwrap();
            for _ in 0..2 {
                let (mut client, _) = handshake(tls.anonymous(), &server, "localhost").unwrap();
                assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
                assert!(client.reader().read(&mut [0]).is_err(), "no data came");
            }
        }
    }

    #[test]
    fn a_resumable_server_knows_the_client_of_a_resumed_session_by_its_first_certificate() {
        let (roots, once) = server(&["localhost"]);
        let again = resumable(&once).unwrap();
        let adr = Adr::new();
        let key = Arc::new(key());
        let chain = adr.chain(&key, "device-0001");
        for (versions, _) in VERSIONS {
            let tls = ClientTls::new(&roots, versions, CryptoProvider::AwsLc).unwrap();
            for (client, identity) in
                [(tls.anonymous(), None), (tls.with_identity(&chain, Arc::clone(&key)), Some(&chain))]
            {
                let mut client = ClientConfig::clone(&client);
                client.resumption = Resumption::in_memory_sessions(4);
                let client = Arc::new(client);
                let connect = |server: &Arc<ServerConfig>| {
                    let (mut client, server) = handshake(Arc::clone(&client), server, "localhost").unwrap();
                    // The ticket of TLS 1.3 comes after the handshake and is taken by the next read.
                    assert!(client.reader().read(&mut [0]).is_err(), "no data came");
                    let shown = server.peer_certificates().map(|chain| chain.iter().map(|c| c.to_vec()).collect());
                    assert_eq!(shown.as_ref(), identity, "{versions:?}");
                    client.handshake_kind().unwrap()
                };
                assert_eq!(connect(&again), HandshakeKind::Full, "{versions:?}");
                assert_eq!(connect(&again), HandshakeKind::Resumed, "{versions:?}");
                assert_eq!(connect(&again), HandshakeKind::Resumed, "{versions:?}");
                let another = resumable(&once).unwrap();
                assert_eq!(connect(&another), HandshakeKind::Full, "a ticket of another server");
                for _ in 0..2 {
                    assert_ne!(connect(&once), HandshakeKind::Resumed, "{versions:?}");
                }
            }
        }
    }

    #[test]
    fn roots_are_needed() {
        for roots in [vec![], vec![vec![1, 2, 3]]] {
            let refused = ClientTls::new(&roots, TlsVersions::Any, CryptoProvider::AwsLc);
            assert!(matches!(refused, Err(TlsConfigError::Roots(_))));
        }
    }

    #[test]
    fn server_names_are_dns_names_or_addresses() {
        let root = Adr::new().root;
        for name in ["", "*.", "a b", "http://x/"] {
            let refused = root.server_certificate(&[name.to_owned()], now());
            assert!(
                matches!(
                    refused,
                    Err(crate::pki::key::KeyError::AlternativeName(_) | crate::pki::key::KeyError::CommonName(0))
                ),
                "{name}"
            );
        }
        let long = format!("{}.azure-devices.net", "a".repeat(60));
        assert!(root.server_certificate(&[long], now()).is_ok(), "longer than a common name");
    }
}
