use std::time::Duration;

/// How fast a token bucket fills, and how much it holds.
///
/// A bucket is kept as one moment, that at which it will be full again (the virtual scheduling of the generic cell rate algorithm, ITU-T
/// I.371): a token moves it by one interval, and there is none left when it lies a full bucket ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRate {
    period: Duration,
    interval: Duration,
    /// What a full bucket holds, as the time in which an empty one fills.
    full: Duration,
    most: u64,
}

/// A token bucket. One that nobody took from yet is full.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    rate: TokenRate,
    full_at: Duration,
}

impl TokenRate {
    /// `tokens` per `period`, `burst` periods' worth in a full bucket; there is no bucket without tokens.
    pub fn new(tokens: u32, period: Duration, burst: u32) -> Self {
        Self {
            period,
            interval: (period / tokens.max(1)).max(Duration::from_nanos(1)),
            full: period.saturating_mul(burst),
            most: u64::from(tokens) * u64::from(burst),
        }
    }

    /// What a full bucket holds: the most that may come within one period, wherever that begins. A bucket that was full lets up to twice
    /// as many through, and nobody says whether the service does.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Takes a token that will be there within `patience` from the bucket that is full again at `full_at`, and says when it is there.
    ///
    /// # Errors
    /// How long there will be none.
    pub fn reserve(&self, full_at: &mut Duration, now: Duration, patience: Duration) -> Result<Duration, Duration> {
        let after = now.max(*full_at).saturating_add(self.interval);
        // The rounding of the interval must not cost the last token of a full bucket.
        let wait = (after - now).saturating_sub(self.full);
        if wait > patience {
            return Err(wait);
        }
        *full_at = after;
        Ok(now + wait)
    }

    /// How many tokens are in the bucket that is full again at `full_at`.
    pub fn tokens(&self, full_at: Duration, now: Duration) -> u64 {
        let left = self.full.saturating_sub(full_at.saturating_sub(now));
        u64::try_from(left.as_nanos() / self.interval.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The shortest window over which so many arrivals can come evenly, each for so many tokens, none of them refused and
    /// nowhere too many within a period. Number k of n in a window comes at k/n of it, as an arrival process that spreads them
    /// does. `None` when one alone is too many.
    pub fn shortest_spread(&self, arrivals: u64, each: u32) -> Option<Duration> {
        let within = self.most / u64::from(each.max(1));
        if within == 0 {
            return None;
        }
        let n = u128::from(arrivals);
        // The last one finds the bucket emptiest: it fits when what all have taken has been refilled, but for one full bucket.
        let refilled = (self.interval.as_nanos() * n * u128::from(each)).saturating_sub(self.full.as_nanos());
        let by_bucket = (refilled * n).div_ceil(n.saturating_sub(1).max(1));
        let by_period = if arrivals <= within { 0 } else { (self.period.as_nanos() * n).div_ceil(within.into()) };
        Some(Duration::from_nanos(u64::try_from(by_bucket.max(by_period)).unwrap_or(u64::MAX)))
    }
}

impl TokenBucket {
    /// Makes it full.
    pub const fn fill(&mut self) {
        self.full_at = Duration::ZERO;
    }

    /// A full one.
    pub const fn full(rate: TokenRate) -> Self {
        Self { rate, full_at: Duration::ZERO }
    }

    /// How it fills.
    pub const fn rate(&self) -> &TokenRate {
        &self.rate
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long there will be none.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.reserve(now, Duration::ZERO).map(drop)
    }

    /// Takes a token that will be there within `patience`, and says when it is there.
    ///
    /// # Errors
    /// How long there will be none.
    pub fn reserve(&mut self, now: Duration, patience: Duration) -> Result<Duration, Duration> {
        self.rate.reserve(&mut self.full_at, now, patience)
    }

    /// How many tokens there are.
    pub fn tokens(&self, now: Duration) -> u64 {
        self.rate.tokens(self.full_at, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn bucket(tokens: u32, period: Duration, burst: u32) -> TokenBucket {
        TokenBucket::full(TokenRate::new(tokens, period, burst))
    }

    #[test]
    fn a_full_bucket_holds_a_period_and_then_fills_token_by_token() {
        let (mut bucket, now) = (bucket(5, MS(10_000), 1), MINUTE);
        assert_eq!((0..9).filter(|_| bucket.take(now).is_ok()).count(), 5);
        assert_eq!(bucket.take(now), Err(MS(2_000)));
        let later = now + MS(2_000);
        assert_eq!((bucket.take(later), bucket.take(later).is_err()), (Ok(()), true));
        let full = now + MINUTE;
        assert_eq!((0..9).filter(|_| bucket.take(full).is_ok()).count(), 5, "no more than a full bucket");
    }

    #[test]
    fn tokens_can_be_had_in_advance() {
        let (mut bucket, now) = (bucket(10, MS(1_000), 1), MINUTE);
        let starts: Vec<_> = (0..12).map_while(|_| bucket.reserve(now, MINUTE).ok()).collect();
        assert!(starts[..10].iter().all(|start| *start == now));
        assert_eq!(starts[11] - now, MS(200));
        assert!(bucket.reserve(now, MS(250)).is_err(), "it would be 300 ms");
    }

    /// How many of so many arrivals, evenly over a window, are refused.
    fn refused(mut bucket: TokenBucket, arrivals: u64, each: u32, window: Duration) -> usize {
        let nanos = |k: u64| u128::from(k) * window.as_nanos() / u128::from(arrivals);
        let at = |k| Duration::from_nanos(u64::try_from(nanos(k)).unwrap());
        (0..arrivals).filter(|k| !(0..each).all(|_| bucket.take(at(*k)).is_ok())).count()
    }

    #[test]
    fn an_arrival_that_asks_for_more_than_a_full_bucket_never_fits() {
        let bucket = bucket(1, MS(1_000), 1);
        assert_eq!((refused(bucket, 3, 2, Duration::ZERO), bucket.rate().shortest_spread(3, 2)), (3, None));
    }

    proptest! {
        #[test]
        fn no_more_than_two_periods_worth_is_ever_given_in_a_period(
            tokens in 1_u32..2000,
            gaps in proptest::collection::vec(0_u64..200, 1..400),
        ) {
            let mut bucket = bucket(tokens, MINUTE, 1);
            let (mut now, mut given) = (Duration::ZERO, Vec::new());
            for gap in gaps {
                now += MS(gap);
                if bucket.take(now).is_ok() {
                    given.push(now);
                }
            }
            let within = |since: Duration| given.iter().filter(|at| **at >= since && **at < since + MINUTE).count();
            let most = given.iter().map(|at| within(*at)).max().unwrap_or(0);
            prop_assert!(most <= 2 * tokens as usize + 1, "{most}");
            prop_assert!(!given.is_empty());
        }

        #[test]
        fn tokens_are_those_that_can_be_taken(
            limit in 1u32..500,
            burst in 1u32..4,
            before in prop::collection::vec((0u64..100_000, 0u32..50), 0..20),
            later in 0u64..100_000,
        ) {
            let mut bucket = bucket(limit, MINUTE, burst);
            let mut now = Duration::ZERO;
            for (wait, count) in before {
                now += MS(wait);
                (0..count).all(|_| bucket.take(now).is_ok());
            }
            now += MS(later);
            let tokens = bucket.tokens(now);
            let mut taken = 0;
            while bucket.take(now).is_ok() {
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
            let bucket = bucket(limit, MINUTE, 1);
            prop_assert_eq!(refused(bucket, arrivals, 1, Duration::from_secs(window)), refused_then);
        }
    }
}
