//! What recording costs: per attempt on the worker, per second of a run, and when workers are merged.

mod workload {
    pub(crate) mod attempts;
}

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fleetstorm::domain::{Failure, FailureClass};
use fleetstorm::engine::Recorder;
use fleetstorm::measure::{Attempt, CompactHistogram, CompactPhases, Histogram, Outcome, PhaseHistograms};
use workload::attempts::attempt;

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.sample_size(50).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let attempts: Vec<Attempt> = (0..1_000).map(|i| attempt(i, Outcome::Success)).collect();
    let phases: u64 = attempts.iter().map(|a| a.facts.phases.present().count() as u64).sum();

    group.throughput(Throughput::Elements(phases));
    let mut histograms = PhaseHistograms::new();
    group.bench_function("phases of an attempt, per phase", |b| {
        b.iter(|| attempts.iter().for_each(|a| histograms.record(black_box(a))));
    });

    group.throughput(Throughput::Elements(attempts.len() as u64));
    let mut recorder = Recorder::new();
    group.bench_function("due, started and ended, per attempt", |b| {
        b.iter(|| {
            attempts.iter().for_each(|attempt| workload::attempts::record(&mut recorder, black_box(attempt)));
        });
    });
    let failure = Failure::rejected(401_002, "Unauthorized");
    let failed = attempt(5, Outcome::Failed(FailureClass::Rejected));
    group.throughput(Throughput::Elements(1));
    group.bench_function("a failed attempt", |b| {
        b.iter(|| {
            recorder.attempt_started(failed.device, failed.due, failed.started);
            recorder.attempt_ended(black_box(&failed), Some(&failure));
        });
    });

    let mut second = Histogram::new();
    (0..1_000).for_each(|i| second.record(5_000_000 + i * 77_777));
    group.bench_function("encode a second", |b| b.iter(|| CompactHistogram::new(black_box(&second))));
    let encoded = CompactHistogram::new(&second);
    group.bench_function("decode a second", |b| b.iter(|| black_box(&encoded).decode()));
    group.bench_function("merge the phases of a worker", |b| {
        b.iter_batched_ref(|| histograms.clone(), |all| all.merge(black_box(&histograms)), BatchSize::LargeInput);
    });
    // What a stage that is over keeps, and what a snapshot of a run makes of one that goes on.
    group.bench_function("phases of a stage at rest", |b| b.iter(|| CompactPhases::from(black_box(&histograms))));
    let at_rest = CompactPhases::from(&histograms);
    group.bench_function("merge the phases of a run at rest", |b| {
        b.iter_batched_ref(|| at_rest.clone(), |all| all.merge(black_box(&at_rest)), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
