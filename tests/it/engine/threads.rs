//! Real threads and real time: nothing here depends on how long anything takes.

use fleetstorm::domain::{KeyAlgorithm, KeySource, Known};
use fleetstorm::engine::{EngineOutcome, Execution, Progress, RunPart};
use fleetstorm::measure::RunStatus;
use tokio::sync::watch;

use super::service::{self, Answer};
use super::{MS, Run, scenario, script};

async fn on_threads(text: &str, devices: u32, change: impl FnOnce(&mut Run)) -> EngineOutcome {
    let mut run = Run::new(scenario(devices, text), service::start(script(|_| Answer::Issue(MS(0)))));
    run.execution = Execution::Threads;
    change(&mut run);
    run.outcome().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_provision_the_whole_fleet() {
    for workload in ["arrival = 'at-once'\nmax_lateness = '1m'", "workload = 'closed'\nconcurrency = 7"] {
        let (sender, receiver) = watch::channel(Progress::default());
        let text = format!("{workload}\n[limits]\nworkers = 3\nkeys_ahead = 20");
        let outcome = on_threads(&text, 100, |run| run.progress = Some(sender)).await;
        assert_eq!((outcome.status, outcome.stages[0].totals.succeeded), (RunStatus::Complete, 100));
        let last = receiver.borrow();
        let stage = &last.stages[0];
        assert_eq!(
            (last.part, stage.totals.planned, stage.totals.through(), stage.totals.succeeded, stage.in_flight),
            (RunPart::Drain, 100, 100, 100, 0)
        );
        assert!(stage.p50.map(Known::least) <= stage.p99.map(Known::least) && stage.p50.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_wakes_a_pacer_that_has_nothing_to_do_for_an_hour() {
    let text = "arrival = { process = 'constant', rate = '1/h' }\n[limits]\nworkers = 2";
    let outcome = on_threads(text, 3, |run| {
        let (sender, mut receiver) = watch::channel(Progress::default());
        let stop = run.stop.clone();
        run.progress = Some(sender);
        tokio::spawn(async move {
            receiver
                .wait_for(|progress| progress.stages.iter().any(|s| s.totals.succeeded == 1))
                .await
                .expect("the run goes on");
            stop.cancel();
        });
    })
    .await;
    let totals = &outcome.stages[0].totals;
    assert_eq!((outcome.status, totals.succeeded, totals.not_started), (RunStatus::Interrupted, 1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_made_in_time_are_made_while_it_runs() {
    let text = "arrival = 'at-once'\nmax_lateness = '1m'\n[limits]\nprepare = '0s'\nkeys_ahead = 5";
    let outcome = on_threads(text, 30, |_| {}).await;
    assert_eq!(outcome.stages[0].totals.succeeded, 30);
    assert!(outcome.notes.iter().all(|n| n.contains("limits.prepare")), "{:?}", outcome.notes);
}

/// A stage beside another one; both need keys that take long.
fn beside(lines: &str) -> String {
    format!(
        "arrival = 'at-once'\nmax_lateness = '1h'\n\
         [[stage]]\nname = 'beside'\nkind = 'provision'\nwith = 'stage'\ndelay = '10ms'\narrival = 'at-once'\n{lines}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_begins_when_it_is_due_although_keys_of_another_are_not_made_yet() {
    let text = beside("max_lateness = '1ms'\n[limits]\nprepare = '0s'");
    let outcome = on_threads(&text, 6, |run| run.device.algorithm = KeyAlgorithm::Rsa2048).await;
    let [first, beside] = &outcome.stages[..] else { panic!("two stages") };
    assert_eq!(first.totals.succeeded, 6);
    // Not a nanosecond later, however late this machine was: that is lateness, and has numbers of its own.
    assert_eq!((beside.begin.unwrap().due, beside.start), (MS(10), MS(10)));
    assert_eq!(beside.totals.succeeded + beside.totals.dropped, 6, "{:?}", beside.totals);
    let told = outcome.health.saturated.join("\n");
    assert_eq!(beside.totals.dropped > 0, told.contains("beside: ") && told.contains("could not start"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_later_stages_are_made_before_the_run_as_far_as_there_is_time() {
    let text = beside("max_lateness = '1h'\n[limits]\nprepare = '1h'\nkeys_ahead = 9");
    let (sender, mut receiver) = watch::channel(Progress::default());
    let wanted = tokio::spawn(async move {
        let prepared =
            receiver.wait_for(|progress| progress.part == RunPart::Prepare && progress.keys_wanted > 0).await;
        prepared.map(|progress| progress.keys_wanted).ok()
    });
    let outcome = on_threads(&text, 6, |run| {
        run.progress = Some(sender);
        run.device.algorithm = KeyAlgorithm::Rsa2048;
    })
    .await;
    // Six of the first, and as many of the other as may be ahead of need.
    assert_eq!(wanted.await.unwrap(), Some(9));
    assert!(outcome.notes.iter().all(|note| !note.contains("limits.prepare")), "{:?}", outcome.notes);
    assert_eq!(outcome.stages[1].totals.succeeded, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pre_generated_keys_are_all_there_before_the_run_those_of_later_stages_too() {
    let text = beside("max_lateness = '1h'\n[limits]\nprepare = '0s'\nkeys_ahead = 1");
    let mut scenario = scenario(6, &text);
    scenario.fleet.classes[0].keys = KeySource::PreGenerated;
    let mut run = Run::new(scenario, service::start(script(|_| Answer::Issue(MS(0)))));
    run.execution = Execution::Threads;
    (run.device.keys, run.device.algorithm) = (KeySource::PreGenerated, KeyAlgorithm::Rsa2048);
    let outcome = run.outcome().await;
    assert_eq!([0, 1].map(|stage| outcome.stages[stage].totals.succeeded), [6, 6]);
    assert!(outcome.notes.iter().all(|note| !note.contains("limits.prepare")), "{:?}", outcome.notes);
}
