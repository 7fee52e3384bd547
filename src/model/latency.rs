use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};

/// A distribution of latencies to draw from. None is longer than [`Latency::MOST`].
#[derive(Debug)]
pub struct Latency(Shape);

#[derive(Debug)]
enum Shape {
    Fixed(Duration),
    Uniform(Duration, Duration),
    /// Milliseconds.
    LogNormal(LogNormal<f64>),
    /// Values in ascending order, each with the number of all up to it.
    Measured(Vec<(u64, Duration)>),
}

impl Latency {
    /// The longest.
    pub const MOST: Duration = Duration::from_secs(3600);

    /// Always the same, in milliseconds.
    pub fn fixed(ms: f64) -> Self {
        Self(Shape::Fixed(milliseconds(ms)))
    }

    /// Anything between two bounds, in milliseconds, the lower one first.
    pub fn uniform(min_ms: f64, max_ms: f64) -> Self {
        Self(Shape::Uniform(milliseconds(min_ms), milliseconds(max_ms)))
    }

    /// Log-normal, by its median in milliseconds and the standard deviation of its logarithm. What is no such distribution is always the
    /// median.
    pub fn log_normal(median_ms: f64, sigma: f64) -> Self {
        LogNormal::new(median_ms.ln(), sigma).map_or_else(|_| Self::fixed(median_ms), |log| Self(Shape::LogNormal(log)))
    }

    /// As often as it was measured: each value with how often, in ascending order.
    pub fn measured(values: impl IntoIterator<Item = (Duration, u64)>) -> Self {
        let mut up_to = 0_u64;
        let add = |(value, count): (Duration, u64)| {
            up_to = up_to.saturating_add(count);
            (up_to, value.min(Self::MOST))
        };
        Self(Shape::Measured(values.into_iter().map(add).collect()))
    }

    /// Whether nothing ever takes any time.
    pub const fn is_none(&self) -> bool {
        matches!(self.0, Shape::Fixed(Duration::ZERO))
    }

    /// One of them.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Duration {
        match &self.0 {
            Shape::Fixed(latency) => *latency,
            Shape::Uniform(min, max) => rng.random_range(*min..=*max),
            Shape::LogNormal(distribution) => milliseconds(distribution.sample(rng)),
            Shape::Measured(values) => {
                let total = values.last().map_or(0, |(up_to, _)| *up_to);
                let wanted = rng.random_range(0..total.max(1));
                let position = values.partition_point(|(up_to, _)| *up_to <= wanted);
                values.get(position).map_or(Duration::ZERO, |(_, latency)| *latency)
            }
        }
    }
}

fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).map_or(Latency::MOST, |latency| latency.min(Latency::MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rng;

    /// Milliseconds in ascending order.
    fn draws(latency: &Latency) -> Vec<f64> {
        let mut rng = rng(1, "test", 0);
        let mut draws: Vec<f64> = (0..4000).map(|_| latency.draw(&mut rng).as_secs_f64() * 1000.0).collect();
        draws.sort_by(f64::total_cmp);
        draws
    }

    #[test]
    fn distributions_have_their_shape() {
        assert!(draws(&Latency::fixed(2.5)).iter().all(|ms| *ms == 2.5));
        let uniform = draws(&Latency::uniform(10.0, 20.0));
        assert!(uniform[0] >= 10.0 && uniform[3999] <= 20.0 && (14.5..15.5).contains(&uniform[2000]));
        let log_normal = draws(&Latency::log_normal(100.0, 0.5));
        assert!((95.0..105.0).contains(&log_normal[2000]), "{}", log_normal[2000]);
        assert!((280.0..370.0).contains(&log_normal[3960]), "p99 is 320 ms, not {}", log_normal[3960]);
        assert!(Latency::fixed(0.0).is_none() && !Latency::uniform(0.0, 0.0).is_none());
    }

    #[test]
    fn measured_latencies_come_back_as_often_as_they_were_measured() {
        let drawn = draws(&Latency::measured([(Duration::from_millis(1), 3), (Duration::from_millis(2), 1)]));
        let short = drawn.iter().filter(|ms| **ms == 1.0).count();
        assert!((2850..3150).contains(&short) && drawn[3999] == 2.0, "{short}");
    }

    #[test]
    fn none_is_longer_than_an_hour() {
        let hours = Duration::from_secs(7200);
        for latency in [Latency::fixed(1e300), Latency::fixed(f64::NAN), Latency::measured([(hours, 1)])] {
            assert_eq!(draws(&latency)[0], 3_600_000.0);
        }
    }
}
