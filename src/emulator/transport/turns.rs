use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::emulator::sharded::lock;

/// Turns for what connections have to compute. Nobody holds one while it waits for a peer, so that no number of slow peers
/// holds up anybody. Among those that could go on, the oldest go first: what was begun gets finished before more is begun,
/// and devices that came first are through while those behind them are still computed.
#[derive(Debug)]
pub(crate) struct Turns {
    newest: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Who could go on, the oldest first.
    ready: BTreeMap<u64, Waker>,
}

/// The right of one connection to take turns, one after the other.
#[derive(Debug)]
pub(crate) struct Ticket {
    turns: Arc<Turns>,
    /// The lower, the older.
    age: u64,
    /// Turns that were taken.
    taken: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There is nothing to compute.
    Idle,
    /// Among those that could go on.
    Ready,
    /// It is its turn.
    Holding,
}

impl Turns {
    /// `at_once` may be held at the same time.
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        let state = State { free: at_once, ready: BTreeMap::new() };
        Arc::new(Self { newest: AtomicU64::new(0), state: Mutex::new(state) })
    }

    /// For the connection that came last.
    pub(crate) fn ticket(self: &Arc<Self>) -> Ticket {
        Ticket { turns: Arc::clone(self), age: self.next_age(), taken: 0, standing: Standing::Idle }
    }

    fn next_age(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Whether one of that age may take a turn now.
    fn may_go(&self, age: u64) -> bool {
        self.ready.range(..age).take(self.free).count() < self.free
    }

    /// Wakes the last of those that may take a turn: it alone could not before.
    fn wake_last(&self) {
        if let Some((_, waker)) = self.free.checked_sub(1).and_then(|index| self.ready.iter().nth(index)) {
            waker.wake_by_ref();
        }
    }
}

impl Ticket {
    /// Turns in which a connection is as old as it is. A peer that sends its handshake in crumbs would always go before
    /// those that came later.
    const OLD_FOR: u32 = 8;

    /// Takes a turn, or has the task woken when it may. It holds it until [`Self::give_back`].
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.standing == Standing::Holding {
            return Poll::Ready(());
        }
        let turns = Arc::clone(&self.turns);
        let mut state = turns.state();
        if self.standing == Standing::Idle {
            if self.taken >= Self::OLD_FOR {
                self.age = self.turns.next_age();
            }
            self.standing = Standing::Ready;
            // Who begins goes once round: those that have begun and could go on have not all been asked yet.
            if self.taken == 0 {
                state.ready.insert(self.age, cx.waker().clone());
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if state.may_go(self.age) {
            state.ready.remove(&self.age);
            state.free -= 1;
            self.taken = self.taken.saturating_add(1);
            self.standing = Standing::Holding;
            return Poll::Ready(());
        }
        state.ready.insert(self.age, cx.waker().clone());
        Poll::Pending
    }

    /// Gives the turn back, if it has one, and gives up waiting for one.
    pub(crate) fn give_back(&mut self) {
        match self.standing {
            Standing::Idle => return,
            Standing::Ready => {
                let mut state = self.turns.state();
                state.ready.remove(&self.age);
                state.wake_last();
            }
            Standing::Holding => {
                let mut state = self.turns.state();
                state.free += 1;
                state.wake_last();
            }
        }
        self.standing = Standing::Idle;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::task::yield_now;

    use super::*;

    /// Asks, and asks again if that is all that was missing.
    fn take(ticket: &mut Ticket) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        ticket.poll_take(&mut cx).is_ready() || ticket.poll_take(&mut cx).is_ready()
    }

    #[test]
    fn the_oldest_that_could_go_on_goes_first() {
        let turns = Turns::new(1);
        let [mut old, mut middle, mut new] = [(); 3].map(|()| turns.ticket());
        assert!(take(&mut new) && take(&mut new), "nobody else could");
        assert!(!take(&mut middle) && !take(&mut old));
        new.give_back();
        assert!(!take(&mut middle) && take(&mut old));
        drop(old);
        assert!(!take(&mut new) && take(&mut middle));
        middle.give_back();
        assert!(take(&mut new));
    }

    #[test]
    fn who_comes_in_crumbs_grows_no_older() {
        let turns = Turns::new(1);
        let [mut crumbs, mut new] = [(); 2].map(|()| turns.ticket());
        for _ in 0..Ticket::OLD_FOR {
            assert!(take(&mut crumbs));
            crumbs.give_back();
        }
        assert!(take(&mut new));
        let mut newest = turns.ticket();
        assert!(!take(&mut newest) && !take(&mut crumbs));
        new.give_back();
        assert!(!take(&mut crumbs) && take(&mut newest));
    }

    proptest! {
        /// Whoever leaves when: nobody is forgotten, and no more compute than may.
        #[test]
        fn everybody_gets_a_turn(at_once in 1_usize..4, steps in prop::collection::vec((0_usize..5, any::<bool>()), 1..40)) {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let (turns, holding) = (Turns::new(at_once), Arc::new(Mutex::new(0)));
                let mut tasks = Vec::new();
                for (rounds, gives_up) in steps {
                    let (mut ticket, holding) = (turns.ticket(), Arc::clone(&holding));
                    tasks.push(tokio::spawn(async move {
                        if gives_up {
                            assert!(ticket.poll_take(&mut Context::from_waker(Waker::noop())).is_pending());
                            yield_now().await;
                            ticket.give_back();
                        }
                        for _ in 0..rounds {
                            poll_fn(|cx| ticket.poll_take(cx)).await;
                            *lock(&holding) += 1;
                            assert!(*lock(&holding) <= at_once);
                            yield_now().await;
                            *lock(&holding) -= 1;
                            ticket.give_back();
                            yield_now().await;
                        }
                    }));
                }
                // A task that is never woken would never end.
                for task in tasks {
                    task.await.unwrap();
                }
                let state = turns.state();
                assert_eq!((state.free, state.ready.len()), (at_once, 0));
            });
        }
    }
}
