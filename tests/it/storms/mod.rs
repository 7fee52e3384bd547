//! Storms over the whole life of a fleet, in virtual time against the real emulator.

mod double_entry;
mod formats;
pub(crate) mod lab;
mod lateness;
mod library;
mod life;
mod progress;
mod retries;
mod shards;

use std::time::Duration;

use fleetstorm::domain::{Count, Counts, Level, Phase};
use fleetstorm::measure::{RunRecord, StageRecord};
use proptest::test_runner::Config as ProptestConfig;

/// Cases of a property that costs too much for as many as usual, unless `PROPTEST_CASES` wants another number.
fn cases(few: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { usual.cases } else { few }, ..usual }
}

fn stage<'a>(outcome: &'a RunRecord, name: &str) -> &'a StageRecord {
    outcome.stages.iter().find(|stage| stage.name == name).expect("the stage is there")
}

/// Holds for every run, whatever happened in it.
fn sound(outcome: &RunRecord) {
    for stage in &outcome.stages {
        assert!(stage.totals.add_up(), "{}: {:?}", stage.name, stage.totals);
        let reasons: u64 = stage.skips.iter().map(|skip| skip.devices).sum();
        assert_eq!(reasons, stage.totals.skipped, "{}: {:?}", stage.name, stage.skips);
        let mut seconds = Counts::default();
        stage.intervals.iter().for_each(|interval| seconds.add(&interval.counts));
        for count in Count::at(Level::Second) {
            assert_eq!(seconds.get(count), stage.totals.get(count), "{}: {}", stage.name, count.name());
        }
        // Every poll had a time of its own, and in virtual time everything is done when it is due, as well as timers tell.
        let late = stage.phases.succeeded(Phase::Late);
        let (count, longest) = late.map_or((0, None), |late| (late.count(), late.quantile(1.0)));
        assert!(count >= stage.totals.polls, "{}: {count} of {}", stage.name, stage.totals.polls);
        assert!(longest.unwrap_or_default() <= Duration::from_millis(1), "{}: {longest:?}", stage.name);
    }
}
