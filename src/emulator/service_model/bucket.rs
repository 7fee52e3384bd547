use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: a number of tokens per period, of which some periods' worth may be taken at once.
///
/// Kept as one moment, that at which the bucket will be full again (the virtual scheduling of the generic cell rate
/// algorithm, ITU-T I.371): a token moves it by one interval, and there is none left when it lies a period ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// What a full bucket holds.
    full: Duration,
    interval: Duration,
}

impl Rate {
    /// `tokens` per `period`, `burst` periods' worth in a full bucket; there is no bucket without tokens.
    pub(super) fn new(tokens: u32, period: Duration, burst: u32) -> Self {
        Self { full: period.saturating_mul(burst), interval: period / tokens.max(1) }
    }

    /// Takes a token from the bucket that is `full_at` then, or says how long there will be none.
    pub(super) fn take(self, full_at: &mut Option<Instant>, now: Instant) -> Result<(), Duration> {
        match self.reserve(full_at, now, Duration::ZERO) {
            Ok(_) => Ok(()),
            Err(wait) => Err(wait),
        }
    }

    /// Takes a token that will be there within `patience`, and says when it is.
    pub(super) fn reserve(
        self,
        full_at: &mut Option<Instant>,
        now: Instant,
        patience: Duration,
    ) -> Result<Instant, Duration> {
        let from = full_at.map_or(now, |full_at| full_at.max(now));
        let after = from + self.interval;
        // The rounding of the interval must not cost the last token of a full bucket.
        let wait = after.duration_since(now).saturating_sub(self.full);
        if wait > patience {
            return Err(wait);
        }
        *full_at = Some(after);
        Ok(now + wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_full_bucket_holds_a_period_and_then_fills_token_by_token() {
        let (rate, mut bucket, now) = (Rate::new(5, Duration::from_secs(10), 1), None, Instant::now());
        assert_eq!((0..9).filter(|_| rate.take(&mut bucket, now).is_ok()).count(), 5);
        assert_eq!(rate.take(&mut bucket, now), Err(Duration::from_secs(2)));
        let later = now + Duration::from_secs(2);
        assert_eq!((rate.take(&mut bucket, later), rate.take(&mut bucket, later).is_err()), (Ok(()), true));
        let full = now + MINUTE;
        assert_eq!((0..9).filter(|_| rate.take(&mut bucket, full).is_ok()).count(), 5, "no more than a full bucket");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_can_be_had_in_advance() {
        let (rate, mut bucket, now) = (Rate::new(10, Duration::from_secs(1), 1), None, Instant::now());
        let starts: Vec<_> = (0..12).map_while(|_| rate.reserve(&mut bucket, now, MINUTE).ok()).collect();
        assert!(starts[..10].iter().all(|start| *start == now));
        assert_eq!(starts[11] - now, Duration::from_millis(200));
        assert!(rate.reserve(&mut bucket, now, Duration::from_millis(250)).is_err(), "it would be 300 ms");
    }

    proptest! {
        #[test]
        fn no_more_than_two_periods_worth_is_ever_given_in_a_period(
            tokens in 1_u32..2000,
            gaps in proptest::collection::vec(0_u64..200, 1..400),
        ) {
            let (rate, start) = (Rate::new(tokens, MINUTE, 1), Instant::now());
            let (mut bucket, mut now, mut given) = (None, start, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                if rate.take(&mut bucket, now).is_ok() {
                    given.push(now);
                }
            }
            let within = |since: Instant| given.iter().filter(|at| **at >= since && **at < since + MINUTE).count();
            let most = given.iter().map(|at| within(*at)).max().unwrap_or(0);
            prop_assert!(most <= 2 * tokens as usize + 1, "{most}");
            prop_assert!(!given.is_empty());
        }
    }
}
