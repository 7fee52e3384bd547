/// Arrivals per time, exact: `1000/min` does not become 16.666… per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Millionths of an arrival per day.
    micros_per_day: u64,
}

impl Rate {
    /// As arrivals per second, rounded.
    pub fn per_second(self) -> f64 {
        self.micros_per_day as f64 / 86_400e6
    }
}
