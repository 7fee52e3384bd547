//! Open and closed workloads: who starts when, and what counts as latency.

use fleetstorm::domain::{KeySource, Phase};
use fleetstorm::measure::RunStatus;

use super::service::{self, Answer};
use super::{MS, Run, outcome, scenario, script};

#[tokio::test(start_paused = true)]
async fn devices_at_once_all_start_at_once_and_end_when_the_service_is_through() {
    let outcome = outcome(scenario(40, "arrival = 'at-once'"), |i| Answer::Issue(MS(100 * u64::from(i % 4 + 1)))).await;
    let stage = &outcome.stages[0];
    assert_eq!(outcome.status, RunStatus::Complete);
    assert_eq!((stage.totals.planned, stage.totals.started, stage.totals.succeeded), (40, 40, 40));
    assert_eq!((outcome.health.peak_in_flight, stage.elapsed), (40, MS(400)));
    let total = stage.phases.succeeded(Phase::Total).unwrap();
    // Exact to the three digits of the histogram.
    assert_eq!(total.quantile(0.25).unwrap().as_millis(), 100);
    assert_eq!(total.quantile(1.0).unwrap().as_millis(), 400);
    for phase in
        [Phase::Keygen, Phase::Csr, Phase::Sas, Phase::Register, Phase::Verify, Phase::HubConnack, Phase::TelemetryAck]
    {
        assert_eq!(stage.phases.succeeded(phase).map(|h| h.count()), Some(40), "{phase}");
    }
    assert!(stage.phases.succeeded(Phase::RenewAccept).is_none());
    assert!(outcome.health.saturated.is_empty(), "{:?}", outcome.health.saturated);
}

#[tokio::test(start_paused = true)]
async fn a_stage_says_how_far_devices_go() {
    let outcome = outcome(scenario(5, "arrival = 'at-once'\nhub_connect = false"), |_| Answer::Issue(MS(10))).await;
    let phases = &outcome.stages[0].phases;
    assert_eq!(phases.succeeded(Phase::Verify).map(|h| h.count()), Some(5));
    assert!(phases.succeeded(Phase::HubTcp).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_open_workload_starts_devices_on_time_however_slow_the_service_is() {
    let outcome =
        outcome(scenario(30, "arrival = { process = 'constant', rate = '10/s' }"), |_| Answer::Issue(MS(5_000))).await;
    let stage = &outcome.stages[0];
    let started: Vec<u64> = stage.intervals.iter().map(|i| i.counts.started).collect();
    assert_eq!(started, [10, 10, 10, 0, 0, 0, 0, 0]);
    let in_flight: Vec<u64> = stage.intervals.iter().map(|i| i.in_flight).collect();
    assert_eq!(in_flight, [10, 20, 30, 30, 30, 20, 10, 0]);
    assert_eq!(stage.elapsed, MS(7_900));
    // The runtime's own timers are good to a millisecond.
    assert!(outcome.health.lateness.decode().quantile(1.0).unwrap() <= MS(1));
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_the_service_shows_in_the_corrected_latency_and_not_in_the_raw_one() {
    // One slot, 50 ms per device, ten devices per second: no queue, but for a stall of 2 s at device 20.
    let text = "arrival = { process = 'constant', rate = '10/s' }\n[limits]\nmax_in_flight = 1";
    let outcome = outcome(scenario(100, text), |i| Answer::Issue(if i == 20 { MS(2_000) } else { MS(50) })).await;
    let phases = &outcome.stages[0].phases;
    let p90 = |phase| phases.succeeded(phase).and_then(|h| h.quantile(0.9)).unwrap();
    assert!(p90(Phase::TotalRaw) < MS(60), "{:?}", p90(Phase::TotalRaw));
    assert!(p90(Phase::Total) > MS(1_000), "{:?}", p90(Phase::Total));
    assert!(p90(Phase::Queued) > MS(1_000), "{:?}", p90(Phase::Queued));
    // The generator's own bound held devices back, which is said.
    assert!(outcome.health.saturated.iter().any(|s| s.contains("limits.max_in_flight = 1")), "{:?}", outcome.health);
}

#[tokio::test(start_paused = true)]
async fn a_closed_workload_never_has_more_in_flight_than_slots() {
    let outcome = outcome(scenario(10, "workload = 'closed'\nconcurrency = 3"), |_| Answer::Issue(MS(1_000))).await;
    let stage = &outcome.stages[0];
    assert_eq!((stage.totals.succeeded, outcome.health.peak_in_flight), (10, 3));
    assert_eq!(stage.elapsed, MS(4_000));
    // The next device is due when a slot is free: nothing is ever late.
    assert_eq!(stage.phases.succeeded(Phase::Total).unwrap().quantile(1.0).unwrap().as_millis(), 1_000);
    assert!(outcome.health.saturated.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stages_follow_one_another_on_one_time_line() {
    let text =
        "arrival = 'at-once'\n[[stage]]\nname = 'again'\nkind = 'provision'\nworkload = 'closed'\nconcurrency = 2";
    let outcome = outcome(scenario(4, text), |_| Answer::Issue(MS(1_500))).await;
    assert_eq!(outcome.stages.len(), 2);
    let [first, again] = &outcome.stages[..] else { panic!("two stages") };
    assert_eq!((first.start, first.elapsed), (MS(0), MS(1_500)));
    assert_eq!((again.start, again.elapsed), (MS(1_500), MS(3_000)));
    assert_eq!([first.begin, again.begin].map(|begin| begin.unwrap().due), [MS(0), MS(1_500)]);
    assert_eq!(again.intervals.iter().map(|i| i.counts.started).collect::<Vec<_>>(), [2, 0, 2, 0]);
    assert_eq!(again.intervals[0].start, MS(1_000));
    assert_eq!(outcome.elapsed, MS(4_500));
}

#[tokio::test(start_paused = true)]
async fn a_stage_waits_for_all_before_it_or_for_those_that_it_names() {
    let stages = |after: &str| {
        format!(
            "arrival = 'at-once'\n\
             [[stage]]\nname = 'beside'\nkind = 'provision'\nwith = 'stage'\narrival = {{ process = 'constant', rate = '1/s' }}\n\
             [[stage]]\nname = 'short'\nkind = 'provision'\nwith = 'stage'\narrival = 'at-once'\n\
             [[stage]]\nname = 'last'\nkind = 'reconnect'\n{after}\narrival = 'at-once'\n"
        )
    };
    for (after, start) in [
        ("", 3_100),
        ("after = ['stage', 'short']", 100),
        ("after = 'beside'", 3_100),
        ("after = 'stage'\ndelay = '2s'", 2_100),
    ] {
        let outcome = outcome(scenario(4, &stages(after)), |_| Answer::Issue(MS(100))).await;
        let last = &outcome.stages[3];
        assert_eq!((last.start, last.totals.succeeded), (MS(start), 4), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn seeded_keys_work_like_others_and_are_marked() {
    let mut scenario = scenario(3, "arrival = 'at-once'");
    scenario.fleet.classes[0].keys = KeySource::Seeded;
    let mut run = Run::new(scenario, service::start(script(|_| Answer::Issue(MS(1)))));
    run.device.keys = KeySource::Seeded;
    let outcome = run.outcome().await;
    assert_eq!(outcome.stages[0].totals.succeeded, 3);
    assert!(outcome.notes.iter().any(|n| n.contains("seeded")), "{:?}", outcome.notes);
}
