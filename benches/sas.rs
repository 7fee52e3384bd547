//! Derived device key and SAS token of one device, and the check of a token.

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};
use fleetstorm::domain::SasToken;
use fleetstorm::pki::sas::SymmetricKey;

const ID: &str = "sn-007-888-abc-mac-a1-b2-c3-d4";

fn sas(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("sas");
    let group_key = SymmetricKey::random();
    let resource = format!("0ne00000001/registrations/{ID}");
    group.bench_function("derive", |b| b.iter(|| group_key.derive(black_box(ID))));
    group.bench_function("derive and sign, as text", |b| {
        b.iter(|| group_key.derive(black_box(ID)).sign(&resource, 1_767_225_600, Some("registration")).to_text());
    });
    let text = group_key.derive(ID).sign(&resource, 1_767_225_600, Some("registration")).to_text();
    group.bench_function("parse, derive and verify", |b| {
        b.iter(|| {
            let token = SasToken::parse(black_box(&text)).expect("token");
            assert!(group_key.derive(ID).verifies(&token), "the token is good");
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = CpuTime::criterion();
    targets = sas
}
criterion_main!(benches);
