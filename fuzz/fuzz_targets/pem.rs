//! PEM files: of certificates, of chains that are then walked, and of keys, which can be written and read again.
#![no_main]

use std::time::SystemTime;

use fleetstorm::domain::CryptoProvider;
use fleetstorm::pki::description::describe;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::pem_text::{certificates, is_pem};
use fleetstorm::pki::trust::AuthoritySet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = is_pem(text);
    }
    if let Ok(chain) = certificates(data) {
        assert!(!chain.is_empty(), "a file without a certificate is refused");
        let _: Vec<_> = chain.iter().map(|der| describe(der)).collect();
        if let Ok(trusted) = AuthoritySet::new(&chain) {
            let _ = trusted.verify_path(&chain, SystemTime::now());
        }
    }
    for provider in [CryptoProvider::AwsLc, CryptoProvider::Ring] {
        if let Ok(key) = DeviceKey::from_pem(data, provider) {
            let pem = key.to_pem().expect("what was read can be written");
            let again = DeviceKey::from_pem(pem.as_bytes(), provider).expect("what was written can be read");
            assert_eq!(again.spki_der(), key.spki_der());
        }
    }
});
