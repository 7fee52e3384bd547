use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::latency::{HistogramError, Latency};
use crate::domain::rng;
use crate::emulator::config::StepModel;
use crate::emulator::registry::lock;

/// One kind of work: how long it takes, how much of it is done at once, how much may wait.
///
/// Nothing really waits here. When a piece of work comes, its beginning and end follow from those before it (first
/// come, first served), and whoever asked is told when it will be done.
#[derive(Debug)]
pub(super) struct Station {
    name: &'static str,
    seed: u64,
    latency: Latency,
    drawn: AtomicU64,
    /// None: no limit.
    line: Option<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    capacity: usize,
    queue: usize,
    /// When each of those that are busy will be free.
    busy: BinaryHeap<Reverse<Instant>>,
    /// When each of those that wait will begin, in order.
    waiting: VecDeque<Instant>,
}

/// There is no room to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Station {
    pub(super) fn new(name: &'static str, seed: u64, config: &StepModel) -> Result<Self, HistogramError> {
        let line =
            Line { capacity: config.capacity, queue: config.queue, busy: BinaryHeap::new(), waiting: VecDeque::new() };
        Ok(Self {
            name,
            seed,
            latency: Latency::new(&config.latency)?,
            drawn: AtomicU64::new(0),
            line: (config.capacity > 0).then(|| Mutex::new(line)),
        })
    }

    /// Whether its work takes no time.
    pub(super) fn is_instant(&self) -> bool {
        self.latency.is_none()
    }

    /// When work that comes now is done; `None` is at once.
    pub(super) fn admit(&self, now: Instant) -> Result<Option<Instant>, Full> {
        if self.is_instant() {
            // Then nobody ever waits for anybody.
            return Ok(None);
        }
        // The n-th piece of work takes the n-th latency, whoever asks.
        let latency = self.latency.draw(&mut rng(self.seed, self.name, self.drawn.fetch_add(1, Ordering::Relaxed)));
        let done = match &self.line {
            None => now + latency,
            Some(line) => lock(line).admit(now, latency)?,
        };
        Ok((done > now).then_some(done))
    }
}

impl Line {
    /// When work that comes now and takes so long is done.
    fn admit(&mut self, now: Instant, latency: Duration) -> Result<Instant, Full> {
        while self.waiting.pop_front_if(|start| *start <= now).is_some() {}
        let start = if self.busy.len() < self.capacity { now } else { self.next_free(now)? };
        self.busy.push(Reverse(start + latency));
        Ok(start + latency)
    }

    /// Takes the place of whoever is free first.
    fn next_free(&mut self, now: Instant) -> Result<Instant, Full> {
        let free = self.busy.peek().map_or(now, |Reverse(free)| *free);
        if free > now {
            if self.waiting.len() >= self.queue {
                return Err(Full);
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
    use crate::emulator::config;

    fn station(capacity: usize, queue: usize) -> Station {
        let config = StepModel { latency: config::Latency::Fixed { ms: 100.0 }, capacity, queue };
        Station::new("test", 1, &config).unwrap()
    }

    fn ms(station: &Station, start: Instant, at: u64) -> Option<u64> {
        let done = station.admit(start + Duration::from_millis(at)).ok()?;
        Some(u64::try_from(done.map_or(start, |done| done).duration_since(start).as_millis()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_everything_begins_at_once() {
        let (station, start) = (station(0, 0), Instant::now());
        assert!((0..1000).all(|_| ms(&station, start, 7) == Some(107)));
    }

    #[tokio::test(start_paused = true)]
    async fn work_over_the_capacity_waits_in_order_and_work_over_the_queue_is_refused() {
        let (station, start) = (station(2, 3), Instant::now());
        let done: Vec<_> = (0..6).map(|_| ms(&station, start, 0)).collect();
        assert_eq!(done, [Some(100), Some(100), Some(200), Some(200), Some(300), None]);
        // At 100 ms two of the three that waited have begun.
        assert_eq!(ms(&station, start, 100), Some(300));
        assert_eq!(ms(&station, start, 100), Some(400));
        assert_eq!(ms(&station, start, 100), None);
        assert_eq!(ms(&station, start, 1000), Some(1100), "idle again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_seed_gives_the_same_latencies() {
        let latency = config::Latency::LogNormal { median_ms: 50.0, sigma: 1.0 };
        let config = StepModel { latency, ..StepModel::default() };
        let start = Instant::now();
        let draw = |seed| {
            let station = Station::new("test", seed, &config).unwrap();
            (0..20).map(|_| station.admit(start).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_at_the_moment_at_which_its_work_is_done() {
        let (station, start) = (station(1, 0), Instant::now());
        assert_eq!(
            [0, 99, 100, 199, 200].map(|at| ms(&station, start, at)),
            [Some(100), None, Some(200), None, Some(300)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_no_time_is_done_at_once() {
        for latency in [config::Latency::Fixed { ms: 0.0 }, config::Latency::Uniform { min_ms: 0.0, max_ms: 0.0 }] {
            let station = Station::new("test", 1, &StepModel { latency, ..StepModel::default() }).unwrap();
            assert_eq!(station.admit(Instant::now()), Ok(None));
        }
    }
}
