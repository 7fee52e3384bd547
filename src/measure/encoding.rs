//! Histograms out of bytes that anybody may have written: what they may cost is bounded before they are decoded.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::ZlibDecoder;
use hdrhistogram::serialization::Deserializer;

use crate::measure::{Aside, CompactHistogram, Histogram};

/// Bytes that are no histogram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Neither V2 nor deflated V2.
    #[error("it is no HdrHistogram in V2 encoding")]
    NotV2,
    /// Longer than a histogram of our bounds can be.
    #[error("it is longer than a histogram from 1 µs to 1 h with three digits can be")]
    TooLong,
    /// Other bounds or digits, so that it cannot be added to others.
    #[error("its bounds are not 1 µs to 1 h with three digits")]
    Bounds,
    /// The counts make no sense.
    #[error("it is damaged")]
    Damaged,
    /// The smallest or the largest value lies elsewhere than the counts do.
    #[error("its smallest or largest value is not one of those counted")]
    Ends,
}

/// Most values in a stored histogram: more than any run records, and so few that sums of thousands do not overflow.
pub const MOST_VALUES: u64 = 1_000_000_000_000_000;

const V2: u32 = 0x1c84_9313;
const V2_DEFLATED: u32 = 0x1c84_9314;
const HEADER: usize = 40;
/// Header, and nine bytes for each count between the bounds.
const MOST_BYTES: usize = HEADER + 9 * 25_000;

impl Histogram {
    /// From HdrHistogram's V2 encoding, deflated or not, and what was stored beside it.
    ///
    /// # Errors
    /// The bytes are no histogram with the bounds of [`Self::new`], or the rest does not belong to it.
    pub fn from_v2(bytes: &[u8], aside: Aside) -> Result<Self, EncodingError> {
        let plain = plain(bytes)?;
        check(&plain)?;
        let inner: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut plain.as_ref()).map_err(|_| EncodingError::Damaged)?;
        if inner.len() > MOST_VALUES || aside.above_range > inner.len() {
            return Err(EncodingError::Damaged);
        }
        if !belongs(&inner, aside) {
            return Err(EncodingError::Ends);
        }
        Ok(Self::from_parts(inner, aside))
    }
}

/// Whether the ends lie in the outermost steps of the histogram, as precisely as files are.
fn belongs(inner: &hdrhistogram::Histogram<u64>, aside: Aside) -> bool {
    const MICROSECOND: u64 = 1_000;
    let Aside { above_range, min, max } = aside;
    let within = |end: u64, step: u64, most: u64| {
        let step = inner.lowest_equivalent(step).saturating_sub(MICROSECOND)..=most.saturating_add(MICROSECOND);
        step.contains(&end)
    };
    let highest = |step| if above_range > 0 && step >= Histogram::HIGHEST { u64::MAX } else { step };
    inner.is_empty()
        || (min.is_none_or(|min| within(min, inner.min(), highest(inner.highest_equivalent(inner.min()))))
            && max.is_none_or(|max| within(max, inner.max(), highest(inner.max()))))
}

impl CompactHistogram {
    /// As [`Histogram::from_v2`].
    ///
    /// # Errors
    /// As there.
    pub fn from_v2(bytes: &[u8], aside: Aside) -> Result<Self, EncodingError> {
        Histogram::from_v2(bytes, aside).map(|histogram| Self::new(&histogram))
    }
}

/// Inflates, but never to more than a histogram of ours takes.
fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, EncodingError> {
    match number(bytes, 0).ok_or(EncodingError::NotV2)? {
        V2 if bytes.len() > MOST_BYTES => Err(EncodingError::TooLong),
        V2 => Ok(Cow::Borrowed(bytes)),
        V2_DEFLATED => {
            let deflated = bytes.get(8..).ok_or(EncodingError::Damaged)?;
            let mut plain = Vec::new();
            let most = MOST_BYTES as u64 + 1;
            ZlibDecoder::new(deflated).take(most).read_to_end(&mut plain).map_err(|_| EncodingError::Damaged)?;
            if plain.len() > MOST_BYTES { Err(EncodingError::TooLong) } else { Ok(Cow::Owned(plain)) }
        }
        _ => Err(EncodingError::NotV2),
    }
}

/// Looks at everything that decides how much memory decoding takes.
fn check(plain: &[u8]) -> Result<(), EncodingError> {
    let header = |at| number(plain, at).ok_or(EncodingError::Damaged);
    if header(0)? != V2 {
        return Err(EncodingError::NotV2);
    }
    let wide = |at| Ok((u64::from(header(at)?) << 32) | u64::from(header(at + 4)?));
    if (header(12)?, wide(16)?, wide(24)?) != (3, Histogram::LOWEST, Histogram::HIGHEST) {
        return Err(EncodingError::Bounds);
    }
    let counts = plain.get(HEADER..).ok_or(EncodingError::Damaged)?;
    if usize::try_from(header(4)?).ok() != Some(counts.len()) {
        return Err(EncodingError::Damaged);
    }
    // A number of nine bytes is a count that no run reaches; negating the greatest would overflow.
    if counts.windows(8).any(|bytes| bytes.iter().all(|byte| byte & 0x80 != 0)) {
        return Err(EncodingError::Damaged);
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    fn deflated(histogram: &Histogram) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram.as_hdr(), &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(0u64..2 * Histogram::HIGHEST, 0..60)) {
            let histogram = histogram(&values);
            prop_assert_eq!(&Histogram::from_v2(&deflated(&histogram), histogram.aside()).unwrap(), &histogram);
            let compact = CompactHistogram::new(&histogram);
            if !compact.is_empty() {
                prop_assert_eq!(CompactHistogram::from_v2(compact.as_v2(), compact.aside()).unwrap(), compact);
            }
        }

        #[test]
        fn damaged_bytes_never_panic(
            values in prop::collection::vec(0u64..Histogram::HIGHEST, 1..40),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let histogram = histogram(&values);
            for mut bytes in [deflated(&histogram), CompactHistogram::new(&histogram).as_v2().to_vec()] {
                for (place, value) in &changes {
                    let place = place.index(bytes.len());
                    bytes[place] = *value;
                }
                if let Ok(read) = Histogram::from_v2(&bytes, Aside::default()) {
                    prop_assert!(read.count() <= MOST_VALUES);
                }
                bytes.truncate(cut.index(bytes.len()));
                let _ = Histogram::from_v2(&bytes, Aside::default());
            }
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Histogram::from_v2(&bytes, Aside::default()).is_err());
        }
    }

    #[test]
    fn ends_that_lie_elsewhere_than_the_counts_are_refused() {
        let (bytes, hour) =
            (deflated(&histogram(&[5_000_000, 9_000_000])), deflated(&histogram(&[5_000_000, u64::MAX])));
        let read = |bytes: &[u8], above_range, min, max| {
            Histogram::from_v2(bytes, Aside { above_range, min, max }).map(|h| (h.quantile(0.0), h.quantile(1.0)))
        };
        let nanos = |min, max| Ok((Some(Duration::from_nanos(min)), Some(Duration::from_nanos(max))));
        assert_eq!(read(&bytes, 0, Some(5_000_111), Some(8_999_222)), nanos(5_000_111, 8_999_222));
        // Of a record of before only the steps are known.
        assert_eq!(read(&bytes, 0, None, None), nanos(4_997_120, 9_003_007));
        assert_eq!(read(&hour, 1, None, Some(2 * Histogram::HIGHEST)), nanos(4_997_120, 2 * Histogram::HIGHEST));
        for (bytes, above_range, min, max) in [
            (&bytes, 0, Some(4_000_000), None),
            (&bytes, 0, Some(6_000_000), None),
            (&bytes, 0, None, Some(8_000_000)),
            (&bytes, 0, None, Some(2 * Histogram::HIGHEST)),
            (&hour, 0, None, Some(2 * Histogram::HIGHEST)),
        ] {
            assert_eq!(read(bytes, above_range, min, max), Err(EncodingError::Ends), "{min:?} {max:?}");
        }
    }

    /// A histogram with so many values in one place.
    fn heaped(values: u64) -> Vec<u8> {
        let mut inner =
            hdrhistogram::Histogram::<u64>::new_with_bounds(Histogram::LOWEST, Histogram::HIGHEST, 3).unwrap();
        inner.record_n(5_000_000, values).unwrap();
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&inner, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn no_more_values_are_read_than_any_run_records() {
        let read = |values, above_range| {
            Histogram::from_v2(&heaped(values), Aside { above_range, ..Aside::default() }).map(|read| read.count())
        };
        assert_eq!(read(MOST_VALUES, 0), Ok(MOST_VALUES));
        assert_eq!(read(MOST_VALUES + 1, 0), Err(EncodingError::Damaged));
        assert_eq!(read(7, 8), Err(EncodingError::Damaged), "more are above the range than there are");
    }

    #[test]
    fn what_is_longer_than_a_histogram_of_ours_is_not_looked_at() {
        let long = |length| {
            let mut bytes = V2.to_be_bytes().to_vec();
            bytes.resize(length, 0);
            Histogram::from_v2(&bytes, Aside::default())
        };
        assert_eq!(long(MOST_BYTES), Err(EncodingError::Bounds));
        assert_eq!(long(MOST_BYTES + 1), Err(EncodingError::TooLong));
        let deflated = |length| {
            let mut bytes = V2_DEFLATED.to_be_bytes().to_vec();
            bytes.extend([0; 4]);
            let mut zlib = flate2::write::ZlibEncoder::new(&mut bytes, flate2::Compression::best());
            std::io::Write::write_all(&mut zlib, &vec![0; length]).unwrap();
            zlib.finish().unwrap();
            Histogram::from_v2(&bytes, Aside::default())
        };
        assert_eq!(deflated(MOST_BYTES), Err(EncodingError::NotV2));
        assert_eq!(deflated(MOST_BYTES + 1), Err(EncodingError::TooLong));
        // As large as the largest of ours, not much more.
        const { assert!(MOST_BYTES > 9 * 22_528 + HEADER && MOST_BYTES < 1 << 18) };
    }

    #[test]
    fn what_would_take_gigabytes_is_refused() {
        let mut huge = CompactHistogram::new(&histogram(&[5_000_000])).as_v2().to_vec();
        huge[12..16].copy_from_slice(&5u32.to_be_bytes());
        assert_eq!(Histogram::from_v2(&huge, Aside::default()), Err(EncodingError::Bounds));
        let mut long = CompactHistogram::new(&histogram(&[5_000_000])).as_v2().to_vec();
        long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Histogram::from_v2(&long, Aside::default()), Err(EncodingError::Damaged));
        let mut negative = CompactHistogram::new(&histogram(&[5_000_000])).as_v2()[..40].to_vec();
        negative[4..8].copy_from_slice(&9u32.to_be_bytes());
        negative.extend([0xff; 9]);
        assert_eq!(Histogram::from_v2(&negative, Aside::default()), Err(EncodingError::Damaged));
        let mut bomb = V2_DEFLATED.to_be_bytes().to_vec();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut zlib, &vec![0; 10 * MOST_BYTES]).unwrap();
        let zlib = zlib.finish().unwrap();
        bomb.extend(u32::try_from(zlib.len()).unwrap().to_be_bytes());
        bomb.extend(zlib);
        assert_eq!(Histogram::from_v2(&bomb, Aside::default()), Err(EncodingError::TooLong));
    }
}
