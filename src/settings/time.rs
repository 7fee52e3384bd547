use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// What [`parse_duration`] reads, as a regular expression.
pub(super) const PATTERN: &str = "^(0|[Pp][0-9TtYyWwDdHhMmSs.,]+|(\\s*[0-9]+\\s*(nanos|nsec|ns|micros|usec|us|µs|millis|msec|ms|seconds?|secs?|s|\
                                  minutes?|mins?|m|hours?|hrs?|hr|h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)\\s*)+)$";

/// A time as `30s`, `1m 30s`, `500ms` or in ISO 8601 as `PT30S`, `P30D` (days of 24 hours; no months or years).
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text.starts_with(['P', 'p']) {
        let span: Span = text.parse().ok()?;
        // Of months and years it knows no length.
        let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        return Duration::try_from(signed).ok();
    }
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::in_largest_unit as show;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(nanos in any::<u64>(), unit in 0u32..7) {
            let time = Duration::from_nanos(nanos / 10u64.pow(unit * 2) * 10u64.pow(unit * 2));
            prop_assert_eq!(parse_duration(&show(time)), Some(time));
        }
    }

    #[test]
    fn times_are_shown_in_their_largest_whole_unit() {
        let shown = |millis| show(Duration::from_millis(millis));
        assert_eq!((shown(0), shown(250), shown(90_000)), ("0s".into(), "250ms".into(), "90s".into()));
        assert_eq!((shown(5_400_000), shown(30 * 86_400_000)), ("90min".into(), "30d".into()));
    }

    #[test]
    fn times_are_human_or_iso_8601() {
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(parse_duration("30s"), seconds(30));
        assert_eq!(parse_duration("1m 30s"), seconds(90));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("P30D"), seconds(30 * 86_400));
        assert_eq!(parse_duration("P1W"), seconds(7 * 86_400));
        assert_eq!(parse_duration("PT1H0.5S"), Some(Duration::from_millis(3_600_500)));
        for wrong in ["", "30", "P1Y", "P1M", "-PT1S", "P-1D", "soon", "P"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
