use std::fmt;
use std::time::{Duration, SystemTime};

use rand::RngExt;

use crate::domain::rng;
use crate::settings::expect::{Expect, duration};
use crate::settings::reader::Section;
use crate::settings::time;

/// The credential policy: what certificates the fleet gets. Fleet time. The embedded emulator follows it; elsewhere it is
/// what the plan reckons with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From issuance to expiry.
    pub validity: Duration,
    /// Length of the renewal window, which ends with the certificate.
    pub renewal_window: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { validity: 30 * DAY, renewal_window: 7 * DAY }
    }
}

/// What the service allows.
const LONGEST_VALIDITY: Duration = Duration::from_secs(90 * 86_400);

pub(super) fn read(mut section: Section<'_>) -> Option<Policy> {
    let whole = |range| -> Expect<Duration> {
        duration(range).then(|time| match time.subsec_nanos() {
            0 => Ok(time),
            _ => Err("certificates know whole seconds only".to_owned()),
        })
    };
    let validity = section.or("validity", "P30D", &whole(Duration::from_secs(1)..=LONGEST_VALIDITY));
    let renewal_window = section.or("renewal_window", "P7D", &whole(Duration::ZERO..=LONGEST_VALIDITY));
    if let (Some(validity), Some(window)) = (validity, renewal_window)
        && window > validity
    {
        let message = format!("of {} is longer than policy.validity, {}", time::show(window), time::show(validity));
        section.problem("renewal_window", &message, "make it at most as long as certificates are valid");
    }
    section.finish();
    Some(Policy { validity: validity?, renewal_window: renewal_window? })
}

/// When a device renews its certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenewalTiming {
    /// Its plan.
    pub strategy: RenewalStrategy,
    /// How wrong its clock may be: each device's is off by a fixed amount, uniform in plus or minus this. Fleet time.
    pub clock_skew: Duration,
}

/// A device's plan for renewing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RenewalStrategy {
    /// As soon as the renewal window opens.
    WindowOpens,
    /// After this part of the lifetime, 0 to 1.
    Fraction(f64),
    /// Anywhere in the renewal window.
    Uniform,
    /// Anywhere in a window that the server suggests, as with ACME renewal information (RFC 9773): it begins and ends so
    /// long before expiry.
    Suggested {
        /// Begin, before expiry.
        from: Duration,
        /// End, before expiry; less than `from`.
        until: Duration,
    },
    /// Only once the certificate has expired.
    Never,
}

impl RenewalTiming {
    /// When device number `device` renews a certificate of that validity. `round` counts its certificates, so that the next
    /// one is not renewed at the same place of its window.
    pub fn due(
        &self,
        policy: &Policy,
        (not_before, not_after): (SystemTime, SystemTime),
        seed: u64,
        device: u32,
        round: u32,
    ) -> SystemTime {
        let draw = |name| rng(seed, name, u64::from(device) | u64::from(round) << 32).random::<f64>();
        let before_expiry = |time: Duration| not_after.checked_sub(time).unwrap_or(not_before).max(not_before);
        let at = match self.strategy {
            RenewalStrategy::WindowOpens => before_expiry(policy.renewal_window),
            RenewalStrategy::Fraction(part) => {
                let lifetime = not_after.duration_since(not_before).unwrap_or_default();
                not_before + lifetime.mul_f64(part.clamp(0.0, 1.0))
            }
            RenewalStrategy::Uniform => before_expiry(policy.renewal_window.mul_f64(1.0 - draw("renewal-place"))),
            RenewalStrategy::Suggested { from, until } => {
                before_expiry(until + from.saturating_sub(until).mul_f64(1.0 - draw("renewal-place")))
            }
            RenewalStrategy::Never => not_after,
        };
        // A clock that is ahead makes the device come early. The skew is the device's, not the certificate's.
        let skew = rng(seed, "clock-skew", u64::from(device)).random::<f64>().mul_add(2.0, -1.0);
        let by = self.clock_skew.mul_f64(skew.abs());
        if skew < 0.0 { at.checked_sub(by).unwrap_or(at) } else { at + by }
    }
}

impl fmt::Display for RenewalTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.strategy {
            RenewalStrategy::WindowOpens => f.write_str("when the renewal window opens")?,
            RenewalStrategy::Fraction(part) => write!(f, "after {} % of the certificate's life", round(part * 100.0))?,
            RenewalStrategy::Uniform => f.write_str("anywhere in the renewal window")?,
            RenewalStrategy::Suggested { from, until } => {
                write!(f, "where the server suggests, {} to {} before expiry", time::show(from), time::show(until))?;
            }
            RenewalStrategy::Never => f.write_str("once the certificate has expired")?,
        }
        if !self.clock_skew.is_zero() {
            write!(f, ", clocks wrong by up to {}", time::show(self.clock_skew))?;
        }
        Ok(())
    }
}

/// To three digits after the point, for a person.
fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strategies() -> impl Strategy<Value = RenewalStrategy> {
        prop_oneof![
            Just(RenewalStrategy::WindowOpens),
            (0.0..=1.0f64).prop_map(RenewalStrategy::Fraction),
            Just(RenewalStrategy::Uniform),
            (0u64..1_000, 0u64..1_000).prop_map(|(a, b)| RenewalStrategy::Suggested {
                from: Duration::from_secs(a.max(b)),
                until: Duration::from_secs(a.min(b)),
            }),
            Just(RenewalStrategy::Never),
        ]
    }

    proptest! {
        #[test]
        fn a_renewal_is_due_within_the_lifetime_give_or_take_the_clocks_error(
            strategy in strategies(),
            validity in 1u64..5_000,
            window in 0u64..6_000,
            skew in 0u64..100,
            device in any::<u32>(),
        ) {
            let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let end = begin + Duration::from_secs(validity);
            let policy =
                Policy { validity: end.duration_since(begin).unwrap(), renewal_window: Duration::from_secs(window) };
            let skew = Duration::from_secs(skew);
            let timing = RenewalTiming { strategy, clock_skew: skew };
            let due = timing.due(&policy, (begin, end), 7, device, 1);
            prop_assert!(due >= begin - skew && due <= end + skew);
            prop_assert_eq!(due, timing.due(&policy, (begin, end), 7, device, 1));
            if matches!(strategy, RenewalStrategy::Uniform | RenewalStrategy::WindowOpens) {
                prop_assert!(due >= begin.max(end - Duration::from_secs(window.min(validity))) - skew);
            }
        }
    }

    #[test]
    fn each_certificate_of_a_device_has_its_own_place_in_the_window() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let validity = (begin, begin + Policy::default().validity);
        let due = |skew, device, round| {
            let timing = RenewalTiming { strategy: RenewalStrategy::Uniform, clock_skew: Duration::from_secs(skew) };
            timing.due(&Policy::default(), validity, 1, device, round)
        };
        let mut all: Vec<_> = (0..10).flat_map(|device| (0..10).map(move |round| due(0, device, round))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100, "no two certificates are renewed at the same time");
        let ahead = |round| due(3_600, 5, round) < due(0, 5, round);
        assert!((1..10).all(|round| ahead(round) == ahead(0)), "its clock is wrong by the same every time");
    }

    #[test]
    fn devices_spread_over_the_window_that_they_are_given() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let day = Duration::from_secs(86_400);
        let timing = RenewalTiming {
            strategy: RenewalStrategy::Suggested { from: 7 * day, until: 3 * day },
            clock_skew: Duration::ZERO,
        };
        let validity = (begin, begin + 30 * day);
        let due = |device| timing.due(&Policy::default(), validity, 1, device, 1).duration_since(begin).unwrap();
        let all: Vec<Duration> = (0..1_000).map(due).collect();
        assert!(all.iter().all(|at| (23 * day..=27 * day).contains(at)));
        let early = all.iter().filter(|at| **at < 25 * day).count();
        assert!((400..600).contains(&early), "{early} in the first half");
    }
}
