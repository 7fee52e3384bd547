use std::time::Duration;

use tokio::time::Instant;

use crate::cli::command::plan::facts::StageFacts;
use crate::domain::{CryptoProvider, KeyAlgorithm, KeySource};
use crate::pki::csr;
use crate::pki::key::{DeviceKey, KeyError};
use crate::scenario::{DeviceClass, Scenario};

/// Keys and CSRs of one device class.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyWork<'a> {
    pub(super) class: &'a DeviceClass,
    /// Key pairs to make.
    pub(super) keys: u64,
    /// CSRs to sign.
    pub(super) csrs: u64,
    /// CPU time of all of them, about.
    pub(super) cpu: Duration,
}

/// CPU time of one key pair and of one CSR.
#[derive(Debug, Clone, Copy)]
struct Cost {
    key: Duration,
    csr: Duration,
}

/// Longest time to try how fast keys are made, all classes together.
const TRIALS: Duration = Duration::from_millis(40);

/// Most keys made to try it.
const MOST: u32 = 20;

/// What every class has to make in these stages, as far as it makes any.
pub(super) fn work<'a>(scenario: &'a Scenario, stages: &[StageFacts<'a>]) -> Vec<KeyWork<'a>> {
    let classes = &scenario.fleet.classes;
    let mut known: Vec<(KeyAlgorithm, Cost)> = Vec::new();
    let share = TRIALS / u32::try_from(classes.len()).unwrap_or(u32::MAX).max(1);
    let work = classes.iter().filter_map(|class| {
        let made_in = stages.iter().filter(|stage| stage.stage.kind.makes_keys());
        let of_class = made_in.flat_map(|stage| &stage.classes).filter(|(other, _)| std::ptr::eq(*other, class));
        let csrs: u64 = of_class.map(|(_, count)| u64::from(*count)).sum();
        if csrs == 0 {
            return None;
        }
        let keys = if class.keys == KeySource::Shared { 1 } else { csrs };
        let algorithm = class.key_algorithm;
        let cost = match known.iter().find(|(other, _)| *other == algorithm) {
            Some((_, cost)) => *cost,
            None => {
                let cost = Cost::of(algorithm, scenario.fleet.crypto_provider, share);
                known.push((algorithm, cost));
                cost
            }
        };
        Some(KeyWork { class, keys, csrs, cpu: times(cost.key, keys).saturating_add(times(cost.csr, csrs)) })
    });
    work.collect()
}

impl Cost {
    /// Tried out here, but for RSA, of which a few keys would take longer than a plan may: seen on one core of an x86-64
    /// server.
    fn of(algorithm: KeyAlgorithm, provider: CryptoProvider, longest: Duration) -> Self {
        let milliseconds =
            |key: u64, csr: u64| Self { key: Duration::from_millis(key), csr: Duration::from_micros(csr) };
        match algorithm {
            KeyAlgorithm::Rsa2048 => milliseconds(70, 900),
            KeyAlgorithm::Rsa3072 => milliseconds(250, 2_500),
            KeyAlgorithm::Rsa4096 => milliseconds(600, 5_500),
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 => {
                // A library that makes none will say so when the run begins.
                Self::tried(algorithm, provider, longest).unwrap_or(milliseconds(0, 100))
            }
        }
    }

    fn tried(algorithm: KeyAlgorithm, provider: CryptoProvider, longest: Duration) -> Result<Self, KeyError> {
        let began = Instant::now();
        let (mut keys, mut csrs) = (Vec::new(), Vec::new());
        // The first one pays for what the library sets up once.
        let mut key = DeviceKey::generate(algorithm, provider)?;
        csr::build(&key, "device")?;
        while keys.is_empty() || (began.elapsed() < longest && keys.len() < MOST as usize) {
            let start = Instant::now();
            key = DeviceKey::generate(algorithm, provider)?;
            let made = Instant::now();
            csr::build(&key, "device")?;
            keys.push(made - start);
            csrs.push(made.elapsed());
        }
        Ok(Self { key: median(keys), csr: median(csrs) })
    }
}

/// So that a machine that was busy for a moment does not decide.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn times(each: Duration, count: u64) -> Duration {
    let nanos = each.as_nanos().saturating_mul(u128::from(count));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_costs_something_and_rsa_is_not_tried_out() {
        let cost = |algorithm| Cost::of(algorithm, CryptoProvider::default(), Duration::from_millis(1));
        let all = KeyAlgorithm::ALL.map(|algorithm| cost(algorithm).key);
        assert!(all.iter().all(|cost| *cost > Duration::ZERO), "{all:?}");
        assert!(all[2..].is_sorted() && all[2] > all[1], "{all:?}");
    }

    #[test]
    fn a_moment_of_a_busy_machine_does_not_decide() {
        let times = [3, 900, 2, 4, 3].map(Duration::from_micros).to_vec();
        assert_eq!(median(times), Duration::from_micros(3));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
