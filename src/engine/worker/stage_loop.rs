use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::device::Connector;
use crate::domain::injected_panic;
use crate::engine::keys::KeySupply;
use crate::engine::plan::due::Due;
use crate::engine::plan::setup::StageSetup;
use crate::engine::record::publication::{self, Publication};
use crate::engine::record::skips::{Lack, Skips};
use crate::engine::record::stage_share::StageShare;
use crate::engine::worker::task::{DeviceTask, StageJob};
use crate::engine::worker::work;
use crate::measure::SkipReason;
use crate::scenario::StageKind;

/// Where a worker's devices come from.
pub(crate) enum Feed {
    /// The pacer says who is due. Closed when all were.
    Paced(UnboundedReceiver<Due>),
    /// The next device comes whenever a slot is free.
    Pulled(std::vec::IntoIter<u32>),
    /// No more devices come.
    Ended,
}

/// One stage on one worker. The same loop serves every workload and every kind of stage: a device is *due*, *waits* for a
/// slot and its key, *starts*, ends.
///
/// | event | running | halting |
/// |---|---|---|
/// | device due | waits | - |
/// | it has nothing to do | skipped | - |
/// | slot free and key there | the first that waits starts | - |
/// | waiting longer than `max_lateness` | dropped | - |
/// | halt | those that wait are not started; grace begins | - |
/// | all started, `drain` over | cut | - |
/// | closed, nobody started or ended for `patience` | those at work cut, the rest not started | - |
/// | grace over, or cut | - | cut |
/// | nobody waits, none at work, none to come | done | done |
pub(crate) struct StageLoop<C: Connector> {
    pub(crate) job: Rc<StageJob<C>>,
    pub(crate) order: StageOrder,
}

/// A worker's part of a stage.
pub(crate) struct StageOrder {
    pub(crate) setup: Arc<StageSetup>,
    /// When the stage is over for devices that stay connected, on the clock of the run.
    pub(crate) until: Option<Duration>,
    pub(crate) feed: Feed,
    /// `None`: devices of this stage need none.
    pub(crate) keys: Option<KeySupply>,
    /// Devices of this worker that take part, and those of them that will not become due.
    pub(crate) members: Vec<u32>,
    pub(crate) unlisted: Skips,
    /// In a closed workload: the turns of all workers' devices.
    pub(crate) turns: Option<Arc<Semaphore>>,
    /// `None`: waiting is never too long.
    pub(crate) max_lateness: Option<Duration>,
    pub(crate) drain: Duration,
    /// In a closed workload: how long nobody may get through, as devices that never give up would keep their turns for ever.
    pub(crate) patience: Duration,
    pub(crate) grace: Duration,
    pub(crate) halt: CancellationToken,
    /// After `halt`: the grace is over now.
    pub(crate) cut: CancellationToken,
    /// `None`: nobody wants to know anything before the end.
    pub(crate) publication: Option<Publication>,
}

struct LoopState {
    waiting: VecDeque<Waiting>,
    at_work: JoinSet<()>,
    /// Devices that became due.
    came: u64,
    waits_for: Option<Want>,
    halting: bool,
    /// When a device started or ended last.
    moved: Duration,
    /// When those at work are cut.
    cut: Option<Duration>,
    was_cut: bool,
    /// The device that was last counted as waiting for a slot or a key.
    counted: Option<u32>,
    share: StageShare,
}

/// A device that is due, with its turn in a closed workload.
struct Waiting {
    due: Due,
    turn: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Slot,
    Key,
}

impl LoopState {
    fn new(now: Duration) -> Self {
        Self {
            waiting: VecDeque::new(),
            at_work: JoinSet::new(),
            came: 0,
            waits_for: None,
            halting: false,
            moved: now,
            cut: None,
            was_cut: false,
            counted: None,
            share: StageShare::default(),
        }
    }

    fn cut_now(&mut self) {
        self.was_cut = true;
        self.at_work.abort_all();
    }

    fn wants(&mut self, want: Want, device: u32) {
        self.waits_for = Some(want);
        let new = u64::from(self.counted.replace(device) != Some(device));
        match want {
            Want::Slot => self.share.waited_for_slot += new,
            Want::Key => self.share.waited_for_key += new,
        }
    }
}

impl<C: Connector + 'static> StageLoop<C> {
    /// Works through the stage. Must be inside a [`tokio::task::LocalSet`].
    pub(crate) async fn run(mut self) -> StageShare {
        let mut state = LoopState::new(self.job.now());
        let halted = self.order.halt.clone().cancelled_owned();
        let cut = self.order.cut.clone().cancelled_owned();
        tokio::pin!(halted, cut);
        let slots = Arc::clone(&self.job.worker.slots);
        let mut publish = interval(publication::VIEW_EVERY);
        publish.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut inbox = Vec::new();
        let _kept = KeptWhenBroken(Rc::clone(&self.job));
        {
            let mut recorder = self.job.recorder.borrow_mut();
            recorder.skipped_all(&self.order.unlisted);
            if let Some(publication) = self.order.publication.clone() {
                recorder.publish_in(publication, self.order.members.len() as u64);
            }
        }
        self.order.members.iter().for_each(|device| self.job.lacks(*device, SkipReason::GoingOn));
        loop {
            if self.order.halt.is_cancelled() && !state.halting {
                self.halt(&mut state);
            }
            self.advance(&mut state);
            let ended = matches!(self.order.feed, Feed::Ended);
            if ended && state.waiting.is_empty() && state.at_work.is_empty() {
                break;
            }
            let wake = self.wake(&state).map(|at| self.job.worker.clock.instant(at));
            let (job, keys) = (&self.job, &mut self.order.keys);
            let pulls = matches!(self.order.feed, Feed::Pulled(_)) && state.waiting.is_empty();
            tokio::select! {
                biased;
                () = &mut halted, if !state.halting => {}
                () = &mut cut, if state.halting && !state.was_cut => state.cut_now(),
                // Before what is always ready under load: those who watch and keep would see nothing of a storm.
                _ = publish.tick(), if self.order.publication.is_some() => {
                    let now = self.job.now();
                    if now >= publication::COPY_EVERY {
                        injected_panic("worker");
                    }
                    self.publish();
                    self.job.recorder.borrow_mut().keep(now);
                }
                count = receive(&mut self.order.feed, &mut inbox) => {
                    if count == 0 {
                        self.order.feed = Feed::Ended;
                    }
                    came(job, &mut state, inbox.drain(..).map(|due| Waiting { due, turn: None }));
                }
                () = key_ready(keys), if state.waits_for == Some(Want::Key) => {}
                // Let go at once: whoever waits first takes it in `advance`.
                _ = slots.acquire(), if state.waits_for == Some(Want::Slot) => {}
                _ = next_turn(&self.order.turns), if pulls => {}
                Some(_) = state.at_work.join_next(), if !state.at_work.is_empty() => {
                    state.moved = job.now();
                    while state.at_work.try_join_next().is_some() {}
                }
                () = async { if let Some(at) = wake { sleep_until(at).await } }, if wake.is_some() => {}
            }
        }
        self.finish(&state)
    }

    /// Everybody is through: what the stage brings back.
    fn finish(&self, state: &LoopState) -> StageShare {
        self.publish();
        if self.job.setup.stage.kind.needs_credential() {
            self.order.members.iter().for_each(|device| work::note_expiry(&self.job, *device));
        }
        self.job.recorder.borrow_mut().keep_now(self.job.now());
        let mut recorder = std::mem::take(&mut *self.job.recorder.borrow_mut());
        recorder.close();
        let members = self.order.members.len() as u64;
        recorder.totals.planned = members;
        recorder.totals.not_started += members - self.order.unlisted.devices() - state.came;
        self.note_not_started();
        StageShare { recorder, ..state.share }
    }

    /// Does everything that can be done now.
    fn advance(&mut self, state: &mut LoopState) {
        let now = self.job.now();
        self.pull(state, now);
        self.admit(state, now);
        if self.stalls_at(state).is_some_and(|at| now >= at) {
            state.share.stalled = true;
            self.start_no_more(state);
            state.cut_now();
        }
        let all_started = matches!(self.order.feed, Feed::Ended) && state.waiting.is_empty();
        match state.cut {
            None if all_started && !state.halting => {
                state.cut = Some(self.job.until.unwrap_or_default().max(now) + self.order.drain);
            }
            Some(at) if now >= at && !state.was_cut => {
                state.cut_now();
            }
            _ => {}
        }
    }

    /// In a closed workload a device is due when it gets its turn.
    fn pull(&mut self, state: &mut LoopState, now: Duration) {
        let (Feed::Pulled(devices), Some(turns), false) = (&mut self.order.feed, &self.order.turns, state.halting)
        else {
            return;
        };
        while devices.len() > 0 {
            let Ok(turn) = Arc::clone(turns).try_acquire_owned() else { return };
            let due = devices.next().map(|device| Due { device, at: now });
            came(&self.job, state, due.map(|due| Waiting { due, turn: Some(turn) }));
        }
        self.order.feed = Feed::Ended;
    }

    /// Starts those that wait, as far as there are slots and keys; drops those that wait for too long.
    fn admit(&mut self, state: &mut LoopState, now: Duration) {
        state.waits_for = None;
        while let Some(due) = state.waiting.front().map(|waiting| waiting.due) {
            if self.has_nothing_to_do(due.device) {
                state.waiting.pop_front();
                self.skip_key();
                let lack = self.job.worker.lack_of(due.device);
                self.job.recorder.borrow_mut().skipped(lack);
                continue;
            }
            if self.order.max_lateness.is_some_and(|max| now > due.at + max) {
                state.waiting.pop_front();
                self.skip_key();
                self.job.recorder.borrow_mut().dropped(now);
                self.job.lacks(due.device, SkipReason::Dropped);
                continue;
            }
            let Ok(slot) = Arc::clone(&self.job.worker.slots).try_acquire_owned() else {
                return state.wants(Want::Slot, due.device);
            };
            let key = match &mut self.order.keys {
                None => None,
                Some(keys) => match keys.take(due.device) {
                    Some(key) => Some(key),
                    None => return state.wants(Want::Key, due.device),
                },
            };
            let turn = state.waiting.pop_front().and_then(|waiting| waiting.turn);
            state.moved = now;
            let work = work::run(DeviceTask::new(Rc::clone(&self.job), due), key, slot);
            match turn {
                None => state.at_work.spawn_local(work),
                Some(turn) => state.at_work.spawn_local(async move {
                    work.await;
                    drop(turn);
                }),
            };
        }
    }

    fn has_nothing_to_do(&self, device: u32) -> bool {
        self.job.setup.stage.kind.needs_credential()
            && self.job.worker.fleet.with(device, |device| device.credential.is_none())
    }

    /// Those whose provisioning is still expected when the stage is over were never started.
    fn note_not_started(&self) {
        if self.job.setup.stage.kind != StageKind::Provision {
            return;
        }
        let expected = Lack { reason: SkipReason::GoingOn, stage: Some(self.job.setup.index) };
        for device in &self.order.members {
            let still = self.job.worker.fleet.with(*device, |device| device.lack == Some(expected));
            if still {
                self.job.lacks(*device, SkipReason::NotStarted);
            }
        }
    }

    fn skip_key(&mut self) {
        if let Some(keys) = &mut self.order.keys {
            keys.skip();
        }
    }

    /// When something must happen although nothing comes.
    fn wake(&self, state: &LoopState) -> Option<Duration> {
        // The runtime's timers are good to a millisecond, and exactly on time is not yet too late.
        let late = |due: &Due| self.order.max_lateness.map(|max| due.at + max + Duration::from_millis(1));
        [
            state.waiting.front().and_then(|waiting| late(&waiting.due)),
            state.cut.filter(|_| !state.was_cut),
            self.stalls_at(state),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// In a closed workload: when it is clear that nobody gets through any more.
    fn stalls_at(&self, state: &LoopState) -> Option<Duration> {
        let waits_for_turns = matches!(self.order.feed, Feed::Pulled(_)) && !state.at_work.is_empty();
        waits_for_turns.then(|| state.moved.saturating_add(self.order.patience))
    }

    fn start_no_more(&mut self, state: &mut LoopState) {
        self.order.feed = Feed::Ended;
        self.job.recorder.borrow_mut().totals.not_started += state.waiting.len() as u64;
        state.waiting.clear();
    }

    fn halt(&mut self, state: &mut LoopState) {
        state.halting = true;
        self.start_no_more(state);
        let grace = self.job.now() + self.order.grace;
        state.cut = Some(state.cut.map_or(grace, |cut| cut.min(grace)));
    }

    fn publish(&self) {
        let operates = self.job.setup.stage.kind == StageKind::Operate;
        let all_due = matches!(self.order.feed, Feed::Ended) && !operates;
        let mut recorder = self.job.recorder.borrow_mut();
        if let Some(rows) = &mut recorder.rows {
            rows.hand_over();
        }
        self.job.whereabouts.drain_late(|late| recorder.did(late));
        recorder.show(self.job.now(), self.job.whereabouts.counts(), all_due);
    }
}

/// Puts what was recorded aside when its worker breaks.
struct KeptWhenBroken<C: Connector>(Rc<StageJob<C>>);

impl<C: Connector> Drop for KeptWhenBroken<C> {
    fn drop(&mut self) {
        // What broke while it recorded something is not whole.
        if std::thread::panicking()
            && let Ok(mut recorder) = self.0.recorder.try_borrow_mut()
        {
            recorder.keep_now(self.0.now());
        }
    }
}

fn came<C: Connector>(job: &StageJob<C>, state: &mut LoopState, devices: impl IntoIterator<Item = Waiting>) {
    let mut recorder = job.recorder.borrow_mut();
    for waiting in devices {
        state.came += 1;
        recorder.due(waiting.due.at);
        state.waiting.push_back(waiting);
    }
}

/// Takes what the pacer sent; 0 when nothing will come any more.
async fn receive(feed: &mut Feed, inbox: &mut Vec<Due>) -> usize {
    match feed {
        Feed::Paced(receiver) => receiver.recv_many(inbox, 4_096).await,
        Feed::Pulled(_) | Feed::Ended => std::future::pending().await,
    }
}

/// Waits until there is a turn. It is let go at once and taken in `pull`.
async fn next_turn(turns: &Option<Arc<Semaphore>>) {
    match turns {
        Some(turns) => drop(turns.acquire().await),
        None => std::future::pending().await,
    }
}

async fn key_ready(keys: &mut Option<KeySupply>) {
    match keys {
        Some(keys) => keys.ready().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
