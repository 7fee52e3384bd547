//! What the issuing authority does per device: verify the CSR, sign the leaf.

mod cpu_time;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::key::DeviceKey;

const ID: &str = "sn-007-888-abc-mac-a1-b2-c3-d4";

fn issue(criterion: &mut Criterion<CpuTime>) {
    let now = SystemTime::now();
    let root = RootCa::generate("credential", now).expect("root");
    let issuing = root.issuing_ca("policy", now).expect("issuing CA");
    let end = now + Duration::from_secs(30 * 24 * 60 * 60);
    let id = uuid::Uuid::new_v4();

    let mut group = criterion.benchmark_group("issue");
    group.throughput(Throughput::Elements(1));
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048] {
        let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc).expect("key pair");
        let der = csr::build(&key, ID).expect("CSR");
        let verified = csr::verify(&der).expect("good CSR");
        group.bench_function(format!("verify CSR/{algorithm}"), |b| b.iter(|| csr::verify(black_box(&der))));
        group.bench_function(format!("sign leaf/{algorithm}"), |b| {
            b.iter(|| issuing.issue(black_box(&verified), ID, id, now, end).expect("leaf"));
        });
        group.bench_function(format!("verify CSR and sign leaf/{algorithm}"), |b| {
            b.iter(|| issuing.issue(&csr::verify(black_box(&der)).expect("good CSR"), ID, id, now, end).expect("leaf"));
        });
    }
    // What no code around the library can beat: one P-384 signature over as many bytes.
    let random = aws_lc_rs::rand::SystemRandom::new();
    let key = aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING)
        .expect("key pair");
    let message = vec![7; 1200];
    group.bench_function("limit of signing", |b| b.iter(|| key.sign(&random, black_box(&message)).expect("signature")));
    group.finish();
}

criterion_group! {
    name = benches;
    config = CpuTime::criterion();
    targets = issue
}
criterion_main!(benches);
