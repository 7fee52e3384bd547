//! Key pair and CSR of one device, per algorithm and provider: the raw limit (the library generates a key pair and signs
//! as many bytes), the way of this project, and rcgen's stock key pair for comparison. One-core figures are CPU time of
//! the thread, so that a busy machine does not spoil them; those of two threads are wall time.
//!
//! The share of the limit is measured in turns and printed first:
//!
//! RATIOS

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
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

fn configure(group: &mut BenchmarkGroup<'_, WallTime>, algorithm: KeyAlgorithm) {
    let slow = algorithm.rsa_bits().is_some();
    group.sample_size(if slow { 10 } else { 30 });
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
}

/// As many bytes as the signed part of a CSR has.
fn message() -> Vec<u8> {
    vec![7; 160]
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("CPU clock of the thread");
    Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_nsec()).unwrap_or(0))
}

/// CPU time of `count` calls.
fn cpu_time_of(count: u64, mut call: impl FnMut()) -> Duration {
    let start = cpu_time();
    for _ in 0..count {
        call();
    }
    cpu_time() - start
}

fn one_core(criterion: &mut Criterion) {
    let message = message();
    let tested = std::env::args().any(|argument| argument == "--test");
    for (algorithm, provider) in CASES {
        if algorithm.rsa_bits().is_none() && !tested {
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
        group.bench_function("limit", |b| {
            b.iter_custom(|count| cpu_time_of(count, || keygen_and_sign(algorithm, provider, &message)));
        });
        group.bench_function("fleetstorm", |b| {
            b.iter_custom(|count| cpu_time_of(count, || key_and_csr(algorithm, provider)));
        });
        if provider == CryptoProvider::AwsLc {
            group.bench_function("rcgen", |b| b.iter_custom(|count| cpu_time_of(count, || stock_rcgen(algorithm))));
        }
        group.finish();
    }
}

fn two_threads(criterion: &mut Criterion) {
    const BATCH: u64 = 128;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("thread pool");
    for (algorithm, provider) in CASES.into_iter().filter(|(algorithm, _)| algorithm.rsa_bits().is_none()) {
        let mut group = criterion.benchmark_group(format!("csr/{algorithm}/{provider}"));
        configure(&mut group, algorithm);
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("fleetstorm, rayon on 2 threads", |b| {
            b.iter(|| pool.install(|| (0..BATCH).into_par_iter().for_each(|_| key_and_csr(algorithm, provider))));
        });
        group.finish();
    }
}

criterion_group!(benches, one_core, two_threads);
criterion_main!(benches);
