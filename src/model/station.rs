use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// A place that does some pieces of work at once, of which some more may wait.
///
/// Nothing really waits here. When a piece of work comes, its beginning and end follow from those before it (first
/// come, first served), and whoever asked is told when it will be done.
#[derive(Debug)]
pub struct ServiceStation {
    capacity: usize,
    queue: usize,
    /// When each of those that are busy will be free.
    busy: BinaryHeap<Reverse<Duration>>,
    /// When each of those that wait will begin, in order.
    waiting: VecDeque<Duration>,
}

/// There is no room to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl ServiceStation {
    /// One that does `capacity` pieces of work at once, at least one, and lets `queue` wait.
    pub const fn new(capacity: usize, queue: usize) -> Self {
        Self { capacity, queue, busy: BinaryHeap::new(), waiting: VecDeque::new() }
    }

    /// Forgets all work.
    pub fn clear(&mut self) {
        self.busy.clear();
        self.waiting.clear();
    }

    /// When work that comes now and takes so long is done. Times never go back from one call to the next.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn admit(&mut self, now: Duration, takes: Duration) -> Result<Duration, QueueFull> {
        while self.waiting.pop_front_if(|start| *start <= now).is_some() {}
        let start = if self.busy.len() < self.capacity { now } else { self.next_free(now)? };
        self.busy.push(Reverse(start + takes));
        Ok(start + takes)
    }

    /// Takes the place of whoever is free first.
    fn next_free(&mut self, now: Duration) -> Result<Duration, QueueFull> {
        let free = self.busy.peek().map_or(now, |Reverse(free)| *free);
        if free > now {
            if self.waiting.len() >= self.queue {
                return Err(QueueFull);
            }
            self.waiting.push_back(free);
        }
        self.busy.pop();
        Ok(free.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// When work that comes at that millisecond is done.
    fn done(station: &mut ServiceStation, at: u64) -> Option<u128> {
        station.admit(MS(at), MS(100)).ok().map(|done| done.as_millis())
    }

    #[test]
    fn work_over_the_capacity_waits_in_order_and_work_over_the_queue_is_refused() {
        let mut station = ServiceStation::new(2, 3);
        let all: Vec<_> = (0..6).map(|_| done(&mut station, 0)).collect();
        assert_eq!(all, [Some(100), Some(100), Some(200), Some(200), Some(300), None]);
        // At 100 ms two of the three that waited have begun.
        assert_eq!(done(&mut station, 100), Some(300));
        assert_eq!(done(&mut station, 100), Some(400));
        assert_eq!(done(&mut station, 100), None);
        assert_eq!(done(&mut station, 1000), Some(1100), "idle again");
    }

    #[test]
    fn a_place_is_free_at_the_moment_at_which_its_work_is_done() {
        let mut station = ServiceStation::new(1, 0);
        let all = [0, 99, 100, 199, 200].map(|at| done(&mut station, at));
        assert_eq!(all, [Some(100), None, Some(200), None, Some(300)]);
    }
}
