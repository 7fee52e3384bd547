use std::pin::pin;
use std::sync::mpsc;

use futures_util::FutureExt as _;

use super::*;
use crate::engine::plan::schedule::Begins;
use crate::engine::plan::share::Split;
use crate::engine::scene;

const S: fn(u64) -> Duration = Duration::from_secs;

/// Works of a fleet of five devices and two stages, in which nothing is made as long as the gate is there.
struct Shut {
    works: Arc<KeyWorks>,
    setups: [Arc<StageSetup>; 2],
    gate: mpsc::Sender<()>,
}

fn shut(ahead: u32) -> Shut {
    let scenario =
        scene::scenario(5, "arrival = 'at-once'\n[[stage]]\nname = 't'\nkind = 'provision'\narrival = 'at-once'");
    let (pool, gate) = scene::gated_pool();
    let works = KeyWorks::new(Some(pool), Arc::new(Plan::new(&scenario, 7)), ahead);
    let classes = scene::classes(&scenario);
    Shut {
        works: Arc::new(works),
        setups: [0, 1].map(|stage| Arc::new(StageSetup::new(stage, &scenario, &classes))),
        gate,
    }
}

fn lane(begins: Begins, workers: u32) -> Lane {
    let devices = (0..5).map(|device| (Duration::ZERO, device));
    Lane::new(begins, Box::new(devices), 5, Split { workers, ..scene::ALONE })
}

impl Shut {
    fn supply(&self, stage: usize, lane: Lane, workers: usize) -> Vec<KeySupply> {
        self.works.supply(&self.setups[stage], lane, workers)
    }

    /// Stage and device of what a thread would make next.
    fn next(&self) -> Option<(u16, u32)> {
        match self.works.orders().next(self.works.clock.get().map(|clock| clock.now()))? {
            KeyOrder::Now(setup, device, _) | KeyOrder::Ahead { setup, device, .. } => Some((setup.index, device)),
        }
    }

    /// Stages of all that is to be made.
    fn stages(&self) -> Vec<u16> {
        std::iter::from_fn(|| self.next()).map(|(stage, _)| stage).collect()
    }

    /// A key comes that was made.
    fn comes(&self, place: u64, device: u32) {
        let key = self.works.make(&self.setups[0], device);
        let orders = self.works.orders();
        orders.counters[0].as_ref().unwrap().workers[0].send((place, key)).unwrap();
    }
}

#[tokio::test]
async fn whoever_waits_for_keys_waits_until_there_are_as_many() {
    let made = Made::default();
    made.one();
    let mut waiting = pin!(made.wait_for(3));
    for _ in 0..2 {
        assert!(waiting.as_mut().now_or_never().is_none());
        made.one();
    }
    assert!(waiting.now_or_never().is_some());
    assert!(made.wait_for(2).now_or_never().is_some() && made.wait_for(4).now_or_never().is_none());
}

#[test]
fn what_is_due_decides_once_it_is_known_when_stages_begin_and_what_time_it_is() {
    let at_zero = || Begins::At(S(0));
    let both = || {
        let shut = shut(100);
        let kept = [0, 1].map(|stage| shut.supply(stage, lane(at_zero(), 1).running(true), 1));
        (shut, kept)
    };
    let (before, _kept) = both();
    assert_eq!(before.stages(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    let (after, _kept) = both();
    after.works.start(RunClock::start());
    assert_eq!(after.stages(), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1], "both lack keys that are due");

    let foreseen = || {
        let shut = shut(100);
        let kept = [lane(Begins::At(S(5)), 1), lane(Begins::NotBefore(S(9)), 1)];
        let kept = kept.into_iter().enumerate().map(|(stage, lane)| shut.supply(stage, lane, 1)).collect::<Vec<_>>();
        (shut, kept)
    };
    let (known, _kept) = foreseen();
    assert_eq!(known.next(), Some((0, 0)));
    known.works.begins(1, S(2));
    assert_eq!(known.next(), Some((1, 0)));
}

#[test]
fn stages_that_run_have_keys_ahead_of_their_own() {
    let shut = shut(2);
    let _kept = [0, 1].map(|stage| shut.supply(stage, lane(Begins::At(S(stage as u64)), 1), 1));
    assert_eq!(shut.works.expected(), (2, 0));
    [0, 1].into_iter().for_each(|stage| shut.works.runs(stage));
    assert_eq!(shut.works.expected(), (4, 0));
    assert_eq!(shut.stages(), [0, 0, 1, 1]);
}

#[test]
fn no_more_threads_are_put_to_work_than_there_are() {
    let shut = shut(100);
    assert_eq!(shut.works.orders().makers, 0);
    let _kept = [0, 1].map(|stage| {
        let kept = shut.supply(stage, lane(Begins::At(S(0)), 1), 1);
        assert_eq!(shut.works.orders().makers, 1);
        kept
    });
    drop(shut.works.order(&shut.setups[0], 3));
    assert_eq!(shut.works.orders().makers, 1);
}

#[test]
fn a_device_that_waits_at_work_is_served_before_all_and_one_that_was_cut_is_not() {
    let shut = shut(100);
    let _kept = shut.supply(0, lane(Begins::At(S(0)), 1), 1);
    let cut = shut.works.order(&shut.setups[1], 3);
    let _waits = shut.works.order(&shut.setups[1], 4);
    drop(cut);
    assert_eq!([shut.next(), shut.next()], [Some((1, 4)), Some((0, 0))]);
}

#[tokio::test]
async fn keys_are_made_in_the_end_and_counted() {
    let shut = shut(100);
    let mut kept = shut.supply(0, lane(Begins::At(S(0)), 1).whole(true), 1);
    assert_eq!((shut.works.expected(), shut.works.made()), ((5, 5), 0));
    assert!(shut.works.wait_for(1).now_or_never().is_none() && shut.works.wait_for_whole(1).now_or_never().is_none());
    let ordered = shut.works.order(&shut.setups[0], 4);
    drop(shut.gate);
    shut.works.wait_for(5).await;
    shut.works.wait_for_whole(5).await;
    assert_eq!(shut.works.made(), 5, "those that were ordered are not ahead of need");
    let id = |key: MadeKey| key.unwrap().registration_id().to_string();
    assert_eq!(id(ordered.await.unwrap()), "d-4");
    let taken = (0..5).map(|device| id(kept[0].take(device).expect("it was made")));
    assert_eq!(taken.collect::<Vec<_>>(), ["d-0", "d-1", "d-2", "d-3", "d-4"]);
}

#[test]
fn a_device_waits_for_its_own_key_and_those_of_devices_that_have_passed_are_not_kept() {
    let shut = shut(100);
    let mut supply = shut.supply(0, lane(Begins::At(S(0)), 1), 1).remove(0);
    assert!(supply.ready().now_or_never().is_none() && supply.take(0).is_none());
    shut.comes(0, 0);
    assert!(supply.ready().now_or_never().is_some());
    assert_eq!(supply.take(0).unwrap().unwrap().registration_id().as_str(), "d-0");
    supply.skip();
    shut.comes(1, 1);
    assert!(supply.ready().now_or_never().is_none());
    assert!(supply.arrived.is_empty());
    shut.comes(3, 3);
    assert!(supply.ready().now_or_never().is_none(), "that is another's");
    shut.comes(2, 2);
    assert!(supply.ready().now_or_never().is_some());
    assert_eq!(supply.take(2).unwrap().unwrap().registration_id().as_str(), "d-2");
    assert!(supply.ready().now_or_never().is_some(), "that of the next one is here already");
}

#[test]
fn waiting_for_a_key_asks_for_it() {
    let shut = shut(1);
    let mut supplies = shut.supply(0, lane(Begins::At(S(0)), 2).closed(1).running(true), 2);
    assert_eq!((shut.next(), shut.next()), (Some((0, 0)), None), "only one may be ahead, that of the other worker");
    for _ in 0..2 {
        assert!(supplies[1].ready().now_or_never().is_none());
        assert!(shut.works.orders().ahead.has_next());
    }
    assert_eq!((shut.next(), shut.next()), (Some((0, 1)), None));
}

#[test]
fn nothing_is_made_any_more_for_a_worker_that_is_through() {
    let shut = shut(100);
    let supplies = shut.supply(0, lane(Begins::At(S(0)), 2), 2);
    assert_eq!(shut.works.expected(), (5, 0));
    drop(supplies);
    assert_eq!((shut.works.expected(), shut.next()), ((0, 0), None));
}
