use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::measure::Buckets;

/// Names and values that tell one series of a family from another.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// What a family of metrics is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Without prefix, unit and suffix.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<&'static str>,
}

/// Writes families of metrics whose values are at hand.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn counters<'l>(
        &mut self,
        family: Family,
        series: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Counter, series.into_iter().map(|(l, count)| (l, ConstCounter::new(count))))
    }

    pub(super) fn counters_f64<'l>(
        &mut self,
        family: Family,
        series: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Counter, series.into_iter().map(|(l, count)| (l, ConstCounter::new(count))))
    }

    pub(super) fn gauges<'l>(
        &mut self,
        family: Family,
        series: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Gauge, series.into_iter().map(|(l, value)| (l, ConstGauge::new(value))))
    }

    pub(super) fn histograms<'l, 'b>(
        &mut self,
        family: Family,
        series: impl IntoIterator<Item = (Labels<'l>, &'b Buckets)>,
    ) -> fmt::Result {
        let Family { name, help, unit } = family;
        let unit = unit.map(unit_of);
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        for (labels, buckets) in series {
            let bounds = Buckets::BOUNDS.iter().map(|nanos| *nanos as f64 / 1e9).chain([f64::INFINITY]);
            let cells: Vec<_> = bounds.zip(buckets.counts).collect();
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_histogram::<Labels<'static>>(buckets.sum / 1e9, buckets.count(), &cells, None)?;
        }
        Ok(())
    }

    fn each<'l>(
        &mut self,
        family: Family,
        kind: MetricType,
        series: impl Iterator<Item = (Labels<'l>, impl EncodeMetric)>,
    ) -> fmt::Result {
        let Family { name, help, unit } = family;
        let unit = unit.map(unit_of);
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, metric) in series {
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn unit_of(unit: &str) -> Unit {
    Unit::Other(unit.to_owned())
}
