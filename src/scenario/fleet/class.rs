use std::time::Duration;

use crate::domain::{KeyAlgorithm, KeySource, TlsVersions, Transport};
use crate::scenario::{Attestation, Behaviour};

/// A part of the fleet whose devices are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceClass {
    /// Name in reports, unique in the fleet; `all` when there are no classes.
    pub name: String,
    /// Its part of the fleet, as a weight: 1 to 10,000.
    pub share: u32,
    /// Algorithm of their keys.
    pub key_algorithm: KeyAlgorithm,
    /// Where keys come from.
    pub keys: KeySource,
    /// TLS versions offered.
    pub tls: TlsVersions,
    /// Whether a device resumes TLS sessions that it had before.
    pub tls_resumption: bool,
    /// How devices talk to DPS and to their hub.
    pub transport: Transport,
    /// How devices prove to DPS who they are.
    pub attestation: Attestation,
    /// What they do when refused.
    pub behaviour: Behaviour,
    /// The network between them and the service.
    pub network: Network,
}

/// Impairment of a network, made in user space on top of the real one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Network {
    /// Added round-trip time (real time).
    pub latency: Duration,
    /// Upper end of a random addition to it.
    pub jitter: Duration,
    /// Probability from 0 to 1 that a connection is reset before its conversation is over.
    pub reset: f64,
}

/// Which class each device of a fleet is of: classes are interleaved, so that every stretch of the fleet has the same mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// Class of every device of one period; the next period is the same.
    period: Box<[u16]>,
}

impl Mix {
    /// `shares` are weights; none and all zero means one class.
    pub fn new(shares: &[u32]) -> Self {
        let common = shares.iter().fold(0, |a, b| gcd(a, *b)).max(1);
        let weights: Vec<i64> = shares.iter().map(|share| i64::from(share / common)).collect();
        let all: i64 = weights.iter().sum();
        let mut behind = vec![0; weights.len()];
        let mut period = Vec::new();
        for _ in 0..all {
            for (behind, weight) in behind.iter_mut().zip(&weights) {
                *behind += weight;
            }
            // The class that is furthest behind its share comes next; of several the first.
            let next = (0..behind.len()).rev().max_by_key(|class| behind[*class]).unwrap_or_default();
            behind[next] -= all;
            period.push(u16::try_from(next).unwrap_or(u16::MAX));
        }
        if period.is_empty() {
            period.push(0);
        }
        Self { period: period.into() }
    }

    /// The class of a device.
    pub fn class_of(&self, device: u32) -> usize {
        usize::from(self.period[device as usize % self.period.len()])
    }

    /// How many of the first `devices` devices are of that class.
    pub fn count(&self, class: usize, devices: u32) -> u32 {
        let length = u32::try_from(self.period.len()).unwrap_or(u32::MAX);
        let within = |until: usize| {
            let count = self.period.iter().take(until).filter(|c| usize::from(**c) == class).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        devices / length * within(self.period.len()) + within((devices % length) as usize)
    }
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_of_the_same_proportions_are_mixed_in_the_same_way() {
        assert_eq!(Mix::new(&[5_000, 10_000]), Mix::new(&[1, 2]));
        assert_eq!(Mix::new(&[6, 4, 10]), Mix::new(&[3, 2, 5]));
        assert_ne!(Mix::new(&[6, 4, 9]), Mix::new(&[3, 2, 5]));
    }

    proptest! {
        #[test]
        fn shares_are_exact_to_one_device_on_any_fleet_size(
            shares in prop::collection::vec(1u32..=100, 1..6),
            devices in 0u32..3_000,
        ) {
            let mix = Mix::new(&shares);
            let all: u32 = shares.iter().sum();
            let mut counted = vec![0u32; shares.len()];
            for device in 0..devices {
                counted[mix.class_of(device)] += 1;
            }
            for (class, share) in shares.iter().enumerate() {
                prop_assert_eq!(mix.count(class, devices), counted[class]);
                let exact = f64::from(devices) * f64::from(*share) / f64::from(all);
                prop_assert!((f64::from(counted[class]) - exact).abs() < 1.0, "{} of {exact}", counted[class]);
                if devices.is_multiple_of(all) {
                    prop_assert_eq!(counted[class], devices / all * share);
                }
            }
        }
    }
}
