use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::emulator::counters::{Event, Tally};
use crate::emulator::fault::FaultInjector;
use crate::emulator::sharded::lock;

/// Places for connections. Who has proved who it is keeps its place. Who has not has a claim to one as long as no newcomer
/// needs it, or as long as it is not its own fault: when all are taken, the oldest of those leaves that kept the emulator
/// waiting for longer than its patience. So peers that prove nothing, be they silent, slow or many, never keep out those that
/// could; and devices that all come at once are not cut because the emulator is busy.
#[derive(Debug)]
pub(crate) struct Room {
    faults: Arc<FaultInjector>,
    tally: Arc<Tally>,
    places: usize,
    patience: Duration,
    state: Mutex<State>,
    /// Somebody left.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Were asked to leave and have not yet.
    leaving: usize,
    newest: u64,
    /// In the order in which they came.
    unproven: BTreeMap<u64, Arc<Guest>>,
}

/// Who has a place.
#[derive(Debug, Default)]
struct Guest {
    proven: AtomicBool,
    leaving: AtomicBool,
    asked_to_leave: Notify,
    waited: Mutex<Waited>,
}

/// How long the emulator waited for a peer that has not proved who it is.
#[derive(Debug, Default)]
struct Waited {
    before: Duration,
    /// It waits now.
    since: Option<Instant>,
}

/// A connection's view of its place. One that is in no room has all the place it wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    guest: Arc<Guest>,
    room: Option<(Arc<Room>, u64)>,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Place);

impl Room {
    /// While nobody's time is up it is looked so often whether somebody's is.
    const LOOK: Duration = Duration::from_millis(50);

    /// So many `places`; a peer that has not proved who it is may keep the emulator waiting for `patience` in all before its
    /// place may go to somebody else.
    pub(crate) fn new(faults: &Arc<FaultInjector>, tally: &Arc<Tally>, places: usize, patience: Duration) -> Arc<Self> {
        let (faults, tally) = (Arc::clone(faults), Arc::clone(tally));
        Arc::new(Self { faults, tally, places, patience, state: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a newcomer, as soon as there is one.
    pub(crate) async fn enter(self: &Arc<Self>) -> Taken {
        loop {
            if let Some(taken) = self.try_enter() {
                return taken;
            }
            self.make_room();
            // Either way it is looked again.
            let _ = timeout(Self::LOOK, self.freed.notified()).await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Taken> {
        let mut state = lock(&self.state);
        if state.taken >= self.places {
            return None;
        }
        state.taken += 1;
        state.newest += 1;
        let (number, guest) = (state.newest, Arc::<Guest>::default());
        state.unproven.insert(number, Arc::clone(&guest));
        drop(state);
        let place = Place { guest, room: Some((Arc::clone(self), number)) };
        place.waits();
        Some(Taken(place))
    }

    /// Asks one to leave, unless one is about to.
    pub(crate) fn make_room(&self) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        if state.leaving > 0 || self.faults.pause.until().is_some() {
            return;
        }
        let too_slow = |guest: &Guest| self.has_waited(guest, now).is_some_and(|waited| waited >= self.patience);
        let Some(number) = state.unproven.iter().find(|(_, guest)| too_slow(guest)).map(|(number, _)| *number) else {
            return;
        };
        if let Some(guest) = state.unproven.remove(&number) {
            state.leaving += 1;
            guest.leaving.store(true, Ordering::Relaxed);
            guest.asked_to_leave.notify_one();
            self.tally.count(Event::TurnedOut);
        }
    }

    /// For how long a peer has been waited for in all, if it is waited for now.
    fn has_waited(&self, guest: &Guest, now: Instant) -> Option<Duration> {
        let waited = lock(&guest.waited);
        waited.since.map(|since| waited.before + self.without_pause(since, now))
    }

    /// What a peer did while nothing was read from it cannot be held against it.
    fn without_pause(&self, since: Instant, now: Instant) -> Duration {
        let since = self.faults.pause.end_after(since).unwrap_or(since);
        now.saturating_duration_since(since)
    }
}

impl Taken {
    /// The place.
    pub(crate) fn place(&self) -> Place {
        self.0.clone()
    }

    /// Waits until somebody else needs the place, and has a claim to it.
    pub(crate) async fn is_needed(&self) {
        self.0.guest.asked_to_leave.notified().await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Place { guest, room: Some((room, number)) } = &self.0 else { return };
        let mut state = lock(&room.state);
        state.taken -= 1;
        state.unproven.remove(number);
        if guest.leaving.load(Ordering::Relaxed) {
            state.leaving -= 1;
        }
        drop(state);
        room.freed.notify_one();
    }
}

impl Place {
    /// The peer has proved who it is: nobody takes its place away.
    pub(crate) fn prove(&self) {
        if !self.guest.proven.swap(true, Ordering::Relaxed)
            && let Some((room, number)) = &self.room
        {
            lock(&room.state).unproven.remove(number);
        }
    }

    /// Whether it has.
    pub(crate) fn is_proven(&self) -> bool {
        self.guest.proven.load(Ordering::Relaxed)
    }

    /// The emulator waits for the peer from now on.
    pub(crate) fn waits(&self) {
        lock(&self.guest.waited).since.get_or_insert_with(Instant::now);
    }

    /// The peer did something: what happens next is for the emulator to do.
    pub(crate) fn goes_on(&self) {
        let mut waited = lock(&self.guest.waited);
        if let Some(since) = waited.since.take() {
            waited.before += self.waited_since(since);
        }
    }

    /// For how long the peer may still be waited for, of `limit` in all; `None` when it is over.
    pub(crate) fn left_of(&self, limit: Duration) -> Option<Duration> {
        let waited = lock(&self.guest.waited);
        let current = waited.since.map(|since| self.waited_since(since)).unwrap_or_default();
        limit.checked_sub(waited.before + current).filter(|left| !left.is_zero())
    }

    fn waited_since(&self, since: Instant) -> Duration {
        let now = Instant::now();
        self.room.as_ref().map_or(now.duration_since(since), |(room, _)| room.without_pause(since, now))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::sleep;

    use super::*;
    use crate::emulator::config::{Faults, Pause};

    const PATIENCE: Duration = Duration::from_secs(5);

    fn room(places: usize) -> Arc<Room> {
        Room::new(&FaultInjector::none(), &Arc::new(Tally::new()), places, PATIENCE)
    }

    /// Whether a newcomer has a place at once.
    fn has_room(room: &Arc<Room>) -> bool {
        room.enter().now_or_never().is_some()
    }

    fn is_needed(taken: &Taken) -> bool {
        taken.is_needed().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_those_that_keep_waiting_makes_room() {
        let room = room(3);
        let (first, second, third) = (room.enter().await, room.enter().await, room.enter().await);
        first.place().prove();
        sleep(PATIENCE / 2).await;
        assert!(!has_room(&room) && ![&first, &second, &third].into_iter().any(is_needed), "nobody was that slow");
        let leaves = async {
            second.is_needed().await;
            drop(second);
        };
        let begun = Instant::now();
        let (newcomer, ()) = tokio::join!(room.enter(), leaves);
        assert!(begun.elapsed() >= PATIENCE / 2 && begun.elapsed() <= PATIENCE / 2 + Room::LOOK);
        assert!(!is_needed(&first) && !is_needed(&third) && !is_needed(&newcomer));
        assert_eq!(room.tally.snapshot().get(Event::TurnedOut), 1);
        // Once the others are that slow, room is there at once.
        sleep(PATIENCE).await;
        assert!(!has_room(&room) && is_needed(&third) && !is_needed(&newcomer), "one for each that comes");
        assert!(!has_room(&room) && !is_needed(&newcomer), "one that leaves is room enough");
        assert_eq!([&first, &newcomer].map(|taken| taken.place().is_proven()), [true, false]);
        drop(third);
        assert!(has_room(&room));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_because_the_emulator_is_busy_or_paused() {
        let room = room(2);
        let (served, waits) = (room.enter().await, room.enter().await);
        served.place().goes_on();
        let pause = Pause { from_seconds: 0.0, for_seconds: 100.0 };
        room.faults.set(Faults { pause, ..Faults::default() }, Instant::now());
        sleep(Duration::from_secs(99)).await;
        assert!(!has_room(&room) && !is_needed(&served) && !is_needed(&waits));
        sleep(PATIENCE).await;
        assert!(!has_room(&room) && !is_needed(&served) && !is_needed(&waits), "4 s since the pause");
        sleep(Duration::from_secs(1)).await;
        assert!(!has_room(&room) && !is_needed(&served) && is_needed(&waits));
        assert_eq!(served.place().left_of(PATIENCE), Some(PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn little_by_little_is_waiting_too() {
        let room = room(1);
        let crumbs = room.enter().await;
        for _ in 0..5 {
            assert!(!has_room(&room) && !is_needed(&crumbs));
            sleep(Duration::from_secs(1)).await;
            crumbs.place().goes_on();
            crumbs.place().waits();
        }
        assert_eq!(crumbs.place().left_of(PATIENCE), None);
        assert!(!has_room(&room) && is_needed(&crumbs));
        crumbs.place().prove();
        drop(crumbs);
        assert!(has_room(&room));
    }
}
