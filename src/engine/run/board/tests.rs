use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::SystemTime;

use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;

use super::*;
use crate::domain::{Failure, FailureClass, Known, Quantity};
use crate::engine::clock::RunClock;
use crate::engine::plan::share::{InFlightLimit, LimitedBy};
use crate::engine::record::publication::{COPY_EVERY, Interest, Publication};
use crate::engine::run::crew::Execution;
use crate::engine::run::keeper::Keeper;
use crate::engine::run::outcome::{EngineOutcome, RunStart};
use crate::measure::RunStatus;
use crate::measure::{CpuUse, Outcome};
use crate::scenario::Scenario;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Two stages of seven devices.
fn scenario() -> Scenario {
    let stage = |name: &str| format!("[[stage]]\nname = '{name}'\nkind = 'provision'\narrival = 'at-once'\n");
    let text = format!(
        "schema = 1\nname = 'x'\nfleet.devices = 7\nthresholds = ['first.failed == 0']\n{}{}",
        stage("first"),
        stage("second")
    );
    Scenario::parse("x.toml", &text, &[]).unwrap()
}

fn board() -> Board {
    Board::new(Arc::new(Plan::new(&scenario(), 1)), true)
}

const BEGIN: Begin = Begin { due: Duration::from_secs(2), late: Duration::from_millis(3) };

/// A stage of two workers that begins.
fn begins(board: &Board, stage: usize) -> [Publication; 2] {
    let workers = [(); 2].map(|()| Publication::new(Arc::new(Interest::new([], false, true))));
    let display = Display::new(workers.to_vec(), stage, 7, BEGIN.due);
    board.began(OnBoard { display, begin: Some(BEGIN), from: BEGIN.due, over: None });
    workers
}

/// A worker of four devices, of which one failed and one goes on since then.
fn one_of_four(publication: &Publication) -> Recorder {
    let failure = Failure::new(FailureClass::Tls, "no");
    let at = BEGIN.due;
    let mut recorder = Recorder::new();
    recorder.publish_in(publication.clone(), 4);
    (0..2).for_each(|device| {
        recorder.started(device, at, at);
        recorder.attempt_started(device, at, at);
    });
    let attempt = crate::measure::Attempt {
        ended: at,
        ..crate::measure::Attempt::that(Outcome::Failed(failure.class), crate::measure::PhaseTimes::new())
    };
    recorder.attempt_ended(&attempt, Some(&failure));
    recorder.device_ended(0, at, Outcome::Failed(failure.class), at);
    recorder.keep_now(at + MS(100));
    recorder
}

fn failed(stage: &Merged) -> [u64; 2] {
    [FailureClass::Tls, FailureClass::Cut].map(|class| stage.stage.totals.failed[class])
}

#[test]
fn a_stage_that_goes_on_is_as_if_it_were_cut_off_when_its_workers_last_put_a_copy() {
    let board = board();
    let [first, _] = begins(&board, 1);
    let untouched = board.stages(BEGIN.due);
    assert_eq!(untouched.0[1].stage.totals.not_started, 7, "no worker has put a copy yet");
    drop(one_of_four(&first));
    // However often it is looked at, as long as no newer copy comes.
    for _ in 0..2 {
        let (stages, errors) = board.stages(BEGIN.due + MS(200));
        let [not_begun, goes_on] = &stages[..] else { panic!("two stages") };
        assert_eq!((not_begun.stage.totals.not_started, not_begun.stage.begin), (7, None));
        let totals = &goes_on.stage.totals;
        // Two of the worker's four are not started, and the other worker's three.
        assert_eq!((totals.planned, totals.started, totals.not_started), (7, 2, 5));
        assert_eq!(failed(goes_on), [1, 1]);
        assert!(totals.add_up(), "{totals:?}");
        assert_eq!((goes_on.stage.begin, goes_on.whole), (Some(BEGIN), false));
        let rows: Vec<_> = errors.into_rows().iter().map(|row| (row.class, row.count)).collect();
        assert_eq!(rows, [(FailureClass::Tls, 1), (FailureClass::Cut, 1)]);
    }
    let (cut_off, errors) = board.cut_off(1, BEGIN.due + MS(300));
    assert_eq!((failed(&cut_off), errors.into_rows().len()), ([1, 1], 2));
    let last = board.last_of(1, 0).expect("it has put one");
    assert_eq!((last.totals.attempts, last.totals.planned), (2, 4));
    assert!(board.last_of(1, 1).is_none() && board.last_of(1, 2).is_none() && board.last_of(0, 0).is_none());
}

#[test]
fn a_stage_that_is_over_is_what_it_came_to_and_those_beside_it_go_on() {
    let board = board();
    let ([of_first, _], [of_second, _]) = (begins(&board, 0), begins(&board, 1));
    drop((one_of_four(&of_first), one_of_four(&of_second)));
    let mut over = Merged::not_started(&board.plan, 1, BEGIN.due);
    (over.stage.totals.succeeded, over.stage.totals.not_started, over.whole) = (6, 1, true);
    let mut errors = Errors::default();
    errors.count(&Failure::new(FailureClass::Network, "gone"), BEGIN.due, 5);
    board.over(1, &over, &errors, BEGIN.due + MS(100));
    let (stages, all) = board.stages(BEGIN.due + MS(200));
    assert_eq!(failed(&stages[0]), [1, 1]);
    assert_eq!((stages[1].stage.totals.succeeded, failed(&stages[1]), stages[1].whole), (6, [0, 0], true));
    let count = |errors: Errors| errors.into_rows().iter().map(|row| (row.class, row.count)).collect::<Vec<_>>();
    let network = (FailureClass::Network, 5);
    assert_eq!(count(all), [network, (FailureClass::Tls, 1), (FailureClass::Cut, 1)]);
    assert_eq!(count(board.errors()), [network], "those of stages that are over");
    assert!(board.last_of(1, 0).is_none() && board.last_of(0, 0).is_some());
}

fn threshold(observed: f64) -> ThresholdResult {
    let text = "first.failed == 0".to_owned();
    ThresholdResult { text, observed: Some(Known::Is(Quantity::Number(observed))), met: false, stopped_at: Some(MS(1)) }
}

#[test]
fn notes_stay_in_their_order_and_of_thresholds_the_first_that_ends_the_run() {
    let board = board();
    assert_eq!((board.notes(), board.broken()), (Vec::new(), None));
    ["one", "two"].into_iter().for_each(|note| board.note(note.to_owned()));
    [1.0, 2.0].into_iter().for_each(|observed| board.breaks(threshold(observed)));
    assert_eq!(board.notes(), ["one", "two"]);
    assert_eq!(board.broken(), Some(threshold(1.0)));
}

/// A keeper of a run whose first stage goes on, and the records that it makes.
fn keeper(execution: Execution) -> (Keeper, Receiver<EngineOutcome>) {
    let (sender, records) = channel();
    let start = RunStart {
        scenario: Arc::new(scenario()),
        started_at: SystemTime::UNIX_EPOCH,
        prepare: Duration::ZERO,
        cpu_at_start: CpuUse::default(),
        cpu_at_begin: CpuUse::default(),
        limit: InFlightLimit { limit: 9, from: LimitedBy::MaxInFlight },
        gauges: Arc::default(),
        execution,
    };
    let board = board();
    let [first, _] = begins(&board, 0);
    drop(one_of_four(&first));
    board.note("a note".to_owned());
    board.breaks(threshold(1.0));
    let snapshots = Box::new(move |outcome| drop(sender.send(outcome)));
    (Keeper { snapshots, start: Arc::new(start), board: Arc::new(board), clock: RunClock::start() }, records)
}

/// A keeper whose receiver breaks with the first record, of which it says so much.
fn broken(execution: Execution) -> (Keeper, Receiver<()>) {
    let (sender, breaks) = channel();
    let snapshots = Box::new(move |_| {
        sender.send(()).unwrap();
        panic!("this receiver breaks");
    });
    (Keeper { snapshots, ..keeper(execution).0 }, breaks)
}

#[tokio::test(start_paused = true)]
async fn twice_a_second_there_is_a_record_of_the_run_board() {
    let local = async {
        let (keeper, records) = keeper(Execution::Inline);
        let keeping = keeper.start(Execution::Inline).unwrap();
        sleep(MS(1_400)).await;
        let made: Vec<EngineOutcome> = records.try_iter().collect();
        // The runtime's timers are good to a millisecond.
        let at: Vec<u128> = made.iter().map(|record| record.elapsed.as_millis() / 10).collect();
        assert_eq!(at, [0, 50, 100]);
        for record in made {
            assert_eq!((record.status, record.certificates), (RunStatus::Lost, None));
            assert_eq!(record.stages.iter().map(|stage| stage.totals.not_started).collect::<Vec<_>>(), [5, 7]);
            assert_eq!(record.errors.iter().map(|row| row.count).sum::<u64>(), 2);
            assert_eq!((record.notes, record.thresholds), (vec!["a note".to_owned()], vec![threshold(1.0)]));
        }
        assert!(keeping.end(), "it was at work until then");
        sleep(MS(5_000)).await;
        assert!(matches!(records.try_recv(), Err(TryRecvError::Disconnected)), "and makes no more");
        let keeping = broken(Execution::Inline).0.start(Execution::Inline).unwrap();
        yield_now().await;
        assert!(!keeping.end(), "a keeper that broke is told from one that did not");
    };
    LocalSet::new().run_until(local).await;
}

/// Time that cannot pass.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn the_thread_of_a_keeper_makes_no_more_than_two_records_in_a_second_and_none_once_it_is_ended() {
    let (keeper, records) = keeper(Execution::Threads);
    let keeping = keeper.start(Execution::Threads).unwrap();
    let [first, second] = [(); 2].map(|()| records.recv_timeout(LONG).expect("it makes one").elapsed);
    assert!(second >= first + COPY_EVERY, "{first:?} {second:?}");
    assert!(keeping.end(), "it was at work until then");
    // Those that it made while this thread had no turn.
    while records.try_recv().is_ok() {}
    assert!(matches!(records.try_recv(), Err(TryRecvError::Disconnected)), "the end of the run makes the last one");
    let (keeper, breaks) = broken(Execution::Threads);
    let keeping = keeper.start(Execution::Threads).unwrap();
    breaks.recv_timeout(LONG).expect("it has begun");
    assert!(!keeping.end());
}

/// Whoever conducts the run broke: what was put aside last is not lost.
#[test]
fn a_keeper_that_nobody_ends_makes_a_last_record() {
    let (keeper, records) = keeper(Execution::Threads);
    let keeping = keeper.start(Execution::Threads).unwrap();
    records.recv_timeout(LONG).expect("it makes one");
    drop(keeping);
    assert!(records.try_recv().is_ok());
    while records.try_recv().is_ok() {}
    assert!(matches!(records.try_recv(), Err(TryRecvError::Disconnected)), "its thread is gone");
}
