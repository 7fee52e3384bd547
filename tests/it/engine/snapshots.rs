use std::sync::mpsc;
use std::time::Duration;

use super::service::{self, Answer};
use super::{MS, Run, scenario, script};
use fleetstorm::domain::{Known, Quantity};
use fleetstorm::engine::{EngineOutcome, Execution};
use fleetstorm::measure::{RunStatus, StageRecord};

/// Whatever the stages say is the same in totals, intervals, phases and errors.
fn check(outcome: &EngineOutcome) {
    let failed_attempts: u64 = outcome.stages.iter().map(|stage| stage.totals.failed_attempts.total()).sum();
    assert_eq!(outcome.errors.iter().map(|row| row.count).sum::<u64>(), failed_attempts);
    for StageRecord { totals, intervals, .. } in &outcome.stages {
        assert!(totals.add_up(), "{totals:?}");
        assert_eq!(totals.planned, 60);
        let sum = |of: fn(&fleetstorm::measure::Interval) -> u64| intervals.iter().map(of).sum::<u64>();
        assert_eq!(sum(|i| i.counts.started), totals.started);
        assert_eq!(sum(|i| i.counts.succeeded), totals.succeeded);
        assert_eq!(sum(|i| i.counts.failed.total()), totals.failed.total());
        assert_eq!(sum(|i| i.counts.failed_attempts.total()), totals.failed_attempts.total());
        assert_eq!(sum(|i| i.total.decode().count()), totals.succeeded);
        assert_eq!(intervals.last().map_or(0, |i| i.in_flight), 0);
    }
}

/// Of what a snapshot counted none of, more might have come.
fn check_threshold(outcome: &EngineOutcome) {
    let result = &outcome.thresholds[0];
    let is_whole = outcome.status == RunStatus::Complete;
    let expected = if is_whole { (Some(Quantity::Number(0.0)), true) } else { (None, false) };
    assert_eq!((result.observed.and_then(Known::exact), result.met), expected, "{:?}", outcome.stages[0].totals);
}

#[tokio::test(start_paused = true)]
async fn every_second_there_is_a_record_that_adds_up_and_the_last_is_the_outcome() {
    let threshold = "[[threshold]]\ncheck = 'stage.failed.tls == 0'";
    let scenario = scenario(60, &format!("arrival = {{ process = 'constant', rate = '10/s' }}\n{threshold}"));
    let answer = |device| if device % 7 == 0 { Answer::Refuse(MS(900)) } else { Answer::Issue(MS(1_700)) };
    let (sender, kept) = mpsc::channel();
    let mut run = Run::new(scenario, service::start(script(answer)));
    run.snapshots = Some(Box::new(move |snapshot| sender.send(snapshot).unwrap()));
    let outcome = run.outcome().await;
    let kept: Vec<EngineOutcome> = kept.iter().collect();
    assert!(kept.len() >= 7, "{} snapshots", kept.len());
    assert_eq!(outcome.status, RunStatus::Complete);
    check(&outcome);
    check_threshold(&outcome);
    let mut before = 0;
    for snapshot in &kept {
        check(snapshot);
        check_threshold(snapshot);
        assert_eq!(snapshot.status, RunStatus::Lost);
        let totals = &snapshot.stages[0].totals;
        assert!(totals.succeeded >= before && totals.succeeded <= outcome.stages[0].totals.succeeded);
        // At most a second and a publication behind: ten start in each, and those that succeed take 1.7 s.
        let at_least = snapshot.elapsed.as_secs_f64() - 1.7 - 1.5;
        assert!(totals.succeeded as f64 >= at_least * 10.0 * 6.0 / 7.0 - 2.0, "{totals:?} at {:?}", snapshot.elapsed);
        before = totals.succeeded;
    }
}

/// Whoever has much to do answers late: a record must not need an answer from anybody.
#[tokio::test]
async fn records_are_made_although_nothing_else_gets_its_turn() {
    let text = "arrival = { process = 'constant', rate = '50/s' }\n[limits]\nworkers = 1";
    let mut run = Run::new(scenario(1_000, text), service::start(script(|_| Answer::Issue(MS(0)))));
    let (sender, kept) = mpsc::channel();
    run.execution = Execution::Threads;
    run.snapshots = Some(Box::new(move |snapshot: EngineOutcome| {
        // Nobody looks any more once the test knows enough.
        let _ = sender.send(snapshot.elapsed);
    }));
    let stop = run.stop.clone();
    // Blocks the runtime that conducts the run, and on which the service answers, until there were three more.
    let blocked = tokio::spawn(async move {
        while kept.try_recv().is_err() {
            tokio::time::sleep(MS(1)).await;
        }
        let more: Vec<Duration> = (0..3).map(|_| kept.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
        stop.cancel();
        more
    });
    let outcome = run.outcome().await;
    let more = blocked.await.unwrap();
    assert_eq!(outcome.status, RunStatus::Interrupted);
    assert!(more.windows(2).all(|pair| pair[1] >= pair[0] + MS(500)), "{more:?}");
}
