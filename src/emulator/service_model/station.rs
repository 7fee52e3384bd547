use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::latency::{HistogramError, latency};
use crate::domain::rng;
use crate::emulator::config::StepModel;
use crate::emulator::sharded::lock;
use crate::model::{Latency, QueueFull, ServiceStation};

/// One kind of work: how long it takes, how much of it is done at once, how much may wait.
#[derive(Debug)]
pub(super) struct Station {
    name: &'static str,
    seed: u64,
    latency: Latency,
    drawn: AtomicU64,
    /// None: no limit.
    places: Option<Mutex<ServiceStation>>,
}

impl Station {
    pub(super) fn new(name: &'static str, seed: u64, config: &StepModel) -> Result<Self, HistogramError> {
        let places = || Mutex::new(ServiceStation::new(config.capacity, config.queue));
        Ok(Self {
            name,
            seed,
            latency: latency(&config.latency)?,
            drawn: AtomicU64::new(0),
            places: (config.capacity > 0).then(places),
        })
    }

    /// Nothing is being done, and the next piece of work is the first one.
    pub(super) fn restart(&self) {
        self.drawn.store(0, Ordering::Relaxed);
        if let Some(places) = &self.places {
            lock(places).clear();
        }
    }

    /// Whether its work takes no time.
    pub(super) fn is_instant(&self) -> bool {
        self.latency.is_none()
    }

    /// When work that comes now is done; `None` is at once.
    pub(super) fn admit(&self, now: Duration) -> Result<Option<Duration>, QueueFull> {
        if self.is_instant() {
            // Then nobody ever waits for anybody.
            return Ok(None);
        }
        // The n-th piece of work takes the n-th latency, whoever asks.
        let latency = self.latency.draw(&mut rng(self.seed, self.name, self.drawn.fetch_add(1, Ordering::Relaxed)));
        let done = match &self.places {
            None => now + latency,
            Some(places) => lock(places).admit(now, latency)?,
        };
        Ok((done > now).then_some(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config;

    fn station(capacity: usize, queue: usize) -> Station {
        let config = StepModel { latency: config::LatencySettings::Fixed { ms: 100.0 }, capacity, queue };
        Station::new("test", 1, &config).unwrap()
    }

    fn ms(station: &Station, at: u64) -> Option<u128> {
        let now = Duration::from_millis(at);
        Some(station.admit(now).ok()?.unwrap_or(now).as_millis())
    }

    #[test]
    fn without_a_limit_everything_begins_at_once() {
        let station = station(0, 0);
        assert!((0..1000).all(|_| ms(&station, 7) == Some(107)));
    }

    #[test]
    fn work_over_the_capacity_waits_and_work_over_the_queue_is_refused() {
        let station = station(2, 1);
        let done: Vec<_> = (0..4).map(|_| ms(&station, 0)).collect();
        assert_eq!(done, [Some(100), Some(100), Some(200), None]);
    }

    #[test]
    fn the_same_seed_gives_the_same_latencies() {
        let latency = config::LatencySettings::LogNormal { median_ms: 50.0, sigma: 1.0 };
        let config = StepModel { latency, ..StepModel::default() };
        let draw = |seed| {
            let station = Station::new("test", seed, &config).unwrap();
            (0..20).map(|_| station.admit(Duration::ZERO).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn work_that_takes_no_time_is_done_at_once() {
        for latency in
            [config::LatencySettings::Fixed { ms: 0.0 }, config::LatencySettings::Uniform { min_ms: 0.0, max_ms: 0.0 }]
        {
            let station = Station::new("test", 1, &StepModel { latency, ..StepModel::default() }).unwrap();
            assert_eq!(station.admit(Duration::ZERO), Ok(None));
        }
    }
}
