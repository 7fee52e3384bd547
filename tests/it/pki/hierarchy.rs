use std::fs;
use std::time::{Duration, SystemTime};

use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::pki::csr::{self, CsrError};
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::store;

use super::openssl;

const ALGORITHMS: [KeyAlgorithm; 3] = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048];

#[test]
fn the_hierarchy_of_adr_passes_the_strict_checks_of_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, der: &[u8]| {
        fs::write(folder.path().join(name), store::certificates_to_pem(&[der])).unwrap();
    };
    let now = SystemTime::now();
    let root = RootCa::generate("credential", now).unwrap();
    let issuing = root.issuing_ca("policy", now).unwrap();
    write("root.pem", root.der());
    write("issuing.pem", issuing.der());
    let verify = ["verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-purpose"];
    for algorithm in ALGORITHMS {
        let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc).unwrap();
        let request = csr::verify(&csr::build(&key, "device-0001").unwrap()).unwrap();
        let end = now + Duration::from_secs(30 * 24 * 60 * 60);
        let leaf = issuing.issue(&request, "device-0001", uuid::Uuid::new_v4(), now, end).unwrap();
        write("leaf.pem", &leaf.der);
        openssl::good(folder.path(), &[&verify[..], &["sslclient", "leaf.pem"]].concat());
        let text = openssl::good(folder.path(), &["x509", "-in", "leaf.pem", "-noout", "-text"]);
        for expected in [
            "Subject: CN = device-0001",
            "Signature Algorithm: ecdsa-with-SHA384",
            "CA:FALSE",
            "TLS Web Client Authentication",
            "CA Issuers - URI:http://primary",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
    let names = ["localhost", "*.azure-devices.net", "127.0.0.1"].map(str::to_owned);
    let (server, _) = root.server_certificate(&names, now).unwrap();
    write("server.pem", &server);
    for name in [["-verify_hostname", "contoso.azure-devices.net"], ["-verify_ip", "127.0.0.1"]] {
        openssl::good(folder.path(), &[&verify[..], &["sslserver"], &name, &["server.pem"]].concat());
    }
}

#[test]
fn openssl_accepts_our_requests() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc).unwrap();
        fs::write(folder.path().join("csr.der"), csr::build(&key, "device-0001").unwrap()).unwrap();
        let arguments = ["req", "-in", "csr.der", "-inform", "DER", "-verify", "-noout", "-subject"];
        let text = openssl::good(folder.path(), &arguments);
        assert!(text.contains("CN = device-0001") && text.contains("verify OK"), "{text}");
    }
}

#[test]
fn we_accept_the_requests_of_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let request = |key: &[&str], hash: &str| {
        openssl::good(folder.path(), &[&["genpkey", "-out", "key.pem", "-algorithm"], key].concat());
        let arguments = ["req", "-new", "-key", "key.pem", "-subj", "/CN=device-0001", "-outform", "DER", hash];
        openssl::good(folder.path(), &[&arguments[..], &["-out", "csr.der"]].concat());
        let key = store::read_key(&folder.path().join("key.pem"), CryptoProvider::AwsLc);
        csr::verify(&fs::read(folder.path().join("csr.der")).unwrap()).map(|csr| {
            assert_eq!(csr.common_name, "device-0001");
            assert_eq!(csr.spki_der, key.unwrap().spki_der());
            csr.algorithm
        })
    };
    let (p256, p384) = (["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let rsa = |bits: &str| format!("rsa_keygen_bits:{bits}");
    for hash in ["-sha256", "-sha384", "-sha512"] {
        assert_eq!(request(&p256, hash), Ok(KeyAlgorithm::EcdsaP256));
        assert_eq!(request(&p384, hash), Ok(KeyAlgorithm::EcdsaP384));
        assert_eq!(request(&["RSA", "-pkeyopt", &rsa("2048")], hash), Ok(KeyAlgorithm::Rsa2048));
    }
    assert_eq!(request(&["RSA", "-pkeyopt", &rsa("1024")], "-sha256"), Err(CsrError::KeyType));
    assert_eq!(request(&["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "-sha512"), Err(CsrError::KeyType));
    assert_eq!(request(&["ED25519"], "-sha256"), Err(CsrError::KeyType));
}
