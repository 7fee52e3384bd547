//! Real threads and real time: nothing here depends on how long anything takes.

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
            (last.part, stage.planned, stage.done, stage.succeeded, stage.in_flight),
            (RunPart::Drain, 100, 100, 100, 0)
        );
        assert!(stage.p50 <= stage.p99 && stage.p50.is_some());
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
                .wait_for(|progress| progress.stages.iter().any(|s| s.succeeded == 1))
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
