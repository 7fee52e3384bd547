//! Shards together are the run without sharding: the same devices, due when they would be, with the same outcomes.

use std::fs;
use std::time::Duration;

use fleetstorm::domain::{Phase, Shard};
use fleetstorm::engine::judge_again;
use fleetstorm::measure::{Attempt, Outcome, RunRecord, merge};
use fleetstorm::report::{ResultsFolder, read};
use fleetstorm::scenario::Scenario;
use proptest::prelude::*;

use super::lab::{outcome, outcome_from, scenario, sharded};
use super::{cases, sound};

/// Nothing that devices do here changes what others meet: no quotas, no queue for a processor, no draw of a service.
const APART: &str = "
    keys = 'seeded'
    thresholds = ['rollout.error_rate == 0%', 'all.attempts < 1000', 'all.lateness.p99 < 1s', 'renewal.total.p50 < 1us',
                  'renewal.throughput > 0.001/s']
    policy = { validity = 'PT1H', renewal_window = 'PT20M' }
    emulator.dps.retry_after_seconds = 3";

fn fleet(devices: u32, arrival: &str, classes: &str) -> Scenario {
    scenario(&format!(
        "fleet.devices = {devices}
         {}
         {classes}
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = {arrival}
         keep_connected = true
         [[stage]]
         name = 'renewal'
         kind = 'renew'
         with = 'rollout'
         delay = '45m'
         arrival = {{ process = 'spread', over = '1m', jitter = '5s' }}",
        APART.replace("keys =", "fleet.keys =")
    ))
}

/// What `devices.csv` says of an attempt beside its times: who, what, when due, with which outcome and which phases.
type Row = (u16, u32, u16, Duration, bool, Vec<Phase>);

fn rows(attempts: &[Attempt]) -> Vec<Row> {
    let row = |attempt: &Attempt| {
        let Attempt { stage, device, number, due, outcome, facts, .. } = *attempt;
        let had = Phase::ALL.into_iter().filter(|phase| facts.phases.get(*phase).is_some()).collect();
        (stage, device, number, due, outcome == Outcome::Success, had)
    };
    let mut rows: Vec<Row> = attempts.iter().map(row).collect();
    rows.sort_unstable();
    rows
}

fn counts(record: &RunRecord) -> Vec<(String, Vec<u64>)> {
    let of_stage = |stage: &fleetstorm::measure::StageRecord| {
        let counts = Phase::ALL.map(|phase| stage.phases.succeeded(phase).map_or(0, |times| times.count()));
        // A second in which no shard had anything to do is in none of them.
        let due = stage.intervals.iter().filter(|interval| interval.due > 0);
        let due = due.flat_map(|interval| [interval.start.as_secs(), interval.due]);
        (format!("{} {:?}", stage.name, stage.totals), counts.into_iter().chain(due).collect())
    };
    record.stages.iter().map(of_stage).collect()
}

fn shards_are_the_whole(scenario: &Scenario, count: u32) {
    let (whole, whole_rows) = sharded(scenario, Shard::WHOLE);
    sound(&whole);
    let (mut parts, mut all) = (Vec::new(), Vec::new());
    for index in 1..=count {
        let shard = Shard::new(index, count).unwrap();
        let (outcome, rows) = sharded(scenario, shard);
        sound(&outcome);
        assert!(rows.iter().all(|row| shard.has(row.device)));
        parts.push(outcome);
        all.extend(rows);
    }
    assert_eq!(rows(&all), rows(&whole_rows));
    let merged = merge(&parts).unwrap();
    assert_eq!(counts(&merged), counts(&whole));
    let certificates = |run: &RunRecord| run.certificates.as_ref().map(|all| (all.certificates(), all.without));
    assert_eq!(certificates(&merged), certificates(&whole));
    assert_eq!((merged.part_of_fleet(), merged.is_made_of_shards()), (None, count > 1));
    if count > 1 {
        assert!(merge(&parts[1..]).unwrap().part_of_fleet().is_some());
        assert!(merge(&[whole, parts[0].clone()]).is_err() && merge(&[merged, parts[0].clone()]).is_err());
    }
}

proptest! {
    #![proptest_config(cases(6))]

    #[test]
    fn any_sharding_is_the_run_without(
        devices in 4u32..40,
        count in 1u32..5,
        arrival in prop_oneof![
            Just("'at-once'"),
            Just("{ process = 'poisson', rate = '4/s' }"),
            Just("{ process = 'constant', rate = '90/min' }"),
        ],
        mixed in any::<bool>(),
    ) {
        let classes = "[[fleet.class]]\nname = 'a'\nshare = 1\n[[fleet.class]]\nname = 'b'\nshare = 1\nkey_algorithm = 'ecdsa-p384'\n";
        shards_are_the_whole(&fleet(devices, arrival, if mixed { classes } else { "" }), count);
    }
}

/// With two classes by turns and two shards, each shard has one class: a stage of the other has no device there.
#[test]
fn a_stage_without_a_device_of_the_shard_is_empty() {
    let scenario = scenario(
        "fleet.devices = 10
         [[fleet.class]]
         name = 'a'
         share = 1
         [[fleet.class]]
         name = 'b'
         share = 1
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = { process = 'constant', rate = '1/s' }
         classes = ['a']
         [[stage]]
         name = 'others'
         kind = 'provision'
         workload = 'closed'
         concurrency = 4
         classes = ['b']",
    );
    shards_are_the_whole(&scenario, 1);
    let planned = [1, 2].map(|index| {
        let (outcome, _) = sharded(&scenario, Shard::new(index, 2).unwrap());
        sound(&outcome);
        outcome.stages.iter().map(|stage| stage.totals.succeeded).collect::<Vec<_>>()
    });
    assert_eq!(planned, [[5, 0], [0, 5]]);
}

#[test]
fn thresholds_judged_again_are_those_of_the_run() {
    let scenario = fleet(30, "{ process = 'poisson', rate = '4/s' }", "");
    let run = outcome(&scenario);
    assert_eq!(run.thresholds.len(), 5);
    let (judged, not_judged) = judge_again(&run);
    assert!(not_judged.is_empty());
    assert_eq!(RunRecord { thresholds: judged, ..run.clone() }.at_rest().thresholds, run.thresholds);
    // And of what the shards came to.
    let parts = [1, 2].map(|index| {
        let shard = Shard::new(index, 2).unwrap();
        sharded(&scenario, shard).0
    });
    let (judged, _) = judge_again(&merge(&parts).unwrap());
    let met = |results: &[fleetstorm::measure::ThresholdResult]| results.iter().map(|r| r.met).collect::<Vec<_>>();
    assert_eq!(met(&judged), met(&run.thresholds));
    // And of what was stored, by what stands there, or, in records of versions before, by its settings alone.
    for stored in [|run: &RunRecord| stored(run, |_| {}), |run: &RunRecord| stored(run, without_conditions)] {
        let again = stored(&run);
        assert_eq!(again.conditions, scenario.thresholds);
        assert_eq!(RunRecord { thresholds: judge_again(&again).0, ..again }.at_rest().thresholds, run.thresholds);
        let (judged, _) = judge_again(&merge(&parts.each_ref().map(stored)).unwrap());
        assert_eq!(met(&judged), met(&run.thresholds));
    }
}

/// A record as it is read back, once what was written is made so.
fn stored(run: &RunRecord, made: impl Fn(&mut serde_json::Value)) -> RunRecord {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsFolder::existing(folder.path().to_owned()).unwrap();
    assert!(results.write(run).is_empty());
    let path = folder.path().join("run.json");
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    made(&mut json);
    fs::write(&path, json.to_string()).unwrap();
    read(folder.path()).unwrap()
}

fn without_conditions(run: &mut serde_json::Value) {
    run.as_object_mut().unwrap().remove("conditions").unwrap();
}

#[test]
fn a_run_begins_at_the_moment_that_was_agreed() {
    let scenario = fleet(5, "'at-once'", "");
    let began = |at| {
        let outcome = outcome_from(&scenario, at);
        assert_eq!(outcome.stages[0].totals.succeeded, 5, "{:?}", outcome.errors);
        (outcome.started_at.duration_since(super::lab::start()).unwrap(), outcome.notes)
    };
    let (wait, start) = (Duration::from_secs(90), super::lab::start());
    let (at, notes) = began(start + wait);
    // The runtime's timers are good to a millisecond.
    assert!(at >= wait && at < wait + Duration::from_millis(5), "{at:?}");
    assert!(notes.iter().all(|note| !note.contains("--start-at")), "{notes:?}");
    let (at, notes) = began(start - Duration::from_secs(2));
    assert!(at < Duration::from_secs(1), "{at:?}");
    assert!(notes.iter().any(|note| note.contains("2.000 s after the moment of --start-at")), "{notes:?}");
}
