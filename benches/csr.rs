//! Key pair and CSR of one device, per algorithm and provider: the raw limit (the library generates a key pair and signs
//! as many bytes), the way of this project, and rcgen's stock key pair for comparison. One-core figures are CPU time of
//! the thread, so that a busy machine does not spoil them; those of two threads are wall time.
//!
//! The share of the limit is measured in turns and printed first. Seen on two cores of an x86-64 server, per device:
//!
//! | | limit | fleetstorm | share | rcgen | two threads, of the limit of one |
//! |---|---|---|---|---|---|
//! | ecdsa-p256, aws-lc-rs | 24.5 µs | 25.6 µs | 0.96 | 37.2 µs | 1.88 |
//! | ecdsa-p384, aws-lc-rs | 131.7 µs | 134.8 µs | 0.98 | 188.1 µs | 1.87 |
//! | ecdsa-p256, ring | 39.2 µs | 40.7 µs | 0.96 | | |
//! | ecdsa-p384, ring | 1.22 ms | 1.23 ms | 0.99 | | 1.91 |
//! | rsa-2048, aws-lc-rs | 45 to 70 ms, as primes are found | | | | |

mod cpu_time;

use std::hint::black_box;
use std::time::Duration;

use cpu_time::CpuTime;
use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::pki::csr;
use fleetstorm::pki::key::DeviceKey;
use rayon::prelude::*;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ID: &str = "sn-007-888-abc-mac-a1-b2-c3-d4";

const CASES: [(KeyAlgorithm, CryptoProvider); 5] = [
    (KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc),
    (KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc),
    (KeyAlgorithm::EcdsaP256, CryptoProvider::Ring),
    (KeyAlgorithm::EcdsaP384, CryptoProvider::Ring),
    (KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc),
];

/// What no code around the library can beat: one key pair, one signature over `message`.
fn keygen_and_sign(algorithm: KeyAlgorithm, provider: CryptoProvider, message: &[u8]) {
    match provider {
        CryptoProvider::AwsLc => {
            use aws_lc_rs::{rand::SystemRandom, rsa, signature as sig};
            let random = SystemRandom::new();
            if algorithm.rsa_bits().is_some() {
                let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("RSA key pair");
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&sig::RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signature");
                black_box(signature);
                return;
            }
            let algorithm = match algorithm {
                KeyAlgorithm::EcdsaP384 => &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
                _ => &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
            };
            let key = sig::EcdsaKeyPair::generate(algorithm).expect("key pair");
            black_box(key.sign(&random, message).expect("signature"));
        }
        CryptoProvider::Ring => {
            use ring::{rand::SystemRandom, signature as sig};
            let random = SystemRandom::new();
            let algorithm = match algorithm {
                KeyAlgorithm::EcdsaP384 => &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
                _ => &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
            };
            let pkcs8 = sig::EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("key pair");
            let key = sig::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("key pair");
            black_box(key.sign(&random, message).expect("signature"));
        }
    }
}

fn key_and_csr(algorithm: KeyAlgorithm, provider: CryptoProvider) {
    let key = DeviceKey::generate(algorithm, provider).expect("key pair");
    black_box(csr::build(&key, ID).expect("CSR"));
    black_box(key);
}

/// rcgen with its own key pair, as its documentation shows it.
fn stock_rcgen(algorithm: KeyAlgorithm) {
    let algorithm = match algorithm {
        KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        _ => &rcgen::PKCS_RSA_SHA256,
    };
    let key = rcgen::KeyPair::generate_for(algorithm).expect("key pair");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, ID);
    black_box(params.serialize_request(&key).expect("CSR"));
}

fn configure(group: &mut BenchmarkGroup<'_, impl Measurement>, algorithm: KeyAlgorithm) {
    let slow = algorithm.rsa_bits().is_some();
    group.sample_size(if slow { 10 } else { 30 });
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
}

/// As many bytes as the signed part of a CSR has.
fn message() -> Vec<u8> {
    vec![7; 160]
}

/// CPU time of `count` calls.
fn cpu_time_of(count: u32, mut call: impl FnMut()) -> Duration {
    let start = CpuTime::now();
    for _ in 0..count {
        call();
    }
    CpuTime::now() - start
}

fn one_core(criterion: &mut Criterion<CpuTime>) {
    let message = message();
    for (algorithm, provider) in CASES {
        if algorithm.rsa_bits().is_none() && !is_tested() {
            // The first use of a library sets up its tables.
            cpu_time_of(20, || keygen_and_sign(algorithm, provider, &message));
            let (mut limit, mut own) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..40 {
                limit += cpu_time_of(20, || keygen_and_sign(algorithm, provider, &message));
                own += cpu_time_of(20, || key_and_csr(algorithm, provider));
            }
            println!("csr/{algorithm}/{provider}: {:.3} of the limit", limit.as_secs_f64() / own.as_secs_f64());
        }
        let mut group = criterion.benchmark_group(format!("csr/{algorithm}/{provider}"));
        configure(&mut group, algorithm);
        group.throughput(Throughput::Elements(1));
        group.bench_function("limit", |b| b.iter(|| keygen_and_sign(algorithm, provider, &message)));
        group.bench_function("fleetstorm", |b| b.iter(|| key_and_csr(algorithm, provider)));
        if provider == CryptoProvider::AwsLc {
            group.bench_function("rcgen", |b| b.iter(|| stock_rcgen(algorithm)));
        }
        group.finish();
    }
}

fn two_threads(criterion: &mut Criterion) {
    const BATCH: u32 = 128;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("thread pool");
    let message = message();
    for (algorithm, provider) in CASES.into_iter().filter(|(algorithm, _)| algorithm.rsa_bits().is_none()) {
        let batch = || pool.install(|| (0..BATCH).into_par_iter().for_each(|_| key_and_csr(algorithm, provider)));
        if !is_tested() {
            let (mut limit, mut own) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..20 {
                limit += cpu_time_of(BATCH, || keygen_and_sign(algorithm, provider, &message));
                let start = tokio::time::Instant::now();
                batch();
                own += start.elapsed();
            }
            let share = limit.as_secs_f64() / own.as_secs_f64();
            println!("csr/{algorithm}/{provider}: {share:.2} times the limit of one core on two threads");
        }
        let mut group = criterion.benchmark_group(format!("csr/{algorithm}/{provider}"));
        configure(&mut group, algorithm);
        group.throughput(Throughput::Elements(BATCH.into()));
        group.bench_function("fleetstorm, rayon on 2 threads", |b| b.iter(batch));
        group.finish();
    }
}

/// Whether each benchmark shall run once only.
fn is_tested() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

criterion_group! {
    name = cpu_time_benches;
    config = CpuTime::criterion();
    targets = one_core
}
criterion_group!(wall_time_benches, two_threads);
criterion_main!(cpu_time_benches, wall_time_benches);
