//! What is due within a device's work, on a machine that is late with it.

use std::time::Duration;

use fleetstorm::domain::Phase;
use fleetstorm::measure::RunRecord;
use fleetstorm::scenario::Scenario;

use super::lab::{outcome, outcome_of_a_halting_machine, scenario};
use super::stage;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// How many things were due, and how late the last of them was.
fn late(outcome: &RunRecord) -> (u64, Duration) {
    let late = stage(outcome, "storm").phases.succeeded(Phase::Late).expect("something was due");
    (late.count(), late.quantile(1.0).expect("something was due"))
}

/// What a machine says that is in time, and one that does nothing for `halt` after every `works`.
fn in_time_and_halting(scenario: &Scenario, works: u64, halt: u64) -> [RunRecord; 2] {
    [outcome(scenario), outcome_of_a_halting_machine(scenario, MS(works), MS(halt))]
}

#[test]
fn polls_that_come_late_are_seen_and_saturate_a_run_whose_devices_started_in_time() {
    let scenario = scenario(
        "fleet.devices = 200
         [[stage]]
         name = 'storm'
         kind = 'provision'
         arrival = 'at-once'",
    );
    // They poll three seconds after they came.
    let [in_time, halting] = in_time_and_halting(&scenario, 2_500, 1_500);
    assert!(in_time.health.saturated.is_empty(), "{:?}", in_time.health.saturated);
    assert!(late(&in_time).1 <= MS(1), "{:?}", late(&in_time));
    for outcome in [&in_time, &halting] {
        let totals = stage(outcome, "storm").totals;
        assert_eq!((late(outcome).0, totals.succeeded), (totals.polls, 200), "every poll is recorded, in time or not");
    }
    assert!(late(&halting).1 > MS(500) && late(&halting).1 <= MS(1_501), "{:?}", late(&halting));
    let [reason] = &halting.health.saturated[..] else { panic!("{:?}", halting.health.saturated) };
    assert!(reason.starts_with("storm: one in a hundred polls was ") && reason.contains(" late, where "), "{reason}");
    assert!(reason.ends_with("the numbers of attempts and of 429s depend on this machine too"), "{reason}");
}

#[test]
fn refused_requests_that_are_repeated_late_are_seen() {
    let scenario = scenario(
        "quotas = { registrations_per_minute = 100 }
         fleet = { devices = 120, behaviour = 'sdk-python' }
         [limits]
         drain = '20m'
         [[stage]]
         name = 'storm'
         kind = 'provision'
         arrival = 'at-once'
         timeout = '10m'",
    );
    let [in_time, halting] = in_time_and_halting(&scenario, 700, 600);
    let refused = stage(&in_time, "storm").totals;
    assert!(late(&in_time).0 > refused.polls && refused.throttled > 0, "{refused:?}");
    assert!(late(&in_time).1 <= MS(1) && late(&halting).1 > MS(100), "{:?}", [late(&in_time), late(&halting)]);
}

/// 10 devices that stay connected for half a minute and send a message every second.
fn operating(more: &str) -> Scenario {
    scenario(&format!(
        "fleet = {{ devices = 10, behaviour = 'well-behaved' }}
         {more}
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = 'at-once'
         telemetry = false
         [[stage]]
         name = 'storm'
         kind = 'operate'
         arrival = 'at-once'
         duration = '30s'
         telemetry_every = '1s'"
    ))
}

#[test]
fn messages_that_come_late_saturate_and_have_nothing_to_do_with_retries() {
    let [in_time, halting] = in_time_and_halting(&operating(""), 2_500, 1_500);
    assert!(in_time.health.saturated.is_empty(), "{:?}", in_time.health.saturated);
    let totals = stage(&in_time, "storm").totals;
    assert_eq!((late(&in_time).0, totals.messages_missed), (totals.telemetry, 0), "{totals:?}");
    let words = "storm: one in a hundred telemetry messages was ";
    let reason = halting.health.saturated.iter().find(|reason| reason.starts_with(words));
    let reason = reason.unwrap_or_else(|| panic!("{:?}", halting.health.saturated));
    assert!(!reason.contains("429"), "{reason}");
}

#[test]
fn messages_that_a_lost_connection_held_back_are_missed_and_not_late() {
    let calm = stage(&outcome(&operating("")), "storm").totals;
    let outage = outcome(&operating("emulator.faults.hub_outage = { from_seconds = 15, for_seconds = 5 }"));
    let totals = stage(&outage, "storm").totals;
    assert!(totals.messages_missed >= 30, "three of each device at least: {totals:?}");
    assert_eq!(
        totals.telemetry + totals.messages_missed,
        calm.telemetry,
        "every message that was due is one or the other"
    );
    assert!(late(&outage).1 <= MS(1), "{:?}", late(&outage));
    assert!(outage.health.saturated.is_empty(), "{:?}", outage.health.saturated);
}
