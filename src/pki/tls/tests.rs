use std::io::Read;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

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
        let none =
            handshake(tls.with_identity(&[b"no certificate".to_vec()], Arc::clone(&own)), &server_config, "localhost");
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
        for (client, identity) in [(tls.anonymous(), None), (tls.with_identity(&chain, Arc::clone(&key)), Some(&chain))]
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
fn no_group_is_offered_that_the_service_does_not_have() {
    let (roots, server) = server(&["localhost"]);
    for provider in [CryptoProvider::AwsLc, CryptoProvider::Ring] {
        let client = ClientTls::new(&roots, TlsVersions::Any, provider).unwrap().anonymous();
        for provider in [client.crypto_provider(), server.crypto_provider()] {
            let groups: Vec<NamedGroup> = provider.kx_groups.iter().map(|group| group.name()).collect();
            assert_eq!(groups, [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1]);
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
    for name in ["", "*.", "*.127.0.0.1", "a b", "http://x/"] {
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
