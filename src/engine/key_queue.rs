//! Whose key is made next: that of the device that is due first, whichever stage it takes part in. But when several stages lack
//! keys that are due, they take turns, so that none waits for all keys of another; and keys that are made in no time never wait for
//! those that are not, of which even one would make them late.

use std::iter::Peekable;
use std::time::Duration;

use crate::engine::pacer::DueList;
use crate::engine::share::Split;

/// Keys to be made, a lane for each stage. Says what to make next; knows nothing of making.
pub(super) struct KeyQueue {
    /// By index of the stage.
    lanes: Vec<Option<Lane>>,
    /// Most keys ahead of need: of every stage that has begun; those that have not share what these leave of it.
    most: u64,
    /// Keys so far.
    count: u64,
}

/// The devices of a stage that need keys.
pub(super) struct Lane {
    begins: Begins,
    /// Whether the stage goes on.
    runs: bool,
    /// Whether all its keys are to be made as soon as can be, however far ahead that is.
    whole: bool,
    /// Whether its keys are made in no time: as many as may be ahead of need in about the time of one of the others.
    quick: bool,
    /// When it had its last turn; counted in keys.
    served: u64,
    /// In a closed workload: how many devices are at work at a time.
    turns: Option<u64>,
    /// From the begin of the stage (real time), in order.
    devices: Peekable<DueList>,
    left: u64,
    split: Split,
    /// By worker.
    takers: Vec<Taker>,
    /// Keys made, or at work, that no device has taken.
    ahead: u64,
}

/// When a stage begins, on the clock of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// Then.
    At(Duration),
    /// When others have ended: not before then.
    NotBefore(Duration),
}

/// How far a worker and its keys are, in devices from the first one on.
#[derive(Debug, Clone, Copy, Default)]
struct Taker {
    /// Those whose keys are made, at work or not wanted any more.
    given: u64,
    /// Those that have started or were dropped.
    passed: u64,
    closed: bool,
    /// A device of a closed workload is at its turn and waits for its key.
    waits: bool,
}

impl Taker {
    /// Whether it waits for a key that nobody is asked for yet.
    const fn starves(&self) -> bool {
        self.waits && !self.closed && self.given <= self.passed
    }
}

/// The next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stage: usize,
    pub(super) device: u32,
    pub(super) worker: usize,
    /// Of the device among those of its worker.
    pub(super) place: u64,
}

/// What is made first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    /// Quick ones first.
    slow: bool,
    need: Need,
}

/// When a key is needed, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Now. The stage had its last turn then.
    Overdue(u64),
    /// Then.
    At(Duration),
    /// When others have ended: perhaps then.
    NotBefore(Duration),
    /// When another device is done, which nobody can foresee.
    Sometime,
}

impl Lane {
    /// `devices` of them, of which [`KeyQueue::next`] gives one after the other.
    pub(super) fn new(begins: Begins, due: DueList, devices: u64, split: Split) -> Self {
        let takers = vec![Taker::default(); split.workers as usize];
        Self {
            begins,
            runs: false,
            whole: false,
            quick: false,
            served: 0,
            turns: None,
            devices: due.peekable(),
            left: devices,
            split,
            takers,
            ahead: 0,
        }
    }

    /// Of a closed workload, where the devices after the first `turns` are due when another is done.
    pub(super) fn closed(self, turns: u64) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// All of its keys are made, however many are there.
    pub(super) fn whole(self, whole: bool) -> Self {
        Self { whole, ..self }
    }

    /// Its keys are made in no time.
    pub(super) fn quick(self, quick: bool) -> Self {
        Self { quick, ..self }
    }

    /// The stage begins with the run.
    pub(super) fn running(self, runs: bool) -> Self {
        Self { runs, ..self }
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Most keys that it will still have ahead of need, of `most`.
    fn demand(&self, most: u64) -> u64 {
        (self.left + self.ahead).min(most)
    }

    /// `None` when there is none to be made, or there are enough.
    fn urgency(&mut self, now: Option<Duration>, most: u64, room: u64) -> Option<Urgency> {
        let enough = if self.runs { self.ahead >= most } else { room == 0 };
        // Keys of workers that get no turn must not keep one from a worker that has: it would keep the turn for ever.
        let starves = self.takers.iter().any(Taker::starves);
        if enough && !self.whole && !starves {
            return None;
        }
        let (offset, _) = self.devices.peek()?;
        let need = match (self.begins, self.turns) {
            (_, Some(turns)) if self.ahead >= turns && !starves => Need::Sometime,
            (Begins::NotBefore(begin), _) => Need::NotBefore(begin.saturating_add(*offset)),
            (Begins::At(begin), _) => {
                let due = begin.saturating_add(*offset);
                let overdue = now.is_some_and(|now| due <= now);
                if overdue && !self.quick { Need::Overdue(self.served) } else { Need::At(due) }
            }
        };
        Some(Urgency { slow: !self.quick, need })
    }
}

impl KeyQueue {
    /// Nothing to be made for so many stages.
    pub(super) fn new(stages: usize, most: u64) -> Self {
        Self { lanes: (0..stages).map(|_| None).collect(), most, count: 0 }
    }

    /// Keys of one more stage.
    pub(super) fn add(&mut self, stage: usize, lane: Lane) {
        if let Some(place) = self.lanes.get_mut(stage) {
            *place = Some(lane);
        }
    }

    /// It is known when a stage begins.
    pub(super) fn begins(&mut self, stage: usize, at: Duration) {
        if let Some(lane) = self.lane(stage) {
            lane.begins = Begins::At(at);
        }
    }

    /// A stage has begun.
    pub(super) fn runs(&mut self, stage: usize) {
        if let Some(lane) = self.lane(stage) {
            lane.runs = true;
        }
    }

    /// How many keys are made as long as nobody takes any: all, and those of [`Lane::whole`] among them.
    pub(super) fn expected(&self) -> (u64, u64) {
        let all = |lane: &Lane| lane.left + lane.ahead;
        let whole = self.lanes.iter().flatten().filter(|lane| lane.whole).map(all).sum();
        let later: u64 = self.bounded(false).map(all).sum();
        let now = self.reserved();
        (whole + now + later.min(self.most.saturating_sub(now)), whole)
    }

    fn bounded(&self, runs: bool) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().flatten().filter(move |lane| !lane.whole && lane.runs == runs)
    }

    /// What stages that have begun will have ahead of need at most.
    fn reserved(&self) -> u64 {
        self.bounded(true).map(|lane| lane.demand(self.most)).sum()
    }

    /// Whether there is a key to be made now.
    pub(super) fn has_next(&mut self) -> bool {
        self.most_urgent(None).is_some()
    }

    /// What to make now, on the clock of the run; `None` before it starts. It counts as ahead of need until its device has
    /// [passed](Self::passed).
    pub(super) fn next(&mut self, now: Option<Duration>) -> Option<Wanted> {
        loop {
            let stage = self.most_urgent(now)?;
            self.count += 1;
            let count = self.count;
            let lane = self.lane(stage)?;
            lane.served = count;
            let (_, device) = lane.devices.next()?;
            lane.left = lane.left.saturating_sub(1);
            let worker = lane.split.worker_of(device);
            let taker = lane.takers.get_mut(worker)?;
            let place = taker.given;
            taker.given += 1;
            if taker.closed {
                taker.passed = taker.given;
            }
            if place < taker.passed {
                continue;
            }
            lane.ahead += 1;
            return Some(Wanted { stage, device, worker, place });
        }
    }

    /// The next device of a worker waits for its key and, in a closed workload, keeps others from theirs meanwhile: it is made
    /// however many keys of other workers are ahead of need.
    pub(super) fn waits(&mut self, stage: usize, worker: usize) {
        let Some(lane) = self.lane(stage).filter(|lane| lane.turns.is_some()) else { return };
        if let Some(taker) = lane.takers.get_mut(worker) {
            taker.waits = true;
        }
    }

    /// The next device of a worker has started, or will not.
    pub(super) fn passed(&mut self, stage: usize, worker: usize) {
        self.take(stage, worker, |taker| {
            taker.passed += 1;
            taker.waits = false;
        });
    }

    /// A worker wants no more keys of a stage.
    pub(super) fn close(&mut self, stage: usize, worker: usize) {
        self.take(stage, worker, |taker| {
            taker.passed = taker.passed.max(taker.given);
            taker.closed = true;
        });
        if let Some(lane) = self.lane(stage)
            && lane.takers.iter().all(|taker| taker.closed)
        {
            lane.devices = (Box::new(std::iter::empty()) as DueList).peekable();
            lane.left = 0;
        }
    }

    fn take(&mut self, stage: usize, worker: usize, how: impl FnOnce(&mut Taker)) {
        let Some(lane) = self.lanes.get_mut(stage).and_then(Option::as_mut) else { return };
        let Some(taker) = lane.takers.get_mut(worker) else { return };
        let before = taker.given.saturating_sub(taker.passed);
        how(taker);
        let taken = before - taker.given.saturating_sub(taker.passed);
        lane.ahead -= taken;
    }

    fn lane(&mut self, stage: usize) -> Option<&mut Lane> {
        self.lanes.get_mut(stage)?.as_mut()
    }

    fn most_urgent(&mut self, now: Option<Duration>) -> Option<usize> {
        let most = self.most;
        let ahead: u64 = self.bounded(false).map(|lane| lane.ahead).sum();
        let room = most.saturating_sub(self.reserved() + ahead);
        let lanes = self.lanes.iter_mut().enumerate();
        let urgent = lanes.filter_map(|(stage, lane)| Some((lane.as_mut()?.urgency(now, most, room)?, stage)));
        urgent.min().map(|(_, stage)| stage)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Shard;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn split(workers: u32) -> Split {
        Split { shard: Shard::WHOLE, workers }
    }

    fn lane(begins: Begins, due: &[u64], workers: u32) -> Lane {
        let list: Vec<(Duration, u32)> = due.iter().map(|at| MS(*at)).zip(0..).collect();
        let devices = list.len() as u64;
        Lane::new(begins, Box::new(list.into_iter()), devices, split(workers))
    }

    /// Stages in the order in which keys are made when nobody takes any.
    fn order(queue: &mut KeyQueue) -> Vec<usize> {
        std::iter::from_fn(|| queue.next(None)).map(|wanted| wanted.stage).collect()
    }

    #[test]
    fn a_key_that_is_due_now_does_not_wait_for_those_of_another_stage_that_are_due_later() {
        let mut queue = KeyQueue::new(3, 100);
        queue.add(1, lane(Begins::At(MS(10)), &[0; 50], 1));
        queue.add(0, lane(Begins::At(MS(0)), &[0, 5, 10, 15], 1).running(true));
        // Foreseen for before all others, but it is not known whether it comes then.
        queue.add(2, lane(Begins::NotBefore(MS(0)), &[0; 3], 1));
        assert_eq!(order(&mut queue), [&[0; 3][..], &[1; 50], &[0], &[2; 3]].concat());
    }

    #[test]
    fn stages_that_lack_keys_take_turns_and_quick_ones_never_wait() {
        let queue = || {
            let mut queue = KeyQueue::new(3, 100);
            queue.add(0, lane(Begins::At(MS(0)), &[0, 1, 2, 3], 1).running(true));
            queue.add(1, lane(Begins::At(MS(9)), &[0, 1, 2, 91], 1).running(true));
            queue.add(2, lane(Begins::At(MS(50)), &[0, 1], 1).quick(true));
            queue
        };
        assert_eq!(order(&mut queue()), [2, 2, 0, 0, 0, 0, 1, 1, 1, 1]);
        let mut late = queue();
        // Those of stage 1 are due at 9, 10, 11 and 100 ms.
        let overdue = std::iter::from_fn(|| late.next(Some(MS(20)))).map(|wanted| wanted.stage);
        assert_eq!(overdue.collect::<Vec<_>>(), [2, 2, 0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_stage_is_moved_up_when_its_begin_is_known() {
        let mut queue = KeyQueue::new(2, 100);
        queue.add(0, lane(Begins::At(MS(0)), &[0, 10, 20, 30], 1).running(true));
        queue.add(1, lane(Begins::NotBefore(MS(5)), &[0, 1], 1));
        assert_eq!([queue.next(None), queue.next(None)].map(|wanted| wanted.unwrap().stage), [0, 0]);
        queue.begins(1, MS(12));
        assert_eq!(order(&mut queue), [1, 1, 0, 0]);
    }

    #[test]
    fn a_worker_that_has_the_turn_gets_its_key_however_many_keys_of_others_are_ahead() {
        let mut queue = KeyQueue::new(1, 1);
        queue.add(0, lane(Begins::At(MS(0)), &[0; 6], 2).closed(1).running(true));
        let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
        assert_eq!([next(), next()], [Some((0, 0)), None]);
        queue.passed(0, 0);
        let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
        assert_eq!([next(), next()], [Some((1, 1)), None], "the one that may be ahead is the other worker's");
        queue.waits(0, 0);
        assert!(queue.has_next());
        let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
        assert_eq!([next(), next()], [Some((2, 0)), None]);
        queue.passed(0, 0);
        queue.waits(0, 0);
        let mut next = || queue.next(None).map(|wanted| (wanted.device, wanted.worker));
        assert_eq!([next(), next(), next()], [Some((3, 1)), Some((4, 0)), None], "with those before it");
    }

    #[test]
    fn of_a_closed_workload_only_those_that_have_a_turn_are_due() {
        let mut queue = KeyQueue::new(2, 100);
        queue.add(0, lane(Begins::At(MS(0)), &[0; 6], 1).closed(2).running(true));
        queue.add(1, lane(Begins::At(MS(10)), &[0, 1], 1));
        assert_eq!(order(&mut queue), [0, 0, 1, 1, 0, 0, 0, 0]);
        queue.passed(0, 0);
        assert!(!queue.has_next());
    }

    #[test]
    fn stages_that_have_begun_have_keys_ahead_of_their_own_and_others_share_what_is_left() {
        let mut queue = KeyQueue::new(4, 4);
        queue.add(0, lane(Begins::At(MS(0)), &[0; 3], 1).running(true));
        queue.add(1, lane(Begins::At(MS(5)), &[0; 9], 1));
        queue.add(2, lane(Begins::At(MS(9)), &[0; 9], 1));
        queue.add(3, lane(Begins::At(MS(9)), &[0; 5], 1).whole(true));
        assert_eq!(queue.expected(), (9, 5));
        assert_eq!(order(&mut queue), [0, 0, 0, 1, 3, 3, 3, 3, 3]);
        // One that is taken makes room for one.
        queue.passed(0, 0);
        assert_eq!(order(&mut queue), [1]);
        queue.runs(1);
        assert_eq!(order(&mut queue), [1, 1]);
        queue.close(1, 0);
        assert_eq!(order(&mut queue), [2, 2]);
    }

    #[test]
    fn each_stage_that_has_begun_has_as_many_ahead_as_there_may_be() {
        let mut queue = KeyQueue::new(2, 2);
        queue.add(0, lane(Begins::At(MS(0)), &[0; 5], 1).running(true));
        queue.add(1, lane(Begins::At(MS(0)), &[0; 5], 1).running(true));
        assert_eq!(queue.expected(), (4, 0));
        assert_eq!(order(&mut queue), [0, 0, 1, 1]);
        // Those that are made are among those that were expected.
        assert_eq!(queue.expected(), (4, 0));
    }

    #[test]
    fn what_is_expected_is_the_same_while_it_is_made_and_less_once_it_is_taken() {
        let whole = lane(Begins::At(MS(0)), &[0; 5], 1).whole(true);
        assert!(whole.is_whole() && !lane(Begins::At(MS(0)), &[0; 5], 1).is_whole());
        let mut queue = KeyQueue::new(1, 100);
        queue.add(0, whole);
        for _ in 0..3 {
            assert_eq!(queue.expected(), (5, 5));
            queue.next(None).unwrap();
        }
        queue.passed(0, 0);
        assert_eq!(queue.expected(), (4, 4));
    }

    proptest! {
        /// Whatever is taken, dropped and closed when: every device's key is made once, in order, unless it had passed before,
        /// and never are more ahead than may be.
        #[test]
        fn every_key_is_made_once_in_the_order_of_due_times(
            dues in prop::collection::vec(prop::collection::vec(0u64..50, 0..40), 1..4),
            workers in 1u32..4,
            most in 1u64..20,
            moves in prop::collection::vec((0usize..4, 0usize..4, 0u8..8), 0..300),
        ) {
            let mut queue = KeyQueue::new(dues.len(), most);
            let mut left = Vec::new();
            for (stage, due) in dues.iter().enumerate() {
                let mut due = due.clone();
                due.sort_unstable();
                queue.add(stage, lane(Begins::At(MS(0)), &due, workers).running(stage % 2 == 0));
                let of = |worker: u32| (0..).take(due.len()).filter(move |device| device % workers == worker);
                left.push((0..workers).map(|worker| of(worker).collect::<Vec<u32>>()).collect::<Vec<_>>());
            }
            let mut made = vec![vec![0u64; workers as usize]; dues.len()];
            let mut passed = made.clone();
            let mut closed = vec![vec![false; workers as usize]; dues.len()];
            let mut last = MS(0);
            let mut took = false;
            for (stage, worker, kind) in moves {
                let (stage, worker) = (stage % dues.len(), worker % workers as usize);
                match kind {
                    0..=3 => if let Some(wanted) = queue.next(None) {
                        let Wanted { stage, device, worker, place } = wanted;
                        prop_assert_eq!(left[stage][worker][place as usize], device);
                        prop_assert!(place >= made[stage][worker] && place >= passed[stage][worker]);
                        prop_assert!(!closed[stage][worker]);
                        made[stage][worker] = place + 1;
                        let mut due = dues[stage].clone();
                        due.sort_unstable();
                        let at = MS(due[device as usize]);
                        prop_assert!(took || at >= last, "as long as nothing is taken, what is due first comes first");
                        last = at;
                        let ahead: u64 = (0..workers as usize)
                            .map(|worker| made[stage][worker].saturating_sub(passed[stage][worker])).sum();
                        prop_assert!(ahead <= most);
                    },
                    4..=6 => {
                        if passed[stage][worker] < left[stage][worker].len() as u64 && !closed[stage][worker] {
                            passed[stage][worker] += 1;
                            queue.passed(stage, worker);
                            took = true;
                        }
                    }
                    _ => {
                        closed[stage][worker] = true;
                        passed[stage][worker] = passed[stage][worker].max(made[stage][worker]);
                        queue.close(stage, worker);
                        took = true;
                    }
                }
            }
        }
    }
}
