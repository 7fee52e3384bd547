use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use crate::measure::Histogram;

/// A histogram at rest: HdrHistogram's V2 encoding, some hundred bytes instead of the 200 KB of one that records. One
/// per second of a run is kept this way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactHistogram {
    encoded: Box<[u8]>,
    saturated: u64,
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
        Self { encoded: encoded.into_boxed_slice(), saturated: histogram.saturated() }
    }

    /// The histogram itself, for statistics and merging.
    pub fn decode(&self) -> Histogram {
        if self.encoded.is_empty() {
            return Histogram::new();
        }
        let inner = Deserializer::new()
            .deserialize(&mut &*self.encoded)
            .expect("only written by `CompactHistogram::new`, with the same bounds");
        Histogram::from_parts(inner, self.saturated)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
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
