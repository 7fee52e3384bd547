//! Decoding and encoding the packets of one registration, and the JSON of its largest one.

mod workload {
    pub(crate) mod packets;
}

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::protocol::mqtt::{DPS_PACKET_LIMIT, decode, encode};
use fleetstorm::protocol::payload::{OperationStatus, decode_chain};
use fleetstorm::protocol::topic::{DpsResponse, UserName};
use workload::packets::{USER_NAME, assigned, bytes, conversation};

fn codec(c: &mut Criterion) {
    let (device, service) = conversation();
    let mut group = c.benchmark_group("codec");
    for (side, packets) in [("device", &device), ("service", &service)] {
        group.throughput(Throughput::Elements(packets.len() as u64));
        group.bench_function(format!("encode/{side}"), |b| {
            let mut buffer = BytesMut::with_capacity(16 * 1024);
            b.iter(|| {
                buffer.clear();
                for packet in packets {
                    encode(black_box(packet), &mut buffer).expect("valid packets");
                }
                buffer.len()
            });
        });
        let wire = bytes(packets);
        group.bench_function(format!("decode/{side}"), |b| {
            b.iter_batched(
                || wire.clone(),
                |mut buffer| {
                    while let Some(packet) = decode(&mut buffer, DPS_PACKET_LIMIT).expect("valid packets") {
                        black_box(packet);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn texts(c: &mut Criterion) {
    let body = assigned();
    let topic = DpsResponse { status: 202, rid: "1", retry_after: Some(3) }.to_string();
    let mut group = c.benchmark_group("text");
    group.bench_function("assigned answer with chain", |b| {
        b.iter(|| {
            let status = OperationStatus::parse(black_box(body.as_bytes())).expect("valid body");
            let state = status.registration_state.expect("a state");
            decode_chain(&state.issued_certificate_chain.expect("a chain")).expect("base64")
        });
    });
    group.bench_function("response topic", |b| b.iter(|| DpsResponse::parse(black_box(&topic)).map(|r| r.status)));
    group.bench_function("user name", |b| b.iter(|| UserName::parse(black_box(USER_NAME)).is_ok()));
    group.finish();
}

criterion_group!(benches, codec, texts);
criterion_main!(benches);
