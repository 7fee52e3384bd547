use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How long the service takes for its work, and how much of it it does at once (`[model]`). By default nothing takes
/// longer than it really does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// A registration is answered with 202.
    pub register: StepModel,
    /// From that answer on, until the device has a hub and, if it asked for one, a certificate.
    pub assign: StepModel,
    /// A question for the state of an operation is answered.
    pub poll: StepModel,
    /// A CONNECT at the hub is answered. Over the capacity: CONNACK 3.
    pub hub_connect: StepModel,
    /// A device-to-cloud message is acknowledged. Over the capacity: the connection is closed (HTTPS: 429).
    pub telemetry: StepModel,
    /// A certificate renewal is answered with 202.
    pub renewal_accept: StepModel,
    /// From that answer on, until the certificate is there.
    pub renewal_issue: StepModel,
}

/// One kind of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepModel {
    /// How long it takes.
    pub latency: Latency,
    /// So many at once; the others wait in order of arrival. 0: no limit.
    pub capacity: usize,
    /// So many may wait; more are refused with 429.
    pub queue: usize,
}

impl Default for StepModel {
    fn default() -> Self {
        Self { latency: Latency::default(), capacity: 0, queue: 1000 }
    }
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Latency {
    /// Always the same.
    Fixed {
        /// Milliseconds.
        ms: f64,
    },
    /// Anything between two bounds.
    Uniform {
        /// Milliseconds at least.
        min_ms: f64,
        /// Milliseconds at most.
        max_ms: f64,
    },
    /// Log-normal: half of all take less than the median, few take very long.
    LogNormal {
        /// Milliseconds.
        median_ms: f64,
        /// Standard deviation of the logarithm: 0.5 puts p99 at 3.2 times the median, 1.0 at 10 times.
        sigma: f64,
    },
    /// As measured: drawn from the values of an HdrHistogram interval log, such as the `latency.hlog` of a run.
    Histogram {
        /// The file.
        file: PathBuf,
        /// Only the histograms with this tag; all when absent.
        #[serde(default)]
        tag: Option<String>,
        /// What the values are in.
        #[serde(default)]
        unit: Unit,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed { ms: 0.0 }
    }
}

/// What the values of a histogram are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds, as this program writes.
    #[default]
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
}

impl Model {
    /// All steps, with their keys.
    pub(crate) const fn steps(&self) -> [(&'static str, &StepModel); 7] {
        let Self { register, assign, poll, hub_connect, telemetry, renewal_accept, renewal_issue } = self;
        [
            ("register", register),
            ("assign", assign),
            ("poll", poll),
            ("hub_connect", hub_connect),
            ("telemetry", telemetry),
            ("renewal_accept", renewal_accept),
            ("renewal_issue", renewal_issue),
        ]
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, step) in self.steps() {
            let failed = |problem: &str| Err(ConfigError::entry("model", name, problem));
            if step.capacity > 1_000_000 || step.queue > 10_000_000 {
                return failed("`capacity` may be 1000000 and `queue` 10000000 at most");
            }
            match step.latency {
                Latency::Fixed { ms } if !is_time(ms) => return failed("`ms` must be from 0 to 3600000"),
                Latency::Uniform { min_ms, max_ms } if !is_time(min_ms) || !is_time(max_ms) || min_ms > max_ms => {
                    return failed("`min_ms` and `max_ms` must be from 0 to 3600000, in this order");
                }
                Latency::LogNormal { median_ms, sigma }
                    if !is_time(median_ms) || median_ms == 0.0 || !(0.0..=5.0).contains(&sigma) =>
                {
                    return failed("`median_ms` must be above 0 and at most 3600000, `sigma` from 0 to 5");
                }
                Latency::Fixed { .. }
                | Latency::Uniform { .. }
                | Latency::LogNormal { .. }
                | Latency::Histogram { .. } => {}
            }
        }
        Ok(())
    }
}

/// Milliseconds of no more than an hour.
fn is_time(ms: f64) -> bool {
    (0.0..=3_600_000.0).contains(&ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Config;

    #[test]
    fn every_value_of_a_step_has_its_bounds() {
        for step in Model::default().steps().map(|(name, _)| name) {
            let check = |text: &str| toml::from_str::<Config>(&format!("[model.{step}]\n{text}")).unwrap().check();
            for good in [
                "capacity = 1000000",
                "queue = 10000000",
                "latency = { fixed = { ms = 0 } }",
                "latency = { fixed = { ms = 3600000 } }",
                "latency = { uniform = { min_ms = 0, max_ms = 3600000 } }",
                "latency = { uniform = { min_ms = 5, max_ms = 5 } }",
                "latency = { log-normal = { median_ms = 0.001, sigma = 0 } }",
                "latency = { log-normal = { median_ms = 3600000, sigma = 5 } }",
                "latency = { histogram = { file = 'latency.hlog' } }",
            ] {
                assert_eq!(check(good), Ok(()), "{step}: {good}");
            }
            for bad in [
                "capacity = 1000001",
                "queue = 10000001",
                "latency = { fixed = { ms = -1 } }",
                "latency = { fixed = { ms = 3600000.5 } }",
                "latency = { fixed = { ms = nan } }",
                "latency = { uniform = { min_ms = 6, max_ms = 5 } }",
                "latency = { uniform = { min_ms = -1, max_ms = 5 } }",
                "latency = { uniform = { min_ms = nan, max_ms = 5 } }",
                "latency = { uniform = { min_ms = 5, max_ms = 3600000.5 } }",
                "latency = { uniform = { min_ms = 5, max_ms = nan } }",
                "latency = { log-normal = { median_ms = 0, sigma = 1 } }",
                "latency = { log-normal = { median_ms = -1, sigma = 1 } }",
                "latency = { log-normal = { median_ms = 3600000.5, sigma = 1 } }",
                "latency = { log-normal = { median_ms = 5, sigma = -0.1 } }",
                "latency = { log-normal = { median_ms = 5, sigma = 5.1 } }",
                "latency = { log-normal = { median_ms = 5, sigma = nan } }",
            ] {
                let refused = check(bad).unwrap_err();
                let named = matches!(&refused, ConfigError::Entry { entry, .. } if entry == step);
                assert!(named, "{step}: {bad}: {refused}");
            }
        }
    }
}
