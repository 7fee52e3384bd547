//! Arrivals as a CSV file has them: its first column holds points in time.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::scenario::units;

/// Due times out of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    file: PathBuf,
    /// In order, the first at zero.
    offsets: Arc<[Duration]>,
}

/// A row whose first column is no point in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    /// Its bytes in the file.
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) reason: String,
}

/// What the first column counts in. Both together would be two different zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Seconds,
    Rfc3339,
}

impl Replay {
    /// How many arrivals there are.
    pub fn arrivals(&self) -> usize {
        self.offsets.len()
    }

    /// From the first to the last.
    pub fn span(&self) -> Duration {
        self.offsets.last().copied().unwrap_or_default()
    }

    /// When that arrival is due.
    pub(super) fn offset(&self, arrival: u32) -> Option<Duration> {
        self.offsets.get(usize::try_from(arrival).ok()?).copied()
    }

    /// Reads the text of `file`. The first row may be a header, lines that begin with `#` and empty ones count for
    /// nothing. Rows need not be in order.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, Vec<BadRow>> {
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        let mut notation = None;
        for (index, row) in rows.records().enumerate() {
            let parsed = row.map_err(|error| (0, error.to_string())).and_then(|row| {
                let start = row.position().map_or(0, |position| position.byte());
                let first = row.get(0).unwrap_or_default();
                point_in_time(first).map_err(|reason| (start, reason)).and_then(|(time, own)| {
                    match notation.get_or_insert(own) {
                        known if *known == own => Ok(time),
                        _ => Err((start, "this row and the first one do not count time in the same way".to_owned())),
                    }
                })
            });
            match parsed {
                Ok(time) => times.push(time),
                // A header.
                Err(_) if index == 0 => {}
                Err((start, reason)) => bad.push(BadRow { span: line_at(text, start), reason }),
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        times.sort_unstable();
        let first = times.first().copied().unwrap_or_default();
        let offset = |time: i128| Duration::from_nanos(u64::try_from(time - first).unwrap_or(u64::MAX));
        Ok(Self { file: file.to_owned(), offsets: times.into_iter().map(offset).collect() })
    }
}

/// Nanoseconds from a zero that is the same for all rows.
fn point_in_time(text: &str) -> Result<(i128, Notation), String> {
    if let Some(nanos) = seconds(text) {
        return Ok((nanos, Notation::Seconds));
    }
    match text.parse::<Timestamp>() {
        Ok(time) => Ok((time.as_nanosecond(), Notation::Rfc3339)),
        Err(_) => Err(format!("{text:?} is no point in time")),
    }
}

/// A decimal number of seconds, to the nanosecond below.
fn seconds(text: &str) -> Option<i128> {
    /// Three hundred centuries: nothing overflows.
    const MOST: i128 = 1_000_000_000_000;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i128 = whole.parse().ok().filter(|whole| *whole <= MOST)?;
    let nanos: i128 = format!("{:0<9.9}", fraction).parse().ok()?;
    let total = whole * 1_000_000_000 + nanos;
    Some(if negative { -total } else { total })
}

/// The line that a byte is in, without its end.
fn line_at(text: &str, start: u64) -> Range<usize> {
    let from = usize::try_from(start).unwrap_or(usize::MAX).min(text.len());
    // A row's position may be that of the line end before it.
    let rest = text.get(from..).unwrap_or_default();
    let from = from + (rest.len() - rest.trim_start().len());
    let rest = text.get(from..).unwrap_or_default();
    from..from + rest.find(['\r', '\n']).unwrap_or(rest.len())
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, arrivals, span) = (self.file.display(), self.arrivals(), units::show(self.span()));
        write!(f, "replay of {file}, {arrivals} arrivals within {span}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets(text: &str) -> Vec<f64> {
        let replay = Replay::parse(Path::new("a.csv"), text).unwrap();
        replay.offsets.iter().map(Duration::as_secs_f64).collect()
    }

    #[test]
    fn points_in_time_count_from_the_earliest() {
        assert_eq!(offsets("time,device\n10.5,a\n# later\n\n 12 ,b\n10.25,c\n"), [0.0, 0.25, 1.75]);
        assert_eq!(offsets("-1\n0.000000001\n"), [0.0, 1.000_000_001]);
        assert_eq!(offsets("at\n2026-03-29T01:00:30+01:00\r\n2026-03-29T00:00:00Z,x\r\n"), [0.0, 30.0]);
        assert_eq!(offsets(""), [] as [f64; 0]);
    }

    #[test]
    fn each_bad_row_has_its_place() {
        let text = "time\n1\nsoon,x\n2\n\n2026-03-29T00:00:00Z\n,y\n1e3";
        let bad = Replay::parse(Path::new("a.csv"), text).unwrap_err();
        let rows: Vec<(&str, &str)> = bad.iter().map(|b| (&text[b.span.clone()], b.reason.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("soon,x", "\"soon\" is no point in time"),
                ("2026-03-29T00:00:00Z", "this row and the first one do not count time in the same way"),
                (",y", "\"\" is no point in time"),
                ("1e3", "\"1e3\" is no point in time"),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_row_by_row(text in "\\PC*") {
            if let Err(bad) = Replay::parse(Path::new("a.csv"), &text) {
                prop_assert!(bad.iter().all(|b| text.get(b.span.clone()).is_some()));
            }
        }

        #[test]
        fn seconds_are_exact_to_the_nanosecond(nanos in 0u64..1_000_000_000_000) {
            let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assert_eq!(seconds(&text), Some(i128::from(nanos)));
        }
    }
}
