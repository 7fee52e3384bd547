//! What ends a run or an attempt early, and how that is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use fleetstorm::device::WallClock;
use fleetstorm::domain::FailureClass;
use fleetstorm::engine::{EngineError, EngineOutcome};
use fleetstorm::measure::RunStatus;

use super::service::{self, Answer};
use super::{MS, Run, cancel_after, outcome, scenario, script, watched};

#[tokio::test(start_paused = true)]
async fn devices_that_cannot_start_in_time_are_dropped_and_counted() {
    let text = "arrival = 'at-once'\nmax_lateness = '1500ms'\n[limits]\nmax_in_flight = 2";
    let outcome = outcome(scenario(10, text), |_| Answer::Issue(MS(1_000))).await;
    let totals = &outcome.stages[0].totals;
    assert_eq!((totals.succeeded, totals.dropped, totals.not_started), (4, 6, 0));
    let dropped: Vec<u64> = outcome.stages[0].intervals.iter().map(|i| i.counts.dropped).collect();
    assert_eq!(dropped, [0, 6, 0]);
    insta::assert_snapshot!(outcome.health.saturated.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn few_open_files_bound_what_is_in_flight_and_none_is_an_error() {
    let scenario = scenario(200, "arrival = 'at-once'\nmax_lateness = '10s'");
    let mut run = Run::new(scenario.clone(), service::start(script(|_| Answer::Issue(MS(500)))));
    run.open_files = 200;
    let outcome = run.outcome().await;
    assert_eq!((outcome.health.in_flight_limit, outcome.health.peak_in_flight), (60, 60));
    assert_eq!(outcome.stages[0].totals.succeeded, 200);
    assert!(outcome.health.saturated.iter().any(|s| s.contains("ulimit -n")), "{:?}", outcome.health.saturated);
    let mut run = Run::new(scenario, service::absent());
    run.open_files = 100;
    let refused = run.try_outcome().await.expect_err("none is left for devices");
    assert!(matches!(refused, EngineError::OpenFiles { limit: 100, .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_keeps_what_was_measured_and_cuts_what_outlives_the_grace() {
    let text = "arrival = { process = 'constant', rate = '10/s' }\n[limits]\ngrace = '500ms'";
    let answer = |i: u32| Answer::Issue(if i.is_multiple_of(2) { MS(1_000) } else { MS(60_000) });
    let run = Run::new(scenario(100, text), service::start(script(answer)));
    cancel_after(&run.stop, MS(2_450));
    let outcome = run.outcome().await;
    assert_eq!(outcome.status, RunStatus::Interrupted);
    let totals = &outcome.stages[0].totals;
    assert_eq!((totals.planned, totals.started, totals.not_started), (100, 25, 75));
    // Even devices that started until 1.95 s end within the grace, which ends at 2.95 s.
    assert_eq!((totals.succeeded, totals.failed[FailureClass::Cut]), (10, 15));
    assert_eq!(outcome.errors[0].message, "the run ended before the attempt did");
    assert_eq!((outcome.errors[0].count, outcome.errors[0].first.as_millis() / 10), (15, 295));
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_a_stop_does_not_wait_for_the_grace() {
    let run = Run::new(
        scenario(10, "arrival = 'at-once'\n[limits]\ngrace = '1h'"),
        service::start(script(|_| Answer::Issue(MS(60_000)))),
    );
    cancel_after(&run.stop, MS(500));
    cancel_after(&run.cut, MS(700));
    let outcome = run.outcome().await;
    assert_eq!(outcome.status, RunStatus::Interrupted);
    assert_eq!(outcome.stages[0].totals.failed[FailureClass::Cut], 10);
    assert_eq!(outcome.elapsed.as_millis() / 10, 70);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_anything_began_leaves_every_device_not_started() {
    for text in ["arrival = 'at-once'", "workload = 'closed'\nconcurrency = 5"] {
        let run = Run::new(scenario(10, text), service::absent());
        run.stop.cancel();
        let outcome = run.outcome().await;
        assert_eq!((outcome.status, outcome.stages[0].totals.not_started), (RunStatus::Interrupted, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_goes_away_aborts_the_run() {
    let run = Run::new(
        scenario(10, "arrival = { process = 'constant', rate = '1/s' }"),
        service::start(script(|_| Answer::Issue(MS(10)))),
    );
    cancel_after(&run.target_gone, MS(4_500));
    let outcome = run.outcome().await;
    let totals = &outcome.stages[0].totals;
    assert_eq!((outcome.status, totals.succeeded, totals.not_started), (RunStatus::Aborted, 5, 5));
}

#[tokio::test(start_paused = true)]
async fn an_absent_service_fails_every_attempt_at_once() {
    let outcome = Run::new(scenario(50, "arrival = 'at-once'"), service::absent()).outcome().await;
    let totals = &outcome.stages[0].totals;
    assert_eq!((totals.started, totals.failed[FailureClass::Network]), (50, 50));
    assert_eq!((outcome.errors.len(), outcome.errors[0].count), (1, 50));
    assert_eq!(outcome.status, RunStatus::Complete);
    assert!(outcome.health.saturated.is_empty(), "the service's fault is not the generator's");
}

#[tokio::test(start_paused = true)]
async fn a_silent_service_meets_the_time_limit_of_the_attempt() {
    let outcome = outcome(scenario(3, "arrival = 'at-once'\ntimeout = '5s'"), |_| Answer::Silence).await;
    let stage = &outcome.stages[0];
    assert_eq!(stage.totals.failed[FailureClass::Timeout], 3);
    assert!((MS(5_000)..=MS(5_001)).contains(&stage.elapsed), "{:?}", stage.elapsed);
}

#[tokio::test(start_paused = true)]
async fn the_drain_is_bounded() {
    let text = "arrival = 'at-once'\ntimeout = '20s'\n[limits]\ndrain = '3s'";
    let outcome = outcome(scenario(4, text), |i| if i == 0 { Answer::Issue(MS(10)) } else { Answer::Silence }).await;
    let stage = &outcome.stages[0];
    assert_eq!((stage.totals.succeeded, stage.totals.failed[FailureClass::Cut]), (1, 3));
    assert!((MS(3_000)..=MS(3_002)).contains(&stage.elapsed), "{:?}", stage.elapsed);
    assert_eq!(outcome.status, RunStatus::Complete);
}

/// Why devices had nothing to do in the last stage.
fn skips(outcome: &EngineOutcome) -> Vec<(&'static str, Option<&str>, u64)> {
    let last = outcome.stages.last().unwrap();
    assert_eq!(last.totals.skipped, last.skips.iter().map(|skip| skip.devices).sum::<u64>());
    last.skips.iter().map(|skip| (skip.reason.name(), skip.provisioned_in.as_deref(), skip.devices)).collect()
}

const BACK: &str = "[[stage]]\nname = 'back'\nkind = 'reconnect'\narrival = 'at-once'";

#[tokio::test(start_paused = true)]
async fn a_device_that_has_nothing_to_do_has_a_reason() {
    let text = format!("arrival = {{ process = 'constant', rate = '1/s' }}\n{BACK}\nwith = 'stage'\ndelay = '2500ms'");
    let answer = |device| if device == 0 { Answer::Refuse(MS(10)) } else { Answer::Issue(MS(10)) };
    let going_on = outcome(scenario(6, &text), answer).await;
    assert_eq!(skips(&going_on), [("going_on", Some("stage"), 3), ("failed", Some("stage"), 1)]);

    let text = format!("arrival = 'at-once'\nmax_lateness = '1500ms'\n{BACK}\n[limits]\nmax_in_flight = 1");
    let dropped = outcome(scenario(5, &text), |_| Answer::Issue(MS(1_000))).await;
    assert_eq!(skips(&dropped), [("dropped", Some("stage"), 3)]);

    let text = format!("arrival = 'at-once'\n{BACK}\n[limits]\ndrain = '3s'");
    let silent = |device| if device == 0 { Answer::Silence } else { Answer::Issue(MS(10)) };
    let cut = outcome(scenario(4, &text), silent).await;
    assert_eq!(skips(&cut), [("cut", Some("stage"), 1)]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_class_and_words() {
    let outcome = outcome(scenario(9, "arrival = 'at-once'"), |i| match i % 3 {
        0 => Answer::Issue(MS(10)),
        1 => Answer::Refuse(MS(20)),
        _ => Answer::Close(MS(30)),
    })
    .await;
    let totals = &outcome.stages[0].totals;
    let failed = |class: FailureClass| totals.failed[class];
    assert_eq!((totals.succeeded, failed(FailureClass::Rejected), failed(FailureClass::Network)), (3, 3, 3));
    let rows: Vec<String> =
        outcome.errors.iter().map(|e| format!("{}x {} {}: {}", e.count, e.class, e.code, e.message)).collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_cause_are_one_row_whatever_the_service_says_of_each_request() {
    let outcome = outcome(scenario(499, "arrival = 'at-once'"), |_| Answer::RefuseInOtherWords(MS(10))).await;
    let [row] = outcome.errors.as_slice() else { panic!("{:#?}", outcome.errors) };
    assert_eq!((row.count, row.code), (499, 401_002));
    assert_eq!(row.message, "{device} at {address} unknown, trace {guid}, {time}, job {id}");
}

#[tokio::test(start_paused = true)]
async fn a_serial_number_that_comes_twice_is_a_wrong_certificate() {
    let outcome = outcome(scenario(3, "arrival = 'at-once'"), |_| Answer::IssueSerialSeven(MS(10))).await;
    let totals = &outcome.stages[0].totals;
    assert_eq!((totals.succeeded, totals.failed[FailureClass::Verification]), (1, 2));
    assert!(outcome.errors[0].message.contains("serial number"), "{:?}", outcome.errors);
}

#[tokio::test(start_paused = true)]
async fn a_closed_workload_in_which_nobody_gets_through_has_not_shown_that_something_never_happens() {
    let text = "workload = 'closed'\nconcurrency = 1\ntimeout = '5s'\n[limits]\ndrain = '5s'\n\
                [fleet.behaviour]\npreset = 'well-behaved'\n[[threshold]]\ncheck = 'stage.expired == 0'";
    let outcome = outcome(scenario(3, text), |_| Answer::Silence).await;
    assert_eq!((outcome.status, outcome.stages[0].totals.not_started), (RunStatus::Complete, 2));
    assert_eq!((outcome.thresholds[0].observed, outcome.thresholds[0].met), (None, false));
    assert!(outcome.notes.iter().any(|note| note.contains("no device got through for 10s")), "{:?}", outcome.notes);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_begins_late_and_one_that_is_over_are_told_while_others_go_on() {
    let text = "arrival = 'at-once'\n[[stage]]\nname = 'late'\nkind = 'provision'\narrival = 'at-once'\n\
                with = 'stage'\ndelay = '1500us'\n[limits]\nharmless_lateness = '0s'";
    let answers = script(|_| Answer::Issue(MS(1_000)));
    let (outcome, seen) = watched(Run::new(scenario(4, text), service::start(answers))).await;
    // The runtime's timers are good to a millisecond.
    let late = outcome.stages[1].begin.unwrap().late;
    assert!(outcome.stages[0].begin.unwrap().late.is_zero() && !late.is_zero() && late <= MS(1), "{late:?}");
    for stage in seen.iter().flat_map(|progress| progress.stages.iter().chain(&progress.over)) {
        assert_eq!(stage.saturated, stage.stage == 1, "{stage:?}");
    }
    let last = seen.last().unwrap();
    let ended: Vec<_> =
        last.over.iter().chain(&last.stages).map(|stage| (stage.stage, stage.ended.is_some())).collect();
    assert_eq!(ended, [(0, true), (1, true)]);
    assert!(outcome.health.saturated[0].starts_with("late: it was to begin after 1.5 ms"), "{:?}", outcome.health);
}

/// A clock that breaks once, the first time that it is looked at after so long.
#[derive(Debug)]
struct BreaksOnce {
    clock: Arc<dyn WallClock>,
    at: tokio::time::Instant,
    broke: AtomicBool,
}

impl BreaksOnce {
    fn after(time: Duration, clock: Arc<dyn WallClock>) -> Arc<Self> {
        Arc::new(Self { clock, at: tokio::time::Instant::now() + time, broke: AtomicBool::new(false) })
    }
}

impl WallClock for BreaksOnce {
    fn now(&self) -> SystemTime {
        let breaks = tokio::time::Instant::now() >= self.at && !self.broke.swap(true, Ordering::Relaxed);
        assert!(!breaks, "this clock breaks");
        self.clock.now()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_recorded_until_it_broke_stays_when_somebody_keeps_it() {
    // The worker itself looks at the clock when the second stage is over, after 15 s, to see which certificates expired.
    let text = "arrival = 'at-once'\n[[stage]]\nname = 'life'\nkind = 'operate'\narrival = 'at-once'\n\
                delay = '5s'\nduration = '10s'";
    let run = || {
        let mut run = Run::new(scenario(4, text), service::start(script(|_| Answer::Issue(MS(10)))));
        run.device.clock = BreaksOnce::after(MS(12_000), run.device.clock);
        run
    };
    let mut kept = run();
    kept.snapshots = Some(Box::new(drop));
    let outcome = kept.outcome().await;
    assert_eq!(outcome.status, RunStatus::Broken);
    let life = &outcome.stages[1];
    assert_eq!((life.totals.planned, life.totals.started, life.totals.succeeded), (4, 4, 4));
    assert!(life.totals.add_up() && outcome.elapsed >= MS(15_000), "{:?} {:?}", life.totals, outcome.elapsed);
    assert!(outcome.notes.iter().any(|note| note.contains("please report it")), "{:?}", outcome.notes);
    let lost = run().try_outcome().await.expect_err("nothing was kept");
    assert!(matches!(lost, EngineError::WorkerLost(1)), "{lost}");
}
