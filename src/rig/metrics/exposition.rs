use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{self, Registry};

use crate::measure::Buckets;
use crate::protocol::exposition::ExpositionFormat;
use crate::rig::metrics::families::{Family, Labels, MetricUnit, PREFIX, Series};
use crate::rig::metrics::moment::RunMoment;

/// All that is told at one moment.
pub(super) fn text(moment: RunMoment, format: ExpositionFormat) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(moment));
    format.encode(&registry)
}

impl Collector for RunMoment {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        self.families().try_for_each(|family| write(&mut to, family))
    }
}

fn write(to: &mut DescriptorEncoder<'_>, family: Family<'_>) -> fmt::Result {
    let Family { name, help, unit, series } = family;
    let head = Head { name, help, unit: unit.map(unit_of) };
    match series {
        Series::Counters(series) => head.each(to, MetricType::Counter, series, ConstCounter::new),
        Series::Sums(series) => head.each(to, MetricType::Counter, series, ConstCounter::new),
        Series::Gauges(series) => head.each(to, MetricType::Gauge, series, ConstGauge::new),
        Series::Histograms(series) => head.histograms(to, series),
    }
}

fn unit_of(unit: MetricUnit) -> registry::Unit {
    match unit {
        MetricUnit::Seconds => registry::Unit::Seconds,
        MetricUnit::Bytes => registry::Unit::Bytes,
    }
}

/// What is said of a family before its series.
struct Head {
    name: Cow<'static, str>,
    help: &'static str,
    unit: Option<registry::Unit>,
}

impl Head {
    fn each<N, M: EncodeMetric>(
        &self,
        to: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        series: Vec<(Labels<'_>, N)>,
        metric: fn(N) -> M,
    ) -> fmt::Result {
        let mut encoder = to.encode_descriptor(&self.name, self.help, self.unit.as_ref(), kind)?;
        series.into_iter().try_for_each(|(labels, value)| metric(value).encode(encoder.encode_family(&labels)?))
    }

    fn histograms(&self, to: &mut DescriptorEncoder<'_>, series: Vec<(Labels<'_>, &Buckets)>) -> fmt::Result {
        let mut encoder = to.encode_descriptor(&self.name, self.help, self.unit.as_ref(), MetricType::Histogram)?;
        for (labels, buckets) in series {
            let cells: Vec<_> = Buckets::bounds_in_seconds().chain([f64::INFINITY]).zip(buckets.counts).collect();
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_histogram::<Labels<'static>>(buckets.sum / 1e9, buckets.count(), &cells, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Progress;
    use crate::rig::metrics::moment::sample::{facts, progress};

    fn without_process(text: &str) -> String {
        let process = ["cpu", "resident", "open_files"].map(|name| format!("fleetstorm_generator_{name}"));
        let is_of = |line: &&str| process.iter().any(|name| line.starts_with(name));
        text.lines().filter(|line| !is_of(line)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_moment_of_a_run() {
        let open = text(RunMoment::now(&facts(), progress(), false), ExpositionFormat::OpenMetrics).unwrap();
        insta::assert_snapshot!(without_process(&open));
    }

    #[test]
    fn every_family_has_its_help_beside_its_name_in_the_text_format() {
        let text = text(RunMoment::now(&facts(), progress(), false), ExpositionFormat::Prometheus).unwrap();
        let of = |what: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(what));
            lines.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
        };
        let (helps, types) = (of("# HELP "), of("# TYPE "));
        assert_eq!(helps, types);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            assert!(helps.iter().any(|help| help == family || help == name), "{line}");
        }
        assert!(!text.contains("quantile=") && !text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        assert!(text.contains("fleetstorm_lateness_seconds{stage=\"storm\",percentile=\"p99\"} 0.004\n"), "{text}");
    }

    #[test]
    fn before_it_begins_everything_is_zero() {
        let text = text(RunMoment::now(&facts(), Progress::default(), false), ExpositionFormat::OpenMetrics).unwrap();
        assert!(text.contains("fleetstorm_devices_total{stage=\"renew\",outcome=\"succeeded\"} 0\n"), "{text}");
        assert!(text.contains("fleetstorm_run_part{part=\"prepare\"} 1.0\n"), "{text}");
        assert!(text.contains("scenario=\"a \\\"test\\\"\"") && text.ends_with("# EOF\n"), "{text}");
    }
}
