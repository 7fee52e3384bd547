use std::time::Duration;

/// A token bucket that holds some periods' worth, as the one moment at which it will be full again (generic cell rate algorithm,
/// ITU-T I.371), in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// What a full one holds.
    full: u128,
    /// Between two tokens.
    interval: u128,
    full_at: u128,
    period: u128,
    /// Most within one period.
    most: u64,
}

impl Bucket {
    pub(super) fn new(limit: u32, period: Duration, burst: u32) -> Self {
        let period = period.as_nanos();
        Self {
            full: period * u128::from(burst),
            interval: (period / u128::from(limit.max(1))).max(1),
            full_at: 0,
            period,
            most: u64::from(limit) * u64::from(burst),
        }
    }

    /// Most that may come within one period, wherever that begins. A bucket that was full lets up to twice as many through, and
    /// nobody says whether the service does.
    pub(super) const fn most(&self) -> u64 {
        self.most
    }

    /// Takes as many tokens as there are, up to `count`; false when there were fewer.
    pub(super) fn take(&mut self, at: Duration, count: u32) -> bool {
        let now = at.as_nanos();
        for _ in 0..count {
            let after = self.full_at.max(now) + self.interval;
            if after - now > self.full {
                return false;
            }
            self.full_at = after;
        }
        true
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self, at: Duration) -> u64 {
        let used = self.full_at.saturating_sub(at.as_nanos());
        u64::try_from(self.full.saturating_sub(used) / self.interval).unwrap_or(u64::MAX)
    }

    /// The shortest window over which so many arrivals can come evenly, each for so many tokens, none of them refused and
    /// nowhere too many within a period. Number k of n in a window comes at k/n of it, as an arrival process that spreads them
    /// does.
    pub(super) fn shortest_spread(&self, arrivals: u64, each: u32) -> Option<Duration> {
        let within = self.most / u64::from(each.max(1));
        if within == 0 {
            return None;
        }
        let n = u128::from(arrivals);
        // The last one finds the bucket emptiest: it fits when what all have taken has been refilled, but for one full bucket.
        let refilled = (self.interval * n * u128::from(each)).saturating_sub(self.full);
        let by_bucket = (refilled * n).div_ceil(n.saturating_sub(1).max(1));
        let by_period = if arrivals <= within { 0 } else { (self.period * n).div_ceil(within.into()) };
        Some(Duration::from_nanos(u64::try_from(by_bucket.max(by_period)).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// How many of so many arrivals, evenly over a window, are refused.
    fn refused(bucket: Bucket, arrivals: u64, each: u32, window: Duration) -> usize {
        let mut bucket = bucket;
        let nanos = |k: u64| u128::from(k) * window.as_nanos() / u128::from(arrivals);
        let at = |k| Duration::from_nanos(u64::try_from(nanos(k)).unwrap());
        (0..arrivals).filter(|k| !bucket.take(at(*k), each)).count()
    }

    #[test]
    fn an_arrival_that_asks_for_more_than_a_full_bucket_never_fits() {
        let bucket = Bucket::new(1, Duration::from_secs(1), 1);
        assert_eq!((refused(bucket, 3, 2, Duration::ZERO), bucket.shortest_spread(3, 2)), (3, None));
    }

    proptest! {
        #[test]
        fn tokens_are_those_that_can_be_taken(
            limit in 1u32..500,
            burst in 1u32..4,
            before in prop::collection::vec((0u64..100_000, 0u32..50), 0..20),
            later in 0u64..100_000,
        ) {
            let mut bucket = Bucket::new(limit, MINUTE, burst);
            let mut now = Duration::ZERO;
            for (wait, count) in before {
                now += Duration::from_millis(wait);
                bucket.take(now, count);
            }
            now += Duration::from_millis(later);
            let tokens = bucket.tokens(now);
            let mut taken = 0;
            while bucket.take(now, 1) {
                taken += 1;
            }
            prop_assert_eq!(tokens, taken);
        }

        #[test]
        fn as_many_are_over_as_counting_tokens_says(arrivals in 1u64..500, limit in 1u32..100, window in 0u64..120) {
            let mut tokens = f64::from(limit);
            let (mut last, mut refused_then) = (0.0, 0);
            for k in 0..arrivals {
                let at = (k * window * 1_000_000_000 / arrivals) as f64 / 1e9;
                tokens = (tokens + (at - last) * f64::from(limit) / 60.0).min(f64::from(limit));
                last = at;
                if tokens >= 1.0 - 1e-6 { tokens -= 1.0 } else { refused_then += 1 }
            }
            let bucket = Bucket::new(limit, MINUTE, 1);
            prop_assert_eq!(refused(bucket, arrivals, 1, Duration::from_secs(window)), refused_then);
        }
    }
}
