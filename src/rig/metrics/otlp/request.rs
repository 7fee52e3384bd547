use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric::Data, number_data_point::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::measure::Buckets;
use crate::rig::metrics::RunFacts;
use crate::rig::metrics::families::{Family, Labels, MetricUnit, PREFIX, Series};
use crate::rig::metrics::moment::RunMoment;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Who tells, and since when it counts.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    resource: Resource,
    since: u64,
}

impl Teller {
    /// This process from now on, as an instance of its own. `attributes` come from outside and do not go before what is known
    /// of the run.
    pub(super) fn new(attributes: &[(String, String)], facts: &RunFacts, begun: SystemTime) -> Self {
        let instance = uuid::Uuid::new_v4().to_string();
        let known = [
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance.as_str()),
            ("fleetstorm.scenario", facts.scenario.as_str()),
            ("fleetstorm.seed", facts.seed.as_str()),
        ];
        let given = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let given = given.filter(|(key, _)| !known.iter().any(|(name, _)| name == key));
        let attributes = given.chain(known).map(attribute).collect();
        Self { resource: Resource { attributes, ..Resource::default() }, since: nanoseconds(begun) }
    }

    /// All that is told at a moment.
    pub(super) fn tell(&self, moment: &RunMoment, at: SystemTime) -> ExportMetricsServiceRequest {
        let time = Time { since: self.since, at: nanoseconds(at).max(self.since) };
        let metrics = moment.families().filter_map(|family| time.metric(family)).collect();
        let scope = InstrumentationScope {
            name: PREFIX.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }];
        let resource = Some(self.resource.clone());
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource, scope_metrics, schema_url: String::new() }],
        }
    }
}

/// In nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Time {
    since: u64,
    at: u64,
}

impl Time {
    /// `None` when nothing is known of the family.
    fn metric(self, family: Family<'_>) -> Option<Metric> {
        let Family { name, help, unit, series } = family;
        let sum = |data_points| Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true });
        let data = match series {
            Series::Counters(series) => {
                sum(self.numbers(series, |count| Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX)))?)
            }
            Series::Sums(series) => sum(self.numbers(series, Value::AsDouble)?),
            Series::Gauges(series) => Data::Gauge(Gauge { data_points: self.numbers(series, Value::AsDouble)? }),
            Series::Histograms(series) if series.is_empty() => return None,
            Series::Histograms(series) => Data::Histogram(Histogram {
                data_points: series.into_iter().map(|(labels, buckets)| self.histogram(labels, buckets)).collect(),
                aggregation_temporality: CUMULATIVE,
            }),
        };
        Some(Metric {
            // Prometheus makes the names of the endpoint of these: `fleetstorm_phase_seconds` of `fleetstorm.phase` in `s`.
            name: format!("{PREFIX}.{name}"),
            description: help.to_owned(),
            unit: unit.map_or("", unit_of).to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        })
    }

    fn numbers<N>(self, series: Vec<(Labels<'_>, N)>, value: fn(N) -> Value) -> Option<Vec<NumberDataPoint>> {
        let point = |(labels, number)| NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.since,
            time_unix_nano: self.at,
            value: Some(value(number)),
            ..NumberDataPoint::default()
        };
        (!series.is_empty()).then(|| series.into_iter().map(point).collect())
    }

    fn histogram(self, labels: Labels<'_>, buckets: &Buckets) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.since,
            time_unix_nano: self.at,
            count: buckets.count(),
            sum: Some(buckets.sum / 1e9),
            bucket_counts: buckets.counts.to_vec(),
            explicit_bounds: Buckets::bounds_in_seconds().collect(),
            ..HistogramDataPoint::default()
        }
    }
}

/// As UCUM writes them, which OpenTelemetry asks for.
const fn unit_of(unit: MetricUnit) -> &'static str {
    match unit {
        MetricUnit::Seconds => "s",
        MetricUnit::Bytes => "By",
    }
}

fn attributes(labels: Labels<'_>) -> Vec<KeyValue> {
    labels.into_iter().map(attribute).collect()
}

fn attribute((key, value): (&str, &str)) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rig::metrics::moment::sample::{facts, progress};

    #[test]
    fn a_moment_of_a_run() {
        let given = [("service.name", "me"), ("service.version", "theirs")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let begun = UNIX_EPOCH + Duration::from_secs(1);
        let teller = Teller::new(&given, &facts(), begun);
        let told = teller.tell(&RunMoment::now(&facts(), progress(), false), begun + Duration::from_secs(2));
        let resource = &told.resource_metrics[0];
        let mut lines = vec![words(&resource.resource.as_ref().unwrap().attributes)];
        for Metric { name, unit, data, .. } in &resource.scope_metrics[0].metrics {
            let (kind, points) = match data.as_ref().unwrap() {
                Data::Gauge(gauge) => ("gauge", numbers(&gauge.data_points)),
                Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true }) => {
                    ("sum", numbers(data_points))
                }
                Data::Histogram(histogram) => ("histogram", format!("{histogram:#?}")),
                other => panic!("{name}: {other:?}"),
            };
            lines.push(format!("{name} [{unit}] {kind} {points}"));
        }
        // What this very process uses.
        lines.retain(|line| {
            !["cpu", "resident_memory", "open_files"].iter().any(|name| line.contains(&format!("_{name} ")))
        });
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// How many points, and the last of them.
    fn numbers(points: &[NumberDataPoint]) -> String {
        let NumberDataPoint { attributes, start_time_unix_nano, time_unix_nano, value, .. } = points.last().unwrap();
        assert_eq!((*start_time_unix_nano, *time_unix_nano), (1_000_000_000, 3_000_000_000));
        format!("{}: {} {:?}", points.len(), words(attributes), value.unwrap())
    }

    fn words(attributes: &[KeyValue]) -> String {
        let word = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            any_value::Value::StringValue(_) if attribute.key == "service.instance.id" => "(instance)".to_owned(),
            any_value::Value::StringValue(value) => format!("{}={value}", attribute.key),
            other => panic!("{other:?}"),
        };
        attributes.iter().map(word).collect::<Vec<_>>().join(",")
    }
}
