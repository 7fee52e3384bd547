use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::domain::FleetTime;

/// Even places in a window, each moved at random, in order of time.
///
/// A place can be overtaken only by those within twice the jitter, so no more than those are held at a time.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    /// Nanoseconds.
    over: u64,
    jitter: u64,
    devices: u32,
    /// Places moved so far.
    drawn: u32,
    rng: Box<ChaCha8Rng>,
    ahead: BinaryHeap<Reverse<u64>>,
}

impl Spread {
    pub(super) fn new(over: FleetTime, jitter: FleetTime, devices: u32, rng: Box<ChaCha8Rng>) -> Self {
        let over = u64::try_from(over.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let jitter = u64::try_from(jitter.as_nanos()).unwrap_or(over).min(over);
        Self { over, jitter, devices, drawn: 0, rng, ahead: BinaryHeap::new() }
    }

    pub(super) fn next(&mut self) -> Option<FleetTime> {
        while self.drawn < self.devices {
            let earliest = self.place(self.drawn).saturating_sub(self.jitter);
            if self.ahead.peek().is_some_and(|Reverse(first)| *first <= earliest) {
                break;
            }
            let moved = self.draw();
            self.ahead.push(Reverse(moved));
        }
        self.ahead.pop().map(|Reverse(nanos)| FleetTime::from_nanos(nanos))
    }

    fn place(&self, index: u32) -> u64 {
        let place = u128::from(self.over) * u128::from(index) / u128::from(self.devices.max(1));
        u64::try_from(place).unwrap_or(u64::MAX)
    }

    /// The next place, moved. What would leave the window at an end is turned back into it there, so that no end gets
    /// more than its share, as it would if all such devices came at that end.
    fn draw(&mut self) -> u64 {
        let place = self.place(self.drawn);
        self.drawn += 1;
        if self.jitter == 0 {
            return place;
        }
        let up = place + self.rng.random_range(0..=2 * self.jitter);
        let moved = up.abs_diff(self.jitter);
        moved.min(2 * self.over - moved)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.ahead.len()
    }
}
