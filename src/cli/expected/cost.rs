use std::time::Duration;

use crate::domain::{KeyAlgorithm, StageKind, Transport};
use crate::scenario::{Attestation, DeviceClass, Scenario, Stage};

/// CPU time that one device takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Of the generator.
    pub generator: Duration,
    /// Of the embedded emulator; `None` when the target is not on this machine, or is nothing of ours.
    pub emulator: Option<Duration>,
    /// By what it is known.
    pub source: Source,
}

/// By what a cost is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// Earlier runs on this machine: their median.
    Runs {
        /// How many stages of earlier runs.
        runs: usize,
        /// The dearest and the cheapest of them, as multiples of the median.
        factors: [f64; 2],
    },
    /// The README, of another machine: this one may be twice as fast or as slow.
    Documented,
}

/// The machine of what is documented.
pub(super) const DOCUMENTED_MACHINE: &str = "AMD EPYC with 2 cores";

/// The storm of the README.
const DOCUMENTED: Cost = Cost {
    generator: Duration::from_micros(1_040),
    emulator: Some(Duration::from_micros(1_010)),
    source: Source::Documented,
};

impl Cost {
    /// Of all that is on this machine.
    pub fn both(&self) -> Duration {
        self.generator.saturating_add(self.emulator.unwrap_or_default())
    }

    /// What is documented for devices that do that. It was measured with an optimized build.
    pub(super) fn documented(work: &Work, embedded: bool, optimized: bool) -> Option<Self> {
        let emulator = DOCUMENTED.emulator.filter(|_| embedded);
        (optimized && work.documented).then_some(Self { emulator, ..DOCUMENTED })
    }
}

/// What the devices of a stage do, as far as it decides what CPU they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    /// In words, which name what is alike.
    pub(super) name: String,
    /// Whether it is what is documented, or less.
    documented: bool,
}

/// What the devices of a stage do.
pub(super) fn work(scenario: &Scenario, index: usize) -> Work {
    let stage: &Stage = &scenario.stages[index];
    let mut classes: Vec<_> = stage.classes.iter().filter_map(|class| scenario.fleet.classes.get(*class)).collect();
    let documented = stage.kind == StageKind::Provision && classes.iter().all(|class| is_of_the_storm(class));
    classes.sort_by_key(|class| words(class));
    let mut words: Vec<_> = classes.into_iter().map(words).collect();
    words.dedup();
    let hub = if stage.hub_connect { " with hub" } else { "" };
    let telemetry = if stage.sends_telemetry() { " and telemetry" } else { "" };
    Work { name: format!("{}{hub}{telemetry}: {}", stage.kind, words.join("; ")), documented }
}

/// Whether a device is as those of the storm in the README.
fn is_of_the_storm(class: &DeviceClass) -> bool {
    let DeviceClass { key_algorithm, transport, attestation, .. } = class;
    *transport == Transport::Mqtt
        && *key_algorithm == KeyAlgorithm::EcdsaP256
        && matches!(attestation, Attestation::SymmetricKey)
}

fn words(class: &DeviceClass) -> String {
    let DeviceClass { key_algorithm, keys, tls, tls_resumption, transport, attestation, .. } = class;
    let attestation = match attestation {
        Attestation::SymmetricKey => "symmetric-key",
        Attestation::X509 { .. } => "x509",
    };
    let resumption = if *tls_resumption { ", resumption" } else { "" };
    format!("{transport}, {attestation}, {key_algorithm}, {keys}, {tls}{resumption}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work_of(more: &str) -> Work {
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = 5\n{more}\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n"
        );
        work(&Scenario::parse("x.toml", &text, &[]).unwrap(), 0)
    }

    #[test]
    fn the_figures_are_those_of_the_readme() {
        let page = include_str!("../../../README.md");
        let told = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let row = |process: &str, time| {
            let told = told(time);
            page.lines().any(|line| line.trim_start().starts_with(process) && line.contains(&told))
        };
        assert!(row("generator ", DOCUMENTED.generator) && row("emulator ", DOCUMENTED.emulator.unwrap()));
        assert!(page.contains("AMD EPYC, 2 cores") && DOCUMENTED_MACHINE.contains("2 cores"));
        let line = page.lines().find(|line| line.starts_with("COMPLETE  5,000 of 5,000 devices succeeded")).unwrap();
        let seen: f64 = line.split_once('(').unwrap().1.split_once("/s").unwrap().0.parse().unwrap();
        let expected = super::super::rate(DOCUMENTED, 2.0).per_second;
        assert!((expected / seen - 1.0).abs() < 0.05, "{expected}/s are expected, {seen}/s were seen");
    }

    #[test]
    fn only_what_was_measured_is_documented_and_an_emulator_elsewhere_takes_nothing_here() {
        let cost = |more, embedded, optimized| Cost::documented(&work_of(more), embedded, optimized);
        assert_eq!(cost("", true, true), Some(DOCUMENTED));
        assert_eq!(cost("", false, true).map(|cost| (cost.both(), cost.emulator)), Some((DOCUMENTED.generator, None)));
        assert_eq!(cost("", true, false), None, "a build for tests is slower");
        for other in ["fleet.transport = 'https'", "fleet.attestation = 'x509'", "fleet.key_algorithm = 'rsa-2048'"] {
            assert_eq!(cost(other, true, true), None, "{other}");
        }
    }

    #[test]
    fn what_costs_otherwise_has_another_name() {
        let names = [
            work_of("").name,
            work_of("fleet.transport = 'https'").name,
            work_of("fleet.key_algorithm = 'rsa-2048'").name,
            work_of("fleet.attestation = 'x509'").name,
            work_of("fleet.tls_resumption = true").name,
        ];
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name), "{names:?}");
        }
        assert_eq!(work_of("quotas.profile = 'dps-default'"), work_of(""), "what the service allows costs nothing");
    }
}
