//! Distributions as HdrHistogram tools exchange them: V2, in base64.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};

use crate::measure::{Aside, CompactHistogram, Histogram};
use crate::report::json::values::Micros;

/// Deflated, as a phase has it.
pub(super) fn encoded(histogram: &Histogram) -> io::Result<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram.as_hdr(), &mut bytes).map_err(io::Error::other)?;
    Ok(STANDARD.encode(bytes))
}

/// Not deflated, as a second has it: most are short.
pub(super) fn encoded_compact(histogram: &CompactHistogram) -> String {
    STANDARD.encode(histogram.as_v2())
}

/// Deflated or not; empty for nothing.
pub(super) fn histogram(encoded: &str, aside: Aside) -> Result<Histogram, String> {
    if encoded.is_empty() {
        return Ok(Histogram::new());
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    Histogram::from_v2(&bytes, aside).map_err(|error| error.to_string())
}

/// Like [`histogram`], but kept small.
pub(super) fn compact(encoded: &str, aside: Aside) -> Result<CompactHistogram, String> {
    if encoded.is_empty() {
        return Ok(CompactHistogram::default());
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    CompactHistogram::from_v2(&bytes, aside).map_err(|error| error.to_string())
}

/// What stands beside a histogram. Records of before the ends were kept as they were have the outermost steps of the histogram in
/// their place, or nothing.
pub(super) fn aside(above_range: u64, min: Option<Micros>, max: Option<Micros>) -> Aside {
    let nanos = |time: Option<Micros>| time.and_then(|time| u64::try_from(time.0.as_nanos()).ok());
    Aside { above_range, min: nanos(min), max: nanos(max) }
}

/// `None` when nothing was recorded.
pub(super) fn quantile(histogram: &Histogram, quantile: f64) -> Option<Micros> {
    histogram.quantile(quantile).map(Micros)
}
