use std::fmt;
use std::time::SystemTime;

use rand::RngExt;

use crate::domain::{FleetTime, rng};

/// The credential policy: what certificates the fleet gets. The embedded emulator follows it; elsewhere it is
/// what the plan reckons with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From issuance to expiry.
    pub validity: FleetTime,
    /// Length of the renewal window, which ends with the certificate.
    pub renewal_window: FleetTime,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: FleetTime = FleetTime::from_secs(86_400);
        Self { validity: DAY * 30, renewal_window: DAY * 7 }
    }
}

/// When a device renews its certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenewalTiming {
    /// Its plan.
    pub strategy: RenewalStrategy,
    /// How wrong its clock may be: each device's is off by a fixed amount, uniform in plus or minus this.
    pub clock_skew: FleetTime,
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
        from: FleetTime,
        /// End, before expiry; less than `from`.
        until: FleetTime,
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
        let before_expiry = |time: FleetTime| time.before(not_after).unwrap_or(not_before).max(not_before);
        let at = match self.strategy {
            RenewalStrategy::WindowOpens => before_expiry(policy.renewal_window),
            RenewalStrategy::Fraction(part) => {
                FleetTime::between(not_before, not_after).mul_f64(part.clamp(0.0, 1.0)).after(not_before)
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
        if skew < 0.0 { by.before(at).unwrap_or(at) } else { by.after(at) }
    }
}

impl fmt::Display for RenewalTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.strategy {
            RenewalStrategy::WindowOpens => f.write_str("when the renewal window opens")?,
            RenewalStrategy::Fraction(part) => write!(f, "after {} % of the certificate's life", round(part * 100.0))?,
            RenewalStrategy::Uniform => f.write_str("anywhere in the renewal window")?,
            RenewalStrategy::Suggested { from, until } => {
                write!(f, "where the server suggests, {} to {} before expiry", from, until)?;
            }
            RenewalStrategy::Never => f.write_str("once the certificate has expired")?,
        }
        if !self.clock_skew.is_zero() {
            write!(f, ", clocks wrong by up to {}", self.clock_skew)?;
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
                from: FleetTime::from_secs(a.max(b)),
                until: FleetTime::from_secs(a.min(b)),
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
            let begin = FleetTime::from_secs(1_800_000_000).after(SystemTime::UNIX_EPOCH);
            let (validity, window, skew) = (
                FleetTime::from_secs(validity),
                FleetTime::from_secs(window),
                FleetTime::from_secs(skew),
            );
            let end = validity.after(begin);
            let policy = Policy { validity, renewal_window: window };
            let timing = RenewalTiming { strategy, clock_skew: skew };
            let due = timing.due(&policy, (begin, end), 7, device, 1);
            let early = |at: SystemTime| skew.before(at).unwrap();
            prop_assert!(due >= early(begin) && due <= skew.after(end));
            prop_assert_eq!(due, timing.due(&policy, (begin, end), 7, device, 1));
            if matches!(strategy, RenewalStrategy::Uniform | RenewalStrategy::WindowOpens) {
                prop_assert!(due >= early(begin.max(window.min(validity).before(end).unwrap())));
            }
        }
    }

    #[test]
    fn each_certificate_of_a_device_has_its_own_place_in_the_window() {
        let begin = FleetTime::from_secs(1_800_000_000).after(SystemTime::UNIX_EPOCH);
        let validity = (begin, Policy::default().validity.after(begin));
        let due = |skew, device, round| {
            let timing = RenewalTiming { strategy: RenewalStrategy::Uniform, clock_skew: FleetTime::from_secs(skew) };
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
        let begin = FleetTime::from_secs(1_800_000_000).after(SystemTime::UNIX_EPOCH);
        let day = FleetTime::from_secs(86_400);
        let timing = RenewalTiming {
            strategy: RenewalStrategy::Suggested { from: 7 * day, until: 3 * day },
            clock_skew: FleetTime::ZERO,
        };
        let validity = (begin, (30 * day).after(begin));
        let due = |device| FleetTime::between(begin, timing.due(&Policy::default(), validity, 1, device, 1));
        let all: Vec<FleetTime> = (0..1_000).map(due).collect();
        assert!(all.iter().all(|at| (23 * day..=27 * day).contains(at)));
        let early = all.iter().filter(|at| **at < 25 * day).count();
        assert!((400..600).contains(&early), "{early} in the first half");
    }
}
