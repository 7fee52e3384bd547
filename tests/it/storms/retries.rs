//! What devices do when they are refused, and how a storm of retries shows.

use fleetstorm::domain::{FailureClass, Fate, Phase};
use fleetstorm::measure::RunRecord;

use super::lab::{outcome, scenario};
use super::{sound, stage};

/// 300 devices at once, where 100 registrations per minute are allowed.
fn throttled(behaviour: &str, more: &str) -> RunRecord {
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
    let offered: u64 = ill.intervals.iter().map(|i| i.counts.attempts).sum();
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
    assert_eq!((totals.succeeded, totals.failed.total(), totals.attempts), (100, 200, 300));
}

#[test]
fn what_an_attempt_met_is_counted_although_it_was_cut_off() {
    let outcome = outcome(&scenario(
        "quotas.registrations_per_minute = 2
         fleet = { devices = 8, behaviour = 'sdk-python' }
         limits.drain = '30s'
         [[stage]]
         name = 'storm'
         kind = 'provision'
         arrival = 'at-once'",
    ));
    sound(&outcome);
    let storm = stage(&outcome, "storm");
    let totals = storm.totals;
    assert_eq!((totals.succeeded, totals.failed_attempts[FailureClass::Cut]), (2, 6), "{totals:?}");
    // Each of them was refused once, and waits for what it was told when the stage ends.
    assert_eq!((totals.throttled, totals.retry_after_max.is_some()), (6, true), "{totals:?}");
    assert_eq!(storm.phases.get(Phase::Register, Fate::Failed).map(|h| h.count()), Some(6));
}

#[test]
fn a_revoked_policy_sends_devices_back_to_dps() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 25, behaviour = 'well-behaved' }
         emulator.faults.policy_revoked = { at_seconds = [20] }
         stage = [
             { name = 'rollout', kind = 'provision', arrival = 'at-once' },
             { name = 'life', kind = 'operate', arrival = 'at-once', duration = '120s' },
         ]",
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
    let p99 = |outcome: &RunRecord, phase| {
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

/// Times that a device came back to a hub that accepts every connection, and cuts all of them four times a second for 20 s.
fn returns(behaviour: &str) -> u64 {
    const DEVICES: u64 = 20;
    let cuts: Vec<String> = (0..80).map(|quarter| format!("{}", 5.0 + f64::from(quarter) / 4.0)).collect();
    let outcome = outcome(&scenario(&format!(
        "fleet = {{ devices = {DEVICES}, behaviour = {behaviour} }}
         emulator.faults.hub_disconnect = {{ at_seconds = [{}] }}
         stage = [
             {{ name = 'rollout', kind = 'provision', arrival = 'at-once', hub_connect = false }},
             {{ name = 'life', kind = 'operate', arrival = 'at-once', duration = '2m' }},
         ]",
        cuts.join(", ")
    )));
    sound(&outcome);
    let totals = stage(&outcome, "life").totals;
    assert_eq!(totals.succeeded, DEVICES, "in the end all are connected: {totals:?}");
    totals.disconnects / DEVICES
}

#[test]
fn a_hub_that_accepts_and_cuts_is_left_alone_by_devices_whose_back_off_grows() {
    let (growing, anew) =
        (returns("'well-behaved'"), returns("{ preset = 'well-behaved', backoff.reset_after = 'on-connect' }"));
    assert!((3..=10).contains(&growing), "{growing}");
    assert!(anew > 2 * growing, "{anew} and {growing}");
}

#[test]
fn a_well_behaved_device_never_gives_up_and_one_that_does_is_counted() {
    // The hub is away for longer than ten attempts take, but not for ever.
    let run = |behaviour: &str| {
        outcome(&scenario(&format!(
            "fleet = {{ devices = 10, behaviour = {behaviour} }}
             emulator.faults.hub_outage = {{ from_seconds = 0, for_seconds = 900 }}
             limits.drain = '30m'
             [[stage]]
             name = 'rollout'
             kind = 'provision'
             arrival = 'at-once'"
        )))
    };
    let patient = run("'well-behaved'");
    sound(&patient);
    let totals = stage(&patient, "rollout").totals;
    assert_eq!((totals.succeeded, totals.gave_up), (10, 0), "{totals:?} {:?}", patient.errors);
    assert!(patient.notes.iter().all(|note| !note.contains("gave up")), "{:?}", patient.notes);
    let limited = run("{ preset = 'well-behaved', attempts = 10, hub_attempts = 0 }");
    sound(&limited);
    let totals = stage(&limited, "rollout").totals;
    assert_eq!((totals.succeeded, totals.failed.total(), totals.gave_up), (0, 10, 10), "{totals:?}");
    assert_eq!(stage(&limited, "rollout").intervals.iter().map(|i| i.counts.gave_up).sum::<u64>(), 10);
    assert_eq!(totals.attempts, 100);
    let note = limited.notes.iter().find(|note| note.contains("gave up")).expect("it is told");
    assert!(note.starts_with("rollout: 10 devices gave up, after 10 attempts at most"), "{note}");
}

#[test]
fn a_stage_ends_although_its_devices_never_give_up_and_those_that_are_left_are_cut() {
    let run = |workload: &str| {
        let outcome = outcome(&scenario(&format!(
            "fleet = {{ devices = 12, behaviour = 'well-behaved' }}
             emulator.faults.server_error = {{ probability = 1.0, status = 503 }}
             limits.drain = '5m'
             [[stage]]
             name = 'rollout'
             kind = 'provision'
             timeout = '1m'
             {workload}"
        )));
        sound(&outcome);
        outcome
    };
    let cut = FailureClass::Cut;
    let open = run("arrival = 'at-once'");
    let totals = stage(&open, "rollout").totals;
    assert_eq!((totals.failed[cut], totals.failed.total(), totals.gave_up), (12, 12, 0), "{totals:?}");
    assert_eq!(open.elapsed.as_secs(), 300);
    // Nobody makes room for the next one: it ends all the same.
    let closed = run("workload = 'closed'\nconcurrency = 4");
    let totals = stage(&closed, "rollout").totals;
    assert_eq!((totals.failed[cut], totals.failed.total(), totals.not_started), (4, 4, 8), "{totals:?}");
    assert_eq!(closed.elapsed.as_secs(), 360);
    assert!(
        closed.notes.iter().any(|note| note.starts_with("rollout: no device got through for 6m")),
        "{:?}",
        closed.notes
    );
}

#[test]
fn a_device_that_the_end_of_the_stage_keeps_from_coming_back_is_cut() {
    let outcome = outcome(&scenario(
        "fleet = { devices = 10, behaviour = 'well-behaved' }
         emulator.faults.hub_outage = { from_seconds = 30, for_seconds = 600 }
         stage = [
             { name = 'rollout', kind = 'provision', arrival = 'at-once', hub_connect = false },
             { name = 'life', kind = 'operate', arrival = 'at-once', duration = '60s' },
         ]",
    ));
    sound(&outcome);
    let totals = stage(&outcome, "life").totals;
    let cut = FailureClass::Cut;
    assert_eq!((totals.failed[cut], totals.failed.total(), totals.disconnects), (10, 10, 10), "{totals:?}");
    // What the attempts failed by is the hub's.
    let refused = FailureClass::Rejected;
    assert!(totals.failed_attempts[refused] > 0 && totals.failed_attempts[cut] == 0, "{totals:?}");
}
