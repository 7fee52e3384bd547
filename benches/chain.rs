//! The device's check of an issued chain, and the hub's check of a client's.

mod cpu_time;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::trust::AuthoritySet;

const ID: &str = "sn-007-888-abc-mac-a1-b2-c3-d4";

fn chain(criterion: &mut Criterion<CpuTime>) {
    let now = SystemTime::now();
    let root = RootCa::generate("credential", now).expect("root");
    let issuing = root.issuing_ca("policy", now).expect("issuing CA");
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).expect("key pair");
    let request = csr::verify(&csr::build(&key, ID).expect("CSR")).expect("good CSR");
    let leaf = issuing.issue(&request, ID, uuid::Uuid::new_v4(), now, now + Duration::from_secs(3600)).expect("leaf");
    let chain = [leaf.der, issuing.der().to_vec(), root.der().to_vec()];
    let expected = [root.der().to_vec()];

    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(1));
    let verifier = ChainVerifier::new(&expected).expect("root");
    group.bench_function("device, authorities remembered", |b| {
        b.iter(|| verifier.verify(black_box(&chain), key.spki_der(), ID, now).expect("good chain"));
    });
    group.bench_function("device, first time", |b| {
        b.iter(|| {
            let verifier = ChainVerifier::new(&expected).expect("root");
            verifier.verify(black_box(&chain), key.spki_der(), ID, now).expect("good chain")
        });
    });
    let hub = AuthoritySet::new(&[issuing.der()]).expect("issuing CA");
    group.bench_function("hub", |b| b.iter(|| hub.verify_leaf(black_box(&chain), now).expect("good chain")));
    // What no code around the library can beat: one P-384 verification over as many bytes.
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signer = aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING)
        .expect("key pair");
    let message = vec![7; 1200];
    let signature = signer.sign(&random, &message).expect("signature");
    let public = aws_lc_rs::signature::ParsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1,
        aws_lc_rs::signature::KeyPair::public_key(&signer).as_ref(),
    )
    .expect("public key");
    group.bench_function("limit of verifying", |b| {
        b.iter(|| public.verify_sig(black_box(&message), signature.as_ref()).expect("good signature"));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = CpuTime::criterion();
    targets = chain
}
criterion_main!(benches);
