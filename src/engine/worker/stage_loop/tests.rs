use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::*;
use crate::device::MemoryConnector;
use crate::domain::FailureClass;
use crate::engine::keys::KeyWorks;
use crate::engine::keys::queue::Lane;
use crate::engine::plan::Plan;
use crate::engine::plan::schedule::Begins;
use crate::engine::plan::share::Split;
use crate::engine::record::publication::Interest;
use crate::engine::scene;
use crate::engine::watch::display::Display;

const S: fn(u64) -> Duration = Duration::from_secs;

type Jobs = Rc<StageJob<MemoryConnector>>;

/// A stage of a worker that has all devices, each of which comes so many seconds after the run began.
fn paced(job: &Jobs, after: &'static [u64]) -> Feed {
    let (sender, receiver) = unbounded_channel();
    let clock = job.worker.clock;
    spawn_local(async move {
        for (device, at) in (0..).zip(after.iter().copied().map(S)) {
            sleep_until(clock.instant(at)).await;
            // Nobody listens when the stage is over before.
            let _ = sender.send(Due { device, at });
        }
    });
    Feed::Paced(receiver)
}

fn order(job: &Jobs, feed: Feed) -> StageOrder {
    StageOrder {
        setup: Arc::clone(&job.setup),
        until: None,
        feed,
        keys: None,
        members: (0..job.worker.run.scenario.fleet.devices).collect(),
        unlisted: Skips::default(),
        turns: None,
        max_lateness: None,
        drain: S(3),
        patience: S(9),
        grace: S(1),
        halt: CancellationToken::new(),
        cut: CancellationToken::new(),
        publication: None,
    }
}

async fn run(job: &Jobs, order: StageOrder) -> StageShare {
    StageLoop { job: Rc::clone(job), order }.run().await
}

const CUT: FailureClass = FailureClass::Cut;

#[tokio::test(start_paused = true)]
async fn the_drain_begins_when_the_last_device_has_started() {
    let local = async {
        let scenario = scene::scenario(2, "arrival = 'at-once'\ntimeout = '20s'");
        let (worker, _silent) = scene::worker(&scenario, 5);
        let job = scene::job(&worker, 0);
        let live = Publication::new(Arc::new(Interest::new([], false, false)));
        let order = StageOrder { publication: Some(live.clone()), ..order(&job, paced(&job, &[0, 10])) };
        let goes_on = spawn_local({
            let job = Rc::clone(&job);
            async move { run(&job, order).await }
        });
        let mut display = Display::new(vec![live], 0, 2, S(0));
        sleep(S(5)).await;
        let told = display.snapshot(job.now());
        assert_eq!((told.totals.attempts, told.in_flight, told.all_due), (1, 1, false));
        sleep(S(6)).await;
        let told = display.snapshot(job.now());
        assert_eq!((told.totals.attempts, told.in_flight, told.all_due), (2, 2, true));
        let share = goes_on.await.unwrap();
        let totals = &share.recorder.totals;
        assert_eq!((totals.planned, totals.started, totals.failed[CUT]), (2, 2, 2));
        assert_eq!((share.recorder.last_end.as_secs(), share.stalled), (13, false));
        let told = display.snapshot(job.now());
        assert_eq!((told.totals.through(), told.in_flight, told.all_due), (2, 0, true));
    };
    LocalSet::new().run_until(local).await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_of_operate_is_not_through_when_all_its_devices_have_come() {
    let local = async {
        let operate = "arrival = 'at-once'\n\
                       [[stage]]\nname = 'life'\nkind = 'operate'\narrival = 'at-once'\nduration = '1m'";
        let (worker, _silent) = scene::worker(&scene::scenario(3, operate), 5);
        let job = scene::job(&worker, 1);
        let live = Publication::new(Arc::new(Interest::new([], false, false)));
        let order = StageOrder { publication: Some(live.clone()), ..order(&job, paced(&job, &[0, 0, 0])) };
        let totals = run(&job, order).await.recorder.totals;
        assert_eq!((totals.planned, totals.skipped, totals.started), (3, 3, 0), "they have no certificate");
        let told = Display::new(vec![live], 1, 3, S(0)).snapshot(job.now());
        assert_eq!((told.totals.through(), told.all_due), (3, false));
    };
    LocalSet::new().run_until(local).await;
}

/// Devices that take turns, of a service that does not answer for those that ask within `timeout`.
async fn closed(timeout: &str) -> StageShare {
    let lines = format!(
        "workload = 'closed'\nconcurrency = 1\ntimeout = '{timeout}'\n[fleet.behaviour]\npreset = 'one-attempt'"
    );
    let (worker, _silent) = scene::worker(&scene::scenario(3, &lines), 5);
    let job = scene::job(&worker, 0);
    let order = order(&job, Feed::Pulled(vec![0, 1, 2].into_iter()));
    run(&job, StageOrder { turns: Some(Arc::new(Semaphore::new(1))), patience: S(6), drain: S(20), ..order }).await
}

#[tokio::test(start_paused = true)]
async fn a_closed_workload_ends_when_nobody_gets_through_and_not_as_long_as_somebody_does() {
    let local = async {
        let share = closed("20s").await;
        let totals = &share.recorder.totals;
        assert_eq!((totals.started, totals.failed[CUT], totals.not_started), (1, 1, 2));
        assert_eq!((share.stalled, share.recorder.last_end.as_secs()), (true, 6));
        let share = closed("4s").await;
        let totals = &share.recorder.totals;
        assert_eq!((totals.started, totals.failed[FailureClass::Timeout], totals.not_started), (3, 3, 0));
        assert_eq!((share.stalled, share.recorder.last_end.as_secs()), (false, 12));
    };
    LocalSet::new().run_until(local).await;
}

#[tokio::test(start_paused = true)]
async fn a_halt_starts_nobody_more_and_says_what_became_of_everybody() {
    let local = async {
        let scenario = scene::scenario(6, "arrival = 'at-once'");
        let (worker, _silent) = scene::worker(&scenario, 1);
        let job = scene::job(&worker, 0);
        let mut unlisted = Skips::default();
        unlisted.count(Lack { reason: SkipReason::NoStage, stage: None });
        unlisted.count(Lack { reason: SkipReason::NoStage, stage: None });
        // One starts, two wait for its slot, one comes later, and two do not come at all.
        let order = StageOrder { unlisted, ..order(&job, paced(&job, &[0, 0, 0, 50])) };
        let halt = order.halt.clone();
        spawn_local(async move {
            sleep(S(2)).await;
            halt.cancel();
        });
        let share = run(&job, order).await;
        let totals = &share.recorder.totals;
        assert_eq!((totals.planned, totals.started, totals.failed[CUT]), (6, 1, 1));
        assert_eq!((totals.not_started, totals.skipped), (3, 2));
        assert!(totals.add_up(), "{totals:?}");
        assert_eq!((share.waited_for_slot, share.waited_for_key), (1, 0));
        assert_eq!(share.recorder.last_end.as_secs(), 3, "after the grace");
        let lack = |device| worker.fleet.with(device, |device| device.lack.map(|lack| lack.reason));
        let not_started = Some(SkipReason::NotStarted);
        assert_eq!([0, 1, 2, 3].map(lack), [Some(SkipReason::Cut), not_started, not_started, not_started]);
    };
    LocalSet::new().run_until(local).await;
}

#[test]
fn a_device_that_waits_is_counted_once_for_what_it_waits_for_first() {
    let mut state = LoopState::new(S(0));
    for (want, device) in
        [(Want::Slot, 1), (Want::Slot, 1), (Want::Key, 1), (Want::Key, 2), (Want::Key, 3), (Want::Slot, 4)]
    {
        state.wants(want, device);
        assert_eq!(state.waits_for, Some(want));
    }
    assert_eq!((state.share.waited_for_slot, state.share.waited_for_key), (2, 2));
}

/// Keys of all devices, made by a thread of its own, for as many workers.
fn works(job: &Jobs, lane: Lane, workers: u32, ahead: u32) -> (Arc<KeyWorks>, Vec<KeySupply>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let plan = Arc::new(Plan::new(&job.worker.run.scenario, 7));
    let works = Arc::new(KeyWorks::new(Some(pool), plan, ahead));
    let supplies = works.supply(&job.setup, lane, workers as usize);
    (works, supplies)
}

fn lane(split: Split) -> Lane {
    let at_once = (0..4).map(|device| (Duration::ZERO, device));
    Lane::new(Begins::At(Duration::ZERO), Box::new(at_once), 4, split).running(true)
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_start_leaves_its_key_and_the_next_one_gets_its_own() {
    let local = async {
        let renewal = "arrival = 'at-once'\n[[stage]]\nname = 'renewal'\nkind = 'renew'\narrival = 'at-once'";
        let scenario = scene::scenario(4, renewal);
        // In the first stage the first device is too late; in the second nobody has a certificate.
        for (stage, dropped, skipped, started) in [(0, 1, 0, 1), (1, 0, 2, 0)] {
            let (worker, _silent) = scene::worker(&scenario, 5);
            let job = scene::job(&worker, stage);
            let (works, mut supplies) = works(&job, lane(scene::ALONE), 1, 100);
            works.wait_for(4).await;
            sleep(S(5)).await;
            let order = order(&job, Feed::Ended);
            let order = StageOrder { keys: supplies.pop(), max_lateness: Some(S(1)), ..order };
            let mut stage = StageLoop { job: Rc::clone(&job), order };
            let mut state = LoopState::new(job.now());
            let waiting = |(device, at)| Waiting { due: Due { device, at }, turn: None };
            came(&job, &mut state, [(0, S(0)), (1, S(5))].map(waiting));
            stage.advance(&mut state);
            let totals = job.recorder.borrow().totals;
            assert_eq!((totals.dropped, totals.skipped, state.at_work.len()), (dropped, skipped, started));
            let key = stage.order.keys.as_mut().and_then(|keys| keys.take(2)).expect("it was made").unwrap();
            assert_eq!(key.registration_id().as_str(), "d-2");
        }
    };
    LocalSet::new().run_until(local).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_has_the_turn_gets_its_key_although_those_of_others_are_all_that_may_be_ahead() {
    let local = async {
        let lines = "workload = 'closed'\nconcurrency = 1\n[fleet.behaviour]\npreset = 'one-attempt'";
        let (worker, absent) = scene::worker(&scene::scenario(4, lines), 5);
        drop(absent);
        let job = scene::job(&worker, 0);
        let split = Split { workers: 2, ..scene::ALONE };
        let (works, mut supplies) = works(&job, lane(split).closed(1), 2, 1);
        works.wait_for(1).await;
        let order = order(&job, Feed::Pulled(vec![1, 3].into_iter()));
        let order =
            StageOrder { keys: supplies.pop(), members: vec![1, 3], turns: Some(Arc::new(Semaphore::new(1))), ..order };
        let share = run(&job, order).await;
        let totals = &share.recorder.totals;
        assert_eq!((totals.started, totals.failed[FailureClass::Network]), (2, 2));
    };
    LocalSet::new().run_until(local).await;
}

#[test]
fn what_a_worker_recorded_is_put_aside_when_it_breaks_and_only_then() {
    let scenario = scene::scenario(3, "arrival = 'at-once'");
    let (worker, _silent) = scene::worker(&scenario, 1);
    let job = scene::job(&worker, 0);
    let published = Publication::new(Arc::new(Interest::new([], false, true)));
    job.recorder.borrow_mut().publish_in(published.clone(), 3);
    job.recorder.borrow_mut().started(0, S(0), S(0));
    drop(KeptWhenBroken(Rc::clone(&job)));
    assert!(published.copy().is_none());
    let breaks = |recording: bool| {
        let broke = catch_unwind(AssertUnwindSafe(|| {
            let _recording = recording.then(|| job.recorder.borrow_mut());
            let _kept = KeptWhenBroken(Rc::clone(&job));
            panic!("this worker breaks");
        }));
        assert!(broke.is_err());
        published.copy().map(|recorder| (recorder.totals.started, recorder.totals.not_started))
    };
    assert_eq!(breaks(true), None, "what was being recorded is not whole");
    assert_eq!(breaks(false), Some((1, 2)));
}
