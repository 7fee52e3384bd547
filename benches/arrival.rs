//! Due times of 100,000 devices, pulled one by one.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::domain::FleetTime;
use fleetstorm::scenario::{Arrival, Rate, RatePoint};

const DEVICES: u32 = 100_000;

fn arrival(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("arrival");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(u64::from(DEVICES)));
    let point = |at, rate| RatePoint { at: FleetTime::from_secs(at), rate: Rate::per_second_exact(rate) };
    for (name, arrival) in [
        ("at once", Arrival::AtOnce),
        ("constant", Arrival::Constant { rate: Rate::per_second_exact(999) }),
        ("ramp", Arrival::Ramp { points: vec![point(0, 0), point(60, 2_000), point(120, 100)] }),
        ("poisson", Arrival::Poisson { rate: Rate::per_second_exact(999) }),
        ("spread", Arrival::Spread { over: FleetTime::from_secs(600), jitter: FleetTime::from_secs(5) }),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                black_box(&arrival)
                    .due_offsets(DEVICES, 1, 0)
                    .into_iter()
                    .flatten()
                    .map(|due| due.as_nanos())
                    .sum::<u128>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, arrival);
criterion_main!(benches);
