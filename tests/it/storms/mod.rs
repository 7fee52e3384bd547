//! Storms over the whole life of a fleet, in virtual time against the real emulator.

mod double_entry;
mod formats;
mod lab;
mod library;
mod life;
mod progress;
mod retries;
mod shards;

use fleetstorm::domain::FailureClass;
use fleetstorm::engine::EngineOutcome;
use fleetstorm::measure::StageRecord;
use proptest::test_runner::Config as ProptestConfig;

/// Cases of a property that costs too much for as many as usual, unless `PROPTEST_CASES` wants another number.
fn cases(few: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { usual.cases } else { few }, ..usual }
}

fn stage<'a>(outcome: &'a EngineOutcome, name: &str) -> &'a StageRecord {
    outcome.stages.iter().find(|stage| stage.name == name).expect("the stage is there")
}

/// Holds for every run, whatever happened in it.
fn sound(outcome: &EngineOutcome) {
    for stage in &outcome.stages {
        assert!(stage.totals.add_up(), "{}: {:?}", stage.name, stage.totals);
        let reasons: u64 = stage.skips.iter().map(|skip| skip.devices).sum();
        assert_eq!(reasons, stage.totals.skipped, "{}: {:?}", stage.name, stage.skips);
        let sum = |of: fn(&fleetstorm::measure::Interval) -> u64| stage.intervals.iter().map(of).sum::<u64>();
        assert_eq!(sum(|i| i.attempts), stage.totals.attempts, "{}", stage.name);
        assert_eq!(sum(|i| i.succeeded), stage.totals.succeeded, "{}", stage.name);
        assert_eq!(sum(|i| i.failed_attempts), stage.totals.failed_attempts_total(), "{}", stage.name);
        for (class, total) in FailureClass::ALL.into_iter().zip(stage.totals.failed_attempts) {
            let by_class = stage.intervals.iter().filter_map(|i| i.failed_attempts_by_class);
            assert_eq!(by_class.map(|counts| counts[class.index()]).sum::<u64>(), total, "{} {class:?}", stage.name);
        }
        let longest = stage.intervals.iter().filter_map(|i| i.retry_after_max).max();
        assert_eq!(longest, stage.totals.retry_after_max, "{}", stage.name);
        assert_eq!(sum(|i| i.failed.iter().sum()), stage.totals.failed_total(), "{}", stage.name);
        assert_eq!(sum(|i| i.expired), stage.totals.expired, "{}", stage.name);
        assert_eq!(sum(|i| i.disconnects), stage.totals.disconnects, "{}", stage.name);
    }
}
