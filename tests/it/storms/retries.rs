//! What devices do when they are refused, and how a storm of retries shows.

use fleetstorm::domain::Phase;

use super::lab::{outcome, scenario};
use super::{sound, stage};

/// 300 devices at once, where 100 registrations per minute are allowed.
fn throttled(behaviour: &str, more: &str) -> fleetstorm::engine::EngineOutcome {
    let outcome = outcome(&scenario(&format!(
        "quotas = {{ registrations_per_minute = 100 }}
         fleet = {{ devices = 300, behaviour = {behaviour} }}
         [limits]
         drain = '20m'
         [[stage]]
         name = 'storm'
         kind = 'provision'
         arrival = 'at-once'
         timeout = '10m'
         {more}"
    )));
    sound(&outcome);
    outcome
}

#[test]
fn well_behaved_devices_get_through_with_few_attempts_and_those_that_do_not_listen_feed_the_storm() {
    let well = throttled("'well-behaved'", "");
    let well = stage(&well, "storm");
    assert_eq!(well.totals.succeeded, 300, "{:?}", well.totals);
    let ill = throttled("'ignores-retry-after'", "");
    let ill = stage(&ill, "storm");
    assert_eq!(ill.totals.succeeded, 300, "{:?}", ill.totals);
    let per_success = |stage: &fleetstorm::measure::StageRecord| stage.totals.throttled / stage.totals.succeeded;
    assert!(per_success(ill) > 5 * per_success(well).max(1), "{} and {}", per_success(ill), per_success(well));
    // The quota is one of a minute, and no wait for it is longer.
    for stage in [well, ill] {
        let named = stage.totals.retry_after_max.unwrap();
        assert!(named.as_secs() > 0 && named.as_secs() <= 300, "{named:?}");
    }
    // Every refusal of these devices ends an attempt, and the waits between attempts are a time of their own.
    assert_eq!(ill.totals.attempts, ill.totals.succeeded + ill.totals.throttled);
    assert!(ill.phases.succeeded(Phase::Backoff).is_some_and(|h| h.count() == 200), "{:?}", ill.totals);
    // What was offered and what came of it are told apart, second by second.
    let offered: u64 = ill.intervals.iter().map(|i| i.attempts).sum();
    let good: u64 = ill.intervals.iter().map(|i| i.succeeded_attempts).sum();
    assert_eq!((offered, good), (ill.totals.attempts, 300));
}

#[test]
fn the_total_of_a_device_counts_its_failed_attempts_and_the_raw_one_forgets_them() {
    let outcome = throttled("'sdk-csharp'", "");
    let phases = &stage(&outcome, "storm").phases;
    let max = |phase| phases.succeeded(phase).and_then(|h| h.quantile(1.0)).unwrap();
    assert!(max(Phase::Total) > 5 * max(Phase::TotalRaw), "{:?} {:?}", max(Phase::Total), max(Phase::TotalRaw));
}

#[test]
fn a_device_that_tried_once_has_failed() {
    let outcome = throttled("{ preset = 'one-attempt', repeats = 0 }", "");
    let totals = stage(&outcome, "storm").totals;
    assert_eq!((totals.succeeded, totals.failed_total(), totals.attempts), (100, 200, 300));
}

#[test]
fn a_revoked_policy_sends_devices_back_to_dps() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 25, behaviour = 'well-behaved' }
         emulator.faults.policy_revoked = { at_seconds = [20] }
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = 'at-once'
         [[stage]]
         name = 'life'
         kind = 'operate'
         arrival = 'at-once'
         duration = '120s'",
    ));
    sound(&outcome);
    let life = stage(&outcome, "life");
    assert_eq!((life.totals.succeeded, life.totals.disconnects), (25, 25), "{:?} {:?}", life.totals, outcome.errors);
    let registered = life.phases.succeeded(Phase::Register).map(|h| h.count());
    assert_eq!(registered, Some(25), "all got a new certificate from DPS");
}

#[test]
fn every_preset_gets_a_fleet_through_a_service_that_refuses_most_of_it_at_first() {
    for preset in ["sdk-python", "sdk-node", "sdk-c", "azure-sdk-for-c", "microsoft-load-test"] {
        let outcome = throttled(&format!("'{preset}'"), "");
        let totals = stage(&outcome, "storm").totals;
        assert_eq!(totals.succeeded, 300, "{preset}: {totals:?} {:?}", outcome.errors);
        assert!(totals.throttled > 0, "{preset}");
    }
}

#[test]
fn a_pause_of_the_service_shows_in_the_corrected_latency_and_the_raw_one_hides_it() {
    // The acceptance test of coordinated omission: 10 s at a constant rate, 2 s of them without an answer, and a generator
    // that has few connections at a time.
    let run = |limits: &str| {
        outcome(&scenario(&format!(
            "fleet.devices = 1000
             emulator.dps.retry_after_seconds = 0
             emulator.faults.pause = {{ from_seconds = 4, for_seconds = 2 }}
             {limits}
             [[stage]]
             name = 'steady'
             kind = 'provision'
             arrival = {{ process = 'constant', rate = '100/s' }}"
        )))
    };
    let p99 = |outcome: &fleetstorm::engine::EngineOutcome, phase| {
        stage(outcome, "steady").phases.succeeded(phase).and_then(|h| h.quantile(0.99)).unwrap().as_secs_f64()
    };
    let open = run("");
    sound(&open);
    assert!((1.9..2.1).contains(&p99(&open, Phase::Total)), "{}", p99(&open, Phase::Total));
    let few = run("limits.max_in_flight = 5");
    sound(&few);
    assert_eq!(stage(&few, "steady").totals.succeeded, 1_000);
    assert!((1.9..2.1).contains(&p99(&few, Phase::Total)), "{}", p99(&few, Phase::Total));
    assert!(p99(&few, Phase::TotalRaw) < 0.1, "{}", p99(&few, Phase::TotalRaw));
}
