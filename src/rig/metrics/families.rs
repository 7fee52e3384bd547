use std::borrow::Cow;

use crate::measure::Buckets;

/// What every name of a metric begins with.
pub(super) const PREFIX: &str = "fleetstorm";

/// Names and values that tell one series of a family from another.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A family of metrics at one moment: what it is and what it has come to. Every encoding is made of these.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family<'a> {
    /// Without prefix, unit and suffix.
    pub(super) name: Cow<'static, str>,
    pub(super) help: &'static str,
    pub(super) unit: Option<MetricUnit>,
    pub(super) series: Series<'a>,
}

/// What the values of a family are measured in, when they are no plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricUnit {
    Seconds,
    Bytes,
}

/// The series of a family, each with its value, and what kind of value that is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Series<'a> {
    /// Never fall in the course of a run.
    Counters(Vec<(Labels<'a>, u64)>),
    /// Sums with fractions.
    Sums(Vec<(Labels<'a>, f64)>),
    /// What is so at that moment.
    Gauges(Vec<(Labels<'a>, f64)>),
    /// Distributions of times, which are kept in nanoseconds and told in [`MetricUnit::Seconds`].
    Histograms(Vec<(Labels<'a>, &'a Buckets)>),
}

impl<'a> Family<'a> {
    pub(super) fn new(name: impl Into<Cow<'static, str>>, help: &'static str, series: Series<'a>) -> Self {
        Self { name: name.into(), help, unit: None, series }
    }

    pub(super) fn seconds(self) -> Self {
        Self { unit: Some(MetricUnit::Seconds), ..self }
    }

    pub(super) fn bytes(self) -> Self {
        Self { unit: Some(MetricUnit::Bytes), ..self }
    }
}

pub(super) fn counters<'a>(series: impl IntoIterator<Item = (Labels<'a>, u64)>) -> Series<'a> {
    Series::Counters(series.into_iter().collect())
}

pub(super) fn sums<'a>(series: impl IntoIterator<Item = (Labels<'a>, f64)>) -> Series<'a> {
    Series::Sums(series.into_iter().collect())
}

pub(super) fn gauges<'a>(series: impl IntoIterator<Item = (Labels<'a>, f64)>) -> Series<'a> {
    Series::Gauges(series.into_iter().collect())
}

pub(super) fn histograms<'a>(series: impl IntoIterator<Item = (Labels<'a>, &'a Buckets)>) -> Series<'a> {
    Series::Histograms(series.into_iter().collect())
}
