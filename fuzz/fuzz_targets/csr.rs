//! DER from peers: requests, and certificates of clients.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use fleetstorm::pki::certificate::leaf_identity;
use fleetstorm::pki::csr;
use fleetstorm::pki::description::describe;
use fleetstorm::pki::issuing_ca::{IssuingCa, RootCa};
use fleetstorm::pki::possession::{self, is_authority};
use fleetstorm::pki::trust::AuthoritySet;
use libfuzzer_sys::fuzz_target;

static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
static CA: LazyLock<IssuingCa> =
    LazyLock::new(|| RootCa::generate("root", *NOW).unwrap().issuing_ca("policy", *NOW).unwrap());
static TRUSTED: LazyLock<AuthoritySet> = LazyLock::new(|| AuthoritySet::new(&[CA.der()]).unwrap());

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = csr::verify(data) {
        let to = *NOW + Duration::from_secs(3600);
        let leaf = CA.issue(&request, "dev1", Default::default(), *NOW, to).expect("a good request gets a certificate");
        assert!(TRUSTED.verify_leaf(&[&leaf.der], *NOW).is_ok());
    }
    let _ = leaf_identity(data);
    let _ = describe(data);
    let _ = possession::verify(CA.der(), data, "code", *NOW);
    if is_authority(data) {
        let set = AuthoritySet::new(&[data]).expect("an authority can be trusted");
        let _ = set.verify_path(&[data, data], *NOW);
    }
    assert!(TRUSTED.verify_leaf(&[data], *NOW).is_err(), "nobody has the authority's key");
    assert!(TRUSTED.verify_path(&[data, CA.der()], *NOW).is_err(), "nobody has the authority's key");
});
