use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use crate::measure::{Aside, Histogram};

/// A histogram at rest: HdrHistogram's V2 encoding, some hundred bytes instead of the 200 KB of one that records. All of a
/// record are kept this way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactHistogram {
    encoded: Box<[u8]>,
    aside: Aside,
}

impl CompactHistogram {
    /// Encodes what `histogram` holds now.
    pub fn new(histogram: &Histogram) -> Self {
        if histogram.count() == 0 {
            return Self::default();
        }
        let mut encoded = Vec::new();
        V2Serializer::new()
            .serialize(histogram.as_hdr(), &mut encoded)
            .expect("writing to memory does not fail, and counts of one run fit the encoding");
        Self { encoded: encoded.into_boxed_slice(), aside: histogram.aside() }
    }

    /// The place of a histogram that is yet to come, of which only what is stored beside it is known.
    pub(crate) fn announced(aside: Aside) -> Self {
        Self { encoded: Box::default(), aside }
    }

    /// The histogram itself, for statistics and merging.
    pub fn decode(&self) -> Histogram {
        if self.encoded.is_empty() {
            return Histogram::new();
        }
        let inner = Deserializer::new()
            .deserialize(&mut &*self.encoded)
            .expect("only written by `CompactHistogram::new`, with the same bounds");
        Histogram::from_parts(inner, self.aside)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        let mut sum = self.decode();
        sum.merge(&other.decode());
        *self = Self::new(&sum);
    }

    /// What is stored beside its counts.
    pub const fn aside(&self) -> Aside {
        self.aside
    }

    /// See [`crate::measure::RunRecord::at_rest`].
    pub(super) fn round(&mut self) {
        self.aside = self.aside.at_rest();
    }

    /// Bytes in HdrHistogram's V2 encoding, uncompressed; empty when nothing was recorded.
    pub fn as_v2(&self) -> &[u8] {
        &self.encoded
    }
}

impl From<&Histogram> for CompactHistogram {
    fn from(histogram: &Histogram) -> Self {
        Self::new(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Recorded;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..2 * Histogram::HIGHEST, 0..60)
    }

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|v| histogram.record(*v));
        histogram
    }

    proptest! {
        #[test]
        fn encoding_keeps_everything(values in values()) {
            let histogram = histogram(&values);
            let compact = CompactHistogram::new(&histogram);
            prop_assert_eq!(compact.is_empty(), values.is_empty());
            prop_assert_eq!(compact.decode(), histogram);
        }

        #[test]
        fn merging_is_recording_everything_in_one(a in values(), b in values()) {
            let mut merged = histogram(&a);
            merged.merge(&histogram(&b));
            let mut turned = histogram(&b);
            turned.merge(&histogram(&a));
            let mut at_rest = CompactHistogram::new(&histogram(&a));
            at_rest.merge(&CompactHistogram::new(&histogram(&b)));
            prop_assert_eq!(at_rest, CompactHistogram::new(&merged));
            let all = histogram(&[a, b].concat());
            prop_assert_eq!(&merged, &all);
            prop_assert_eq!(&turned, &all);
            prop_assert_eq!(merged.saturated(), all.saturated());
        }

        #[test]
        fn values_are_kept_to_a_thousandth_and_never_panic(value in any::<u64>()) {
            // Between others, so that it is no end.
            let histogram = histogram(&[0, value, u64::MAX]);
            let kept = histogram.quantile(0.5).map_or(0, |d| d.as_nanos() as u64);
            let expected = value.min(Histogram::HIGHEST);
            prop_assert!(kept.abs_diff(expected) <= Histogram::LOWEST + expected / 1_000, "{value} became {kept}");
            prop_assert_eq!(histogram.saturated(), 1 + u64::from(value > Histogram::HIGHEST));
        }

        #[test]
        fn the_ends_are_kept_as_they_were_and_nothing_lies_beyond_them(
            parts in prop::collection::vec(prop::collection::vec(0u64..2 * Histogram::HIGHEST, 1..20), 1..4),
        ) {
            let mut merged = Histogram::new();
            for part in &parts {
                merged.merge(&CompactHistogram::new(&histogram(part)).decode());
            }
            let all = parts.concat();
            let Recorded { min, mean, p50, p90, p95, p99, p999, max, .. } = merged.summary().unwrap();
            prop_assert_eq!((Some(&min), Some(&max)), (all.iter().min(), all.iter().max()));
            let ends = [0.0, 1.0].map(|end| merged.quantile(end).unwrap().as_nanos());
            prop_assert_eq!(ends, [u128::from(min), u128::from(max)]);
            prop_assert!([min, p50, p90, p95, p99, p999, max].is_sorted());
            prop_assert!(min as f64 <= mean && mean <= max as f64);
            merged.clear();
            prop_assert_eq!((merged.summary(), merged.aside()), (None, Aside::default()));
        }
    }
}
