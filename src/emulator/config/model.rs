use std::path::PathBuf;

use crate::settings::declare::{Declared, Written, settings};
use crate::settings::expect::{Expect, choice, number, path, text, whole};
use crate::settings::{Section, Table, ValueKind};

settings! {
    /// How long the service takes for its work, and how much of it it does at once (`[model]`). By default nothing takes
    /// longer than it really does.
    #[derive(PartialEq)]
    pub struct Model {
        /// A registration is answered with 202.
        pub register: StepModel = table;
        /// From that answer on, until the device has a hub and, if it asked for one, a certificate.
        pub assign: StepModel = table;
        /// A question for the state of an operation is answered.
        pub poll: StepModel = table;
        /// A CONNECT at the hub is answered. Over the capacity: CONNACK 3.
        pub hub_connect: StepModel = table;
        /// A device-to-cloud message is acknowledged. Over the capacity: the connection is closed (HTTPS: 429).
        pub telemetry: StepModel = table;
        /// A certificate renewal is answered with 202.
        pub renewal_accept: StepModel = table;
        /// From that answer on, until the certificate is there.
        pub renewal_issue: StepModel = table;
    }
}

settings! {
    /// One kind of work.
    #[derive(PartialEq)]
    pub struct StepModel {
        /// How long it takes.
        pub latency: LatencySettings = table;
        /// So many at once; the others wait in order of arrival. 0: no limit.
        pub capacity: usize = value(0, whole(0..=1_000_000));
        /// So many may wait; more are refused with 429.
        pub queue: usize = value(1000, whole(0..=10_000_000));
    }
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq)]
pub enum LatencySettings {
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
        tag: Option<String>,
        /// What the values are in.
        unit: HistogramUnit,
    },
}

impl Default for LatencySettings {
    fn default() -> Self {
        Self::Fixed { ms: 0.0 }
    }
}

settings! {
    /// What the values of a histogram are in.
    pub enum HistogramUnit {
        /// Nanoseconds, as this program writes.
        Ns = "ns",
        /// Microseconds.
        Us = "us",
        /// Milliseconds.
        Ms = "ms",
    }
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
}

impl Declared for LatencySettings {
    fn read_section(mut section: Section<'_>) -> Option<Self> {
        let given = ["fixed", "uniform", "log-normal", "histogram"].map(|kind| section.has(kind).then_some(kind));
        let given: Vec<&str> = given.into_iter().flatten().collect();
        let read = match given.as_slice() {
            // A kind that there is not is told below.
            [] => section.left_out("write `latency = { fixed = { ms = 50 } }`").then(Self::default),
            [only] => match *only {
                "fixed" => read_fixed(section.section("fixed")),
                "uniform" => read_uniform(section.section("uniform")),
                "log-normal" => read_log_normal(section.section("log-normal")),
                _ => read_histogram(section.section("histogram")),
            },
            [_, second, ..] => {
                section.problem(second, "is one kind of latency too many", "leave one of them");
                None
            }
        };
        section.finish();
        read
    }
}

fn read_fixed(mut section: Section<'_>) -> Option<LatencySettings> {
    let ms = section.required("ms", &milliseconds());
    section.finish();
    Some(LatencySettings::Fixed { ms: ms? })
}

fn read_uniform(mut section: Section<'_>) -> Option<LatencySettings> {
    let min_ms = section.required("min_ms", &milliseconds());
    let max_ms = section.required("max_ms", &milliseconds());
    if min_ms.zip(max_ms).is_some_and(|(min, max)| min > max) {
        section.problem("max_ms", "is less than `min_ms`", "write the bounds in their order");
    }
    section.finish();
    Some(LatencySettings::Uniform { min_ms: min_ms?, max_ms: max_ms? })
}

fn read_log_normal(mut section: Section<'_>) -> Option<LatencySettings> {
    let above_zero = |ms| if ms > 0.0 { Ok(ms) } else { Err("it must be above 0".to_owned()) };
    let median_ms = section.required("median_ms", &milliseconds().then(above_zero));
    let sigma = section.required("sigma", &number(0.0..=5.0));
    section.finish();
    Some(LatencySettings::LogNormal { median_ms: median_ms?, sigma: sigma? })
}

fn read_histogram(mut section: Section<'_>) -> Option<LatencySettings> {
    let file = section.required("file", &path("an HdrHistogram interval log, such as \"latency.hlog\""));
    let tag = section.optional("tag", &text("the tag of histograms in the log"));
    let unit = section.usual("unit", HistogramUnit::default(), &choice(&HistogramUnit::NAMED));
    section.finish();
    Some(LatencySettings::Histogram { file: file?, tag: tag?, unit: unit? })
}

/// No more than an hour.
fn milliseconds() -> Expect<f64> {
    number(0.0..=3_600_000.0)
}

impl Written for LatencySettings {
    fn written(&self) -> Option<ValueKind> {
        let (kind, values): (_, Table) = match self {
            Self::Fixed { ms } => ("fixed", [("ms", ms.written())].into_iter().collect()),
            Self::Uniform { min_ms, max_ms } => {
                ("uniform", [("min_ms", min_ms.written()), ("max_ms", max_ms.written())].into_iter().collect())
            }
            Self::LogNormal { median_ms, sigma } => {
                ("log-normal", [("median_ms", median_ms.written()), ("sigma", sigma.written())].into_iter().collect())
            }
            Self::Histogram { file, tag, unit } => {
                let values = [("file", file.written()), ("tag", tag.written()), ("unit", unit.written())];
                ("histogram", values.into_iter().collect())
            }
        };
        Some(ValueKind::Table([(kind, Some(ValueKind::Table(values)))].into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Config;
    use crate::settings::Problems;

    #[test]
    fn every_value_of_a_step_has_its_bounds() {
        for step in Model::default().steps().map(|(name, _)| name) {
            let wrong = |text: &str| Config::read("x", &format!("[model.{step}]\n{text}")).err();
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
                assert!(wrong(good).is_none(), "{step}: {good}");
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
                "latency = { fixed = { ms = 5 }, uniform = { min_ms = 5, max_ms = 6 } }",
                "latency = { histogram = { file = 'latency.hlog', unit = 's' } }",
                "latency = { fixed = { s = 1, ms = 1 } }",
                "latency = {}",
                "latency = 5",
            ] {
                let told: Vec<_> = wrong(bad).iter().flat_map(Problems::iter).map(ToString::to_string).collect();
                let one = matches!(told.as_slice(), [one] if one.contains(&format!("`model.{step}.")));
                assert!(one, "{step}: {bad}: {told:?}");
            }
        }
    }
}
