//! Whose key is made next: that of the device that is due first, whichever stage it takes part in. But when several stages lack
//! keys that are due, they take turns, so that none waits for all keys of another; and keys that are made in no time never wait for
//! those that are not, of which even one would make them late.

use std::iter::Peekable;
use std::time::Duration;

use crate::engine::plan::due::DueList;
use crate::engine::plan::schedule::Begins;
use crate::engine::plan::share::Split;

/// Keys to be made, a lane for each stage. Says what to make next; knows nothing of making.
pub(crate) struct KeyQueue {
    /// By index of the stage.
    lanes: Vec<Option<Lane>>,
    /// Most keys ahead of need: of every stage that has begun; those that have not share what these leave of it.
    most: u64,
    /// Keys so far.
    count: u64,
}

/// The devices of a stage that need keys.
pub(crate) struct Lane {
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
    /// From the begin of the stage, in order.
    devices: Peekable<DueList>,
    left: u64,
    split: Split,
    /// By worker.
    takers: Vec<Taker>,
    /// Keys made, or at work, that no device has taken.
    ahead: u64,
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
pub(crate) struct NextKey {
    pub(crate) stage: usize,
    pub(crate) device: u32,
    pub(crate) worker: usize,
    /// Of the device among those of its worker.
    pub(crate) place: u64,
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
    pub(crate) fn new(begins: Begins, due: DueList, devices: u64, split: Split) -> Self {
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
    pub(crate) fn closed(self, turns: u64) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// All of its keys are made, however many are there.
    pub(crate) fn whole(self, whole: bool) -> Self {
        Self { whole, ..self }
    }

    /// Its keys are made in no time.
    pub(crate) fn quick(self, quick: bool) -> Self {
        Self { quick, ..self }
    }

    /// The stage begins with the run.
    pub(crate) fn running(self, runs: bool) -> Self {
        Self { runs, ..self }
    }

    pub(crate) const fn is_whole(&self) -> bool {
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
    pub(crate) fn new(stages: usize, most: u64) -> Self {
        Self { lanes: (0..stages).map(|_| None).collect(), most, count: 0 }
    }

    /// Keys of one more stage.
    pub(crate) fn add(&mut self, stage: usize, lane: Lane) {
        if let Some(place) = self.lanes.get_mut(stage) {
            *place = Some(lane);
        }
    }

    /// It is known when a stage begins.
    pub(crate) fn begins(&mut self, stage: usize, at: Duration) {
        if let Some(lane) = self.lane(stage) {
            lane.begins = Begins::At(at);
        }
    }

    /// A stage has begun.
    pub(crate) fn runs(&mut self, stage: usize) {
        if let Some(lane) = self.lane(stage) {
            lane.runs = true;
        }
    }

    /// How many keys are made as long as nobody takes any: all, and those of [`Lane::whole`] among them.
    pub(crate) fn expected(&self) -> (u64, u64) {
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
    pub(crate) fn has_next(&mut self) -> bool {
        self.most_urgent(None).is_some()
    }

    /// What to make now, on the clock of the run; `None` before it starts. It counts as ahead of need until its device has
    /// [passed](Self::passed).
    pub(crate) fn next(&mut self, now: Option<Duration>) -> Option<NextKey> {
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
            return Some(NextKey { stage, device, worker, place });
        }
    }

    /// The next device of a worker waits for its key and, in a closed workload, keeps others from theirs meanwhile: it is made
    /// however many keys of other workers are ahead of need.
    pub(crate) fn waits(&mut self, stage: usize, worker: usize) {
        let Some(lane) = self.lane(stage).filter(|lane| lane.turns.is_some()) else { return };
        if let Some(taker) = lane.takers.get_mut(worker) {
            taker.waits = true;
        }
    }

    /// The next device of a worker has started, or will not.
    pub(crate) fn passed(&mut self, stage: usize, worker: usize) {
        self.take(stage, worker, |taker| {
            taker.passed += 1;
            taker.waits = false;
        });
    }

    /// A worker wants no more keys of a stage.
    pub(crate) fn close(&mut self, stage: usize, worker: usize) {
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
mod tests;
