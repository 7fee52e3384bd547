use std::time::Duration;

use crate::cli::command::plan::facts::StageFacts;
use crate::domain::{CryptoProvider, KeyAlgorithm, KeySource};
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

/// CPU time of one key pair and of one CSR: what is typical, so that a plan takes no time to find out and says the same
/// everywhere. Another machine may be twice as fast or as slow, and RSA keys differ among themselves, as primes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) key: Duration,
    pub(super) csr: Duration,
}

/// What every class has to make in these stages, as far as it makes any.
pub(super) fn work<'a>(scenario: &'a Scenario, stages: &[StageFacts<'a>]) -> Vec<KeyWork<'a>> {
    let work = scenario.fleet.classes.iter().filter_map(|class| {
        let made_in = stages.iter().filter(|stage| stage.stage.kind.makes_keys());
        let of_class = made_in.flat_map(|stage| &stage.classes).filter(|(other, _)| std::ptr::eq(*other, class));
        let csrs: u64 = of_class.map(|(_, count)| u64::from(*count)).sum();
        if csrs == 0 {
            return None;
        }
        let keys = if class.keys == KeySource::Shared { 1 } else { csrs };
        let cost = Cost::of(class.key_algorithm, scenario.fleet.crypto_provider);
        Some(KeyWork { class, keys, csrs, cpu: times(cost.key, keys).saturating_add(times(cost.csr, csrs)) })
    });
    work.collect()
}

impl Cost {
    /// Seen on one core of an x86-64 server (AMD EPYC) by `cargo bench --bench csr` and, for RSA of more than 2048 bits, by the
    /// same way of measuring; docs/scenarios.md has them as a table.
    pub(super) const fn of(algorithm: KeyAlgorithm, provider: CryptoProvider) -> Self {
        let (key, csr) = match (algorithm, provider) {
            (KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc) => (9, 17),
            (KeyAlgorithm::EcdsaP256, CryptoProvider::Ring) => (15, 26),
            (KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc) => (51, 84),
            (KeyAlgorithm::EcdsaP384, CryptoProvider::Ring) => (470, 760),
            (KeyAlgorithm::Rsa2048, _) => (70_000, 900),
            (KeyAlgorithm::Rsa3072, _) => (250_000, 2_500),
            (KeyAlgorithm::Rsa4096, _) => (600_000, 5_500),
        };
        Self { key: Duration::from_micros(key), csr: Duration::from_micros(csr) }
    }
}

fn times(each: Duration, count: u64) -> Duration {
    let nanos = each.as_nanos().saturating_mul(u128::from(count));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_figure() {
        let page = include_str!("../../../../docs/scenarios.md");
        let shown = |time: Duration| match time.as_micros() {
            micros if micros < 1_000 => format!("{micros} µs"),
            micros => format!("{} ms", micros as f64 / 1e3),
        };
        for algorithm in KeyAlgorithm::ALL {
            let Cost { key, csr } = Cost::of(algorithm, CryptoProvider::AwsLc);
            let row = format!("| `\"{algorithm}\"` | {} | {} |", shown(key), shown(csr));
            assert!(page.contains(&row), "{row} is missing");
        }
    }
}
