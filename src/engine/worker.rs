use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::device::Connector;
use crate::engine::attempt::{self, Entry, Shared};
use crate::engine::keys::KeySupply;
use crate::engine::live::{self, Live, SharedLive};
use crate::engine::pacer::Due;
use crate::engine::recorder::Recorder;

/// Where a worker's devices come from.
pub(super) enum Feed {
    /// The pacer says who is due. Closed when all were.
    Paced(UnboundedReceiver<Due>),
    /// The next device comes whenever a slot is free.
    Pulled(std::iter::StepBy<std::ops::Range<u32>>),
    /// No more devices come.
    Ended,
}

/// One worker in one stage. The same loop serves every workload: a device is *due*, *waits* for a slot and its key,
/// *starts*, ends.
///
/// | event | running | halting |
/// |---|---|---|
/// | device due | waits | - |
/// | slot free and key there | the first that waits starts | - |
/// | waiting longer than `max_lateness` | dropped | - |
/// | halt | those that wait are not started; grace begins | - |
/// | all started, `drain` over | cut | - |
/// | grace over, or cut | - | cut |
/// | nobody waits, nothing in flight, none to come | done | done |
pub(super) struct Worker<C> {
    pub(super) shared: Rc<Shared<C>>,
    pub(super) feed: Feed,
    pub(super) keys: KeySupply,
    /// Devices of this worker.
    pub(super) devices: u64,
    /// Most attempts in flight.
    pub(super) slots: usize,
    /// `None`: waiting is never too long.
    pub(super) max_lateness: Option<Duration>,
    pub(super) drain: Duration,
    pub(super) grace: Duration,
    pub(super) halt: CancellationToken,
    /// After `halt`: the grace is over now.
    pub(super) cut: CancellationToken,
    /// `None`: nobody watches.
    pub(super) live: Option<SharedLive>,
}

/// What a worker brings back.
#[derive(Debug, Default)]
pub(super) struct WorkerRecord {
    pub(super) recorder: Recorder,
    /// Devices that were due and waited for a slot, or for their key.
    pub(super) waited_for_slot: u64,
    pub(super) waited_for_key: u64,
    /// CPU time of the worker's thread; zero when it had none of its own.
    pub(super) cpu: Duration,
}

struct State {
    waiting: VecDeque<Due>,
    attempts: JoinSet<()>,
    /// Devices that became due.
    came: u64,
    waits_for_key: bool,
    halting: bool,
    /// When attempts in flight are cut.
    cut: Option<Duration>,
    was_cut: bool,
    /// The device that was last counted as waiting for a slot or a key.
    counted: Option<u32>,
    record: WorkerRecord,
}

impl State {
    fn cut_now(&mut self) {
        self.was_cut = true;
        self.attempts.abort_all();
    }
}

impl<C: Connector + 'static> Worker<C> {
    /// Works through the stage. Must be inside a [`tokio::task::LocalSet`].
    pub(super) async fn run(mut self) -> WorkerRecord {
        let mut state = State {
            waiting: VecDeque::new(),
            attempts: JoinSet::new(),
            came: 0,
            waits_for_key: false,
            halting: false,
            cut: None,
            was_cut: false,
            counted: None,
            record: WorkerRecord::default(),
        };
        let halted = self.halt.clone().cancelled_owned();
        let cut = self.cut.clone().cancelled_owned();
        tokio::pin!(halted, cut);
        let mut publish = interval(live::EVERY);
        publish.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut inbox = Vec::new();
        loop {
            if self.halt.is_cancelled() && !state.halting {
                self.halt(&mut state);
            }
            self.advance(&mut state);
            let ended = matches!(self.feed, Feed::Ended);
            if ended && state.waiting.is_empty() && state.attempts.is_empty() {
                break;
            }
            let wake = self.wake(&state).map(|at| self.shared.clock.instant(at));
            tokio::select! {
                biased;
                () = &mut halted, if !state.halting => {}
                () = &mut cut, if state.halting && !state.was_cut => state.cut_now(),
                count = receive(&mut self.feed, &mut inbox) => {
                    if count == 0 {
                        self.feed = Feed::Ended;
                    }
                    self.came(&mut state, inbox.drain(..));
                }
                () = self.keys.ready(), if state.waits_for_key => {}
                Some(_) = state.attempts.join_next(), if !state.attempts.is_empty() => {
                    while state.attempts.try_join_next().is_some() {}
                }
                () = async { if let Some(at) = wake { sleep_until(at).await } }, if wake.is_some() => {}
                _ = publish.tick(), if self.live.is_some() => self.publish(),
            }
        }
        self.publish();
        let mut recorder = std::mem::take(&mut *self.shared.recorder.borrow_mut());
        recorder.totals.planned = self.devices;
        recorder.totals.not_started += self.devices - state.came;
        WorkerRecord { recorder, ..state.record }
    }

    /// Does everything that can be done now.
    fn advance(&mut self, state: &mut State) {
        let now = self.shared.clock.now();
        if let Feed::Pulled(devices) = &mut self.feed
            && !state.halting
        {
            let free = self.slots.saturating_sub(state.attempts.len() + state.waiting.len());
            let next: Vec<Due> = devices.take(free).map(|device| Due { device, at: now }).collect();
            if devices.len() == 0 {
                self.feed = Feed::Ended;
            }
            self.came(state, next);
        }
        self.admit(state, now);
        let all_started = matches!(self.feed, Feed::Ended) && state.waiting.is_empty();
        match state.cut {
            None if all_started && !state.halting => state.cut = Some(now + self.drain),
            Some(at) if now >= at && !state.was_cut => {
                state.cut_now();
            }
            _ => {}
        }
    }

    fn came(&self, state: &mut State, devices: impl IntoIterator<Item = Due>) {
        let mut recorder = self.shared.recorder.borrow_mut();
        for due in devices {
            state.came += 1;
            recorder.due(due.at);
            state.waiting.push_back(due);
        }
    }

    /// Starts those that wait, as far as there are slots and keys; drops those that wait for too long.
    fn admit(&mut self, state: &mut State, now: Duration) {
        state.waits_for_key = false;
        while let Some(due) = state.waiting.front().copied() {
            if self.max_lateness.is_some_and(|max| now > due.at + max) {
                state.waiting.pop_front();
                self.keys.skip();
                self.shared.recorder.borrow_mut().dropped(now);
                continue;
            }
            if state.attempts.len() >= self.slots {
                state.record.waited_for_slot += u64::from(state.counted.replace(due.device) != Some(due.device));
                return;
            }
            let Some(key) = self.keys.take() else {
                state.record.waited_for_key += u64::from(state.counted.replace(due.device) != Some(due.device));
                state.waits_for_key = true;
                return;
            };
            state.waiting.pop_front();
            state.attempts.spawn_local(attempt::run(Entry::new(Rc::clone(&self.shared), due), key));
        }
    }

    /// When something must happen although nothing comes.
    fn wake(&self, state: &State) -> Option<Duration> {
        // The runtime's timers are good to a millisecond, and exactly on time is not yet too late.
        let late = |due: &Due| self.max_lateness.map(|max| due.at + max + Duration::from_millis(1));
        [state.waiting.front().and_then(late), state.cut.filter(|_| !state.was_cut && !state.attempts.is_empty())]
            .into_iter()
            .flatten()
            .min()
    }

    fn halt(&mut self, state: &mut State) {
        state.halting = true;
        self.feed = Feed::Ended;
        self.shared.recorder.borrow_mut().totals.not_started += state.waiting.len() as u64;
        state.waiting.clear();
        let grace = self.shared.clock.now() + self.grace;
        state.cut = Some(state.cut.map_or(grace, |cut| cut.min(grace)));
    }

    fn publish(&self) {
        if let Some(live) = &self.live {
            Live::publish(live, &self.shared.recorder.borrow(), matches!(self.feed, Feed::Ended));
        }
    }
}

/// Takes what the pacer sent; 0 when nothing will come any more.
async fn receive(feed: &mut Feed, inbox: &mut Vec<Due>) -> usize {
    match feed {
        Feed::Paced(receiver) => receiver.recv_many(inbox, 4_096).await,
        Feed::Pulled(_) | Feed::Ended => std::future::pending().await,
    }
}
