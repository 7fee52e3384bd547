//! Certificate signing requests, and certificates that clients present.
#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::trust::AuthoritySet;
use libfuzzer_sys::fuzz_target;

static TRUSTED: LazyLock<AuthoritySet> = LazyLock::new(|| {
    let root = RootCa::generate("root", SystemTime::now()).expect("a root");
    AuthoritySet::new(&[root.der()]).expect("one authority")
});

fuzz_target!(|der: &[u8]| {
    if let Ok(request) = csr::verify(der) {
        assert!(!request.spki_der.is_empty() && request.common_name.len() <= der.len());
    }
    assert!(TRUSTED.verify_leaf(&[der], SystemTime::now()).is_err(), "nobody guesses a random key");
});
